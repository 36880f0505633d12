"""What is known of assets, and of what is read of them."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

__all__ = ["Asset", "AssetUsage", "FoundLine", "Lines", "Matches"]


class Asset(NamedTuple):
    """What is known of an asset without reading it."""

    digest: str
    """Its identity: ``sha256:`` and 64 hexadecimal digits."""
    length: int
    """Its length, in bytes."""
    mime: str
    """Its MIME type."""
    created: str
    """When it was first put there, in UTC (RFC 3339)."""
    lines: Optional[int]
    """How many lines a text has."""
    pixels: Optional[Tuple[int, int]]
    """Width and height of an image."""
    references: Tuple[str, ...]
    """Why it must stay: ``NOTEBOOK#CELL``, or ``pin NAME``."""


class Lines(NamedTuple):
    """Lines of an asset."""

    first: int
    """The number of the first one, from 1."""
    last: int
    """The number of the last one."""
    text: str
    """The lines, with their ends."""
    notice: Optional[str]
    """What is left out, and how to read on."""


class FoundLine(NamedTuple):
    """A line that matches, or is near one that does."""

    number: int
    """Its number, from 1."""
    text: str
    """The line without its end."""
    is_match: bool
    """Whether it matches."""


class Matches(NamedTuple):
    """What a search has found."""

    matches: int
    """How many lines match, of those that were searched."""
    lines: List[FoundLine]
    """They and their context."""
    next_line: Optional[int]
    """Where to search on, where the search has stopped at a limit."""
    notice: Optional[str]
    """What was not searched or is not shown, and how to get it."""


class AssetUsage(NamedTuple):
    """How much there is in a store."""

    assets: int
    """How many assets there are."""
    bytes: int
    """Their size."""
    unreferenced_bytes: int
    """The size of those that nothing refers to."""
    types: Dict[str, Dict[str, int]]
    """``assets`` and ``bytes`` by MIME type."""


def to_asset(found: Mapping[str, Any]) -> Asset:
    pixels = found.get("pixels")
    return Asset(
        found["digest"],
        found["length"],
        found["mime"],
        found["created"],
        found.get("lines"),
        None if pixels is None else (pixels[0], pixels[1]),
        tuple(_reference(reference) for reference in found.get("refs", [])),
    )


def _reference(reference: Mapping[str, str]) -> str:
    return f"pin {reference['pin']}" if "pin" in reference else f"{reference['notebook']}#{reference['cell']}"


def to_matches(found: Mapping[str, Any]) -> Matches:
    lines = [line for passage in found["passages"] for line in passage["lines"]]
    stopped = found.get("stopped")
    return Matches(
        found["matches"],
        [FoundLine(line["number"], line["text"], line["is_match"]) for line in lines],
        None if stopped is None else stopped["next_line"],
        found["notice"],
    )
