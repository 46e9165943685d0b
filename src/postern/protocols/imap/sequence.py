"""Sequence sets (RFC 9051 9, `sequence-set`): parsing, resolving `*` and numbers against a folder view, writing.

A parsed set is a tuple of (low, high) pairs in which STAR stands for `*`. A folder view is an ascending array of
UIDs; the message sequence number of an entry is its index plus one.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from postern.model.ranges import merged, runs
from postern.model.refusal import ProtocolViolation

STAR = 0
"""`*`, the largest number in use. 0 is no valid number, so the two never meet."""

MAX_NUMBER = 0xFFFFFFFF

SequenceSet = tuple[tuple[int, int], ...]

SAVED: SequenceSet = ((-1, -1),)
"""`$`, what the last SEARCH RETURN (SAVE) found (RFC 5182); the front end knows it. Compare with `is`."""

_RANGE = rb"(?:\*|[1-9][0-9]{0,9})(?::(?:\*|[1-9][0-9]{0,9}))?"
_SET = re.compile(_RANGE + rb"(?:," + _RANGE + rb")*")


def parse(text: bytes) -> SequenceSet:
    """Parse a whole sequence set. Raises ProtocolViolation."""
    if text.isdigit() and text[0] != 48 and len(text) < 10:  # one message, by far the most common
        number = int(text)
        return ((number, number),)
    if text == b"$":
        return SAVED
    if _SET.fullmatch(text) is None:
        raise ProtocolViolation("invalid sequence set")
    if b":" not in text and b"*" not in text:
        numbers = list(map(int, text.split(b",")))
        if max(numbers) > MAX_NUMBER:
            raise ProtocolViolation("number over 4294967295 in a sequence set")
        return tuple(zip(numbers, numbers, strict=True))
    ranges = []
    for piece in text.split(b","):
        first, colon, last = piece.partition(b":")
        low = STAR if first == b"*" else int(first)
        high = low if not colon else STAR if last == b"*" else int(last)
        if low > MAX_NUMBER or high > MAX_NUMBER:
            raise ProtocolViolation("number over 4294967295 in a sequence set")
        ranges.append((low, high))
    return tuple(ranges)


def resolved(ranges: SequenceSet, largest: int) -> list[tuple[int, int]]:
    """Put `largest` for `*`; ascending and disjoint. An empty folder (`largest` 0) resolves `*` to nothing."""
    free = 1
    for low, high in ranges:  # as clients mostly write them
        if low < free or high < low:
            break
        free = high + 2
    else:
        return list(ranges)
    if not largest:
        ranges = tuple(r for r in ranges if STAR not in r)
    return merged((low or largest, high or largest) for low, high in ranges)


def sequence_to_uids(ranges: SequenceSet, view: Sequence[int]) -> list[tuple[int, int]]:
    """UID ranges that hold, of the view's messages, exactly those numbered. Raises ProtocolViolation beyond the view.

    RFC 9051 6.4.4 and 9: a number greater than the number of messages is an error.
    """
    count = len(view)
    out = []
    for low, high in resolved(ranges, count):
        if high > count:
            raise ProtocolViolation(f"message {high} of {count}")
        out.append((view[low - 1], view[high - 1]))
    if not out and not count:
        raise ProtocolViolation("the folder is empty")
    return out


def numbers_in_view(ranges: SequenceSet, view: Sequence[int]) -> list[tuple[int, int]]:
    """UID ranges of the messages so numbered, as a search means them: a number that nothing has matches nothing.

    Clients search for `1:*` without looking whether the folder is empty, and for numbers that have just been expunged.
    """
    count = len(view)
    return [(view[low - 1], view[min(high, count) - 1]) for low, high in resolved(ranges, count) if low <= count]


def uids_to_uids(ranges: SequenceSet, view: Sequence[int]) -> list[tuple[int, int]]:
    """UID ranges of a UID command; UIDs that do not exist are no error (RFC 9051 6.4.9)."""
    return resolved(ranges, view[-1] if view else 0)


def within(ranges: Sequence[tuple[int, int]], view: Sequence[int]) -> int:
    """How many of the view's messages the UID ranges hold."""
    return sum(bisect_right(view, high) - bisect_left(view, low) for low, high in ranges)


def render(numbers: Sequence[int]) -> bytes:
    """Numbers in ascending order as a set: `1:3,7`."""
    if len(numbers) == 1:
        return b"%d" % numbers[0]
    return ordered(numbers)


def ordered(numbers: Sequence[int]) -> bytes:
    """Numbers in the order given, runs of successors folded, as COPYUID needs it (RFC 4315 3)."""
    return b",".join([b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in runs(numbers)])
