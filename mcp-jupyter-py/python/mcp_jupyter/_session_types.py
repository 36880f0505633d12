"""What is known of a session's edits and its past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, Mapping, NamedTuple, Optional, Tuple, Union

from ._options import as_list

if TYPE_CHECKING:
    from ._assets import Assets

__all__ = ["Edited", "SnapshotInfo", "Version"]


class Edited(NamedTuple):
    """What edits have done."""

    revision: str
    """By which the notebook is recognised now."""
    inserted: Tuple[str, ...]
    """The ids of new cells, in the order in which they were made."""
    deleted: Tuple[str, ...]
    """The ids of cells that are gone."""
    changed: Tuple[str, ...]
    """The ids of cells whose content is another."""
    moved: Tuple[str, ...]
    """The ids of cells that stand elsewhere."""
    conflicts: Tuple[str, ...]
    """Where another program has changed the same a moment before, without having seen it."""
    undo: str
    """What `Session.undo` takes it back by."""


class Version(NamedTuple):
    """One execution of a cell."""

    number: int
    """Later ones have higher ones."""
    cell: str
    """The cell's id."""
    run: str
    """The run that it was a part of."""
    source: str
    """The source that was executed."""
    outcome: str
    """How it ended."""
    outputs: int
    """How many outputs it had."""
    seconds: float
    """How long it took."""
    execution_count: Optional[int]
    """The ``n`` of ``In[n]``."""
    epoch: int
    """Which of the session's kernel processes executed it."""
    ended: str
    """When it ended, in UTC (RFC 3339)."""


class SnapshotInfo(NamedTuple):
    """A notebook that was kept as it was."""

    number: int
    """Later ones have higher ones."""
    name: Optional[str]
    """The name that it was given."""
    reason: str
    """Why it was taken."""
    taken: str
    """When it was taken, in UTC (RFC 3339)."""
    bytes: int
    """The length of the document."""


def to_edited(done: Mapping[str, Any]) -> Edited:
    members: Any = {name: value if isinstance(value, str) else tuple(value) for name, value in done.items()}
    return Edited(**members)


def to_version(version: Mapping[str, Any]) -> Version:
    return Version(
        number=version["seq"],
        cell=version["cell"],
        run=version["run_id"],
        source=version["source"],
        outcome=version["outcome"],
        outputs=len(version["outputs"]),
        seconds=version["seconds"],
        execution_count=version["execution_count"],
        epoch=version["epoch"],
        ended=version["ended"],
    )


def to_snapshot(snapshot: Mapping[str, Any]) -> SnapshotInfo:
    return SnapshotInfo(
        snapshot["seq"], snapshot["name"], snapshot["reason"], snapshot["taken"], snapshot["length"]
    )


def run_options(
    mode: str,
    targets: Union[str, Iterable[str]],
    allow_expensive: bool,
    timeout: Optional[float],
    run_timeout: Optional[float],
    on_error: str,
    assets: Optional[Assets],
) -> Dict[str, Any]:
    """What to execute, as the compiled half takes it."""
    return {
        "mode": mode,
        "targets": as_list(targets),
        "allow_expensive": allow_expensive,
        "timeout": timeout,
        "run_timeout": run_timeout,
        "on_error": on_error,
        "assets": None if assets is None else assets.handle,
    }


def to_edit(edit: Mapping[str, Any]) -> Dict[str, Any]:
    """An edit as the library has it: places, and what an inserted cell is unless that is said."""
    known = dict(edit)
    if known.get("op") == "insert":
        known = {"at": "last", "cell_type": "code", **known}
    for member in ("at", "to"):
        where, separator, cell = str(known.get(member, "")).partition(":")
        if separator and where in ("before", "after"):
            known[member] = {where: cell}
    return known
