"""Notebooks whose kernels live on."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from . import _native
from ._arun import AsyncRun
from ._kernel import Kernel, native_launch
from ._options import Path, as_list, to_json
from ._program import find_program
from ._run import OnEvent, follow, to_result
from ._scheduler import Plan
from ._session_types import Edited, SnapshotInfo, Version, run_options, to_edit, to_edited, to_snapshot, to_version
from ._tasks import Task, awaits, same, waits
from .results import RunResult

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Type

    from typing_extensions import Literal

    from ._assets import Assets
    from ._scheduler import _Mode

__all__ = ["Session"]


class Session:
    """A notebook bound to a kernel that lives on: between calls, when this process ends, and when it is killed.

    It is the same session as that of ``mcp-jupyter start``, ``sync`` and ``history``, and of the MCP server. A kernel is
    started by `start`, or by whatever executes something; it ends by `stop`, or when nobody has used it for long. Leaving a
    ``with`` leaves it running. Methods whose name begins with an ``a`` are the same in asyncio.

    Parameters
    ----------
    notebook : path
        The notebook's file.
    kernel : str, optional
        The name of a kernelspec, to start where there is no kernel; else what the notebook names, as for `run`.
    python : path, optional
        An interpreter that has ipykernel, to start there.
    cwd : path, optional
        The kernel's folder; else the notebook's.
    env : mapping, optional
        Environment variables for the kernel.
    startup_timeout : float
        How long the kernel may take to start, in seconds.
    idle_timeout : float, optional
        End the kernel once nobody has used it for so long, in seconds; None for never.
    state : path, optional
        The folder with the state of sessions; else that of ``MCP_JUPYTER_STATE_DIR``, or the platform's.

    Raises
    ------
    NotFoundError
        Where there is no such notebook, or the program ``mcp-jupyter``, which looks after kernels, is not installed.

    Examples
    --------
    >>> with mcp_jupyter.Session("report.ipynb") as session:  # doctest: +SKIP
    ...     session.sync()
    ...     session.edit([{"op": "replace_source", "cell": "load", "source": "rows = 20"}])
    ...     session.sync()  # executes what that has made stale
    """

    def __init__(
        self,
        notebook: Path,
        *,
        kernel: Optional[str] = None,
        python: Optional[Path] = None,
        cwd: Optional[Path] = None,
        env: Optional[Mapping[str, str]] = None,
        startup_timeout: float = 60.0,
        idle_timeout: Optional[float] = 12 * 3600.0,
        state: Optional[Path] = None,
    ) -> None:
        launch = native_launch(kernel, {"python": python, "cwd": cwd, "env": env, "startup_timeout": startup_timeout})
        folder = None if state is None else os.path.abspath(state)
        self._notebook = os.path.abspath(notebook)
        opening = _native.open_session(self._notebook, launch, find_program(), folder, idle_timeout)
        self._handle: _native.SessionHandle = Task(opening, same).wait()

    @property
    def id(self) -> str:
        """Its identity."""
        return self._handle.id

    def _describe(self) -> Task[Dict[str, Any]]:
        """Tells what is known of it: its ``notebook``, its ``kernel``, when it was ``created`` and ``used``."""
        return Task(self._handle.describe(), same)

    describe = waits(_describe)
    adescribe = awaits(_describe)

    def _start(self) -> Task[List[str]]:
        """Starts a kernel, unless one lives.

        Returns
        -------
        list of str
            What the user should know, such as how an earlier kernel has died.

        Raises
        ------
        NotFoundError, KernelStartError, TimedOutError
            Where there is no such kernel, or it does not start.
        """
        return Task(self._handle.start(), same)

    start = waits(_start)
    astart = awaits(_start)

    def sync(
        self,
        *,
        targets: Union[str, Iterable[str]] = (),
        allow_expensive: bool = False,
        timeout: Optional[float] = None,
        run_timeout: Optional[float] = None,
        on_error: Literal["stop", "continue", "independent"] = "stop",
        assets: Optional[Assets] = None,
        on_event: Optional[OnEvent] = None,
        progress: bool = False,
        check: bool = True,
    ) -> RunResult:
        """Executes what is stale, and nothing else; its outputs go into the notebook's file.

        What an earlier program has left is taken up first. Ctrl-C interrupts the cell that is being executed; the kernel
        lives on.

        Parameters
        ----------
        targets : str or iterable of str
            Only these parts and what they need: ``CELL``, ``CELL+``, ``A..B``, ``tag:NAME``.
        allow_expensive : bool
            Whether cells marked ``@expensive`` may be executed again only to restore what others need.
        timeout, run_timeout : float, optional
            How long one cell, and the whole run, may take, in seconds.
        on_error : {"stop", "continue", "independent"}
            What happens after a cell that raises: the run ends; all cells are executed; those are that do not depend on it.
        assets : Assets, optional
            A store for outputs too large for a notebook.
        on_event : callable, optional
            Called with every event of the run (see `mcp_jupyter.events`), in this thread.
        progress : bool
            Whether to show a progress bar, by tqdm or rich, where one of them is installed.
        check : bool
            Whether to raise where the run does not end as it should.

        Returns
        -------
        RunResult
            The notebook with its outputs, and what came of every cell that was executed.

        Raises
        ------
        CellExecutionError, TimedOutError, KernelDiedError
            Where a cell fails, a limit of time is reached, or the kernel dies; with ``result``.
        InvalidRequestError, NotFoundError, KernelStartError
            Where the targets do not fit the notebook, or no kernel can be started.
        """
        options = run_options("smart", targets, allow_expensive, timeout, run_timeout, on_error, assets)
        return self._execute(options, on_event, progress, check)

    def run(
        self,
        targets: Union[str, Iterable[str]] = (),
        *,
        mode: _Mode = "full",
        allow_expensive: bool = False,
        timeout: Optional[float] = None,
        run_timeout: Optional[float] = None,
        on_error: Literal["stop", "continue", "independent"] = "stop",
        assets: Optional[Assets] = None,
        on_event: Optional[OnEvent] = None,
        progress: bool = False,
        check: bool = True,
    ) -> RunResult:
        """Executes cells whether they are stale or not: all, or the parts that are named, with all that they need.

        Parameters
        ----------
        targets : str or iterable of str
            The parts: ``CELL``, ``CELL+``, ``A..B``, ``tag:NAME``.
        mode : {"full", "smart", "incremental", "append"}
            Which cells to take; see `Scheduler.plan`.
        **options
            As those of `sync`.

        Returns
        -------
        RunResult
            As `sync`.

        Raises
        ------
        CellExecutionError, TimedOutError, KernelDiedError, InvalidRequestError, NotFoundError, KernelStartError
            As `sync`.
        """
        options = run_options(mode, targets, allow_expensive, timeout, run_timeout, on_error, assets)
        return self._execute(options, on_event, progress, check)

    def _execute(self, options: Dict[str, Any], on_event: Optional[OnEvent], progress: bool, check: bool) -> RunResult:
        native = self._handle.run(options)
        follow(native, on_event, os.path.basename(self._notebook) if progress else None)
        result = to_result(native, self._notebook)
        if check:
            result.raise_for_status()
        return result

    def arun(
        self,
        targets: Union[str, Iterable[str]] = (),
        *,
        mode: _Mode = "full",
        allow_expensive: bool = False,
        timeout: Optional[float] = None,
        run_timeout: Optional[float] = None,
        on_error: Literal["stop", "continue", "independent"] = "stop",
        assets: Optional[Assets] = None,
        check: bool = True,
    ) -> AsyncRun:
        """`run`, in asyncio: iterate over its events, await its result."""
        options = run_options(mode, targets, allow_expensive, timeout, run_timeout, on_error, assets)
        return AsyncRun(lambda: self._handle.run(options), self._notebook, check)

    def async_sync(
        self,
        *,
        targets: Union[str, Iterable[str]] = (),
        allow_expensive: bool = False,
        timeout: Optional[float] = None,
        run_timeout: Optional[float] = None,
        on_error: Literal["stop", "continue", "independent"] = "stop",
        assets: Optional[Assets] = None,
        check: bool = True,
    ) -> AsyncRun:
        """`sync`, in asyncio: iterate over its events, await its result. (With an ``a`` alone its name would be a keyword.)"""
        options = run_options("smart", targets, allow_expensive, timeout, run_timeout, on_error, assets)
        return AsyncRun(lambda: self._handle.run(options), self._notebook, check)

    def _plan(
        self, *, mode: _Mode = "smart", targets: Union[str, Iterable[str]] = (), allow_expensive: bool = False
    ) -> Task[Plan]:
        """Tells what a run would execute, and why. Nothing is executed, but what an earlier program has left.

        Parameters
        ----------
        mode, targets, allow_expensive
            As those of `run`.

        Returns
        -------
        Plan
            The plan.

        Raises
        ------
        InvalidRequestError
            Where the targets do not fit the notebook.
        """
        options = {"mode": mode, "targets": as_list(targets), "allow_expensive": allow_expensive}
        return Task(self._handle.plan(options), Plan)

    plan = waits(_plan)
    aplan = awaits(_plan)

    def _snapshot(self) -> Task[Tuple[Dict[str, Any], str]]:
        """Reads the notebook with all results, also those that are on their way into its file.

        Returns
        -------
        tuple of dict and str
            The notebook, and the revision by which it is recognised.
        """
        return Task(self._handle.snapshot(), lambda found: (json.loads(found[0]), found[1]))

    snapshot = waits(_snapshot)
    asnapshot = awaits(_snapshot)

    def _edit(
        self,
        edits: Sequence[Mapping[str, Any]],
        *,
        revision: Optional[str] = None,
        based_on: Optional[Mapping[str, str]] = None,
    ) -> Task[Edited]:
        """Changes the notebook's file: all of the edits, or none.

        Parameters
        ----------
        edits : sequence of mapping
            Each has an ``op``, and what that needs: ``insert`` (``source``, ``at``, ``cell_type``, ``id``),
            ``replace_source`` (``cell``, ``source``), ``replace_text`` (``cell``, ``old``, ``new``), ``delete`` (``cell``),
            ``move`` and ``copy`` (``cell``, ``to``), ``split`` (``cell``, ``line``), ``merge`` (``cells``), ``set_type``
            (``cell``, ``cell_type``), ``set_metadata`` (``cell``, ``set``, ``remove``), ``add_tags`` and ``remove_tags``
            (``cell``, ``tags``), ``clear_outputs`` (``cells``). Cells are named by id, places are ``first``, ``last``,
            ``before:ID`` and ``after:ID``.
        revision : str, optional
            Refuse where the notebook is another than when it had this revision.
        based_on : mapping, optional
            Refuse where the source of a cell is not that of this digest (``sha256:…``).

        Returns
        -------
        Edited
            What was done, and how to take it back.

        Raises
        ------
        ConflictError
            Where the notebook is not as whoever edits has seen it; nothing is changed.
        NotFoundError, InvalidRequestError
            Where there is no such cell, or an edit cannot be understood; nothing is changed.
        """
        batch = {"edits": [to_edit(edit) for edit in edits], "revision": revision, "based_on": dict(based_on or {})}
        return Task(self._handle.edit(to_json(batch)), to_edited)

    edit = waits(_edit)
    aedit = awaits(_edit)

    def _undo(self, edited: Edited) -> Task[Edited]:
        """Takes edits back, where the cells that they have changed are still as they left them.

        Parameters
        ----------
        edited : Edited
            What the edits have done.

        Returns
        -------
        Edited
            What that has done.

        Raises
        ------
        ConflictError
            Where a cell has been changed since.
        """
        return Task(self._handle.undo(edited.undo), to_edited)

    undo = waits(_undo)
    aundo = awaits(_undo)

    def _history(self, cell: Optional[str] = None, *, limit: Optional[int] = None) -> Task[List[Version]]:
        """Lists what was executed, the latest first.

        Parameters
        ----------
        cell : str, optional
            Only this cell, by its id.
        limit : int, optional
            At most so many.

        Returns
        -------
        list of Version
            The executions.
        """
        return Task(self._handle.history(cell, limit), lambda versions: [to_version(version) for version in versions])

    history = waits(_history)
    ahistory = awaits(_history)

    def _snapshots(self) -> Task[List[SnapshotInfo]]:
        """Lists the notebooks that were kept as they were, the latest first."""
        return Task(self._handle.snapshots(), lambda snapshots: [to_snapshot(snapshot) for snapshot in snapshots])

    snapshots = waits(_snapshots)
    asnapshots = awaits(_snapshots)

    def _keep(self, name: str) -> Task[SnapshotInfo]:
        """Keeps the notebook as it is, under a name.

        Parameters
        ----------
        name : str
            The name.

        Returns
        -------
        SnapshotInfo
            What `restore` brings it back by.
        """
        return Task(self._handle.keep(name), to_snapshot)

    keep = waits(_keep)
    akeep = awaits(_keep)

    def _restore(
        self, *, snapshot: Optional[int] = None, version: Optional[int] = None, cell: Optional[str] = None
    ) -> Task[SnapshotInfo]:
        """Brings back something of the past.

        Parameters
        ----------
        snapshot : int, optional
            The number of a snapshot: the whole notebook as it was.
        version : int, optional
            The number of an execution instead: its source and outputs, into its cell.
        cell : str, optional
            Only this cell of the snapshot, by its id.

        Returns
        -------
        SnapshotInfo
            The notebook as it was before; to be restored to take this back.

        Raises
        ------
        InvalidRequestError, NotFoundError
            Where there is no such thing.
        """
        return Task(self._handle.restore(snapshot, version, cell), to_snapshot)

    restore = waits(_restore)
    arestore = awaits(_restore)

    def _kernel(self) -> Task[Kernel]:
        """Reaches its kernel, to be talked to beside what is executed of the notebook.

        It executes until the session's next run, of whatever program; then that raises `ConflictError`, and this gives one
        that does again. What it makes of names no plan knows of.

        Raises
        ------
        InvalidRequestError
            Where it has none.
        """
        return Task(self._handle.kernel(), Kernel)

    kernel = waits(_kernel)
    akernel = awaits(_kernel)

    def _interrupt(self) -> Task[None]:
        """Interrupts what the kernel is executing, whoever has asked for that.

        Raises
        ------
        InvalidRequestError
            Where there is no kernel.
        """
        return Task(self._handle.interrupt(), same)

    interrupt = waits(_interrupt)
    ainterrupt = awaits(_interrupt)

    def _restart(self) -> Task[None]:
        """Starts a new process for the kernel: all names are gone, and every cell is stale.

        Raises
        ------
        InvalidRequestError
            Where there is no kernel.
        """
        return Task(self._handle.restart(), same)

    restart = waits(_restart)
    arestart = awaits(_restart)

    def _stop(self, *, forget: bool = False) -> Task[None]:
        """Ends the kernel; what it has said is saved first.

        Parameters
        ----------
        forget : bool
            Whether to forget the session and its history, too; the notebook's file stays.
        """
        return Task(self._handle.stop(forget), same)

    stop = waits(_stop)
    astop = awaits(_stop)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        return None

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        return None

    def __repr__(self) -> str:
        return f"<Session {self.id[:8]} of {self._notebook}>"
