"""LDAP's operations as values (RFC 4511 4.2 to 4.14)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TypeAlias

import msgspec

from postern.protocols.ldap import filters
from postern.protocols.ldap.filters import Filter
from postern.protocols.ldap.results import Result


class Scope(IntEnum):
    """Which entries a search looks at."""

    BASE = 0
    ONE_LEVEL = 1
    SUBTREE = 2


class Change(IntEnum):
    """What to do with the values of a modification."""

    ADD = 0
    DELETE = 1
    REPLACE = 2


class Control(msgspec.Struct, frozen=True):
    """An extension of a request or an answer (RFC 4511 4.1.11)."""

    oid: str
    critical: bool = False
    value: bytes | None = None


class BindRequest(msgspec.Struct, frozen=True):
    """Who one is: a password (empty name and password: anonymous), or a SASL mechanism with its credentials."""

    name: str = ""
    password: bytes = b""
    mechanism: str = ""
    """Not empty: SASL."""
    credentials: bytes | None = None
    version: int = 3


class BindResponse(msgspec.Struct, frozen=True):
    """The answer, with SASL's next challenge."""

    result: Result
    credentials: bytes | None = None


class UnbindRequest(msgspec.Struct, frozen=True):
    """The end of the connection; it has no answer."""


class SearchRequest(msgspec.Struct, frozen=True):
    """What to look for. Limits of 0 are the server's own."""

    base: str = ""
    scope: Scope = Scope.SUBTREE
    filter: Filter = filters.Present("objectClass")
    attributes: tuple[str, ...] = ()
    """None asked for: all user attributes; `1.1`: none."""
    size_limit: int = 0
    time_limit_s: int = 0
    types_only: bool = False
    dereference: int = 0


class SearchEntry(msgspec.Struct, frozen=True):
    """One entry found; values are octets as the server has them, attribute names in its spelling."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]


class SearchReference(msgspec.Struct, frozen=True):
    """Where else to look."""

    uris: tuple[str, ...]


class SearchDone(msgspec.Struct, frozen=True):
    """The end of a search."""

    result: Result


class ModifyRequest(msgspec.Struct, frozen=True):
    """Changes of one entry, all or none."""

    dn: str
    changes: tuple[tuple[Change, str, tuple[bytes, ...]], ...]


class AddRequest(msgspec.Struct, frozen=True):
    """A new entry."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]


class DeleteRequest(msgspec.Struct, frozen=True):
    """The end of an entry."""

    dn: str


class Done(msgspec.Struct, frozen=True):
    """The answer to modify, add or delete, told by `tag`."""

    tag: int
    result: Result


class AbandonRequest(msgspec.Struct, frozen=True):
    """No more answers to a request are wanted; it has no answer itself."""

    message_id: int


class ExtendedRequest(msgspec.Struct, frozen=True):
    """An operation named by an object identifier, STARTTLS among them."""

    oid: str
    value: bytes | None = None


class ExtendedResponse(msgspec.Struct, frozen=True):
    """The answer; with message id 0 a notice, such as the one of disconnection (RFC 4511 4.4.1)."""

    result: Result
    oid: str = ""
    value: bytes | None = None


class Unknown(msgspec.Struct, frozen=True):
    """An operation that is not modelled."""

    tag: int
    content: bytes


Operation: TypeAlias = (
    BindRequest | BindResponse | UnbindRequest | SearchRequest | SearchEntry | SearchReference | SearchDone
    | ModifyRequest | AddRequest | DeleteRequest | Done | AbandonRequest | ExtendedRequest | ExtendedResponse | Unknown
)  # fmt: skip

MODIFY_RESPONSE, ADD_RESPONSE, DELETE_RESPONSE = 0x67, 0x69, 0x6B


class Message(msgspec.Struct, frozen=True):
    """One message."""

    id: int
    operation: Operation
    controls: tuple[Control, ...] = ()
