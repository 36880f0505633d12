"""How long planning takes beside what Python needs to read the same cells.

    python benches/planning.py [--binary target/release/mcp-jupyter] [--cells 10000] [--repeat 5]

Each round times, in turn, the whole command `mcp-jupyter plan NB --format json`, CPython's `ast.parse` of the same
sources, and, where marimo is installed, marimo's compiler and its graph on the first `--marimo-cells` of them. What is
printed are medians and ratios.
"""

import argparse
import ast
import json
import pathlib
import statistics
import subprocess
import tempfile
import time


def realistic(index):
    part = index // 10
    return [
        "import numpy as np\nimport pandas as pd\nimport matplotlib.pyplot as plt",
        f"df{part} = pd.read_csv('part-{part}.csv')\ndf{part}.head()",
        f"def scale{part}(values, by=2.0):\n    return (values - values.mean()) / by",
        f"df{part}['z'] = scale{part}(df{part}['y'])\nclean{part} = df{part}.dropna()",
        f"means{part} = clean{part}.groupby('key')['z'].mean()\nmeans{part}",
        f"fig, ax = plt.subplots()\nax.plot(means{part}.index, means{part}.values)\nplt.show()",
        f'rows{part} = [f"{{k}}: {{v:.2f}}" for k, v in means{part}.items()]\nprint(len(rows{part}))',
        f"total{part} = 0\nfor value in means{part}:\n    total{part} += value * np.pi",
        f"summary{part} = {{'total': total{part}, 'rows': rows{part}, 'n': len(clean{part})}}",
        f"print(summary{part}['total'] / max(summary{part}['n'], 1))",
    ][index % 10]


SHAPES = {
    "realistic": realistic,
    "chain": lambda index: f"x{index} = x{index - 1} + 1" if index else "x0 = 1",
    "star": lambda index: f"x{index} = len(x0) + {index}" if index else "x0 = [1]",
}


def notebook(sources):
    cells = [
        {"cell_type": "code", "id": f"cell-{index}", "metadata": {}, "execution_count": None, "outputs": [],
         "source": source.splitlines(keepends=True)}
        for index, source in enumerate(sources)
    ]
    return {"cells": cells, "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3",
            "language": "python"}}, "nbformat": 4, "nbformat_minor": 5}


def timed(work):
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def marimo_compiler(sources):
    """marimo's analysis of cells: compile and register; None where it is not installed."""
    try:
        from marimo._ast.compiler import compile_cell
        from marimo._runtime.dataflow import DirectedGraph
    except ImportError:
        return None

    def work():
        graph = DirectedGraph()
        for index, source in enumerate(sources):
            cell_id = f"c{index}"
            graph.register_cell(cell_id, compile_cell(source, cell_id=cell_id))

    return work


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=pathlib.Path("target/release/mcp-jupyter"))
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--marimo-cells", type=int, default=500)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for shape, source in SHAPES.items():
            measure(shape, [source(index) for index in range(options.cells)], pathlib.Path(folder), options)


def measure(shape, sources, folder, options):
    path = folder / f"{shape}.ipynb"
    path.write_text(json.dumps(notebook(sources)))
    command = [options.binary, "plan", path, "--format", "json"]
    marimo = marimo_compiler(sources[: options.marimo_cells])
    rounds = {"plan": [], "ast.parse": [], "marimo": []}
    for _ in range(options.repeat):
        rounds["plan"].append(timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)))
        rounds["ast.parse"].append(timed(lambda: [ast.parse(source) for source in sources]))
        if marimo:
            rounds["marimo"].append(timed(marimo))
    plan, parse = statistics.median(rounds["plan"]), statistics.median(rounds["ast.parse"])
    print(f"{shape}, {len(sources)} cells: plan {plan * 1000:.0f} ms, ast.parse {parse * 1000:.0f} ms, ratio {plan / parse:.3f}")
    if marimo:
        seconds = statistics.median(rounds["marimo"])
        per_cell = seconds / options.marimo_cells * len(sources)
        print(
            f"    marimo, {options.marimo_cells} cells: {seconds * 1000:.0f} ms; if it were linear, plan takes "
            f"{plan / per_cell:.4f} of it"
        )
    else:
        print("    marimo is not installed in this Python: pip install marimo")


if __name__ == "__main__":
    main()
