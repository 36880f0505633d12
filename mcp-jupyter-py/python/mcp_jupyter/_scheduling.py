"""Schedulers that are written in Python."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, AsyncIterator, Awaitable, Callable, Dict, Iterator, List, Optional, Tuple, Union

from . import _native
from ._adapters import SchedulerAdapter
from ._options import Path
from ._tasks import Task, same

__all__ = ["LocalScheduler", "Scheduler", "SchedulerCase", "StartedRun", "scheduler_cases"]

Json = Dict[str, Any]


@dataclass
class StartedRun:
    """A run that a scheduler has accepted."""

    run_id: str
    """The run."""
    plan: Json
    """The plan as it is now."""
    steps: Union[Iterator[Json], AsyncIterator[Json]]
    """What to do next, one at a time. ``close`` or ``aclose``, where it has one, cancels the run."""
    request: Optional[Json] = None
    """What was asked for, of a run that goes on after a crash."""
    in_flight: Optional[Json] = None
    """The cell that was handed out and not reported, of a run that goes on after a crash."""


class Scheduler(ABC):
    """Plans and drives the runs of sessions: decides what is executed, and is told what came of it.

    Every method may be a function or a coroutine function, and may be called from several threads at once. Values are those
    of the library as JSON has them: documents, plans, requests, steps, reports (in the library's documentation,
    ``mcp_jupyter_core::scheduler``). What a method raises fails the call; where the exception has ``details``, as those of
    `LocalScheduler` have, the failure is the one that they tell of.
    """

    @abstractmethod
    def sync(self, session: str, document: Json) -> Union[Json, Awaitable[Json]]:
        """Takes the cells of a session as they are now; gives its status. An unknown session begins with that."""

    @abstractmethod
    def plan(self, session: str, request: Json) -> Union[Json, Awaitable[Json]]:
        """Tells what a run would do; nothing is changed."""

    @abstractmethod
    def start(self, session: str, request: Json) -> Union[StartedRun, Awaitable[StartedRun]]:
        """Queues a run. Its first step comes when the runs before it have ended."""

    @abstractmethod
    def resume(self, session: str) -> Union[List[StartedRun], Awaitable[List[StartedRun]]]:
        """Takes up the runs that a crash has left in a session, oldest first."""

    @abstractmethod
    def report(self, report: Json) -> Optional[Awaitable[None]]:
        """Is told what came of a step that executes a cell. Repeating the same report is safe."""

    @abstractmethod
    def cancel(self, run: str) -> Optional[Awaitable[None]]:
        """Ends a run. Without effect on one that has ended."""

    @abstractmethod
    def status(self, session: str) -> Union[Json, Awaitable[Json]]:
        """Tells what depends on what, what is stale, and which runs there are."""

    @abstractmethod
    def runs(self, session: str) -> Union[List[Json], Awaitable[List[Json]]]:
        """Lists every run of a session that is known, oldest first."""

    @abstractmethod
    def forget(self, session: str) -> Optional[Awaitable[None]]:
        """Cancels the runs of a session and removes all that is known of it. Repeating is safe."""

    @abstractmethod
    def kernel_epoch(self, session: str, epoch: int) -> Optional[Awaitable[None]]:
        """Is told which kernel process the session is on. A higher epoch means that all names are gone."""


class _Steps:
    """The steps of a run of the library's scheduler."""

    def __init__(self, native: _native.StepsHandle) -> None:
        self._native = native
        self._waiting: Optional[_native.Job] = None

    def __iter__(self) -> _Steps:
        return self

    def __next__(self) -> Json:
        self._waiting = self._native.next()
        step: Optional[Json] = self._waiting.wait()
        if step is None:
            raise StopIteration
        return step

    def close(self) -> None:
        """Cancels the run, unless it has ended."""
        if self._waiting is not None:
            self._waiting.cancel()
        self._native.close()


