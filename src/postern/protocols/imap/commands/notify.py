"""NOTIFY (RFC 5465): which news of which mailboxes a session wants unasked."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.refusal import ProtocolViolation
from postern.protocols.imap.commands import fetch
from postern.protocols.imap.commands.fetch import Section
from postern.protocols.imap.commands.mailboxes import Filter, one_filter
from postern.protocols.imap.declined import Declined
from postern.protocols.imap.scanner import Scanner

MAX_GROUPS = 100
EVENTS = (
    b"MessageNew",
    b"MessageExpunge",
    b"FlagChange",
    b"MailboxName",
    b"SubscriptionChange",
    b"MailboxMetadataChange",
    b"ServerMetadataChange",
)
_EVENTS = {name.upper(): name for name in EVENTS}
_KNOWN_ONLY = frozenset({b"ANNOTATIONCHANGE"})
_OF_FOLDERS = frozenset(EVENTS[3:])
"""No events of the messages in a mailbox."""


class Group(NamedTuple):
    """Mailboxes and the events wanted of them."""

    mailboxes: Filter
    events: frozenset[bytes]
    """Of `EVENTS`; empty: none."""
    attributes: tuple[bytes, ...] = ()
    """What of a new message in the selected mailbox is sent with its news; see commands.fetch."""
    sections: tuple[Section, ...] = ()


class Notify(NamedTuple):
    """`SET`; without groups `NONE`."""

    groups: tuple[Group, ...]
    status: bool = False
    """The state of all watched mailboxes is wanted at once."""


def notify(scanner: Scanner) -> Notify:
    """`NOTIFY NONE` or `NOTIFY SET [STATUS] (mailboxes (events))...`. Raises Declined (BADEVENT)."""
    name = scanner.word()
    if name == b"NONE":
        scanner.end()
        return Notify(())
    if name != b"SET":
        raise ProtocolViolation("expected SET or NONE")
    scanner.space()
    status = scanner.accept_word(b"STATUS ")
    groups = [_group(scanner)]
    while scanner.accept(b" "):
        groups.append(_group(scanner))
        if len(groups) > MAX_GROUPS:
            raise ProtocolViolation(f"over {MAX_GROUPS} groups of events")
    scanner.end()
    kinds = [group.mailboxes.kind for group in groups]
    if kinds.count(b"SELECTED") + kinds.count(b"SELECTED-DELAYED") > 1:
        raise ProtocolViolation("the selected mailbox twice")
    return Notify(tuple(groups), status)


def _group(scanner: Scanner) -> Group:
    scanner.expect(b"(")
    mailboxes = one_filter(scanner)
    scanner.space()
    if scanner.accept_word(b"NONE"):
        scanner.expect(b")")
        return Group(mailboxes, frozenset())
    scanner.expect(b"(")
    events: set[bytes] = set()
    attributes: tuple[bytes, ...] = ()
    sections: tuple[Section, ...] = ()
    selected = mailboxes.kind.startswith(b"SELECTED")
    while True:
        word = scanner.word()
        name = _EVENTS.get(word)
        if name is None:
            if word in _KNOWN_ONLY:
                raise Declined(b"NO [BADEVENT (%b)] No such event here" % b" ".join(EVENTS))
            raise ProtocolViolation(f"unknown event {word.decode('ascii')[:40]}")
        events.add(name)
        if name == b"MessageNew" and scanner.accept(b" ("):
            if not selected:
                raise ProtocolViolation("FETCH items are for the selected mailbox")
            scanner.position -= 1
            attributes, sections = fetch.items(scanner)
        if not scanner.accept(b" "):
            break
    scanner.expect(b")")
    scanner.expect(b")")
    if (b"MessageNew" in events) is not (b"MessageExpunge" in events):
        raise ProtocolViolation("MessageNew and MessageExpunge go together")  # RFC 5465 5
    if b"FlagChange" in events and b"MessageNew" not in events:
        raise ProtocolViolation("FlagChange needs MessageNew and MessageExpunge")
    if selected and events & _OF_FOLDERS:
        raise ProtocolViolation("names, subscriptions and metadata are no events of the selected mailbox")
    return Group(mailboxes, frozenset(events), attributes, sections)
