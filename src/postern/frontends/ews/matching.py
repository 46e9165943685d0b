"""Whether something fits a restriction, given its properties as text (MS-OXWSSRCH 2.2.3)."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator
from datetime import UTC

from postern.protocols.ews.paths import Extended, Path
from postern.protocols.ews.reading import date_time
from postern.protocols.ews.restrictions import And, Compare, Contains, Excludes, Exists, Not, Or, Relation, Restriction
from postern.protocols.ews.violation import SchemaViolation

Value = Callable[[Path], "str | None"]

_NUMBER = re.compile(r"[+-]?\d{1,19}", re.ASCII).fullmatch
_TRUTH = {"true": "1", "false": "0"}
_ORDERED = {"low": 0, "normal": 1, "high": 2, "personal": 1, "private": 2, "confidential": 3}
_IGNORE_CASE = frozenset(
    {"IgnoreCase", "IgnoreCaseAndNonSpacingCharacters", "LooseAndIgnoreCase", "LooseAndIgnoreCaseAndIgnoreNonSpace"}
)
_IGNORE_MARKS = frozenset(
    {"IgnoreNonSpacingCharacters", "IgnoreCaseAndNonSpacingCharacters", "LooseAndIgnoreNonSpace",
     "LooseAndIgnoreCaseAndIgnoreNonSpace"}
)  # fmt: skip


def paths_of(restriction: Restriction) -> list[Path]:
    """Every property that it looks at."""
    return list(_paths(restriction))


def _paths(node: Restriction) -> Iterator[Path]:
    if isinstance(node, And | Or):
        for one in node.of:
            yield from _paths(one)
    elif isinstance(node, Not):
        yield from _paths(node.of)
    else:
        yield node.path
        if isinstance(node, Compare) and node.other is not None:
            yield node.other


def fits(node: Restriction, value: Value) -> bool:
    """Whether it fits. A property that is not there fits nothing but Not and IsNotEqualTo."""
    if isinstance(node, And):
        return all(fits(one, value) for one in node.of)
    if isinstance(node, Or):
        return any(fits(one, value) for one in node.of)
    if isinstance(node, Not):
        return not fits(node.of, value)
    found = value(node.path)
    if isinstance(node, Exists):
        return found is not None
    if isinstance(node, Excludes):
        return found is None or not _NUMBER(found) or not int(found) & node.mask
    if isinstance(node, Contains):
        return found is not None and _contains(found, node)
    return _compare(node, found, value)


def _compare(node: Compare, found: str | None, value: Value) -> bool:
    wanted = node.constant if node.other is None else value(node.other)
    if found is not None and wanted is not None and "\0" in found and "\0" not in wanted:
        # of several values one will do; none may be equal where equality is ruled out (MS-OXCDATA 2.12.5.1)
        several = [_compared(node, one, wanted) for one in found.split("\0")]
        return all(several) if node.relation is Relation.NOT_EQUAL else any(several)
    return _compared(node, found, wanted)


def _compared(node: Compare, found: str | None, wanted: str | None) -> bool:
    if found is None or wanted is None:
        same = found is None and wanted is None
        return node.relation is Relation.NOT_EQUAL and not same
    left, right = comparable(found, node.path), comparable(wanted, node.path)
    if type(left) is not type(right):
        left, right = found.casefold(), wanted.casefold()
    relation = node.relation
    if relation is Relation.EQUAL:
        return left == right
    if relation is Relation.NOT_EQUAL:
        return left != right
    less, equal = left < right, left == right  # type: ignore[operator]
    if relation is Relation.LESS:
        return less
    if relation is Relation.LESS_OR_EQUAL:
        return less or equal
    return not less if relation is Relation.GREATER_OR_EQUAL else not less and not equal


def comparable(text: str, path: Path) -> float | str:
    """A value in the order of its type: numbers, instants and truth as numbers, everything else without case."""
    stripped = text.strip()
    lowered = stripped.lower()
    if lowered in _TRUTH:
        return float(_TRUTH[lowered])
    if not (isinstance(path, Extended) and path.kind == "String") and _NUMBER(stripped):
        return float(int(stripped))
    if lowered in _ORDERED and not isinstance(path, Extended) and path.uri in ("item:Importance", "item:Sensitivity"):
        return float(_ORDERED[lowered])
    if len(stripped) >= 19 and stripped[4:5] == "-" and stripped[10:11] == "T":
        try:
            return date_time(stripped, "a time").astimezone(UTC).timestamp()
        except SchemaViolation:
            return text.casefold()
    return text.casefold()


def _contains(found: str, node: Contains) -> bool:
    text, wanted = _folded(found, node.comparison), _folded(node.constant, node.comparison)
    if node.mode == "FullString":
        return any(one == wanted for one in (text, *text.split("\0"))) if "\0" in text else text == wanted
    if node.mode == "Prefixed":
        return any(one.startswith(wanted) for one in text.split("\0"))
    if node.mode == "Substring":
        return wanted in text
    words = _words(text)
    if node.mode == "ExactPhrase":
        return (
            f"\0{wanted_phrase}\0" in f"\0{chr(0).join(words)}\0"
            if (wanted_phrase := "\0".join(_words(wanted)))
            else False
        )
    words.sort()
    return bool(wanted) and all(_begins_one(one, words) for one in _words(wanted))


def _begins_one(start: str, words: list[str]) -> bool:
    """Whether one of the words, in their order, begins so."""
    at = bisect_left(words, start)
    return at < len(words) and words[at].startswith(start)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def _folded(text: str, comparison: str) -> str:
    if comparison in _IGNORE_MARKS or comparison.startswith("Loose"):
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in decomposed if not unicodedata.combining(char))
    return text.casefold() if comparison in _IGNORE_CASE or comparison == "Loose" else text
