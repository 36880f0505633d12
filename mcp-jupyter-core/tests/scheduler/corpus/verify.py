"""Verifies the corpus by running it, or compares it with what `mcp-jupyter plan` says.

    python verify.py [--only TEXT] [--verbose]
    python verify.py --plan PATH_TO_MCP_JUPYTER [--only TEXT] [--verbose]

Run it with a Python that has IPython, numpy and pandas. A case is a notebook that was executed (`old`), its edited form
(`new`), the edges of `new` and the cells that have to be executed again (`stale`). Without `--plan`, each case is run:

- on the kernel that ran `old`, the cells of `stale` have to give the namespace, the outputs, the files and the state of
  the random number generators that a fresh run of `new` gives; so have the cells of `stale` and `may` together;
- no proper subset of `stale` does, unless `stale_note` says why the rule asks for more than these values need;
- the edges are those seen from the reads, the bindings and the changes of a traced run, unless `edges_note` says why
  the rule sees it otherwise. An edge that stands in `maybe` may be there or not: a mutation through another name.

`may` are cells that need not run, yet may by the rule: after an edit of comments, an import of the same module, or where
nothing can tell that a value keeps no reference.

`entropy` marks a case that draws from an unseeded source: each execution of a cell draws something else, and the state
has to be that of some full run. The exit code is 1 if something disagrees.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import contextlib
import dis
import itertools
import json
import os
import pathlib
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import uuid

HERE = pathlib.Path(__file__).resolve().parent
CASE_SECONDS = 60
LARGEST_BRUTE_FORCE = 8
# What IPython itself binds in the namespace of the user.
SHELL_NAMES = re.compile(r"_+|_i+|_i?\d+|_[iod]h|In|Out|get_ipython|exit|quit|__\w+__")
TIMINGS = re.compile(r"^.*(CPU times|Wall time|per loop|function calls in).*\n?", re.MULTILINE)
INPUT = re.compile(r"<ipython-input-\d+-\w+>")
ADDRESS = re.compile(r"\b0x[0-9a-f]{8,}")
PROMPT = re.compile(r"^Out\[\d+\]: ?", re.MULTILINE)
ENVIRONMENT_NOISE = {"COLUMNS", "LINES", "PWD", "OLDPWD", "_"}
CASE_KEYS = {"name", "note", "old", "new", "edges", "stale", "maybe", "may", "edges_note", "stale_note", "entropy"}


def load_cases(only):
    cases = []
    for path in sorted(HERE.glob("*.json")):
        for case in json.loads(path.read_text()):
            case["category"] = path.stem
            if only in f"{path.stem}/{case['name']}":
                cases.append(case)
    return cases


# -- one kernel -------------------------------------------------------------------------------------------------------


class Namespace(dict):
    """A namespace that tells `events` what is read and bound."""

    events = None

    def tell(self, kind, name):
        if self.events is not None and isinstance(name, str) and not SHELL_NAMES.fullmatch(name):
            self.events.append((kind, name, id(dict.get(self, name))))

    def __getitem__(self, name):
        self.tell("read" if dict.__contains__(self, name) else "miss", name)
        return dict.__getitem__(self, name)

    def get(self, name, default=None):
        self.tell("read" if dict.__contains__(self, name) else "miss", name)
        return dict.get(self, name, default)

    def __contains__(self, name):
        self.tell("read" if dict.__contains__(self, name) else "miss", name)
        return dict.__contains__(self, name)

    def __setitem__(self, name, value):
        dict.__setitem__(self, name, value)
        self.tell("bind", name)

    def __delitem__(self, name):
        self.tell("read" if dict.__contains__(self, name) else "miss", name)
        dict.__delitem__(self, name)
        self.tell("bind", name)

    def update(self, *mappings, **names):
        for name, value in dict(*mappings, **names).items():
            self[name] = value


class Kernel:
    """IPython in this process, in the present folder."""

    def __init__(self, entropy):
        import IPython.core.interactiveshell
        import numpy
        import traitlets.config

        config = traitlets.config.Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "nocolor"
        config.InteractiveShell.xmode = "Minimal"
        self.namespace = Namespace()
        self.shell = IPython.core.interactiveshell.InteractiveShell(config=config, user_ns=self.namespace)
        self.shell.atexit_operations = lambda: None
        self.transform = self.shell.transform_cell
        self.shell.transform_cell = self.transform_unseen
        self.own = set(self.namespace)
        self.outputs = {}
        self.executions = {}
        self.failed = None
        self.entropy = entropy
        random.seed(0)
        numpy.random.seed(0)

    def transform_unseen(self, source):
        """Looking for automagic reads the namespace; the notebook does not."""
        events, self.namespace.events = self.namespace.events, None
        try:
            return self.transform(source)
        finally:
            self.namespace.events = events

    def execute(self, cell):
        """Executes one cell, and says whether it succeeded."""
        count = self.executions.get(cell["id"], 0)
        self.executions[cell["id"]] = count + 1
        if self.entropy:
            draw_anew(f"{cell['id']}:{cell.get('draw', count)}")
        written = Stream()
        with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
            result = self.shell.run_cell(cell["source"], store_history=True)
        failure = result.error_before_exec or result.error_in_exec
        text = ADDRESS.sub("0x", PROMPT.sub("", TIMINGS.sub("", written.getvalue())))
        text = INPUT.sub("<ipython-input>", text)
        # A file of an earlier run is there in a kernel that goes on, and not in a fresh one.
        text = text.replace("Overwriting ", "Writing ")
        self.outputs[cell["id"]] = type(failure).__name__ if failure else text
        if failure:
            self.failed = cell["id"]
            self.failure = text
        return not failure

    def user_names(self):
        return {name for name in dict.keys(self.namespace) if name not in self.own and not SHELL_NAMES.fullmatch(name)}

    def delete(self, names):
        for name in names:
            dict.pop(self.namespace, name, None)

    def state(self, exempt):
        """All that a full run would give as well."""
        from structure import describe_namespace

        world = world_state()
        if self.entropy:
            world = {name: value for name, value in world.items() if not name.startswith("<random")}
        return {
            "names": describe_namespace(self.namespace, self.user_names() - exempt),
            "world": world,
            "outputs": dict(self.outputs),
            "failed": self.failed,
        }


class Stream:
    """Where a cell's text goes: a text file without a descriptor."""

    encoding = "utf-8"
    errors = "strict"

    def __init__(self):
        self.parts = []

    def write(self, text):
        self.parts.append(text)
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return False

    def getvalue(self):
        return "".join(self.parts)


