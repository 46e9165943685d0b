"""Sets of mailboxes by what they are: filters of NOTIFY (RFC 5465 6) and sources of ESEARCH (RFC 7377 2.2)."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.refusal import ProtocolViolation
from postern.protocols.imap.scanner import Scanner

MAX_NAMES = 1000
_ALONE = frozenset({b"SELECTED", b"SELECTED-DELAYED", b"INBOXES", b"PERSONAL", b"SUBSCRIBED"})
_NAMED = frozenset({b"SUBTREE", b"SUBTREE-ONE", b"MAILBOXES"})


class Filter(NamedTuple):
    """One kind of mailboxes."""

    kind: bytes
    """SELECTED, SELECTED-DELAYED, INBOXES, PERSONAL, SUBSCRIBED; SUBTREE, SUBTREE-ONE or MAILBOXES with names."""
    names: frozenset[str] = frozenset()


Mailboxes = tuple[Filter, ...]


def one_filter(scanner: Scanner) -> Filter:
    """`personal`, `mailboxes INBOX`, `subtree (a b)` ..."""
    kind = scanner.word()
    if kind in _ALONE:
        return Filter(kind)
    if kind not in _NAMED:
        raise ProtocolViolation(f"unknown kind of mailboxes {kind.decode('ascii')[:40]}")
    scanner.space()
    if not scanner.accept(b"("):
        return Filter(kind, frozenset((scanner.mailbox(),)))
    names = [scanner.mailbox()]
    while scanner.accept(b" "):
        names.append(scanner.mailbox())
        if len(names) > MAX_NAMES:
            raise ProtocolViolation(f"over {MAX_NAMES} mailboxes")
    scanner.expect(b")")
    return Filter(kind, frozenset(names))


def mailboxes(scanner: Scanner) -> Mailboxes:
    """Filters up to the closing parenthesis; the opening one was read."""
    found = [one_filter(scanner)]
    while scanner.accept(b" "):
        found.append(one_filter(scanner))
        if len(found) > MAX_NAMES:
            raise ProtocolViolation(f"over {MAX_NAMES} kinds of mailboxes")
    scanner.expect(b")")
    if any(each.kind == b"SELECTED-DELAYED" for each in found):
        raise ProtocolViolation("selected-delayed is for NOTIFY")
    merged: dict[bytes, frozenset[str]] = {}
    for each in found:
        merged[each.kind] = merged.get(each.kind, frozenset()) | each.names
    return tuple(Filter(kind, names) for kind, names in merged.items())
