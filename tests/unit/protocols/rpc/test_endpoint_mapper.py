"""The endpoint mapper's list, from units made by hand; a real one is asked in tests/interop/check."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.model.refusal import ProtocolViolation
from postern.protocols.rpc import endpoint_mapper, pdu
from postern.protocols.rpc.endpoint_mapper import Endpoint

NSPI = "f5cc5a18-4264-101a-8c59-08002b2f8426"


def tower(port):
    from uuid import UUID

    floors = [
        (b"\x0d" + UUID(NSPI).bytes_le + struct.pack("<H", 56), b"\0\0"),
        (b"\x0d" + pdu.NDR.bytes_le + struct.pack("<H", 2), b"\0\0"),
        (b"\x0b", b"\0\0"),
        (b"\x07", port.to_bytes(2, "big")),
        (b"\x09", bytes(4)),
    ]
    parts = (struct.pack("<H", len(a)) + a + struct.pack("<H", len(b)) + b for a, b in floors)
    return struct.pack("<H", len(floors)) + b"".join(parts)


def stub(ports, handle=bytes(20), status=0, annotation=b"Exchange NSPI\0"):
    out = handle + struct.pack("<IIII", len(ports), endpoint_mapper.PAGE, 0, len(ports))
    for index, _ in enumerate(ports):
        out += (
            bytes(16) + struct.pack("<III", index + 1, 0, len(annotation)) + annotation + b"\0" * (-len(annotation) % 4)
        )
    for port in ports:
        data = tower(port)
        out += struct.pack("<II", len(data), len(data)) + data + b"\0" * (-len(data) % 4)
    return out + struct.pack("<I", status)


def unit(kind, call, body, flags=3):
    return struct.pack("<BBBBIHHI", 5, 0, kind, flags, 0x10, 16 + len(body), 0, call) + body


ACK = unit(pdu.BIND_ACK, 1, struct.pack("<HHI", 5840, 5840, 7) + b"\x04\x00135\0" + b"\0\0" + b"\x01\0\0\0" + bytes(24))


def response(content, flags=3):
    return unit(pdu.RESPONSE, 2, struct.pack("<IHH", len(content), 0, 0) + content, flags)


def drive(*answers, step=1000000):
    """Each request gets the next answer, in pieces."""
    operation = endpoint_mapper.lookup()
    waiting, pending, sent, data = list(answers), b"", [], next(operation)
    with pytest.raises(StopIteration) as stop:
        while True:
            if data:
                sent.append(data)
                pending += waiting.pop(0)
            assert pending, "it wants more"
            data = operation.send(pending[:step])
            pending = pending[step:]
    return stop.value.value, sent


@given(st.integers(1, 700))
def test_the_list_however_it_comes(step):
    whole = stub([6001, 6002])
    found, sent = drive(ACK, response(whole[:50], 1) + response(whole[50:], 2), step=step)
    assert found == [Endpoint(NSPI, "56.0", "tcp", port, "Exchange NSPI") for port in (6001, 6002)]
    assert found[0].name == "NSPI (address book)"
    assert sent[0][2] == pdu.BIND
    assert endpoint_mapper.INTERFACE.bytes_le in sent[0]


def test_pages_until_the_handle_is_empty():
    found, sent = drive(ACK, response(stub([1], handle=b"h" * 20)), response(stub([2])))
    assert [one.port for one in found] == [1, 2]
    assert b"h" * 20 in sent[2]
    found, _ = drive(ACK, response(stub([1], handle=b"h" * 20)), response(stub([], status=0x16C9A0D6)))
    assert len(found) == 1


@pytest.mark.parametrize(
    "wire",
    [
        b"220 mail ESMTP\r\n",
        unit(pdu.BIND_NAK, 1, b"\0\0\0\0"),
        unit(pdu.BIND_ACK, 1, b"\0\0"),
        ACK[:-24 - 4] + b"\x01\0\0\0\x02\0" + bytes(22),
        ACK + unit(pdu.FAULT, 2, bytes(8) + struct.pack("<I", 5) + bytes(4)),
        ACK + response(b""),
        ACK + response(stub([1])[:70]),
        ACK + response(stub([1], annotation=b"x" * 68)),
        ACK + response(bytes(20) + struct.pack("<IIII", 9, 0xFFFFFFFF, 0, 0xFFFFFFFF) + bytes(4)),
        ACK + response(stub([1], status=5)),
    ],
)  # fmt: skip
def test_what_is_no_endpoint_mapper(wire):
    operation = endpoint_mapper.lookup()
    next(operation)
    with pytest.raises(ProtocolViolation):
        assert operation.send(wire[: len(ACK)])
        operation.send(wire[len(ACK) :])


@given(st.binary(max_size=200))
def test_any_octets(data):
    for content in (data, stub([1, 2])[: len(data)] + data):
        with contextlib.suppress(ProtocolViolation):
            endpoint_mapper.decode(content)
    buffer = bytearray(data)
    with contextlib.suppress(ProtocolViolation):
        while pdu.take(buffer) is not None:
            pass
