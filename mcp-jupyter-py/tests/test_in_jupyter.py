"""The module inside a running Jupyter kernel, whose event loop is busy with us."""

import nbformat
from nbclient import NotebookClient

CELLS = [
    "import mcp_jupyter\nfrom nbformat.v4 import new_code_cell, new_notebook",
    "notebook = new_notebook(cells=[new_code_cell('x = 6', id='a'), new_code_cell('print(x * 7)', id='b')])",
    "result = mcp_jupyter.run(notebook)\nprint(result.outputs[0].text, end='')",
    "(await mcp_jupyter.arun(notebook)).outputs[0].text",
    "with mcp_jupyter.Kernel.start() as kernel:\n    print(kernel.execute('6 * 7').wait().text, end='')",
    """async with mcp_jupyter.Kernel.astart() as kernel:
    async for output in kernel.aexecute('print(42)'):
        print(output.text, end='')""",
    "mcp_jupyter.Scheduler(notebook)",
    "mcp_jupyter.Scheduler(notebook).plan(targets='b')",
    "result",
]


def test_a_notebook_uses_all_of_it():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells]
    assert [shown[at] for at in (2, 4, 5)] == ["42\n"] * 3
    data = [cell.outputs[0].get("data", {}) for cell in notebook.cells if cell.outputs]
    assert data[1]["text/plain"] == "'42\\n'"
    assert all(bundle["image/svg+xml"].startswith("<svg") for bundle in data[4:6])
    assert "<table>" in data[6]["text/html"]
