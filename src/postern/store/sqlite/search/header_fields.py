"""Fields of the header blocks that the mailbox has itself, many at a time: nothing has to be worked out before.

The blocks of some items are joined, so that a thread has to win the interpreter's lock once for all of them, and looked
through at once. Fields are taken from those alone that may matter: where the text is, or something encoded.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple, cast

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
_FOLDED = b" \t"
_BLOCKS = (
    "SELECT {uids}, json_group_array(length(c.prefix) + length(c.header) + 1),"
    " cast(group_concat(c.prefix || c.header, char(10)) AS BLOB) FROM {items}"
    " CROSS JOIN contents c ON c.id = i.content WHERE i.folder = ?1 AND i.uid"
)
_BLOCKS_LISTED = (
    _BLOCKS.format(uids="json_group_array(i.uid)", items="json_each(?2) r CROSS JOIN items i") + " = r.value"
)
_BLOCKS_BETWEEN = _BLOCKS.format(uids="NULL", items="items i") + " BETWEEN ?2 AND ?3"
"""Half the cost: each item of a list is looked for from the root."""
_ROWS = (
    "SELECT json_group_array(i.uid), json_group_array(i.size) FROM json_each(?) r CROSS JOIN items i"
    f" JOIN s.headers t ON t.content = i.content AND t.stamp = ({STAMP}) WHERE i.folder = ? AND i.uid = r.value"
)
_numbers = msgspec.json.Decoder(list[int]).decode
_lengths = msgspec.json.Decoder(list[int | None]).decode


class Blocks(NamedTuple):
    """Header blocks of some items, a line feed before each."""

    uids: Sequence[int]
    without: list[int]
    """UIDs of items whose header is too long for the mailbox's row."""
    raw: bytes
    small: bytes
    """The same octets in small letters, 0xFF for what is not ASCII."""
    ends: list[int]
    """Where the block of each item ends."""

    def fields(self, text: bytes, name: bytes) -> Iterator[tuple[int, bytes]]:
        """(Place of the item, raw value) of the fields with a name in which, in small letters, a text is.

        It is looked for in all blocks at once: most texts are in few of them, or in other fields.
        """
        small, ends = self.small, self.ends
        at = small.find(text)
        while at >= 0:
            place = bisect_right(ends, at)
            first = ends[place - 1] if place else 0
            start = small.rfind(b"\n", first, at)
            while small[start + 1] in _FOLDED and start > first:
                start = small.rfind(b"\n", first, start)
            found = None
            if small.startswith(name, start + 1):
                found = _VALUE(self.raw, start + 1 + len(name), ends[place])
            if found is not None:
                yield place, found[1]
                at = found.end()
            else:
                at = _REST(small, at, ends[place]).end()
            at = small.find(text, at)

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


_REST = cast("Callable[[bytes, int, int], re.Match[bytes]]", re.compile(rb"[^\n]*+(?:\n[ \t][^\n]*+)*+").match)
"""What is left of a field, folded as it may be: looked at again, each of its lines would lead back to its beginning."""
_VALUE = re.compile(rb"[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*+)").match


def blocks(db: apsw.Connection, folder: int, uids: Sequence[int], *, gapless: bool = False) -> Iterator[Blocks]:
    """The header blocks of these items, in their order; one that is not there any more is left out.

    `gapless`: in the caller's read transaction they are all that the folder has from the first to the last, ascending.
    """
    for start in range(0, len(uids), ITEMS_AT_A_TIME):
        part = uids[start : start + ITEMS_AT_A_TIME]
        if gapless:
            ((_, sizes, joined),) = rows(db, _BLOCKS_BETWEEN, (folder, part[0], part[-1]))
            listed: Sequence[int] = part
        else:
            ((numbers, sizes, joined),) = rows(db, _BLOCKS_LISTED, (folder, msgspec.json.encode(part).decode()))
            listed = _numbers(numbers)
        lengths = _lengths(sizes)
        without: list[int] = []
        if None in lengths:
            without = [uid for uid, length in zip(listed, lengths, strict=True) if length is None]
            listed = [uid for uid, length in zip(listed, lengths, strict=True) if length is not None]
            lengths = [length for length in lengths if length is not None]
        raw = b"\n" + joined if listed else b""
        ends = list(accumulate(cast("list[int]", lengths)))
        yield Blocks(listed, without, raw, raw.lower() if raw.isascii() else raw.translate(_SMALL), ends)


def containing_any(
    db: apsw.Connection, folder: int, uids: Sequence[int], fields: Sequence[Read], *, gapless: bool
) -> tuple[list[int], list[int]]:
    """Of these items, ascending: (those with one of the fields and its text, those that need a row)."""
    found: set[int] = set()
    missing: set[int] = set()
    left = uids
    for field in fields:
        some, hard = containing(db, folder, left, field, gapless=gapless and left is uids)
        if len(fields) == 1:
            return some, hard
        found.update(some)
        missing.update(hard)
        left = [uid for uid in left if uid not in found]
    return sorted(found), sorted(missing - found)


def containing(
    db: apsw.Connection, folder: int, uids: Sequence[int], read: Read, *, gapless: bool
) -> tuple[list[int], list[int]]:
    """Of these items, ascending: (those with a field that has the text, those that need a row).

    A row of `headers` is needed where the field has to be decoded, or is not in the mailbox's row.
    """
    found: list[int] = []
    hard: list[int] = []
    name = read.start[1:-1]
    wanted = read.wanted
    # what may be encoded, and where the text may be as it is
    texts = [b"?", max(wanted.split(b" "), key=len)] if wanted.isascii() else [b"?"]
    for some in blocks(db, folder, uids, gapless=gapless):
        hard += some.without
        places: set[int] = set()
        encoded: set[int] = set()
        for text in texts if some.raw.isascii() else [b"\xff", *texts]:
            for place, value in some.fields(text, name):
                if not value.isascii() or b"=?" in value:
                    encoded.add(place)
                elif wanted in fold_utf8(value):
                    places.add(place)
        found += [some.uids[place] for place in places]
        hard += [some.uids[place] for place in encoded - places]
    if hard:
        hard.sort()
        ((numbers, sizes),) = rows(db, _ROWS, (msgspec.json.encode(hard).decode(), folder))
        there = _numbers(numbers)
        found += reading_texts.containing(db, folder, there, _numbers(sizes), read)
        known = set(there)
        hard = [uid for uid in hard if uid not in known]
    return sorted(found), hard
