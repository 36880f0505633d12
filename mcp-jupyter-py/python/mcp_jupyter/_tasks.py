"""Things that are done by the compiled half, to be waited for in a thread or in asyncio."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable, Generator, Generic, TypeVar

if TYPE_CHECKING:
    from typing import Coroutine

    from typing_extensions import ParamSpec

    from ._native import Job

    _P = ParamSpec("_P")

_T = TypeVar("_T")


class Task(Generic[_T]):
    """Something in progress, and what to make of its value."""

    def __init__(self, job: Job, convert: Callable[[Any], _T]) -> None:
        self._job = job
        self._convert = convert

    def wait(self) -> _T:
        """Waits without the interpreter lock. Ctrl-C ends what is in progress."""
        try:
            value = self._job.wait()
        except BaseException:
            self._job.cancel()
            raise
        return self._convert(value)

    def __await__(self) -> Generator[Any, None, _T]:
        return self._ended().__await__()

    async def __aenter__(self) -> _T:
        opened: Any = await self
        self._opened = opened
        return await opened.__aenter__()  # type: ignore[no-any-return]

    async def __aexit__(self, *error: Any) -> None:
        await self._opened.__aexit__(*error)

    async def _ended(self) -> _T:
        import asyncio

        ended = asyncio.Event()
        self._job.subscribe(asyncio.get_running_loop(), ended.set)
        try:
            await ended.wait()
        except asyncio.CancelledError:
            self._job.cancel()
            raise
        return self._convert(self._job.wait())


def same(value: Any) -> Any:
    """What is made of a value that is as it should be."""
    return value


def waits(begin: Callable[_P, Task[_T]]) -> Callable[_P, _T]:
    """The function that begins a task and waits for it."""

    @functools.wraps(begin)
    def wait(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return begin(*args, **kwargs).wait()

    _rename(wait, begin, "")
    return wait


def awaits(begin: Callable[_P, Task[_T]]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """The function that begins a task and awaits it."""

    @functools.wraps(begin)
    async def wait(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await begin(*args, **kwargs)

    _rename(wait, begin, "a")
    return wait


def _rename(function: Callable[..., Any], begin: Callable[..., Any], prefix: str) -> None:
    """Gives a function the name that it is called by: ``_plan`` begins what ``plan`` and ``aplan`` wait for."""
    name = prefix + begin.__name__.lstrip("_")
    function.__name__ = name
    function.__qualname__ = "".join([*begin.__qualname__.rpartition(".")[:2], name])
    returns = str(begin.__annotations__.get("return", ""))
    if returns.startswith("Task["):
        function.__annotations__ = {**begin.__annotations__, "return": returns[len("Task[") : -1]}
