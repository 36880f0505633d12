"""Code that a kernel executes, and what comes of it."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, Generator, Iterator, List, Mapping, Optional

from . import exceptions
from .results import Output

if TYPE_CHECKING:
    from ._native import Execution as _Native
    from ._native import Job

OnInput = Callable[[str, bool], Any]

_OUTPUTS = {"stream", "display_data", "execute_result", "error", "update_display_data", "clear_output"}


class Outputs:
    """Outputs as a notebook keeps them: streams joined, displays updated, what was cleared gone."""

    def __init__(self) -> None:
        self.list: List[Output] = []
        self._clears = False

    def add(self, output: Output) -> None:
        """Does what an output means to those before it."""
        kind = output["output_type"]
        if kind == "clear_output":
            self._clears = True
            if not output["wait"]:
                self._clear()
        elif kind == "update_display_data":
            self._update(output)
        else:
            self._clear()
            self._append(output)

    def _clear(self) -> None:
        if self._clears:
            self.list.clear()
            self._clears = False

    def _append(self, output: Output) -> None:
        last = self.list[-1] if self.list else None
        if last is not None and output["output_type"] == "stream" == last["output_type"] and last["name"] == output["name"]:
            self.list[-1] = Output(last, text=last["text"] + output["text"])
        else:
            self.list.append(output)

    def _update(self, output: Output) -> None:
        for at, shown in enumerate(self.list):
            if shown.display_id is not None and shown.display_id == output.display_id:
                updated = Output(shown, data=output["data"], metadata=output["metadata"])
                updated.display_id = shown.display_id
                self.list[at] = updated


def _output(kind: str, content: Mapping[str, Any]) -> Output:
    """The output that a message is."""
    known = {"stream": ("name", "text"), "error": ("ename", "evalue", "traceback"), "clear_output": ("wait",)}
    names = known.get(kind, ("data", "metadata"))
    output = Output({"output_type": kind}, **{name: content.get(name) for name in names})
    if kind == "execute_result":
        output["execution_count"] = content.get("execution_count")
    output.display_id = (content.get("transient") or {}).get("display_id")
    return output


class BaseExecution:
    """What executions have in common, however they are waited for.

    Attributes
    ----------
    outputs : list of Output
        The outputs so far, as a notebook would keep them: streams are joined, displays updated, what was cleared is gone.
    reply : dict or None
        The content of the kernel's ``execute_reply``; None until that has come.
    """

    def __init__(self, native: _Native, interrupt: Callable[[], Job], on_input: Optional[OnInput]) -> None:
        self._native = native
        self._interrupt = interrupt
        self._on_input = on_input
        self._pending: Deque[Output] = deque()
        self._kept = Outputs()
        self._has_ended = False
        self.reply: Optional[Dict[str, Any]] = None

    @property
    def outputs(self) -> List[Output]:
        return self._kept.list

    @property
    def status(self) -> Optional[str]:
        """``ok``, ``error`` or ``aborted``; None until that is known."""
        return None if self.reply is None else str(self.reply["status"])

    @property
    def execution_count(self) -> Optional[int]:
        """The ``n`` of ``In[n]``; None until that is known."""
        return None if self.reply is None else self.reply.get("execution_count")

    @property
    def text(self) -> str:
        """All outputs so far as plain text, one after the other."""
        texts = [output.text if output["output_type"] == "stream" else output.text + "\n" for output in self.outputs]
        return "".join(texts)

    def _take(self, messages: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
        """Takes messages in; gives the questions among them."""
        questions = []
        for message in messages:
            kind, content = message["msg_type"], message["content"]
            if kind == "execute_reply":
                self.reply = content
            elif kind == "input_request":
                questions.append(content)
            elif kind in _OUTPUTS:
                output = _output(kind, content)
                self._kept.add(output)
                self._pending.append(output)
        return questions

    @contextmanager
    def _interrupting(self) -> Iterator[None]:
        """Interrupts the code where whoever waits for it gives up."""
        try:
            yield
        except exceptions.Error:
            raise
        except BaseException:
            self._interrupt()
            raise

    def _ask(self, question: Mapping[str, Any]) -> Any:
        assert self._on_input is not None, "a kernel that may not ask does not"
        return self._on_input(str(question.get("prompt", "")), bool(question.get("password", False)))

    def _check(self) -> None:
        """Raises where the code has failed."""
        reply = self.reply or {}
        if reply.get("status", "ok") == "ok":
            return
        ename = str(reply.get("ename", reply["status"]))
        evalue, traceback = str(reply.get("evalue", "")), list(reply.get("traceback", []))
        what = f"In[{self.execution_count}] raised {ename}: {evalue}" if evalue else f"In[{self.execution_count}] raised {ename}"
        error = exceptions.CellExecutionError("\n".join([what, *traceback]))
        error.ename, error.evalue, error.traceback = ename, evalue, traceback
        error.exec_count = self.execution_count
        raise error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} In[{self.execution_count or ' '}]: {self.status or 'in progress'}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, Any]:
        shown = self.outputs[-1]._repr_mimebundle_() if len(self.outputs) == 1 else {}
        return {**shown, "text/plain": self.text or repr(self)}


class Execution(BaseExecution):
    """Code that is being executed: iterate over its outputs as they come, or `wait` for all of them.

    Outputs come as the kernel sends them: `Output`s as nbformat has them, and two more kinds of ``output_type``:
    ``update_display_data``, and ``clear_output`` with ``wait``. Ctrl-C while waiting interrupts the code; what it still
    says can be read.
    """

    def __iter__(self) -> Iterator[Output]:
        return self

    def __next__(self) -> Output:
        with self._interrupting():
            while not self._pending and self._read():
                pass
        if not self._pending:
            raise StopIteration
        return self._pending.popleft()

    def wait(self, *, check: bool = True) -> Execution:
        """Waits for the end.

        Parameters
        ----------
        check : bool
            Whether to raise where the code has failed; without it, look at ``status``.

        Returns
        -------
        Execution
            Itself, with all its ``outputs``.

        Raises
        ------
        CellExecutionError
            Where the code has raised.
        TimedOutError, KernelDiedError
            Where its time was up, or the kernel has died.
        KeyboardInterrupt
            After Ctrl-C; the code is interrupted.
        """
        with self._interrupting():
            while self._read():
                pass
        self._pending.clear()
        if check:
            self._check()
        return self

    def _read(self) -> bool:
        if self._has_ended:
            return False
        messages = self._native.wait()
        for question in self._take(messages or []):
            self._native.answer(str(self._ask(question))).wait()
        if messages is None:
            self._has_ended = True
            self._native.check()
        return messages is not None


class AsyncExecution(BaseExecution):
    """Code that is being executed: iterate over its outputs in asyncio as they come, or await all of them.

    As `Execution`; awaiting it gives itself, and raises where the code has failed. Cancelling whoever waits interrupts the
    code.
    """

    _ready: Any = None

    def __aiter__(self) -> AsyncExecution:
        return self

    async def __anext__(self) -> Output:
        while not self._pending:
            if not await self._read():
                raise StopAsyncIteration
        return self._pending.popleft()

    def __await__(self) -> Generator[Any, None, AsyncExecution]:
        return self.wait().__await__()

    async def wait(self, *, check: bool = True) -> AsyncExecution:
        """Waits for the end, as `Execution.wait`."""
        while await self._read():
            pass
        self._pending.clear()
        if check:
            self._check()
        return self

    async def _read(self) -> bool:
        if self._has_ended:
            return False
        with self._interrupting():
            messages = await self._next()
            for question in self._take(messages or []):
                await self._answer(self._ask(question))
        if messages is None:
            self._has_ended = True
            self._native.check()
        return messages is not None

    async def _next(self) -> Optional[List[Dict[str, Any]]]:
        import asyncio

        if self._ready is None:
            self._ready = asyncio.Event()
            self._native.subscribe(asyncio.get_running_loop(), self._ready.set)
        while (messages := self._native.poll()) == []:
            await self._ready.wait()
            self._ready.clear()
        return messages

    async def _answer(self, answer: Any) -> None:
        from inspect import isawaitable

        from ._tasks import Task, same

        text = await answer if isawaitable(answer) else answer
        await Task(self._native.answer(str(text)), same)