def draw_anew(seed):
    """Makes the unseeded sources give what belongs to one execution of one cell."""
    import numpy

    source = random.Random(seed)
    random.seed(seed)
    numpy.random.seed(source.randrange(2**32))
    moment = source.random() * 1e9
    time.time = lambda: moment
    uuid.uuid4 = lambda: uuid.UUID(int=source.getrandbits(128), version=4)
    os.urandom = source.randbytes


def world_state():
    """What lives outside of the namespace, by the pseudo-name that stands for it."""
    import numpy

    state = {
        "<random>": str(hash(random.getstate())),
        "<random:numpy>": str(hash(repr(numpy.random.get_state()))),
        "<cwd>": os.getcwd(),
        "<options:numpy>": repr(sorted(numpy.get_printoptions().items(), key=lambda item: item[0])),
        "<options:decimal>": repr(__import__("decimal").getcontext()),
    }
    if "pandas" in sys.modules:
        from pandas._config import config

        state["<options:pandas>"] = repr(config._global_config)
    for name, value in os.environ.items():
        if name not in ENVIRONMENT_NOISE:
            state[f"<environ:{name}>"] = value
    for path in sorted(pathlib.Path(FOLDER).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            state[f"<file:{path.relative_to(FOLDER)}>"] = path.read_bytes().hex()
    return state


FOLDER = ""


# -- what a run does ---------------------------------------------------------------------------------------------------


def traced_run(kernel, cells):
    """Per cell, the names that it reads before it binds them, misses, binds, and changes without binding them."""
    from structure import fingerprint

    trace = []
    opened = []
    sys.addaudithook(lambda event, arguments: opened.append((event, arguments)) if event == "open" else None)
    seeded = watch_seeds()
    watch_class_bodies(kernel.namespace)
    watch_interpolation(kernel.namespace)
    for cell in cells:
        before = {name: dict.get(kernel.namespace, name) for name in kernel.user_names()}
        prints = {name: fingerprint(value) for name, value in before.items()}
        world = world_state()
        events = kernel.namespace.events = []
        opened.clear()
        seeded.clear()
        succeeded = kernel.execute(cell)
        kernel.namespace.events = None
        files = [*opened]
        bound, read, missed = set(), set(), set()
        for kind, name, identity in events:
            fresh = name in bound or (name in before and id(before[name]) != identity)
            if kind == "read" and not fresh:
                read.add(name)
            elif kind == "miss":
                missed.add(name)
            elif kind == "bind":
                bound.add(name)
        names = kernel.user_names()
        bound |= {name for name in names | set(before) if (name in names) != (name in before)}
        bound |= {name for name in names & set(before) if dict.get(kernel.namespace, name) is not before[name]}
        now = {name: fingerprint(dict.get(kernel.namespace, name)) for name in names & set(before)}
        changed = {name for name, print_ in now.items() if print_ != prints[name]}
        after = world_state()
        moved = {name for name in {**world, **after} if world.get(name) != after.get(name)}
        if kernel.entropy:
            moved = {name for name in moved if not name.startswith("<random")}
            seeded.clear()
        bound |= seeded
        read |= {name for name in moved - seeded if name.startswith("<random")}
        for _, (path, mode, flags) in files:
            name = file_name(path)
            if name is None:
                continue
            if flags & (os.O_WRONLY | os.O_RDWR) and not flags & os.O_TRUNC:
                read.add(name)
            elif not flags & (os.O_WRONLY | os.O_RDWR) and name not in moved:
                read.add(name)
        read &= names | set(before) | moved | set(world)
        trace.append({"read": read, "missed": missed, "bound": bound, "changed": (changed - bound) | moved})
        if not succeeded:
            break
    return trace


def file_name(path):
    if not isinstance(path, (str, bytes, os.PathLike)):
        return None
    path = os.path.abspath(os.fsdecode(path))
    inside = path.startswith(FOLDER + os.sep)
    return f"<file:{os.path.relpath(path, FOLDER)}>" if inside and "__pycache__" not in path else None


def watch_seeds():
    """Notes what sets the state of a random number generator whatever it was."""
    import numpy

    seeded = set()
    for module, name in [(random, "<random>"), (numpy.random, "<random:numpy>")]:

        def seed(*arguments, original=module.seed, name=name, **keywords):
            seeded.add(name)
            return original(*arguments, **keywords)

        module.seed = seed
    return seeded


def watch_class_bodies(namespace):
    """A class body reads globals past the namespace's methods: tells of them before the body runs."""
    build = builtins.__build_class__

    def watched(body, *arguments, **keywords):
        stored = set()
        if body.__globals__ is namespace:
            for step in dis.get_instructions(body):
                if step.opname == "STORE_NAME":
                    stored.add(step.argval)
                elif step.opname == "LOAD_NAME" and step.argval not in stored:
                    if dict.__contains__(namespace, step.argval):
                        namespace.tell("read", step.argval)
        return build(body, *arguments, **keywords)

    builtins.__build_class__ = watched


def watch_interpolation(namespace):
    """A shell line is filled in from a copy of the namespace: tells of what its expressions read."""
    import IPython.utils.text

    def watched(expression, names):
        for name in compile(expression, "", "eval").co_names:
            namespace.tell("read", name)
        return eval(expression, names)

    IPython.utils.text.eval = watched


def seen_edges(trace):
    """The pairs from the nearest writer: those by a read, and those only by a change through another name."""
    edges, aliased = {}, {}
    for reader, cell in enumerate(trace):
        for name in cell["read"] | cell["changed"]:
            writers = [at for at in range(reader) if name in trace[at]["bound"] | trace[at]["changed"]]
            if writers:
                pairs = edges if name in cell["read"] else aliased
                pairs.setdefault((writers[-1], reader), set()).add(name)
    return edges, {pair: names for pair, names in aliased.items() if pair not in edges}


def loop_names(sources):
    """Names that are only ever bound as the target of a loop at the top level of a cell."""
    from IPython.core.inputtransformer2 import TransformerManager

    loops, others = set(), set()

    def visit(node, target_of_loop=False):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            others.add(node.name)
            return
        if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            return
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            (loops if target_of_loop else others).add(node.id)
        for field, value in ast.iter_fields(node):
            of_loop = target_of_loop or (isinstance(node, (ast.For, ast.AsyncFor)) and field == "target")
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child, of_loop)

    for source in sources:
        body = source
        if source.startswith(("%%time\n", "%%capture")):
            body = source.split("\n", 1)[1]
        try:
            visit(ast.parse(TransformerManager().transform_cell(body)))
        except SyntaxError:
            pass
    return loops - others


