"""What the search file holds of one content: folded fields, keys to sort by, folded text."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from postern.formats.documents import kinds
from postern.formats.mime import anatomy, charset, parameters, transfer
from postern.formats.mime import date as mime_date
from postern.formats.mime import header as mime_header
from postern.formats.mime.address import Address
from postern.formats.mime.parts import LEAF, MESSAGE, PART_HEADER_LIMIT_BYTES, TEXT, PartMap
from postern.formats.mime.subject import base_subject
from postern.model.collation import fold, fold_utf8, sort_key
from postern.store.sqlite.search.file import NO_DATE

MAX_KEY_BYTES = 255
"""Of a key to sort by."""
MAX_LINKS = 200
"""References of one message; the first and the last ones count."""
_CODING = re.compile(
    rb"^content-(type|transfer-encoding)[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.IGNORECASE | re.MULTILINE
).findall
_ASCII = bytes(range(128))
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


def body_text(parts: bytes, content: bytes | memoryview) -> bytes:
    """Folded text of all text parts and enclosed headers, a line each: `PartMap.leaf_text`, folded."""
    if not parts:
        return fold(bytes(content).decode("utf-8", "replace")).encode()
    pieces: list[bytes] = []
    under_message = -1
    for kind, depth, start, body, end in PartMap.unpack(parts):
        if under_message == depth:
            block = bytes(content[start : min(body, start + PART_HEADER_LIMIT_BYTES)])
            pieces.append(fold(mime_header.decode(block)).encode())
        under_message = depth + 1 if kind == MESSAGE else -1
        if kind == TEXT:
            encoding, named = _coding(bytes(content[start : min(body, start + PART_HEADER_LIMIT_BYTES)]))
            pieces.append(_folded(transfer.decode(bytes(content[body:end]), encoding), named))
    return b"\n".join(pieces)


def has_attachments(parts: bytes) -> bool:
    """Whether there may be attachments to read; `parts` is a packed part map."""
    kinds = parts[::16]  # the low octet of each part's first number
    return LEAF in kinds or kinds.count(TEXT) > 1


class Attached(NamedTuple):
    """An attachment."""

    name: str
    kind: str | None
    """How it is read (formats.documents.kinds); None: only its name can be searched for."""
    data: bytes
    """Without transfer encoding; empty if it is not read."""


def attachments(parts: bytes, content: bytes, limit: int) -> list[Attached]:
    """Attachments of a message and of those enclosed in it: what has a file name or is no text."""
    found: list[Attached] = []
    for part in anatomy.leaves(content, parts):
        if not part.name and part.content_type.startswith("text/"):
            continue
        kind = kinds.kind(part.content_type, part.name)
        if kind is not None and part.size_estimate > kinds.MAX_DOCUMENT_BYTES:
            kind = None
        data = part.decoded(content) if kind is not None else b""
        if kind == kinds.PLAIN and part.charset:
            data = charset.text(data, part.charset).encode("utf-8", "replace")
        if part.name or kind is not None:
            found.append(Attached(part.name, kind, data))
        if len(found) >= limit:
            break
    return found


def _coding(block: bytes) -> tuple[bytes, str]:
    """(transfer encoding, charset) that a part's header names."""
    return _coding_of(tuple(_CODING(block)))


@lru_cache(maxsize=2048)
def _coding_of(fields: tuple[tuple[bytes, bytes], ...]) -> tuple[bytes, str]:
    found = {name.lower(): value for name, value in reversed(fields)}
    _, named = parameters.parse(found.get(b"type", b""))
    name = parameters.get(named, b"charset") or b""
    return found.get(b"transfer-encoding", b""), name.decode("ascii", "replace")


def _folded(data: bytes, named: str) -> bytes:
    """Octets in a charset, folded; where they are UTF-8 or ASCII nothing is decoded."""
    name = charset.codec(named[:64]) if named else None
    if (name in (None, "ascii", "utf-8") and charset.is_utf8(data)) or (
        data.isascii() and _is_superset_of_ascii(str(name))
    ):
        return fold_utf8(data)
    return fold_utf8(charset.text(data, named).encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=256)
def _is_superset_of_ascii(codec: str) -> bool:
    try:
        return _ASCII.decode(codec) == _ASCII.decode("ascii")
    except UnicodeDecodeError:
        return False


def header(raw: bytes) -> tuple[Head, bytes]:
    """What is searched and sorted by of a header block; all fields as `headers.text` has them.

    A line each with a line end before it: `name:value`, names in small letters, values folded.
    """
    first: dict[bytes, bytes] = {}
    lines: list[bytes] = []
    folded: dict[bytes, list[bytes]] = {b"from": [], b"to": [], b"cc": [], b"bcc": [], b"subject": []}
    for written, value in mime_header.values(raw):
        name = written.lower()
        if name not in first:
            first[name] = value
        # what is ASCII and no encoded word needs no decoding: white space is folded as `unfold` would leave it
        plain = b"=?" not in value and value.isascii()
        text = fold_utf8(value) if plain else fold(mime_header.decode(value)).encode()
        lines.append(b"\n%b:%b" % (name, text))
        if name in folded:
            folded[name].append(text + b"\n")
    return _head(first, {name: b"".join(values) for name, values in folded.items()}), b"".join(lines)


def _head(first: dict[bytes, bytes], folded: dict[bytes, bytes]) -> Head:
    date = mime_date.parse(mime_header.unfold(first.get(b"date", b"")))
    subject, is_reply = base_subject(mime_header.decode(first.get(b"subject", b"")))
    senders = _addresses(first.get(b"from", b""))
    recipients = _addresses(first.get(b"to", b""))
    copied = _addresses(first.get(b"cc", b""))
    return Head(
        NO_DATE if date is None else sum(date),
        None if date is None else date[0],
        folded[b"from"],
        folded[b"to"],
        folded[b"cc"],
        folded[b"bcc"],
        folded[b"subject"],
        _mailbox_key(senders),
        _mailbox_key(recipients),
        _mailbox_key(copied),
        sort_key(subject)[:MAX_KEY_BYTES],
        int(is_reply),
        _display_key(senders),
        _display_key(recipients),
        _links(first),
    )


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
