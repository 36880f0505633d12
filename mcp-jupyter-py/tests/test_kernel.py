"""A kernel, and what it executes."""

import asyncio
import os
import subprocess
import sys
import threading

import jupyter_client
import jupyter_client.connect
import mcp_jupyter
import pytest


@pytest.fixture(scope="module")
def shared():
    with mcp_jupyter.Kernel.start() as kernel:
        yield kernel


@pytest.fixture
def kernel(shared):
    """A kernel that nobody else uses at the time."""
    shared.execute("%reset -f").wait()
    return shared


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_outputs_come_as_nbformat_has_them(kernel):
    outputs = list(kernel.execute("print('a')\nimport sys\nprint('b', file=sys.stderr)\n6 * 7"))
    assert sorted(outputs[:2], key=str) == sorted(
        [
            {"output_type": "stream", "name": "stdout", "text": "a\n"},
            {"output_type": "stream", "name": "stderr", "text": "b\n"},
        ],
        key=str,
    )
    assert outputs[2]["data"] == {"text/plain": "42"}
    assert isinstance(outputs[2], mcp_jupyter.Output)


def test_outputs_come_while_the_code_runs(kernel, tmp_path):
    signal = tmp_path / "go on"
    code = f"import os, time\nprint('first', flush=True)\nwhile not os.path.exists({str(signal)!r}): time.sleep(0.01)\n2"
    execution = kernel.execute(code)
    assert next(execution).text == "first\n"
    assert (execution.status, execution.text) == (None, "first\n")
    signal.touch()
    assert [output.text for output in execution] == ["2"]
    assert execution.status == "ok"


def test_what_a_notebook_would_keep_is_kept(kernel):
    code = """
from IPython.display import clear_output, display, update_display
print(1, flush=True)
clear_output(wait=True)
print(2, flush=True)
print(3, flush=True)
display("old", display_id="d")
update_display("new", display_id="d")
"""
    execution = kernel.execute(code)
    kinds = [output["output_type"] for output in execution]
    assert (kinds.count("clear_output"), kinds.count("update_display_data")) == (1, 1)
    assert [output.text for output in execution.outputs] == ["2\n3\n", "'new'"]
    assert execution.text == "2\n3\n'new'\n"


def test_code_that_fails_raises_when_it_is_waited_for(kernel):
    execution = kernel.execute("print('before')\n1 / 0")
    assert [output["output_type"] for output in execution] == ["stream", "error"]
    assert execution.status == "error"
    with pytest.raises(mcp_jupyter.CellExecutionError, match="raised ZeroDivisionError: division by zero") as raised:
        execution.wait()
    assert (raised.value.ename, raised.value.evalue) == ("ZeroDivisionError", "division by zero")
    assert raised.value.exec_count == execution.execution_count
    assert raised.value.traceback[-1].endswith("division by zero")


def test_code_that_asks_gets_answers_or_fails(kernel):
    code = "import getpass\nprint(input('name? ') + getpass.getpass('secret? '))"
    asked = []

    def answer(prompt, password):
        asked.append((prompt, password))
        return prompt[0]

    assert kernel.execute(code, on_input=answer).wait().outputs[-1].text == "ns\n"
    assert asked == [("name? ", False), ("secret? ", True)]
    assert kernel.execute(code).wait(check=False).reply["ename"] == "StdinNotImplementedError"


def test_who_asks_in_vain_interrupts_the_code(kernel):
    def refuse(prompt, password):
        raise RuntimeError("nobody is here")

    execution = kernel.execute("input('?')", on_input=refuse)
    with pytest.raises(RuntimeError, match="nobody is here"):
        execution.wait()
    assert execution.wait(check=False).reply["ename"] == "KeyboardInterrupt"


def test_a_kernel_completes_and_inspects(kernel):
    kernel.execute("number_of_things = 3").wait()
    completions = kernel.complete("x = number_of")
    assert (completions.matches, completions.start, completions.end) == (["number_of_things"], 4, 13)
    assert kernel.complete("number_of + 1", 6).matches == ["number_of_things"]
    assert "int" in kernel.inspect("number_of_things").text
    assert kernel.inspect("no_such_thing") is None
    assert kernel.is_complete("for i in x:") == "incomplete"
    assert kernel.request("kernel_info_request", {}, channel="control")["implementation"] == "ipython"
    assert kernel.info["language_info"]["name"] == "python"
    kernel.ping()


def test_expressions_are_evaluated_after_the_code(kernel):
    reply = kernel.execute("x = 20", user_expressions={"twice": "x * 2"}).wait().reply
    assert reply["user_expressions"]["twice"]["data"] == {"text/plain": "40"}


