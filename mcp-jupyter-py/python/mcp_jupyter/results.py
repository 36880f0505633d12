"""What a run leaves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NoReturn, Optional

from . import exceptions

if TYPE_CHECKING:
    import nbformat
    import pandas as _pandas  # type: ignore[import-untyped, unused-ignore]

__all__ = ["CellResult", "Output", "RunResult"]

_CLASSES = {
    "not_found": exceptions.NotFoundError,
    "invalid_request": exceptions.InvalidRequestError,
    "conflict": exceptions.ConflictError,
    "corrupt": exceptions.CorruptError,
    "kernel_start": exceptions.KernelStartError,
    "kernel_died": exceptions.KernelDiedError,
    "timed_out": exceptions.TimedOutError,
    "unsupported": exceptions.UnsupportedError,
    "io": exceptions.SystemCallError,
    "unavailable": exceptions.UnavailableError,
}


def _joined(text: Any) -> Any:
    """A text of a notebook's file, which may be a list of lines."""
    return "".join(text) if isinstance(text, list) else text


def _join_lines(cell: Dict[str, Any]) -> None:
    """Makes texts of what the file has as lists of lines, as nbformat does when it reads."""
    cell["source"] = _joined(cell["source"])
    bundles = [output["data"] for output in cell.get("outputs", []) if "data" in output]
    for bundle in [*bundles, *cell.get("attachments", {}).values()]:
        for kind, value in bundle.items():
            if kind != "application/json" and not kind.endswith("+json"):
                bundle[kind] = _joined(value)
    for output in cell.get("outputs", []):
        if "text" in output:
            output["text"] = _joined(output["text"])


class Output(Dict[str, Any]):
    """One output of a cell, as nbformat has it, which Jupyter shows as it was in the notebook.

    Attributes
    ----------
    display_id : str or None
        By which a kernel that has just sent it may update it later.
    """

    display_id: Optional[str] = None

    @property
    def text(self) -> str:
        """The output as plain text; empty where it has none."""
        if "text" in self:
            return str(self["text"])
        if "traceback" in self:
            return "\n".join(self["traceback"])
        return str(self.get("data", {}).get("text/plain", ""))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, Any]:
        return {"text/plain": self.text, **self.get("data", {})}


class CellResult:
    """What came of one cell.

    Attributes
    ----------
    id : str or None
        The cell's id; None where the notebook has none and the cell was not executed.
    index : int
        Its place among all cells, from 0.
    cell_type : str
        ``code``, ``markdown`` or ``raw``.
    source : str
        Its text.
    status : str or None
        How its execution ended: ``ok``, ``error``, ``aborted``, ``interrupted``, ``timed_out``, ``kernel_died`` or
        ``incomplete``; None where it was not executed.
    seconds : float or None
        How long that took.
    execution_count : int or None
        The ``n`` of ``In[n]``.
    outputs : list of Output
        Its outputs.
    """

    __slots__ = ("cell_type", "execution_count", "id", "index", "outputs", "seconds", "source", "status")

    def __init__(self, index: int, cell: Mapping[str, Any], summary: Optional[Mapping[str, Any]]) -> None:
        self.index = index
        self.id: Optional[str] = summary["cell"]["id"] if summary else cell.get("id")
        self.cell_type: str = cell["cell_type"]
        self.source: str = cell["source"]
        self.status: Optional[str] = summary["outcome"]["status"] if summary else None
        self.seconds: Optional[float] = summary["seconds"] if summary else None
        self.execution_count: Optional[int] = cell.get("execution_count")
        self.outputs: List[Output] = [Output(output) for output in cell.get("outputs", [])]

    def __repr__(self) -> str:
        return f"<CellResult #{self.index} {self.id}: {self.status or 'not run'}>"


