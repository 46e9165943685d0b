"""What the search file holds of one content: folded fields, keys to sort by, folded text."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from postern.formats.documents import kinds
from postern.formats.mime import anatomy, charset, references
from postern.formats.mime import date as mime_date
from postern.formats.mime import header as mime_header
from postern.formats.mime.address import Address
from postern.formats.mime.parts import LEAF, PART_HEADER_LIMIT_BYTES, TEXT, PartMap
from postern.formats.mime.scan import SUBJECT_LIMIT_BYTES
from postern.formats.mime.subject import base_subject
from postern.model.collation import fold, fold_utf8, sort_key
from postern.store.sqlite.search.file import NO_DATE

MAX_KEY_BYTES = 255
"""Of a key to sort by."""
MAX_LIST_BYTES = 4096
"""Of an address field, for its keys."""
REMEMBERED_BYTES = 256
MAX_LINKS = 200
"""References of one message; the first and the last ones count."""
_ASCII = bytes(range(128))
_SMALL = bytes.maketrans(bytes(range(0x41, 0x5B)) + b"\t", bytes(range(0x61, 0x7B)) + b" ")
"""ASCII in small letters, tabs as spaces."""
_ODD = b"\0\v\f\r\x1c\x1d\x1e\x1f"
"""White space that is no white space of a header, and NUL: fields with these are looked at one by one."""
_FLAT_FIELDS = re.compile(rb"^([!-9;-~]++) ?: ?([^\n]*+)", re.MULTILINE).findall
_SEARCHED = re.compile(rb"\n(from|to|cc|bcc|subject):([^\n]*+)").findall
_MESSAGE_ID = re.compile(rb"<([^<>\s]{1,500})>")
"""Where a field is folded there is white space, and in an id there is none: nothing has to be unfolded."""


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


class Body(NamedTuple):
    """A row of `bodies` behind content and stamp, in the order of its columns."""

    fields: bytes
    """Header fields of parts and of enclosed messages, as `header_lines` has them: TEXT finds them, BODY does not."""
    text: bytes
    """Text parts and the reports of delivery (message/delivery-status and its kin), a line each."""


def body(parts: bytes, content: bytes | memoryview) -> Body:
    """What is searched of a message below its header, folded (RFC 9051 6.4.4)."""
    if not parts:
        return Body(b"", fold(bytes(content).decode("utf-8", "replace")).encode())
    fields: list[bytes] = []
    pieces: list[bytes] = []
    for number, place in enumerate(PartMap.unpack(parts)):
        kind, _, start, begin, _ = place
        part = anatomy.part_at(content, place)
        if number:  # the message's own are in `headers`
            block = bytes(content[start : min(begin, start + PART_HEADER_LIMIT_BYTES)])
            fields.append(_short_lines(block) if len(block) <= REMEMBERED_BYTES else header_lines(block))
            if b"*" in block and part.name:  # a name in the form of RFC 2231 is found by what it says
                fields.append(b"\nfilename:" + fold(part.name).encode())
        if kind == TEXT or (kind == LEAF and part.content_type.startswith("message/")):
            is_html = part.content_type == "text/html"
            data = part.decoded(content)
            pieces.append(_folded_html(data, part.charset) if is_html else _folded(data, part.charset))
    return Body(b"".join(fields), b"\n".join(pieces))


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


def _folded(data: bytes, named: str) -> bytes:
    """Octets in a charset, folded; where they are UTF-8 or ASCII nothing is decoded."""
    name = charset.codec(named[:64]) if named else None
    if (name in (None, "ascii", "utf-8") and charset.is_utf8(data)) or (
        data.isascii() and b"\x1b" not in data and _is_superset_of_ascii(str(name))
    ):
        return fold_utf8(data)
    return fold_utf8(charset.text(data, named).encode("utf-8", "surrogatepass"))


def _folded_html(data: bytes, named: str) -> bytes:
    """The same of HTML: as it is read, with characters in the place of references."""
    text = charset.text(data, named)
    if "&" not in text:
        return _folded(data, named)
    return fold_utf8(references.resolved(text).encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=256)
def _is_superset_of_ascii(codec: str) -> bool:
    try:
        return _ASCII.decode(codec) == _ASCII.decode("ascii")
    except UnicodeDecodeError:
        return False


def header_lines(raw: bytes) -> bytes:
    """A header block as `headers.text` has it: a line each with a line end before it.

    `name:value`, names in small letters, values decoded and folded. Most blocks need no decoding and are folded at
    once.
    """
    if b"=?" not in raw and raw.isascii():
        flat = _single_spaced(raw.replace(b"\r\n", b"\n").translate(_SMALL))
        if len(flat.translate(None, _ODD)) == len(flat) and b"\n :" not in flat:
            flat = _single_spaced(flat.replace(b"\n ", b" ")).replace(b" \n", b"\n").rstrip(b" ")
            return b"".join([b"\n%b:%b" % field for field in _FLAT_FIELDS(flat)])
    lines: list[bytes] = []
    for name, value in mime_header.values(raw):
        lines.append(b"\n%b:%b" % (name.lower(), folded(value)))
    return b"".join(lines)


_short_lines = lru_cache(maxsize=2048)(header_lines)
"""Most parts are described alike."""


def folded(value: bytes) -> bytes:
    """A field's raw value, decoded and folded; there is no line feed in it."""
    plain = b"=?" not in value and value.isascii()
    return fold_utf8(value) if plain else fold(mime_header.decode(value)).encode()


