"""Large outputs outside of notebooks, as immutable bytes known by their digest."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Union

from . import _native
from ._asset_store import document_of, open_assets
from ._asset_types import Asset, AssetUsage, Lines, Matches, to_asset, to_matches
from ._options import Notebook, Path, as_list, to_json
from ._tasks import Task, awaits, same, waits

if TYPE_CHECKING:
    from .backends import AssetStore

__all__ = ["Assets"]


class Assets:
    """A store of assets. Methods whose name begins with an ``a`` are the same in asyncio.

    Parameters
    ----------
    address : str, path or backends.AssetStore
        A folder, ``s3://BUCKET/PREFIX``, ``gs://``, ``az://``, or ``memory`` for one that ends with this object. Clouds take
        their credentials from the environment. Or a store that is written in Python.

    Raises
    ------
    InvalidRequestError
        Where the address is none.

    Examples
    --------
    >>> assets = mcp_jupyter.Assets("store")
    >>> asset = assets.put("one\\ntwo\\n")
    >>> assets.lines(asset.digest, "-1").text
    'two\\n'
    """

    def __init__(self, address: Union[str, os.PathLike[str], AssetStore]) -> None:
        self._handle: _native.AssetsHandle = open_assets(address)

    @property
    def handle(self) -> _native.AssetsHandle:
        """Its compiled half, for others of this package."""
        return self._handle

    def _put(self, content: Union[bytes, bytearray, memoryview, str], mime: Optional[str] = None) -> Task[Asset]:
        """Keeps bytes. Repeating it keeps them once.

        Parameters
        ----------
        content : bytes or str
            The bytes; a str in UTF-8.
        mime : str, optional
            Their MIME type; else ``text/plain`` for a str, and ``application/octet-stream``.

        Returns
        -------
        Asset
            What is known of it, its digest first.

        Raises
        ------
        SystemCallError, UnavailableError
            Where the store cannot be written or reached.
        """
        is_text = isinstance(content, str)
        kind = mime or ("text/plain" if is_text else "application/octet-stream")
        data = content.encode() if isinstance(content, str) else bytes(content)
        return Task(self._handle.put(data, kind), to_asset)

    put = waits(_put)
    aput = awaits(_put)

    def _put_file(self, path: Path, mime: Optional[str] = None) -> Task[Asset]:
        """Keeps the content of a file, which may be larger than memory.

        Parameters
        ----------
        path : path
            The file.
        mime : str, optional
            Its MIME type; else what its name says.

        Returns
        -------
        Asset
            What is known of it, its digest first.

        Raises
        ------
        SystemCallError, UnavailableError
            Where the file cannot be read, or the store not be written or reached.
        """
        from mimetypes import guess_type

        kind = mime or guess_type(os.fspath(path))[0] or "application/octet-stream"
        return Task(self._handle.put_file(os.fspath(path), kind), to_asset)

    put_file = waits(_put_file)
    aput_file = awaits(_put_file)

    def _get(self, digest: str, start: int = 0, end: Optional[int] = None) -> Task[bytes]:
        """Reads an asset, or a range of it.

        Parameters
        ----------
        digest : str
            Which.
        start, end : int
            The range, in bytes, which lies within the asset; all of it without.

        Returns
        -------
        bytes
            The bytes.

        Raises
        ------
        NotFoundError
            Where there is no such asset.
        InvalidRequestError
            Where the range goes beyond it.
        """
        whole = start == 0 and end is None
        return Task(self._handle.get(digest, None if whole else (start, end)), same)

    get = waits(_get)
    aget = awaits(_get)

    def _lines(self, digest: str, which: str = "1-", *, most_lines: int = 2000, most_bytes: int = 65536) -> Task[Lines]:
        """Reads lines of a text.

        Parameters
        ----------
        digest : str
            Which asset.
        which : str
            Which lines: ``"10-20"``, ``"10"``, ``"10-"`` to the end, ``"-5"`` the last five.
        most_lines, most_bytes : int
            How much to give at most; `Lines.notice` tells how to read on.

        Returns
        -------
        Lines
            The lines, and what is left out.

        Raises
        ------
        NotFoundError
            Where there is no such asset.
        InvalidRequestError
            Where the asset has no such line.
        """
        job = self._handle.lines(digest, which, most_lines, most_bytes)
        return Task(job, lambda found: Lines(found["first"], found["last"], found["text"], found["notice"]))

    lines = waits(_lines)
    alines = awaits(_lines)

    def _search(
        self,
        digest: str,
        pattern: str,
        *,
        regex: bool = False,
        ignore_case: bool = False,
        before: int = 0,
        after: int = 0,
        from_line: int = 1,
        most_matches: int = 100,
        most_bytes: int = 65536,
    ) -> Task[Matches]:
        """Searches the lines of a text, without reading it into memory.

        Parameters
        ----------
        digest : str
            Which asset.
        pattern : str
            What a line has to contain.
        regex : bool
            Whether that is a regular expression, of Rust's crate ``regex``.
        ignore_case : bool
            Whether upper and lower case are the same.
        before, after : int
            How many lines to give around each match.
        from_line : int
            The first line to search, from 1.
        most_matches, most_bytes : int
            Where to stop; `Matches.next_line` tells where to search on.

        Returns
        -------
        Matches
            The lines that match, with their context.

        Raises
        ------
        NotFoundError
            Where there is no such asset.
        InvalidRequestError
            Where the pattern is none.
        """
        options = {
            "pattern": pattern,
            "is_regex": regex,
            "ignore_case": ignore_case,
            "before": before,
            "after": after,
            "from_line": from_line,
            "max_matches": most_matches,
            "max_bytes": most_bytes,
        }
        return Task(self._handle.search(digest, options), to_matches)

    search = waits(_search)
    asearch = awaits(_search)

    def _pointer(self, digest: str, pointer: str, *, most_bytes: int = 65536) -> Task[Dict[str, Any]]:
        """Reads a part of a JSON document.

        Parameters
        ----------
        digest : str
            Which asset.
        pointer : str
            The part, as a JSON pointer (RFC 6901), such as ``/rows/0``; ``""`` is the whole.
        most_bytes : int
            How much of its text to give at most.

        Returns
        -------
        dict
            Its ``kind``, ``text``, ``size`` and ``names``, and a ``notice`` of what is left out.

        Raises
        ------
        NotFoundError
            Where there is no such asset.
        InvalidRequestError
            Where it is no JSON, or has no such part.
        """
        return Task(self._handle.pointer(digest, pointer, most_bytes), same)

    pointer = waits(_pointer)
    apointer = awaits(_pointer)

    def _head(self, digest: str) -> Task[Asset]:
        """Tells what is known of an asset.

        Parameters
        ----------
        digest : str
            Which.

        Returns
        -------
        Asset
            What is known of it.

        Raises
        ------
        NotFoundError
            Where there is no such asset.
        """
        return Task(self._handle.head(digest), to_asset)

    head = waits(_head)
    ahead = awaits(_head)

    def _list(self) -> Task[List[Asset]]:
        """Lists all assets, in the order of their digests.

        Raises
        ------
        SystemCallError, UnavailableError
            Where the store cannot be read or reached.
        """
        return Task(self._handle.list(), lambda assets: [to_asset(asset) for asset in assets])

    list = waits(_list)
    alist = awaits(_list)

    def _delete(self, digest: str) -> Task[None]:
        """Deletes an asset, whatever refers to it. Does nothing where it is not there.

        Parameters
        ----------
        digest : str
            Which.

        Raises
        ------
        SystemCallError, UnavailableError
            Where the store cannot be written or reached.
        """
        return Task(self._handle.delete(digest), same)

    delete = waits(_delete)
    adelete = awaits(_delete)

    def _pin(self, digest: str, name: str) -> Task[None]:
        """Has an asset kept, whatever refers to it, until it is unpinned.

        Parameters
        ----------
        digest : str
            Which.
        name : str
            What for, at most 200 characters.

        Raises
        ------
        NotFoundError
            Where there is no such asset.
        """
        return Task(self._handle.pin(digest, name, True), same)

    pin = waits(_pin)
    apin = awaits(_pin)

    def _unpin(self, digest: str, name: str) -> Task[None]:
        """Takes a pin of this name away. Does nothing where there is none.

        Parameters
        ----------
        digest : str
            Which asset.
        name : str
            The name.
        """
        return Task(self._handle.pin(digest, name, False), same)

    unpin = waits(_unpin)
    aunpin = awaits(_unpin)

    def _verify(self, digests: Union[str, Iterable[str]] = ()) -> Task[Dict[str, str]]:
        """Compares the bytes of assets with their digests.

        Parameters
        ----------
        digests : str or iterable of str
            Which; all without.

        Returns
        -------
        dict
            What is wrong, by digest; empty where all is well.

        Raises
        ------
        SystemCallError, UnavailableError
            Where the store cannot be read or reached.
        """
        return Task(self._handle.verify(as_list(digests)), lambda found: dict(found["damaged"]))

    verify = waits(_verify)
    averify = awaits(_verify)

    def _usage(self) -> Task[AssetUsage]:
        """Tells how much there is, by MIME type.

        Raises
        ------
        SystemCallError, UnavailableError
            Where the store cannot be read or reached.
        """
        return Task(self._handle.usage(), lambda usage: AssetUsage(**usage))

    usage = waits(_usage)
    ausage = awaits(_usage)

    def _export(self, digest: str, path: Path, *, replace: bool = False) -> Task[None]:
        """Writes the bytes of an asset into a file, as a whole or not at all.

        Parameters
        ----------
        digest : str
            Which.
        path : path
            The file.
        replace : bool
            Whether one that is there may be replaced.

        Raises
        ------
        NotFoundError
            Where there is no such asset.
        InvalidRequestError
            Where the file exists.
        SystemCallError
            Where it cannot be written.
        """
        return Task(self._handle.export(digest, os.fspath(path), replace), same)

    export = waits(_export)
    aexport = awaits(_export)

    def _inline(self, notebook: Notebook) -> Task[Dict[str, Any]]:
        """Puts back all that was taken out of a notebook: its outputs are what they would be had nothing been taken out.

        Parameters
        ----------
        notebook : path, dict or nbformat.NotebookNode
            The notebook, which is not changed.

        Returns
        -------
        dict
            The notebook, whole.

        Raises
        ------
        NotFoundError
            Where the store lacks an asset.
        CorruptError
            Where an asset's bytes are others than those that were stored.
        """
        return Task(self._handle.inline(document_of(notebook)), lambda found: json.loads(found[0]))

    inline = waits(_inline)
    ainline = awaits(_inline)

    def _offload(self, notebook: Notebook, *, name: Optional[str] = None, threshold: Optional[int] = None) -> Task[Dict[str, Any]]:
        """Takes large outputs out of a notebook; previews stay.

        Parameters
        ----------
        notebook : path, dict or nbformat.NotebookNode
            The notebook, which is not changed.
        name : str, optional
            What references to the assets call it; else its path, or ``notebook``.
        threshold : int, optional
            From how many bytes on outputs are large; else 64 KiB of text, and 256 KiB of anything else.

        Returns
        -------
        dict
            The notebook with previews.

        Raises
        ------
        SystemCallError, UnavailableError
            Where the store cannot be written or reached.
        """
        called = name or ("notebook" if isinstance(notebook, Mapping) else os.path.abspath(notebook))
        return Task(self._handle.offload(document_of(notebook), called, threshold), lambda found: json.loads(found[0]))

    offload = waits(_offload)
    aoffload = awaits(_offload)

    def _prune(
        self, roots: Iterable[Path], *, grace: float = 7 * 86400.0, quota: Optional[int] = None, dry_run: bool = False
    ) -> Task[Dict[str, Any]]:
        """Deletes what nothing has needed for long enough: no reference, and no notebook or text under the roots.

        Parameters
        ----------
        roots : iterable of path
            The folders whose notebooks, pages and texts are looked through.
        grace : float
            How long an asset has to have been without need, in seconds.
        quota : int, optional
            Delete the oldest only, until no more than so many bytes are left.
        dry_run : bool
            Whether only to tell what would be done.

        Returns
        -------
        dict
            What was ``deleted``, what is ``waiting``, and how many bytes were ``freed`` and are ``left``.

        Raises
        ------
        SystemCallError, UnavailableError
            Where the store or a folder cannot be read; nothing is deleted then.
        """
        return Task(self._handle.prune([os.fspath(root) for root in roots], grace, quota, dry_run), same)

    prune = waits(_prune)
    aprune = awaits(_prune)

    def __contains__(self, digest: object) -> bool:
        from .exceptions import NotFoundError

        try:
            self.head(str(digest))
        except NotFoundError:
            return False
        return True

    def __repr__(self) -> str:
        return f"<Assets in {self._handle.name}>"
