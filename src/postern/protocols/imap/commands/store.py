"""STORE (RFC 9051 6.4.6) with UNCHANGEDSINCE (RFC 7162 3.1.3)."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.refusal import ProtocolViolation
from postern.protocols.imap import flags
from postern.protocols.imap.scanner import Scanner
from postern.protocols.imap.sequence import SequenceSet

MAX_MODSEQ = (1 << 63) - 1


class Store(NamedTuple):
    """A change of flags."""

    messages: SequenceSet
    mode: bytes
    """`+`, `-` or empty for replacing."""
    flags: flags.Flags
    silent: bool
    unchanged_since: int | None


def store(scanner: Scanner) -> Store:
    """`STORE set [(UNCHANGEDSINCE n)] [+|-]FLAGS[.SILENT] flags`."""
    messages = scanner.sequence_set()
    scanner.space()
    unchanged_since = None
    if scanner.accept(b"("):
        if scanner.word() != b"UNCHANGEDSINCE":
            raise ProtocolViolation("unknown modifier")
        scanner.space()
        unchanged_since = scanner.number(MAX_MODSEQ)
        scanner.expect(b")")
        scanner.space()
    mode = b"+" if scanner.accept(b"+") else b"-" if scanner.accept(b"-") else b""
    item = scanner.word()
    if item not in (b"FLAGS", b"FLAGS.SILENT"):
        raise ProtocolViolation("expected FLAGS or FLAGS.SILENT")
    scanner.space()
    given = flags.parse(scanner.flags())
    scanner.end()
    return Store(messages, mode, given, item != b"FLAGS", unchanged_since)
