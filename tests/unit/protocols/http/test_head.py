"""Heads of answers and requests."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.model.refusal import ProtocolViolation
from postern.protocols.http.head import HEAD_LIMIT_BYTES, parse, request
from postern.protocols.sip import options

WIRE = (
    b"HTTP/1.1 401 Unauthorized\r\nServer: Microsoft-IIS/10.0\r\n"
    b'WWW-Authenticate: Negotiate, NTLM, Basic realm="a, Bearer", charset="UTF-8"\r\n'
    b"www-authenticate: negotiate\r\n\r\nbody"
)


@given(st.integers(0, len(WIRE)))
def test_a_head_is_there_when_its_end_is(cut):
    head = parse(WIRE[:cut])
    assert (head is None) == (cut < WIRE.index(b"\r\n\r\n") + 4)
    if head:
        assert head.status == 401
        assert head.get("server") == "Microsoft-IIS/10.0"
        assert head.schemes == ("Negotiate", "NTLM", "Basic")


@pytest.mark.parametrize(
    "wire",
    [
        b"220 mail ESMTP\r\n", b"HTTP/1.1 9999 x\r\n\r\n", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 201 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * HEAD_LIMIT_BYTES,
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * HEAD_LIMIT_BYTES + b"\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_answer(wire):
    with pytest.raises(ProtocolViolation):
        parse(wire)


@given(st.binary(max_size=100))
def test_any_octets(data):
    for wire in (data, b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n"):
        with contextlib.suppress(ProtocolViolation):
            head = parse(wire)
            if head:
                assert isinstance(head.schemes, tuple)


def test_header_injection_a_request_cannot_be_split():
    assert request("GET", "/x", "mail") == b"GET /x HTTP/1.1\r\nHost: mail\r\nConnection: close\r\n\r\n"
    for target, host in (
        ("/x\r\nEvil: 1", "mail"),
        ("/x", "mail\r\n\r\nGET /"),
        ("/x HTTP/1.1", "mail"),
        ("/\u0430", "mail"),
    ):
        with pytest.raises(ValueError):
            request("GET", target, host)


def test_sip_options():
    wire = options.request("192.0.2.1", "192.0.2.9:5060", "UDP", "abcdef012345").decode()
    assert wire.startswith(
        "OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKabcdef012345;rport\r\n"
    )
    assert wire.endswith("Content-Length: 0\r\n\r\n")
    assert "sips:[::1]" in options.request("::1", "[::1]:9", "TLS", "abc").decode()
    provisional = b"SIP/2.0 100 Trying\r\nContent-Length: 4\r\n\r\nbody"
    foreign = b"SIP/2.0 200 OK\r\nCall-ID: other@x\r\n\r\n"
    final = b"SIP/2.0 200 OK\r\nCall-ID: abcdef@postern-check\r\nAllow: INVITE, ACK\r\nAllow: bye\r\n\r\n"
    head = options.answer(provisional + foreign + final, "abcdef")
    assert options.methods(head) == ("INVITE", "ACK", "BYE")
    assert options.answer(provisional + final[:-1], "abcdef") is None
    with pytest.raises(ProtocolViolation):
        options.answer(b"HTTP/2 200\r\n\r\n", "abcdef")
