"""Sections of a message for FETCH (RFC 9051 6.4.5.1): from the stored header and part map, never by parsing.

A message is its own prefix (trace fields) followed by the shared body. The prefix belongs to the message's header;
part offsets are into the body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from postern.formats.mime import header as mime_header
from postern.formats.mime import transfer
from postern.formats.mime.parts import PartMap
from postern.formats.mime.preview import preview
from postern.frontends.imap.ports import Mailbox
from postern.model.ids import BlobRef
from postern.model.items import Columns
from postern.protocols.imap.commands.fetch import Section
from postern.protocols.imap.declined import Declined

PREVIEW_BYTES = 262_144
"""Of a large message so much is read for its preview."""

Reader = Callable[[bytes, bytes, bytes, bytes], bytes | None]
"""(prefix, header, packed part map, body) -> the section's octets; None if there is no such part."""


def is_whole(section: Section) -> bool:
    """All of the message, uncut."""
    return not section.path and not section.kind and section.length is None


def is_header(section: Section) -> bool:
    """Of the message's own header: the stored one answers it."""
    return not section.path and section.kind.startswith(b"HEADER")


def columns(sections: tuple[Section, ...]) -> Columns:
    """What the sections are made from."""
    needed = Columns(0)
    for section in sections:
        if is_header(section):
            needed |= Columns.PREFIX | Columns.HEADER
        else:
            needed |= Columns.PREFIX | Columns.BLOB | Columns.BODY_SIZE
            if section.path or section.kind:
                needed |= Columns.PARTS
    return needed


def reader(section: Section) -> Reader:
    """How a section is read."""
    if section.kind.startswith(b"PREVIEW"):
        return lambda _prefix, _header, parts, body: preview(parts, body).encode("utf-8")
    if section.kind == b"BINARY.SIZE":
        decoded = _decoded(section)

        def measured(prefix: bytes, header: bytes, parts: bytes, body: bytes) -> bytes | None:
            data = decoded(prefix, header, parts, body)
            return None if data is None else b"%d" % len(data)

        return measured
    found = _decoded(section) if section.kind == b"BINARY" else _uncut(section)
    if section.length is None:
        return found
    start, end = section.start, section.start + section.length

    def cut(prefix: bytes, header: bytes, parts: bytes, body: bytes) -> bytes | None:
        data = found(prefix, header, parts, body)
        return None if data is None else data[start:end]

    return cut


_IDENTITY = frozenset({b"", b"7bit", b"8bit", b"binary"})
_ENCODED = frozenset({b"base64", b"quoted-printable"})


def _decoded(section: Section) -> Reader:
    """A part without its transfer encoding (RFC 3516 4.2). Raises Declined (UNKNOWN-CTE)."""
    path = section.path

    def part(prefix: bytes, _header: bytes, parts: bytes, body: bytes) -> bytes | None:
        if not path:
            return prefix + body
        found = PartMap.unpack(parts)
        span, mime = found.find(path), found.find(f"{path}.MIME")
        if span is None or mime is None:
            return None
        data = body[span[0] : span[1]]
        encoding = (mime_header.first(body[mime[0] : mime[1]], b"content-transfer-encoding") or b"").strip().lower()
        if encoding in _ENCODED:
            return transfer.decode(data, encoding)
        if encoding not in _IDENTITY:
            raise Declined(b"NO [UNKNOWN-CTE] The part has an encoding that is not known here")
        return data

    return part


def _uncut(section: Section) -> Reader:
    kind, fields = section.kind, section.fields
    if not section.path and not kind:
        return lambda prefix, _header, _parts, body: prefix + body
    but = kind == b"HEADER.FIELDS.NOT"
    if is_header(section):
        if not fields:
            return lambda prefix, header, _parts, _body: prefix + header
        pick = mime_header.picker(fields, but)
        return lambda prefix, header, _parts, _body: pick(prefix + header)
    name = _part_name(section)

    def part(_prefix: bytes, _header: bytes, parts: bytes, body: bytes) -> bytes | None:
        span = PartMap.unpack(parts).find(name)
        if span is None:
            return None
        data = body[span[0] : span[1]]
        return mime_header.pick(data, fields, but) if fields else data

    return part


def _part_name(section: Section) -> str:
    """The part map's name of a section."""
    kind = "HEADER" if section.fields else section.kind.decode("ascii")
    return ".".join(word for word in (section.path, kind) if word)


async def header_of(mailbox: Mailbox, ref: BlobRef, parts: bytes) -> bytes:
    """A header that is too large to be stored beside the item."""
    start, end = PartMap.unpack(parts).find("HEADER") or (0, 0)
    return await mailbox.read_body(ref, start, end - start)


async def from_large(
    mailbox: Mailbox, section: Section, prefix: bytes, parts: bytes, ref: BlobRef, size: int
) -> bytes | None:
    """A section of a message that is too large to be read whole for it: only its octets are read."""
    if section.kind.startswith(b"PREVIEW"):
        return preview(parts, await mailbox.read_body(ref, 0, PREVIEW_BYTES)).encode("utf-8")
    if section.kind.startswith(b"BINARY"):
        body = await mailbox.read_body(ref, 0, size)
        return await asyncio.to_thread(reader(section), prefix, b"", parts, body)
    if not section.path and not section.kind:
        start = section.start
        end = len(prefix) + size if section.length is None else min(start + section.length, len(prefix) + size)
        head = prefix[start:end]
        low = max(0, start - len(prefix))
        high = end - len(prefix)
        return head + (await mailbox.read_body(ref, low, high - low) if high > low else b"")
    span = PartMap.unpack(parts).find(_part_name(section))
    if span is None:
        return None
    low, high = span
    if section.fields:
        data = await mailbox.read_body(ref, low, high - low)
        data = mime_header.pick(data, section.fields, section.kind == b"HEADER.FIELDS.NOT")
        return data if section.length is None else data[section.start : section.start + section.length]
    low = min(low + section.start, high)
    if section.length is not None:
        high = min(low + section.length, high)
    return await mailbox.read_body(ref, low, high - low) if high > low else b""
