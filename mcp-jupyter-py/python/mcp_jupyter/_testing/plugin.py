"""The hooks and the nodes of pytest."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generator, Iterator, List, Optional, Tuple, Union

import pytest

from .. import exceptions
from .compare import read_sanitizers
from .report import NotebookFailure, represent
from .rules import Rules
from .trial import Problem, Settings, TestedCell, Trial

__all__ = ["CellItem", "NotebookFile", "NotebookItem", "NotebookPlugin"]

# Folders of copies.
_COPIES = {".ipynb_checkpoints", "_build"}


class NotebookPlugin:
    """What pytest calls where notebooks are tested."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.getoption
        try:
            sanitize = read_sanitizers(option("--mcp-jupyter-sanitize-with"))
        except exceptions.Error as error:
            raise pytest.UsageError(str(error)) from None
        for name in ("--mcp-jupyter-rtol", "--mcp-jupyter-atol"):
            if not option(name) >= 0:
                raise pytest.UsageError(f"{name}: expected a number that is not negative")
        if option("--mcp-jupyter-overwrite") and option("--mcp-jupyter-import-errors"):
            raise pytest.UsageError("--mcp-jupyter-import-errors keeps no outputs that --mcp-jupyter-overwrite could write")
        default = Rules(not option("--mcp-jupyter-lax"), rtol=option("--mcp-jupyter-rtol"), atol=option("--mcp-jupyter-atol"))
        self._settings = Settings(
            default=default,
            sanitize=sanitize,
            timeout=option("--mcp-jupyter-timeout"),
            startup_timeout=option("--mcp-jupyter-startup-timeout"),
            kernel=option("--mcp-jupyter-kernel"),
            by_cell=option("--mcp-jupyter-cells"),
            overwrites=option("--mcp-jupyter-overwrite"),
            import_errors_only=option("--mcp-jupyter-import-errors"),
        )

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> Optional[pytest.Collector]:
        """Notebooks are files of tests."""
        if file_path.suffix != ".ipynb" or _COPIES.intersection(file_path.parts):
            return None
        return NotebookFile.from_parent(parent, path=file_path, settings=self._settings)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: "pytest.CallInfo[None]") -> Generator[None, Any, None]:
        """A notebook is run as a whole, so how long its cells took is in what the run has left."""
        outcome = yield
        if isinstance(item, CellItem) and call.when == "call" and (seconds := item.seconds()) is not None:
            outcome.get_result().duration = seconds

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """The cells of a notebook need the same kernel, so they go to the same worker."""
        if not self._settings.by_cell or config.getoption("dist") != "load":
            return None
        from .distribution import by_notebook

        return by_notebook(config, log)


class NotebookFile(pytest.File):
    """A notebook."""

    def __init__(self, *, settings: Settings, **options: Any) -> None:
        super().__init__(**options)
        self._settings = settings

    def collect(self) -> Iterator[Union[CellItem, NotebookItem]]:
        """An item for the notebook, or one for every cell of code that is not empty."""
        try:
            trial = Trial(str(self.path), self._settings)
        except exceptions.Error as error:
            raise self.CollectError(str(error)) from None
        if not self._settings.by_cell:
            yield NotebookItem.from_parent(self, name="notebook", trial=trial)
            return
        for cell in trial.cells:
            yield CellItem.from_parent(self, name=cell.name, trial=trial, cell=cell)


class _Item(pytest.Item):
    """What is run and judged."""

    def __init__(self, *, trial: Trial, **options: Any) -> None:
        super().__init__(**options)
        self.trial = trial

    def repr_failure(self, excinfo: "pytest.ExceptionInfo[BaseException]", style: Any = None) -> Any:
        """What is shown of a failure."""
        if not isinstance(excinfo.value, NotebookFailure):
            return super().repr_failure(excinfo, style)
        return represent(excinfo.value, self.config.get_terminal_writer().hasmarkup)

    def reportinfo(self) -> "Tuple[Path, Optional[int], str]":
        """Where it is, and what it is called."""
        return self.path, 0, f"{self.nodeid.partition('::')[0]}: {self.title()}"

    def title(self) -> str:
        """What it is called for people."""
        return self.name

    def _judge(self, problems: List[Problem]) -> None:
        if problems:
            raise NotebookFailure(self.trial.path, problems)


class NotebookItem(_Item):
    """A notebook as one test."""

    def runtest(self) -> None:
        """Runs it."""
        try:
            problems = self.trial.problems()
        except exceptions.Error as error:
            problems = [Problem(str(error))]
        self._judge(problems)


class CellItem(_Item):
    """A cell as a test."""

    def __init__(self, *, cell: TestedCell, **options: Any) -> None:
        super().__init__(**options)
        self._cell = cell

    def title(self) -> str:
        """What it is called for people."""
        return self._cell.title

    def seconds(self) -> Optional[float]:
        """How long it took; None where it was not executed."""
        return self.trial.seconds_of(self._cell)

    def runtest(self) -> None:
        """Judges it, after its notebook has been run up to the last cell that is selected."""
        if self._cell.rules.is_skipped:
            raise _skipped("the cell is marked to be skipped")
        try:
            problems = self.trial.problems_of(self._cell, self._last())
        except exceptions.Error as error:
            problems = [Problem(str(error))]
        if problems is None:
            raise _skipped(f"not executed: {self.trial.why_ended()}")
        self._judge(problems)

    def _last(self) -> int:
        items = self.session.items
        return max(item._cell.index for item in items if isinstance(item, CellItem) and item.trial is self.trial)


def _skipped(reason: str) -> BaseException:
    """What names the notebook, and not this file, as what is skipped."""
    return pytest.skip.Exception(reason, _use_item_location=True)
