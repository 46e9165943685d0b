"""ACL (RFC 4314)."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.refusal import ProtocolViolation
from postern.protocols.imap.scanner import Scanner

RIGHTS = "lrswipkxtea"
"""Standard rights (RFC 4314 2.1)."""
_OBSOLETE = {"c": "k", "d": "te"}
"""What the rights of RFC 2086 stand for (RFC 4314 2.1.1); `x` goes with neither here: it needs the owner's right."""


class SetAcl(NamedTuple):
    """Rights for somebody."""

    mailbox: str
    identifier: str
    mode: str
    """`+`, `-` or empty for replacing."""
    rights: frozenset[str]


class Entry(NamedTuple):
    """A mailbox and somebody."""

    mailbox: str
    identifier: str


def set_acl(scanner: Scanner) -> SetAcl:
    """`SETACL mailbox identifier [+-]rights`."""
    mailbox, identifier = _entry(scanner)
    scanner.space()
    text = scanner.text_string()
    mode = text[:1] if text[:1] in ("+", "-") else ""
    scanner.end()
    rights: set[str] = set()
    for letter in text[len(mode) :]:
        known = _OBSOLETE.get(letter, letter)
        if any(each not in RIGHTS for each in known):
            raise ProtocolViolation(f"unknown right {letter!r}")
        rights.update(known)
    return SetAcl(mailbox, identifier, mode, frozenset(rights))


def entry(scanner: Scanner) -> Entry:
    """`DELETEACL mailbox identifier`, `LISTRIGHTS mailbox identifier`."""
    found = _entry(scanner)
    scanner.end()
    return found


def _entry(scanner: Scanner) -> Entry:
    mailbox = scanner.mailbox()
    scanner.space()
    return Entry(mailbox, scanner.text_string())
