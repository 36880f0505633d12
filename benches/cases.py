"""The notebooks that the runners are timed on, and what a complete result of each looks like.

Needs nothing but the standard library. `compare.py` runs the cases.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import pathlib
from collections.abc import Callable

MEGABYTE = 1_000_000

Cells = list[dict]


@dataclasses.dataclass(frozen=True)
class Case:
    """One notebook, how often it runs at once, and how to see that nothing of its output is missing."""

    name: str
    sources: list[str]
    complaint: Callable[[Cells], str | None]
    """What is missing in the executed code cells; nothing if they are complete."""
    output_bytes: int = 0
    """The least size of what the kernel sends."""
    copies: int = 1
    versus_execute: float | None = None
    """The greatest ratio to `jupyter execute` that passes."""

    def write(self, path: pathlib.Path) -> None:
        """Writes the notebook, not executed."""
        cells = [
            {"cell_type": "code", "id": f"cell-{i}", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
            for i, source in enumerate(self.sources)
        ]
        spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
        notebook = {"cells": cells, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}
        path.write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")

    def check(self, path: pathlib.Path) -> str | None:
        """What is wrong with the executed notebook at `path`; nothing if it is complete."""
        try:
            with path.open(encoding="utf-8") as file:
                cells = json.load(file)["cells"]
        except (OSError, ValueError) as error:
            return f"no notebook was written: {error}"
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        if len(code) != len(self.sources):
            return f"{len(code)} code cells, not {len(self.sources)}"
        unexecuted = sum(cell["execution_count"] is None for cell in code)
        if unexecuted:
            return f"{unexecuted} cells without an execution count"
        return self.complaint(code)


def joined(value: str | list[str]) -> str:
    """A multi-line string of a notebook file as one string."""
    return value if isinstance(value, str) else "".join(value)


def printed(cell: dict, name: str = "stdout") -> str:
    """Everything that a cell has written to one stream."""
    streams = (output for output in cell["outputs"] if output["output_type"] == "stream" and output["name"] == name)
    return "".join(joined(output["text"]) for output in streams)


def displayed(cell: dict, mime: str = "text/plain") -> list[str]:
    """The representations in one MIME type that a cell has displayed."""
    return [joined(output["data"][mime]) for output in cell["outputs"] if mime in output.get("data", {})]


def prints(expected: str) -> Callable[[Cells], str | None]:
    """Complains unless the last cell has printed `expected`."""

    def complaint(cells: Cells) -> str | None:
        text = printed(cells[-1])
        if text == expected:
            return None
        return f"{text.count(chr(10))} of {expected.count(chr(10))} lines, {len(text)} of {len(expected)} characters"

    return complaint


def displays(count: int, length: int) -> Callable[[Cells], str | None]:
    """Complains unless the last cell has displayed `count` texts of `length` characters."""

    def complaint(cells: Cells) -> str | None:
        lengths = [len(text) for text in displayed(cells[-1])]
        return None if lengths == [length] * count else f"{len(lengths)} displays of {sum(lengths)} characters"

    return complaint


def silent(cells: Cells) -> str | None:
    """Complains if any cell has an output."""
    loud = sum(bool(cell["outputs"]) for cell in cells)
    return f"{loud} cells have outputs" if loud else None


def three_outputs(cells: Cells) -> str | None:
    """Complains unless each cell has printed, displayed and returned its number."""
    for i, cell in enumerate(cells):
        # A print that a flush has split is two streams with some runners; nothing of it is missing.
        kinds = [kind for kind, _ in itertools.groupby(output["output_type"] for output in cell["outputs"])]
        if kinds != ["stream", "display_data", "execute_result"] or printed(cell) != f"line {i}\n":
            return f"cell {i} has {kinds}"
    return None


def trivial(count: int, **options: object) -> Case:
    """`count` cells that assign a number."""
    return Case(f"cells-{count}", [f"x = {i}" for i in range(count)], silent, **options)


def printing(name: str, source: str, text: str, versus_execute: float) -> Case:
    """One cell that prints `text`."""
    return Case(name, [source], prints(text), output_bytes=len(text), versus_execute=versus_execute)


def lines(count: int) -> str:
    """The numbers up to `count`, one a line."""
    return "".join(f"{i}\n" for i in range(count))


def display_text(length: int, count: int = 1) -> str:
    """Code that displays `count` texts of `length` characters."""
    call = f'display({{"text/plain": "x" * {length}}}, raw=True)'
    return call if count == 1 else f"for i in range({count}):\n    {call}"


THREE_OUTPUTS = 'print("line", {0})\ndisplay({{"text/html": "<b>{0}</b>", "text/plain": "{0}"}}, raw=True)\n{0}'

CASES = [
    printing("hello", 'print("hello")', "hello\n", 0.50),
    trivial(100),
    trivial(1000, versus_execute=0.75),
    trivial(5000),
    printing("lines-200k", "for i in range(200000): print(i)", lines(200_000), 0.9),
    printing("flushed-20k", "for i in range(20000): print(i, flush=True)", lines(20_000), 1.0),
    Case(
        "display-50mb",
        [display_text(50 * MEGABYTE)],
        displays(1, 50 * MEGABYTE),
        output_bytes=50 * MEGABYTE,
        versus_execute=0.7,
    ),
    printing(
        "stream-50mb",
        'import sys\n_ = sys.stdout.write(("x" * 99 + "\\n") * 500_000)',
        ("x" * 99 + "\n") * 500_000,
        0.7,
    ),
    Case(
        "displays-100x5mb",
        [display_text(5 * MEGABYTE, 100)],
        displays(100, 5 * MEGABYTE),
        output_bytes=500 * MEGABYTE,
    ),
    Case("outputs-300x3", [THREE_OUTPUTS.format(i) for i in range(300)], three_outputs),
    Case("twenty-at-once", ["import math"] + [f"print(math.sqrt({i}))" for i in range(1, 10)], prints("3.0\n"), copies=20),
]
