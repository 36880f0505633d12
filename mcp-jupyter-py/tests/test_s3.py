"""Notebooks at s3://, in moto's server."""

import json
import logging
import time

import boto3
import mcp_jupyter
import nbformat
import pytest
from moto.server import ThreadedMotoServer


@pytest.fixture(scope="module")
def endpoint():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch):
    """An empty bucket, which this process has the credentials of."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = boto3.resource("s3").Bucket("notebooks")
    bucket.create()
    yield bucket
    bucket.objects.delete()
    bucket.delete()


def read(bucket, name):
    return nbformat.reads(bucket.Object(name).get()["Body"].read().decode(), 4)


def printed(notebook):
    return [output.text for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == "stream"]


def test_a_notebook_is_read_and_saved(notebook, bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = nbformat.writes(notebook(("x = 1", ["parameters"]), "import os; print(x, os.getcwd())"))
    bucket.Object("in/a b.ipynb").put(Body=source.encode())
    result = mcp_jupyter.run("s3://notebooks/in/a b.ipynb", "s3://notebooks/out/done.ipynb", parameters={"x": 5})
    assert result.output == "s3://notebooks/out/done.ipynb"
    assert printed(read(bucket, "out/done.ipynb")) == [f"5 {tmp_path}\n"]
    assert bucket.Object("out/done.ipynb").get()["Body"].read() == result.to_bytes()
    assert list(tmp_path.iterdir()) == []
    assert len(mcp_jupyter.Scheduler("s3://notebooks/in/a b.ipynb").analyse().cells) == 2


def test_it_is_saved_while_it_runs_and_when_it_fails(notebook, bucket, tmp_path):
    go_on = tmp_path / "go-on"
    waiting = f"import os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.02)"
    saved = []

    def wait_for_save(event):
        if event["event"] == "cell_started" and event["cell"]["index"] == 1:
            while not saved:
                saved.extend(printed(read(bucket, "out.ipynb")))
                time.sleep(0.02)
            go_on.touch()

    cells = notebook("print('first')", waiting, "1 / 0")
    with pytest.raises(mcp_jupyter.CellExecutionError):
        mcp_jupyter.run(cells, "s3://notebooks/out.ipynb", on_event=wait_for_save, run_timeout=60)
    assert saved == ["first\n"]
    assert read(bucket, "out.ipynb").cells[2].outputs[0].ename == "ZeroDivisionError"


def test_execute_notebook_fills_addresses(notebook, bucket):
    source = notebook(("year = 1", ["parameters"]), "print(year)")
    bucket.Object("in-2024.ipynb").put(Body=nbformat.writes(source).encode())
    paths = "s3://notebooks/in-{year}.ipynb", "s3://notebooks/out-{year}.ipynb"
    node = mcp_jupyter.execute_notebook(*paths, {"year": 2024}, progress_bar=False)
    assert node == read(bucket, "out-2024.ipynb")
    assert node.metadata.papermill.input_path == "s3://notebooks/in-2024.ipynb"
    assert printed(node) == ["2024\n"]
    prepared = mcp_jupyter.execute_notebook(paths[0], "s3://notebooks/prepared.ipynb", {"year": 2024}, prepare_only=True)
    assert prepared == read(bucket, "prepared.ipynb")


def test_papermills_notes_are_saved_there_as_well(notebook, bucket):
    with pytest.raises(mcp_jupyter.CellExecutionError):
        mcp_jupyter.execute_notebook(notebook("1 / 0"), "s3://notebooks/failed.ipynb", progress_bar=False)
    assert [cell.cell_type for cell in read(bucket, "failed.ipynb").cells] == ["markdown", "markdown", "code"]


def test_a_batch_goes_on_without_what_is_there(notebook, bucket, tmp_path):
    source = notebook(("x = 0", ["parameters"]), "print(x)", "assert x != 2")
    runs = [(source, {"x": x}, f"s3://notebooks/many/{x}.ipynb") for x in range(4)]
    manifest = tmp_path / "runs.jsonl"
    first = {outcome.parameters["x"]: outcome.ok for outcome in mcp_jupyter.run_many(runs, manifest=manifest)}
    assert first == {0: True, 1: True, 2: False, 3: True}
    assert sorted(item.key for item in bucket.objects.all()) == [f"many/{x}.ipynb" for x in range(4)]
    again = {outcome.parameters["x"]: outcome.resumed for outcome in mcp_jupyter.run_many(runs, manifest=manifest)}
    assert again == {0: True, 1: True, 2: False, 3: True}
    outputs = [json.loads(line)["output"] for line in manifest.read_text().splitlines()]
    assert outputs.count("s3://notebooks/many/2.ipynb") == 2
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="would both be written to s3://notebooks/many/0.ipynb"):
        list(mcp_jupyter.run_many([runs[0], runs[0]]))


def test_outputs_and_assets_may_be_in_the_same_bucket(notebook, bucket):
    large = notebook("print('x' * 500_000)")
    mcp_jupyter.run(large, "s3://notebooks/out.ipynb", assets="s3://notebooks/assets")
    assert sum(item.size for item in bucket.objects.filter(Prefix="assets/")) > 500_000
    assert bucket.Object("out.ipynb").content_length < 100_000


def test_what_cannot_be_reached_is_named(notebook, bucket):
    with pytest.raises(mcp_jupyter.NotFoundError, match="s3://notebooks/missing.ipynb: no such file"):
        mcp_jupyter.run("s3://notebooks/missing.ipynb")
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="expected a bucket and a name"):
        mcp_jupyter.run(notebook("1"), "s3://notebooks")
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="resume: .* from s3://notebooks/out.ipynb"):
        mcp_jupyter.run(notebook("1"), "s3://notebooks/out.ipynb", resume=True)
    # Before anything is executed, or at the end alone.
    nowhere = "s3://no-such-bucket/out.ipynb"
    with pytest.raises(mcp_jupyter.UnavailableError, match="s3://no-such-bucket .*write out.ipynb: .* does not exist") as caught:
        mcp_jupyter.run(notebook("print(1)"), nowhere)
    assert caught.value.result is None
    with pytest.raises(mcp_jupyter.SystemCallError, match=f"save the notebook as {nowhere}: .* does not exist") as caught:
        mcp_jupyter.run(notebook("print(1)"), nowhere, save="on-exit")
    assert caught.value.result.outputs[0].text == "1\n"
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="ftp://host/x: files of this machine"):
        mcp_jupyter.run("ftp://host/x")
