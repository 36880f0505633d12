"""Schedulers that are written in Python."""

import inspect

import mcp_jupyter
import pytest
from mcp_jupyter import backends

METHODS = [name for name, _ in inspect.getmembers(backends.Scheduler, inspect.isfunction) if not name.startswith("_")]


class Counting(backends.Scheduler):
    """The library's own, which is counted."""

    def __init__(self, journal=None):
        self.inner = backends.LocalScheduler(journal)
        self.calls = []

    def _call(self, name, *args, **kwargs):
        self.calls.append(name)
        return getattr(self.inner, name)(*args, **kwargs)

    for _name in METHODS:
        locals()[_name] = (lambda name: lambda self, *args, **kwargs: self._call(name, *args, **kwargs))(_name)


class AsyncCounting(Counting):
    """The same, of coroutine functions, whose steps are an asynchronous generator."""

    async def _call(self, name, *args, **kwargs):
        import asyncio

        inner = super()._call
        value = await asyncio.to_thread(inner, name, *args, **kwargs)
        if name == "start":
            value.steps = AsyncSteps(value.steps)
        return [self._resumed(run) for run in value] if name == "resume" else value

    @staticmethod
    def _resumed(run):
        run.steps = AsyncSteps(run.steps)
        return run

    for _name in METHODS:
        locals()[_name] = (lambda name: lambda self, *args, **kwargs: self._call(name, *args, **kwargs))(_name)


class AsyncSteps:
    def __init__(self, steps):
        self.steps = steps

    def __aiter__(self):
        return self

    async def __anext__(self):
        import asyncio

        step = await asyncio.to_thread(next, self.steps, None)
        if step is None:
            raise StopAsyncIteration
        return step

    async def aclose(self):
        self.steps.close()


@pytest.mark.parametrize("kind", [Counting, AsyncCounting])
@pytest.mark.parametrize("case", backends.scheduler_cases(), ids=str)
def test_a_scheduler_does_what_it_must(case, kind, tmp_path):
    made = []

    def scheduler():
        made.append(kind(tmp_path / "journal.sqlite"))
        return made[-1]

    def reopen():
        made[-1].inner.abandon()
        return scheduler()

    case.run(scheduler, reopen)


def test_a_scheduler_that_does_not_is_found_out():
    class Forgetful(Counting):
        def runs(self, session):
            return []

    failed = []
    for case in backends.scheduler_cases():
        if case.name.startswith("run"):
            try:
                case.run(Forgetful, Forgetful)
            except AssertionError:
                failed.append(case.name)
    assert failed


@pytest.mark.parametrize("kind", [Counting, AsyncCounting])
def test_a_run_does_what_it_decides(notebook, kind):
    scheduler = kind()
    result = mcp_jupyter.run(notebook("x = 6", "print(x * 7)"), scheduler=scheduler)
    assert result.outputs[0].text == "42\n"
    assert scheduler.calls.count("report") == 2
    with pytest.raises(mcp_jupyter.CellExecutionError):
        mcp_jupyter.run(notebook("1 / 0"), scheduler=scheduler)


def test_what_a_scheduler_raises_is_told(notebook):
    class Strict(Counting):
        def start(self, session, request):
            raise mcp_jupyter.UnavailableError("not on Fridays")

    with pytest.raises(mcp_jupyter.UnavailableError, match=r"Strict cannot be reached: start\(\): not on Fridays"):
        mcp_jupyter.run(notebook("1"), scheduler=Strict())
    with pytest.raises(mcp_jupyter.NotFoundError, match="no session") as raised:
        backends.LocalScheduler().status("nothing")
    assert raised.value.details == {"error": "no_such_session", "session": "nothing"}
    with pytest.raises(TypeError, match="expected a backends.Scheduler, and got int"):
        mcp_jupyter.run(notebook("1"), scheduler=3)
