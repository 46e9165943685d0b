"""AS-REQ and what comes back."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.der import decoder, encoder

from postern.formats import ber
from postern.formats.ber import Reader
from postern.model.refusal import ProtocolViolation
from postern.protocols.kerberos import asking

TILL = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def error(code, realm="EXAMPLE.ORG", clock="20300102030405Z"):
    def field(number, content):
        return ber.element(0xA0 | number, content)

    return ber.element(
        0x7E,
        ber.sequence(
            field(0, ber.integer(5)), field(1, ber.integer(30)), field(4, ber.text(clock, ber.GENERALIZED_TIME)),
            field(5, ber.integer(1)), field(6, ber.integer(code)), field(9, ber.text(realm, ber.GENERAL_STRING)),
            field(10, ber.sequence()), field(11, ber.text("no", ber.GENERAL_STRING)),
        ),
    )  # fmt: skip


def test_a_request_is_der_and_says_what_was_asked():
    wire = asking.request("EXAMPLE.ORG", "probe", 12345, TILL)
    decoded, rest = decoder.decode(wire)
    assert not rest
    assert encoder.encode(decoded) == wire
    outer = Reader(wire).enter(0x6A).enter()
    assert outer.enter(0xA1).integer() == 5
    assert outer.enter(0xA2).integer() == 10
    body = outer.enter(0xA4).enter()
    body.skip()
    body.skip()
    assert body.enter(0xA2).text(ber.GENERAL_STRING) == "EXAMPLE.ORG"


def test_errors_tell_realm_and_clock():
    answer = asking.answer(error(25))
    assert (answer.realm, answer.name, answer.clock) == ("EXAMPLE.ORG", "KDC_ERR_PREAUTH_REQUIRED", TILL)
    assert asking.answer(error(68)).wrong_realm
    assert asking.answer(error(4711)).name == "4711"


def test_frames_of_tcp():
    wire = asking.framed(error(6))
    assert asking.unframed(wire[:3]) is None
    assert asking.unframed(wire[:-1]) is None
    assert asking.unframed(wire) == error(6)
    for size in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"HTTP"):
        with pytest.raises(ProtocolViolation):
            asking.unframed(size)


@pytest.mark.parametrize(
    "wire", [b"", b"\x30\x00", b"\x7e\x02\x30\x00", error(6, clock="2030"), error(6, clock="20301399000000Z")]
)
def test_broken_answers(wire):
    with pytest.raises(ProtocolViolation):
        asking.answer(wire)


@given(st.binary(max_size=60))
def test_any_octets(data):
    for wire in (data, ber.element(0x7E, ber.sequence(data))):
        with contextlib.suppress(ProtocolViolation):
            asking.answer(wire)


@given(st.integers(0, 200))
def test_a_truncated_error(cut):
    wire = error(6)
    if cut < len(wire):
        with pytest.raises(ProtocolViolation):
            asking.answer(wire[:cut])
