"""Writing envelopes and faults as text: a response is put together from pieces, no tree is built."""

from __future__ import annotations

import re

from postern.protocols.soap.envelope import SOAP

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 has no way to say (2.2 Char)."""

_CONTROLS = bytes(n for n in range(0x20) if n not in b"\t\n\r")
_special = re.compile("[^ !\"#$%'()*+,\\-./0-9:;=?@A-Z\\[\\\\\\]^_`a-z{|}~]").search
_SHORT = 128

_OPEN = f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}">'


def text(value: str) -> str:
    """Character data; what XML cannot carry becomes U+FFFD, and a carriage return survives parsers (XML 2.11)."""
    if len(value) <= _SHORT and _special(value) is None:
        return value
    if not (value.isascii() and value.isprintable()) and not _sayable(value):
        value = _FORBIDDEN.sub("\ufffd", value)
    if "&" in value:
        value = value.replace("&", "&amp;")
    if "<" in value or ">" in value:
        value = value.replace("<", "&lt;").replace(">", "&gt;")
    return value.replace("\r", "&#13;") if "\r" in value else value


def _sayable(value: str) -> bool:
    """Whether XML can say all of it; by its octets, which is several times as fast as by its characters."""
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        return False
    bare = len(raw.translate(None, _CONTROLS)) == len(raw)
    return bare and (value.isascii() or (b"\xef\xbf\xbe" not in raw and b"\xef\xbf\xbf" not in raw))


def attribute(value: str) -> str:
    """An attribute's value, without the quotes around it."""
    value = text(value)
    return value.replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")


def envelope(header: str, body: str) -> bytes:
    """A whole document. Both are XML with their own namespace declarations; an empty header is left out."""
    head = f"<s:Header>{header}</s:Header>" if header else ""
    return f"{_OPEN}{head}<s:Body>{body}</s:Body></s:Envelope>".encode()


def fault(header: str, code: str, reason: str, detail: str = "") -> bytes:
    """A SOAP fault (SOAP 1.1 4.4). `code` is a qualified name with the prefix `s` or its own declaration in it."""
    inner = f"<detail>{detail}</detail>" if detail else ""
    return envelope(
        header,
        f'<s:Fault><faultcode>{code}</faultcode><faultstring xml:lang="en-US">{text(reason)}</faultstring>'
        f"{inner}</s:Fault>",
    )
