"""SEARCH (RFC 9051 6.4.4) and ESEARCH of many folders (RFC 7377).

With RETURN (RFC 4731), MODSEQ (RFC 7162 3.1.5), SAVE (RFC 5182), WITHIN (RFC 5032), SAVEDATE (RFC 8514), PARTIAL
(RFC 9394), UPDATE (RFC 5267), object ids (RFC 8474).
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import NamedTuple

from postern.model.items import Flag
from postern.model.query import (
    All,
    And,
    BodyContains,
    HasFlags,
    HasKeyword,
    HeaderContains,
    InConversation,
    ModseqFrom,
    Not,
    Or,
    OriginIs,
    Query,
    ReceivedBetween,
    SavedBetween,
    SentBetween,
    SizeAbove,
    SizeBelow,
    TextContains,
)
from postern.model.refusal import ProtocolViolation
from postern.protocols.imap import dates, sequence
from postern.protocols.imap.commands.fetch import partial_range
from postern.protocols.imap.commands.mailboxes import Mailboxes, mailboxes
from postern.protocols.imap.commands.store import MAX_MODSEQ
from postern.protocols.imap.declined import Declined
from postern.protocols.imap.scanner import Scanner

MAX_DEPTH = 50
"""Nesting of NOT, OR and parentheses."""
MAX_KEYS = 2000
MAX_TEXTS = 200
"""Keys that look for a text: each may have to look at everything that the folder has."""
DAY_S = 86400
CHARSETS = ("US-ASCII", "UTF-8")
_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "utf-7", "unicode-escape", "raw-unicode-escape", "palmos"})
"""Python's text codecs that are no character sets of mail, and UTF-7, which hides what it says."""


class BadCharset(Declined):
    """The charset is not known: NO [BADCHARSET] (RFC 9051 6.4.4)."""

    def __init__(self) -> None:
        super().__init__(b"NO [BADCHARSET (%b)] Unknown charset" % " ".join(CHARSETS).encode("ascii"))


class SequenceIn(Query, frozen=True):
    """Messages by number; the front end turns it into UIDs."""

    ranges: sequence.SequenceSet


class UidsIn(Query, frozen=True):
    """Messages by UID, `*` still in it."""

    ranges: sequence.SequenceSet


class Recent(Query, frozen=True):
    """`\\Recent`, known to the session alone."""


class Within(Query, frozen=True):
    """INTERNALDATE within the last seconds (`younger`) or before them; the front end knows the time."""

    seconds: int
    younger: bool


class Returns(NamedTuple):
    """What a search shall answer."""

    options: frozenset[bytes]
    """Of MIN, MAX, ALL, COUNT, SAVE, PARTIAL, UPDATE, CONTEXT."""
    partial: tuple[int, int] | None = None


class Search(NamedTuple):
    """A search."""

    query: Query
    returns: Returns | None
    """None: a plain SEARCH response is wanted."""
    modseq: bool
    """MODSEQ is among the keys: the answer carries the highest one."""
    sources: Mailboxes | None = None
    """Where ESEARCH looks; None: in the selected folder."""


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
    b"SAVEDATESUPPORTED": All(),
}
_HEADERS = {b"BCC": "bcc", b"CC": "cc", b"FROM": "from", b"SUBJECT": "subject", b"TO": "to"}
_DATES = frozenset({b"BEFORE", b"ON", b"SINCE", b"SENTBEFORE", b"SENTON", b"SENTSINCE"})
_SAVED_DATES = frozenset({b"SAVEDBEFORE", b"SAVEDON", b"SAVEDSINCE"})
_RETURNS = frozenset({b"MIN", b"MAX", b"ALL", b"COUNT", b"SAVE", b"PARTIAL", b"UPDATE", b"CONTEXT"})
_RESULTS = frozenset({b"MIN", b"MAX", b"ALL", b"COUNT", b"SAVE", b"PARTIAL"})
_EMAIL_ID = re.compile(rb"M([0-9]{1,15})")
_THREAD_ID = re.compile(rb"T([0-9]{1,19})")
_OBJECT_ID = re.compile(rb"[A-Za-z0-9_\-]{1,255}")


