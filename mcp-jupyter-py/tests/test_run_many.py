"""run_many(), on threads and on processes."""

import fcntl
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from uuid import uuid4

import mcp_jupyter
import nbformat
import pytest
from mcp_jupyter import _run

SQUARE = [("x = 0", ["parameters"]), "print(x * x)"]


@pytest.fixture
def square(notebook, tmp_path):
    path = tmp_path / "square.ipynb"
    nbformat.write(notebook(*SQUARE), path)
    return path


def runs_of(path, values):
    return [(path, {"x": x}, path.parent / "out" / f"{x}.ipynb") for x in values]


def printed(outcomes):
    return sorted(outcome.result.outputs[0].text for outcome in outcomes)


def test_all_are_run_and_saved(square):
    outcomes = list(mcp_jupyter.run_many(runs_of(square, range(4)), workers=2))
    assert printed(outcomes) == ["0\n", "1\n", "4\n", "9\n"]
    for outcome in outcomes:
        assert (outcome.ok, outcome.attempts, outcome.resumed) == (True, 1, False)
        assert outcome.notebook == str(square)
        saved = nbformat.read(outcome.output, as_version=4)
        assert saved.cells[2].outputs[0].text == f"{outcome.parameters['x'] ** 2}\n"


def test_failures_are_values_with_the_notebook_named(notebook, square, tmp_path):
    runs = [
        (notebook("1 / 0"), None, None),
        (square, None, None),
        (tmp_path / "missing.ipynb", None, None),
    ]
    outcomes = {outcome.notebook: outcome for outcome in mcp_jupyter.run_many(runs, workers=2)}
    assert outcomes["<dict>"].error.ename == "ZeroDivisionError"
    assert outcomes["<dict>"].result.status == "cell_failed"
    assert outcomes[str(square)].ok
    assert isinstance(outcomes[str(tmp_path / "missing.ipynb")].error, mcp_jupyter.NotFoundError)
    with pytest.raises(mcp_jupyter.CellExecutionError):
        outcomes["<dict>"].raise_for_status()


def test_results_come_as_they_end(notebook, tmp_path):
    """The first ends only when the second has been given to us."""
    waits = notebook("import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)")
    runs = [(waits, None, None), (notebook("print(2)"), None, None)]
    outcomes = mcp_jupyter.run_many(runs, workers=2, cwd=tmp_path, timeout=60)
    assert next(outcomes).result.outputs[0].text == "2\n"
    (tmp_path / "go").touch()
    assert next(outcomes).ok


def test_the_runs_may_have_no_end(square):
    def endless():
        x = 0
        while True:
            yield square, {"x": x}, None
            x += 1

    outcomes = mcp_jupyter.run_many(endless(), workers=2)
    assert len(printed([next(outcomes) for _ in range(3)])) == 3
    outcomes.close()


def test_what_is_not_the_notebooks_fault_is_tried_again(notebook, tmp_path):
    dies_once = "import os\nif not os.path.exists('been'): open('been', 'w').close(); os._exit(1)\nprint('there')"
    [outcome] = mcp_jupyter.run_many([(notebook(dies_once), None, None)], retries=2, cwd=tmp_path)
    assert (outcome.ok, outcome.attempts) == (True, 2)
    [outcome] = mcp_jupyter.run_many([(notebook("1 / 0"), None, None)], retries=2)
    assert (outcome.error.ename, outcome.attempts) == ("ZeroDivisionError", 1)
    [outcome] = mcp_jupyter.run_many(
        [(notebook("1 / 0"), None, None)], retries=1, retry_on=(mcp_jupyter.CellExecutionError,)
    )
    assert outcome.attempts == 2


def test_two_runs_never_write_the_same_file(square, tmp_path):
    runs = [(square, {"x": 1}, tmp_path / "same.ipynb"), (square, {"x": 2}, tmp_path / "same.ipynb")]
    with pytest.raises(mcp_jupyter.InvalidRequestError, match=r"would both be written to .*same\.ipynb"):
        list(mcp_jupyter.run_many(runs))


def test_processes_run_them_as_well(square, tmp_path):
    manifest = tmp_path / "runs.jsonl"
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("forkserver")) as executor:
        outcomes = list(mcp_jupyter.run_many(runs_of(square, range(3)), executor, manifest=manifest))
    assert printed(outcomes) == ["0\n", "1\n", "4\n"]
    assert len(manifest.read_text().splitlines()) == 3


def lines_of(manifest):
    return [json.loads(line) for line in manifest.read_text().splitlines()]


def test_a_batch_runs_only_what_is_missing(notebook, square, tmp_path):
    manifest = tmp_path / "new" / "runs.jsonl"
    failing = (notebook("raise ValueError(1)"), None, None)
    runs = [*runs_of(square, range(2)), failing]
    assert [outcome.ok for outcome in mcp_jupyter.run_many(runs, manifest=manifest)].count(True) == 2
    first = lines_of(manifest)
    assert sorted(line["status"] for line in first) == ["cell_failed", "ok", "ok"]
    failed = next(line for line in first if line["status"] != "ok")
    assert failed["error"]["ename"] == "ValueError"

    runs = [*runs_of(square, range(3)), failing]
    outcomes = list(mcp_jupyter.run_many(runs, manifest=manifest))
    assert sorted(outcome.resumed for outcome in outcomes) == [False, False, True, True]
    assert len(lines_of(manifest)) == 5

    (tmp_path / "out" / "0.ipynb").unlink()
    outcomes = list(mcp_jupyter.run_many(runs_of(square, range(3)), manifest=manifest))
    assert [outcome.parameters["x"] for outcome in outcomes if not outcome.resumed] == [0]


