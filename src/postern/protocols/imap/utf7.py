"""Modified UTF-7, in which folder names cross an IMAP4rev1 wire (RFC 3501 5.1.3)."""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, b2a_base64

from postern.model.refusal import ProtocolViolation

_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_UNSHIFTED = re.compile("[ -~]")
_TO_SHIFT = re.compile("&|[^ -~]+")


def decode(name: bytes) -> str:
    """From the wire. Raises ProtocolViolation for 8-bit or broken sequences, and for text that needed no shift."""
    if b"&" not in name:
        try:
            return name.decode("ascii")
        except UnicodeDecodeError as error:
            raise ProtocolViolation("mailbox name is not modified UTF-7") from error
    out: list[str] = []
    position = 0
    while (start := name.find(b"&", position)) >= 0:
        match = _SHIFTED.match(name, start)
        if match is None:
            raise ProtocolViolation("mailbox name is not modified UTF-7")
        out.append(_plain(name[position:start]))
        out.append(_shifted(match[1]) if match[1] else "&")
        position = match.end()
    out.append(_plain(name[position:]))
    return "".join(out)


def _plain(text: bytes) -> str:
    try:
        return text.decode("ascii")
    except UnicodeDecodeError as error:
        raise ProtocolViolation("mailbox name is not modified UTF-7") from error


def _shifted(text: bytes) -> str:
    try:
        raw = a2b_base64(text.replace(b",", b"/") + b"=" * (-len(text) % 4))
        decoded = raw.decode("utf-16-be")
    except (Error, UnicodeDecodeError) as error:
        raise ProtocolViolation("mailbox name is not modified UTF-7") from error
    if _UNSHIFTED.search(decoded) is not None:  # a second spelling of a name would get past whoever compares names
        raise ProtocolViolation("mailbox name shifts what needs no shift")
    return decoded


def encode(name: str) -> bytes:
    """To the wire."""
    if name.isascii() and "&" not in name and name.isprintable():
        return name.encode("ascii")
    return _TO_SHIFT.sub(_shift, name).encode("ascii")


def _shift(match: re.Match[str]) -> str:
    text = match[0]
    if text == "&":
        return "&-"
    raw = b2a_base64(text.encode("utf-16-be"), newline=False).rstrip(b"=").replace(b"/", b",")
    return f"&{raw.decode('ascii')}-"
