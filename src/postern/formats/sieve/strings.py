"""What may stand in a string: encoded characters (RFC 5228 2.4.2.4) and references to variables (RFC 5229 3)."""

from __future__ import annotations

import re

from postern.formats.sieve.syntax import Reference, Text, Value

_ENCODED = re.compile(r"\$\{(hex|unicode):([ \t\r\n]*[0-9a-f]+(?:[ \t\r\n]+[0-9a-f]+)*[ \t\r\n]*)\}", re.IGNORECASE)
_REFERENCE = re.compile(r"\$\{((?:[a-z_][a-z0-9_]*\.)*(?:[a-z_][a-z0-9_]*)|[0-9]+)\}", re.IGNORECASE)
VARIABLE = re.compile(r"(?:global\.)?[a-z_][a-z0-9_]*", re.IGNORECASE).fullmatch
"""A name that `set` takes."""


def decode_characters(text: str) -> str:
    """`${hex:40}` and `${unicode:40}` replaced. Raises ValueError for a character that is none."""
    if "${" not in text:
        return text
    pieces: list[bytes] = []
    position = 0
    for found in _ENCODED.finditer(text):
        pieces.append(text[position : found.start()].encode())
        numbers = [int(word, 16) for word in found.group(2).split()]
        if found.group(1).lower() == "hex":
            if any(len(word) > 2 for word in found.group(2).split()):
                pieces.append(found.group().encode())  # not an encoding: stays as it is
            else:
                pieces.append(bytes(numbers))
        else:
            for number in numbers:
                if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
                    raise ValueError(f"{found.group()} is not a character")
            pieces.append("".join(map(chr, numbers)).encode())
        position = found.end()
    pieces.append(text[position:].encode())
    return b"".join(pieces).decode("utf-8", "replace")


def references(text: str) -> Value:
    """The string with its references found. Raises ValueError for an unknown name space."""
    if "${" not in text:
        return text
    parts: list[str | Reference] = []
    position = 0
    for found in _REFERENCE.finditer(text):
        name = found.group(1).lower()
        if "." in name and not (name.startswith("global.") and name.count(".") == 1):
            raise ValueError(f"unknown name space: {found.group()}")
        if name.isdigit() and int(name) > 99:
            raise ValueError(f"there are no match variables above 99: {found.group()}")
        if found.start() > position:
            parts.append(text[position : found.start()])
        parts.append(Reference(str(int(name)) if name.isdigit() else name))
        position = found.end()
    if not parts:
        return text
    if position < len(text):
        parts.append(text[position:])
    return Text(tuple(parts))
