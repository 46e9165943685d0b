"""Commands on folders: SELECT, LIST and their kin."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.refusal import ProtocolViolation
from postern.protocols.imap.commands.store import MAX_MODSEQ
from postern.protocols.imap.scanner import Scanner
from postern.protocols.imap.sequence import SAVED, STAR, SequenceSet

STATUS_ITEMS = frozenset(
    {
        b"MESSAGES",
        b"RECENT",
        b"UIDNEXT",
        b"UIDVALIDITY",
        b"UNSEEN",
        b"HIGHESTMODSEQ",
        b"SIZE",
        b"DELETED",
        b"DELETED-STORAGE",
        b"MAILBOXID",
        b"APPENDLIMIT",
    }
)
_SELECTION_OPTIONS = frozenset({b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH", b"SPECIAL-USE"})
_RETURN_OPTIONS = frozenset({b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE", b"STATUS", b"MYRIGHTS"})
MAX_PATTERNS = 64


class Known(NamedTuple):
    """What a client that comes back knows of a folder (RFC 7162 3.2.5)."""

    uid_validity: int
    modseq: int
    uids: SequenceSet | None = None
    matches: tuple[SequenceSet, SequenceSet] | None = None
    """Sequence numbers and their UIDs as they once were."""


class Select(NamedTuple):
    """SELECT or EXAMINE (RFC 9051 6.3.2)."""

    mailbox: str
    condstore: bool
    """`(CONDSTORE)` was given (RFC 7162 3.1.8)."""
    known: Known | None = None
    """`(QRESYNC (...))` was given."""


class Create(NamedTuple):
    """RFC 9051 6.3.4, RFC 6154 3."""

    mailbox: str
    uses: tuple[bytes, ...] = ()


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
    known = None
    if scanner.accept(b" "):
        scanner.expect(b"(")
        while not scanner.accept(b")"):
            if condstore or known is not None:
                scanner.space()
            name = scanner.word()
            if name == b"QRESYNC" and known is None:
                scanner.space()
                known = _known(scanner)
            elif name == b"CONDSTORE":
                condstore = True
            else:
                raise ProtocolViolation("unknown parameter")
        if not condstore and known is None:
            raise ProtocolViolation("empty list of parameters")
    scanner.end()
    return Select(mailbox, condstore, known)


def _known(scanner: Scanner) -> Known:
    """`(uidvalidity modseq [uids] [(numbers uids)])`."""
    scanner.expect(b"(")
    validity = scanner.number()
    scanner.space()
    modseq = scanner.number(MAX_MODSEQ)
    if not validity or not modseq:
        raise ProtocolViolation("QRESYNC with 0")
    uids = matches = None
    if scanner.accept(b" ") and scanner.peek() != b"(":
        uids = _plain_set(scanner)
        scanner.accept(b" ")
    if scanner.accept(b"("):
        numbers = _plain_set(scanner)
        scanner.space()
        matches = (numbers, _plain_set(scanner))
        scanner.expect(b")")
    scanner.expect(b")")
    return Known(validity, modseq, uids, matches)


def _plain_set(scanner: Scanner) -> SequenceSet:
    """A set without `*` and `$`."""
    found = scanner.sequence_set()
    if found is SAVED or any(STAR in pair for pair in found):
        raise ProtocolViolation("* and $ are not known here")
    return found


def create(scanner: Scanner) -> Create:
    """`CREATE mailbox [(USE (attributes))]`."""
    mailbox = scanner.mailbox()
    uses: tuple[bytes, ...] = ()
    if scanner.accept(b" "):
        scanner.expect(b"(")
        if scanner.word() != b"USE":
            raise ProtocolViolation("unknown parameter")
        scanner.space()
        uses = scanner.flag_list()
        scanner.expect(b")")
    scanner.end()
    return Create(mailbox, uses)


def one_mailbox(scanner: Scanner) -> str:
    """One name: DELETE, SUBSCRIBE, UNSUBSCRIBE, GETQUOTAROOT and their kin."""
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
