"""Distinguished names as text (RFC 4514): taken apart, compared without case, put together with all escapes."""

from __future__ import annotations

import re

from postern.model.refusal import ProtocolViolation

LIMIT = 1024
"""Characters of a name; a longer one is nobody's here."""
PARTS_LIMIT = 64

_TYPE = re.compile(r" *(?:oid\.)?([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+) *= *", re.IGNORECASE)
_HEX = re.compile(r"#(?:[0-9A-Fa-f]{2})+")
_SPECIAL = frozenset('",+;<>\\=')

Part = tuple[str, str]
"""Attribute in lower case, and its value."""


def part(attribute: str, value: str) -> str:
    """One `attribute=value`, escaped (RFC 4514 2.4)."""
    last = len(value) - 1
    written = []
    for index, char in enumerate(value):
        if char in _SPECIAL or (char == " " and index in {0, last}) or (char == "#" and index == 0):
            written.append("\\" + char)
        elif char < " " or char == "\x7f":
            written.append(f"\\{ord(char):02x}")
        else:
            written.append(char)
    return f"{attribute}={''.join(written)}"


def parse(text: str) -> tuple[Part, ...]:
    """The parts, the entry's own first; values as they are. Raises ProtocolViolation.

    A part of several attributes (`cn=a+sn=b`) has no place in our tree and is refused too.
    """
    if len(text) > LIMIT:
        raise ProtocolViolation("a name is too long")
    parts: list[Part] = []
    at = 0
    while text[at:].strip(" "):
        match = _TYPE.match(text, at)
        if match is None or len(parts) >= PARTS_LIMIT:
            raise ProtocolViolation("a malformed name")
        value, at = _value(text, match.end())
        parts.append((match[1].lower(), value))
        if at < len(text):
            if text[at] not in ",;" or not text[at + 1 :].strip(" "):
                raise ProtocolViolation("a malformed name")
            at += 1
    return tuple(parts)


def _value(text: str, at: int) -> tuple[str, int]:
    """A value and where it ends."""
    if text[at : at + 1] == "#":
        match = _HEX.match(text, at)
        if match is None:
            raise ProtocolViolation("a malformed name")
        # the BER of the value (RFC 4514 2.4); no attribute here is written so
        return match[0], match.end()
    quoted = text[at : at + 1] == '"'
    at += quoted
    octets = bytearray()
    kept = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            size, found = _escaped(text, at)
            octets += found
            kept = len(octets)
            at += size
            continue
        if char == '"' and quoted:
            at += 1
            quoted = False
            kept = len(octets)
            break
        if not quoted and char in ",;":
            break
        if not quoted and char in '"+<>':
            raise ProtocolViolation("a malformed name")
        octets += char.encode("utf-8", "surrogatepass")
        if char != " ":
            kept = len(octets)
        at += 1
    if quoted:
        raise ProtocolViolation("a malformed name")
    while at < len(text) and text[at] == " ":
        at += 1
    try:
        return octets[:kept].decode(), at
    except UnicodeDecodeError as problem:
        raise ProtocolViolation("a malformed name") from problem


def _escaped(text: str, at: int) -> tuple[int, bytes]:
    pair = text[at + 1 : at + 3]
    if re.fullmatch(r"[0-9A-Fa-f]{2}", pair):
        return 3, bytes.fromhex(pair)
    if pair[:1] and (pair[0] in _SPECIAL or pair[0] in ' #"'):
        return 2, pair[0].encode()
    raise ProtocolViolation("a malformed name")


def same(left: tuple[Part, ...], right: tuple[Part, ...]) -> bool:
    """Whether two names are one (caseIgnoreMatch of every value)."""
    return len(left) == len(right) and all(
        a[0] == b[0] and a[1].casefold() == b[1].casefold() for a, b in zip(left, right, strict=True)
    )
