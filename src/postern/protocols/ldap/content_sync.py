"""Content synchronisation (RFC 4533): its controls and the messages between entries."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from uuid import UUID

import msgspec

from postern.formats import ber
from postern.formats.ber import Reader
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap.operations import Control, Operation, Unknown

SYNC_REQUEST = "1.3.6.1.4.1.4203.1.9.1.1"
SYNC_STATE = "1.3.6.1.4.1.4203.1.9.1.2"
SYNC_DONE = "1.3.6.1.4.1.4203.1.9.1.3"
SYNC_INFO = "1.3.6.1.4.1.4203.1.9.1.4"
REFRESH_REQUIRED = 4096
"""Result code e-syncRefreshRequired: the cookie is of no more use, begin anew."""

_REFRESH_ONLY = 1
_INTERMEDIATE = 0x79
_NAME, _VALUE = 0x80, 0x81
_NEW_COOKIE, _REFRESH_DELETE, _REFRESH_PRESENT, _ID_SET = 0x80, 0xA1, 0xA2, 0xA3


class State(IntEnum):
    """What an entry in an answer is (2.2)."""

    PRESENT = 0
    ADD = 1
    MODIFY = 2
    DELETE = 3


class EntryState(msgspec.Struct, frozen=True):
    """The Sync State control of an entry."""

    state: State
    uuid: str


class End(msgspec.Struct, frozen=True):
    """The Sync Done control: where to go on the next time."""

    cookie: bytes = b""
    deletes: bool = False
    """What is gone was named; if not, whatever was not mentioned is gone."""


class Info(msgspec.Struct, frozen=True):
    """A Sync Info message."""

    cookie: bytes | None = None
    uuids: tuple[str, ...] = ()
    deleted: bool = False
    """The UUIDs are of entries that are gone; if not, of entries that are as they were."""
    phase: str = ""
    """`delete` or `present` when such a phase has ended."""


def refresh(cookie: bytes = b"") -> Control:
    """Ask for what has changed since a cookie (none: for everything), and no more."""
    parts = [ber.integer(_REFRESH_ONLY, ber.ENUMERATED)]
    if cookie:
        parts.append(ber.octets(cookie))
    return Control(SYNC_REQUEST, True, ber.sequence(*parts))


def entry_state(controls: Sequence[Control]) -> EntryState:
    """What an entry is. Raises ProtocolViolation, also where the control is missing."""
    inner = Reader(_value(controls, SYNC_STATE)).enter()
    state = inner.integer(ber.ENUMERATED)
    if not 0 <= state <= 3:
        raise ProtocolViolation(f"sync state {state}")
    return EntryState(State(state), _uuid(inner.octets()))


def end(controls: Sequence[Control]) -> End:
    """How a refresh ended. Raises ProtocolViolation."""
    inner = Reader(_value(controls, SYNC_DONE)).enter()
    cookie = inner.optional(ber.OCTET_STRING, Reader.octets) or b""
    return End(cookie, bool(inner.optional(ber.BOOLEAN, Reader.boolean)))


def info(operation: Operation) -> Info | None:
    """A Sync Info message; None if an operation is something else. Raises ProtocolViolation."""
    if not isinstance(operation, Unknown) or operation.tag != _INTERMEDIATE:
        return None
    reader = Reader(operation.content)
    if reader.peek() != _NAME or reader.text(_NAME) != SYNC_INFO:
        return None
    value = Reader(reader.octets(_VALUE))
    tag = value.peek()
    if tag == _NEW_COOKIE:
        return Info(value.octets(_NEW_COOKIE))
    if tag not in {_REFRESH_DELETE, _REFRESH_PRESENT, _ID_SET}:
        raise ProtocolViolation("a sync info message of an unknown kind")
    inner = value.enter(tag)
    cookie = inner.optional(ber.OCTET_STRING, Reader.octets)
    if tag != _ID_SET:
        return Info(cookie, phase="delete" if tag == _REFRESH_DELETE else "present")
    deleted = bool(inner.optional(ber.BOOLEAN, Reader.boolean))
    listed, uuids = inner.enter(ber.SET), []
    while listed:
        uuids.append(_uuid(listed.octets()))
    return Info(cookie, tuple(uuids), deleted)


def _value(controls: Sequence[Control], oid: str) -> bytes:
    for control in controls:
        if control.oid == oid and control.value is not None:
            return control.value
    raise ProtocolViolation("a sync control is missing")


def _uuid(octets: bytes) -> str:
    if len(octets) != 16:
        raise ProtocolViolation("a UUID that has not 16 octets")
    return str(UUID(bytes=octets))
