"""METADATA (RFC 5464): GETMETADATA and SETMETADATA."""

from __future__ import annotations

import re
from typing import NamedTuple

from postern.model.refusal import ProtocolViolation
from postern.protocols.imap.scanner import Scanner

MAX_NAMED = 100
"""Entries in one command."""
MAX_NAME = 250
_ENTRY = re.compile(r"/(?:private|shared)(?:/[!-$&-)+-.0-~]+)*", re.ASCII)


class GetMetadata(NamedTuple):
    """Which entries of which mailbox."""

    mailbox: str
    """Empty: the server's."""
    entries: tuple[str, ...]
    """Lower case."""
    largest: int | None
    """MAXSIZE, octets."""
    depth: int | None
    """Levels below each entry; None: all."""


class SetMetadata(NamedTuple):
    """New values; None removes."""

    mailbox: str
    values: dict[str, bytes | None]


def get_metadata(scanner: Scanner) -> GetMetadata:
    """`GETMETADATA [(options)] mailbox [(options)] entries`: the grammar has options first, examples second."""
    largest: int | None = None
    depth: int | None = 0
    if scanner.peek() == b"(":
        largest, depth = _options(scanner)
        scanner.space()
    mailbox = _mailbox(scanner)
    scanner.space()
    if scanner.text[scanner.position :].upper().startswith((b"(MAXSIZE", b"(DEPTH")):
        largest, depth = _options(scanner)
        scanner.space()
    names = [_name(scanner)] if not scanner.accept(b"(") else _names(scanner)
    scanner.end()
    return GetMetadata(mailbox, tuple(dict.fromkeys(names)), largest, depth)


def _names(scanner: Scanner) -> list[str]:
    names = [_name(scanner)]
    while scanner.accept(b" "):
        names.append(_name(scanner))
        if len(names) > MAX_NAMED:
            raise ProtocolViolation(f"over {MAX_NAMED} entries")
    scanner.expect(b")")
    return names


def _options(scanner: Scanner) -> tuple[int | None, int | None]:
    largest: int | None = None
    depth: int | None = 0
    scanner.expect(b"(")
    while True:
        name = scanner.word()
        scanner.space()
        if name == b"MAXSIZE":
            largest = scanner.number()
        elif name == b"DEPTH":
            word = scanner.atom().upper()
            if word not in (b"0", b"1", b"INFINITY"):
                raise ProtocolViolation("DEPTH is 0, 1 or infinity")
            depth = None if word == b"INFINITY" else int(word)
        else:
            raise ProtocolViolation(f"unknown option {name.decode('ascii')[:40]}")
        if not scanner.accept(b" "):
            break
    scanner.expect(b")")
    return largest, depth


def set_metadata(scanner: Scanner) -> SetMetadata:
    """`SETMETADATA mailbox (entry value ...)`."""
    mailbox = _mailbox(scanner)
    scanner.space()
    scanner.expect(b"(")
    values: dict[str, bytes | None] = {}
    while True:
        name = _name(scanner)
        if name.count("/") < 2:
            raise ProtocolViolation(f"{name} is no entry")
        scanner.space()
        values[name] = _value(scanner)
        if len(values) > MAX_NAMED:
            raise ProtocolViolation(f"over {MAX_NAMED} entries")
        if not scanner.accept(b" "):
            break
    scanner.expect(b")")
    scanner.end()
    return SetMetadata(mailbox, values)


def _value(scanner: Scanner) -> bytes | None:
    if scanner.accept_word(b"NIL"):
        return None
    if scanner.peek() in (b"~", b"\0"):
        return scanner.literal()[0]
    return scanner.string()


def _mailbox(scanner: Scanner) -> str:
    """Empty stands for the server."""
    return "" if scanner.accept(b'""') else scanner.mailbox()


def _name(scanner: Scanner) -> str:
    """An entry (RFC 5464 3.2): no wildcards, no empty level, ASCII; names differ in more than case."""
    name = scanner.text_string().lower()
    if len(name) > MAX_NAME or _ENTRY.fullmatch(name) is None:
        raise ProtocolViolation("an entry begins with /private/ or /shared/ and has no wildcard and no empty level")
    return name