# -- processes ---------------------------------------------------------------------------------------------------------


def apart(work):
    """What `work` returns in a process of its own."""
    reading, writing = os.pipe()
    drawn = random.getstate()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            # Python seeds anew after a fork.
            random.setstate(drawn)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(CASE_SECONDS)
            answer = ("answer", work())
        except BaseException:
            answer = ("failure", traceback.format_exc())
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    kind, answer = pickle.loads(content) if content else ("failure", "the process ended early")
    if kind == "failure":
        raise RuntimeError(answer)
    return answer


def enter(folder, content=None):
    """Enters the folder, empty or with the given content: all runs of a case see the same path."""
    global FOLDER
    FOLDER = str(folder)
    os.chdir("/")
    shutil.rmtree(folder, ignore_errors=True)
    if content is None:
        folder.mkdir()
    else:
        shutil.copytree(content, folder)
    os.chdir(folder)


def fresh_run(case, folder, draws=None):
    """A full run of `new`: its trace and its kernel."""
    enter(folder)
    kernel = Kernel(case.get("entropy", False))
    cells = [{**cell, "draw": (draws or {}).get(cell["id"], 0)} for cell in case["new"]]
    return traced_run(kernel, cells), kernel


class Smart:
    """The kernel that ran `old`, and what has to go before cells of `new` run on it."""

    def __init__(self, case, folder, new_trace):
        enter(folder)
        self.case = case
        self.folder = folder
        self.kernel = Kernel(case.get("entropy", False))
        old_trace = traced_run(self.kernel, case["old"])
        if self.kernel.failed is not None:
            raise RuntimeError(f"old fails in {self.kernel.failed}: {self.kernel.failure}")
        written = set().union(*(cell["bound"] for cell in new_trace))
        self.left = set().union(*(cell["bound"] for cell in old_trace)) - written
        self.missed = [cell["missed"] for cell in new_trace]
        here = os.getcwd()
        self.snapshot = pathlib.Path(f"{folder}.snapshot")
        shutil.rmtree(self.snapshot, ignore_errors=True)
        shutil.copytree(folder, self.snapshot)
        self.inside = os.path.relpath(here, folder)

    def after(self, stale, exempt):
        """The state after the deletions and the cells of `stale`, in notebook order."""

        def work():
            enter(self.folder, self.snapshot)
            os.chdir(self.inside)
            cells = self.case["new"]
            self.kernel.delete(self.left)
            self.kernel.shell.magics_manager.registry["ScriptMagics"].event_loop = None
            for at in sorted(stale):
                if at < len(self.missed):
                    self.kernel.delete(self.missed[at] & self.kernel.user_names())
                if not self.kernel.execute(cells[at]):
                    break
            kept = {cell["id"] for cell in cells}
            self.kernel.outputs = {name: text for name, text in self.kernel.outputs.items() if name in kept}
            return self.kernel.state(exempt), {name: count - 1 for name, count in self.kernel.executions.items()}

        return apart(work)


