"""Notebooks made here, for what the peers' own test notebooks leave out.

Each is a list of cells and, where it needs them, options of the run. What they print must not depend on time or chance.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import typing


def code(source: str, *tags: str, **fields: typing.Any) -> dict:
    """A code cell that has not been executed, unless `fields` say otherwise."""
    metadata = {"tags": list(tags)} if tags else {}
    cell = {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None}
    return cell | fields


def markdown(source: str, **fields: typing.Any) -> dict:
    """A markdown cell."""
    return {"cell_type": "markdown", "metadata": {}, "source": source} | fields


def raw(source: str, **fields: typing.Any) -> dict:
    """A raw cell."""
    return {"cell_type": "raw", "metadata": {}, "source": source} | fields


@dataclasses.dataclass(frozen=True)
class Made:
    """A notebook and how it is to be run."""

    name: str
    cells: list[dict | str]
    timeout: int | None = None
    minor: int = 5
    metadata: dict = dataclasses.field(default_factory=dict)
    top: dict = dataclasses.field(default_factory=dict)
    with_ids: bool = True
    content: str | None = None
    """The file as it is, in place of cells."""

    def write(self, folder: pathlib.Path) -> pathlib.Path:
        """Writes it as `name.ipynb`."""
        path = folder / f"{self.name}.ipynb"
        path.write_text(self.document() if self.content is None else self.content, encoding="utf-8")
        return path

    def document(self) -> str:
        """The notebook file."""
        spec = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
        cells = [code(cell) if isinstance(cell, str) else dict(cell) for cell in self.cells]
        if self.minor >= 5 and self.with_ids:
            cells = [{"id": f"cell-{i}"} | cell for i, cell in enumerate(cells)]
        notebook = {"cells": cells, "metadata": spec | self.metadata, "nbformat": 4, "nbformat_minor": self.minor}
        return json.dumps(notebook | self.top, indent=1, ensure_ascii=False) + "\n"


STALE = {"output_type": "stream", "name": "stdout", "text": "from an earlier run\n"}
STALE_TIMES = {"execution": {"iopub.status.busy": "2020-01-01T00:00:00.000000Z"}}
PUBLISH = """\
def publish(msg_type, content, metadata=None):
    kernel = get_ipython().kernel
    kernel.session.send(kernel.iopub_socket, msg_type, content, metadata=metadata, parent=kernel.get_parent("shell"))
