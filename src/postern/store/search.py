"""Searching a folder by reading it: cheap conditions over rows first, then headers, then bodies.

Answers are exact: substrings of decoded text without case, short words of Chinese, mail of this very second. It needs
no index and is what any index has to equal. Slices give the loop back after a few milliseconds.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple, Protocol

from postern.formats.mime import date as mime_date
from postern.formats.mime import header as mime_header
from postern.formats.mime.parts import PartMap
from postern.model.ids import BlobRef, FolderId, Uid
from postern.model.items import Columns
from postern.model.query import (
    All,
    And,
    BodyContains,
    HasFlags,
    HasKeyword,
    HeaderContains,
    ModseqFrom,
    Not,
    Or,
    Query,
    ReceivedBetween,
    SentBetween,
    SizeAbove,
    SizeBelow,
    TextContains,
    UidIn,
)
from postern.store.interface import Blobs, Ranges, normalise

SLICE_S = 0.003
BODY_BATCH = 16
"""Bodies read at a time."""
ZONE_S = 100 * 3600
"""No zone of a Date field is further than this from UTC: nearer to a bound, the field itself decides."""
THREAD_BYTES = 256 * 1024
"""Bodies larger than this are decoded in a thread."""


class Rows(Protocol):
    """What is needed of a mailbox."""

    def items(
        self, folder: FolderId, columns: Columns, ranges: Ranges | None = None, changed_since: Any = None
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Rows in UID order."""
        ...

    async def keywords(self) -> dict[int, str]:
        """Bit -> keyword."""
        ...


class _Item(NamedTuple):
    """A candidate's row; times in seconds since the epoch."""

    uid: int
    flags: int
    modseq: int
    received_at: int
    size: int
    sent_at: int | None


class _Text:
    """A candidate's decoded text, made once, folded for comparison."""

    __slots__ = ("body", "header", "lines", "wall_clock")

    def __init__(self, header: bytes, body: str | None) -> None:
        self.lines: dict[str, list[str]] = {}
        whole: list[str] = []
        for name, value in mime_header.values(header):
            text = fold(mime_header.decode(value))
            key = name.decode("ascii", "replace").lower()
            self.lines.setdefault(key, []).append(text)
            whole.append(f"{key}: {text}")
        self.header = "\n".join(whole)
        self.body = body
        date = mime_date.parse(mime_header.first(header, b"date") or b"")
        self.wall_clock = None if date is None else sum(date)
        """What the sender's clock said, as if it were UTC."""


_ROW_COLUMNS = Columns.UID | Columns.FLAGS | Columns.MODSEQ | Columns.RECEIVED_AT | Columns.SIZE
_HEADER_COLUMNS = Columns.UID | Columns.HEADER | Columns.PREFIX | Columns.PARTS | Columns.BLOB
_HEADERS = HeaderContains
_BODIES = (BodyContains, TextContains)
Test = Callable[[_Item, "_Text | None"], bool | None]
"""None: cannot be told without text that is not there yet."""