def difference(expected, found, draws_differ=False):
    """The first difference between two states, in words; None if there is none."""
    if expected["failed"] != found["failed"]:
        return f"fails in {found['failed']}, not in {expected['failed']}"
    for at, text in expected["outputs"].items():
        if found["outputs"].get(at) != text:
            return f"output of {at}: {found['outputs'].get(at)!r}, not {text!r}"
    for name in sorted({*expected["names"], *found["names"]}):
        if expected["names"].get(name) != found["names"].get(name):
            return f"{name}: {found['names'].get(name)}, not {expected['names'].get(name)}"
    for name, value in expected["world"].items():
        if found["world"].get(name) != value:
            return f"{name} differs"
    for name in found["world"]:
        if name not in expected["world"] and not name.startswith("<file:"):
            return f"{name} is left"
    return None


def verify(case, folder):
    """What is wrong with a case, and how its sets relate."""
    new, stale = case["new"], case["stale"]
    trace = apart(lambda: fresh_run(case, folder)[0])
    read = set().union(*(cell["read"] for cell in trace))
    loops = loop_names([cell["source"] for cell in case["old"] + new])
    exempt = loops - read

    def expected(draws):
        return apart(lambda: fresh_run(case, folder, draws)[1].state(exempt))

    def sets():
        smart = Smart(case, folder, trace)
        reference = None if case.get("entropy") else expected(None)

        def wrong(chosen):
            found, draws = smart.after(chosen, exempt)
            return difference(reference or expected(draws), found)

        whole = wrong(stale)
        wider = wrong({*stale, *case.get("may", [])}) if case.get("may") else None
        smaller = []
        if len(stale) <= LARGEST_BRUTE_FORCE:
            for size in range(len(stale)):
                for chosen in itertools.combinations(stale, size):
                    if wrong(chosen) is None:
                        smaller.append(chosen)
                if smaller:
                    break
        return whole, wider, smaller

    whole, wider, smaller = apart(sets)
    problems = []
    if whole:
        problems.append(f"stale {stale} is not enough: {whole}")
    if wider:
        problems.append(f"stale with may is wrong: {wider}")
    if smaller and "stale_note" not in case:
        problems.append(f"stale {stale} could be {list(smaller[0])}")
    if not smaller and not whole and "stale_note" in case:
        problems.append("stale_note, but nothing smaller does")
    return problems + edge_problems(case, trace), stale_by_descent(case)