class RunResult:
    """What a run leaves: the notebook with its outputs, and what came of every cell. Jupyter shows it as a table.

    Attributes
    ----------
    summary : dict
        How the run ended: ``outcome``, ``seconds``, ``planned``, ``skipped``, ``warnings``, and the executed ``cells``.
    output : str or None
        Where the notebook was saved.
    """

    def __init__(self, document: bytes, summary: Dict[str, Any], output: Optional[str] = None) -> None:
        self.summary = summary
        self.output = output
        self._document = document
        self._cells: Optional[List[CellResult]] = None

    @property
    def ok(self) -> bool:
        """Whether the run has ended as it should."""
        return self.status == "ok"

    @property
    def status(self) -> str:
        """How the run ended: ``ok``, ``cell_failed``, ``timed_out``, ``kernel_died``, ``interrupted``, ``failed``, or
        ``prepared`` where it was not to be executed.
        """
        outcome = self.summary["outcome"]
        return str(outcome["status"]) if outcome else "prepared"

    @property
    def seconds(self) -> float:
        """How long the run took, in seconds."""
        return float(self.summary["seconds"])

    @property
    def warnings(self) -> List[str]:
        """What the user was warned of."""
        return list(self.summary["warnings"])

    @property
    def cells(self) -> List[CellResult]:
        """All cells of the notebook, in order."""
        if self._cells is None:
            executed = {cell["cell"]["index"]: cell for cell in self.summary["cells"]}
            cells = enumerate(self.to_dict()["cells"])
            self._cells = [CellResult(index, cell, executed.get(index)) for index, cell in cells]
        return self._cells

    @property
    def outputs(self) -> List[Output]:
        """All outputs of all cells, in order."""
        return [output for cell in self.cells for output in cell.outputs]

    def to_dict(self) -> Dict[str, Any]:
        """The notebook as a new dictionary, in which every text is one string."""
        notebook: Dict[str, Any] = json.loads(self._document)
        for cell in notebook["cells"]:
            _join_lines(cell)
        return notebook

    def to_bytes(self) -> bytes:
        """The notebook as the bytes of its file."""
        return self._document

    def to_nbformat(self) -> nbformat.NotebookNode:
        """The notebook as `nbformat` has it.

        Raises
        ------
        ImportError
            Where `nbformat` is not installed; `to_dict` needs nothing.
        """
        import nbformat

        return nbformat.from_dict(self.to_dict())  # type: ignore[no-untyped-call, no-any-return]

    def to_pandas(self) -> _pandas.DataFrame:
        """What came of the code cells, a row each.

        Raises
        ------
        ImportError
            Where `pandas` is not installed.
        """
        import pandas

        columns = ["index", "id", "status", "seconds", "execution_count"]
        rows = [[getattr(cell, name) for name in columns] for cell in self._code_cells()]
        return pandas.DataFrame(rows, columns=columns).set_index("index")

    def raise_for_status(self) -> None:
        """Raises what fits the end of the run, where that is not ``ok``.

        Raises
        ------
        CellExecutionError
            Where a cell has failed.
        TimedOutError, KernelDiedError, Error
            Where the run has ended otherwise.
        KeyboardInterrupt
            Where it was interrupted.
        """
        if self.status not in ("ok", "prepared"):
            self._raise()

    def _raise(self) -> NoReturn:
        outcome = self.summary["outcome"]
        status, cell = outcome["status"], outcome.get("cell")
        if status == "interrupted":
            raise KeyboardInterrupt
        if status == "cell_failed":
            error: exceptions.Error = self._cell_error(cell)
        elif status == "timed_out":
            error = exceptions.TimedOutError(self._timeout(cell))
        elif status == "kernel_died":
            error = exceptions.KernelDiedError(self._death(cell))
        else:
            error = _CLASSES.get(outcome.get("kind"), exceptions.Error)(outcome.get("message", status))
        error.result = self
        raise error

    def _outcome_of(self, cell: Mapping[str, Any]) -> Dict[str, Any]:
        outcomes = [done["outcome"] for done in self.summary["cells"] if done["cell"] == cell]
        return dict(outcomes[-1]) if outcomes else {"status": "error"}

    def _cell_error(self, ref: Mapping[str, Any]) -> exceptions.CellExecutionError:
        outcome, cell = self._outcome_of(ref), self.cells[ref["index"]]
        traceback = list(outcome.get("traceback", []))
        ename, evalue = outcome.get("ename", outcome["status"]), outcome.get("evalue", "")
        raised = f"{ename}: {evalue}" if evalue else ename
        what = f"{_name(ref)}, In[{cell.execution_count}], raised {raised}"
        error = exceptions.CellExecutionError("\n".join([what, *traceback]))
        error.ename, error.evalue, error.traceback = ename, evalue, traceback
        error.cell_id, error.cell_index = ref["id"], ref["index"]
        error.exec_count, error.source = cell.execution_count, cell.source
        return error

    def _timeout(self, ref: Optional[Mapping[str, Any]]) -> str:
        limit = self._outcome_of(ref).get("limit") if ref else None
        if ref is None or limit is None:
            return "the run took longer than allowed"
        return f"{_name(ref)} timed out: the limit of {limit:g} s was reached"

    def _death(self, ref: Mapping[str, Any]) -> str:
        death = self._outcome_of(ref).get("death", {})
        code, signal = death.get("exit_code"), death.get("signal")
        how = f"by signal {signal}" if signal is not None else f"with exit code {code}"
        hint = " (perhaps for want of memory)" if signal == 9 else ""
        last_words = str(death.get("stderr", "")).strip()
        sentence = f"{_name(ref)} did not end: the kernel ended {how}{hint}"
        return f"{sentence}; its last words: {last_words}" if last_words else sentence

    def _code_cells(self) -> List[CellResult]:
        return [cell for cell in self.cells if cell.cell_type == "code"]

    def __repr__(self) -> str:
        executed = len(self.summary["cells"])
        return f"<RunResult {self.status}: {executed} of {self.summary['planned']} cells, {self.seconds:.1f} s>"

    def _repr_html_(self) -> str:
        from html import escape

        def row(cell: CellResult) -> str:
            seconds = "" if cell.seconds is None else f"{cell.seconds:.2f} s"
            source = escape(cell.source.strip().split("\n")[0][:80])
            texts = (cell.execution_count or "", cell.status or "not run", seconds)
            columns = "".join(f"<td>{escape(str(text))}</td>" for text in texts)
            return f"<tr>{columns}<td style='text-align:left'><code>{source}</code></td></tr>"

        rows = "".join(row(cell) for cell in self._code_cells())
        head = "<tr><th>In</th><th>status</th><th>time</th><th style='text-align:left'>cell</th></tr>"
        return f"<table><caption>{escape(repr(self)[1:-1])}</caption>{head}{rows}</table>"


def _name(ref: Mapping[str, Any]) -> str:
    return f"cell #{ref['index']} (id {ref['id']})"
