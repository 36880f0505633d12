"""The way from the compiled half to backends that are written in Python."""

from __future__ import annotations

import atexit
import json
import threading
from inspect import isawaitable
from itertools import count
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

from . import _native, exceptions

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from ._scheduling import Scheduler, StartedRun
    from .backends import AssetStore

_KINDS = [
    (exceptions.NotFoundError, "not_found"),
    (exceptions.InvalidRequestError, "invalid_request"),
    (exceptions.ConflictError, "conflict"),
    (exceptions.CorruptError, "corrupt"),
    (exceptions.UnsupportedError, "unsupported"),
    (exceptions.TimedOutError, "timed_out"),
    (exceptions.UnavailableError, "unavailable"),
    (OSError, "io"),
]


def open_store(store: AssetStore) -> _native.AssetsHandle:
    """The compiled half of a store that is written in Python."""
    name = str(store) if type(store).__str__ is not object.__str__ else type(store).__name__
    return _native.open_python_assets(store_adapter(store), name)


def store_adapter(store: AssetStore) -> Callable[[str, str, Optional[_native.Staged]], Tuple[str, Any]]:
    """The function by which the compiled half calls a store's methods."""

    def call(method: str, arguments: str, content: Optional[_native.Staged]) -> Tuple[str, Any]:
        try:
            named = json.loads(arguments)
            given = {} if content is None else {"content": content}
            value = awaited(getattr(store, method)(**named, **given))
            return "", bytes(value) if method == "read" else json.dumps(_plain(value))
        except Exception as error:
            return _failure(error)

    return call


def _failure(error: Exception) -> Tuple[str, str]:
    """What kind of failure an exception is, and what it says."""
    details = getattr(error, "details", None)
    kinds = [kind for known, kind in _KINDS if isinstance(error, known)]
    kind = json.dumps(details) if details else kinds[0] if kinds else "unknown"
    return f"error {kind}", str(error) or type(error).__name__


class SchedulerAdapter:
    """Calls a scheduler's methods, and keeps the steps of its runs."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._lock = threading.Lock()
        self._numbers = count()
        self._steps: Dict[int, Any] = {}

    def __call__(self, method: str, arguments: str, extra: object) -> Tuple[str, Any]:
        try:
            asked = json.loads(arguments)
            for number in asked["closed"]:
                self._close(number)
            value = self._call(method, asked["arguments"])
            return "", json.dumps(value)
        except Exception as error:
            return _failure(error)

    def _call(self, method: str, named: Dict[str, Any]) -> Any:
        if method == "close":
            return None
        if method == "next_step":
            return self._next(self._steps[named["steps"]])
        value = awaited(getattr(self._scheduler, method)(**named))
        if method == "start":
            return self._begun(value)
        return [self._begun(run) for run in value] if method == "resume" else value

    def _begun(self, run: StartedRun) -> Dict[str, Any]:
        number = next(self._numbers)
        self._steps[number] = run.steps
        return {
            "run_id": run.run_id,
            "plan": run.plan,
            "request": run.request,
            "in_flight": run.in_flight,
            "steps": number,
        }

    def _next(self, steps: Any) -> Any:
        if hasattr(steps, "__anext__"):
            try:
                return awaited(steps.__anext__())
            except StopAsyncIteration:
                return None
        return next(steps, None)

    def _close(self, number: int) -> None:
        with self._lock:
            steps = self._steps.pop(number, None)
            for name in ("close", "aclose"):
                close = getattr(steps, name, None)
                if callable(close):
                    awaited(close())


def _plain(value: Any) -> Any:
    """A value as JSON knows it; an iterable becomes a list."""
    if value is None or isinstance(value, (bool, int, str, dict)):
        return value
    return [list(item) if isinstance(item, tuple) else item for item in value]


def awaited(value: Any) -> Any:
    """The value; one that has to be awaited is, in the event loop of the backends."""
    if not isawaitable(value):
        return value
    import asyncio

    async def wait() -> Any:
        return await value

    return asyncio.run_coroutine_threadsafe(wait(), _event_loop()).result()


_LOCK = threading.Lock()
_LOOP: Optional[Tuple[int, AbstractEventLoop]] = None


def _event_loop() -> AbstractEventLoop:
    """The event loop in which coroutines of backends run, in each fork another one."""
    import asyncio
    import os

    global _LOOP
    with _LOCK:
        if _LOOP is None or _LOOP[0] != os.getpid():
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="mcp-jupyter-backends", daemon=True).start()
            atexit.register(_end, loop)
            _LOOP = (os.getpid(), loop)
        return _LOOP[1]


def _end(loop: AbstractEventLoop) -> None:
    """Cancels what is in progress when the interpreter ends, so that nobody waits for it."""
    import asyncio

    def cancel() -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()

    if not loop.is_closed():
        loop.call_soon_threadsafe(cancel)