def edge_problems(case, trace):
    seen, aliased = seen_edges(trace)
    written = {(start, end): names for start, end, names in case["edges"]}
    maybe = {(start, end) for start, end, _ in case.get("maybe", [])}
    problems = []
    missing = {pair: sorted(names) for pair, names in seen.items() if pair not in written and pair not in maybe}
    extra = {pair: names for pair, names in written.items() if pair not in seen}
    silent = {pair: sorted(names) for pair, names in aliased.items() if pair not in written and pair not in maybe}
    if "edges_note" in case:
        return [] if missing or extra or silent else ["edges_note, but the edges are those seen"]
    if missing:
        problems.append(f"edges lack {missing}")
    if extra:
        problems.append(f"edges not seen {extra}")
    if silent:
        problems.append(f"edges through another name {silent}")
    for pair in set(seen) & set(written):
        if seen[pair] != set(written[pair]):
            problems.append(f"names of {pair}: seen {sorted(seen[pair])}, written {written[pair]}")
    return problems


def stale_by_descent(case):
    """Whether the changed cells and their descendants, by these edges, are enough."""
    old = {cell["id"]: cell["source"] for cell in case["old"]}
    reached = {at for at, cell in enumerate(case["new"]) if old.get(cell["id"]) != cell["source"]}
    for start, end, _ in sorted(case["edges"], key=lambda edge: edge[1]):
        if start in reached:
            reached.add(end)
    return set(case["stale"]) <= reached


def malformed(case):
    """What is wrong with the form of a case."""
    problems = [f"unknown key {key}" for key in case if key not in CASE_KEYS | {"category"}]
    for side in ("old", "new"):
        names = [cell["id"] for cell in case[side]]
        if len(set(names)) != len(names):
            problems.append(f"{side} repeats an id")
    count = len(case["new"])
    if case["stale"] != sorted(set(case["stale"])) or not set(case["stale"]) <= set(range(count)):
        problems.append("stale is not a sorted list of cells")
    if set(case.get("may", [])) & set(case["stale"]):
        problems.append("may repeats stale")
    pairs = [(start, end) for start, end, _ in case["edges"] + case.get("maybe", [])]
    if len(set(pairs)) != len(pairs) or not all(0 <= start < end < count for start, end in pairs):
        problems.append("edges are not unique pairs that go down")
    return problems


