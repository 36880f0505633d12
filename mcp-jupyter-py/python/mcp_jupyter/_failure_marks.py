"""The two cells that papermill adds to a notebook that has failed, and leaves out of the next run."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List

from ._native import write_object
from ._options import is_address
from .exceptions import CellExecutionError
from .results import RunResult

_TAG = "papermill-error-cell-tag"
_ANCHOR = "papermill-error-cell"
_STYLE = 'style="color: red; font-size: 2em"'


def save_with_marks(result: RunResult, error: CellExecutionError, output: str) -> None:
    """Saves a notebook that has failed with a note at its top, which leads to another one before the failed cell."""
    notebook = json.loads(result.to_bytes())
    link = f'<a href="#{_ANCHOR}">In [{error.exec_count}]</a>'
    top = f"<span {_STYLE}>The notebook has failed at {link}.</span>"
    here = f'<span id="{_ANCHOR}" {_STYLE}>This cell has failed, and nothing after it was executed:</span>'
    cells: List[Dict[str, Any]] = notebook["cells"]
    has_ids = any("id" in cell for cell in cells)
    cells.insert(error.cell_index, _mark(here, "here", has_ids))
    cells.insert(0, _mark(top, "top", has_ids))
    _save(notebook, output)


def _mark(source: str, name: str, has_id: bool) -> Dict[str, Any]:
    cell: Dict[str, Any] = {"cell_type": "markdown", "metadata": {"tags": [_TAG]}, "source": [source]}
    return {"id": f"{_ANCHOR}-{name}", **cell} if has_id else cell


def _save(notebook: Dict[str, Any], output: str) -> None:
    content = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    if is_address(output):
        write_object(output, content.encode())
        return
    part = f"{output}.{os.getpid()}.part"
    try:
        with open(part, "w", encoding="utf-8") as file:
            file.write(content)
        os.replace(part, output)
    finally:
        if os.path.exists(part):
            os.unlink(part)