def test_code_is_interrupted(kernel):
    execution = kernel.execute("import time\nprint('begun', flush=True)\ntime.sleep(600)")
    assert next(execution).text == "begun\n"
    assert kernel.state == "busy"
    kernel.interrupt()
    with pytest.raises(mcp_jupyter.CellExecutionError, match="KeyboardInterrupt"):
        execution.wait()
    assert kernel.execute("1").wait().text == "1\n"


def test_code_has_its_time(kernel):
    with pytest.raises(mcp_jupyter.TimedOutError, match="executing code took longer than 0.2 s"):
        kernel.execute("while True: pass", timeout=0.2).wait()
    assert kernel.execute("1").wait().text == "1\n"


def test_a_restart_forgets_all():
    with mcp_jupyter.Kernel.start() as kernel:
        identity = kernel.id
        before = int(kernel.execute("x = 1\nimport os\nos.getpid()").wait().outputs[0].text)
        kernel.restart()
        assert kernel.id == identity
        assert kernel.execute("x").wait(check=False).reply["ename"] == "NameError"
        assert not is_alive(before)


def test_a_death_is_told_and_a_restart_helps():
    with mcp_jupyter.Kernel.start() as kernel:
        with pytest.raises(mcp_jupyter.KernelDiedError, match="ended with exit code 3"):
            kernel.execute("import os\nos._exit(3)").wait()
        assert kernel.state == "dead"
        with pytest.raises(mcp_jupyter.KernelDiedError):
            kernel.execute("1").wait()
        kernel.restart()
        assert kernel.execute("1").wait().text == "1\n"


def test_a_kernel_ends_with_its_block_and_says_so():
    with mcp_jupyter.Kernel.start() as kernel:
        pid = int(kernel.execute("import os\nos.getpid()").wait().outputs[0].text)
    assert not is_alive(pid)
    assert (kernel.state, repr(kernel)) == ("closed", "<Kernel: closed>")
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="the kernel is closed"):
        kernel.execute("1")
    kernel.close()


def test_options_reach_the_kernel(tmp_path):
    with mcp_jupyter.Kernel.start("python3", cwd=tmp_path, env={"GREETING": "hi"}) as kernel:
        assert kernel.execute("import os\nprint(os.getcwd(), os.environ['GREETING'])").wait().text == f"{tmp_path} hi\n"
    with mcp_jupyter.Kernel.start(python=sys.executable) as kernel:
        assert kernel.execute("import sys\nprint(sys.executable)").wait().text.strip() == sys.executable


def test_what_cannot_be_started_is_said(tmp_path):
    with pytest.raises(mcp_jupyter.NotFoundError, match='no kernelspec named "nothing"'):
        mcp_jupyter.Kernel.start("nothing")
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="there is no such folder"):
        mcp_jupyter.Kernel.start(cwd=tmp_path / "nowhere")
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="startup_timeout=0"):
        mcp_jupyter.Kernel.start(startup_timeout=0)
    with pytest.raises(TypeError, match=r"made by Kernel.start\(\)"):
        mcp_jupyter.Kernel("python3")
    with pytest.raises(TypeError, match="unknown option 'nothing'; there are cwd, env"):
        mcp_jupyter.Kernel.astart(nothing=1)


@pytest.fixture(params=["tcp", "ipc"])
def foreign(request, tmp_path):
    """A kernel that Jupyter's own client has started."""
    manager = jupyter_client.KernelManager(transport=request.param, connection_file=str(tmp_path / "kernel.json"))
    if request.param == "ipc":
        manager.ip = str(tmp_path / "k")
    manager.start_kernel()
    yield manager
    manager.shutdown_kernel(now=True)


def test_a_kernel_of_somebody_else_is_reached(foreign):
    with mcp_jupyter.Kernel.attach(foreign.connection_file) as first:
        first.execute("x = 41").wait()
        with mcp_jupyter.Kernel.attach(foreign.connection_file) as second:
            assert second.execute("x + 1").wait().text == "42\n"
            assert second.execute("input('?')", on_input=lambda *_: "yes").wait().text == "'yes'\n"
        execution = first.execute("import time\nprint('begun', flush=True)\ntime.sleep(600)")
        assert next(execution).text == "begun\n"
        # It is reached while it is busy.
        with mcp_jupyter.Kernel.attach(foreign.connection_file) as third:
            third.interrupt()
        assert execution.wait(check=False).reply["ename"] == "KeyboardInterrupt"
        with pytest.raises(mcp_jupyter.UnsupportedError, match="which somebody else has started"):
            first.restart()
    assert foreign.is_alive()
    with mcp_jupyter.Kernel.attach(foreign.connection_file) as again:
        assert again.execute("x").wait().text == "41\n"
        with pytest.raises(mcp_jupyter.KernelDiedError):
            again.execute("import os\nprint('last', flush=True)\nos._exit(3)").wait()
        assert again.state == "dead"