def verify_all(cases, verbose):
    import numpy
    import pandas

    sys.path.insert(0, str(HERE))
    import structure

    sys.dont_write_bytecode = True
    sys.path.insert(0, "")
    os.environ.update(IPYTHONDIR=tempfile.mkdtemp(), MPLBACKEND="Agg")
    home = os.getcwd()
    wrong = 0
    descent = 0
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            title = f"{case['category']}/{case['name']}"
            try:
                problems = malformed(case)
                if not problems:
                    problems, enough = apart(lambda case=case: verify(case, pathlib.Path(folder) / "work"))
                    descent += not enough
            except RuntimeError as error:
                problems = [str(error)]
            wrong += bool(problems)
            for problem in problems:
                print(f"{title}: {problem}")
            if verbose and not problems:
                print(f"{title}: ok")
    os.chdir(home)
    shutil.rmtree(os.environ["IPYTHONDIR"], ignore_errors=True)
    del numpy, pandas, structure
    repeated = {title for title in (case["name"] for case in cases) if [c["name"] for c in cases].count(title) > 1}
    for name in sorted(repeated):
        print(f"{name}: the name is used twice")
    print(f"{len(cases)} cases, {wrong} wrong; changed cells and their descendants are not enough in {descent}")
    return 1 if wrong or repeated else 0


# -- a planner ---------------------------------------------------------------------------------------------------------


def notebook(cells):
    return {
        "cells": [
            {
                "cell_type": "code", "execution_count": None, "id": cell["id"], "metadata": {}, "outputs": [],
                "source": cell["source"].splitlines(keepends=True),
            }
            for cell in cells
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }  # fmt: skip


def planned(binary, case, folder):
    for side in ("old", "new"):
        (folder / f"{side}.ipynb").write_text(json.dumps(notebook(case[side])))
    command = [binary, "plan", "new.ipynb", "--since", "old.ipynb", "--format", "json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=CASE_SECONDS)
    if done.returncode != 0:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def check_plans(cases, binary, verbose):
    unsound = exact_stale = strict_stale = exact_edges = failed = 0
    binary = str(pathlib.Path(binary).resolve())
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            title = f"{case['category']}/{case['name']}"
            try:
                plan = planned(binary, case, pathlib.Path(folder))
            except (RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"{title}: {error}")
                continue
            stale = {entry["index"] for entry in plan["stale"]}
            lacking = set(case["stale"]) - stale
            beyond = stale - set(case["stale"]) - set(case.get("may", []))
            edges = {(edge["from"], edge["to"]) for edge in plan["edges"]}
            written = {(start, end) for start, end, _ in case["edges"]}
            maybe = {(start, end) for start, end, _ in case.get("maybe", [])}
            unsound += bool(lacking)
            exact_stale += not lacking and not beyond
            strict_stale += stale == set(case["stale"])
            exact_edges += written <= edges <= written | maybe
            if lacking:
                print(f"{title}: UNSOUND, stale lacks {sorted(lacking)} (has {sorted(stale)})")
            if beyond:
                print(f"{title}: stale has {sorted(beyond)} beyond {case['stale']}")
            if written - edges:
                print(f"{title}: edges lack {sorted(written - edges)}")
            if edges - written - maybe:
                names = {(edge["from"], edge["to"]): edge["names"] for edge in plan["edges"]}
                print(f"{title}: edges beyond { {pair: names[pair] for pair in sorted(edges - written - maybe)} }")
            if verbose:
                for at, cell in enumerate(case["new"]):
                    print(f"    [{at}] {cell['source']!r}")
    count = max(len(cases), 1)
    print(
        f"{len(cases)} cases: {failed} without a plan, {unsound} unsound, "
        f"stale exact in {100 * exact_stale / count:.1f} % ({100 * strict_stale / count:.1f} % without what may run), "
        f"edges exact in {100 * exact_edges / count:.1f} %"
    )
    return 1 if unsound or failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--plan", metavar="PATH_TO_MCP_JUPYTER", help="compare with the plans of this program")
    parser.add_argument("--only", default="", metavar="TEXT", help="the cases whose category/name contains TEXT")
    parser.add_argument("--verbose", action="store_true", help="name the cases that agree too")
    arguments = parser.parse_args()
    cases = load_cases(arguments.only)
    if arguments.plan:
        return check_plans(cases, arguments.plan, arguments.verbose)
    return verify_all(cases, arguments.verbose)


if __name__ == "__main__":
    sys.exit(main())
