"""What depends on what, and what would be executed."""

import asyncio
import sys

import mcp_jupyter
import nbformat
import networkx
import pytest

SOURCES = ["x = 1", "y = x + 1", "z = 5", "print(y, z)"]


@pytest.fixture
def scheduler(notebook):
    return mcp_jupyter.Scheduler(notebook(*SOURCES))


def test_a_notebook_is_analysed(scheduler):
    graph = scheduler.analyse()
    assert [(cell.id, cell.reads, cell.writes) for cell in graph.cells] == [
        ("cell-0", (), ("x",)),
        ("cell-1", ("x",), ("y",)),
        ("cell-2", (), ("z",)),
        ("cell-3", ("y", "z"), ()),
    ]
    assert graph.edges == [("cell-0", "cell-1", ("x",)), ("cell-1", "cell-3", ("y",)), ("cell-2", "cell-3", ("z",))]
    assert graph.upstream("cell-3") == ["cell-0", "cell-1", "cell-2"]
    assert graph.downstream(0) == ["cell-1", "cell-3"]
    with pytest.raises(mcp_jupyter.NotFoundError, match="no code cell 'q'; there are cell-0, cell-1"):
        graph.upstream("q")


def test_what_an_edit_makes_stale_is_planned_with_reasons(scheduler, notebook):
    assert [cell.reason for cell in scheduler.plan()] == ["never_run"] * 4
    scheduler.executed()
    assert not scheduler.plan()
    edited = notebook("x = 2", *SOURCES[1:])
    plan = scheduler.plan(edited)
    assert [(cell.id, cell.reason, cell.why) for cell in plan] == [
        ("cell-0", "edited", "edited"),
        ("cell-1", "upstream", "upstream: x from #0"),
        ("cell-3", "upstream", "upstream: y from #1"),
    ]
    assert plan.ids == ["cell-0", "cell-1", "cell-3"]
    assert [(cell.id, cell.reason) for cell in plan.skipped] == [("cell-2", "fresh")]
    assert [cell.id for cell in scheduler.stale()] == plan.ids
    assert "#1 cell-1: run (upstream: x from #0)\n#2 cell-2: skip (fresh)" in str(plan)
    scheduler.executed(["cell-0", "cell-1"])
    scheduler.executed("cell-3", status="error")
    assert [(cell.id, cell.reason) for cell in scheduler.stale()] == [("cell-3", "failed")]
    scheduler.restarted()
    assert scheduler.plan().cells[0].reason == "kernel_restarted"


def test_modes_and_targets_narrow_a_plan(scheduler, notebook):
    scheduler.executed()
    assert scheduler.plan(mode="full").ids == ["cell-0", "cell-1", "cell-2", "cell-3"]
    edited = notebook(SOURCES[0], "y = 7", *SOURCES[2:])
    assert scheduler.plan(edited, mode="incremental").ids == ["cell-1", "cell-2", "cell-3"]
    assert scheduler.plan(targets="cell-1").ids == ["cell-1"]
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="expected \"smart\""):
        scheduler.plan(mode="most")
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="cell-1"):
        scheduler.plan(mode="append")
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="no cell `q`"):
        scheduler.plan(targets=["q"])


def test_an_earlier_notebook_counts_as_executed(notebook, tmp_path):
    path = tmp_path / "in.ipynb"
    nbformat.write(notebook(*SOURCES), path)
    plan = mcp_jupyter.Scheduler(path).plan(since=notebook(*SOURCES[:2], "z = 6", SOURCES[3]))
    assert plan.ids == ["cell-2", "cell-3"]
    assert repr(plan) == f"<Plan of {path}: 2 of 4 cells>"


def test_a_file_is_read_again(notebook, tmp_path):
    path = tmp_path / "in.ipynb"
    nbformat.write(notebook(*SOURCES), path)
    scheduler = mcp_jupyter.Scheduler(path)
    scheduler.executed()
    nbformat.write(notebook(*SOURCES[:3], "print(z)"), path)
    assert [cell.id for cell in scheduler.stale()] == ["cell-3"]


def test_jupyter_shows_pictures(scheduler):
    for shown in (scheduler, scheduler.plan(), scheduler.analyse()):
        bundle = shown._repr_mimebundle_()
        assert bundle["image/svg+xml"].startswith("<svg")
        assert "print(y, z)" in bundle["image/svg+xml"]
        assert bundle["text/plain"]
    graph = scheduler.analyse()
    assert graph.mermaid().startswith("flowchart")
    assert graph.dot().startswith("digraph")
    assert graph.html().startswith("<!DOCTYPE html>")
    assert mcp_jupyter.Scheduler()._repr_mimebundle_() == {"text/plain": "<Scheduler of no notebook>"}


def test_networkx_gets_the_graph_where_it_is_installed(scheduler):
    graph = scheduler.graph()
    assert isinstance(graph, networkx.DiGraph)
    assert graph.nodes["cell-1"]["reads"] == ("x",)
    assert graph.edges["cell-0", "cell-1"]["names"] == ("x",)
    assert networkx.ancestors(graph, "cell-3") == {"cell-0", "cell-1", "cell-2"}


def test_without_networkx_the_graph_is_ours(scheduler, monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    graph = scheduler.graph()
    assert isinstance(graph, mcp_jupyter.Graph)
    assert (graph.nodes[:2], len(graph.edges)) == (["cell-0", "cell-1"], 3)


def test_a_plan_is_a_frame(scheduler):
    frame = scheduler.plan(targets="cell-1").to_pandas()
    assert list(frame["do"]) == ["run", "run", "skip", "skip"]
    assert frame.loc[3, "reason"] == "not_targeted"


def test_asyncio_has_the_same(scheduler):
    async def main():
        graph, plan = await asyncio.gather(scheduler.aanalyse(), scheduler.aplan(mode="full"))
        return graph, plan, await scheduler.astale(), await scheduler.agraph()

    graph, plan, stale, _ = asyncio.run(main())
    assert (len(graph.cells), len(plan), len(stale)) == (4, 4, 4)


def test_what_is_wrong_is_said(scheduler):
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="no notebook to look at yet"):
        mcp_jupyter.Scheduler().plan()
    with pytest.raises(mcp_jupyter.NotFoundError, match="nowhere.ipynb"):
        scheduler.plan("nowhere.ipynb")
    scheduler = mcp_jupyter.Scheduler()
    with pytest.raises(mcp_jupyter.CorruptError):
        scheduler.plan({"cells": 1})
    with pytest.raises(TypeError, match="expected a path, a dict or a NotebookNode, and got int"):
        scheduler.plan(3)


def test_what_was_executed_has_to_be_known(scheduler):
    scheduler.plan()
    with pytest.raises(mcp_jupyter.NotFoundError, match="no code cell q"):
        scheduler.executed(["cell-0", "q"])
    assert scheduler.stale()[0].id == "cell-1"
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="expected \"ok\""):
        scheduler.executed(["cell-0"], status="good")
