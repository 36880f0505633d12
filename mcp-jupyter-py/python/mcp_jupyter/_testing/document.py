"""A notebook's file, and the notebook as tests run it, which is not always what they leave in the file."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple, Union

from ..exceptions import CorruptError, NotFoundError, UnsupportedError
from .rules import Rules

__all__ = ["code_after", "for_run", "overwrite", "read_notebook"]

Notebook = Dict[str, Any]
Types = Union[type, Tuple[type, ...]]
Places = Dict[int, int]
"""Where the cells of the file are in what is run."""

_AFTER = "mcp-jupyter-after-"


def read_notebook(path: str) -> Notebook:
    """The notebook in a file, as format 4.

    Raises
    ------
    NotFoundError, CorruptError, UnsupportedError
        Where it cannot be read, is no notebook, or is one of an old format that takes nbformat to read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            notebook = json.load(file)
    except OSError as error:
        raise NotFoundError(f"{path}: cannot read this notebook: {error.strerror}") from None
    except ValueError as error:
        raise CorruptError(f"{path}: this is no notebook, since it is no JSON: {error}") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("nbformat"), int):
        raise CorruptError(f"{path}: this is no notebook, since it does not say its nbformat")
    if notebook["nbformat"] < 4:
        return _upgraded(path)
    if not isinstance(notebook.get("cells"), list) or not isinstance(notebook.get("metadata"), dict):
        raise CorruptError(f"{path}: this is no notebook, since it has no cells or no metadata")
    for place, reason in _flaws(notebook):
        raise CorruptError(f"{path}: this is no notebook: {place}: {reason}")
    return notebook


_FIELDS: Dict[str, Dict[str, Types]] = {
    "stream": {"name": str, "text": (str, list)},
    "error": {"ename": str, "evalue": str},
    "display_data": {"data": dict},
    "execute_result": {"data": dict},
}


def _flaws(notebook: Notebook) -> Iterator[Tuple[str, str]]:
    """What is not as the tests need it: the place and what is wrong there."""
    yield from _missing(notebook["metadata"], "metadata", {}, {"execution": dict})
    for index, cell in enumerate(notebook["cells"]):
        place = f"cells[{index}]"
        fields: Dict[str, Types] = {"cell_type": str, "metadata": dict, "source": (str, list)}
        yield from _missing(cell, place, fields, {"outputs": list, "id": str})
        yield from _missing(cell["metadata"], f"{place}.metadata", {}, {"nbmake": dict})
        nbmake = cell["metadata"].get("nbmake", {})
        yield from _missing(nbmake, f"{place}.metadata.nbmake", {}, {"mock": dict, "post_cell_execute": list})
        for number, output in enumerate(cell.get("outputs", [])):
            place_of_output = f"{place}.outputs[{number}]"
            yield from _missing(output, place_of_output, {"output_type": str}, {})
            yield from _missing(output, place_of_output, _FIELDS.get(output["output_type"], {"data": dict}), {})


def _missing(
    value: Any, place: str, required: Mapping[str, Types], optional: Mapping[str, Types]
) -> Iterator[Tuple[str, str]]:
    if not isinstance(value, dict):
        yield place, "an object was expected"
    for name, types in {**required, **optional}.items():
        if name in required and name not in value:
            yield place, f"{name} is missing"
        if name in value and not isinstance(value[name], types):
            yield f"{place}.{name}", f"{_names(types)} was expected"


def _names(types: Types) -> str:
    told: Dict[type, str] = {str: "a string", list: "a list", dict: "an object"}
    return " or ".join(told[kind] for kind in (types if isinstance(types, tuple) else (types,)))


def _upgraded(path: str) -> Notebook:
    try:
        import nbformat
    except ImportError:
        message = f"{path}: a notebook of a format before 4; install nbformat to have it read, or save it anew in Jupyter"
        raise UnsupportedError(message) from None
    notebook: Notebook = json.loads(nbformat.writes(nbformat.read(path, 4)))  # type: ignore[no-untyped-call]
    # Each time it is read, other ids are made for cells that have none.
    cells = [{key: value for key, value in cell.items() if key != "id"} for cell in notebook["cells"]]
    return {**notebook, "nbformat_minor": 4, "cells": cells}


def for_run(notebook: Notebook, rules: Mapping[int, Rules]) -> Tuple[Notebook, Places]:
    """The notebook with the tags that the engine knows, and with the code of nbmake's metadata as cells of its own. `rules`
    are those of the cells of code, by place.
    """
    cells: List[Dict[str, Any]] = []
    places: Places = {}
    for index, cell in enumerate(notebook["cells"]):
        places[index] = len(cells)
        cells.append(_tagged(cell, rules.get(index)))
        if index in rules and (code := code_after(cell)):
            cells.append(_added(f"{_AFTER}{index}", code, with_id="id" in cell))
    return {**notebook, "cells": cells}, places


def code_after(cell: Mapping[str, Any]) -> str:
    """What nbmake executes after a cell: the values that it mocks, and what it has to do besides."""
    told = cell["metadata"].get("nbmake", {})
    mocks = [f"{name} = {value!r}" for name, value in told.get("mock", {}).items()]
    return "\n".join([*mocks, *told.get("post_cell_execute", [])])


def _tagged(cell: Dict[str, Any], rules: Optional[Rules]) -> Dict[str, Any]:
    metadata = cell.get("metadata", {})
    tags = metadata.get("tags", [])
    wanted = []
    if rules is not None and rules.is_skipped:
        wanted.append("skip-execution")
    if rules is not None and rules.may_raise:
        wanted.append("raises-exception")
    added = [tag for tag in wanted if tag not in tags]
    return {**cell, "metadata": {**metadata, "tags": [*tags, *added]}} if added else cell


def _added(name: str, code: str, with_id: bool) -> Dict[str, Any]:
    cell: Dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": code}
    return {**cell, "id": name} if with_id else cell


def overwrite(path: str, notebook: Notebook, executed: Notebook, places: Places) -> None:
    """Writes a notebook with the outputs of its run, at once or not at all."""
    cells = []
    for index, cell in enumerate(notebook["cells"]):
        done = executed["cells"][places[index]]
        news = {key: done[key] for key in ("id", "execution_count", "outputs") if key in done}
        cells.append({**cell, **news} if cell["cell_type"] == "code" else cell)
    text = json.dumps({**notebook, "cells": cells}, indent=1, ensure_ascii=False) + "\n"
    target = os.path.realpath(path)
    part = f"{target}.mcp-jupyter-{os.getpid()}"
    try:
        with open(part, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(part, os.stat(target).st_mode & 0o7777)
        os.replace(part, target)
    finally:
        if os.path.exists(part):
            os.unlink(part)
