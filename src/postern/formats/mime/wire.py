"""IMAP strings (RFC 9051 4.3): quoted where possible, literal where octets above 127 or line ends are inside."""

from __future__ import annotations

import re

_SPECIAL = re.compile(rb'[\x00\r\n"\\\x80-\xff]').search

NIL = b"NIL"


def string(value: bytes) -> bytes:
    """Render octets as an IMAP string. NUL is dropped (no IMAP string can hold it), line ends become spaces."""
    if not _SPECIAL(value):
        return b'"%b"' % value
    value = value.replace(b"\0", b"").replace(b"\r\n", b" ").replace(b"\n", b" ").replace(b"\r", b" ")
    if value.isascii():
        return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    # Quoted UTF-8 is only for clients that enabled it (RFC 9051 4.3, RFC 6855); a literal is right for all.
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """`string`, or NIL for None."""
    return NIL if value is None else string(value)
