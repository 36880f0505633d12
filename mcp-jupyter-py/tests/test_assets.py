"""Stores of large outputs."""

import asyncio
import base64
import json

import mcp_jupyter
import nbformat
import pytest
from moto.server import ThreadedMotoServer

TEXT = "".join(f"line {number}\n" for number in range(1, 101))


@pytest.fixture(scope="module")
def bucket():
    """A bucket of an S3 server on this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        import boto3

        boto3.client("s3", endpoint_url=settings["AWS_ENDPOINT"], region_name="us-east-1").create_bucket(Bucket="outputs")
        yield "s3://outputs/prefix"
    server.stop()


@pytest.fixture(params=["memory", "folder", "s3"])
def assets(request, tmp_path):
    addresses = {"memory": lambda: "memory", "folder": lambda: tmp_path / "store"}
    address = addresses.get(request.param, lambda: request.getfixturevalue("bucket"))()
    return mcp_jupyter.Assets(address)


def test_what_is_put_is_read_by_ranges_lines_and_searches(assets):
    asset = assets.put(TEXT)
    assert (asset.length, asset.mime, asset.lines) == (len(TEXT), "text/plain", 100)
    assert asset.digest.startswith("sha256:")
    assert assets.put(TEXT.encode(), "text/plain").digest == asset.digest
    assert assets.get(asset.digest) == TEXT.encode()
    assert (assets.get(asset.digest, 5, 6), assets.get(asset.digest, len(TEXT) - 4)) == (b"1", b"100\n")
    assert assets.lines(asset.digest, "99-").text == "line 99\nline 100\n"
    lines = assets.lines(asset.digest, "-3", most_lines=2)
    assert (lines.first, lines.last, lines.text) == (98, 99, "line 98\nline 99\n")
    assert "read on with lines 100" in lines.notice
    found = assets.search(asset.digest, "LINE 5", ignore_case=True, most_matches=3)
    assert ([line.number for line in found.lines], found.matches, found.next_line) == ([5, 50, 51], 3, 52)
    found = assets.search(asset.digest, r"^line \d0$", regex=True, before=1, from_line=85)
    assert [(line.number, line.is_match) for line in found.lines] == [(89, False), (90, True)]
    assert assets.head(asset.digest) == asset
    assert asset.digest in assets
    assert asset in assets.list()
    assert assets.verify() == {}
    assets.delete(asset.digest)
    assert asset.digest not in assets


def test_what_is_kept_is_told(assets, tmp_path):
    pixel = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    image = tmp_path / "image.png"
    image.write_bytes(pixel)
    asset = assets.put_file(image)
    assert (asset.mime, asset.pixels, asset.length) == ("image/png", (1, 1), len(pixel))
    before = assets.usage()
    assets.pin(asset.digest, "for a paper")
    assert assets.head(asset.digest).references == ("pin for a paper",)
    usage = assets.usage()
    assert usage.types["image/png"] == {"assets": 1, "bytes": len(pixel)}
    assert before.unreferenced_bytes - usage.unreferenced_bytes == len(pixel)
    pruned = assets.prune([tmp_path], grace=0, dry_run=True)
    assert (pruned["deleted"], pruned["needed"]) == ([], 1)
    assets.unpin(asset.digest, "for a paper")
    assert assets.head(asset.digest).references == ()
    target = tmp_path / "exported.png"
    assets.export(asset.digest, target)
    assert target.read_bytes() == pixel
    with pytest.raises(mcp_jupyter.InvalidRequestError, match=r"exported\.png: it exists"):
        assets.export(asset.digest, target)
    assets.export(asset.digest, target, replace=True)


def test_json_is_read_in_parts():
    assets = mcp_jupyter.Assets("memory")
    asset = assets.put(json.dumps({"rows": [{"a": 1}, {"a": 2}]}), "application/json")
    part = assets.pointer(asset.digest, "/rows/1")
    assert (part["kind"], json.loads(part["text"])) == ("an object", {"a": 2})


def test_large_outputs_of_a_run_are_taken_out_and_put_back(notebook, tmp_path):
    store = tmp_path / "store"
    result = mcp_jupyter.run(
        notebook("print('x' * 90000)"), tmp_path / "out.ipynb", assets=str(store), asset_threshold=1000
    )
    assert len(result.outputs[0].text) < 90000
    assets = mcp_jupyter.Assets(store)
    (asset,) = assets.list()
    assert (asset.length, asset.references) == (90001, (f"{tmp_path / 'out.ipynb'}#cell-0",))
    whole = assets.inline(tmp_path / "out.ipynb")
    assert "".join(whole["cells"][0]["outputs"][0]["text"]) == "x" * 90000 + "\n"
    again = assets.offload(whole, name="other.ipynb", threshold=1000)
    nbformat.validate(again)
    assert assets.inline(again) == whole
    assert "other.ipynb#cell-0" in assets.head(asset.digest).references


def test_damage_is_found(tmp_path):
    assets = mcp_jupyter.Assets(tmp_path)
    asset = assets.put("whole")
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"whole"]
    file.chmod(0o644)
    file.write_bytes(b"other")
    (problem,) = assets.verify(asset.digest).values()
    assert problem.startswith("its bytes are those of sha256:")


def test_asyncio_has_the_same(tmp_path):
    async def main():
        assets = mcp_jupyter.Assets(tmp_path)
        made = await asyncio.gather(*(assets.aput(f"text {number}") for number in range(20)))
        texts = await asyncio.gather(*(assets.aget(asset.digest) for asset in made))
        return texts, await assets.alist(), await assets.averify()

    texts, listed, problems = asyncio.run(main())
    assert texts == [f"text {number}".encode() for number in range(20)]
    assert (len(listed), problems) == (20, {})


def test_what_is_wrong_is_said(tmp_path):
    assets = mcp_jupyter.Assets("memory")
    digest = "sha256:" + "0" * 64
    with pytest.raises(mcp_jupyter.NotFoundError, match=f"memory has no asset {digest}"):
        assets.get(digest)
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="is no digest: expected"):
        assets.get("abc")
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="MIME type"):
        assets.put("x", "no type")
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="expected a path, file://, s3://"):
        mcp_jupyter.Assets("ftp://example.org/x")
    asset = assets.put("abc")
    with pytest.raises(mcp_jupyter.InvalidRequestError, match="range"):
        assets.get(asset.digest, 2, 9)
    with pytest.raises(mcp_jupyter.SystemCallError, match="nowhere"):
        assets.put_file(tmp_path / "nowhere")
