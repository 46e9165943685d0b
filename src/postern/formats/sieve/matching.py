"""Comparators and match types (RFC 5228 2.7, RFC 4790 9, RFC 5231)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS = re.compile(r"[0-9]+").match
_PATTERN = re.compile(r"\\(.)|([*?])|([^\\*?]+)|(\\)", re.DOTALL)


class Match(NamedTuple):
    """How values are compared with keys."""

    kind: str = "is"
    """is, contains, matches, value, count."""
    comparator: str = "i;ascii-casemap"
    operator: str = "eq"


def compare(match: Match, value: str, key: str) -> tuple[str, ...] | None:
    """What the wildcards stood for (the whole first; only for `:matches`, else empty), or None for no match."""
    if match.comparator == "i;ascii-numeric":
        order = _order(_number(value), _number(key))
        return () if _holds(order, match.operator if match.kind == "value" else "eq") else None
    if match.kind == "matches":
        return glob(value, key, folded=match.comparator == "i;ascii-casemap")
    if match.comparator == "i;ascii-casemap":
        value, key = value.translate(_UPPER), key.translate(_UPPER)
    if match.kind == "contains":
        return () if key in value else None
    if match.kind == "value":
        return () if _holds(_order(value.encode(), key.encode()), match.operator) else None
    return () if value == key else None


def count_holds(match: Match, count: int, key: str) -> bool:
    """`:count`: a number against a key, as the comparator orders them (RFC 5231 4.2)."""
    if match.comparator == "i;ascii-numeric":
        return _holds(_order(_number(str(count)), _number(key)), match.operator)
    return _holds(_order(str(count).encode(), key.encode()), match.operator)


def _number(text: str) -> tuple[int, int, str]:
    """RFC 4790 9.1: leading digits; what has none is beyond all numbers. Numbers of any length, never converted."""
    found = _DIGITS(text)
    if found is None:
        return 1, 0, ""
    digits = found.group().lstrip("0")
    return 0, len(digits), digits


_Sortable = TypeVar("_Sortable", bytes, tuple[int, int, str])


def _order(left: _Sortable, right: _Sortable) -> int:
    return (left > right) - (left < right)


def _holds(order: int, operator: str) -> bool:
    return {
        "gt": order > 0,
        "ge": order >= 0,
        "lt": order < 0,
        "le": order <= 0,
        "eq": order == 0,
        "ne": order != 0,
    }[operator]


@lru_cache(maxsize=512)
def _segments(pattern: str, folded: bool) -> tuple[re.Pattern[str], ...]:
    """What stands between the asterisks, each of a fixed length."""
    found: list[str] = [""]
    for escaped, wildcard, plain, backslash in _PATTERN.findall(pattern):
        if wildcard == "*":
            found.append("")
        elif wildcard:
            found[-1] += "(.)"
        else:
            literal = escaped or plain or backslash
            found[-1] += re.escape(literal)
    flags = re.DOTALL | (re.IGNORECASE | re.ASCII if folded else 0)
    return tuple(re.compile(segment, flags) for segment in found)


def glob(value: str, pattern: str, *, folded: bool) -> tuple[str, ...] | None:
    """Match `*` and `?`, each asterisk as short as it can be from the left (RFC 5229 3.2); linear in both lengths."""
    segments = _segments(pattern, folded)
    taken: list[str] = [value]
    first = segments[0].match(value)
    if first is None:
        return None
    if len(segments) == 1:
        return (value, *first.groups()) if first.end() == len(value) else None
    taken += first.groups()
    position = first.end()
    for segment in segments[1:-1]:
        found = segment.search(value, position)
        if found is None:
            return None
        taken.append(value[position : found.start()])
        taken += found.groups()
        position = found.end()
    return _anchored(segments[-1], value, position, taken)


def _anchored(last: re.Pattern[str], value: str, position: int, taken: list[str]) -> tuple[str, ...] | None:
    """The last segment, which ends where the value does. Its length is fixed, so it can begin in one place only."""
    if not last.pattern:
        return (*taken, value[position:])
    start = len(value) - _length(last.pattern)
    if start < position:
        return None
    found = last.match(value, start)
    if found is None or found.end() != len(value):
        return None
    return (*taken, value[position:start], *found.groups())


@lru_cache(maxsize=512)
def _length(segment: str) -> int:
    """Characters that a segment takes."""
    return len(re.sub(r"\\(.)|\(\.\)", lambda found: "x", segment, flags=re.DOTALL))


def cost(values: Sequence[str], keys: Sequence[str], kind: str) -> int:
    """Steps that comparing takes: one for so many characters as are looked at in about five microseconds.

    A pattern may have to look at each character once for each of its own.
    """
    characters = sum(map(len, values))
    if kind != "matches":
        return 1 + (characters * len(keys) >> 10)
    return 1 + sum(characters * (1 + len(key) // 4 + key.count("?")) >> 8 for key in keys)