def test_runs_that_are_alike_are_all_run(square, tmp_path):
    runs = [(square, {"x": 2}, None)] * 2
    for resumed in (False, True):
        outcomes = list(mcp_jupyter.run_many(runs, manifest=tmp_path / "runs.jsonl"))
        assert [outcome.resumed for outcome in outcomes] == [resumed] * 2


def test_a_torn_line_is_none_and_what_is_no_manifest_is_refused(square, tmp_path):
    manifest = tmp_path / "runs.jsonl"
    list(mcp_jupyter.run_many(runs_of(square, [1]), manifest=manifest))
    whole = manifest.read_bytes()
    manifest.write_bytes(whole + b'{"key": "torn')
    [outcome] = mcp_jupyter.run_many(runs_of(square, [1]), manifest=manifest)
    assert outcome.resumed and manifest.read_bytes() == whole
    manifest.write_text("hello\n")
    with pytest.raises(mcp_jupyter.CorruptError, match="line 1"):
        list(mcp_jupyter.run_many(runs_of(square, [1]), manifest=manifest))
    assert manifest.read_text() == "hello\n"


def test_one_batch_at_a_time_has_a_manifest(square, tmp_path):
    with open(tmp_path / "runs.jsonl", "a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(mcp_jupyter.ConflictError, match="another batch"):
            list(mcp_jupyter.run_many(runs_of(square, [1]), manifest=tmp_path / "runs.jsonl"))


def test_a_run_that_begins_while_the_batch_is_left_is_interrupted(monkeypatch, notebook, tmp_path):
    path = tmp_path / "in.ipynb"
    nbformat.write(notebook(("x = 0", ["parameters"]), "import time\nwhile x: time.sleep(0.01)"), path)
    begun, left = threading.Event(), threading.Event()
    native, end = _run.Run, _run.LiveRuns.end

    def begin(options):
        if json.loads(options["parameters"]) == {"x": 1}:
            begun.set()
            assert left.wait(60)
        return native(options)

    def end_and_tell(live):
        end(live)
        left.set()

    monkeypatch.setattr(_run, "Run", begin)
    monkeypatch.setattr(_run.LiveRuns, "end", end_and_tell)
    outcomes = mcp_jupyter.run_many(runs_of(path, [0, 1]), workers=1)
    assert next(outcomes).ok
    assert begun.wait(60)
    outcomes.close()
    assert left.is_set()


BATCH = """
import sys, mcp_jupyter
notebook, folder = sys.argv[1:]
runs = [(notebook, {"x": x}, f"{folder}/out/{x}.ipynb") for x in range(6)]
for outcome in mcp_jupyter.run_many(runs, workers=2, manifest=f"{folder}/runs.jsonl"):
    print("resumed" if outcome.resumed else "ran", outcome.parameters["x"], flush=True)
"""


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_batch_is_resumed(notebook, tmp_path, by):
    """All but two notebooks wait until the batch has been interrupted."""
    waits = "import os, time\nwhile x > 1 and not os.path.exists('interrupted'): time.sleep(0.01)"
    path = tmp_path / "in.ipynb"
    nbformat.write(notebook(("x = 0", ["parameters"]), waits), path)
    command = [sys.executable, "-I", "-c", BATCH, path, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert sorted(process.stdout.readline() for _ in range(2)) == ["ran 0\n", "ran 1\n"]
        process.send_signal(by)
    assert sorted(line["parameters"]["x"] for line in lines_of(tmp_path / "runs.jsonl")) == [0, 1]
    (tmp_path / "interrupted").touch()
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
    assert sorted(said) == ["ran 2", "ran 3", "ran 4", "ran 5", "resumed 0", "resumed 1"]
    assert sorted(os.listdir(tmp_path / "out")) == [f"{x}.ipynb" for x in range(6)]
    assert sorted(line["parameters"]["x"] for line in lines_of(tmp_path / "runs.jsonl")) == list(range(6))


def test_a_notebook_that_is_put_together_again_is_known(notebook, tmp_path):
    def runs():
        node = notebook(("x = 0", ["parameters"]), "print(x)")
        for cell in node.cells:
            cell.id = uuid4().hex[:8]
        return [(node, {"x": x}, str(tmp_path / f"{x}.ipynb")) for x in range(2)]

    manifest = tmp_path / "runs.jsonl"
    assert [outcome.resumed for outcome in mcp_jupyter.run_many(runs(), manifest=manifest)] == [False, False]
    assert [outcome.resumed for outcome in mcp_jupyter.run_many(runs(), manifest=manifest)] == [True, True]


def test_progress_is_shown(square, capfd, monkeypatch):
    runs = [(square, {"x": x}, None) for x in range(3)]
    assert len(list(mcp_jupyter.run_many(runs, progress=True))) == 3
    assert "3/3" in capfd.readouterr().err
    # Where tqdm is missing, rich shows it.
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert len(list(mcp_jupyter.run_many(runs, progress=True))) == 3
    shown = capfd.readouterr()
    assert "100%" in shown.out and "runs" in shown.out and not shown.err
    mcp_jupyter.run(square, progress=True)
    assert "square.ipynb" in capfd.readouterr().out
    # Where both are, nothing does.
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    assert len(list(mcp_jupyter.run_many(runs, progress=True))) == 3
    assert capfd.readouterr() == ("", "")
