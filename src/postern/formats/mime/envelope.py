"""ENVELOPE, ready for the wire (RFC 9051 7.5.2)."""

from __future__ import annotations

from functools import lru_cache

from postern.formats.mime import address
from postern.formats.mime.header import unfold
from postern.formats.mime.wire import NIL, nstring, string

FieldMap = dict[bytes, bytes]
"""Lower-case field name -> raw value of its first occurrence (address lists: of all, joined by commas)."""

ABSENT = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


_CACHED_BYTES = 256


def _addresses(value: bytes | None) -> bytes:
    if value is None:
        return NIL
    return _remembered(value) if len(value) <= _CACHED_BYTES else _rendered(value)


def _rendered(value: bytes) -> bytes:
    found = address.parse(value)
    if not found:
        return NIL
    rendered = [b"("]
    for name, route, mailbox, host in found:
        rendered.append(
            b"(%b %b %b %b)"
            % (
                NIL if name is None else string(unfold(name)),
                NIL if route is None else string(route),
                NIL if mailbox is None else string(unfold(mailbox)),
                NIL if host is None else string(host),
            )
        )
    rendered.append(b")")
    return b"".join(rendered)


_remembered = lru_cache(maxsize=1024)(_rendered)
"""The same people write to the same people."""


def _text(value: bytes | None) -> bytes:
    return NIL if value is None else nstring(unfold(value))


def render(fields: FieldMap) -> bytes:
    """The parenthesised list. Sender and Reply-To default to From when absent or without an address."""
    get = fields.get
    from_ = _addresses(get(b"from"))
    sender, reply_to = get(b"sender"), get(b"reply-to")
    rendered_sender = from_ if sender is None else _addresses(sender)
    rendered_reply = from_ if reply_to is None else _addresses(reply_to)
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _text(get(b"date")),
        _text(get(b"subject")),
        from_,
        from_ if rendered_sender is NIL else rendered_sender,
        from_ if rendered_reply is NIL else rendered_reply,
        _addresses(get(b"to")),
        _addresses(get(b"cc")),
        _addresses(get(b"bcc")),
        _text(get(b"in-reply-to")),
        _text(get(b"message-id")),
    )
