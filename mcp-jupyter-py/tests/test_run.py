"""run(), on real kernels."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import mcp_jupyter
import nbformat
import numpy
import pytest

WAIT_FOR_EVER = "print('begun', flush=True)\nimport time\nwhile True: time.sleep(1)"


def texts(result):
    return [output.text for output in result.outputs]


def test_a_dict_a_node_and_a_path_run_alike(notebook, tmp_path):
    node = notebook("x = 6", "print(x * 7)")
    path = tmp_path / "in.ipynb"
    nbformat.write(node, path)
    before = path.read_bytes()
    for given in (node, json.loads(nbformat.writes(node)), path, str(path)):
        result = mcp_jupyter.run(given)
        assert (result.ok, texts(result)) == (True, ["42\n"])
    assert path.read_bytes() == before
    assert "outputs" not in str(node.metadata) and node.cells[1].outputs == []


def test_the_result_is_saved_and_told(notebook, tmp_path):
    output = tmp_path / "new" / "out.ipynb"
    result = mcp_jupyter.run(notebook("a = 1", "a + 1", "print('x\\ny')"), output)
    saved = nbformat.read(output, as_version=4)
    nbformat.validate(saved)
    assert result.to_nbformat() == saved == result.to_dict()
    assert result.to_bytes() == output.read_bytes()
    assert result.output == str(output)
    assert [cell.status for cell in result.cells] == ["ok", "ok", "ok"]
    assert [cell.id for cell in result.cells] == ["cell-0", "cell-1", "cell-2"]
    assert all(cell.seconds > 0 for cell in result.cells)
    assert texts(result) == ["2", "x\ny\n"]
    assert result.outputs[0]._repr_mimebundle_() == {"text/plain": "2"}
    assert repr(result).startswith("<RunResult ok: 3 of 3 cells")
    frame = result.to_pandas()
    assert list(frame["status"]) == ["ok"] * 3
    assert frame.loc[1, "execution_count"] == 2


def test_the_table_shows_sources_as_text(notebook):
    html = mcp_jupyter.run(notebook("x = '<b>'"))._repr_html_()
    assert "x = &#x27;&lt;b&gt;&#x27;" in html and "<b>" not in html


def test_this_interpreter_is_the_kernel(notebook, tmp_path, monkeypatch):
    """Whatever kernelspec of the name python3 others have installed."""
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({"argv": ["/bin/false"], "display_name": "no", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    named = {"kernelspec": {"name": "python3", "display_name": "P", "language": "python"}}
    elsewhere = {"kernelspec": {"name": "of-a-colleague", "display_name": "P", "language": "python"}}
    for metadata in ({}, named, elsewhere):
        result = mcp_jupyter.run(notebook("import sys; print(sys.executable)", **metadata))
        assert texts(result) == [sys.executable + "\n"]


def test_a_kernel_of_another_language_is_what_the_notebook_names(notebook):
    bash = {"kernelspec": {"name": "bash", "display_name": "Bash", "language": "bash"}}
    assert texts(mcp_jupyter.run(notebook("echo $((6 * 7))", **bash))) == ["42\n"]
    unknown = {"kernelspec": {"name": "cobol", "display_name": "COBOL", "language": "cobol"}}
    with pytest.raises(mcp_jupyter.NotFoundError, match='"cobol" .*python3'):
        mcp_jupyter.run(notebook("x", **unknown))


def test_a_kernel_or_an_interpreter_can_be_named(notebook):
    assert texts(mcp_jupyter.run(notebook("print(1)"), python=sys.executable)) == ["1\n"]
    with pytest.raises(mcp_jupyter.NotFoundError, match='no kernelspec named "no-such"'):
        mcp_jupyter.run(notebook("1"), kernel="no-such")
    with pytest.raises(mcp_jupyter.KernelStartError, match="/no/such/python"):
        mcp_jupyter.run(notebook("1"), python="/no/such/python")


def test_parameters_are_values(notebook):
    values = {"a": 1, "b": [1.5, None, True], "c": {"d": "ü"}, "e": numpy.int64(7), "f": date(2024, 2, 3), "g": Path("p")}
    result = mcp_jupyter.run(notebook(("a = 0", ["parameters"]), "print((a, b, c, e, f, g))"), parameters=values)
    assert texts(result) == ["(1, [1.5, None, True], {'d': 'ü'}, 7, '2024-02-03', 'p')\n"]
    assert result.cells[1].id == "injected-parameters"
    assert "the parameter `b` is not set in the cell tagged `parameters`" in result.warnings


def test_the_folder_and_the_environment_are_those_asked_for(notebook, tmp_path):
    source = "import os; print(os.getcwd(), os.environ.get('COLOUR'))"
    path = tmp_path / "in.ipynb"
    nbformat.write(notebook(source), path)
    assert texts(mcp_jupyter.run(path, env={"COLOUR": "red"})) == [f"{tmp_path} red\n"]
    assert texts(mcp_jupyter.run(path, cwd=tmp_path.parent)) == [f"{tmp_path.parent} None\n"]
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="no such folder"):
        mcp_jupyter.run(path, cwd=tmp_path / "missing")


def test_a_failing_cell_raises_and_what_was_done_is_kept(notebook, tmp_path):
    output = tmp_path / "out.ipynb"
    with pytest.raises(mcp_jupyter.CellExecutionError, match=r"cell #1 \(id cell-1\), In\[2\], raised ValueError: no") as caught:
        mcp_jupyter.run(notebook("print(1)", "raise ValueError('no')", "print(3)"), output)
    error = caught.value
    assert (error.ename, error.evalue, error.cell_id, error.cell_index) == ("ValueError", "no", "cell-1", 1)
    assert (error.exec_count, error.source) == (2, "raise ValueError('no')")
    assert "ValueError" in "".join(error.traceback)
    assert [cell.status for cell in error.result.cells] == ["ok", "error", None]
    assert error.result.to_bytes() == output.read_bytes()
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.ename, copy.result.status) == (str(error), "ValueError", "cell_failed")


def test_a_failure_can_be_a_value(notebook):
    result = mcp_jupyter.run(notebook("1 / 0", "print(2)"), check=False)
    assert (result.ok, result.status, texts(result)[1:]) == (False, "cell_failed", [])
    result = mcp_jupyter.run(notebook("1 / 0", "print(2)"), on_error="continue")
    assert (result.ok, texts(result)[1:]) == (True, ["2\n"])


def test_limits_of_time_and_dead_kernels_are_errors(notebook):
    with pytest.raises(mcp_jupyter.TimedOutError, match=r"cell #0 .* the limit of 0.5 s") as caught:
        mcp_jupyter.run(notebook(WAIT_FOR_EVER), timeout=0.5)
    assert texts(caught.value.result)[0] == "begun\n"
    with pytest.raises(mcp_jupyter.KernelDiedError, match="signal 9 .*memory"):
        mcp_jupyter.run(notebook("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"save": "sometimes"}, 'save="sometimes"'),
        ({"timeout": -1}, "timeout=-1: expected a time above 0"),
        ({"on_error": "cry"}, 'on_error="cry"'),
        ({"targets": "nowhere"}, "nowhere"),
    ],
)
def test_what_makes_no_sense_is_refused(notebook, options, said):
    with pytest.raises(mcp_jupyter.InvalidRequestError, match=said):
        mcp_jupyter.run(notebook("1"), **options)


def test_what_is_no_notebook_is_refused(tmp_path):
    with pytest.raises(mcp_jupyter.NotFoundError, match=r"missing\.ipynb"):
        mcp_jupyter.run(tmp_path / "missing.ipynb")
    (tmp_path / "bad.ipynb").write_text("{")
    with pytest.raises(mcp_jupyter.CorruptError):
        mcp_jupyter.run(tmp_path / "bad.ipynb")
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="ftp://host/out.ipynb: files of this machine"):
        mcp_jupyter.run(tmp_path / "bad.ipynb", "ftp://host/out.ipynb")
    with pytest.raises(TypeError, match="expected a path, a dict or a NotebookNode, and got int"):
        mcp_jupyter.run(1)


def test_part_of_a_notebook(notebook):
    cells = notebook("x = 1", "y = 2", "print(x)")
    assert [cell.status for cell in mcp_jupyter.run(cells, targets="cell-2").cells] == ["ok", None, "ok"]
    assert [cell.status for cell in mcp_jupyter.run(cells, first="#1", last="cell-1").cells] == [None, "ok", None]


def test_events_come_in_order(notebook):
    events = []
    mcp_jupyter.run(notebook("print('a')", "2"), on_event=events.append)
    kinds = [event["event"] for event in events]
    assert kinds[:2] == ["run_started", "kernel_started"]
    assert kinds[-1] == "run_finished"
    assert kinds[2:-1] == ["cell_started", "output", "cell_finished"] * 2
    assert events[3]["output"] == {"output_type": "stream", "name": "stdout", "text": "a\n"}
    assert events[4]["cell"] == {"id": "cell-0", "index": 0}


def test_what_a_listener_raises_ends_the_run(notebook, tmp_path):
    def listen(event):
        if event["event"] == "output":
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        mcp_jupyter.run(notebook(WAIT_FOR_EVER), tmp_path / "out.ipynb", on_event=listen)
    assert nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[0].outputs[0].text == "begun\n"


def test_every_one_of_many_outputs_is_kept(notebook):
    result = mcp_jupyter.run(notebook("for i in range(20_000): print(i)"), on_event=lambda event: None)
    assert "".join(texts(result)).split() == [str(i) for i in range(20_000)]


def test_runs_in_many_threads_do_not_wait_for_each_other(notebook, tmp_path):
    """Every kernel waits until all have begun."""
    begin = "import os, time, pathlib; pathlib.Path(f'{os.getpid()}').touch()"
    wait = "while len(list(pathlib.Path().iterdir())) < 4: time.sleep(0.01)"
    results = []

    def work():
        results.append(mcp_jupyter.run(notebook(begin, wait), cwd=tmp_path, timeout=60))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.ok for result in results] == [True] * 4


INTERRUPTED = """
import os, signal, sys, threading
import mcp_jupyter, nbformat
def listen(event):
    if event["event"] == "output" and event["cell"]["index"] == 1:
        print("begun", flush=True)
