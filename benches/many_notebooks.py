"""run_many() beside papermill in a pool of as many processes, on the same small notebooks, in turn; prints the ratio.

    .venv/bin/python benches/many_notebooks.py --notebooks 50 --rounds 3

It needs the module built for release: maturin develop --release.
"""

import argparse
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import mcp_jupyter
import nbformat
import papermill
from nbformat.v4 import new_code_cell, new_notebook

SOURCES = ["x = 0", "import math", "y = [math.sqrt(i + x) for i in range(1000)]", "print(sum(y))", "max(y)"]


def write_notebook(path):
    cells = [new_code_cell(source, id=f"c{number}") for number, source in enumerate(SOURCES)]
    cells[0].metadata["tags"] = ["parameters"]
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernelspec}), path)


def by_papermill(path, x, output):
    papermill.execute_notebook(path, output, {"x": x}, kernel_name="python3", progress_bar=False)


def time_papermill(path, count, workers, folder):
    started = time.perf_counter()
    with ProcessPoolExecutor(workers) as executor:
        outputs = [str(folder / f"{x}.ipynb") for x in range(count)]
        list(executor.map(by_papermill, [str(path)] * count, range(count), outputs))
    return time.perf_counter() - started


def time_run_many(path, count, workers, folder):
    started = time.perf_counter()
    runs = [(path, {"x": x}, folder / f"{x}.ipynb") for x in range(count)]
    outcomes = list(mcp_jupyter.run_many(runs, workers=workers))
    assert len(outcomes) == count and all(outcome.ok for outcome in outcomes)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--notebooks", type=int, default=50)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    times = {time_papermill: [], time_run_many: []}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "in.ipynb")
        write_notebook(path)
        for number in range(arguments.rounds):
            for measure, measured in times.items():
                folder = Path(name, f"{measure.__name__}-{number}")
                folder.mkdir()
                measured.append(measure(path, arguments.notebooks, arguments.workers, folder))
                print(f"{measure.__name__[5:]}: {measured[-1]:.1f} s", flush=True)
    theirs, ours = (statistics.median(measured) for measured in times.values())
    print(f"{arguments.notebooks} notebooks, {arguments.workers} at once: papermill {theirs:.1f} s, run_many {ours:.1f} s, "
          f"{theirs / ours:.2f} times as fast")


if __name__ == "__main__":
    main()
