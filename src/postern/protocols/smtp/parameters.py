"""Parameters of MAIL and RCPT (RFC 5321 4.1.2 esmtp-param) and xtext (RFC 3461 4)."""

from __future__ import annotations

import re

from postern.model.refusal import ProtocolViolation

# a set that says what is not in it compiles at once, one that reaches to U+10FFFF takes 10 ms
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20\x7f-\x9f]+))?")
_XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*")
_UTF8_ADDRESS = re.compile(r"(?:[^\x00-\x20+=\\\x7f-\x9f]|\\x\{[0-9A-F]{2,6}\})*")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_EMBEDDED = re.compile(r"\\x\{([0-9A-F]{2,6})\}")

ENVID_LIMIT = 100
ORCPT_LIMIT = 500
"""Characters (RFC 3461 4.2, 4.4)."""


def split(text: str) -> dict[str, str]:
    """What follows a path: upper-case keyword -> value (empty without `=`). Raises ProtocolViolation."""
    if not text:
        return {}
    if text[0] != " ":
        raise ProtocolViolation("no space after path")
    found: dict[str, str] = {}
    for token in text.split():
        match = _PARAMETER.fullmatch(token)
        if match is None:
            raise ProtocolViolation("not a parameter")
        keyword = match[1].upper()
        if keyword in found:
            raise ProtocolViolation("parameter given twice")
        found[keyword] = match[2] or ""
    return found


def decode_xtext(text: str) -> str:
    """Raises ProtocolViolation; decoded octets must be printable ASCII."""
    if not _XTEXT.fullmatch(text):
        raise ProtocolViolation("not xtext")
    decoded = _HEX.sub(lambda m: chr(int(m[1], 16)), text)
    if not decoded.isascii() or not decoded.isprintable():
        raise ProtocolViolation("not printable")
    return decoded


def encode_xtext(text: str) -> str:
    """ASCII text as xtext; anything else becomes `?`."""
    raw = text.encode("ascii", "replace")
    return "".join(chr(c) if 0x21 <= c <= 0x7E and c not in b"+=" else f"+{c:02X}" for c in raw)


def decode_original_recipient(text: str) -> str:
    """ORCPT's value as `addr-type;address`, decoded (RFC 3461 4.2, RFC 6533 3). Raises ProtocolViolation."""
    kind, separator, address = text.partition(";")
    if not separator or not re.fullmatch(r"[A-Za-z0-9-]+", kind) or not address or len(text) > ORCPT_LIMIT:
        raise ProtocolViolation("bad ORCPT")
    if kind.lower() != "utf-8":
        return f"{kind};{decode_xtext(address)}"
    if not _UTF8_ADDRESS.fullmatch(address):
        raise ProtocolViolation("bad ORCPT")
    try:
        decoded = _EMBEDDED.sub(lambda m: chr(int(m[1], 16)), address)
        decoded.encode()
    except (ValueError, OverflowError) as error:
        raise ProtocolViolation("bad ORCPT") from error
    if not decoded.isprintable():
        raise ProtocolViolation("not printable")
    return f"{kind};{decoded}"


def encode_original_recipient(original: str, *, utf8: bool) -> str:
    """The way back, for the next hop; `utf8` if it takes SMTPUTF8."""
    kind, _, address = original.partition(";")
    if kind.lower() != "utf-8":
        return f"{kind};{encode_xtext(address)}"
    keep = "" if not utf8 else "\u00a0-\U0010ffff"
    # utf-8-addr-unitext needs no escape beyond the few ASCII characters; without SMTPUTF8 all are escaped.
    escaped = re.sub(rf"[^!-*,-<>-\[\]-~{keep}]", lambda m: f"\\x{{{ord(m[0]):02X}}}", address)
    return f"{kind};{escaped}"
