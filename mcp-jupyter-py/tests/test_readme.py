"""The examples of the README, as programs and in a notebook that nbclient executes."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

README = (Path(__file__).parents[1] / "README.md").read_text()
EXAMPLES = dict(re.findall(r"^#+ ([^\n]+)$(?:(?!^## ).)*?^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))
# It needs the address of a cluster, and comes after the example that is taken.
PROGRAMS = {"mcp_jupyter", "Run many", "What depends on what", "From papermill", "Find kernels"}

REPORT = [
    ("year = 2000\nregions = []", ["parameters"]),
    "total = year + len(regions)",
    "print('total', total)",
    "total",
]


@pytest.fixture
def folder(notebook, tmp_path, monkeypatch):
    """Where the notebooks are that the examples name."""
    nbformat.write(notebook(*REPORT), tmp_path / "report.ipynb")
    nbformat.write(notebook(("alpha = 0", ["parameters"]), "print(alpha)"), tmp_path / "fit.ipynb")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expected_of(name, said):
    """Whether an example has said what it should."""
    return {
        "mcp_jupyter": said.startswith("<RunResult ok: 5 of 5 cells") and "total 2024" in said,
        "Run many": said.count("ok") == 3 and "'alpha': 0.5" in said,
        "What depends on what": said == "",
        "From papermill": "In [3] TypeError: can only concatenate str" in said and said.endswith("+ len(regions)\n"),
        "Find kernels": "python3 Python 3" in said,
    }[name]


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_the_examples_are_programs(name, folder):
    program = "import mcp_jupyter\n" + EXAMPLES[name]
    done = subprocess.run([sys.executable, "-I", "-c", program], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert expected_of(name, done.stdout), done.stdout


# Its sockets outlive their loop.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_the_examples_work_inside_jupyter(folder):
    cells = [new_code_cell("import asyncio, mcp_jupyter\npaths = ['fit.ipynb', 'report.ipynb']")]
    cells += [new_code_cell(EXAMPLES[name]) for name in sorted(PROGRAMS)]
    cells += [new_code_cell(EXAMPLES["In asyncio"]), new_code_cell("(await main()).status, results")]
    node = new_notebook(cells=cells)
    NotebookClient(node, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    for name, cell in zip(sorted(PROGRAMS), node.cells[1:]):
        printed = "".join(output.text for output in cell.outputs if output.get("name") == "stdout")
        assert expected_of(name, printed), name
    shown = node.cells[-1].outputs[-1].data["text/plain"]
    assert re.match(r"\('ok',\s+\[<RunResult ok: 2 of 2 cells, ", shown), shown
    years = [nbformat.read(folder / f"out/report-{year}.ipynb", 4).cells[3].outputs[0].text for year in (2023, 2024)]
    assert years == ["total 2025\n", "total 2026\n"]
