"""Opening stores of assets, and reading the notebooks that are to go there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Mapping, Union

from . import _native
from ._options import Notebook, to_json
from ._tasks import Task, same

if TYPE_CHECKING:
    from .backends import AssetStore


def open_assets(address: Union[str, os.PathLike[str], AssetStore]) -> _native.AssetsHandle:
    """The compiled half of the store at an address, or of one that is written in Python."""
    if isinstance(address, (str, os.PathLike)):
        handle: _native.AssetsHandle = Task(_native.open_assets(os.fspath(address)), same).wait()
        return handle
    from ._adapters import open_store
    from .backends import AssetStore

    if not isinstance(address, AssetStore):
        raise TypeError(f"expected an address or a backends.AssetStore, and got {type(address).__name__}")
    return open_store(address)


def document_of(notebook: Notebook) -> bytes:
    """A notebook, as the bytes of its file."""
    if isinstance(notebook, Mapping):
        return to_json(notebook).encode()
    with open(notebook, "rb") as file:
        return file.read()
