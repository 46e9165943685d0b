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
    " cast(group_concat(c.prefix || c.header, char(10)) AS BLOB){also} FROM {items}"
    " CROSS JOIN contents c ON c.id = i.content WHERE i.folder = ?1 AND i.uid"
)
_LISTED = _BLOCKS.replace("{uids}", "json_group_array(i.uid)").replace("{items}", "json_each(?2) r CROSS JOIN items i")
_BETWEEN = _BLOCKS.replace("{uids}", "NULL").replace("{items}", "items i")
"""Half the cost: each item of a list is looked for from the root."""
_KNOWN = (
    ", json_group_array(coalesce(c.sent_at, i.received_at)), json_group_array(CASE WHEN i.segment THEN c.subject END)"
)
_BLOCKS_LISTED = {known: _LISTED.format(also=_KNOWN if known else "") + " = r.value" for known in (False, True)}
_BLOCKS_BETWEEN = {
    known: _BETWEEN.format(also=_KNOWN if known else "") + " BETWEEN ?2 AND ?3" for known in (False, True)
}
_ROWS = (
    "SELECT json_group_array(i.uid), json_group_array(i.size) FROM json_each(?) r CROSS JOIN items i"
    f" JOIN s.headers t ON t.content = i.content AND t.stamp = ({STAMP}) WHERE i.folder = ? AND i.uid = r.value"
)
_numbers = msgspec.json.Decoder(list[int]).decode
_lengths = msgspec.json.Decoder(list[int | None]).decode
_subjects = msgspec.json.Decoder(list[str | None]).decode


Known = Callable[[apsw.Connection, int, Sequence[int], Read], tuple[Sequence[int], Sequence[int]]]
"""`Columns.find`."""


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
    dates: Sequence[int] = ()
    """If asked for: when each was sent, or came if that is not known."""
    subjects: Sequence[str | None] = ()
    """If asked for: decoded, None of items without MIME."""

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

    def every(self, name: bytes) -> Iterator[tuple[int, bytes]]:
        """(Place of the item, raw value) of all fields with a name in small letters, in order."""
        small, raw, ends = self.small, self.raw, self.ends
        start = b"\n" + name
        at = small.find(start)
        while at >= 0:
            place = bisect_right(ends, at)
            value = _VALUE(raw, at + len(start), ends[place])
            if value is not None:
                yield place, value[1]
                at = small.find(start, value.end())
            else:
                at = small.find(start, at + 1)

    def firsts(self, name: bytes) -> dict[int, bytes]:
        """Raw value, as `formats.mime.header.values` has it, of each item's first field with a name in small letters.

        By the place of the item; those without such a field are left out.
        """
        small, raw, ends = self.small, self.raw, self.ends
        start = b"\n" + name
        found: dict[int, bytes] = {}
        at = small.find(start)
        while at >= 0:
            place = bisect_right(ends, at)
            value = _VALUE(raw, at + len(start), ends[place])
            if value is not None:
                found[place] = value[1]
                at = small.find(start, ends[place])
            else:
                at = small.find(start, at + 1)
        return found


_REST = cast("Callable[[bytes, int, int], re.Match[bytes]]", re.compile(rb"[^\n]*+(?:\n[ \t][^\n]*+)*+").match)
"""What is left of a field, folded as it may be: looked at again, each of its lines would lead back to its beginning."""
_VALUE = re.compile(rb"[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*+)").match


def blocks(
    db: apsw.Connection, folder: int, uids: Sequence[int], *, gapless: bool = False, known: bool = False
) -> Iterator[Blocks]:
    """The header blocks of these items, in their order; one that is not there any more is left out.

    `gapless`: in the caller's read transaction they are all that the folder has from the first to the last, ascending.
    `known`: with dates and subjects, which have places of items `without` too.
    """
    for start in range(0, len(uids), ITEMS_AT_A_TIME):
        part = uids[start : start + ITEMS_AT_A_TIME]
        if gapless:
            ((_, sizes, joined, *also),) = rows(db, _BLOCKS_BETWEEN[known], (folder, part[0], part[-1]))
            listed: Sequence[int] = part
        else:
            listing = msgspec.json.encode(part).decode()
            ((numbers, sizes, joined, *also),) = rows(db, _BLOCKS_LISTED[known], (folder, listing))
            listed = _numbers(numbers)
        lengths = _lengths(sizes)
        without: list[int] = []
        if None in lengths:
            without = [uid for uid, length in zip(listed, lengths, strict=True) if length is None]
            listed = [uid for uid, length in zip(listed, lengths, strict=True) if length is not None]
            lengths = [length for length in lengths if length is not None]
        raw = b"\n" + joined if listed else b""
        ends = list(accumulate(cast("list[int]", lengths)))
        small = raw.lower() if raw.isascii() else raw.translate(_SMALL)
        if known:
            yield Blocks(listed, without, raw, small, ends, _numbers(also[0]), _subjects(also[1]))
        else:
            yield Blocks(listed, without, raw, small, ends)


def containing_any(
    db: apsw.Connection,
    folder: int,
    uids: Sequence[int],
    fields: Sequence[Read],
    *,
    gapless: bool,
    known: Known | None = None,
) -> tuple[list[int], list[int]]:
    """Of these items, ascending: (those with one of the fields and its text, those that need a row).

    `known`: what can be told without a look at the blocks.
    """
    found: set[int] = set()
    missing: set[int] = set()
    left = uids
    for field in fields:
        at_once, rest = known(db, folder, left, field) if known is not None and left else ([], left)
        found.update(at_once)
        some, hard = containing(db, folder, rest, field, gapless=gapless and rest is uids)
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
