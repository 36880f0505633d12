"""run_many() on the executors of other libraries."""

import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import loky
import mcp_jupyter
import nbformat
import pytest

SOURCES = [("x = 0", ["parameters"]), "print(x * x)", "assert x != 2"]


@pytest.fixture
def runs(notebook, tmp_path):
    path = tmp_path / "in.ipynb"
    nbformat.write(notebook(*SOURCES), path)
    return [(str(path), {"x": x}, str(tmp_path / "out" / f"{x}.ipynb")) for x in range(5)]


def check(runs, executor, manifest):
    """Of five runs, the third fails; the others are there, and are not done again."""
    missing = (str(manifest.parent / "missing.ipynb"), None, None)
    outcomes = list(mcp_jupyter.run_many([*runs, missing], executor, manifest=manifest))
    printed = {outcome.parameters["x"]: outcome.result.outputs[0].text for outcome in outcomes if outcome.result}
    assert printed == {x: f"{x * x}\n" for x in range(5)}
    errors = {outcome.parameters.get("x"): type(outcome.error) for outcome in outcomes if not outcome.ok}
    assert errors.pop(2) is mcp_jupyter.CellExecutionError
    assert issubclass(errors.pop(None), mcp_jupyter.NotFoundError) and not errors
    again = list(mcp_jupyter.run_many(runs, executor, manifest=manifest))
    assert sorted(outcome.parameters["x"] for outcome in again if outcome.resumed) == [0, 1, 3, 4]
    assert len(manifest.read_text().splitlines()) == 7


def test_a_pool_of_processes(runs, tmp_path):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        check(runs, executor, tmp_path / "runs.jsonl")


def test_loky(runs, tmp_path):
    executor = loky.get_reusable_executor(max_workers=2)
    check(runs, executor, tmp_path / "runs.jsonl")
    executor.shutdown()


ON_MPI = """
import json, sys, mcp_jupyter
from mpi4py.futures import MPIPoolExecutor

if __name__ == "__main__":
    with MPIPoolExecutor() as executor:
        for outcome in mcp_jupyter.run_many(json.loads(sys.argv[1]), executor):
            print(outcome.parameters["x"], outcome.error or outcome.result.outputs[0].text.strip())
"""


def test_mpi4py(runs, tmp_path):
    pytest.importorskip("mpi4py")
    mpiexec = Path(sys.executable).with_name("mpiexec")
    script = tmp_path / "on_mpi.py"
    script.write_text(ON_MPI)
    command = [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures", script, json.dumps(runs[:2])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert sorted(done.stdout.splitlines()) == ["0 0", "1 1"], done.stderr


@pytest.fixture
def cluster():
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


# What Ray warns of is its own.
@pytest.mark.filterwarnings("ignore")
def test_ray(runs, tmp_path, cluster):
    with mcp_jupyter.RayExecutor(num_cpus=1) as executor:
        check(runs, executor, tmp_path / "runs.jsonl")
        waiting = [executor.submit(os.getpid) for _ in range(4)]
        assert os.getpid() not in [future.result(timeout=60) for future in waiting]
        with pytest.raises(ZeroDivisionError):
            executor.submit(divmod, 1, 0).result(timeout=60)
    with pytest.raises(RuntimeError, match="after its shutdown"):
        executor.submit(os.getpid)


@pytest.mark.filterwarnings("ignore")
def test_a_batch_on_ray_that_is_left_submits_nothing_more(runs, tmp_path, cluster):
    manifest = tmp_path / "runs.jsonl"
    with mcp_jupyter.RayExecutor(num_cpus=1) as executor:
        batch = mcp_jupyter.run_many(runs, executor, manifest=manifest)
        first = next(batch)
        batch.close()
        executor.shutdown(cancel_futures=True)
    assert [json.loads(line)["parameters"] for line in manifest.read_text().splitlines()] == [dict(first.parameters)]
