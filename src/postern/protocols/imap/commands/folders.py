"""Commands on folders: SELECT, LIST and their kin."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.refusal import ProtocolViolation
from postern.protocols.imap.scanner import Scanner

STATUS_ITEMS = frozenset(
    {b"MESSAGES", b"RECENT", b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN", b"HIGHESTMODSEQ", b"SIZE", b"DELETED"}
)
_SELECTION_OPTIONS = frozenset({b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH", b"SPECIAL-USE"})
_RETURN_OPTIONS = frozenset({b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE", b"STATUS"})
MAX_PATTERNS = 64


class Select(NamedTuple):
    """SELECT or EXAMINE (RFC 9051 6.3.2)."""

    mailbox: str
    condstore: bool
    """`(CONDSTORE)` was given (RFC 7162 3.1.8)."""


class Rename(NamedTuple):
    """RFC 9051 6.3.6."""

    source: str
    target: str


class Status(NamedTuple):
    """RFC 9051 6.3.11."""

    mailbox: str
    items: tuple[bytes, ...]


class List(NamedTuple):
    """LIST with its extensions (RFC 5258, RFC 5819, RFC 6154)."""

    reference: str
    patterns: tuple[str, ...]
    select: frozenset[bytes] = frozenset()
    returns: frozenset[bytes] = frozenset()
    status: tuple[bytes, ...] = ()
    extended: bool = False
    """Any of the extended syntax was used: `LIST "" ""` then asks for nothing special."""


def select(scanner: Scanner) -> Select:
    """`SELECT mailbox [(CONDSTORE)]`."""
    mailbox = scanner.mailbox()
    condstore = False
    if scanner.accept(b" "):
        scanner.expect(b"(")
        if scanner.word() != b"CONDSTORE":
            raise ProtocolViolation("unknown parameter")
        scanner.expect(b")")
        condstore = True
    scanner.end()
    return Select(mailbox, condstore)


def one_mailbox(scanner: Scanner) -> str:
    """One name: DELETE, SUBSCRIBE, UNSUBSCRIBE, CREATE."""
    mailbox = scanner.mailbox()
    scanner.end()
    return mailbox


def rename(scanner: Scanner) -> Rename:
    """`RENAME old new`."""
    source = scanner.mailbox()
    scanner.space()
    target = scanner.mailbox()
    scanner.end()
    return Rename(source, target)


def status(scanner: Scanner) -> Status:
    """`STATUS mailbox (items)`."""
    mailbox = scanner.mailbox()
    scanner.space()
    items = _status_items(scanner)
    scanner.end()
    return Status(mailbox, items)


def _status_items(scanner: Scanner) -> tuple[bytes, ...]:
    scanner.expect(b"(")
    items = [scanner.word()]
    while scanner.accept(b" "):
        items.append(scanner.word())
    scanner.expect(b")")
    for item in items:
        if item not in STATUS_ITEMS:
            raise ProtocolViolation(f"unknown STATUS item {item.decode('ascii')}")
    return tuple(dict.fromkeys(items))


def list_(scanner: Scanner) -> List:
    """`LIST [(selection options)] reference pattern|(patterns) [RETURN (options)]`."""
    selection = None
    if scanner.peek() == b"(":
        selection = _selection(scanner)
        scanner.space()
    reference = scanner.mailbox()
    scanner.space()
    many = scanner.peek() == b"("
    patterns = _patterns(scanner) if many else (scanner.list_mailbox(),)
    returns: frozenset[bytes] = frozenset()
    status_items: tuple[bytes, ...] = ()
    extended = many or selection is not None
    if scanner.accept(b" "):
        if scanner.word() != b"RETURN":
            raise ProtocolViolation("expected RETURN")
        scanner.space()
        returns, status_items = _returns(scanner)
        extended = True
    scanner.end()
    return List(reference, patterns, selection or frozenset(), returns, status_items, extended)


def lsub(scanner: Scanner) -> List:
    """`LSUB reference pattern` (RFC 3501 6.3.9)."""
    reference = scanner.mailbox()
    scanner.space()
    pattern = scanner.list_mailbox()
    scanner.end()
    return List(reference, (pattern,))


def _patterns(scanner: Scanner) -> tuple[str, ...]:
    scanner.expect(b"(")
    patterns = [scanner.list_mailbox()]
    while scanner.accept(b" "):
        patterns.append(scanner.list_mailbox())
        if len(patterns) > MAX_PATTERNS:
            raise ProtocolViolation(f"over {MAX_PATTERNS} patterns")
    scanner.expect(b")")
    return tuple(patterns)


def _selection(scanner: Scanner) -> frozenset[bytes]:
    scanner.expect(b"(")
    options: set[bytes] = set()
    while not scanner.accept(b")"):
        if options:
            scanner.space()
        option = scanner.word()
        if option not in _SELECTION_OPTIONS:
            raise ProtocolViolation(f"unknown selection option {option.decode('ascii')}")
        options.add(option)
    if b"RECURSIVEMATCH" in options and not options - {b"RECURSIVEMATCH", b"REMOTE"}:
        raise ProtocolViolation("RECURSIVEMATCH alone selects nothing")  # RFC 5258 3.1
    return frozenset(options)


def _returns(scanner: Scanner) -> tuple[frozenset[bytes], tuple[bytes, ...]]:
    scanner.expect(b"(")
    options: set[bytes] = set()
    items: tuple[bytes, ...] = ()
    while not scanner.accept(b")"):
        if options:
            scanner.space()
        option = scanner.word()
        if option not in _RETURN_OPTIONS:
            raise ProtocolViolation(f"unknown return option {option.decode('ascii')}")
        if option == b"STATUS":
            scanner.space()
            items = _status_items(scanner)
        options.add(option)
    return frozenset(options), items
