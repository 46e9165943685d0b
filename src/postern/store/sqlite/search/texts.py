"""What the search file holds of one content: folded fields, keys to sort by, folded text."""

from __future__ import annotations

import re
from typing import NamedTuple

from postern.formats.mime import date as mime_date
from postern.formats.mime import header as mime_header
from postern.formats.mime.address import Address
from postern.formats.mime.parts import PartMap
from postern.formats.mime.subject import base_subject
from postern.model.collation import fold, sort_key
from postern.store.sqlite.search.file import NO_DATE

MAX_KEY_BYTES = 255
"""Of a key to sort by."""
MAX_LINKS = 200
"""References of one message; the first and the last ones count."""
_MESSAGE_ID = re.compile(rb"<([^<>\s]{1,500})>")


class Head(NamedTuple):
    """A row of `heads` behind content, stamp and indexed, in the order of its columns."""

    wall_clock: int
    sent_at: int | None
    from_field: bytes
    to_field: bytes
    cc_field: bytes
    bcc_field: bytes
    subject_field: bytes
    from_key: bytes
    to_key: bytes
    cc_key: bytes
    subject_key: bytes
    is_reply: int
    display_from: bytes
    display_to: bytes
    links: str
    """Message ids, space between them: its own (or empty), then its ancestors, the oldest first (RFC 5256 3)."""


def header_lines(raw: bytes) -> list[tuple[bytes, str]]:
    """(lower-case name, folded value) of each field."""
    return [(name.lower(), fold(mime_header.decode(value))) for name, value in mime_header.values(raw)]


def header_text(lines: list[tuple[bytes, str]]) -> bytes:
    """All fields as `headers.text` has them: a line each, `name: value` with a line end before it."""
    return b"".join(b"\n%b:%b" % (name, value.encode()) for name, value in lines)


def body_text(parts: bytes, content: bytes) -> bytes:
    """Folded text of all text parts and enclosed headers, a line each."""
    if not parts:
        return fold(content.decode("utf-8", "replace")).encode()
    return "\n".join(fold(text) for text in PartMap.unpack(parts).leaf_text(content)).encode()


def head(raw: bytes, lines: list[tuple[bytes, str]]) -> Head:
    """What is searched and sorted by of a header block, `lines` being its `header_lines`."""
    first: dict[bytes, bytes] = {}
    for name, value in mime_header.values(raw):
        first.setdefault(name.lower(), value)
    date = mime_date.parse(mime_header.unfold(first.get(b"date", b"")))
    subject, is_reply = base_subject(mime_header.decode(first.get(b"subject", b"")))
    senders = _addresses(first.get(b"from", b""))
    recipients = _addresses(first.get(b"to", b""))
    copied = _addresses(first.get(b"cc", b""))
    return Head(
        NO_DATE if date is None else sum(date),
        None if date is None else date[0],
        _field(lines, b"from"),
        _field(lines, b"to"),
        _field(lines, b"cc"),
        _field(lines, b"bcc"),
        _field(lines, b"subject"),
        _mailbox_key(senders),
        _mailbox_key(recipients),
        _mailbox_key(copied),
        sort_key(subject)[:MAX_KEY_BYTES],
        int(is_reply),
        _display_key(senders),
        _display_key(recipients),
        _links(first),
    )


def _field(lines: list[tuple[bytes, str]], name: bytes) -> bytes:
    return b"".join(value.encode() + b"\n" for found, value in lines if found == name)


def _addresses(value: bytes) -> list[Address]:
    return mime_header.addresses(value[:4096]) if value else []


def _mailbox_key(addresses: list[Address]) -> bytes:
    """RFC 5256 3: addr-mailbox of the first address."""
    if not addresses or not addresses[0].mailbox:
        return b""
    return sort_key(addresses[0].mailbox.decode("utf-8", "replace"))[:MAX_KEY_BYTES]


def _display_key(addresses: list[Address]) -> bytes:
    """RFC 5957 3: the display name of the first address, else the address, for a group its name."""
    if not addresses:
        return b""
    one = addresses[0]
    if one.name:
        text = mime_header.decode(one.name)
    elif one.mailbox and one.host is None:
        text = mime_header.decode(one.mailbox)
    else:
        text = b"@".join(part for part in (one.mailbox, one.host) if part).decode("utf-8", "replace")
    return sort_key(" ".join(text.split()))[:MAX_KEY_BYTES]


def _links(first: dict[bytes, bytes]) -> str:
    own = _ids(first.get(b"message-id", b""))[:1]
    ancestors = _ids(first.get(b"references", b""))
    if not ancestors:
        ancestors = _ids(first.get(b"in-reply-to", b""))[:1]
    if len(ancestors) > MAX_LINKS:
        ancestors = ancestors[: MAX_LINKS // 2] + ancestors[-MAX_LINKS // 2 :]
    return " ".join([own[0] if own else "", *ancestors])


def _ids(value: bytes) -> list[str]:
    return [found.decode("utf-8", "replace") for found in _MESSAGE_ID.findall(mime_header.unfold(value))]
