"""Running one notebook in asyncio."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Generator, List, Optional

from ._native import Run
from ._options import Notebook, Path, native_options
from ._run import to_result
from .results import RunResult

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Type

    from typing_extensions import Unpack

    from ._options import RunOptions
    from .events import Event

__all__ = ["AsyncRun", "arun"]


def arun(
    notebook: Notebook, output: Optional[Path] = None, *, check: bool = True, **options: Unpack[RunOptions]
) -> AsyncRun:
    """Runs a notebook on a new kernel, in asyncio.

    Parameters
    ----------
    notebook : path, dict or nbformat.NotebookNode
        The notebook. It is not changed.
    output : path, optional
        Where to save it.
    check : bool
        Whether awaiting raises where the run does not end as it should.
    **options
        As those of `run`.

    Returns
    -------
    AsyncRun
        The run, which begins when it is first awaited, entered or iterated over.

    Examples
    --------
    >>> async def main():
    ...     async with mcp_jupyter.arun("report.ipynb", "out.ipynb") as run:
    ...         async for event in run:
    ...             print(event["event"])
    ...         return await run
    """
    native = native_options(notebook, output, options)
    return AsyncRun(lambda: Run(native), native["output"], check)


class AsyncRun:
    """A run in asyncio: iterate over its events, await its result, in this order or only one of them.

    Cancelling whoever waits for it, and leaving its ``async with``, interrupts the cell that is being executed, saves the
    notebook and ends the kernel before they go on. Once nothing refers to the run any more, it is ended at once.
    """

    def __init__(self, begin: Callable[[], Run], output: Optional[str], check: bool) -> None:
        self._begin = begin
        self._output = output
        self._check = check
        self._native: Optional[Run] = None
        self._ready: Optional[asyncio.Event] = None
        self._events: Deque[Event] = deque()
        self._result: Optional[RunResult] = None

    def stop(self) -> None:
        """Interrupts the cell that is being executed, saves, and ends the run; what follows are its last events."""
        if self._native is not None:
            self._native.stop()

    def __aiter__(self) -> AsyncRun:
        return self

    async def __anext__(self) -> Event:
        if not self._events:
            events = await self._next()
            if events is None:
                raise StopAsyncIteration
            self._events.extend(events)
        return self._events.popleft()

    def __await__(self) -> Generator[Any, None, RunResult]:
        return self._wait().__await__()

    async def __aenter__(self) -> AsyncRun:
        self._begun()
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if self._result is None:
            await self._end()

    def _begun(self) -> Run:
        if self._native is None:
            self._ready = asyncio.Event()
            self._native = self._begin()
            self._native.subscribe(asyncio.get_running_loop(), self._ready.set)
        return self._native

    async def _next(self) -> Optional[List[Event]]:
        """The next events; None at the end."""
        native = self._begun()
        try:
            return await self._read(native)
        except asyncio.CancelledError:
            await self._end()
            raise

    async def _read(self, native: Run) -> Optional[List[Event]]:
        assert self._ready is not None
        while (events := native.poll()) == []:
            await self._ready.wait()
            self._ready.clear()
        return events

    async def _end(self) -> None:
        native = self._begun()
        native.stop()
        try:
            while await self._read(native) is not None:
                pass
        except asyncio.CancelledError:
            native.abort()
            raise

    async def _wait(self) -> RunResult:
        if self._result is None:
            while await self._next() is not None:
                pass
            self._result = to_result(self._begun(), self._output)
        if self._check:
            self._result.raise_for_status()
        return self._result
