"""A parameter sweep on a Dask cluster: python examples/python/dask_sweep.py [--runs 20] [--workers 2]

It makes a cluster of worker processes on this machine; for another one, give Client the address of its scheduler. Notebooks
and outputs are files of a folder that all workers see. What one call leaves undone, the next one does.
"""

import argparse
import sys
from pathlib import Path

import mcp_jupyter
from dask.distributed import Client, LocalCluster

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "sweep.ipynb"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=20, help="how many values of the parameter")
    parser.add_argument("--workers", type=int, default=2, help="how many worker processes")
    parser.add_argument("--output", type=Path, default=Path("target/sweep"), help="the folder of the results")
    arguments = parser.parse_args()

    folder = arguments.output.resolve()
    values = [number / arguments.runs for number in range(arguments.runs)]
    runs = [(str(NOTEBOOK), {"growth": 2 + 2 * value}, folder / f"{value:.4f}.ipynb") for value in values]

    failed = 0
    with (
        LocalCluster(n_workers=arguments.workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        # A run whose worker is lost goes to another one, so often.
        client.get_executor(retries=3) as executor,
    ):
        for outcome in mcp_jupyter.run_many(runs, executor, manifest=folder / "runs.jsonl", retries=1):
            failed += not outcome.ok
            said = "done before" if outcome.resumed else outcome.error or outcome.result.outputs[-1].text.strip()
            print(f"growth {outcome.parameters['growth']:.2f}: {said}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
