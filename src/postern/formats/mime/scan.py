"""A message, read once at delivery: everything a mailbox row holds of it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from postern.formats.mime import conversation, date, envelope, parts
from postern.formats.mime.header import decode, unfold
from postern.formats.mime.structure import Walker
from postern.formats.mime.subject import base_subject
from postern.model.ids import BlobRef
from postern.model.items import HEADER_LIMIT_BYTES, NewItem

SUBJECT_LIMIT_BYTES = 4096
"""Of a raw subject; what follows says nothing about order or kin."""
_MESSAGE_ID_LIMIT_BYTES = 998


class Scan(msgspec.Struct, frozen=True, gc=False):
    """What `scan` found. Offsets and sizes are octets of the content."""

    header_end: int
    """Offset after the blank line; the content's length if there is none."""
    header: bytes | None
    """The header block with its blank line; None above HEADER_LIMIT_BYTES."""
    envelope: bytes
    """IMAP ENVELOPE with parentheses; 8-bit values are literals."""
    bodystructure: bytes
    """IMAP BODYSTRUCTURE with parentheses and extension data."""
    parts: bytes
    """Packed `PartMap`."""
    subject: str
    """Decoded; at most 4096 octets of the field are looked at."""
    sent_at: int | None
    """Date field, seconds since the epoch."""
    message_id: str
    """Without brackets; empty if absent."""
    has_attachment: bool
    """A part that is neither the text to read nor an inline picture."""
    conversation: int
    """Its number (formats.mime.conversation)."""


def scan(content: bytes | memoryview) -> Scan:
    """Read a message. Anything is a message; never raises for what is in it. Under 4 GiB."""
    if not isinstance(content, bytes):
        content = bytes(content)
    walker = Walker(content)
    fields, structure = walker.message(0, len(content), 0)
    header_end = walker.numbers[2]
    subject, sent, message_id = fields.get(b"subject"), fields.get(b"date"), fields.get(b"message-id")
    when = date.parse(sent) if sent is not None else None
    return Scan(
        header_end,
        content[:header_end] if header_end <= HEADER_LIMIT_BYTES else None,
        envelope.render(fields),
        structure,
        parts.pack(walker.numbers),
        decode(subject[:SUBJECT_LIMIT_BYTES]) if subject else "",
        when[0] if when is not None else None,
        identifier(message_id) if message_id else "",
        walker.attachment,
        conversation.number(conversation_of(fields)),
    )


def conversation_of(fields: Mapping[bytes, bytes]) -> bytes:
    """Sixteen octets of the conversation, from header fields by their lower-case names."""
    message_id = fields.get(b"message-id")
    topic = b""
    if not message_id:
        subject, _ = base_subject(decode(fields.get(b"subject", b"")[:SUBJECT_LIMIT_BYTES]))
        topic = subject.encode("utf-8", "replace") or b"\0".join(fields.get(name, b"") for name in (b"date", b"from"))
    return conversation.digest(
        fields.get(b"references"), fields.get(b"in-reply-to"), message_id, fields.get(b"thread-index"), topic
    )


def identifier(value: bytes) -> str:
    """A Message-ID value without its brackets; what follows the first id is dropped."""
    value = unfold(value[:_MESSAGE_ID_LIMIT_BYTES])
    low = value.find(b"<")
    high = value.find(b">", low + 1)
    if low >= 0 and high > low:
        value = value[low + 1 : high]
    return value.decode("utf-8", "replace").strip()


def new_item(
    scan: Scan,
    blob: BlobRef,
    body_size: int,
    prefix: bytes,
    received_at: int,
    flags: int = 0,
    keywords: tuple[str, ...] = (),
) -> NewItem:
    """A row for a scanned message. `prefix` are the item's own header lines; times are seconds since the epoch."""
    return NewItem(
        blob=blob,
        body_size=body_size,
        prefix=prefix,
        received_at=received_at,
        envelope=scan.envelope,
        bodystructure=scan.bodystructure,
        parts=scan.parts,
        header=scan.header,
        subject=scan.subject,
        sent_at=scan.sent_at,
        message_id=scan.message_id,
        flags=flags,
        keywords=keywords,
        conversation=scan.conversation,
    )


__all__ = ["SUBJECT_LIMIT_BYTES", "Scan", "conversation_of", "envelope", "identifier", "new_item", "scan"]
