"""Ends interpreters in the middle of all kinds of things, and says how that went.

    python tests/exits.py --count 300

It fails where a process crashes, hangs, complains or leaves a kernel behind.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

BEGIN = """
import asyncio, os, sys, threading
import mcp_jupyter
def notebook(*sources):
    cells = [dict(cell_type="code", id=f"c{n}", source=source, metadata={}, outputs=[], execution_count=None)
             for n, source in enumerate(sources)]
    return dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)
short = notebook("print('a')", "for i in range(200): print(i, flush=True)")
endless = notebook("print('begun', flush=True)", "import time\\nwhile True: time.sleep(0.01); print(1)")
"""

WAYS = {
    "only imported": "",
    "after a run": "mcp_jupyter.run(short)",
    "after runs in asyncio": """
async def main():
    await asyncio.gather(*(mcp_jupyter.arun(short) for _ in range(3)))
asyncio.run(main())
""",
    "with a run in asyncio that nobody awaits any more": """
async def main():
    global run
    run = mcp_jupyter.arun(endless)
    async for event in run:
        if event["event"] == "output":
            break
asyncio.run(main())
""",
    "with runs in daemon threads": """
begun = threading.Semaphore(0)
def listen(event):
    if event["event"] == "output":
        begun.release()
for _ in range(2):
    threading.Thread(target=mcp_jupyter.run, args=(endless,), kwargs=dict(on_event=listen, check=False), daemon=True).start()
begun.acquire(); begun.acquire()
""",
    "with runs in daemon threads that have just begun": """
def work():
    try:
        mcp_jupyter.run(endless, check=False)
    except RuntimeError:
        pass
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
""",
    "with a kernel that was not closed": """
kernel = mcp_jupyter.Kernel.start()
kernel.execute("1").wait()
""",
    "with a kernel that is executing": """
kernel = mcp_jupyter.Kernel.start()
execution = kernel.execute("while True: print(1)")
next(execution)
""",
    "with a kernel in asyncio that is executing": """
async def main():
    global kernel, execution
    kernel = await mcp_jupyter.Kernel.astart()
    execution = kernel.aexecute("while True: print(1)")
    await execution.__anext__()
asyncio.run(main())
""",
    "with daemon threads that wait for kernels": """
begun = threading.Semaphore(0)
def work():
    kernel = mcp_jupyter.Kernel.start()
    execution = kernel.execute("while True: print(1, flush=True)")
    next(execution)
    begun.release()
    execution.wait()
def attempt():
    try:
        work()
    except RuntimeError:
        pass
for _ in range(2):
    threading.Thread(target=attempt, daemon=True).start()
begun.acquire(); begun.acquire()
""",
    "with daemon threads that start kernels": """
def work():
    try:
        mcp_jupyter.Kernel.start()
    except RuntimeError:
        pass
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
""",
    "with a store of Python at work": """
from mcp_jupyter import backends
begun = threading.Semaphore(0)
class Store(backends.AssetStore):
    async def list(self):
        begun.release()
        await asyncio.sleep(600)
    create = head = read = delete = add_reference = remove_reference = references = list_references = None
    mark = unmark = list_marks = collect = None
def work():
    try:
        mcp_jupyter.Assets(Store()).list()
    except RuntimeError:
        pass
threading.Thread(target=work, daemon=True).start()
begun.acquire()
""",
    "by a listener": """
def listen(event):
    if event["event"] == "output":
        sys.exit(0)
mcp_jupyter.run(endless, on_event=listen)
""",
}


def kernels_of(process):
    """Processes that the process has started and that live."""
    found = []
    for status in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"EXITS_TEST={process}".encode() in status.read_bytes().split(b"\0"):
                found.append(status.parent.name)
        except OSError:
            continue
    return found


def end(way, number, python=sys.executable):
    """Ends one process this way; gives what is wrong with that."""
    mark = f"{os.getpid()}-{number}"
    command = [python, "-I", "-X", "faulthandler", "-c", BEGIN + WAYS[way]]
    environment = {**os.environ, "EXITS_TEST": mark}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    wrong = [f"exit code {done.returncode}"] if done.returncode else []
    wrong += [f"said: {done.stderr}"] if done.stderr else []
    # A kernel that was just being started ends by its own signal, after our process.
    due = time.monotonic() + 10
    while (left := kernels_of(mark)) and time.monotonic() < due:
        time.sleep(0.05)
    return wrong + ([f"left {left}"] if left else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=100, help="how many exits of each kind")
    arguments = parser.parse_args()
    failures = 0
    for way in WAYS:
        wrong = [found for number in range(arguments.count) if (found := end(way, number))]
        failures += len(wrong)
        print(f"{way}: {arguments.count - len(wrong)} of {arguments.count} well", *wrong[:3], flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
