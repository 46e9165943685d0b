"""What a query means for one item, read from the item itself: what any index has to equal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from types import UnionType
from typing import NamedTuple

from postern.formats.mime import anatomy, charset, parameters, references, transfer
from postern.formats.mime import date as mime_date
from postern.formats.mime import header as mime_header
from postern.formats.mime.parts import LEAF, PART_HEADER_LIMIT_BYTES, TEXT, PartMap
from postern.model.ids import BlobRef, FolderId
from postern.model.items import Columns
from postern.model.query import (
    All,
    And,
    BodyContains,
    HasFlags,
    HasKeyword,
    HeaderContains,
    InConversation,
    ModseqFrom,
    Not,
    Or,
    OriginIs,
    Query,
    ReceivedBetween,
    SavedBetween,
    SentBetween,
    SizeAbove,
    SizeBelow,
    TextContains,
    UidIn,
)
from postern.store.interface import Blobs, Mailbox

ZONE_S = 100 * 3600
"""No zone of a Date field is further than this from UTC: nearer to a bound, the field itself decides."""


class Item(NamedTuple):
    """A candidate's row; times in seconds since the epoch."""

    uid: int
    flags: int
    modseq: int
    received_at: int
    size: int
    sent_at: int | None
    saved_at: int = 0
    origin: int = 0
    conversation: int = 0


class Text:
    """A candidate's decoded text, each piece made when first asked for, folded for comparison."""

    __slots__ = ("_header", "_lines", "_raw", "body", "fields")

    def __init__(self, raw_header: bytes, body: str | None, fields: str = "") -> None:
        self.fields = fields
        """Of parts."""
        self._raw = raw_header
        self._lines: dict[str, list[str]] = {}
        self._header: str | None = None
        self.body = body

    def lines(self, name: str) -> list[str]:
        """Values of the fields with a lower-case name."""
        found = self._lines.get(name)
        if found is None:
            raw = mime_header.all_of(self._raw, name.encode("ascii", "replace"))
            found = self._lines[name] = [fold(mime_header.decode(value)) for value in raw]
        return found

    def header(self) -> str:
        """All fields."""
        if self._header is None:
            self._header = field_lines(self._raw)
        return self._header

    def wall_clock(self) -> int | None:
        """What the sender's clock said in the Date field, as if it were UTC; seconds since the epoch."""
        date = mime_date.parse(mime_header.first(self._raw, b"date") or b"")
        return None if date is None else sum(date)


def field_lines(raw_header: bytes) -> str:
    """All fields of a header block, folded, a line each."""
    every = mime_header.values(raw_header)
    return "\n".join(f"{n.decode().lower()}:{fold(mime_header.decode(v))}" for n, v in every)


def readable(packed: bytes, content: bytes) -> list[str]:
    """Decoded text of text parts and of reports, for searching; in HTML references are characters, markup stays."""
    found = []
    for kind, _, start, body, end in PartMap.unpack(packed):
        fields = {name.lower(): value for name, value in reversed(mime_header.values(_block(content, start, body)))}
        main, given = parameters.parse(fields.get(b"content-type", b""))
        if kind != TEXT and not (kind == LEAF and main.lower().startswith(b"message/")):
            continue
        data = transfer.decode(content[body:end], fields.get(b"content-transfer-encoding", b""))
        text = charset.text(data, (parameters.get(given, b"charset") or b"").decode("ascii", "replace"))
        found.append(references.resolved(text) if main.lower() == b"text/html" else text)
    return found


def part_fields(packed: bytes, content: bytes) -> str:
    """Header fields of parts and enclosed messages, folded, and file names that only RFC 2231 can read."""
    lines = []
    for _, _, start, body, _ in list(PartMap.unpack(packed))[1:]:
        block = _block(content, start, body)
        lines.append(field_lines(block))
        if b"*" in block:
            fields = {name.lower(): value for name, value in reversed(mime_header.values(block))}
            named = [
                anatomy.file_name(parameters.parse(fields.get(field, b""))[1], name)
                for field, name in ((b"content-disposition", b"filename"), (b"content-type", b"name"))
            ]
            lines += [f"filename:{fold(name)}" for name in named if name][:1]
    return "".join(f"\n{line}" for line in lines if line)


