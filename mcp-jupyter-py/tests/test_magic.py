"""%graph, %stale and %sync, in notebooks that nbclient executes as Jupyter would."""

import json
import os

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

# Its sockets outlive their loop.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

# In cells, so that the file changes while the kernel lives.
EDIT = """\
import json
path = {path!r}
document = json.load(open(path))
for cell in document["cells"]:
    cell["source"] = {edits!r}.get(cell["id"], cell["source"])
json.dump(document, open(path, "w"))
"""


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where the notebook is, which the kernel is told as Jupyter's server does."""
    path = tmp_path / "live.ipynb"
    monkeypatch.setenv("JPY_SESSION_NAME", os.fspath(path))
    return path


@pytest.fixture
def execute(notebook, path):
    """Executes cells; `edits` takes the place of one that changes sources in the file."""

    def execute(*sources, edits=None, loads="%load_ext mcp_jupyter", tags=None):
        sources = [EDIT.format(path=os.fspath(path), edits=edits) if source is EDIT else source for source in sources]
        node = notebook(loads, *sources)
        for number, names in (tags or {}).items():
            node.cells[number].metadata.tags = names
        nbformat.write(node, path)
        # Jupyter's own frontends read what they have saved; nbclient does not.
        client = NotebookClient(node, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}})
        client.execute()
        return node

    return execute


def texts(cell):
    """What a cell shows, as text."""
    return [output.get("text") or output.get("data", {}).get("text/plain") for output in cell.outputs]


def test_sync_executes_what_is_stale_here_and_labels_it(execute, path):
    node = execute(
        "x = 1",
        "y = x + 1\ny",
        "z = 'unrelated'",
        EDIT,
        "%stale",
        "%sync",
        "print(x, y, z)",
        "%sync",
        edits={"cell-1": "x = 10"},
    )
    stale = texts(node.cells[5])[0]
    assert "#1 cell-1: run" in stale and "#2 cell-2: run" in stale and "#3 cell-3: skip" in stale
    assert "image/svg+xml" in node.cells[5].outputs[0].data
    first, value, *rest = texts(node.cells[6])[1:]
    assert texts(node.cells[6])[0].startswith("cell #1 (cell-1): ")
    assert (first.split(":")[0], value) == ("cell #2 (cell-2)", "11")
    # What is below was never executed, so it is stale, too.
    assert rest[0].startswith("cell #7 (cell-7): ") and rest[1] == "10 11 unrelated\n"
    assert texts(node.cells[7]) == ["10 11 unrelated\n"]
    assert texts(node.cells[8]) == ["nothing is stale in live.ipynb\n"]


def test_nothing_is_written_into_the_document(execute, path):
    read = "open(os.environ['JPY_SESSION_NAME'], 'rb').read()"
    node = execute("x = 1", f"import os; before = {read}", "%sync", f"assert {read} == before")
    saved = json.loads(path.read_text())
    assert all(not cell["outputs"] for cell in saved["cells"]) and node.cells[3].outputs


def test_the_graph_is_drawn(execute):
    node = execute("a = 1", "b = a", "graph = %graph\ngraph.edges", "%graph")
    assert texts(node.cells[3]) == ["[Edge(writer='cell-1', reader='cell-2', names=('a',))]"]
    assert texts(node.cells[4]) == ["<Graph of notebook: 5 cells, 1 edges>"]
    assert node.cells[4].outputs[0].data["image/svg+xml"].startswith("<svg")


def test_a_failure_stops_and_is_shown_with_its_cell(execute):
    with pytest.raises(CellExecutionError) as caught:
        execute("x = 1", "1 / x", EDIT, "%sync", edits={"cell-1": "x = 0"})
    assert "cell #2 (cell-2) raised ZeroDivisionError: division by zero" in caught.value.evalue


def test_cells_that_may_raise_do_not_stop_it(execute):
    node = execute("x = 1", "1 / x", "x + 1", EDIT, "%sync", edits={"cell-1": "x = 0"}, tags={2: ["raises-exception"]})
    shown = texts(node.cells[5])
    assert [output.output_type for output in node.cells[5].outputs].count("error") == 1
    assert shown[-1] == "1"


def test_what_was_executed_before_loading_counts(execute):
    node = execute("x = 1", "y = x", "%load_ext mcp_jupyter", EDIT, "%sync", edits={"cell-2": "y = x + 1"}, loads="0")
    assert [text.split(":")[0] for text in texts(node.cells[5])] == ["cell #2 (cell-2)"]


def test_names_that_no_cell_binds_any_more_are_deleted(execute):
    node = execute("x = 1", "gone = 2", EDIT, "%sync", "'gone' in globals()", edits={"cell-2": "kept = 2"})
    assert texts(node.cells[5]) == ["False"]


def test_semicolons_silence_results(execute):
    node = execute("x = 1", EDIT, "%sync", edits={"cell-1": "x = 2\nx;"})
    assert [text.split(":")[0] for text in texts(node.cells[3])] == ["cell #1 (cell-1)"]


def test_a_part_can_be_asked_for_and_a_path_named(execute, path, monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME")
    node = execute("a = 1", "b = 2", EDIT, "%sync live.ipynb #1", "%stale", edits={"cell-1": "a = 3", "cell-2": "b = 4"})
    assert [text.split(":")[0] for text in texts(node.cells[4])] == ["cell #1 (cell-1)"]
    stale = texts(node.cells[5])[0]
    assert "#1 cell-1: skip" in stale and "#2 cell-2: run" in stale


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("%sync nowhere.ipynb", "nowhere.ipynb: cannot read this notebook: No such file or directory"),
        ("%sync --fast", "%sync has no option --fast"),
        ("%graph 3", "%graph takes a notebook (.ipynb) and nothing else"),
        ("%sync #99", "#99"),
        ("%sync 'a", "No closing quotation"),
    ],
)
def test_mistakes_are_told_in_a_sentence(line, sentence, execute):
    with pytest.raises(CellExecutionError) as caught:
        execute("x = 1", line)
    assert caught.value.ename == "UsageError" and sentence in caught.value.evalue


@pytest.mark.parametrize("content", ["[]", "{", '{"cells": [{"cell_type": "code"}]}'])
def test_a_file_that_is_no_notebook_is_told(content, execute, tmp_path):
    tmp_path.joinpath("bad.ipynb").write_text(content)
    with pytest.raises(CellExecutionError, match="bad.ipynb: this is no notebook"):
        execute("%graph bad.ipynb")


def test_a_kernel_that_belongs_to_no_notebook_says_so(execute, monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME")
    with pytest.raises(CellExecutionError, match="which notebook this kernel belongs to is not known"):
        execute("%stale")


def test_cells_that_await_are_told(execute):
    with pytest.raises(CellExecutionError, match=r"cell #1 \(cell-1\) awaits at its top level; run it by itself"):
        execute("x = 1", EDIT, "%sync", edits={"cell-1": "import asyncio\nawait asyncio.sleep(0)"})


def test_unloading_takes_the_magics_away(execute):
    with pytest.raises(CellExecutionError, match="`%stale` not found"):
        execute("%unload_ext mcp_jupyter", "%stale")
