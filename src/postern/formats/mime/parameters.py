"""Structured values with parameters: Content-Type and Content-Disposition (RFC 2045 5.1, RFC 2183, RFC 2231)."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from postern.formats.mime.charset import text

_MAIN = re.compile(rb"[ \t\r\n]*+([^\s;\"(),<>@:\\\[\]?=]*+)").match
_PARAMETER = re.compile(
    rb";[ \t\r\n;]*+"
    rb"(?:([^\s;=\"(),<>@:\\\[\]?/]++)[ \t\r\n]*+=[ \t\r\n]*+(?:\"((?:[^\"\\]|\\.)*+)\"?|([^;\r\n\"]*+)))?",
    re.DOTALL,
).finditer
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT = re.compile(rb"(?<!\s)\s*+\([^()]*+\)\s*+$")
_FOLD = re.compile(rb"(?<!\r)\r*+\n[ \t]*+")

_CONTINUED = re.compile(rb"([^*]++)\*(\d{1,3})(\*?)\Z").match
_MAX_PARAMETERS = 100

Parameters = list[tuple[bytes, bytes]]
"""(name as written, value without quoting) in order."""


def parse(value: bytes) -> tuple[bytes, Parameters]:
    """The main value (`text/plain`, `attachment`) and the parameters, RFC 2231 continuations joined.

    A joined parameter keeps its star (`filename*`) if a part of it was percent-encoded, and its value stays encoded,
    as BODYSTRUCTURE shows it.
    """
    match = _MAIN(value)
    assert match is not None  # everything in it is optional
    main = match.group(1)
    found: Parameters = []
    continued = False
    for item in _PARAMETER(value, match.end()):
        name, quoted, bare = item.groups()
        if name is None:  # semicolons with nothing after them, taken in one go
            continue
        if quoted is not None:
            content = _ESCAPE.sub(rb"\1", quoted) if b"\\" in quoted else quoted
            if b"\n" in content:
                content = _FOLD.sub(b" ", content)
        else:
            content = bare.strip(b" \t")
            if b"(" in content:
                content = _COMMENT.sub(b"", content)
        continued = continued or b"*" in name
        found.append((name, content))
        if len(found) >= _MAX_PARAMETERS:
            break
    return main, _join(found) if continued else found


def _join(found: Parameters) -> Parameters:
    """Put `name*0`, `name*1*` ... together where the first of them stood."""
    pieces: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    joined: list[tuple[bytes, bytes | None]] = []
    for name, value in found:
        match = _CONTINUED(name)
        if match is None:
            joined.append((name, value))
            continue
        base, key = match.group(1), match.group(1).lower()
        if key not in pieces:
            pieces[key] = {}
            joined.append((base, None))
        pieces[key].setdefault(int(match.group(2)), (value, bool(match.group(3))))
    result: Parameters = []
    for name, whole in joined:
        if whole is not None:
            result.append((name, whole))
            continue
        parts = pieces[name.lower()]
        ordered = []
        for number in range(len(parts)):
            if number not in parts:  # a hole: what follows cannot be placed (RFC 2231 3)
                break
            ordered.append(parts[number])
        if any(encoded for _, encoded in ordered):
            text_parts = [part if encoded else part.replace(b"%", b"%25") for part, encoded in ordered]
            result.append((name + b"*", b"".join(text_parts)))
        else:
            result.append((name, b"".join(part for part, _ in ordered)))
    return result


def get(parameters: Parameters, name: bytes) -> bytes | None:
    """Raw value of a parameter by its lower-case name."""
    for found, value in parameters:
        if found.lower() == name:
            return value
    return None


def decoded(parameters: Parameters, name: bytes) -> str | None:
    """A parameter as text: the extended form (`name*`, RFC 2231 4) if it is there, else the plain one."""
    extended = get(parameters, name + b"*")
    if extended is not None:
        charset, _, rest = extended.partition(b"'")
        _, _, encoded = rest.partition(b"'")
        if b"'" not in rest:
            charset, encoded = b"", extended
        return text(unquote_to_bytes(encoded), charset.decode("ascii", "replace"))
    plain = get(parameters, name)
    return None if plain is None else text(plain)
