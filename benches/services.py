"""What it costs to take the scheduler and the assets out of the process: `benches/services.py --program target/release/mcp-jupyter`.

Runs of many small cells, over a scheduler service on a Unix socket and without, in turn; and an asset that is put into and
read from an asset service over loopback, beside copies of a file. Prints the ratios. It needs a release build and ipykernel.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path


def write_notebook(path, sources):
    cells = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        for i, source in enumerate(sources)
    ]
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernelspec}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook))


@contextmanager
def service(program, *arguments):
    """A service; gives where it listens."""
    process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().split()[2]
    finally:
        process.terminate()
        process.wait()


def seconds_of_cells(program, python, notebook, *more):
    """From the first cell's beginning to the end of the run, without the kernel's start."""
    command = [program, "run", str(notebook), "--no-output", "--json", "--python", python, *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    first = last = None
    for line in process.stdout:
        if '"cell_started"' in line and first is None:
            first = time.perf_counter()
        if '"cell_finished"' in line:
            last = time.perf_counter()
    assert process.wait() == 0
    return last - first


def cells(arguments, folder):
    notebook = folder / "cells.ipynb"
    write_notebook(notebook, [f"x{i} = {i}" for i in range(arguments.cells)])
    listen, journal = f"unix://{folder}/scheduler.sock", f"sqlite://{folder}/journal.sqlite"
    times = {"embedded": [], "service": []}
    with service(arguments.program, "scheduler", "serve", "--listen", listen, "--journal", journal) as url:
        for _ in range(arguments.rounds):
            for name, more in (("embedded", []), ("service", ["--scheduler", url])):
                times[name].append(seconds_of_cells(arguments.program, arguments.python, notebook, *more))
    embedded, split = (statistics.median(times[name]) for name in ("embedded", "service"))
    more = (split - embedded) / arguments.cells * 1000
    print(f"{arguments.cells} cells: {embedded:.2f} s embedded, {split:.2f} s over the service")
    print(f"  ratio {split / embedded:.3f}, {more:.3f} ms more for each cell")


def copied(source, target):
    started = time.perf_counter()
    shutil.copyfile(source, target)
    return time.perf_counter() - started


def timed(command, **options):
    started = time.perf_counter()
    subprocess.run(command, check=True, **options)
    return time.perf_counter() - started


def assets(arguments, folder):
    size = arguments.megabytes * 1_000_000
    notebook = folder / "large.ipynb"
    write_notebook(notebook, [f"import sys\n_ = [sys.stdout.write('x' * 99_999 + chr(10)) for _ in range({size // 100_000})]"])
    with service(arguments.program, "assets", "serve", "--listen", "127.0.0.1:0", "--store", f"{folder}/store") as url:
        subprocess.run(
            [arguments.program, "run", notebook, "--no-output", "--quiet", "--python", arguments.python, "--assets", url], check=True
        )
        listed = subprocess.run([arguments.program, "assets", "list", "--store", url], capture_output=True, text=True, check=True)
        digest = next(word for word in listed.stdout.split() if word.startswith("sha256:"))
        file = folder / "asset"
        read, copies = [], []
        for _ in range(arguments.rounds):
            with file.open("wb") as out:
                read.append(timed([arguments.program, "assets", "cat", digest, "--store", url], stdout=out))
            copies.append(copied(file, folder / "copy"))
    rate = size / 1e6 / min(read)
    plain = size / 1e6 / min(copies)
    print(f"{arguments.megabytes} MB read from the asset service: {rate:.0f} MB/s; a file copied: {plain:.0f} MB/s")
    print(f"  ratio {rate / plain:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default="target/release/mcp-jupyter")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        cells(arguments, Path(name))
        assets(arguments, Path(name))


main()