def _block(content: bytes, start: int, body: int) -> bytes:
    return content[start : min(body, start + PART_HEADER_LIMIT_BYTES)]


_HEADERS = HeaderContains
_BODIES = (BodyContains, TextContains)
Test = Callable[[Item, "Text | None"], bool | None]
"""None: cannot be told without text that is not there yet."""


def fold(text: str) -> str:
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).upper().casefold())
    return " ".join(re.sub("[\ud800-\udfff]", "\ufffd", text).replace("\0", " ").split())


async def search(mailbox: Mailbox, blobs: Blobs, folder: FolderId, query: Query) -> list[int]:
    test = compile_query(query, await mailbox.keywords())
    columns = (
        Columns.UID
        | Columns.FLAGS
        | Columns.MODSEQ
        | Columns.RECEIVED_AT
        | Columns.SIZE
        | Columns.PREFIX
        | Columns.PARTS
        | Columns.BLOB
        | Columns.SENT_AT
        | Columns.SAVED_AT
        | Columns.ORIGIN
        | Columns.CONVERSATION
    )
    found = []
    async for chunk in mailbox.items(folder, columns):
        for (
            uid,
            flags,
            modseq,
            received_at,
            size,
            parts,
            prefix,
            segment,
            record,
            sent_at,
            saved_at,
            origin,
            number,
        ) in chunk:
            content = await blobs.read(BlobRef(segment, record))
            header = prefix + content[: (PartMap.unpack(parts).find("HEADER") or (0, 0))[1]]
            body = "\n".join(fold(text) for text in readable(parts, content))
            row = Item(uid, flags, modseq, received_at, size, sent_at, saved_at, origin, number)
            if test(row, Text(header, body, part_fields(parts, content))):
                found.append(uid)
    return found


def needs(query: Query) -> tuple[bool, bool, bool]:
    """Whether a query looks at Date, at headers, at bodies."""
    if isinstance(query, And | Or):
        parts = [needs(part) for part in query.of]
        return (any(p[0] for p in parts), any(p[1] for p in parts), any(p[2] for p in parts))
    if isinstance(query, Not):
        return needs(query.of)
    body = isinstance(query, _BODIES)
    return isinstance(query, SentBetween), body or isinstance(query, _HEADERS | SentBetween), body


def mentions(query: Query, kinds: type[Query] | UnionType) -> bool:
    """Whether a condition of a kind is anywhere in a query."""
    if isinstance(query, And | Or):
        return any(mentions(part, kinds) for part in query.of)
    if isinstance(query, Not):
        return mentions(query.of, kinds)
    return isinstance(query, kinds)


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
    def test(item: Item, text: Text | None) -> bool | None:
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
    def test(item: Item, text: Text | None) -> bool | None:
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


def _sent_between(item: Item, text: Text | None, start: int | None, end: int | None) -> bool | None:
    if text is not None:
        return _between(text.wall_clock(), start, end)
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
        case SavedBetween(start, end):
            return lambda item, text: _between(item.saved_at, start, end)
        case InConversation(number):
            return lambda item, text: item.conversation == number
        case OriginIs(origin):
            return lambda item, text: item.origin == origin
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

        def in_field(item: Item, text: Text | None) -> bool | None:
            return None if text is None else any(wanted in line for line in text.lines(name))

        return in_field
    whole = isinstance(query, TextContains)

    def in_text(item: Item, text: Text | None) -> bool | None:
        if text is None:
            return None
        if whole and (wanted in text.header() or wanted in text.fields):
            return True
        return None if text.body is None else wanted in text.body

    return in_text