try:
    mcp_jupyter.run(sys.argv[1], sys.argv[2], on_event=listen)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_ctrl_c_ends_the_run_and_the_kernel(notebook, tmp_path):
    source, output = tmp_path / "in.ipynb", tmp_path / "out.ipynb"
    nbformat.write(notebook("import os; print(os.getpid(), flush=True)", WAIT_FOR_EVER), source)
    command = [sys.executable, "-I", "-c", INTERRUPTED, source, output]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = iter(process.stdout.readline, "")
        assert "begun\n" in lines
        os.kill(process.pid, signal.SIGINT)
        assert "interrupted\n" in lines
    assert process.returncode == 0
    cells = nbformat.read(output, as_version=4).cells
    assert cells[1].outputs[0].text == "begun\n"
    assert not is_running(cells[0].outputs[0].text.strip())


def test_a_run_works_in_a_fork_of_a_process_that_has_run(notebook):
    mcp_jupyter.run(notebook("1"))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, texts(mcp_jupyter.run(notebook("print(42)")))[0].encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        assert answer.read() == "42\n"
    os.waitpid(child, 0)


def test_an_unknown_option_is_named(notebook):
    with pytest.raises(TypeError, match="paramters"):
        mcp_jupyter.run(notebook("1"), paramters={})
