"""SEARCH (RFC 9051 6.4.4) with ESEARCH (RFC 4731), CHARSET and MODSEQ (RFC 7162 3.1.5)."""

from __future__ import annotations

import codecs
from typing import NamedTuple

from postern.model.items import Flag
from postern.model.query import (
    All,
    And,
    BodyContains,
    HasFlags,
    HasKeyword,
    HeaderContains,
    ModseqFrom,
    Not,
    Or,
    Query,
    ReceivedBetween,
    SentBetween,
    SizeAbove,
    SizeBelow,
    TextContains,
)
from postern.model.refusal import ProtocolViolation
from postern.protocols.imap import dates, sequence
from postern.protocols.imap.commands.store import MAX_MODSEQ
from postern.protocols.imap.scanner import Scanner

MAX_DEPTH = 50
"""Nesting of NOT, OR and parentheses."""
MAX_KEYS = 2000
DAY_S = 86400
CHARSETS = ("US-ASCII", "UTF-8")


class BadCharset(ProtocolViolation):
    """The charset is not known: NO [BADCHARSET] (RFC 9051 6.4.4)."""


class SequenceIn(Query, frozen=True):
    """Messages by number; the front end turns it into UIDs."""

    ranges: sequence.SequenceSet


class UidsIn(Query, frozen=True):
    """Messages by UID, `*` still in it."""

    ranges: sequence.SequenceSet


class Recent(Query, frozen=True):
    """`\\Recent`, known to the session alone."""


class Search(NamedTuple):
    """A search."""

    query: Query
    returns: frozenset[bytes] | None
    """MIN, MAX, ALL, COUNT; None: a plain SEARCH response is wanted."""
    modseq: bool
    """MODSEQ is among the keys: the answer carries the highest one."""


def _not_flag(bit: Flag) -> Query:
    return Not(HasFlags(bit.value))


_PLAIN: dict[bytes, Query] = {
    b"ALL": All(),
    b"ANSWERED": HasFlags(Flag.ANSWERED.value),
    b"DELETED": HasFlags(Flag.DELETED.value),
    b"DRAFT": HasFlags(Flag.DRAFT.value),
    b"FLAGGED": HasFlags(Flag.FLAGGED.value),
    b"SEEN": HasFlags(Flag.SEEN.value),
    b"UNANSWERED": _not_flag(Flag.ANSWERED),
    b"UNDELETED": _not_flag(Flag.DELETED),
    b"UNDRAFT": _not_flag(Flag.DRAFT),
    b"UNFLAGGED": _not_flag(Flag.FLAGGED),
    b"UNSEEN": _not_flag(Flag.SEEN),
    b"RECENT": Recent(),
    b"OLD": Not(Recent()),
    b"NEW": And((Recent(), _not_flag(Flag.SEEN))),
}
_HEADERS = {b"BCC": "bcc", b"CC": "cc", b"FROM": "from", b"SUBJECT": "subject", b"TO": "to"}
_DATES = frozenset({b"BEFORE", b"ON", b"SINCE", b"SENTBEFORE", b"SENTON", b"SENTSINCE"})
_RETURNS = frozenset({b"MIN", b"MAX", b"ALL", b"COUNT"})