def test_a_kernel_of_somebody_else_is_ended_when_that_is_asked(foreign):
    async def main():
        async with mcp_jupyter.Kernel.aattach(foreign.connection_file) as kernel:
            assert (await kernel.aexecute("1")).text == "1\n"
            await kernel.ashutdown()

    asyncio.run(main())
    assert foreign.provisioner.process.wait(timeout=60) == 0


def test_what_cannot_be_reached_is_said(tmp_path):
    file = tmp_path / "kernel.json"
    with pytest.raises(mcp_jupyter.SystemCallError, match="kernel.json"):
        mcp_jupyter.Kernel.attach(file)
    file.write_text("{}")
    with pytest.raises(mcp_jupyter.KernelStartError, match="this is no connection file of a kernel: missing field"):
        mcp_jupyter.Kernel.attach(file)
    jupyter_client.connect.write_connection_file(str(file))
    with pytest.raises((mcp_jupyter.TimedOutError, mcp_jupyter.SystemCallError), match="reach"):
        mcp_jupyter.Kernel.attach(file, timeout=1)


def test_kernels_of_threads_run_side_by_side():
    """Both are in the middle of their code at the same time."""
    both = threading.Barrier(2, timeout=60)
    texts = []

    def work():
        with mcp_jupyter.Kernel.start() as kernel:
            execution = kernel.execute("input()", on_input=lambda *_: both.wait() and "" or "done")
            texts.append(execution.wait().text)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["'done'\n", "'done'\n"]


def test_asyncio_has_the_same():
    async def answer(prompt, password):
        await asyncio.sleep(0)
        return f"{prompt}!"

    async def main():
        async with mcp_jupyter.Kernel.astart() as kernel:
            texts = [output.text async for output in kernel.aexecute("print(1)\n2")]
            asked = await kernel.aexecute("input('who')", on_input=answer)
            with pytest.raises(mcp_jupyter.CellExecutionError):
                await kernel.aexecute("1 / 0")
            completions, found = await asyncio.gather(kernel.acomplete("prin"), kernel.ainspect("print"))
            await kernel.arestart()
            await kernel.aping()
            return texts, asked.text, completions.matches, found is not None, kernel

    texts, asked, matches, found, kernel = asyncio.run(main())
    assert (texts, asked, matches, found, kernel.state) == (["1\n", "2"], "'who!'\n", ["print"], True, "closed")


def test_whoever_is_cancelled_interrupts_the_code():
    async def main():
        async with mcp_jupyter.Kernel.astart() as kernel:
            execution = kernel.aexecute("import time\nprint('begun', flush=True)\ntime.sleep(600)")
            await execution.__anext__()
            waiting = asyncio.ensure_future(execution.wait())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            return (await execution.wait(check=False)).reply["ename"]

    assert asyncio.run(main()) == "KeyboardInterrupt"


CTRL_C = """
import mcp_jupyter, os
with mcp_jupyter.Kernel.start() as kernel:
    code = f"import os, time\\ninput()\\nos.kill({os.getpid()}, 2)\\ntime.sleep(600)"
    execution = kernel.execute(code, on_input=lambda *_: "")
    try:
        execution.wait()
    except KeyboardInterrupt:
        print("caught", execution.wait(check=False).reply["ename"])
"""


def test_ctrl_c_interrupts_the_code():
    done = subprocess.run([sys.executable, "-I", "-c", CTRL_C], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "caught KeyboardInterrupt\n", "")


FORK = """
import mcp_jupyter, os
kernel = mcp_jupyter.Kernel.start()
child = os.fork()
if child == 0:
    try:
        kernel.execute("1")
    except RuntimeError as error:
        assert "of which this process is a fork" in str(error)
    del kernel
    with mcp_jupyter.Kernel.start() as other:
        assert other.execute("1").wait().text == "1\\n"
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert kernel.execute("2").wait().text == "2\\n"
kernel.close()
print("well")
"""


def test_a_fork_has_kernels_of_its_own():
    done = subprocess.run([sys.executable, "-I", "-c", FORK], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("well\n", "")