class _Reader:
    """Reads keys; holds what all levels share."""

    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self.charset = "utf-8"
        self.keys = self.texts = 0
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
        if head.isdigit() or head in (b"*", b"$"):
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
        if name in _DATES or name in _SAVED_DATES:
            return _date_key(name, dates.day(scanner.astring()))
        if name in (b"KEYWORD", b"UNKEYWORD"):
            keyword = HasKeyword(scanner.atom().decode("ascii"))
            return keyword if name == b"KEYWORD" else Not(keyword)
        return self.with_number(name)

    def with_number(self, name: bytes) -> Query:
        """Keys that take a number or set."""
        scanner = self.scanner
        if name in (b"OLDER", b"YOUNGER"):
            seconds = scanner.number()
            if not seconds:
                raise ProtocolViolation("an interval of 0 seconds")
            return Within(seconds, name == b"YOUNGER")
        if name == b"EMAILID":
            found = _EMAIL_ID.fullmatch(scanner.match(_OBJECT_ID, "an object id"))
            return OriginIs(int(found[1]) if found else -1)
        if name == b"THREADID":
            found = _THREAD_ID.fullmatch(scanner.match(_OBJECT_ID, "an object id"))
            return InConversation(int(found[1]) if found else -1)
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
        """A string in the search's charset, one of not too many."""
        self.texts += 1
        if self.texts > MAX_TEXTS:
            raise ProtocolViolation(f"over {MAX_TEXTS} texts to look for")
        try:
            return self.scanner.astring().decode(self.charset)
        except UnicodeDecodeError as error:
            raise ProtocolViolation(f"invalid {self.charset} in a search string") from error


def _date_key(name: bytes, day: int) -> Query:
    make = SentBetween if name.startswith(b"SENT") else SavedBetween if name in _SAVED_DATES else ReceivedBetween
    if name.endswith(b"BEFORE"):
        return make(None, day)
    if name.endswith(b"ON"):
        return make(day, day + DAY_S)
    return make(day, None)


def search(scanner: Scanner) -> Search:
    """`SEARCH [RETURN (options)] [CHARSET name] keys`. Raises BadCharset."""
    text = scanner.same_again()
    return _search(scanner, None) if text is None else _remembered(text)


@lru_cache(maxsize=256)
def _remembered(text: bytes) -> Search:
    return _search(Scanner(text), None)


def esearch(scanner: Scanner) -> Search:
    """`ESEARCH [IN (sources)] [RETURN (options)] [CHARSET name] keys` (RFC 7377 2.2)."""
    sources = None
    if scanner.accept_word(b"IN ("):
        sources = mailboxes(scanner)
        scanner.space()
    found = _search(scanner, sources)
    if found.returns is None:
        found = found._replace(returns=Returns(frozenset({b"ALL"})))
    elif found.returns.options & {b"SAVE", b"UPDATE", b"CONTEXT"} and sources is not None:
        raise ProtocolViolation("SAVE, UPDATE and CONTEXT are for the selected folder")
    return found


def _search(scanner: Scanner, sources: Mailboxes | None) -> Search:
    returns = None
    if scanner.accept_word(b"RETURN (") or scanner.accept_word(b"RETURN("):
        returns = return_options(scanner)
        scanner.space()
    reader = _Reader(scanner)
    if scanner.accept_word(b"CHARSET "):
        reader.charset = _charset(scanner.astring())
        scanner.space()
    query = reader.keys_until_end(0)
    scanner.end()
    return Search(query, returns, reader.modseq, sources)


def keys_in_charset(scanner: Scanner) -> Search:
    """`charset search-keys` to the end, as SORT and THREAD have them (RFC 5256 3). Raises BadCharset."""
    reader = _Reader(scanner)
    reader.charset = _charset(scanner.astring())
    scanner.space()
    query = reader.keys_until_end(0)
    scanner.end()
    return Search(query, None, reader.modseq)


def return_options(scanner: Scanner) -> Returns:
    """What stands in RETURN's parentheses, behind the opening one (RFC 4731 3.1)."""
    options: set[bytes] = set()
    partial: tuple[int, int] | None = None
    while not scanner.accept(b")"):
        if options:
            scanner.space()
        option = scanner.word()
        if option not in _RETURNS:
            raise ProtocolViolation(f"unknown return option {option.decode('ascii')}")
        if option in options:
            raise ProtocolViolation(f"{option.decode('ascii')} twice")
        if option == b"PARTIAL":
            scanner.space()
            partial = partial_range(scanner)
        options.add(option)
    if {b"PARTIAL", b"ALL"} <= options:
        raise ProtocolViolation("PARTIAL and ALL")  # RFC 9394 3.1
    if not options & _RESULTS:
        options.add(b"ALL")  # RFC 4731 3.1: () means ALL
    return Returns(frozenset(options), partial)


def _charset(name: bytes) -> str:
    """Python's name of a charset that IMAP clients use: text codecs only."""
    try:
        info = codecs.lookup(name.decode("ascii"))
    except (LookupError, UnicodeDecodeError) as error:
        raise BadCharset from error
    if not getattr(info, "_is_text_encoding", True) or info.name.replace("_", "-") in _NO_CHARSETS:
        raise BadCharset
    return info.name
