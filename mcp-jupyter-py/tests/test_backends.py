"""Backends that are written in Python."""

import asyncio
import inspect
import threading

import mcp_jupyter
import pytest
from mcp_jupyter import backends


class DictStore(backends.AssetStore):
    """Assets in dictionaries, under one lock."""

    def __init__(self):
        self.lock = threading.RLock()
        self.assets, self.contents, self.refs, self.marks = {}, {}, {}, {}

    def create(self, asset, content):
        data = content.read_at(0, content.length)
        with self.lock:
            self.marks.pop(asset["digest"], None)
            self.contents[asset["digest"]] = data
            return self.assets.setdefault(asset["digest"], asset)

    def head(self, digest):
        with self.lock:
            if digest not in self.assets:
                raise mcp_jupyter.NotFoundError(digest)
            return self.assets[digest]

    def read(self, digest, start, end):
        self.head(digest)
        return self.contents[digest][start:end]

    def list(self):
        with self.lock:
            return list(self.assets.values())

    def delete(self, digest):
        with self.lock:
            for kept in (self.assets, self.contents, self.refs, self.marks):
                kept.pop(digest, None)

    def add_reference(self, digest, reference):
        with self.lock:
            self.head(digest)
            references = self.refs.setdefault(digest, [])
            if reference not in references:
                references.append(reference)

    def remove_reference(self, digest, reference):
        with self.lock:
            self.refs[digest] = [kept for kept in self.refs.get(digest, []) if kept != reference]

    def references(self, digest):
        with self.lock:
            return list(self.refs.get(digest, []))

    def list_references(self):
        with self.lock:
            return [(digest, reference) for digest, references in self.refs.items() for reference in references]

    def mark(self, digest, now):
        with self.lock:
            self.head(digest)
            return self.marks.setdefault(digest, now)

    def unmark(self, digest):
        with self.lock:
            self.marks.pop(digest, None)

    def list_marks(self):
        with self.lock:
            return list(self.marks.items())

    def collect(self, digest, marked_until):
        with self.lock:
            if self.marks.get(digest, marked_until + 1) > marked_until or self.refs.get(digest):
                return False
            self.delete(digest)
            return True


def awaits_first(method):
    async def call(self, *args, **kwargs):
        await asyncio.sleep(0)
        return method(self.store, *args, **kwargs)

    return call


class AsyncStore(backends.AssetStore):
    """The same, of coroutine functions."""

    def __init__(self):
        self.store = DictStore()

    for _name, _method in inspect.getmembers(DictStore, inspect.isfunction):
        if not _name.startswith("_"):
            locals()[_name] = awaits_first(_method)


@pytest.mark.parametrize("make", [DictStore, AsyncStore])
@pytest.mark.parametrize("case", backends.asset_store_cases(), ids=str)
def test_a_store_does_what_it_must(case, make):
    case.run(make)


def test_a_store_that_does_not_is_found_out():
    class Forgetful(DictStore):
        def references(self, digest):
            return []

    cases = {case.name: case for case in backends.asset_store_cases()}
    with pytest.raises(AssertionError):
        cases["references_kept"].run(Forgetful)
    cases["put_and_get"].run(Forgetful)
    assert cases["put_and_get"].description


@pytest.mark.parametrize("make", [DictStore, AsyncStore])
def test_a_run_puts_its_outputs_there(notebook, make):
    store = make()
    result = mcp_jupyter.run(notebook("print('x' * 90000)"), assets=store)
    (asset,) = mcp_jupyter.Assets(store).list()
    assert (asset.length, asset.references) == (90001, ("#cell-0",))
    assert "".join(mcp_jupyter.Assets(store).inline(result.to_dict())["cells"][0]["outputs"][0]["text"])[:3] == "xxx"


def test_what_a_store_raises_is_told():
    class Broken(DictStore):
        def __str__(self):
            return "the cupboard"

        def list(self):
            raise RuntimeError("it is locked")

        def read(self, digest, start, end):
            return b""

    assets = mcp_jupyter.Assets(Broken())
    with pytest.raises(mcp_jupyter.UnavailableError, match=r"the cupboard cannot be reached: list\(\): it is locked"):
        assets.list()
    asset = assets.put("abc")
    with pytest.raises(mcp_jupyter.CorruptError, match=r"3 bytes were asked for, and read\(\) gave 0"):
        assets.get(asset.digest)
    with pytest.raises(mcp_jupyter.NotFoundError, match="the cupboard has no asset"):
        assets.head("sha256:" + "0" * 64)
    with pytest.raises(TypeError, match="expected an address or a backends.AssetStore, and got int"):
        mcp_jupyter.Assets(3)
