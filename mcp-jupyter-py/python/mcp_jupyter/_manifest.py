"""The file in which a batch keeps what has been done: a JSON object a line, appended as runs end."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from typing import Any, Dict, Mapping, Optional

from ._options import Notebook, Path, to_json
from .exceptions import ConflictError, CorruptError


def key_of(notebook: Notebook, parameters: Optional[Mapping[str, Any]], output: Optional[Path], nth: int) -> str:
    """What is the same for the same run in a later batch; `nth` tells runs apart that are alike."""
    source = _without_ids(notebook) if isinstance(notebook, Mapping) else os.fspath(notebook)
    told = [source, parameters or {}, None if output is None else os.fspath(output), nth]
    return hashlib.sha256(to_json(told).encode()).hexdigest()


def _without_ids(notebook: Mapping[str, Any]) -> Dict[str, Any]:
    """The notebook without the ids of its cells, which nbformat makes anew for a notebook that is put together again."""
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, Mapping) for cell in cells):
        return dict(notebook)
    return {**notebook, "cells": [{key: value for key, value in cell.items() if key != "id"} for cell in cells]}


class Manifest:
    """The file, which one batch at a time may have."""

    def __init__(self, path: Path) -> None:
        folder = os.path.dirname(os.fspath(path))
        if folder:
            os.makedirs(folder, exist_ok=True)
        self._path = os.fspath(path)
        self._file = open(path, "a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise ConflictError(f"{self._path}: another batch uses this manifest; wait for its end") from None
        try:
            self._done = self._read()
        except BaseException:
            self.close()
            raise

    def _read(self) -> Dict[str, Dict[str, Any]]:
        self._file.seek(0)
        lines = self._file.read().split(b"\n")
        # A line that a killed process has not finished is none.
        rest = lines.pop()
        if rest:
            self._file.truncate(self._file.tell() - len(rest))
        done = {}
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                done[entry["key"]] = entry
            except (ValueError, KeyError, TypeError):
                raise CorruptError(f"{self._path}, line {number}: this is no line of a manifest of run_many") from None
        return done

    def done(self, key: str) -> Optional[Dict[str, Any]]:
        """What is known of a run that has ended well."""
        entry = self._done.get(key)
        return entry if entry and entry["status"] == "ok" else None

    def add(self, entry: Mapping[str, Any]) -> None:
        """Adds a run that has ended, which no crash of this process can undo."""
        self._file.write(to_json(entry).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Lets others have the file."""
        self._file.close()
