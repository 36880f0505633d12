"""Notebooks whose kernels live on. The program that keeps them is the one that was built beside this module."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import mcp_jupyter
import nbformat
import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "mcp-jupyter"


@pytest.fixture(autouse=True)
def program(monkeypatch):
    """The program, on the PATH, where the module looks for it last."""
    assert PROGRAM.is_file(), f"{PROGRAM} is missing; `cargo build -p mcp-jupyter-cli` builds it"
    monkeypatch.setenv("PATH", f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def path(notebook, tmp_path):
    path = tmp_path / "report.ipynb"
    nbformat.write(notebook("x = 1", "y = x + 1", "print(y)"), path)
    return path


@pytest.fixture
def session(path, tmp_path):
    session = mcp_jupyter.Session(path, state=tmp_path / "state")
    yield session
    session.stop(forget=True)


def executed(result):
    return [cell.id for cell in result.cells if cell.status]


def texts(path):
    return ["".join(output.text for output in cell.outputs) for cell in nbformat.read(path, 4).cells]


def test_only_what_is_stale_is_executed(session, path):
    assert executed(session.sync()) == ["cell-0", "cell-1", "cell-2"]
    assert texts(path) == ["", "", "2\n"]
    assert executed(session.sync()) == []
    edited = session.edit([{"op": "replace_source", "cell": "cell-1", "source": "y = x + 2"}])
    assert (edited.changed, edited.inserted, edited.conflicts) == (("cell-1",), (), ())
    plan = session.plan()
    assert [(cell.id, cell.reason) for cell in plan] == [("cell-1", "edited"), ("cell-2", "upstream")]
    assert executed(session.sync()) == ["cell-1", "cell-2"]
    assert texts(path) == ["", "", "3\n"]
    assert executed(session.run("cell-0")) == ["cell-0"]
    assert executed(session.run()) == ["cell-0", "cell-1", "cell-2"]
    assert session.describe()["notebook"] == str(path)


def test_edits_are_checked_and_taken_back(session, path):
    notebook, revision = session.snapshot()
    assert [cell["id"] for cell in notebook["cells"]] == ["cell-0", "cell-1", "cell-2"]
    edited = session.edit(
        [
            {"op": "insert", "source": "# Title", "cell_type": "markdown", "at": "first", "id": "title"},
            {"op": "insert", "source": "z = 3", "at": "after:cell-0"},
            {"op": "replace_text", "cell": "cell-2", "old": "y", "new": "z"},
            {"op": "add_tags", "cell": "cell-2", "tags": ["result"]},
            {"op": "delete", "cell": "cell-1"},
        ],
        revision=revision,
    )
    assert (len(edited.inserted), edited.deleted, edited.changed) == (2, ("cell-1",), ("cell-2",))
    sources = [cell.source for cell in nbformat.read(path, 4).cells]
    assert sources == ["# Title", "x = 1", "z = 3", "print(z)"]
    with pytest.raises(mcp_jupyter.ConflictError):
        session.edit([{"op": "delete", "cell": "cell-0"}], revision=revision)
    session.undo(edited)
    assert [cell.source for cell in nbformat.read(path, 4).cells] == ["x = 1", "y = x + 1", "print(y)"]
    with pytest.raises(mcp_jupyter.Error, match="q"):
        session.edit([{"op": "delete", "cell": "q"}])
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="unknown variant `destroy`"):
        session.edit([{"op": "destroy", "cell": "cell-0"}])
    assert len(nbformat.read(path, 4).cells) == 3


def test_the_past_is_listed_and_brought_back(session, path):
    session.sync()
    kept = session.keep("good")
    session.edit([{"op": "replace_source", "cell": "cell-0", "source": "x = 10"}])
    session.sync()
    assert texts(path)[2] == "11\n"
    history = session.history()
    assert [(version.cell, version.outcome) for version in history[:3]] == [
        ("cell-2", "ok"),
        ("cell-1", "ok"),
        ("cell-0", "ok"),
    ]
    assert [version.source for version in session.history("cell-0")] == ["x = 10", "x = 1"]
    assert len(session.history(limit=2)) == 2
    assert session.snapshots()[0].name == "good"
    before = session.restore(snapshot=kept.number)
    assert texts(path)[2] == "2\n"
    session.restore(snapshot=before.number)
    assert texts(path)[2] == "11\n"
    session.restore(version=session.history("cell-0")[1].number)
    assert nbformat.read(path, 4).cells[0].source == "x = 1"
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="either a snapshot or a version"):
        session.restore()


def test_a_cell_that_fails_raises_and_the_kernel_lives_on(session, path):
    session.edit([{"op": "replace_source", "cell": "cell-1", "source": "1 / 0"}])
    with pytest.raises(mcp_jupyter.CellExecutionError) as raised:
        session.sync()
    assert (raised.value.ename, raised.value.cell_id) == ("ZeroDivisionError", "cell-1")
    assert [cell.status for cell in raised.value.result.cells] == ["ok", "error", None]
    with session.kernel() as kernel:
        assert kernel.execute("x").wait().text == "1\n"
    assert session.sync(check=False).status == "cell_failed"


def test_a_kernel_is_shared_restarted_and_stopped(session):
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="has no kernel; start"):
        session.kernel()
    assert session.start() == []
    session.sync()
    with session.kernel() as kernel:
        assert kernel.execute("y").wait().text == "2\n"
        assert kernel.complete("pri").matches == ["print"]
    session.restart()
    assert {cell.reason for cell in session.plan()} == {"kernel_restarted"}
    pid = session.describe()["kernel"]["pid"]
    session.stop()
    assert session.describe()["kernel"] is None
    assert not Path(f"/proc/{pid}").exists()
    assert executed(session.sync()) == ["cell-0", "cell-1", "cell-2"]


def test_the_death_of_a_kernel_is_told(session):
    session.sync()
    with session.kernel() as kernel, pytest.raises(mcp_jupyter.KernelDiedError):
        kernel.execute("import os\nos._exit(3)").wait()
    result = session.sync()
    assert executed(result) == ["cell-0", "cell-1", "cell-2"]
    assert any("ended with exit code 3" in warning for warning in result.warnings)


OTHER = """
import mcp_jupyter, sys
session = mcp_jupyter.Session(sys.argv[1], state=sys.argv[2])
print([cell.id for cell in session.sync().cells if cell.status])
"""


def test_a_session_is_that_of_other_processes(session, path, tmp_path):
    def other():
        command = [sys.executable, "-I", "-c", OTHER, path, tmp_path / "state"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.strip()

    assert other() == "['cell-0', 'cell-1', 'cell-2']"
    assert executed(session.sync()) == []
    session.edit([{"op": "replace_source", "cell": "cell-2", "source": "print(x)"}])
    assert other() == "['cell-2']"
    command = [PROGRAM, "history", path, "--json", "--state", tmp_path / "state"]
    assert '"cell": "cell-2"' in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_asyncio_has_the_same(session, path):
    async def main():
        async with session.async_sync() as run:
            events = [event["event"] async for event in run]
        await session.aedit([{"op": "replace_source", "cell": "cell-2", "source": "print(x)"}])
        result = await session.async_sync()
        return events, result, await session.ahistory(limit=1), await session.arun("cell-1")

    events, result, history, again = asyncio.run(main())
    assert (events[0], events[-1], events.count("cell_finished")) == ("run_started", "run_finished", 3)
    assert (executed(result), history[0].source, executed(again)) == (["cell-2"], "print(x)", ["cell-0", "cell-1"])


def test_whoever_leaves_an_async_run_interrupts_its_cell(session):
    session.edit([{"op": "replace_source", "cell": "cell-1", "source": "import time\nprint(1)\ntime.sleep(600)"}])

    async def main():
        async with session.async_sync() as run:
            async for event in run:
                if event["event"] == "output":
                    break

    asyncio.run(main())
    with session.kernel() as kernel:
        assert kernel.execute("x").wait().text == "1\n"


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    with pytest.raises(mcp_jupyter.NotFoundError, match="nowhere.ipynb"):
        mcp_jupyter.Session(tmp_path / "nowhere.ipynb", state=tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(mcp_jupyter.NotFoundError, match="the program mcp-jupyter is not installed"):
        mcp_jupyter.Session(tmp_path / "nowhere.ipynb", state=tmp_path)
