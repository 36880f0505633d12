"""arun(), in asyncio."""

import asyncio

import mcp_jupyter
import nbformat
import pytest

WAIT_FOR_EVER = "print('begun', flush=True)\nimport time\nwhile True: time.sleep(1)"


def test_a_run_is_awaited(notebook):
    async def main():
        return await mcp_jupyter.arun(notebook("print(6 * 7)"))

    assert asyncio.run(main()).outputs[0].text == "42\n"


def test_events_come_in_order_and_the_result_after_them(notebook):
    async def main():
        async with mcp_jupyter.arun(notebook("1", "2")) as run:
            kinds = [event["event"] async for event in run]
            return kinds, await run, await run

    kinds, result, again = asyncio.run(main())
    assert kinds[:2] == ["run_started", "kernel_started"]
    assert kinds[2:] == ["cell_started", "output", "cell_finished"] * 2 + ["run_finished"]
    assert result.ok and again is result


def test_runs_go_on_side_by_side_while_the_loop_does_other_things(notebook, tmp_path):
    """Every kernel waits until all have begun, and for what the loop does then."""
    begin = "import os, time, pathlib; pathlib.Path(f'{os.getpid()}').touch()"
    wait = "while not pathlib.Path('go').exists(): time.sleep(0.01)"

    async def main():
        runs = asyncio.gather(*(mcp_jupyter.arun(notebook(begin, wait), cwd=tmp_path, timeout=60) for _ in range(3)))
        while len(list(tmp_path.iterdir())) < 3:
            await asyncio.sleep(0.01)
        (tmp_path / "go").touch()
        return await runs

    assert [result.ok for result in asyncio.run(main())] == [True] * 3


def test_a_failing_cell_raises_or_is_a_value(notebook):
    async def main(**options):
        return await mcp_jupyter.arun(notebook("1 / 0"), **options)

    with pytest.raises(mcp_jupyter.CellExecutionError, match="ZeroDivisionError"):
        asyncio.run(main())
    assert asyncio.run(main(check=False)).status == "cell_failed"
    with pytest.raises(mcp_jupyter.NotFoundError):
        asyncio.run(main(kernel="no-such"))
    with pytest.raises(TypeError, match="unknown option 'kernle'"):
        asyncio.run(main(kernle="python3"))


def test_a_cancelled_run_is_saved_and_has_ended(notebook, tmp_path):
    output = tmp_path / "out.ipynb"

    async def main():
        run = mcp_jupyter.arun(notebook(WAIT_FOR_EVER), output)
        begun = asyncio.Event()

        async def follow():
            async for event in run:
                if event["event"] == "output":
                    begun.set()

        task = asyncio.create_task(follow())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return [event["event"] async for event in run]

    assert asyncio.run(main()) == []
    assert nbformat.read(output, as_version=4).cells[0].outputs[0].text == "begun\n"


def test_a_run_ends_with_its_block(notebook, tmp_path):
    output = tmp_path / "out.ipynb"

    async def main():
        async with mcp_jupyter.arun(notebook(WAIT_FOR_EVER), output, check=False) as run:
            async for event in run:
                if event["event"] == "output":
                    break
        return await run

    assert asyncio.run(main()).status == "interrupted"
    assert nbformat.read(output, as_version=4).cells[0].outputs[0].text == "begun\n"


def test_a_run_can_be_stopped(notebook):
    async def main():
        run = mcp_jupyter.arun(notebook(WAIT_FOR_EVER), check=False)
        async for event in run:
            if event["event"] == "output":
                run.stop()
        return await run

    assert asyncio.run(main()).status == "interrupted"
