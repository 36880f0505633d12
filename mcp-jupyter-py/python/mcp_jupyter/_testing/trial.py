"""One notebook that is tested: what there is to test in it, its run, and what is wrong with that."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .. import exceptions
from .._options import native_options
from .._run import execute
from ..results import RunResult
from .compare import Difference, Sanitize, differences
from .document import Places, code_after, for_run, overwrite, read_notebook
from .rules import Rules, rules_of

__all__ = ["Problem", "Settings", "TestedCell", "Trial"]

_NAME = re.compile(r"cell #\d+ \(id [^)]*\) ")
_IMPORT_ERRORS = ("ImportError", "ModuleNotFoundError")


@dataclass(frozen=True)
class Settings:
    """What holds for all notebooks."""

    default: Rules
    sanitize: Sanitize
    timeout: float
    startup_timeout: float
    kernel: Optional[str]
    by_cell: bool
    overwrites: bool
    import_errors_only: bool


@dataclass(frozen=True)
class TestedCell:
    """A cell of code.

    Attributes
    ----------
    stored : list of dict
        The outputs that are in the notebook.
    is_stored : bool
        Whether the notebook shows that it was executed, so that there is something to compare with.
    has_code_after : bool
        Whether nbmake's metadata name code that is to be executed after it.
    """

    __test__ = False

    index: int
    id: Optional[str]
    source: str
    rules: Rules
    stored: List[Dict[str, Any]]
    is_stored: bool
    has_code_after: bool

    @property
    def name(self) -> str:
        """What it is called in the names of tests."""
        return f"cell-{self.index}" if self.id is None else f"cell-{self.index}-{self.id}"

    @property
    def title(self) -> str:
        """What it is called for people."""
        return f"cell #{self.index}" if self.id is None else f"cell #{self.index} (id {self.id})"


@dataclass
class Problem:
    """Something that makes a test fail."""

    headline: str
    cell: Optional[TestedCell] = None
    traceback: List[str] = field(default_factory=list)
    differences: List[Difference] = field(default_factory=list)


class Trial:
    """A notebook that is tested. It is run when it is first asked what is wrong with it."""

    def __init__(self, path: str, settings: Settings) -> None:
        self.path = path
        self._settings = settings
        self._notebook = read_notebook(path)
        self._execution: Mapping[str, Any] = self._notebook["metadata"].get("execution", {})
        cells = enumerate(self._notebook["cells"])
        self.cells = [self._tested(index, cell) for index, cell in cells if _is_code(cell)]
        self._ended: Optional[_Ended] = None
        self._refusal: Optional[exceptions.Error] = None

    def _tested(self, index: int, cell: Mapping[str, Any]) -> TestedCell:
        source = _text(cell["source"])
        try:
            rules = rules_of(cell, source, self._settings.default)
        except exceptions.InvalidRequestError as error:
            raise exceptions.InvalidRequestError(f"{self.path}: cell #{index}: {error}") from None
        stored = cell.get("outputs", [])
        is_stored = bool(stored) or cell.get("execution_count") is not None
        return TestedCell(index, cell.get("id"), source, rules, stored, is_stored, bool(code_after(cell)))

    def problems(self) -> List[Problem]:
        """What is wrong with the notebook.

        Raises
        ------
        Error
            Where it could not be run.
        """
        ended = self._run(None)
        found = [problem for cell in self.cells for problem in self._problems_of(cell, ended)]
        if found or ended.result.status in ("ok", "cell_failed"):
            return found
        if self._settings.import_errors_only and ended.result.status == "timed_out":
            return []
        return [Problem(ended.why())]

    def problems_of(self, cell: TestedCell, last: int) -> Optional[List[Problem]]:
        """What is wrong with a cell, where no cell after `last` is of interest; None where it was not executed.

        Raises
        ------
        Error
            Where the notebook could not be run.
        """
        ended = self._run(last)
        return None if ended.of(cell) is None else self._problems_of(cell, ended)

    def seconds_of(self, cell: TestedCell) -> Optional[float]:
        """How long a cell took."""
        done = self._ended.of(cell) if self._ended else None
        return done["seconds"] if done else None

    def why_ended(self) -> str:
        """Why cells were not executed."""
        return self._ended.why() if self._ended else "the notebook was not run"

    def _run(self, last: Optional[int]) -> _Ended:
        if self._refusal is not None:
            raise self._refusal
        if self._ended is None:
            try:
                self._ended = self._execute(last)
            except exceptions.Error as error:
                self._refusal = error
                raise
        return self._ended

    def _execute(self, last: Optional[int]) -> _Ended:
        notebook, places = for_run(self._notebook, {cell.index: cell.rules for cell in self.cells})
        end = None if last is None or self._settings.overwrites else self._end_of(last, places)
        ended = _Ended(places)
        begin: Optional[int] = 0
        while begin is not None:
            result = execute(native_options(notebook, None, self._options(begin, end)))
            if result.status == "interrupted":
                raise KeyboardInterrupt
            ended.add(result)
            begin = self._next_part(result, places)
        if self._settings.overwrites:
            overwrite(self.path, self._notebook, json.loads(result.to_bytes()), places)
        return ended

    def _options(self, begin: int, end: Optional[int]) -> Dict[str, Any]:
        limit = self._timeout()
        goes_on = self._settings.by_cell or self._settings.import_errors_only or self._execution.get("allow_errors")
        return {
            "kernel": self._settings.kernel,
            "cwd": os.path.dirname(self.path),
            "timeout": limit if limit > 0 else None,
            "startup_timeout": self._settings.startup_timeout,
            "on_error": "continue" if goes_on else "stop",
            "first": f"#{begin}" if begin else None,
            "last": None if end is None else f"#{end}",
        }

    def _timeout(self) -> float:
        told = self._execution.get("timeout")
        if told is None:
            return self._settings.timeout
        if not isinstance(told, (int, float)):
            raise exceptions.InvalidRequestError(f"{self.path}: metadata.execution.timeout: a number of seconds was expected")
        return float(told)

    def _next_part(self, result: RunResult, places: Places) -> Optional[int]:
        """Where a new kernel goes on to look for failing imports after a cell that has taken too long, which ends a run."""
        stopped_at = result.summary["outcome"].get("cell")
        if not self._settings.import_errors_only or result.status != "timed_out" or stopped_at is None:
            return None
        left = (places[cell.index] for cell in self.cells if not cell.rules.is_skipped)
        return next((place for place in left if place > stopped_at["index"]), None)

    def _end_of(self, index: int, places: Places) -> int:
        has_code_after = any(cell.index == index and cell.has_code_after for cell in self.cells)
        return places[index] + has_code_after

    def _problems_of(self, cell: TestedCell, ended: _Ended) -> List[Problem]:
        done = ended.of(cell)
        if done is None:
            return []
        problems = self._failures(cell, done["outcome"], ended)
        # As nbmake, which does not execute that code after a cell that raises.
        if done["outcome"]["status"] == "ok" and cell.has_code_after and (after := ended.after(cell)):
            problems = self._failures_after(cell, after["outcome"], ended)
        return problems or self._differences(cell, ended)

    def _failures(self, cell: TestedCell, outcome: Mapping[str, Any], ended: _Ended) -> List[Problem]:
        if outcome["status"] == "ok" or self._allows(cell, outcome):
            return []
        if outcome["status"] != "error":
            return [Problem(ended.what(), cell)]
        return [Problem(f"raised {_raised(outcome)}", cell, list(outcome["traceback"]))]

    def _failures_after(self, cell: TestedCell, outcome: Mapping[str, Any], ended: _Ended) -> List[Problem]:
        if outcome["status"] == "ok":
            return []
        if outcome["status"] != "error":
            return [Problem(f"the code after it, which its metadata name for nbmake, {ended.what()}", cell)]
        headline = f"the code after it, which its metadata name for nbmake, raised {_raised(outcome)}"
        return [Problem(headline, cell, list(outcome["traceback"]))]

    def _allows(self, cell: TestedCell, outcome: Mapping[str, Any]) -> bool:
        if self._settings.import_errors_only:
            return outcome["status"] == "timed_out" or outcome.get("ename", _IMPORT_ERRORS[0]) not in _IMPORT_ERRORS
        if outcome["status"] != "error":
            return False
        return cell.rules.may_raise or bool(self._execution.get("allow_errors"))

    def _differences(self, cell: TestedCell, ended: _Ended) -> List[Problem]:
        if self._settings.overwrites or self._settings.import_errors_only:
            return []
        if not cell.rules.compares or not cell.is_stored:
            return []
        new = ended.result.cells[ended.places[cell.index]].outputs
        found = differences(cell.stored, new, cell.rules, self._settings.sanitize)
        kinds = ", ".join(dict.fromkeys(difference.field for difference in found))
        return [Problem(f"other outputs than those stored ({kinds})", cell, differences=found)] if found else []


class _Ended:
    """Runs that have ended, by the places of cells in the file."""

    result: RunResult
    """What the last one has left."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._done: Dict[int, Dict[str, Any]] = {}

    def add(self, result: RunResult) -> None:
        """Takes one in."""
        self.result = result
        self._done.update({done["cell"]["index"]: done for done in result.summary["cells"]})

    def of(self, cell: TestedCell) -> Optional[Dict[str, Any]]:
        """How the execution of a cell went; None where it was not executed."""
        return self._done.get(self.places[cell.index])

    def after(self, cell: TestedCell) -> Optional[Dict[str, Any]]:
        """The same for the code that was added after a cell."""
        return self._done.get(self.places[cell.index] + 1)

    def why(self) -> str:
        """Why the run has ended as it has."""
        try:
            self.result.raise_for_status()
        except exceptions.Error as error:
            return str(error).split("\n")[0]
        return "the run has ended"

    def what(self) -> str:
        """The same, after the name of the cell that has ended it."""
        return _NAME.sub("", self.why(), count=1)


def _raised(outcome: Mapping[str, Any]) -> str:
    return f"{outcome['ename']}: {outcome['evalue']}" if outcome["evalue"] else str(outcome["ename"])


def _is_code(cell: Mapping[str, Any]) -> bool:
    return cell["cell_type"] == "code" and bool(_text(cell["source"]).strip())


def _text(source: Any) -> str:
    return "".join(source)
