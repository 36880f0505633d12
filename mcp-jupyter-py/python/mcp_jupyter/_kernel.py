"""Kernels: starting them, reaching those that run, and talking to them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, TypedDict

from . import _native
from ._execution import AsyncExecution, Execution, OnInput
from ._options import Path, folder, kernel_choice, to_json
from ._tasks import Task, awaits, same, waits
from .results import Output

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Type

    from typing_extensions import Literal, Unpack

__all__ = ["Completions", "Kernel"]

_PATIENCE = 5.0


class Completions(NamedTuple):
    """What a kernel proposes for a place in code."""

    matches: List[str]
    """The texts that may stand there."""
    start: int
    """Where what they replace begins, in characters."""
    end: int
    """Where it ends."""
    metadata: Dict[str, Any]
    """What else the kernel says, such as the types of the matches."""


class LaunchOptions(TypedDict, total=False):
    """How to start a kernel; `Kernel.start` explains it."""

    python: Optional[Path]
    cwd: Optional[Path]
    env: Optional[Mapping[str, str]]
    startup_timeout: float


def native_launch(name: Optional[str], options: LaunchOptions) -> Dict[str, Any]:
    """How to start a kernel, as the compiled half takes it."""
    known = {"python", "cwd", "env", "startup_timeout"}
    if unknown := sorted(set(options) - known):
        raise TypeError(f"unknown option {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return {
        "kernel": kernel_choice(name, options.get("python")),
        "cwd": folder(options.get("cwd")),
        "env": dict(options.get("env") or {}),
        "startup_timeout": options.get("startup_timeout", 60.0),
    }


def _launch(name: Optional[str], options: LaunchOptions) -> Task[Kernel]:
    return Task(_native.start_kernel(native_launch(name, options)), Kernel)


def _attach(connection_file: Path, timeout: float) -> Task[Kernel]:
    return Task(_native.attach_kernel(os.fspath(connection_file), timeout), Kernel)


class Kernel:
    """A kernel that runs.

    Make one by `Kernel.start`, or reach one that runs by `Kernel.attach`; in asyncio by `Kernel.astart` and
    `Kernel.aattach`. Methods whose name begins with an ``a`` are the same in asyncio. A kernel that was started here ends
    with its ``with``, when it is closed, when nothing refers to it any more, and with this process at the latest.

    Examples
    --------
    >>> with mcp_jupyter.Kernel.start() as kernel:
    ...     for output in kernel.execute("print('a'); 6 * 7"):
    ...         print(output.text)
    """

    def __init__(self, handle: _native.KernelHandle) -> None:
        if not isinstance(handle, _native.KernelHandle):
            raise TypeError("a kernel is made by Kernel.start() or Kernel.attach()")
        self._handle = handle

    @staticmethod
    def start(
        name: Optional[str] = None,
        *,
        python: Optional[Path] = None,
        cwd: Optional[Path] = None,
        env: Optional[Mapping[str, str]] = None,
        startup_timeout: float = 60.0,
    ) -> Kernel:
        """Starts a kernel, and waits until it answers.

        Parameters
        ----------
        name : str, optional
            The name of a kernelspec; see `kernelspecs`. Without it, and without `python`, this interpreter is the
            kernel's.
        python : path, optional
            An interpreter that has ipykernel; with `name`, the one in whose environment to look for that first.
        cwd : path, optional
            The kernel's folder; else ours.
        env : mapping, optional
            Environment variables for the kernel.
        startup_timeout : float
            How long it may take to start, in seconds.

        Returns
        -------
        Kernel
            The kernel.

        Raises
        ------
        NotFoundError, InvalidRequestError
            Where there is no such kernel, or none is named and this interpreter has no ipykernel.
        KernelStartError, TimedOutError
            Where it does not start.
        """
        options: LaunchOptions = {"python": python, "cwd": cwd, "env": env, "startup_timeout": startup_timeout}
        return _launch(name, options).wait()

    @staticmethod
    def astart(name: Optional[str] = None, **options: Unpack[LaunchOptions]) -> Task[Kernel]:
        """`start`, in asyncio: await it, or enter it by ``async with``."""
        return _launch(name, options)

    @staticmethod
    def attach(connection_file: Path, *, timeout: float = 10.0) -> Kernel:
        """Reaches a kernel that somebody else has started, and waits until it answers. It may be busy.

        It is not ended by being closed, but by `shutdown`; it cannot be restarted from here, and is interrupted by message.

        Parameters
        ----------
        connection_file : path
            The file that says where it listens, such as ``jupyter_client.find_connection_file()`` finds.
        timeout : float
            How long it may take to answer, in seconds.

        Returns
        -------
        Kernel
            The kernel.

        Raises
        ------
        SystemCallError, KernelStartError
            Where the file cannot be read, or is no connection file.
        TimedOutError
            Where no kernel answers.
        """
        return _attach(connection_file, timeout).wait()

    @staticmethod
    def aattach(connection_file: Path, *, timeout: float = 10.0) -> Task[Kernel]:
        """`attach`, in asyncio: await it, or enter it by ``async with``."""
        return _attach(connection_file, timeout)

    @property
    def id(self) -> str:
        """Its identity, the same after a restart."""
        return self._handle.id

    @property
    def info(self) -> Dict[str, Any]:
        """What it says about itself: the content of its ``kernel_info_reply``."""
        return self._handle.info()

    @property
    def state(self) -> Literal["starting", "busy", "idle", "dead", "closed"]:
        """What it is doing."""
        return self._handle.state()

    def execute(
        self,
        code: str,
        *,
        on_input: Optional[OnInput] = None,
        timeout: Optional[float] = None,
        silent: bool = False,
        store_history: bool = True,
        stop_on_error: bool = True,
        user_expressions: Optional[Mapping[str, str]] = None,
    ) -> Execution:
        """Has code executed. It is sent at once; executions run in the order of the calls.

        Parameters
        ----------
        code : str
            The code, which may have many lines.
        on_input : callable, optional
            Called with a prompt, and whether what is typed is to be hidden, where the code asks for input; gives the
            answer. Without it, code that asks fails.
        timeout : float, optional
            How long it may take, in seconds; then it is interrupted.
        silent : bool
            Whether to show nothing and count nothing.
        store_history : bool
            Whether to put it into the kernel's history.
        stop_on_error : bool
            Whether an exception aborts what waits behind it.
        user_expressions : mapping, optional
            Expressions to evaluate afterwards, by name; their values are in the ``reply``.

        Returns
        -------
        Execution
            Its outputs as they come.

        Raises
        ------
        InvalidRequestError
            Where the kernel is closed. That it has died is raised while the outputs are read.
        """
        options = _execute_options(code, on_input, timeout, silent, store_history, stop_on_error, user_expressions)
        return Execution(self._handle.execute(options), self._handle.interrupt, on_input)

    def aexecute(
        self,
        code: str,
        *,
        on_input: Optional[OnInput] = None,
        timeout: Optional[float] = None,
        silent: bool = False,
        store_history: bool = True,
        stop_on_error: bool = True,
        user_expressions: Optional[Mapping[str, str]] = None,
    ) -> AsyncExecution:
        """`execute`, in asyncio: iterate over it by ``async for``, or await it. `on_input` may be a coroutine function."""
        options = _execute_options(code, on_input, timeout, silent, store_history, stop_on_error, user_expressions)
        return AsyncExecution(self._handle.execute(options), self._handle.interrupt, on_input)

    def _inspect(self, code: str, cursor: Optional[int] = None, *, detail: int = 0) -> Task[Optional[Output]]:
        """Tells about the name at a place in code.

        Parameters
        ----------
        code : str
            The code.
        cursor : int, optional
            The place, in characters; else the end.
        detail : int
            With 1, its source as well.

        Returns
        -------
        Output or None
            What the kernel says about it; None where it knows nothing.

        Raises
        ------
        KernelDiedError
            Where the kernel dies before it answers.
        """
        content = {"code": code, "cursor_pos": len(code) if cursor is None else cursor, "detail_level": detail}
        return Task(self._handle.request("shell", "inspect_request", to_json(content)), _inspected)

    inspect = waits(_inspect)
    ainspect = awaits(_inspect)

    def _complete(self, code: str, cursor: Optional[int] = None) -> Task[Completions]:
        """Proposes what may stand at a place in code.

        Parameters
        ----------
        code : str
            The code.
        cursor : int, optional
            The place, in characters; else the end.

        Returns
        -------
        Completions
            The proposals, and what they replace.

        Raises
        ------
        KernelDiedError
            Where the kernel dies before it answers.
        """
        content = {"code": code, "cursor_pos": len(code) if cursor is None else cursor}
        return Task(self._handle.request("shell", "complete_request", to_json(content)), _completions)

    complete = waits(_complete)
    acomplete = awaits(_complete)

    def _is_complete(self, code: str) -> Task[str]:
        """Tells whether code can be executed as it is.

        Parameters
        ----------
        code : str
            The code.

        Returns
        -------
        str
            ``complete``, ``incomplete``, ``invalid`` or ``unknown``.

        Raises
        ------
        KernelDiedError
            Where the kernel dies before it answers.
        """
        job = self._handle.request("shell", "is_complete_request", to_json({"code": code}))
        return Task(job, lambda reply: str(reply["status"]))

    is_complete = waits(_is_complete)
    ais_complete = awaits(_is_complete)

    def _request(self, msg_type: str, content: Mapping[str, Any], *, channel: Literal["shell", "control"] = "shell") -> Task[Any]:
        """Sends any request of the Jupyter protocol, and waits for its reply.

        Parameters
        ----------
        msg_type : str
            The type of the message, such as ``history_request``.
        content : mapping
            Its content.
        channel : {"shell", "control"}
            The channel; control overtakes what is being executed.

        Returns
        -------
        dict
            The content of the reply.

        Raises
        ------
        KernelDiedError
            Where the kernel dies before it answers.
        """
        return Task(self._handle.request(channel, msg_type, to_json(content)), same)

    request = waits(_request)
    arequest = awaits(_request)

    def _interrupt(self) -> Task[None]:
        """Interrupts what it is executing; without effect on an idle kernel.

        Raises
        ------
        KernelDiedError
            Where the kernel is dead.
        """
        return Task(self._handle.interrupt(), same)

    interrupt = waits(_interrupt)
    ainterrupt = awaits(_interrupt)

    def _restart(self) -> Task[None]:
        """Ends its process and starts a new one. Executions in progress end with `KernelDiedError`.

        Raises
        ------
        KernelStartError, TimedOutError
            Where it does not start again; it is dead then.
        UnsupportedError
            Where somebody else has started it.
        """
        return Task(self._handle.restart(), same)

    restart = waits(_restart)
    arestart = awaits(_restart)

    def _ping(self) -> Task[None]:
        """Waits for the echo of its heartbeat: its process lives, whatever it is executing.

        Raises
        ------
        KernelDiedError
            Where it dies first.
        """
        return Task(self._handle.ping(), same)

    ping = waits(_ping)
    aping = awaits(_ping)

    def _shutdown(self, *, patience: Optional[float] = _PATIENCE) -> Task[None]:
        """Ends it, whoever has started it. It is closed then; repeating does nothing.

        Parameters
        ----------
        patience : float, optional
            How long each step may take, in seconds: it is asked, told and at last made to end. None ends it at once.

        Raises
        ------
        SystemCallError
            Where its process cannot be ended.
        """
        return Task(self._handle.shutdown(patience), same)

    shutdown = waits(_shutdown)
    ashutdown = awaits(_shutdown)

    def close(self) -> None:
        """Ends it where it was started here; lets go of it where it was attached to. Repeating does nothing."""
        if self._handle.is_kept:
            self._handle.release()
        else:
            self.shutdown()

    async def aclose(self) -> None:
        """`close`, in asyncio."""
        if self._handle.is_kept:
            self._handle.release()
        else:
            await self.ashutdown()

    def __enter__(self) -> Kernel:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    async def __aenter__(self) -> Kernel:
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        state = self.state
        return "<Kernel: closed>" if state == "closed" else f"<Kernel {self.id}: {state}>"


def _execute_options(
    code: str,
    on_input: Optional[OnInput],
    timeout: Optional[float],
    silent: bool,
    store_history: bool,
    stop_on_error: bool,
    user_expressions: Optional[Mapping[str, str]],
) -> Dict[str, Any]:
    return {
        "code": code,
        "silent": silent,
        "store_history": store_history and not silent,
        "allow_stdin": on_input is not None,
        "stop_on_error": stop_on_error,
        "user_expressions": json.dumps(dict(user_expressions or {})),
        "timeout": timeout,
    }


def _inspected(reply: Mapping[str, Any]) -> Optional[Output]:
    if not reply.get("found"):
        return None
    return Output(output_type="display_data", data=reply["data"], metadata=reply["metadata"])


def _completions(reply: Mapping[str, Any]) -> Completions:
    return Completions(reply["matches"], reply["cursor_start"], reply["cursor_end"], reply.get("metadata", {}))
