"""COPY, MOVE, UID EXPUNGE."""

from __future__ import annotations

from typing import NamedTuple

from postern.protocols.imap.scanner import Scanner
from postern.protocols.imap.sequence import SequenceSet


class Transfer(NamedTuple):
    """COPY (RFC 9051 6.4.7) or MOVE (RFC 6851)."""

    messages: SequenceSet
    mailbox: str


def transfer(scanner: Scanner) -> Transfer:
    """`COPY set mailbox`."""
    messages = scanner.sequence_set()
    scanner.space()
    mailbox = scanner.mailbox()
    scanner.end()
    return Transfer(messages, mailbox)


def one_set(scanner: Scanner) -> SequenceSet:
    """`UID EXPUNGE set` (RFC 4315 2.1)."""
    messages = scanner.sequence_set()
    scanner.end()
    return messages
