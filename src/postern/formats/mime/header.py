"""Header fields: splitting, choosing, unfolding, and RFC 2047 text.

A header block is the octets from the first field to the end of the blank line; every function also takes one without
the blank line, with bare LF as line end, or cut off anywhere.
"""

from __future__ import annotations

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import islice
from quopri import decodestring
from typing import cast

from postern.formats.mime.address import Address
from postern.formats.mime.address import parse as parse_addresses
from postern.formats.mime.charset import text

_FIELD = re.compile(rb"^(([!-9;-~]++)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+\n?)", re.MULTILINE)
_VALUES = re.compile(rb"^([!-9;-~]++)[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.MULTILINE).findall
_FOLD = re.compile(rb"(?<!\r)\r*+\n(?=[ \t])")

_ENCODED_WORD = re.compile(rb"=\?([^?*\s]{1,40})(?:\*[^?\s]{0,20})?\?([BbQq])\?([^?\s]*+(?: [^?\s]++)*+)\?=")


def fields(header: bytes, most: int | None = None) -> list[tuple[bytes, bytes]]:
    """(lower-case name, whole raw field with its folding and line end) in order; lines that are no fields left out.

    `most`: so many of them, and nothing is read behind.
    """
    if most is None:
        return [(name.lower(), raw) for raw, name in _FIELD.findall(header)]
    return [(found[2].lower(), found[1]) for found in islice(_FIELD.finditer(header), most)]


def values(header: bytes) -> list[tuple[bytes, bytes]]:
    """(name as written, raw value from its first printing character on) in order; not unfolded."""
    return cast("list[tuple[bytes, bytes]]", _VALUES(header))


def unfold(value: bytes) -> bytes:
    """RFC 5322 2.2.3: line ends before white space removed, outer white space stripped."""
    if b"\n" in value:
        value = _FOLD.sub(b"", value)
    return value.strip(b" \t\r\n")


def first(header: bytes, name: bytes) -> bytes | None:
    """Unfolded value of the first field with a lower-case name, or None."""
    for found, value in _VALUES(header):
        if found.lower() == name:
            return unfold(value)
    return None


def all_of(header: bytes, name: bytes) -> list[bytes]:
    """Unfolded values of every field with a lower-case name."""
    return [unfold(value) for found, value in _VALUES(header) if found.lower() == name]


def pick(header: bytes, names: Sequence[bytes], not_: bool = False) -> bytes:
    """Fields with the names (or all others), in message order, and the closing blank line.

    BODY[HEADER.FIELDS] and BODY[HEADER.FIELDS.NOT], RFC 9051 6.4.5.1. Names in any case.
    """
    return picker(tuple(name.lower() for name in names), not_)(header)


@lru_cache(maxsize=512)
def picker(names: tuple[bytes, ...], not_: bool) -> Callable[[bytes], bytes]:
    """`pick` of many headers; `names` in lower case."""
    find = _finder(names, not_)

    def picked(header: bytes) -> bytes:
        chosen = b"".join(find(header))
        if chosen and not chosen.endswith(b"\n"):
            chosen += b"\r\n"
        return chosen + b"\r\n"

    return picked


def _finder(names: tuple[bytes, ...], not_: bool) -> Callable[[bytes], list[bytes]]:
    """A pattern whose findall gives a wanted field whole and an empty string for everything else."""
    wanted = rb"(?:" + b"|".join(re.escape(name) for name in sorted(set(names))) + rb")[ \t]*+:"
    rest = rb"[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)"
    if not names:
        wanted = rb"(?!)"
    if not_:
        pattern = rb"(?!" + wanted + rb")((?!\r?\n)[^\n]" + rest + rb")|[^\n]" + rest + rb"|\n"
    else:
        pattern = rb"(" + wanted + rest + rb")|[^\n]" + rest + rb"|\n"
    return cast("Callable[[bytes], list[bytes]]", re.compile(pattern, re.IGNORECASE).findall)


def decode(raw: bytes) -> str:
    """RFC 2047 text of an unstructured value or phrase; never raises.

    Adjacent encoded words of one charset are joined before decoding, because senders split characters across them.
    Raw octets are taken as UTF-8, else as Windows-1252.
    """
    raw = unfold(raw)
    if b"=?" not in raw:
        return raw.decode("ascii") if raw.isascii() else text(raw)
    out: list[str] = []
    pending, pending_charset, position = bytearray(), "", 0
    for match in _ENCODED_WORD.finditer(raw):
        between = raw[position : match.start()]
        charset = match.group(1).decode("ascii", "replace").lower()
        data = _decode_word(match.group(2), match.group(3))
        if pending_charset == charset and not between.strip(b" \t"):
            pending += data
        else:
            if pending_charset:
                out.append(text(bytes(pending), pending_charset))
            if between.strip(b" \t") or not pending_charset:
                out.append(text(between))
            pending, pending_charset = bytearray(data), charset
        position = match.end()
    if pending_charset:
        out.append(text(bytes(pending), pending_charset))
    out.append(text(raw[position:]))
    return "".join(out)


def _decode_word(encoding: bytes, payload: bytes) -> bytes:
    if encoding in b"Qq":
        return decodestring(payload, header=True)
    try:
        return a2b_base64(payload + b"=" * (-len(payload) % 4))
    except BinasciiError:
        # One character too many, or rubbish: keep what whole groups say.
        kept = re.sub(rb"[^A-Za-z0-9+/]", b"", payload)
        return a2b_base64(kept[: len(kept) // 4 * 4])


def addresses(value: bytes) -> list[Address]:
    """The addresses of a From, To, Cc ... value (see `mime.address`)."""
    return parse_addresses(value)