class LocalScheduler(Scheduler):
    """The library's own scheduler.

    Parameters
    ----------
    journal : path, optional
        A file (SQLite) for what has to outlive this process; else it is kept in memory.

    Raises
    ------
    SystemCallError, CorruptError
        Where the file cannot be used.
    """

    def __init__(self, journal: Optional[Path] = None) -> None:
        opening = Task(_native.open_local_scheduler(journal), same)
        self._handle: _native.SchedulerHandle = opening.wait()

    @property
    def handle(self) -> _native.SchedulerHandle:
        """Its compiled half, for others of this package."""
        return self._handle

    def sync(self, session: str, document: Json) -> Json:
        status: Json = Task(self._handle.sync(session, json.dumps(document)), same).wait()
        return status

    def plan(self, session: str, request: Json) -> Json:
        plan: Json = Task(self._handle.plan(session, json.dumps(request)), same).wait()
        return plan

    def start(self, session: str, request: Json) -> StartedRun:
        return Task(self._handle.start(session, json.dumps(request)), _started).wait()

    def resume(self, session: str) -> List[StartedRun]:
        return Task(self._handle.resume(session), lambda runs: [_started(run) for run in runs]).wait()

    def report(self, report: Json) -> None:
        Task(self._handle.report(json.dumps(report)), same).wait()

    def cancel(self, run: str) -> None:
        Task(self._handle.cancel(run), same).wait()

    def status(self, session: str) -> Json:
        status: Json = Task(self._handle.status(session), same).wait()
        return status

    def runs(self, session: str) -> List[Json]:
        runs: List[Json] = Task(self._handle.runs(session), same).wait()
        return runs

    def forget(self, session: str) -> None:
        Task(self._handle.forget(session), same).wait()

    def kernel_epoch(self, session: str, epoch: int) -> None:
        Task(self._handle.kernel_epoch(session, epoch), same).wait()

    def abandon(self) -> None:
        """Leaves it in the middle of whatever it does, as a crash would; another one may go on with its journal."""
        self._handle.abandon()


def _started(run: Tuple[Json, _native.StepsHandle]) -> StartedRun:
    described, steps = run
    return StartedRun(steps=_Steps(steps), **described)


def open_scheduler(scheduler: Scheduler) -> _native.SchedulerHandle:
    """The compiled half of a scheduler."""
    if isinstance(scheduler, LocalScheduler):
        return scheduler.handle
    if not isinstance(scheduler, Scheduler):
        raise TypeError(f"expected a backends.Scheduler, and got {type(scheduler).__name__}")
    return _native.open_python_scheduler(SchedulerAdapter(scheduler), type(scheduler).__name__)


class SchedulerCase:
    """Something that every scheduler must do.

    Attributes
    ----------
    name : str
        Its name, fit for that of a test.
    description : str
        What the scheduler must do, as a sentence.
    """

    def __init__(self, name: str, description: str) -> None:
        self.name = name
        self.description = description

    def run(self, scheduler: Callable[[], Scheduler], reopen: Callable[[], Scheduler]) -> None:
        """Runs the case.

        Parameters
        ----------
        scheduler : callable
            Gives a scheduler that knows no session.
        reopen : callable
            Gives another one that goes on after the one before was gone without any notice.

        Raises
        ------
        AssertionError
            Where the scheduler does not do what the case is about.
        """

        def answer(method: str, arguments: str, extra: object) -> Tuple[str, Any]:
            return "", SchedulerAdapter(scheduler() if method == "scheduler" else reopen())

        Task(_native.check_scheduler(self.name, answer), same).wait()

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<SchedulerCase {self.name}: {self.description}>"


def scheduler_cases() -> List[SchedulerCase]:
    """What every scheduler must do, a case each.

    Returns
    -------
    list of SchedulerCase
        The cases, to be run one by one.
    """
    return [SchedulerCase(name, description) for name, description in _native.scheduler_cases()]
