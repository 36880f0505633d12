"""Comparing the outputs of a cell with those that are stored, as nbval does, with tolerances for numbers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional

from ..exceptions import InvalidRequestError, NotFoundError
from .rules import Rules

__all__ = ["Difference", "differences", "read_sanitizers"]

Sanitize = Callable[[str], str]

# What differs from run to run or from machine to machine: pictures, and widgets, which have random names.
_WIDGET = "application/vnd.jupyter.widget-view+json"
_NUMBER = re.compile(r"((?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
_OVERWRITTEN = re.compile(r"^.*\r(?=[^\n])", re.MULTILINE)
_ERASED = re.compile(r"[^\n]\x08")


@dataclass(frozen=True)
class Difference:
    """One output that differs; a side that has none is None."""

    field: str
    """``stdout``, ``stderr``, ``ename``, ``evalue`` or a MIME type."""
    stored: Optional[str]
    new: Optional[str]


def differences(
    stored: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]], rules: Rules, sanitize: Sanitize
) -> List[Difference]:
    """What differs. The order counts only among outputs of the same kind, since kinds may race."""
    before, after = _by_field(stored), _by_field(new)
    found = []
    for field in {**before, **after}:
        pairs = _pairs(before.get(field, []), after.get(field, []))
        found += [Difference(field, *map(_shown, pair)) for pair in pairs if not _alike(*pair, rules, sanitize)]
    return found


def read_sanitizers(paths: Iterable[str]) -> Sanitize:
    """What applies the replacements that files name, in their order.

    Raises
    ------
    NotFoundError, InvalidRequestError
        Where there is no such file, or it has no replacement, or no regular expression where one should be.
    """
    replacements = [found for path in paths for found in _replacements(path)]

    def sanitize(text: str) -> str:
        for pattern, replacement in replacements:
            text = pattern.sub(replacement, text)
        return text

    return sanitize


def _replacements(path: str) -> "list[tuple[re.Pattern[str], str]]":
    try:
        with open(path, encoding="utf-8") as file:
            pairs = re.findall(r"^regex: (.*)$\n^replace: ?(.*)$", file.read(), re.MULTILINE)
    except OSError as error:
        raise NotFoundError(f"{path}: cannot read this file of replacements: {error.strerror}") from None
    if not pairs:
        raise InvalidRequestError(f"{path}: there is no line `regex: …` with a line `replace: …` after it")
    try:
        return [(re.compile(pattern), replacement) for pattern, replacement in pairs]
    except re.error as error:
        raise InvalidRequestError(f"{path}: {error.pattern!r} is no regular expression: {error}") from None


def _by_field(outputs: Iterable[Mapping[str, Any]]) -> Dict[str, List[Any]]:
    fields: Dict[str, List[Any]] = {}
    streams: Dict[str, str] = {}
    for output in outputs:
        kind = output["output_type"]
        if kind == "stream":
            streams[output["name"]] = streams.get(output["name"], "") + _joined(output["text"])
        elif kind == "error":
            for name in ("ename", "evalue"):
                fields.setdefault(name, []).append(output[name])
        else:
            for mime, value in output["data"].items():
                if _is_comparable(mime):
                    fields.setdefault(mime, []).append(_joined(value))
    # Text that is printed in pieces arrives in as many outputs as it happens to.
    return {**{name: [_as_seen(text)] for name, text in streams.items() if text}, **fields}


def _is_comparable(mime: str) -> bool:
    return mime != _WIDGET and (not mime.startswith("image/") or mime == "image/svg+xml")


def _joined(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value


def _as_seen(text: str) -> str:
    """What is left to see of text that goes back in its line."""
    while (shorter := _ERASED.sub("", text)) != text:
        text = shorter
    return _OVERWRITTEN.sub("", text)


def _pairs(before: List[Any], after: List[Any]) -> "list[tuple[Any, Any]]":
    count = max(len(before), len(after))
    return list(zip(before + [None] * (count - len(before)), after + [None] * (count - len(after))))


def _shown(value: Any) -> Optional[str]:
    if value is None or isinstance(value, str):
        return value
    import json

    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)


def _alike(stored: Any, new: Any, rules: Rules, sanitize: Sanitize) -> bool:
    if isinstance(stored, str) and isinstance(new, str):
        stored, new = sanitize(stored), sanitize(new)
        return stored == new or bool(rules.rtol or rules.atol) and _alike_but_numbers(stored, new, rules)
    if isinstance(stored, dict) and isinstance(new, dict):
        return stored.keys() == new.keys() and all(_alike(stored[key], new[key], rules, sanitize) for key in stored)
    if isinstance(stored, list) and isinstance(new, list):
        return len(stored) == len(new) and all(_alike(*pair, rules, sanitize) for pair in zip(stored, new))
    if isinstance(stored, float) or isinstance(new, float):
        return _are_close(stored, new, rules)
    return bool(stored == new)


def _alike_but_numbers(stored: str, new: str, rules: Rules) -> bool:
    """Whether texts are the same but for numbers that are close, and for the spaces that align them."""
    before, after = _NUMBER.split(stored), _NUMBER.split(new)
    if len(before) != len(after):
        return False
    texts = zip(before[::2], after[::2])
    numbers = zip(before[1::2], after[1::2])
    return all("".join(a.split()) == "".join(b.split()) for a, b in texts) and all(
        a == b or (_is_fraction(a) or _is_fraction(b)) and _are_close(float(a), float(b), rules) for a, b in numbers
    )


def _is_fraction(number: str) -> bool:
    return not number.lstrip("+-").isdigit()


def _are_close(stored: Any, new: Any, rules: Rules) -> bool:
    if not (isinstance(stored, (int, float)) and isinstance(new, (int, float))):
        return False
    if math.isnan(stored) or math.isnan(new):
        return math.isnan(stored) and math.isnan(new)
    return math.isclose(stored, new, rel_tol=rules.rtol, abs_tol=rules.atol)
