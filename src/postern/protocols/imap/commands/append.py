"""APPEND (RFC 9051 6.3.12), of several messages (RFC 3502), in pieces (CATENATE, RFC 4469); REPLACE (RFC 8508)."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.refusal import ProtocolViolation
from postern.protocols.imap import dates, flags
from postern.protocols.imap.declined import Declined
from postern.protocols.imap.scanner import Scanner
from postern.protocols.imap.sequence import STAR, SequenceSet

MAX_MESSAGES = 1000
MAX_PIECES = 1000


class Piece(NamedTuple):
    """Of a message in CATENATE: octets, or where they are."""

    text: bytes
    url: str | None = None
    """An IMAP URL (RFC 5092); None: `text` is the piece."""


class Message(NamedTuple):
    """One message to be stored."""

    flags: flags.Flags
    received_at: int | None
    """INTERNALDATE, seconds since the epoch; None: now."""
    content: bytes
    pieces: tuple[Piece, ...] = ()
    """With CATENATE the content is these, joined."""


class Append(NamedTuple):
    """Messages for a folder."""

    mailbox: str
    messages: tuple[Message, ...]

    @property
    def alone(self) -> bool:
        """Nothing in it depends on commands before it."""
        return not any(message.pieces for message in self.messages)

    @property
    def octets(self) -> int:
        """How much was sent."""
        return sum(len(message.content) for message in self.messages)


class Replace(NamedTuple):
    """A message that takes another's place."""

    number: SequenceSet
    """One sequence number or UID."""
    mailbox: str
    message: Message


def append(scanner: Scanner) -> Append:
    """`APPEND mailbox 1*([(flags)] ["date-time"] data)`."""
    mailbox = scanner.mailbox()
    messages: list[Message] = []
    while scanner.accept(b" "):
        messages.append(_message(scanner))
        if len(messages) > MAX_MESSAGES:
            raise Declined(b"NO [LIMIT] Over %d messages in one APPEND" % MAX_MESSAGES)
    scanner.end()
    if not messages:
        raise ProtocolViolation("expected a literal with the message")
    return Append(mailbox, tuple(messages))


def replace(scanner: Scanner) -> Replace:
    """`REPLACE number mailbox [(flags)] ["date-time"] data`."""
    number = scanner.sequence_set()
    if len(number) != 1 or number[0][0] != number[0][1] or number[0][0] < STAR:
        raise ProtocolViolation("REPLACE takes one message")
    scanner.space()
    mailbox = scanner.mailbox()
    scanner.space()
    message = _message(scanner)
    scanner.end()
    return Replace(number, mailbox, message)


def _message(scanner: Scanner) -> Message:
    given = flags.Flags(0, ())
    if scanner.peek() == b"(":
        names = scanner.flag_list()
        # \Recent cannot be set; some clients send back what they read elsewhere, so it is dropped instead
        given = flags.parse(name for name in names if name.upper() != b"\\RECENT")
        scanner.space()
    received_at = None
    if scanner.peek() == b'"':
        received_at = dates.date_time(scanner.string())
        scanner.space()
    if scanner.accept_word(b"CATENATE ("):
        return Message(given, received_at, b"", _pieces(scanner))
    if scanner.accept_word(b"UTF8 ("):
        if not scanner.utf8:
            raise ProtocolViolation("UTF8 data before ENABLE UTF8=ACCEPT")
        content, octets = scanner.literal()
        scanner.expect(b")")
        if not octets:
            raise ProtocolViolation("expected ~{...} with the message")
    elif scanner.peek() in (b"\0", b"~"):
        content, octets = scanner.literal()
    else:
        raise ProtocolViolation("expected a literal with the message")
    return Message(given, received_at, _without_nul(content, octets))


def _without_nul(content: bytes, octets: bool) -> bytes:
    """What a literal holds. Raises Declined (RFC 3516 4.4)."""
    if octets and b"\0" in content:
        raise Declined(b"NO [UNKNOWN-CTE] A message with NUL octets cannot be kept as it is; encode them")
    return content


def _pieces(scanner: Scanner) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    while not pieces or scanner.accept(b" "):
        if scanner.accept_word(b"URL "):
            pieces.append(Piece(b"", scanner.text_string()))
        elif scanner.accept_word(b"TEXT "):
            pieces.append(Piece(_without_nul(*scanner.literal())))
        else:
            raise ProtocolViolation("expected TEXT or URL")
        if len(pieces) > MAX_PIECES:
            raise Declined(b"NO [LIMIT] Over %d pieces" % MAX_PIECES)
    scanner.expect(b")")
    return tuple(pieces)
