"""Protocol data units of connection-oriented RPC (C706 12.6): bind, request, and their answers."""

from __future__ import annotations

import struct
from typing import NamedTuple
from uuid import UUID

from postern.model.refusal import ProtocolViolation

NDR = UUID("8a885d04-1ceb-11c9-9fe8-08002b104860")
"""Transfer syntax, version 2 (C706 14)."""
HEADER_BYTES = 16
FRAGMENT_BYTES = 5840
"""What we offer to take in one fragment, as Windows does."""
REQUEST, RESPONSE, FAULT, BIND, BIND_ACK, BIND_NAK = 0, 2, 3, 11, 12, 13
_FIRST, _LAST = 1, 2
_HEADER = struct.Struct("<BBBBIHHI")
_LITTLE_ENDIAN = 0x00000010


class Fragment(NamedTuple):
    """One unit as it came."""

    kind: int
    last: bool
    call: int
    body: bytes


def bind(interface: UUID, version: int, call: int) -> bytes:
    """Ask for an interface in context 0."""
    body = struct.pack("<HHIBxxx", FRAGMENT_BYTES, FRAGMENT_BYTES, 0, 1)
    body += struct.pack("<HBx", 0, 1) + interface.bytes_le + struct.pack("<I", version)
    body += NDR.bytes_le + struct.pack("<I", 2)
    return _unit(BIND, call, body)


def request(number: int, stub: bytes, call: int) -> bytes:
    """Call an operation of context 0; its arguments fit one fragment."""
    return _unit(REQUEST, call, struct.pack("<IHH", len(stub), 0, number) + stub)


def _unit(kind: int, call: int, body: bytes) -> bytes:
    return _HEADER.pack(5, 0, kind, _FIRST | _LAST, _LITTLE_ENDIAN, HEADER_BYTES + len(body), 0, call) + body


def take(buffer: bytearray) -> Fragment | None:
    """The first whole unit of a buffer, taken out of it; None if more is to come. Raises ProtocolViolation."""
    if buffer and buffer[0] != 5:
        raise ProtocolViolation("server does not speak RPC")
    if len(buffer) < HEADER_BYTES:
        return None
    _, minor, kind, flags, representation, size, authentication, call = _HEADER.unpack_from(buffer)
    if minor > 1 or representation & 0xFF != _LITTLE_ENDIAN or authentication or size < HEADER_BYTES:
        raise ProtocolViolation("server does not speak RPC")
    if len(buffer) < size:
        return None
    body = bytes(buffer[HEADER_BYTES:size])
    del buffer[:size]
    return Fragment(kind, bool(flags & _LAST), call, body)


def check_bound(fragment: Fragment) -> None:
    """Raise ProtocolViolation unless the interface was given."""
    if fragment.kind != BIND_ACK:
        raise ProtocolViolation(f"no answer to bind: unit of kind {fragment.kind}")
    try:
        (length,) = struct.unpack_from("<H", fragment.body, 8)
        place = 10 + length
        place += -(HEADER_BYTES + place) % 4
        count, result = struct.unpack_from("<Bxxx H", fragment.body, place)
    except struct.error as error:
        raise ProtocolViolation("an answer to bind is cut short") from error
    if count < 1 or result != 0:
        raise ProtocolViolation("the server refuses the interface")


def stub_of(fragment: Fragment) -> bytes:
    """The results that a fragment of a response carries. Raises ProtocolViolation, also for a fault."""
    if fragment.kind == FAULT and len(fragment.body) >= 12:
        (status,) = struct.unpack_from("<I", fragment.body, 8)
        raise ProtocolViolation(f"the server answers with fault {status:#010x}")
    if fragment.kind != RESPONSE or len(fragment.body) < 8:
        raise ProtocolViolation(f"no response: unit of kind {fragment.kind}")
    return fragment.body[8:]