def fold(text: str) -> str:
    """How texts are compared: compatibility forms and case disregarded, white space as one space."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def needs(query: Query) -> tuple[bool, bool, bool]:
    """Whether a query looks at Date, at headers, at bodies."""
    if isinstance(query, And | Or):
        parts = [needs(part) for part in query.of]
        return (any(p[0] for p in parts), any(p[1] for p in parts), any(p[2] for p in parts))
    if isinstance(query, Not):
        return needs(query.of)
    body = isinstance(query, _BODIES)
    return isinstance(query, SentBetween), body or isinstance(query, _HEADERS | SentBetween), body


def compile_query(query: Query, keywords: dict[int, str]) -> Test:
    """A function that tests one item, three-valued so that the cheap half of a query can decide alone."""
    if isinstance(query, And):
        return _all(tuple(compile_query(part, keywords) for part in query.of))
    if isinstance(query, Or):
        return _any(tuple(compile_query(part, keywords) for part in query.of))
    if isinstance(query, Not):
        inner = compile_query(query.of, keywords)
        return lambda item, text: None if (found := inner(item, text)) is None else not found
    if isinstance(query, HeaderContains | BodyContains | TextContains):
        return _compile_text(query)
    return _compile_row(query, keywords)


def _all(tests: tuple[Test, ...]) -> Test:
    def test(item: _Item, text: _Text | None) -> bool | None:
        result: bool | None = True
        for part in tests:
            found = part(item, text)
            if found is False:
                return False
            if found is None:
                result = None
        return result

    return test


def _any(tests: tuple[Test, ...]) -> Test:
    def test(item: _Item, text: _Text | None) -> bool | None:
        result: bool | None = False
        for part in tests:
            found = part(item, text)
            if found:
                return True
            if found is None:
                result = None
        return result

    return test


def _between(value: int | None, start: int | None, end: int | None) -> bool:
    return value is not None and (start is None or value >= start) and (end is None or value < end)


def _sent_between(item: _Item, text: _Text | None, start: int | None, end: int | None) -> bool | None:
    if text is not None:
        return _between(text.wall_clock, start, end)
    if item.sent_at is None:
        return False
    low, high = item.sent_at - ZONE_S, item.sent_at + ZONE_S
    if _between(low, start, end) and _between(high, start, end):
        return True
    if (start is not None and high < start) or (end is not None and low >= end):
        return False
    return None


def _compile_row(query: Query, keywords: dict[int, str]) -> Test:
    match query:
        case All():
            return lambda item, text: True
        case HasFlags(mask):
            return lambda item, text: item.flags & mask == mask
        case HasKeyword(keyword):
            wanted = keyword.lower()
            bits = sum(1 << bit for bit, name in keywords.items() if name.lower() == wanted)
            return lambda item, text: bool(item.flags & bits)
        case UidIn(ranges):
            return lambda item, text: any(low <= item.uid <= high for low, high in ranges)
        case SizeAbove(octets):
            return lambda item, text: item.size > octets
        case SizeBelow(octets):
            return lambda item, text: item.size < octets
        case ReceivedBetween(start, end):
            return lambda item, text: _between(item.received_at, start, end)
        case SentBetween(start, end):
            return lambda item, text: _sent_between(item, text, start, end)
        case ModseqFrom(modseq):
            return lambda item, text: item.modseq >= modseq
        case _:
            raise TypeError(f"unknown query {query!r}")


def _compile_text(query: HeaderContains | BodyContains | TextContains) -> Test:
    wanted = fold(query.text)
    if isinstance(query, HeaderContains):
        name = query.name.lower()

        def in_field(item: _Item, text: _Text | None) -> bool | None:
            return None if text is None else any(wanted in line for line in text.lines.get(name, ()))

        return in_field
    whole = isinstance(query, TextContains)

    def in_text(item: _Item, text: _Text | None) -> bool | None:
        if text is None:
            return None
        if whole and wanted in text.header:
            return True
        return None if text.body is None else wanted in text.body

    return in_text


def bounds(query: Query, within: Ranges | None) -> Ranges | None:
    """UID ranges outside of which the query cannot match."""
    ranges: list[tuple[int, int]] | None = None if within is None else list(within)
    for part in query.of if isinstance(query, And) else (query,):
        if isinstance(part, UidIn):
            own = normalise(part.ranges)
            ranges = own if ranges is None else _meet(ranges, own)
    return ranges


def _meet(one: Ranges, other: Ranges) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(one) and j < len(other):
        low, high = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if low <= high:
            found.append((low, high))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found


async def run(mailbox: Rows, blobs: Blobs, folder: FolderId, query: Query, within: Ranges | None) -> list[Uid]:
    """UIDs of the folder that match, ascending."""
    test = compile_query(query, await mailbox.keywords())
    dates, headers, bodies = needs(query)
    matched: list[Uid] = []
    unsure: list[_Item] = []
    columns = _ROW_COLUMNS | Columns.SENT_AT if dates else _ROW_COLUMNS
    async for rows in mailbox.items(folder, columns, bounds(query, within)):
        started = perf_counter()
        for row in rows:
            item = _Item._make(row if dates else (*row, None))
            found = test(item, None)
            if found:
                matched.append(Uid(item.uid))
            elif found is None:
                unsure.append(item)
            if perf_counter() - started > SLICE_S:
                await asyncio.sleep(0)
                started = perf_counter()
    if headers and unsure:
        matched += await _by_text(mailbox, blobs, folder, test, unsure, bodies=bodies)
        matched.sort()
    return matched


async def _by_text(
    mailbox: Rows, blobs: Blobs, folder: FolderId, test: Test, unsure: Sequence[_Item], *, bodies: bool
) -> list[Uid]:
    """Decide the rest by their headers, and what is then still open by their bodies."""
    by_uid = {item.uid: item for item in unsure}
    ranges = normalise((uid, uid) for uid in by_uid)
    matched: list[Uid] = []
    later: list[tuple[_Item, bytes, bytes, BlobRef]] = []
    started = perf_counter()
    async for rows in mailbox.items(folder, _HEADER_COLUMNS, ranges):
        for uid, header, parts, prefix, segment, record in rows:
            item = by_uid.get(uid)
            if item is None:
                continue
            ref = BlobRef(segment, record)
            if header is None:
                _, end = PartMap.unpack(parts).find("HEADER") or (0, 0) if parts else (0, 0)
                header = await blobs.read(ref, 0, end)
            found = test(item, _Text(prefix + header, None))
            if found:
                matched.append(uid)
            elif found is None and bodies:
                later.append((item, prefix + header, parts, ref))
            if len(later) >= BODY_BATCH:
                matched += await _by_body(blobs, test, later)
                later.clear()
            if perf_counter() - started > SLICE_S:
                await asyncio.sleep(0)
                started = perf_counter()
    if later:
        matched += await _by_body(blobs, test, later)
    return matched


async def _by_body(blobs: Blobs, test: Test, candidates: Sequence[tuple[_Item, bytes, bytes, BlobRef]]) -> list[Uid]:
    matched: list[Uid] = []
    contents = await blobs.read_many([candidate[3] for candidate in candidates])
    for (item, header, parts, _), content in zip(candidates, contents, strict=True):
        if len(content) > THREAD_BYTES:
            body = await asyncio.to_thread(body_text, parts, content)
        else:
            body = body_text(parts, content)
            await asyncio.sleep(0)
        if test(item, _Text(header, body)):
            matched.append(Uid(item.uid))
    return matched


def body_text(parts: bytes, content: bytes) -> str:
    """Decoded text of all text parts, folded for comparison."""
    if not parts:
        return fold(content.decode("utf-8", "replace"))
    return fold("\n".join(PartMap.unpack(parts).leaf_text(content)))
