"""The IPython extension: ``%load_ext mcp_jupyter`` brings ``%graph``, ``%stale`` and ``%sync``.

The notebook is the file that Jupyter has saved; what the kernel has executed of it is what IPython remembers.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from functools import wraps
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ._scheduler import Graph, Plan, PlannedCell, Scheduler
from .exceptions import CellExecutionError, CorruptError, Error, InvalidRequestError, NotFoundError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
    from typing_extensions import Literal

    _Status = Literal["ok", "error", "interrupted"]

__all__ = ["load_ipython_extension", "unload_ipython_extension"]

# Our own lines are not part of what the notebook computes; what one of them is assigned to is.
_OURS = re.compile(r"^[ \t]*%(?:(?:re|un)?load_ext[ \t]+mcp_jupyter|graph|stale|sync)\b.*$", re.MULTILINE)
_ASSIGNED = re.compile(r"(?<==)[ \t]*%(?:graph|stale|sync)\b.*$", re.MULTILINE)

_ATTRIBUTE = "_mcp_jupyter"


class Execution(NamedTuple):
    """Something that the kernel has executed, without our lines."""

    cell_id: Optional[str]
    source: str
    status: _Status


class Document:
    """A notebook's file as it is now, with ids for all cells and without our lines."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.version = _version(path)
        self._notebook = _read(path)
        self.code: Dict[str, str] = {
            cell["id"]: cell["source"] for cell in self._notebook["cells"] if cell["cell_type"] == "code"
        }

    def may_raise(self, id: str) -> bool:
        """Whether the notebook says that a cell may raise."""
        tagged = (cell for cell in self._notebook["cells"] if "raises-exception" in cell["metadata"].get("tags", []))
        return any(cell["id"] == id for cell in tagged)

    def with_sources(self, sources: Dict[str, str]) -> Dict[str, Any]:
        """The notebook, where some cells have other sources."""
        cells = [{**cell, "source": sources.get(cell["id"], cell["source"])} for cell in self._notebook["cells"]]
        return {**self._notebook, "cells": cells}

    def find(self, execution: Execution, after: Optional[str]) -> Optional[str]:
        """The cell that was executed: the one with the id, where the frontend tells it; else one with the source, if possible
        after the one that was executed before.
        """
        if execution.cell_id in self.code:
            return execution.cell_id
        alike = [id for id, source in self.code.items() if source.strip() == execution.source.strip()]
        order = list(self.code)
        start = order.index(after) if after in self.code else -1
        return next((id for id in alike if order.index(id) > start), alike[0] if alike else None)