class _Reader:
    """Reads keys; holds what all levels share."""

    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self.charset = "utf-8"
        self.keys = 0
        self.modseq = False

    def keys_until_end(self, depth: int) -> Query:
        """Keys joined by spaces, all of which must hold."""
        if depth > MAX_DEPTH:
            raise ProtocolViolation(f"search nested over {MAX_DEPTH} levels")
        found = [self.key(depth)]
        while self.scanner.accept(b" "):
            found.append(self.key(depth))
        return found[0] if len(found) == 1 else And(tuple(found))

    def key(self, depth: int) -> Query:
        """One search-key."""
        self.keys += 1
        if self.keys > MAX_KEYS:
            raise ProtocolViolation(f"over {MAX_KEYS} search keys")
        if depth > MAX_DEPTH:
            raise ProtocolViolation(f"search nested over {MAX_DEPTH} levels")
        scanner = self.scanner
        head = scanner.peek()
        if head == b"(":
            scanner.expect(b"(")
            inner = self.keys_until_end(depth + 1)
            scanner.expect(b")")
            return inner
        if head.isdigit() or head == b"*":
            return SequenceIn(scanner.sequence_set())
        name = scanner.word()
        plain = _PLAIN.get(name)
        if plain is not None:
            return plain
        if name == b"NOT":
            scanner.space()
            return Not(self.key(depth + 1))
        if name == b"OR":
            scanner.space()
            first = self.key(depth + 1)
            scanner.space()
            return Or((first, self.key(depth + 1)))
        scanner.space()
        return self.with_argument(name)

    def with_argument(self, name: bytes) -> Query:
        """Keys that take a value, after the space."""
        scanner = self.scanner
        if name in _HEADERS:
            return HeaderContains(_HEADERS[name], self.text())
        if name == b"HEADER":
            field = scanner.text_string().lower()
            scanner.space()
            return HeaderContains(field, self.text())
        if name == b"BODY":
            return BodyContains(self.text())
        if name == b"TEXT":
            return TextContains(self.text())
        if name in _DATES:
            return _date_key(name, dates.day(scanner.astring()))
        if name in (b"KEYWORD", b"UNKEYWORD"):
            keyword = HasKeyword(scanner.atom().decode("ascii"))
            return keyword if name == b"KEYWORD" else Not(keyword)
        return self.with_number(name)

    def with_number(self, name: bytes) -> Query:
        """Keys that take a number or set."""
        scanner = self.scanner
        if name == b"LARGER":
            return SizeAbove(scanner.number(MAX_MODSEQ))
        if name == b"SMALLER":
            return SizeBelow(scanner.number(MAX_MODSEQ))
        if name == b"UID":
            return UidsIn(scanner.sequence_set())
        if name == b"MODSEQ":
            return self.modseq_key()
        raise ProtocolViolation(f"unknown search key {name.decode('ascii')[:40]}")

    def modseq_key(self) -> Query:
        """`MODSEQ ["/flags/\\Seen" all|priv|shared] n`; all flags share one number here (RFC 7162 3.1.5)."""
        scanner = self.scanner
        if scanner.peek() == b'"':
            scanner.string()
            scanner.space()
            if scanner.word() not in (b"ALL", b"PRIV", b"SHARED"):
                raise ProtocolViolation("expected all, priv or shared")
            scanner.space()
        self.modseq = True
        return ModseqFrom(scanner.number(MAX_MODSEQ))

    def text(self) -> str:
        """A string in the search's charset."""
        try:
            return self.scanner.astring().decode(self.charset)
        except UnicodeDecodeError as error:
            raise ProtocolViolation(f"invalid {self.charset} in a search string") from error


def _date_key(name: bytes, day: int) -> Query:
    make = SentBetween if name.startswith(b"SENT") else ReceivedBetween
    if name.endswith(b"BEFORE"):
        return make(None, day)
    if name.endswith(b"ON"):
        return make(day, day + DAY_S)
    return make(day, None)


def search(scanner: Scanner) -> Search:
    """`SEARCH [RETURN (options)] [CHARSET name] keys`. Raises BadCharset."""
    returns = None
    if scanner.accept_word(b"RETURN (") or scanner.accept_word(b"RETURN("):
        returns = _returns(scanner)
        scanner.space()
    reader = _Reader(scanner)
    if scanner.accept_word(b"CHARSET "):
        reader.charset = _charset(scanner.astring())
        scanner.space()
    query = reader.keys_until_end(0)
    scanner.end()
    return Search(query, returns, reader.modseq)


def _returns(scanner: Scanner) -> frozenset[bytes]:
    options: set[bytes] = set()
    while not scanner.accept(b")"):
        if options:
            scanner.space()
        option = scanner.word()
        if option not in _RETURNS:
            raise ProtocolViolation(f"unknown return option {option.decode('ascii')}")
        options.add(option)
    return frozenset(options or {b"ALL"})  # RFC 4731 3.1: () means ALL


def _charset(name: bytes) -> str:
    """Python's name of a charset that IMAP clients use: text codecs only."""
    try:
        info = codecs.lookup(name.decode("ascii"))
    except (LookupError, UnicodeDecodeError) as error:
        raise BadCharset("unknown charset") from error
    if not getattr(info, "_is_text_encoding", True) or info.name in {"idna", "punycode", "undefined", "utf-7"}:
        raise BadCharset("unknown charset")
    return info.name
