"""execute_notebook(), beside papermill's."""

import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import mcp_jupyter
import nbformat
import papermill
import pytest

SOURCES = [
    ("a = 1\nb = 'x'", ["parameters"]),
    "print(a, b)",
    "import sys; print('warned', file=sys.stderr)",
    "{'a': a}",
]


@pytest.fixture
def source(notebook, tmp_path):
    python = {"kernelspec": {"name": "python3", "display_name": "P", "language": "python"}}
    path = tmp_path / "in.ipynb"
    nbformat.write(notebook(*SOURCES, **python), path)
    return path


def shown(notebook):
    """What a reader sees of a notebook."""
    return [(cell.cell_type, cell.source.rstrip(), cell.metadata.tags, cell.get("outputs")) for cell in notebook.cells]


# zmq says so where papermill polls in a thread of its own.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_the_same_call_gives_the_same_notebook_as_papermill(source, tmp_path):
    arguments = (str(source), str(tmp_path / "out-{a}.ipynb"), {"a": 5, "c": [1, None, 2.5]})
    options = {"progress_bar": False, "kernel_name": "python3", "cwd": str(tmp_path)}
    theirs = papermill.execute_notebook(*arguments, **options)
    ours = mcp_jupyter.execute_notebook(*arguments, **options)
    assert shown(ours) == shown(theirs)
    assert ours.metadata.papermill.parameters == theirs.metadata.papermill.parameters
    assert ours.metadata.papermill.output_path == str(tmp_path / "out-5.ipynb")
    assert nbformat.read(tmp_path / "out-5.ipynb", as_version=4) == ours


def test_a_failing_cell_has_papermills_attributes(notebook, tmp_path):
    output = tmp_path / "out.ipynb"
    with pytest.raises(mcp_jupyter.CellExecutionError) as caught:
        mcp_jupyter.execute_notebook(notebook("1", "1 / 0", "3"), output, progress_bar=False)
    error = caught.value
    assert (error.cell_index, error.exec_count, error.source) == (1, 2, "1 / 0")
    assert (error.ename, error.evalue) == ("ZeroDivisionError", "division by zero")
    assert error.traceback
    saved = nbformat.read(output, as_version=4)
    assert [len(cell.get("outputs", "note")) for cell in saved.cells] == [4, 1, 4, 1, 0]
    nbformat.validate(saved)
    # As papermill, the next run leaves the notes out.
    with pytest.raises(mcp_jupyter.CellExecutionError):
        mcp_jupyter.execute_notebook(output, output, progress_bar=False)
    assert len(nbformat.read(output, as_version=4).cells) == 5


def test_a_notebook_can_be_prepared_only(source, tmp_path):
    output = tmp_path / "new" / "out.ipynb"
    node = mcp_jupyter.execute_notebook(source, output, {"a": 7}, prepare_only=True, report_mode=True)
    assert node.cells[1].source == "# Parameters\na = 7\n"
    assert all(cell.metadata.jupyter.source_hidden and not cell.outputs for cell in node.cells)
    assert nbformat.read(output, as_version=4) == node


def test_a_missing_field_of_a_path_is_named(source):
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="'month'"):
        mcp_jupyter.execute_notebook(source, "out-{month}.ipynb", {"a": 1})


def test_what_cells_print_is_logged_and_copied(source, caplog):
    stdout, stderr = io.StringIO(), io.StringIO()
    with caplog.at_level(logging.INFO, "mcp_jupyter"):
        mcp_jupyter.execute_notebook(
            source, None, {"z": 1}, log_output=True, stdout_file=stdout, stderr_file=stderr, progress_bar=False
        )
    assert (stdout.getvalue(), stderr.getvalue()) == ("1 x\n", "warned\n")
    messages = [record.getMessage() for record in caplog.records]
    assert "1 x\n" in messages and "{'a': 1}" in messages
    assert "the parameter `z` is not set in the cell tagged `parameters`" in messages


def test_options_of_engines(notebook):
    slow = notebook("import time; time.sleep(60)")
    with pytest.raises(mcp_jupyter.TimedOutError):
        mcp_jupyter.execute_notebook(slow, None, execution_timeout=0.5, progress_bar=False)
    failing = notebook("1 / 0", "2")
    node = mcp_jupyter.execute_notebook(failing, None, allow_errors=True, autosave_cell_every=30, progress_bar=False)
    assert node.cells[1].outputs
    with pytest.warns(UserWarning, match="iopub_timeout: this option"):
        mcp_jupyter.execute_notebook(notebook("1"), None, iopub_timeout=4, progress_bar=False)
    with pytest.raises(mcp_jupyter.UnsupportedError, match="engine_name='sagemaker'"):
        mcp_jupyter.execute_notebook(notebook("1"), None, engine_name="sagemaker")


def test_the_kernel_works_where_this_process_does(source, tmp_path, notebook, monkeypatch):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    node = mcp_jupyter.execute_notebook(notebook("import os; os.getcwd()"), None, progress_bar=False)
    assert node.cells[0].outputs[0].data["text/plain"] == repr(os.fspath(folder))


def test_progress_is_shown(notebook, capfd):
    mcp_jupyter.execute_notebook(notebook("1", "2"), None)
    assert "2/2" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("simple_execute.ipynb", None),
        ("nb_version_4.4.ipynb", None),
        ("blank-vscode.ipynb", None),
        ("sysexit.ipynb", None),
        ("sysexit0.ipynb", None),
        ("sysexit1.ipynb", (1, 2, "SystemExit", "1")),
        ("broken1.ipynb", (4, 2, "AssertionError", "")),
        ("keyboard_interrupt.ipynb", None),
    ],
)
def test_papermills_own_notebooks(name, failure, tmp_path):
    """What papermill says of each."""
    path = Path(papermill.__file__).parent / "tests" / "notebooks" / name
    try:
        mcp_jupyter.execute_notebook(path, None, kernel_name="python3", cwd=tmp_path, progress_bar=False)
        said = None
    except mcp_jupyter.CellExecutionError as error:
        said = (error.cell_index, error.exec_count, error.ename, error.evalue)
    assert said == failure


# What papermill's tests of execute_notebook say of other things than what it does.
OF_ITS_OWN = [
    "test_default_start_timeout",  # that its client of nbclient is called
    "test_start_timeout",  # likewise
    "TestExecuteWithCustomEngine",  # that engines can be registered with it
    "TestBrokenNotebook2",  # imports what IPython 9 has not any more: papermill fails, too
]

IN_ITS_PLACE = """
import mcp_jupyter, papermill.exceptions, papermill.execute
papermill.execute.execute_notebook = mcp_jupyter.execute_notebook
papermill.exceptions.PapermillExecutionError = mcp_jupyter.CellExecutionError
"""


def test_papermills_own_tests_pass_with_ours_in_its_place(tmp_path):
    tmp_path.joinpath("in_its_place.py").write_text(IN_ITS_PLACE)
    tests = Path(papermill.__file__).parent / "tests" / "test_execute.py"
    chosen = ["-k", " and ".join(f"not {name}" for name in OF_ITS_OWN)]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "in_its_place", "-p", "no:cacheprovider", *chosen, tests]
    environment = {**os.environ, "PYTHONPATH": os.fspath(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "22 passed, 4 deselected" in done.stdout
