"""Running one notebook, and waiting for it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Mapping, Optional, Set, Union

from ._native import Run
from ._options import Notebook, Path, native_options
from .results import RunResult

if TYPE_CHECKING:
    from typing_extensions import Literal

    from ._assets import Assets
    from .backends import AssetStore, Scheduler
    from .events import Event

OnEvent = Callable[["Event"], object]


def run(
    notebook: Notebook,
    output: Optional[Path] = None,
    *,
    parameters: Optional[Mapping[str, Any]] = None,
    kernel: Optional[str] = None,
    python: Optional[Path] = None,
    timeout: Optional[float] = None,
    on_event: Optional[OnEvent] = None,
    progress: bool = False,
    check: bool = True,
    cwd: Optional[Path] = None,
    env: Optional[Mapping[str, str]] = None,
    run_timeout: Optional[float] = None,
    startup_timeout: float = 60.0,
    on_error: Literal["stop", "continue", "independent"] = "stop",
    save: Union[Literal["every-cell", "on-exit"], float] = "every-cell",
    tags: Iterable[str] = (),
    skip_tags: Iterable[str] = (),
    first: Optional[str] = None,
    last: Optional[str] = None,
    targets: Iterable[str] = (),
    resume: bool = False,
    assets: Union[None, Path, Assets, AssetStore] = None,
    asset_threshold: Optional[int] = None,
    scheduler: Optional[Scheduler] = None,
    redact: bool = False,
    strip_timing: bool = False,
) -> RunResult:
    """Runs a notebook on a new kernel, and waits for its end.

    The interpreter lock is released meanwhile. Ctrl-C interrupts the cell that is being executed, saves the notebook and
    ends the kernel; a second one ends it at once.

    Parameters
    ----------
    notebook : path, dict or nbformat.NotebookNode
        The notebook. It is not changed.
    output : path, optional
        Where to save it, while it runs and at the end; missing folders are made. Without it nothing is saved. It and the
        notebook may be at ``s3://``, ``gs://`` or ``az://``.
    parameters : mapping, optional
        Values for the cell tagged ``parameters``, as papermill injects them.
    kernel : str, optional
        The name of a kernelspec; see `kernelspecs`. Without it, and without `python`, a notebook of another language or
        one that names an installed kernel other than ``python3`` runs on that, and every other one on this very
        interpreter, where it has ipykernel.
    python : path, optional
        An interpreter that has ipykernel; with `kernel`, the one in whose environment to look for that first.
    timeout, run_timeout : float, optional
        How long one cell, and the whole run, may take, in seconds.
    on_event : callable, optional
        Called with every event of the run (see `mcp_jupyter.events`), in this thread. What it raises ends the run, and is
        raised again.
    progress : bool
        Whether to show a progress bar, by tqdm or rich, where one of them is installed.
    check : bool
        Whether to raise where the run does not end as it should; without it, look at ``result.status``.
    cwd : path, optional
        The kernel's folder; else the notebook's, or ours for one that has none.
    env : mapping, optional
        Environment variables for the kernel.
    startup_timeout : float
        How long the kernel may take to start, in seconds.
    on_error : {"stop", "continue", "independent"}
        What happens after a cell that raises: the run ends; all cells are executed; those are that do not depend on it.
    save : {"every-cell", "on-exit"} or float
        When to save besides the end; a number is a time in seconds.
    tags, skip_tags : iterable of str
        Only cells with one of these tags; none with one of those.
    first, last : str, optional
        The first and the last cell to run: an id, its beginning, or an index such as ``"#3"``.
    targets : iterable of str
        Only these parts and what they need: ``CELL``, ``CELL+``, ``A..B``, ``tag:NAME``.
    resume : bool
        Only what the run that has written `output` has left undone, and what that needs.
    assets : str, path, Assets or backends.AssetStore, optional
        A store for outputs too large for a notebook, or its address: a folder, ``s3://``…
    asset_threshold : int, optional
        From how many bytes on outputs are too large.
    scheduler : backends.Scheduler, optional
        Who decides what is executed; else the library's own, in memory.
    redact : bool
        Whether to mask secrets in outputs.
    strip_timing : bool
        Whether to leave out when cells ran.

    Returns
    -------
    RunResult
        The notebook with its outputs, and what came of every cell.

    Raises
    ------
    CellExecutionError
        Where a cell fails. The notebook up to there is in its ``result``, and saved.
    TimedOutError, KernelDiedError
        Where a limit of time is reached, or the kernel dies; with ``result``, too.
    NotFoundError, KernelStartError
        Where there is no such kernel, or it does not start.
    InvalidRequestError, CorruptError, SystemCallError
        Where the arguments do not fit the notebook, it is none, or it cannot be read or saved.
    KeyboardInterrupt
        After Ctrl-C, once everything is saved and the kernel gone.

    Examples
    --------
    >>> result = mcp_jupyter.run("report.ipynb", "out.ipynb", parameters={"year": 2024})  # doctest: +SKIP
    """
    options = {
        "parameters": parameters,
        "kernel": kernel,
        "python": python,
        "timeout": timeout,
        "cwd": cwd,
        "env": env,
        "run_timeout": run_timeout,
        "startup_timeout": startup_timeout,
        "on_error": on_error,
        "save": save,
        "tags": tags,
        "skip_tags": skip_tags,
        "first": first,
        "last": last,
        "targets": targets,
        "resume": resume,
        "assets": assets,
        "asset_threshold": asset_threshold,
        "scheduler": scheduler,
        "redact": redact,
        "strip_timing": strip_timing,
    }
    result = execute(native_options(notebook, output, options), on_event, progress)
    if check:
        result.raise_for_status()
    return result


class LiveRuns:
    """Runs in threads of this process, which end together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: Set[Run] = set()
        self._have_ended = False

    def add(self, run: Run) -> None:
        """Takes a run in; one that comes when the others have been interrupted is interrupted, too."""
        with self._lock:
            self._runs.add(run)
            is_late = self._have_ended
        if is_late:
            run.stop()

    def discard(self, run: Run) -> None:
        """Lets a run go that has ended."""
        with self._lock:
            self._runs.discard(run)

    def end(self) -> None:
        """Interrupts all of them."""
        with self._lock:
            self._have_ended = True
            runs = list(self._runs)
        for run in runs:
            run.stop()