def _single_spaced(data: bytes) -> bytes:
    while b"  " in data:  # each time runs of spaces are half as long
        data = data.replace(b"  ", b" ")
    return data


def head(raw: bytes) -> Head:
    """What is searched and sorted by of a header block."""
    first: dict[bytes, bytes] = {}
    for name, value in mime_header.values(raw):
        first.setdefault(name.lower(), value)
    folded = {b"from": b"", b"to": b"", b"cc": b"", b"bcc": b"", b"subject": b""}
    for name, value in _SEARCHED(header_lines(raw)):
        folded[name] += value + b"\n"
    date = mime_date.parse(mime_header.unfold(first.get(b"date", b"")))
    subject, is_reply = subject_key(mime_header.decode(first.get(b"subject", b"")[:SUBJECT_LIMIT_BYTES]))
    from_key, display_from = _address_keys(first.get(b"from", b""))
    to_key, display_to = _address_keys(first.get(b"to", b""))
    cc_key, _ = _address_keys(first.get(b"cc", b""))
    return Head(
        NO_DATE if date is None else sum(date),
        None if date is None else date[0],
        folded[b"from"],
        folded[b"to"],
        folded[b"cc"],
        folded[b"bcc"],
        folded[b"subject"],
        from_key,
        to_key,
        cc_key,
        subject,
        is_reply,
        display_from,
        display_to,
        links(first.get(b"message-id", b""), first.get(b"references", b""), first.get(b"in-reply-to", b"")),
    )


def subject_key(decoded: str) -> tuple[bytes, int]:
    """(key of the base subject, whether it is a reply's or forward's) of a decoded subject (RFC 5256 2.1)."""
    subject, is_reply = base_subject(decoded)
    return sort_key(subject)[:MAX_KEY_BYTES], int(is_reply)


def _keys_of(value: bytes) -> tuple[bytes, bytes]:
    found = mime_header.addresses(value) if value else []
    return _mailbox_key(found), _display_key(found)


_remembered = lru_cache(maxsize=1024)(_keys_of)
"""The same people write to the same people."""


def _address_keys(value: bytes) -> tuple[bytes, bytes]:
    return _remembered(value) if len(value) <= REMEMBERED_BYTES else _keys_of(value[:MAX_LIST_BYTES])


def mailbox_key(value: bytes) -> bytes:
    """Key of the first address of an address field's raw value (RFC 5256 3)."""
    return _mailbox_remembered(value) if len(value) <= REMEMBERED_BYTES else _mailbox_of(value[:MAX_LIST_BYTES])


def display_key(value: bytes) -> bytes:
    """Key of how the first address of an address field's raw value is displayed (RFC 5957 3)."""
    return _address_keys(value)[1]


def _mailbox_of(value: bytes) -> bytes:
    return _mailbox_key(mime_header.addresses(value))


_mailbox_remembered = lru_cache(maxsize=1024)(_mailbox_of)


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


def links(message_id: bytes, references: bytes, in_reply_to: bytes) -> str:
    """A message's own id and those of what it answers, the oldest first, as `heads` has them; of raw values."""
    found = _MESSAGE_ID.findall(references) or _MESSAGE_ID.findall(in_reply_to)[:1]
    if len(found) > MAX_LINKS:
        found = found[: MAX_LINKS // 2] + found[-MAX_LINKS // 2 :]
    own = _MESSAGE_ID.search(message_id)
    found.insert(0, own[1] if own is not None else b"")
    return b" ".join(found).decode("utf-8", "replace")
