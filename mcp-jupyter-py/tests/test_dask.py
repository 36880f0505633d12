"""run_many() on a Dask cluster of worker processes, one of which is killed in the middle."""

import json
import os
import signal
import warnings
from collections import Counter

import mcp_jupyter
import nbformat
import pytest

# What the libraries of the cluster warn of is theirs.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from dask.distributed import Client, LocalCluster

pytestmark = pytest.mark.filterwarnings("ignore")

COUNT = int(os.environ.get("MCP_JUPYTER_TEST_SWEEP", "8"))


def test_a_lost_worker_loses_no_run_and_does_none_twice(notebook, tmp_path):
    path = tmp_path / "in.ipynb"
    nbformat.write(notebook(("x = 0", ["parameters"]), "print(x * x)"), path)
    manifest = tmp_path / "runs.jsonl"
    runs = [(str(path), {"x": x}, str(tmp_path / "out" / f"{x}.ipynb")) for x in range(COUNT)]
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        client.get_executor(retries=3) as executor,
    ):
        victim = next(iter(client.run(os.getpid).values()))
        printed = {}
        for outcome in mcp_jupyter.run_many(runs, executor, manifest=manifest, retries=2):
            printed[outcome.parameters["x"]] = outcome.result.outputs[0].text
            if len(printed) == COUNT // 4:
                os.kill(victim, signal.SIGKILL)
    assert printed == {x: f"{x * x}\n" for x in range(COUNT)}
    noted = Counter(json.loads(line)["parameters"]["x"] for line in manifest.read_text().splitlines())
    assert noted == Counter(range(COUNT))
    for x in range(COUNT):
        assert nbformat.read(tmp_path / "out" / f"{x}.ipynb", as_version=4).cells[2].outputs[0].text == f"{x * x}\n"