class Extension:
    """What one shell has executed, and its magics."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._scheduler = Scheduler()
        self._path: Optional[str] = None
        self._known: Optional[Document] = None
        self._last: Optional[str] = None
        self._is_syncing = False
        self._current: Optional[Execution] = None
        self._is_current_told = False
        # How those have ended is not known. The last one is what loads the extension.
        inputs = list(shell.history_manager.input_hist_raw)[1:] if shell.history_manager else []
        self._untold: List[Execution] = [self._identified(None, source) for source in inputs]

    def register(self) -> None:
        """Begins to listen and brings the magics in."""
        self._shell.events.register("pre_run_cell", self._begun)
        self._shell.events.register("post_run_cell", self._ended)
        for name in ("graph", "stale", "sync"):
            self._shell.magics_manager.register_function(_telling(getattr(self, name)), magic_name=name)

    def unregister(self) -> None:
        """Takes all that back."""
        self._shell.events.unregister("pre_run_cell", self._begun)
        self._shell.events.unregister("post_run_cell", self._ended)
        for name in ("graph", "stale", "sync"):
            self._shell.magics_manager.magics["line"].pop(name, None)

    def graph(self, line: str) -> Graph:
        """Draws which cell of the notebook reads what from which.

        %graph [NOTEBOOK.ipynb]
        """
        arguments = _Arguments(line, "graph")
        arguments.refuse_rest()
        document = self._document(arguments.path)
        return self._scheduler.analyse(document.with_sources({}))

    def stale(self, line: str) -> Plan:
        """Tells which cells of the notebook are stale in this kernel, and why.

        %stale [NOTEBOOK.ipynb] [TARGET…] [--allow-expensive]
        """
        arguments = _Arguments(line, "stale")
        return self._plan(self._document(arguments.path), arguments)

    def sync(self, line: str) -> None:
        """Executes the stale cells of the notebook in this kernel, and shows their outputs here, each after the cell's id.

        %sync [NOTEBOOK.ipynb] [TARGET…] [--allow-expensive]

        A TARGET is a part of the notebook, to be executed with what it needs: CELL, CELL+, A..B, tag:NAME. Nothing is written
        into the notebook. A cell that clears its output clears all that is shown here.
        """
        arguments = _Arguments(line, "sync")
        document = self._document(arguments.path)
        plan = self._plan(document, arguments)
        for warning in plan.warnings:
            print(warning)
        deletions = {step["before"]: step["names"] for step in plan.delete}
        self._is_syncing = True
        try:
            for cell in plan:
                self._delete(deletions.get(cell.index, ()))
                self._execute(cell, document)
            self._delete(deletions.get(None, ()))
        finally:
            self._is_syncing = False
        if not plan.cells:
            print(f"nothing is stale in {os.path.basename(document.path)}")

    def _begun(self, info: Any) -> None:
        if not self._is_syncing:
            self._current = self._identified(getattr(info, "cell_id", None), info.raw_cell)
            self._is_current_told = False

    def _ended(self, result: ExecutionResult) -> None:
        if self._is_syncing or self._current is None:
            return
        if not result.success or not self._is_current_told:
            self._untold.append(self._current._replace(status=_status(result)))
        self._current = None

    def _identified(self, cell_id: Optional[str], source: str) -> Execution:
        """What is about to be executed. Only now is the file known to have the cell's source, in case that nothing tells the
        cell's id.
        """
        execution = Execution(cell_id, _without_ours(source), "ok")
        try:
            document = self._now()
        except Error:
            return execution
        return execution._replace(cell_id=self._find(execution, document))

    def _find(self, execution: Execution, document: Document) -> Optional[str]:
        found = document.find(execution, self._last) if execution.source.strip() else None
        self._last = found or self._last
        return found

    def _now(self) -> Document:
        """The file as it is now."""
        path = self._path or _found(self._shell.user_ns)
        if self._known is None or self._known.version != _version(path):
            self._known = Document(path)
        return self._known

    def _document(self, path: Optional[str]) -> Document:
        if path is not None:
            self._path = os.path.abspath(path)
        document = self._now()
        executions, self._untold = self._untold, []
        if self._current is not None and not self._is_current_told:
            # It goes on, and is not executed within itself.
            executions.append(self._current)
            self._is_current_told = True
        taken = None
        for execution in executions:
            taken = self._tell(execution, document, taken)
        return document

    def _tell(self, execution: Execution, document: Document, taken: Optional[Dict[str, str]]) -> Optional[Dict[str, str]]:
        """Tells the scheduler what was executed, which may be another source than the cell has by now. `taken` and what is
        given back are such sources, where the scheduler knows the notebook with them.
        """
        found = self._find(execution, document)
        if found is None:
            return taken
        sources = {} if document.code[found].strip() == execution.source.strip() else {found: execution.source}
        if sources != taken:
            self._scheduler.analyse(document.with_sources(sources))
        self._scheduler.executed([found], status=execution.status)
        return sources

    def _plan(self, document: Document, arguments: _Arguments) -> Plan:
        notebook, expensive = document.with_sources({}), arguments.allows_expensive
        return self._scheduler.plan(notebook, targets=arguments.rest, allow_expensive=expensive)

    def _delete(self, names: Any) -> None:
        for name in names:
            self._shell.user_ns.pop(name, None)

    def _execute(self, cell: PlannedCell, document: Document) -> None:
        if self._awaits(cell.source):
            raise InvalidRequestError(f"cell #{cell.index} ({cell.id}) awaits at its top level; run it by itself")
        _label(cell)
        result = self._run(cell.source)
        may_go_on = result.success or document.may_raise(cell.id)
        self._scheduler.executed([cell.id], status="ok" if may_go_on else _status(result))
        if not may_go_on:
            raise _stopped(cell, result)

    def _awaits(self, source: str) -> bool:
        try:
            transformed = self._shell.transform_cell(source)  # type: ignore[no-untyped-call, unused-ignore]
        except SyntaxError:
            return False
        return self._shell.should_run_async(source, transformed_cell=transformed)

    def _run(self, source: str) -> ExecutionResult:
        assert self._shell.history_manager is not None
        inputs = self._shell.history_manager.input_hist_parsed
        ours = inputs[-1]
        # Where IPython looks for the semicolon that silences a result.
        inputs[-1] = source
        try:
            result: ExecutionResult = self._shell.run_cell(source, store_history=False)  # type: ignore[no-untyped-call, unused-ignore]
            return result
        finally:
            inputs[-1] = ours


class _Arguments:
    def __init__(self, line: str, magic: str) -> None:
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise InvalidRequestError(f"%{magic}: {error}") from None
        self._magic = magic
        self.path = next((word for word in words if word.endswith(".ipynb")), None)
        self.allows_expensive = "--allow-expensive" in words
        self.rest = [word for word in words if word not in (self.path, "--allow-expensive")]
        unknown = [word for word in self.rest if word.startswith("-")]
        if unknown:
            raise InvalidRequestError(f"%{magic} has no option {unknown[0]}; %{magic}? tells what it has")

    def refuse_rest(self) -> None:
        """Refuses what is more than a notebook."""
        if self.rest or self.allows_expensive:
            raise InvalidRequestError(f"%{self._magic} takes a notebook (.ipynb) and nothing else")


class _Stopped(CellExecutionError):
    """The traceback of the cell is shown already."""

    def _render_traceback_(self) -> List[str]:
        return [str(self)]


def _telling(magic: Callable[[str], Any]) -> Callable[[str], Any]:
    """A magic that tells what goes wrong in a sentence, without a traceback of ours."""

    @wraps(magic)
    def telling(line: str) -> Any:
        from IPython.core.error import UsageError

        try:
            return magic(line)
        except _Stopped:
            raise
        except Error as error:
            raise UsageError(str(error)) from None

    return telling


def _status(result: ExecutionResult) -> _Status:
    if result.success:
        return "ok"
    return "interrupted" if isinstance(result.error_in_exec, KeyboardInterrupt) else "error"


def _stopped(cell: PlannedCell, result: ExecutionResult) -> _Stopped:
    cause = result.error_before_exec or result.error_in_exec
    stopped = _Stopped(f"%sync has stopped: cell #{cell.index} ({cell.id}) raised {type(cause).__name__}: {cause}")
    stopped.ename, stopped.evalue = type(cause).__name__, str(cause)
    stopped.cell_id, stopped.cell_index, stopped.source = cell.id, cell.index, cell.source
    return stopped


def _label(cell: PlannedCell) -> None:
    from html import escape

    from IPython.display import display

    text = f"cell #{cell.index} ({cell.id}): {cell.why}"
    display({"text/plain": text, "text/html": f"<small><b>{escape(text)}</b></small>"}, raw=True)  # type: ignore[no-untyped-call]


def _read(path: str) -> Dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            notebook: Dict[str, Any] = json.load(file)
    except OSError as error:
        raise NotFoundError(f"{path}: cannot read this notebook: {error.strerror}; name it: %sync PATH.ipynb") from None
    except ValueError as error:
        raise CorruptError(f"{path}: this is no notebook, since it is no JSON: {error}") from None
    try:
        cells = [_cell(index, cell) for index, cell in enumerate(notebook["cells"])]
    except (KeyError, TypeError, AttributeError):
        raise CorruptError(f"{path}: this is no notebook of format 4, since it has no cells, or one without a source") from None
    return {**notebook, "cells": cells, "nbformat_minor": max(5, notebook.get("nbformat_minor", 0))}


def _version(path: str) -> "Optional[Tuple[str, int, int, int]]":
    """What tells one state of a file from another."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return path, status.st_ino, status.st_mtime_ns, status.st_size