"""

OUTPUTS = [
    Made("streams", [
        "print('out')",
        "import sys\nprint('err', file=sys.stderr)",
        "print('a', end='')\nprint('b', end='')\nprint()",
        "for i in range(5):\n    print('out', i, flush=True)",
        "sys.stdout.write('x' * 10)\nsys.stdout.flush()",
        "print('')\nprint('\\n\\n')",
        "print('1', flush=True)\ndisplay(2)\nprint('3', flush=True)\ndisplay(4)\nprint('5')",
        "sys.stdout.writelines(['l1\\n', 'l2'])",
    ]),
    Made("results", [
        "1 + 1", "None", "2;", "1\n2\n3", "_", "Out[1]", "'text'", "b'bytes'", "...", "float('nan'), -0.0, 1e300",
        "list(range(300))", "{'b': 1, 'a': [1, {'c': None}]}", "(i for i in range(3))", "type('T', (), {})",
        "import decimal, fractions, datetime\ndecimal.Decimal('1.10'), fractions.Fraction(1, 3), datetime.date(2020, 1, 2)",
        "10 ** 200", "{3, 1, 2}", "lambda: 0", "print", "object()",
    ]),
    Made("interactivity", [
        "from IPython.core.interactiveshell import InteractiveShell\nInteractiveShell.ast_node_interactivity = 'all'",
        "1\n'two'\n[3]",
        "InteractiveShell.ast_node_interactivity = 'last_expr_or_assign'\nx = 5",
    ]),
    Made("rich-displays", [
        "from IPython.display import *",
        "HTML('<b>bold</b>\\n<i>it</i>')",
        "display(Markdown('# title\\n\\n$x^2$'), Latex(r'\\\\begin{x}'), Math('x^2'))",
        "SVG('<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"10\" height=\"10\"></svg>')",
        "JSON({'b': [1, 2.5, None, True], 'a': {'deep': {'er': 'é'}}}, expanded=True)",
        "JSON([1, 2, 3])",
        "GeoJSON({'type': 'Point', 'coordinates': [1.5, 2]})",
        "Javascript('console.log(1)')",
        "import base64\nPNG = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==')\nImage(PNG, width=20)",
        "display(Image(PNG), Image(url='https://example.invalid/x.png'))",
        "display(1, 'two', [3], {'four': 4})",
        "display({'text/plain': 'p', 'text/html': '<p>', 'application/x-own': 'own\\ntext'}, raw=True)",
        "display({'application/vnd.own+json': {'a': [1, 'two\\nlines']}, 'text/plain': 'v'}, raw=True)",
        "display({'text/plain': 'with metadata'}, metadata={'text/plain': {'k': 1}, 'isolated': True}, raw=True)",
        "display({}, raw=True)",
        "IFrame('https://example.invalid', 100, 50)",
        "Code('x = 1', language='python')",
        "FileLink('nowhere.txt')",
        "display(Pretty('pretty'), display_id=False)",
        "from IPython.display import publish_display_data\npublish_display_data({'text/plain': 'published'}, {'m': 1})",
    ]),
    Made("numbers-in-json", [
        "display({'application/json': {'nan': float('nan'), 'inf': float('inf')}, 'text/plain': 'n'}, raw=True)",
        "display({'application/json': {'big': 2**70, 'float': 1e22, 'small': 1e-7, 'one': 1.0, 'zero': -0.0}, 'text/plain': 'n'}, raw=True)",
        "display({'application/json': [], 'application/x+json': {}, 'text/plain': ''}, raw=True)",
        "display({'application/json': 'a string', 'text/plain': 'n'}, raw=True)",
    ]),
    Made("reprs", [
        "class Html:\n    def _repr_html_(self): return '<b>html</b>'\nHtml()",
        "class Bundle:\n    def _repr_mimebundle_(self, include=None, exclude=None): return {'text/plain': 'p', 'text/x-own': 'o'}, {'text/x-own': {'k': 1}}\nBundle()",
        "class Fails:\n    def _repr_html_(self): raise ValueError('no html')\nFails()",
        code("class Bad:\n    def __repr__(self): raise ValueError('no repr')\nBad()", "raises-exception"),
        "class Many:\n    def _repr_latex_(self): return '$x$'\n    def _repr_json_(self): return {'k': 1}\n    def _repr_markdown_(self): return '*m*'\n    def __repr__(self): return 'many'\nMany()",
        "class Ipython:\n    def _ipython_display_(self): print('displays itself')\nIpython()",
        "class Long:\n    def __repr__(self): return 'r' * 5000\nLong()",
        "class NotText:\n    def _repr_html_(self): return 5\nNotText()",
    ]),
    Made("tables", [
        "import pandas as pd, numpy as np",
        "frame = pd.DataFrame({'a': [1, 2], 'b': ['x', None], 'c': [0.5, float('nan')]})\nframe",
        "frame.a", "frame.describe()", "np.arange(12).reshape(3, 4)", "np.linspace(0, 1, 2000)",
        "pd.Series(pd.date_range('2020-01-01', periods=3))", "print(frame)", "frame.info()",
    ]),
    Made("large-outputs", [
        "print('x' * 5_000_000)",
        "for i in range(50_000): print(i)",
        "display({'text/plain': 'y' * 2_000_000, 'text/html': '<p>' * 500_000}, raw=True)",
        "for i in range(300): display(i)",
        "'z' * 1_000_000",
        "print(*['line'] * 200_000, sep='\\n')",
    ]),
    Made("control-characters", [
        "print('10%\\r20%\\r30%')", "print('abc\\b\\bX')", "print('a\\r\\nb\\rc\\n')", "print('\\x1b[31mred\\x1b[0m')",
        "print('form\\x0cfeed\\x0bvt\\x1cfs\\x1dgs\\x1ers\\x85nel\\u2028ls\\u2029ps')", "print('nul\\x00bell\\x07')",
        "import sys\nfor i in range(3):\n    print(f'\\r{i}', end='', flush=True)",
        "'a\\r\\nb\\x0cc\\u2028d'",
        "display({'text/html': 'a\\r\\nb\\u2028c', 'image/svg+xml': 'x\\x0cy\\n', 'text/plain': '\\r'}, raw=True)",
    ]),
    Made("unicode", [
        "naïve = 'ünïcödé'\nprint(naïve)", "'😀👩‍👩‍👧‍👦'", "print('שלום مرحبا 你好 ก็')", "print('e\\u0301', '\\ufeff', '\\U0010ffff')",
        "变量 = 1\n变量", code("raise ValueError('ошибка 😀')", "raises-exception"),
        "print('\\x7f', '\\xa0', '\\u200b', '\\ufffd', '\\uffff')", markdown("# Überschrift 😀\n\ntext"),
       
        "display({'application/json': {'ключ': 'значение'}, 'text/plain': 'ü'}, raw=True)",
    ]),
]

DISPLAYS = [
    Made("display-ids", [
        "h = display('first', display_id=True)\nh.display('again')",
        "h.update('changed')",
        "display('named', display_id='n')\ndisplay('named twice', display_id='n')",
        "from IPython.display import update_display, HTML\nupdate_display('both', display_id='n')",
        "display('third of the name', display_id='n')",
        "update_display(HTML('<b>html now</b>'), display_id='n')",
        "update_display('nobody', display_id='unknown')",
        "display('later', display_id='unknown')",
        "update_display({'text/plain': 'raw'}, raw=True, metadata={'k': 1}, display_id='n')",
        "for i in range(50):\n    h.update(i)",
        "print('before')\nk = display('in the middle', display_id='m')\nprint('after')\nk.update('changed within')\nprint('end')",
    ]),
    Made("display-ids-and-clearing", [
        "from IPython.display import clear_output, update_display",
        "display('a', display_id='a')\nclear_output()\ndisplay('b', display_id='b')",
        "update_display('a2', display_id='a')\nupdate_display('b2', display_id='b')",
        "display('c', display_id='c')\nclear_output(wait=True)\nupdate_display('c2', display_id='c')",
        "update_display('c3', display_id='c')",
        "display('d', display_id='d')\nclear_output(wait=True)\nprint('printed')\ndisplay('d again', display_id='d')",
        "update_display('d3', display_id='d')",
    ]),
    Made("clear-output", [
        "from IPython.display import clear_output",
        "print('gone')\nclear_output()\nprint('kept')",
        "print('gone')\nclear_output(wait=True)\nprint('kept')",
        "print('kept, nothing follows')\nclear_output(wait=True)",
        "print('not affected by the cell before')",
        "for i in range(5):\n    clear_output(wait=True)\n    print(i)",
        "print('all gone')\nclear_output()",
        "display(1)\nprint(2)\nclear_output(wait=True)\n3",
        code("print('gone')\nclear_output(wait=True)\n1/0", "raises-exception"),
        "clear_output()\nclear_output(wait=True)\nprint('only')\nclear_output(wait=True)\nclear_output(wait=False)\nprint('last')",
        "print('a'); clear_output(); print('b'); clear_output(); print('c')",
    ]),
    Made("odd-messages", [
        PUBLISH,
        "publish('display_data', {'data': {'text/plain': 'no transient'}, 'metadata': {}, 'transient': None})",
        "publish('display_data', {'data': {'text/plain': 'x'}, 'metadata': {}, 'transient': {'display_id': 'odd'}})",
        "publish('update_display_data', {'data': {'text/plain': 'y'}, 'metadata': {'k': 1}, 'transient': {'display_id': 'odd'}})",
        "publish('no_such_type', {'k': 1})\nprint('after')",
        "publish('stream', {'name': 'stdout', 'text': ''})",
        "publish('stream', {'name': 'stderr', 'text': 'one'})\npublish('stream', {'name': 'stderr', 'text': 'two'})",
        "publish('execute_result', {'data': {'text/plain': 'r'}, 'metadata': {}, 'execution_count': 77})",
        "publish('error', {'ename': 'Made', 'evalue': 'up', 'traceback': ['line 1', 'line 2']})\nprint('goes on')",
        "publish('display_data', {'data': {'text/plain': 'extra', 'own/type': 'own'}, 'metadata': {}, 'extra': 1})",
        "publish('clear_output', {})\nprint('no wait given')",
        "publish('display_data', {'data': {'text/plain': ['a\\n', 'b']}, 'metadata': {}})",
    ]),
    Made("invalid-mime-value", [PUBLISH, "publish('display_data', {'data': {'own/type': {'a': 1}}, 'metadata': {}})", "print('goes on')"]),
]

WIDGETS = [
    Made("widgets", [
        "import ipywidgets as w",
        "slider = w.IntSlider(value=3, description='n')\nslider",
        "slider.value = 7\nslider",
        "w.HBox([slider, w.Label('text'), w.Checkbox(True)])",
        "image = w.Image(value=b'\\x00\\x01binary', format='png')\nimage",
        "image.value = b'other bytes'",
        "w.interact(lambda x: print('x', x), x=(0, 3));",
        "gone = w.Button(description='b')\ngone.close()",
        "w.jslink((slider, 'value'), (w.IntText(), 'value'))\nNone",
        "progress = w.IntProgress(max=3)\ndisplay(progress)\nfor i in range(4): progress.value = i",
        "w.Dropdown(options=['a', 'b'], value='b')",
    ]),
    Made("output-widgets", [
        "import ipywidgets as w, sys\nfrom IPython.display import clear_output, display",
        "out = w.Output()\nout",
        "with out:\n    print('captured')\n    print('captured too')\n    display('shown', {'k': 1})\nprint('outside')",
        "import json\nprint(json.dumps(out.outputs, sort_keys=True, indent=1))",
        "with out:\n    print('to stderr', file=sys.stderr)",
        "inner, outer = w.Output(), w.Output()\ndisplay(outer, inner)\nwith outer:\n    print('outer before')\n    with inner:\n        print('inner')\n    print('outer after')",
        "out.clear_output()\nwith out:\n    print('after clearing')",
        "with out:\n    clear_output(wait=True)\n    print('replaces')",
        "with out:\n    clear_output()",
        "waits = w.Output()\ndisplay(waits)\nwith waits:\n    for i in range(3):\n        clear_output(wait=True)\n        print(i)",
        "@out.capture(clear_output=True)\ndef f():\n    print('captured by the decorator')\nf()",
        "out.append_stdout('appended')\nout.append_stderr('appended err')\nout.append_display_data('appended data')",
        "with out:\n    h = display('in the widget', display_id='ow')\nh.update('changed')",
        code("with w.Output() as broken:\n    1/0\nprint('reached')", "raises-exception"),
        "len(out.outputs), len(inner.outputs), len(outer.outputs)",
    ]),
    Made("comms", [
        "from comm import create_comm",
        "c = create_comm('own-target', data={'id': 1})\nc.send(data={'id': 2})\nc.send(data={'state': {'a': 1}})\nc.close()",
        "c2 = create_comm('jupyter.widget', data={'state': {'_model_name': 'OwnModel', '_model_module': 'own', '_model_module_version': '1', 'v': 1}, 'buffer_paths': []}, metadata={'version': '2.1.0'})",
        "c2.send(data={'method': 'update', 'state': {'v': 2, 'w': [1, 2]}, 'buffer_paths': []})",
        "c2.send(data={'method': 'custom', 'content': {}})",
        "c2.send(data={'method': 'update', 'state': {'d': {}}, 'buffer_paths': [['d', 'bytes']]}, buffers=[b'\\x00\\xff'])",
        "c2.send(data={'method': 'update', 'state': {'d': {}}, 'buffer_paths': [['d', 'bytes']]}, buffers=[b'newer'])",
    ]),
    Made("stale-widget-state", ["1"], metadata={
        "widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"old": {}}, "version_major": 2, "version_minor": 0}}
    }),
]

ERRORS = [
    Made("errors", [
        "print('first')", "def f(x):\n    return 1 / x\n\ndef g(x):\n    return f(x)\n", "g(0)", "undefined_name", "x = = 1", "  indented = 1",
        "try:\n    1/0\nexcept ZeroDivisionError as e:\n    raise RuntimeError('outer') from e",
        "try:\n    1/0\nexcept ZeroDivisionError:\n    [][1]",
        "class Own(Exception):\n    def __str__(self): return 'own text\\nsecond line'\nraise Own()",
        "assert False, 'because'", "raise KeyboardInterrupt('by hand')", "raise BaseException('base')",
        "raise Exception", "raise ExceptionGroup('group', [ValueError(1), TypeError(2)])",
        "def r(n): return r(n + 1)\nr(0)", "print('printed before')\n1/0\nprint('never')", "import no_such_module", "exec('1/0')", "print('last')",
        "class Odd(Exception):\n    def __str__(self): raise ValueError('no text')\nraise Odd()",
        "e = ValueError('noted')\ne.add_note('a note')\nraise e",
    ]),
    Made("error-stops", [
        code("print('runs')", outputs=[STALE], execution_count=8),
        code("1/0", outputs=[STALE], execution_count=9),
        code("print('never')", outputs=[STALE], execution_count=10, metadata=dict(STALE_TIMES)),
    ]),
    Made("tags", [
        code("print('skipped')", "skip-execution", outputs=[STALE], execution_count=4),
        code("1/0", "raises-exception"),
        code("print('does not raise')", "raises-exception"),
        code("1/0", "skip-execution", "raises-exception"),
        code("raise SystemExit(3)", "raises-exception"),
        "print('still runs')",
    ]),
    Made("system-exit", ["print('a')", "raise SystemExit('a message')", "print('never')"]),
    Made("system-exit-in-function", ["import sys\ndef f(): sys.exit(2)", "f()", "print('never')"]),
    Made("stdin", ["input('name? ')", "import getpass\ngetpass.getpass()", "import sys\nsys.stdin.read()", "print('end')"]),
    Made("kernel-exits", ["print('before', flush=True)", "import os, time\nprint('partial', flush=True)\ntime.sleep(0.5)\nos._exit(0)", "print('never')"]),
    Made("kernel-killed", ["print('before', flush=True)", "import os, signal, time\nprint('partial', flush=True)\ntime.sleep(0.5)\nos.kill(os.getpid(), signal.SIGKILL)", "print('never')"]),
    Made("kernel-quits", ["print('before')", "quit()", "print('never')"]),
    Made("timeout", ["print('before')", "import time\nprint('started', flush=True)\nwhile True: time.sleep(0.01)", "print('never')"], timeout=2),
]

RUNNING = [
    Made("async", [
        "import asyncio\nawait asyncio.sleep(0.01)\nprint('awaited')",
        "async def f(n):\n    await asyncio.sleep(0.01)\n    return n\nawait asyncio.gather(f(1), f(2))",
        "async def gen():\n    for i in range(3): yield i\n[i async for i in gen()]",
        "task = asyncio.ensure_future(f(5))", "await task",
        code("await asyncio.wait_for(asyncio.sleep(10), 0.01)", "raises-exception"),
        "async def later():\n    await asyncio.sleep(0.05)\n    print('from a task')\nt = asyncio.create_task(later())", "await t",
    ]),
    Made("magics", [
        "%pwd\nNone", "%%time\nx = 1", "%time y = 2", "%%capture captured\nprint('hidden')", "captured.stdout", "%%writefile written.txt\ncontent",
        "!cat written.txt", "files = !echo one; echo two\nfiles", "!echo err >&2", "%%bash\necho out\necho err >&2", code("%%bash\nexit 3", "raises-exception"),
        "%%html\n<b>h</b>", "%%javascript\nlet x = 1", "%%latex\n$x$", "%%markdown\n# m", "%%svg\n<svg xmlns='http://www.w3.org/2000/svg'></svg>",
        "%env OWN=1", "%%script cat\nthrough cat", "%who", "%precision 3\n3.14159", "%history -l 2", "print?", "len??", code("%no_such_magic", "raises-exception"),
        code("%%no_such_cell_magic\n1", "raises-exception"), "%%file other.py\nprint('ran a file')", "%run other.py", "%load_ext autoreload", "%alias own echo aliased", "own",
        "%xmode Minimal", code("1/0", "raises-exception"), "%xmode Context", "%timeit -n1 -r1 -q pass", "%config InteractiveShell.ast_node_interactivity = 'last'",
        "%%prun -q\npass", "%matplotlib --list\nNone", "get_ipython().run_line_magic('pinfo', 'len')", code("!exit 4\n_exit_code"), "%cd -q .\n%dhist",
    ]),
    Made("subprocesses", [
        "import os, subprocess, sys", "os.system('echo from system')", "subprocess.run(['echo', 'from run']).returncode",
        "os.write(1, b'from the file descriptor\\n')\nNone", "os.write(2, b'err from the file descriptor\\n')\nNone",
        "subprocess.run([sys.executable, '-c', 'print(1); import sys; print(2, file=sys.stderr)'], capture_output=True).stdout",
        "subprocess.check_output('echo captured', shell=True)", code("subprocess.run('exit 3', shell=True, check=True)", "raises-exception"),
        "pid = os.fork()\nif pid == 0:\n    print('child', flush=True)\n    os._exit(0)\nos.waitpid(pid, 0)[1]",
        "import multiprocessing as mp\ndef square(n): return n * n\nwith mp.get_context('fork').Pool(2) as pool: print(pool.map(square, range(4)))",
    ]),
    Made("threads", [
        "import threading\nfrom concurrent.futures import ThreadPoolExecutor",
        "t = threading.Thread(target=print, args=('from a thread',))\nt.start(); t.join()",
        "with ThreadPoolExecutor(2) as pool: print(sorted(pool.map(lambda n: n * n, range(5))))",
        "go = threading.Event()\ndef wait():\n    go.wait()\n    print('after its cell')\nt = threading.Thread(target=wait)\nt.start()",
        "go.set(); t.join()\nprint('joined')",
        "t = threading.Thread(target=lambda: display('displayed in a thread'))\nt.start(); t.join()",
        "t = threading.Thread(target=lambda: 1/0)\nt.start(); t.join()",
        "print('end')",
    ]),
    Made("warnings-and-logging", [
        "import warnings, logging, sys", "warnings.warn('careful')", "warnings.warn('old', DeprecationWarning)", "logging.warning('logged')", "logging.info('not shown')",
        "log = logging.getLogger('own')\nlog.addHandler(logging.StreamHandler(sys.stdout))\nlog.setLevel('DEBUG')\nlog.debug('to stdout')",
        "import traceback\ntry:\n    1/0\nexcept ZeroDivisionError:\n    traceback.print_exc()", "'\\d'",
        "import gc\nclass D:\n    def __del__(self): raise ValueError('in del')\nd = D()\ndel d; gc.collect()\nNone",
    ]),
    Made("shell", [
        "get_ipython().run_cell('print(\"nested\")\\n5')", "get_ipython().set_next_input('x = 1')", "In[1], len(Out)", "get_ipython().execution_count",
        "_i", "__", "get_ipython().events.register('post_run_cell', lambda result: print('hook'))", "1", "import sys\nsys.displayhook",
        "sys.ps1 = '>'\n2", "__name__, '__file__' in globals()", "import os\nos.path.basename(os.getcwd()) != ''", "import atexit\natexit.register(print, 'at exit')\nNone",
        "exit", "get_ipython().history_manager.hist_file", "sys.argv[1:2]", "# only a comment", "pass", "\n\n1\n\n",
    ]),
]

DOCUMENTS = [
    Made("cells-that-do-not-run", [
        raw("raw text", metadata={"format": "text/html"}), markdown("text", attachments={"a.png": {"image/png": "iVBORw0KGgo="}}),
        code("", outputs=[STALE], execution_count=3), code("   \n\t", outputs=[STALE], execution_count=4), "1", code("# comment", execution_count=9),
        code("", metadata=dict(STALE_TIMES)), raw(""), markdown(""), code("2", execution_count=50, outputs=[STALE]),
    ]),
    Made("metadata", [
        code("1", metadata={"collapsed": False, "scrolled": "auto", "jupyter": {"source_hidden": True}, "own": {"deep": [1, 2.50, None]}, "slideshow": {"slide_type": "skip"}}),
        code("2", metadata=STALE_TIMES | {"name": "n", "editable": False, "deletable": False}), code("3", "own-tag", "parameters"), markdown("m", metadata={"k": "v"}),
    ], metadata={"own": {"a": 1}, "title": "t", "authors": [{"name": "n"}], "language_info": {"name": "julia", "version": "0"}}),
    Made("unknown-fields", [code("1", own_field={"a": 1}), markdown("m", other=2)], top={"own_top": [1]}),
    Made("version-4-0", ["1", markdown("m"), code("print(2)")], minor=0),
    Made("version-4-2", ["1", "print(2)"], minor=2),
    Made("version-4-4", ["1", "print(2)"], minor=4),
    Made("version-4-5-without-ids", ["1", "print(2)"], with_ids=False),
    Made("duplicate-ids", [code("1", id="same"), code("2", id="same")]),
    Made("no-cells", []),
    Made("no-display-name", ["1"], metadata={"kernelspec": {"name": "python3"}}),
    Made("orig-nbformat", ["1"], metadata={"orig_nbformat": 2, "signature": "s"}),
    Made("source-as-list", [code(["x = 1\n", "x"]), code(["print('one')"]), code([])]),
    Made("future-minor", ["1"], minor=9),
    Made("version-3", [], content=json.dumps({
        "metadata": {"name": "old", "kernelspec": {"name": "python3", "display_name": "Python 3"}}, "nbformat": 3, "nbformat_minor": 0,
        "worksheets": [{"metadata": {}, "cells": [
            {"cell_type": "heading", "level": 2, "metadata": {}, "source": ["Old"]},
            {"cell_type": "code", "collapsed": False, "input": ["print(1)\n", "2"], "language": "python", "metadata": {}, "outputs": [
                {"output_type": "pyout", "prompt_number": 1, "text": ["2"], "metadata": {}}], "prompt_number": 1},
            {"cell_type": "markdown", "metadata": {}, "source": ["m"]}]}],
    }, indent=1)),
]

BROKEN = [
    Made("bad-empty", [], content=""),
    Made("bad-not-json", [], content="{\"cells\": [}"),
    Made("bad-not-an-object", [], content="[1, 2]"),
    Made("bad-no-version", [], content="{\"cells\": [], \"metadata\": {}}"),
    Made("bad-version-5", [], content="{\"cells\": [], \"metadata\": {}, \"nbformat\": 5, \"nbformat_minor\": 0}"),
    Made("bad-no-such-kernel", ["1"], metadata={"kernelspec": {"name": "no-such-kernel", "display_name": "x"}}),
]

MADE = [*OUTPUTS, *DISPLAYS, *WIDGETS, *ERRORS, *RUNNING, *DOCUMENTS, *BROKEN]
