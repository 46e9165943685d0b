"""APPEND (RFC 9051 6.3.12)."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.refusal import ProtocolViolation
from postern.protocols.imap import dates, flags
from postern.protocols.imap.scanner import Scanner


class Append(NamedTuple):
    """A message for a folder."""

    mailbox: str
    flags: flags.Flags
    received_at: int | None
    """INTERNALDATE, seconds since the epoch; None: now."""
    content: bytes


def append(scanner: Scanner) -> Append:
    """`APPEND mailbox [(flags)] ["date-time"] {literal}`."""
    mailbox = scanner.mailbox()
    scanner.space()
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
    if scanner.peek() != b"\0":
        raise ProtocolViolation("expected a literal with the message")
    content = scanner.string()
    scanner.end()
    return Append(mailbox, given, received_at, content)
