"""Fields of the header blocks that the mailbox has itself, many at a time: nothing has to be worked out before.

The blocks of some items are joined, so that a thread has to win the interpreter's lock once for all of them, and looked
through at once. Fields are taken from those alone that may matter: where the text is, or something encoded.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import apsw
import msgspec

from postern.model.collation import fold_utf8
from postern.store.sqlite.connection import rows
from postern.store.sqlite.search import reading_texts
from postern.store.sqlite.search.expression import Read
from postern.store.sqlite.search.file import STAMP

ITEMS_AT_A_TIME = 128
"""A block in the mailbox's row has at most `HEADER_LIMIT_BYTES`, most have a tenth of it."""
_SMALL = bytes(range(0x41)) + bytes(range(0x61, 0x7B)) + bytes(range(0x5B, 0x80)) + b"\xff" * 128
"""ASCII in small letters, one octet for all others."""
_EQUALS = 0x3D
_BLOCKS = (
    "SELECT json_group_array(i.uid), json_group_array(length(c.prefix) + length(c.header)),"
    " cast(group_concat(c.prefix || c.header, char(10)) AS BLOB) FROM json_each(?) r CROSS JOIN items i"
    " CROSS JOIN contents c ON c.id = i.content WHERE i.folder = ? AND i.uid = r.value"
)
_NO_ROW = (
    "SELECT json_group_array(i.uid) FROM json_each(?) r CROSS JOIN items i"
    f" LEFT JOIN s.headers t ON t.content = i.content AND t.stamp = ({STAMP})"
    " WHERE i.folder = ? AND i.uid = r.value AND t.content IS NULL"
)
_numbers = msgspec.json.Decoder(list[int]).decode
_lengths = msgspec.json.Decoder(list[int | None]).decode


class Blocks(NamedTuple):
    """Header blocks of some items, a line feed before each."""

    uids: list[int]
    without: list[int]
    """UIDs of items whose header is too long for the mailbox's row."""
    raw: bytes
    small: bytes
    """The same octets in small letters, 0xFF for what is not ASCII."""
    ends: list[int]
    """Where the block of each item ends."""

    def holding(self, text: bytes) -> set[int]:
        """Places of the items in whose block, in small letters, a text is."""
        found: set[int] = set()
        at = self.small.find(text)
        while at >= 0:
            place = bisect_right(self.ends, at)
            found.add(place)
            at = self.small.find(text, self.ends[place])
        return found

    def not_plain(self) -> set[int]:
        """Places of the items whose block has something that may be encoded."""
        found = self.holding(b"\xff")
        at = self.small.find(b"?")  # rarer than "=", and one octet is looked for ten times as fast as two
        while at >= 0:
            if self.small[at - 1] == _EQUALS:
                place = bisect_right(self.ends, at)
                found.add(place)
                at = self.ends[place] - 1
            at = self.small.find(b"?", at + 1)
        return found

    def values(self, place: int, name: bytes) -> Iterator[bytes]:
        """Raw values of an item's fields with a name in small letters, as `formats.mime.header.values` has them."""
        end = self.ends[place]
        start = b"\n" + name
        at = self.small.find(start, self.ends[place - 1] if place else 0, end)
        while at >= 0:
            value = _VALUE(self.raw, at + len(start), end)
            if value is not None:
                yield value[1]
            at = self.small.find(start, at + 1, end)


_VALUE = re.compile(rb"[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*+)").match


def blocks(db: apsw.Connection, folder: int, uids: Sequence[int]) -> Iterator[Blocks]:
    """The header blocks of these items, in their order; one that is not there any more is left out."""
    for start in range(0, len(uids), ITEMS_AT_A_TIME):
        part = msgspec.json.encode(uids[start : start + ITEMS_AT_A_TIME]).decode()
        ((numbers, sizes, joined),) = rows(db, _BLOCKS, (part, folder))
        listed, lengths = _numbers(numbers), _lengths(sizes)
        without = [uid for uid, length in zip(listed, lengths, strict=True) if length is None]
        if without:
            listed = [uid for uid, length in zip(listed, lengths, strict=True) if length is not None]
        raw = b"\n" + joined if listed else b""
        ends = list(accumulate(length + 1 for length in lengths if length is not None))
        yield Blocks(listed, without, raw, raw.lower() if raw.isascii() else raw.translate(_SMALL), ends)


def containing_any(
    db: apsw.Connection, folder: int, uids: Sequence[int], octets: Mapping[int, int], fields: Sequence[Read]
) -> tuple[list[int], list[int]]:
    """Of these items, with their sizes: (those with one of the fields and its text, those that need a row)."""
    found: set[int] = set()
    missing: set[int] = set()
    left = uids
    for field in fields:
        some, hard = containing(db, folder, left, octets, field)
        if len(fields) == 1:
            return some, hard
        found.update(some)
        missing.update(hard)
        left = [uid for uid in left if uid not in found]
    return sorted(found), sorted(missing - found)


def containing(
    db: apsw.Connection, folder: int, uids: Sequence[int], octets: Mapping[int, int], read: Read
) -> tuple[list[int], list[int]]:
    """Of these items, with their sizes: (those with a field that has the text, those that need a row).

    A row of `headers` is needed where the field has to be decoded, or is not in the mailbox's row.
    """
    found: list[int] = []
    hard: list[int] = []
    name = read.start[1:-1]
    word = max(read.wanted.split(b" "), key=len) if read.wanted.isascii() else b""
    for some in blocks(db, folder, uids):
        hard += some.without
        places = some.not_plain()
        if word:
            places |= some.holding(word)
        for place in places:
            answer = _has(some.values(place, name), read.wanted)
            if answer is None:
                hard.append(some.uids[place])
            elif answer:
                found.append(some.uids[place])
    if hard:
        hard.sort()
        missing = set(_numbers(str(rows(db, _NO_ROW, (msgspec.json.encode(hard).decode(), folder))[0][0])))
        there = [uid for uid in hard if uid not in missing]
        found += reading_texts.containing(db, folder, there, [octets[uid] for uid in there], read)
        hard = [uid for uid in hard if uid in missing]
    return sorted(found), hard


def _has(values: Iterator[bytes], wanted: bytes) -> bool | None:
    """Whether one of the values has the text; None if one would have to be decoded first."""
    answer: bool | None = False
    for value in values:
        if not value.isascii() or b"=?" in value:
            answer = None
        elif wanted in fold_utf8(value):
            return True
    return answer
