"""The commands: in which states each may come, what parses it, what it needs of TLS and the capabilities."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from postern.protocols.imap.commands import (
    acl,
    append,
    connection,
    fetch,
    folders,
    metadata,
    notify,
    quota,
    search,
    sort,
    store,
    transfer,
)
from postern.protocols.imap.scanner import Scanner, no_arguments
from postern.protocols.imap.session import State

_ANY = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
_BEFORE = frozenset({State.NOT_AUTHENTICATED})
_AFTER = frozenset({State.AUTHENTICATED, State.SELECTED})
_SELECTED = frozenset({State.SELECTED})


class Tls(Enum):
    """What a command has to do with TLS. Whether somebody has to be signed in, the states say."""

    ANY = "any"
    BEFORE = "before"
    """Only while the connection is in clear text."""
    PASSWORD = "password"  # noqa: S105 - what it is about
    """With a password only under TLS, unless the settings allow clear text."""


class Specification(NamedTuple):
    """One row."""

    states: frozenset[State]
    parse: Callable[[Scanner], Any]
    reference: str
    capability: bytes = b""
    """The command is there while this is offered; empty: always."""
    expunge_allowed: bool = True
    """Whether EXPUNGE responses may come before its tagged one (RFC 9051 7.5.1)."""
    numbers: bool = False
    """It addresses messages by sequence number: refused after ENABLE UIDONLY (RFC 9586 3)."""
    tls: Tls = Tls.ANY


def _messages(parse: Callable[[Scanner], Any], reference: str, capability: bytes = b"") -> Specification:
    """A command on message numbers, during which none may change."""
    return Specification(_SELECTED, parse, reference, capability, expunge_allowed=False, numbers=True)


COMMANDS: dict[bytes, Specification] = {
    b"CAPABILITY": Specification(_ANY, no_arguments, "RFC 9051 6.1.1"),
    b"NOOP": Specification(_ANY, no_arguments, "RFC 9051 6.1.2"),
    b"LOGOUT": Specification(_ANY, no_arguments, "RFC 9051 6.1.3"),
    b"ID": Specification(_ANY, connection.client_id, "RFC 2971 3.1", b"ID"),
    b"STARTTLS": Specification(_BEFORE, no_arguments, "RFC 9051 6.2.1", tls=Tls.BEFORE),
    b"AUTHENTICATE": Specification(_BEFORE, connection.authenticate, "RFC 9051 6.2.2", tls=Tls.PASSWORD),
    b"LOGIN": Specification(_BEFORE, connection.login, "RFC 9051 6.2.3", tls=Tls.PASSWORD),
    b"UNAUTHENTICATE": Specification(_AFTER, no_arguments, "RFC 8437 2", b"UNAUTHENTICATE"),
    b"COMPRESS": Specification(_AFTER, connection.compress, "RFC 4978 3", b"COMPRESS=DEFLATE"),
    b"ENABLE": Specification(_AFTER, connection.enable, "RFC 5161 3.1", b"ENABLE"),
    b"SELECT": Specification(_AFTER, folders.select, "RFC 9051 6.3.2"),
    b"EXAMINE": Specification(_AFTER, folders.select, "RFC 9051 6.3.3"),
    b"CREATE": Specification(_AFTER, folders.create, "RFC 9051 6.3.4"),
    b"DELETE": Specification(_AFTER, folders.one_mailbox, "RFC 9051 6.3.5"),
    b"RENAME": Specification(_AFTER, folders.rename, "RFC 9051 6.3.6"),
    b"SUBSCRIBE": Specification(_AFTER, folders.one_mailbox, "RFC 9051 6.3.7"),
    b"UNSUBSCRIBE": Specification(_AFTER, folders.one_mailbox, "RFC 9051 6.3.8"),
    b"LIST": Specification(_AFTER, folders.list_, "RFC 5258 3"),
    b"LSUB": Specification(_AFTER, folders.lsub, "RFC 3501 6.3.9"),
    b"NAMESPACE": Specification(_AFTER, no_arguments, "RFC 2342 5", b"NAMESPACE"),
    b"STATUS": Specification(_AFTER, folders.status, "RFC 9051 6.3.11"),
    b"APPEND": Specification(_AFTER, append.append, "RFC 9051 6.3.12"),
    b"IDLE": Specification(_AFTER, no_arguments, "RFC 2177 3", b"IDLE"),
    b"NOTIFY": Specification(_AFTER, notify.notify, "RFC 5465 3.1", b"NOTIFY"),
    b"ESEARCH": Specification(_AFTER, search.esearch, "RFC 7377 2.1", b"MULTISEARCH"),
    b"GETQUOTA": Specification(_AFTER, quota.quota_root, "RFC 9208 4.1.1", b"QUOTA"),
    b"GETQUOTAROOT": Specification(_AFTER, folders.one_mailbox, "RFC 9208 4.1.2", b"QUOTA"),
    b"SETQUOTA": Specification(_AFTER, quota.set_quota, "RFC 9208 4.1.3", b"QUOTA"),
    b"GETACL": Specification(_AFTER, folders.one_mailbox, "RFC 4314 3.3", b"ACL"),
    b"SETACL": Specification(_AFTER, acl.set_acl, "RFC 4314 3.1", b"ACL"),
    b"DELETEACL": Specification(_AFTER, acl.entry, "RFC 4314 3.2", b"ACL"),
    b"LISTRIGHTS": Specification(_AFTER, acl.entry, "RFC 4314 3.4", b"ACL"),
    b"MYRIGHTS": Specification(_AFTER, folders.one_mailbox, "RFC 4314 3.5", b"ACL"),
    b"GETMETADATA": Specification(_AFTER, metadata.get_metadata, "RFC 5464 4.2", b"METADATA"),
    b"SETMETADATA": Specification(_AFTER, metadata.set_metadata, "RFC 5464 4.3", b"METADATA"),
    b"CHECK": Specification(_SELECTED, no_arguments, "RFC 3501 6.4.1"),
    b"CLOSE": Specification(_SELECTED, no_arguments, "RFC 9051 6.4.1"),
    b"UNSELECT": Specification(_SELECTED, no_arguments, "RFC 9051 6.4.2", b"UNSELECT"),
    b"EXPUNGE": Specification(_SELECTED, no_arguments, "RFC 9051 6.4.3"),
    b"UID EXPUNGE": Specification(_SELECTED, transfer.one_set, "RFC 4315 2.1", b"UIDPLUS"),
    b"CANCELUPDATE": Specification(_SELECTED, connection.tags, "RFC 5267 4.3.1", b"CONTEXT=SEARCH"),
    b"SEARCH": _messages(search.search, "RFC 9051 6.4.4"),
    b"UID SEARCH": Specification(_SELECTED, search.search, "RFC 9051 6.4.9"),
    b"SORT": _messages(sort.sort, "RFC 5256 3", b"SORT"),
    b"UID SORT": Specification(_SELECTED, sort.sort, "RFC 5256 3", b"SORT"),
    b"THREAD": _messages(sort.thread, "RFC 5256 3", b"THREAD=REFERENCES"),
    b"UID THREAD": Specification(_SELECTED, sort.thread, "RFC 5256 3", b"THREAD=REFERENCES"),
    b"FETCH": _messages(fetch.fetch, "RFC 9051 6.4.5"),
    b"UID FETCH": Specification(_SELECTED, fetch.fetch, "RFC 9051 6.4.9"),
    b"STORE": _messages(store.store, "RFC 9051 6.4.6"),
    b"UID STORE": Specification(_SELECTED, store.store, "RFC 9051 6.4.9"),
    b"COPY": Specification(_SELECTED, transfer.transfer, "RFC 9051 6.4.7", numbers=True),
    b"UID COPY": Specification(_SELECTED, transfer.transfer, "RFC 9051 6.4.9"),
    b"MOVE": Specification(_SELECTED, transfer.transfer, "RFC 6851 3.1", b"MOVE", numbers=True),
    b"UID MOVE": Specification(_SELECTED, transfer.transfer, "RFC 6851 3.2", b"MOVE"),
    b"REPLACE": Specification(_SELECTED, append.replace, "RFC 8508 3.2", b"REPLACE", numbers=True),
    b"UID REPLACE": Specification(_SELECTED, append.replace, "RFC 8508 3.3", b"REPLACE"),
}
