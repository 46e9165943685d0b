"""The endpoint mapper's list of interfaces (C706 Appendix O, ept_lookup; MS-RPCE 2.2.1.2.4).

`lookup` is a generator in the manner of the other client sessions: it yields what to send and is sent the next chunk
that was read; its value is the list.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import NamedTuple
from uuid import UUID

from postern.model.refusal import ProtocolViolation
from postern.protocols.rpc import pdu

INTERFACE = UUID("e1af8308-5d1f-11c9-91a4-08002b14a0fa")
VERSION = 3
LOOKUP = 2
PAGE = 250
"""Entries asked for at a time."""
PAGES_LIMIT = 40
FRAGMENTS_LIMIT = 256
"""Of one page; each has up to 64 KiB, so that a page has 16 MiB at most."""
_END = 0x16C9A0D6
"""ept_s_not_registered: there are no more."""
_PROTOCOLS = {0x07: "tcp", 0x08: "udp", 0x1F: "http"}
_PIPES = {0x0F: "pipe", 0x10: "local"}

NAMES: dict[str, str] = {
    "a4f1db00-ca47-1067-b31f-00dd010662da": "EMSMDB (mailbox)",
    "5261574a-4572-206e-b268-6b199213b4e4": "AsyncEMSMDB (notifications)",
    "f5cc5a18-4264-101a-8c59-08002b2f8426": "NSPI (address book)",
    "1544f5e0-613c-11d1-93df-00c04fd7bd09": "RFR (referral)",
    "e3514235-4b06-11d1-ab04-00c04fc2dcd2": "DRSUAPI (directory replication)",
    "12345678-1234-abcd-ef00-01234567cffb": "Netlogon",
    "12345778-1234-abcd-ef00-0123456789ab": "LSA",
    "12345778-1234-abcd-ef00-0123456789ac": "SAMR",
    "99fcfec4-5260-101b-bbcb-00aa0021347a": "OXID resolver",
    "e1af8308-5d1f-11c9-91a4-08002b14a0fa": "Endpoint mapper",
    "50abc2a4-574d-40b3-9d66-ee4fd5fba076": "DNS server",
    "894de0c0-0d55-11d3-a322-00c04fa321a1": "Shutdown",
    "367abb81-9844-35f1-ad32-98f038001003": "Service control",
}
"""Interfaces an Exchange administrator asks about (MS-OXCRPC 1.9, MS-OXNSPI 1.9, MS-OXABREF 1.9, MS-DRSR 1.9)."""


class Endpoint(NamedTuple):
    """One interface and where it is reached."""

    interface: str
    """UUID, small letters."""
    version: str
    transport: str
    """tcp, udp, http, pipe or local; empty for others."""
    port: int
    """0 without one."""
    annotation: str

    @property
    def name(self) -> str:
        """Known name, the server's own words, or the UUID."""
        return NAMES.get(self.interface) or self.annotation or self.interface


def lookup() -> Generator[bytes, bytes, list[Endpoint]]:
    """Bind and ask for everything. Raises ProtocolViolation for what is no such service."""
    buffer = bytearray()
    pdu.check_bound((yield from _unit(buffer, pdu.bind(INTERFACE, VERSION, 1))))
    handle = bytes(20)
    found: list[Endpoint] = []
    for page in range(PAGES_LIMIT):
        call = page + 2
        arguments = struct.pack("<IIII", 0, 0, 0, 1) + handle + struct.pack("<I", PAGE)
        fragment = yield from _unit(buffer, pdu.request(LOOKUP, arguments, call))
        stubs = [pdu.stub_of(fragment)]
        while not fragment.last:
            if len(stubs) >= FRAGMENTS_LIMIT:
                raise ProtocolViolation("the list of interfaces has no end")
            fragment = yield from _unit(buffer, b"")
            stubs.append(pdu.stub_of(fragment))
        handle, entries = decode(b"".join(stubs))
        found += entries
        if not entries or not any(handle):
            break
    return found


def _unit(buffer: bytearray, data: bytes) -> Generator[bytes, bytes, pdu.Fragment]:
    if data:
        buffer += yield data
    while (fragment := pdu.take(buffer)) is None:
        buffer += yield b""
    return fragment


def decode(stub: bytes) -> tuple[bytes, list[Endpoint]]:
    """Results of ept_lookup: the handle to go on with, and the entries. Raises ProtocolViolation."""
    try:
        return _decode(stub)
    except (struct.error, ValueError) as error:
        raise ProtocolViolation("a list of interfaces is malformed") from error


def _decode(stub: bytes) -> tuple[bytes, list[Endpoint]]:
    handle = stub[:20]
    (status,) = struct.unpack_from("<I", stub, len(stub) - 4)
    if status not in {0, _END}:
        raise ProtocolViolation(f"the endpoint mapper answers {status:#010x}")
    _, maximum, _, count = struct.unpack_from("<IIII", stub, 20)
    if count > min(maximum, PAGE):
        raise ProtocolViolation("more interfaces than were asked for")
    place = 36
    annotations: list[tuple[bool, str]] = []
    for _ in range(count):
        referent, _, length = struct.unpack_from("<16xIII", stub, place)
        if length > 64:
            raise ProtocolViolation("an annotation is too long")
        place += 28
        annotations.append((bool(referent), stub[place : place + length].rstrip(b"\0").decode("utf-8", "replace")))
        place += length + -length % 4
    found = []
    for there, annotation in annotations:
        if not there:
            continue
        _, size = struct.unpack_from("<II", stub, place)
        place += 8
        if size > len(stub) - place:
            raise ProtocolViolation("a tower is longer than what holds it")
        found.append(_tower(stub[place : place + size], annotation))
        place += size + -size % 4
    return handle, found


def _tower(tower: bytes, annotation: str) -> Endpoint:
    """Protocol tower (C706 Appendix L): interface in its first floor, address in those from the fourth on."""
    (count,) = struct.unpack_from("<H", tower)
    place, floors = 2, []
    for _ in range(min(count, 8)):
        (left,) = struct.unpack_from("<H", tower, place)
        lhs = tower[place + 2 : place + 2 + left]
        place += 2 + left
        (right,) = struct.unpack_from("<H", tower, place)
        floors.append((lhs, tower[place + 2 : place + 2 + right]))
        place += 2 + right
    if not floors or len(floors[0][0]) != 19:
        raise ValueError("tower")
    lhs, rhs = floors[0]
    (major,) = struct.unpack_from("<H", lhs, 17)
    minor = int.from_bytes(rhs[:2], "little")
    transport, port = "", 0
    for left_side, right_side in floors[3:]:
        kind = left_side[0] if left_side else 0
        if kind in _PROTOCOLS and len(right_side) == 2:
            transport, port = _PROTOCOLS[kind], int.from_bytes(right_side, "big")
        elif kind in _PIPES and not transport:
            transport = _PIPES[kind]
    return Endpoint(str(UUID(bytes_le=lhs[1:17])), f"{major}.{minor}", transport, port, annotation)
