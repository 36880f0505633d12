"""What pytest shows of a notebook that has failed."""

from __future__ import annotations

import difflib
import re
from typing import List, Optional

from _pytest._code.code import ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback

from .compare import Difference
from .trial import Problem, TestedCell

__all__ = ["NotebookFailure", "represent"]

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

# How much of one difference is shown.
_LINES = 60
_LINE_LENGTH = 400


class NotebookFailure(Exception):
    """A notebook or a cell has failed as a test."""

    def __init__(self, path: str, problems: List[Problem]) -> None:
        super().__init__("; ".join(_told(problem) for problem in problems))
        self.path = path
        self.problems = problems


def represent(failure: NotebookFailure, coloured: bool) -> ReprExceptionInfo:
    """The failure, in a form that survives the way from one of pytest-xdist's workers."""
    text = "\n\n".join("\n".join(_lines(problem)) for problem in failure.problems) + "\n"
    entries = [ReprEntryNative([text if coloured else _COLOURS.sub("", text)])]
    line = _line_of(failure.path, failure.problems[0].cell)
    first = _told(failure.problems[0])
    more = f" (and {len(failure.problems) - 1} more)" if len(failure.problems) > 1 else ""
    crash = ReprFileLocation(failure.path, line, first + more)
    return ReprExceptionInfo(reprtraceback=ReprTraceback(entries, None, "native"), reprcrash=crash)


def _told(problem: Problem) -> str:
    return problem.headline if problem.cell is None else f"{problem.cell.title}: {problem.headline}"


def _lines(problem: Problem) -> List[str]:
    lines = [_told(problem)]
    if problem.cell is not None:
        lines += ["", *(f"    {line}" for line in problem.cell.source.rstrip().splitlines())]
    if problem.traceback:
        lines += ["", *problem.traceback]
    for difference in problem.differences:
        lines += ["", *_difference(difference)]
    return lines


def _difference(difference: Difference) -> List[str]:
    stored, new = difference.stored, difference.new
    if stored is None:
        return [f"{difference.field}: not stored, and now there is:", *_side("+", new or "")]
    if new is None:
        return [f"{difference.field}: missing; stored is:", *_side("-", stored)]
    lines = difflib.unified_diff(stored.splitlines(), new.splitlines(), lineterm="", n=3)
    # The first two name files.
    shown = list(lines)[2:] or ["  (the ends of lines differ)"]
    return [f"{difference.field}: - stored, + new", *_bounded(shown)]


def _side(mark: str, text: str) -> List[str]:
    return _bounded([f"{mark}{line}" for line in text.splitlines()])


def _bounded(lines: List[str]) -> List[str]:
    shown = [line if len(line) <= _LINE_LENGTH else f"{line[:_LINE_LENGTH]}…" for line in lines[:_LINES]]
    rest = len(lines) - len(shown)
    return [*shown, f"… {rest} more lines"] if rest else shown


def _line_of(path: str, cell: Optional[TestedCell]) -> int:
    """Where a cell begins in the file, for those who open it as text."""
    if cell is None or cell.id is None:
        return 1
    with open(path, encoding="utf-8") as file:
        before, found, _ = file.read().partition(f'"id": "{cell.id}"')
    return before.count("\n") + 1 if found else 1