def execute(
    options: Dict[str, Any],
    on_event: Optional[OnEvent] = None,
    progress: bool = False,
    live: Optional[LiveRuns] = None,
) -> RunResult:
    """Runs to the end, whatever that is; meanwhile the run is in `live`."""
    native = Run(options)
    if live is not None:
        live.add(native)
    try:
        follow(native, on_event, _title(options["path"]) if progress else None)
    finally:
        if live is not None:
            live.discard(native)
    return to_result(native, options["output"])


def follow(native: Run, on_event: Optional[OnEvent], title: Optional[str]) -> None:
    """Reads a run to its end, and ends it where that is broken off; with a title it shows its progress."""
    try:
        if title is not None:
            from ._progress import progress_bar

            with progress_bar(title) as bar:
                _follow(native, [bar, on_event] if on_event else [bar])
        else:
            _follow(native, [on_event] if on_event else [])
    except BaseException:
        _end(native)
        raise


def to_result(native: Run, output: Optional[str]) -> RunResult:
    """What a run that has ended leaves."""
    document, summary = native.result()
    return RunResult(document, summary, output)


def _follow(native: Run, listeners: Iterable[OnEvent]) -> None:
    while (events := native.wait()) is not None:
        for event in events:
            for listener in listeners:
                listener(event)


def _end(native: Run) -> None:
    native.stop()
    try:
        while native.wait() is not None:
            pass
    except BaseException:
        native.abort()
        while native.wait() is not None:
            pass
        raise


def _title(path: Optional[str]) -> str:
    return os.path.basename(path) if path else "notebook"
