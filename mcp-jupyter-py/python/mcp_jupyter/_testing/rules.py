"""How a cell is tested: what its tags and comments say, which are nbval's and a few more."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from ..exceptions import InvalidRequestError

__all__ = ["Rules", "rules_of"]


@dataclass(frozen=True)
class Rules:
    """How a cell is tested."""

    compares: bool
    """Whether its outputs are compared with those that are stored."""
    may_raise: bool = False
    is_skipped: bool = False
    rtol: float = 0.0
    atol: float = 0.0


_COMMENTS: Dict[str, Tuple[str, bool]] = {
    "PYTEST_VALIDATE_IGNORE_OUTPUT": ("compares", False),
    "NBVAL_IGNORE_OUTPUT": ("compares", False),
    "NBVAL_CHECK_OUTPUT": ("compares", True),
    "NBVAL_RAISES_EXCEPTION": ("may_raise", True),
    "NBVAL_SKIP": ("is_skipped", True),
}

_TAGS: Dict[str, Tuple[str, bool]] = {
    **{name.lower().replace("_", "-"): rule for name, rule in _COMMENTS.items()},
    "raises-exception": ("may_raise", True),
    "skip": ("is_skipped", True),
    "skip-execution": ("is_skipped", True),
}

_TOLERANCE = re.compile(r"(rtol|atol)=([^\s,]+)")
_TOLERANCES = "MCP_JUPYTER:"


def rules_of(cell: Mapping[str, Any], source: str, default: Rules) -> Rules:
    """The rules for a cell. Its comments come before its tags, those before what holds for all."""
    told = {**_from_tags(_tags(cell)), **_from_comments(source)}
    return replace(default, **told)


def _tags(cell: Mapping[str, Any]) -> List[str]:
    tags = cell.get("metadata", {}).get("tags", [])
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def _from_tags(tags: List[str]) -> Dict[str, Any]:
    told: Dict[str, Any] = {}
    for tag in tags:
        if tag in _TAGS:
            name, value = _TAGS[tag]
            told[name] = value
        elif match := _TOLERANCE.fullmatch(tag):
            told.update([_tolerance(match)])
    return told


def _from_comments(source: str) -> Dict[str, Any]:
    told: Dict[str, Any] = {}
    for comment in _comments(source):
        if comment in _COMMENTS:
            name, value = _COMMENTS[comment]
            told[name] = value
        elif comment.startswith(_TOLERANCES):
            told.update(_tolerance(match) for match in _TOLERANCE.finditer(comment))
    return told


def _comments(source: str) -> Iterator[str]:
    for line in source.splitlines():
        line = line.strip()
        if line.startswith("#"):
            yield line.lstrip("#").strip()


def _tolerance(match: "re.Match[str]") -> Tuple[str, float]:
    try:
        value = float(match[2])
    except ValueError:
        value = -1.0
    if not value >= 0:
        raise InvalidRequestError(f"{match[0]}: expected a number that is not negative, such as {match[1]}=1e-6")
    return match[1], value
