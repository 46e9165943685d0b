"""Whatever calls itself a Kerberos token. Real ones: tests/interop/kerberos."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.formats import apreq, ber
from postern.model.refusal import ProtocolViolation

KRB5 = ber.object_identifier("1.2.840.113554.1.2.2")


def field(number, content):
    return ber.element(0xA0 | number, content)


def token(*parts, before=b"\1\0"):
    names = ber.sequence(*(ber.text(part, ber.GENERAL_STRING) for part in parts))
    principal = ber.sequence(field(0, ber.integer(2)), field(1, names))
    ticket = ber.element(
        0x61, ber.sequence(field(0, ber.integer(5)), field(1, ber.text("R", ber.GENERAL_STRING)), field(2, principal))
    )
    request = ber.element(0x6E, ber.sequence(field(0, ber.integer(5)), field(1, ber.integer(14)), field(3, ticket)))
    return ber.element(0x60, KRB5 + before + request)


def test_service_of_a_ticket():
    assert apreq.service(token("imap", "mail.example.org")) == "imap/mail.example.org"


@pytest.mark.parametrize("broken", [token("imap", before=b"\2\0"), token("imap")[:40], b"", KRB5, b"\x60\x00"])
def test_what_is_no_ticket(broken):
    with pytest.raises(ProtocolViolation):
        apreq.service(broken)


@given(st.binary(max_size=200), st.integers(0, 90), st.integers(0, 255))
def test_noise_is_a_violation(noise, at, value):
    damaged = bytearray(token("imap", "mail.example.org"))
    damaged[at % len(damaged)] = value
    for data in (noise, b"\x60" + noise, bytes(damaged)):
        try:
            apreq.service(data)
        except ProtocolViolation:
            continue