def _cell(index: int, cell: Dict[str, Any]) -> Dict[str, Any]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "code":
        source = _without_ours(source)
    return {"id": f"cell-{index}", "metadata": {}, **cell, "source": source}


def _without_ours(source: str) -> str:
    return _ASSIGNED.sub(" None", _OURS.sub("", source))


def _found(names: Dict[str, Any]) -> str:
    """The notebook that this kernel belongs to, as far as Jupyter or VS Code tells."""
    told: Tuple[Any, ...] = (names.get("__vsc_ipynb_file__"), os.environ.get("JPY_SESSION_NAME"))
    for path in told:
        if isinstance(path, str) and path.endswith(".ipynb"):
            return os.path.abspath(path)
    raise NotFoundError("which notebook this kernel belongs to is not known; name it once: %sync PATH.ipynb")


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """``%load_ext mcp_jupyter``: brings ``%graph``, ``%stale`` and ``%sync`` into a shell of IPython."""
    if not hasattr(ipython, _ATTRIBUTE):
        extension = Extension(ipython)
        extension.register()
        setattr(ipython, _ATTRIBUTE, extension)


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """``%unload_ext mcp_jupyter``: takes them away again."""
    extension: Optional[Extension] = getattr(ipython, _ATTRIBUTE, None)
    if extension is not None:
        extension.unregister()
        delattr(ipython, _ATTRIBUTE)
