"""Address lists (RFC 5322 3.4), as messages really write them. Works on octets; takes linear time; never raises."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple


class Address(NamedTuple):
    """One element of an address list, in the four fields of IMAP's ENVELOPE (RFC 9051 7.5.2).

    A group is opened by an element whose `host` and `mailbox` are (None, name) and closed by one with both None.
    """

    name: bytes | None
    """Display name, quoting removed, encoded words as they are."""
    route: bytes | None
    """Obsolete source route, `@a,@b`."""
    mailbox: bytes | None
    host: bytes | None
    """Empty if the address has no domain: None would mean a group."""


_ATOM = rb"[^\s()<>\[\]:;@\\,\"\x00]"
# `Name <box@host>`, `"Name" <box@host>` and `box@host`: nearly every address there is.
_PLAIN = re.compile(
    rb'[ \t\r\n]*+(?:(?:"([^"\\\r\n]*+)"[ \t\r\n]*+|((?:[^\s()<>\[\]:;@\\,"\x00]++ ?)++))?'
    rb"<(" + _ATOM + rb"++)@(" + _ATOM + rb"++)>|(" + _ATOM + rb"++)@(" + _ATOM + rb"++))[ \t\r\n]*+(?:,|\Z)"
).match

_TOKEN: Callable[[bytes, int], re.Match[bytes] | None] = re.compile(
    rb'([ \t\r\n\x00]++)|"((?:[^"\\]|\\.)*+)"?+|(\[[^\]]*+\]?+)|([()<>,;:@\\])|([^\s()<>\[:;@\\,"\x00]++)|.', re.DOTALL
).match
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_NOT_IN_COMMENT = re.compile(rb"[^()\\]*+").match

MAX_ADDRESSES = 10_000
"""More than any message needs; what follows is left out."""
MAX_ODD_TOKENS = 20_000
"""So many tokens are read of a list that is not plain; what follows is left out."""


def parse(value: bytes) -> list[Address]:
    """Parse an address list field's value, folded or not."""
    found: list[Address] = []
    position, end = 0, len(value)
    while position < end:
        match = _PLAIN(value, position)
        if match is None or len(found) >= MAX_ADDRESSES:
            if value[position:].strip():
                _parse_any(value, position, found)
            break
        quoted, phrase, box, host, bare_box, bare_host = match.groups()
        if bare_box is not None:
            found.append(Address(None, None, bare_box, bare_host))
        else:
            found.append(Address(quoted or (phrase.rstrip() if phrase else None) or None, None, box, host))
        position = match.end()
    return found


class _Piece(NamedTuple):
    kind: str
    """`word`, `quoted`, or the special character itself."""
    text: bytes
    spaced: bool
    """White space or a comment came before."""


def _parse_any(value: bytes, position: int, found: list[Address]) -> None:
    """The whole grammar with its obsolete forms: comments, groups, routes, and what is broken besides."""
    pieces: list[_Piece] = []
    comment: bytes | None = None
    in_angle = in_route = in_group = spaced = with_at = False
    end, tokens = len(value), 0
    while position < end and len(found) < MAX_ADDRESSES and tokens < MAX_ODD_TOKENS:
        tokens += 1
        match = _TOKEN(value, position)
        assert match is not None  # the last alternative takes anything
        position = match.end()
        space, quoted, literal, special, word = match.groups()
        if space is not None:
            spaced = True
            continue
        if special == b"(":
            comment, position = _comment(value, position)
            spaced = True
            continue
        if special == b"," and not in_route:
            _finish(pieces, comment, found)
            pieces, comment, in_angle, with_at = [], None, False, False
        elif special == b";" and not in_angle:
            _finish(pieces, comment, found)
            pieces, comment, with_at = [], None, False
            if in_group:
                found.append(Address(None, None, None, None))
                in_group = False
        elif special == b":" and not in_angle and not in_group and not with_at:
            found.append(Address(None, None, _phrase(pieces) or b"", None))
            pieces, comment, in_group = [], None, True
        elif special is not None:
            in_route = in_angle and ((special == b"@" and pieces[-1].kind == "<") or (in_route and special in b"@,"))
            in_angle = special == b"<" or (in_angle and special != b">")
            with_at = with_at or special == b"@"
            pieces.append(_Piece(special.decode("ascii"), special, spaced))
        elif quoted is not None:
            pieces.append(_Piece("quoted", _ESCAPE.sub(rb"\1", quoted), spaced))
        else:
            pieces.append(_Piece("word", literal or word or match.group(), spaced))
        spaced = False
    _finish(pieces, comment, found)
    if in_group:
        found.append(Address(None, None, None, None))


def _comment(value: bytes, position: int) -> tuple[bytes, int]:
    """Text of a comment whose `(` lies before `position`, nested ones included, and where it ends."""
    start, depth, end = position, 1, len(value)
    while position < end:
        skipped = _NOT_IN_COMMENT(value, position)
        position = skipped.end() if skipped else position
        char = value[position : position + 1]
        position += 2 if char == b"\\" else 1
        if char == b"(":
            depth += 1
        elif char == b")":
            depth -= 1
            if depth == 0:
                return _ESCAPE.sub(rb"\1", value[start : position - 1]).strip(), position
    return _ESCAPE.sub(rb"\1", value[start:]).strip(), end


def _phrase(pieces: list[_Piece]) -> bytes:
    """Words with single spaces where there was space."""
    return b"".join((b" " if piece.spaced and index else b"") + piece.text for index, piece in enumerate(pieces))


def _finish(pieces: list[_Piece], comment: bytes | None, found: list[Address]) -> None:
    """Turn the pieces of one list element into an address, if there is one in them."""
    if not pieces:
        return
    name: bytes | None = None
    route: bytes | None = None
    opened = next((index for index, piece in enumerate(pieces) if piece.kind == "<"), None)
    if opened is not None:
        name = _phrase(pieces[:opened]) or None
        inner = pieces[opened + 1 :]
        closed = next((index for index, piece in enumerate(inner) if piece.kind == ">"), len(inner))
        inner = inner[:closed]
        colon = next((index for index, piece in enumerate(inner) if piece.kind == ":"), None)
        if colon is not None and inner and inner[0].kind == "@":
            route = b"".join(piece.text for piece in inner[:colon])
            inner = inner[colon + 1 :]
    else:
        inner = [piece for piece in pieces if piece.kind != ">"]
    at = next((index for index in range(len(inner) - 1, -1, -1) if inner[index].kind == "@"), None)
    if at is None:
        mailbox, host = b"".join(piece.text for piece in inner), b""
        if opened is None and len(inner) > 1:  # words without any address: all of it is what the reader should see
            mailbox = _phrase(inner)
    else:
        local = inner[:at]
        if opened is None:
            name, local = _split_local(local)
        mailbox = b"".join(piece.text for piece in local)
        host = b"".join(piece.text for piece in inner[at + 1 :])
    found.append(Address(name or comment or None, route, mailbox, host))


def _split_local(pieces: list[_Piece]) -> tuple[bytes | None, list[_Piece]]:
    """`John Smith js@host`, brackets forgotten: the last run without space is the mailbox, the rest a name."""
    cut = len(pieces) - 1
    while cut > 0 and (
        not pieces[cut].spaced or pieces[cut].text.startswith(b".") or pieces[cut - 1].text.endswith(b".")
    ):
        cut -= 1
    return (_phrase(pieces[:cut]) or None, pieces[cut:]) if cut > 0 else (None, pieces)
