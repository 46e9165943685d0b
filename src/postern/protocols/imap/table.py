"""The commands: in which states each may come and what parses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from postern.protocols.imap.commands import append, connection, fetch, folders, search, store, transfer
from postern.protocols.imap.scanner import Scanner, no_arguments
from postern.protocols.imap.session import State

_ANY = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
_BEFORE = frozenset({State.NOT_AUTHENTICATED})
_AFTER = frozenset({State.AUTHENTICATED, State.SELECTED})
_SELECTED = frozenset({State.SELECTED})


class Specification(NamedTuple):
    """One row."""

    states: frozenset[State]
    parse: Callable[[Scanner], Any]
    reference: str
    expunge_allowed: bool = True
    """Whether EXPUNGE responses may come before its tagged one (RFC 9051 7.5.1)."""


COMMANDS: dict[bytes, Specification] = {
    b"CAPABILITY": Specification(_ANY, no_arguments, "RFC 9051 6.1.1"),
    b"NOOP": Specification(_ANY, no_arguments, "RFC 9051 6.1.2"),
    b"LOGOUT": Specification(_ANY, no_arguments, "RFC 9051 6.1.3"),
    b"ID": Specification(_ANY, connection.client_id, "RFC 2971 3.1"),
    b"STARTTLS": Specification(_BEFORE, no_arguments, "RFC 9051 6.2.1"),
    b"AUTHENTICATE": Specification(_BEFORE, connection.authenticate, "RFC 9051 6.2.2"),
    b"LOGIN": Specification(_BEFORE, connection.login, "RFC 9051 6.2.3"),
    b"ENABLE": Specification(_AFTER, connection.enable, "RFC 5161 3.1"),
    b"SELECT": Specification(_AFTER, folders.select, "RFC 9051 6.3.2"),
    b"EXAMINE": Specification(_AFTER, folders.select, "RFC 9051 6.3.3"),
    b"CREATE": Specification(_AFTER, folders.one_mailbox, "RFC 9051 6.3.4"),
    b"DELETE": Specification(_AFTER, folders.one_mailbox, "RFC 9051 6.3.5"),
    b"RENAME": Specification(_AFTER, folders.rename, "RFC 9051 6.3.6"),
    b"SUBSCRIBE": Specification(_AFTER, folders.one_mailbox, "RFC 9051 6.3.7"),
    b"UNSUBSCRIBE": Specification(_AFTER, folders.one_mailbox, "RFC 9051 6.3.8"),
    b"LIST": Specification(_AFTER, folders.list_, "RFC 5258 3"),
    b"LSUB": Specification(_AFTER, folders.lsub, "RFC 3501 6.3.9"),
    b"NAMESPACE": Specification(_AFTER, no_arguments, "RFC 2342 5"),
    b"STATUS": Specification(_AFTER, folders.status, "RFC 9051 6.3.11"),
    b"APPEND": Specification(_AFTER, append.append, "RFC 9051 6.3.12"),
    b"IDLE": Specification(_AFTER, no_arguments, "RFC 2177 3"),
    b"CHECK": Specification(_SELECTED, no_arguments, "RFC 3501 6.4.1"),
    b"CLOSE": Specification(_SELECTED, no_arguments, "RFC 9051 6.4.1"),
    b"UNSELECT": Specification(_SELECTED, no_arguments, "RFC 9051 6.4.2"),
    b"EXPUNGE": Specification(_SELECTED, no_arguments, "RFC 9051 6.4.3"),
    b"UID EXPUNGE": Specification(_SELECTED, transfer.one_set, "RFC 4315 2.1"),
    b"SEARCH": Specification(_SELECTED, search.search, "RFC 9051 6.4.4", expunge_allowed=False),
    b"UID SEARCH": Specification(_SELECTED, search.search, "RFC 9051 6.4.9"),
    b"FETCH": Specification(_SELECTED, fetch.fetch, "RFC 9051 6.4.5", expunge_allowed=False),
    b"UID FETCH": Specification(_SELECTED, fetch.fetch, "RFC 9051 6.4.9"),
    b"STORE": Specification(_SELECTED, store.store, "RFC 9051 6.4.6", expunge_allowed=False),
    b"UID STORE": Specification(_SELECTED, store.store, "RFC 9051 6.4.9"),
    b"COPY": Specification(_SELECTED, transfer.transfer, "RFC 9051 6.4.7"),
    b"UID COPY": Specification(_SELECTED, transfer.transfer, "RFC 9051 6.4.9"),
    b"MOVE": Specification(_SELECTED, transfer.transfer, "RFC 6851 3.1"),
    b"UID MOVE": Specification(_SELECTED, transfer.transfer, "RFC 6851 3.2"),
}
