"""SPNEGO tokens (RFC 4178, MS-SPNG): which mechanism shall be spoken, and its tokens inside."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from postern.formats import ber
from postern.formats.ber import Reader
from postern.model.refusal import ProtocolViolation

SPNEGO = "1.3.6.1.5.5.2"
KERBEROS = "1.2.840.113554.1.2.2"
KERBEROS_MICROSOFT = "1.2.840.48018.1.2.2"
"""Kerberos with a bit lost, since Windows 2000; the same mechanism."""
NTLM = "1.3.6.1.4.1.311.2.2.10"

TOKEN_LIMIT_BYTES = 131072
"""Longest token taken: a Kerberos ticket of somebody in a thousand groups has 48 KiB."""
MAX_MECHANISMS = 32

_INITIAL = 0x60
_INIT, _RESPONSE = 0xA0, 0xA1


class State(IntEnum):
    """NegState."""

    ACCEPT_COMPLETED = 0
    ACCEPT_INCOMPLETE = 1
    REJECT = 2
    REQUEST_MIC = 3


class Init(msgspec.Struct, frozen=True):
    """NegTokenInit, the client's first token."""

    mechanisms: tuple[str, ...]
    """Object identifiers, the preferred one first."""
    listed: bytes
    """MechTypeList as it was encoded: what a MIC is over."""
    token: bytes = b""
    """The preferred mechanism's first token."""
    mic: bytes = b""


class Response(msgspec.Struct, frozen=True):
    """NegTokenResp, all further tokens of both sides."""

    state: State | None = None
    mechanism: str = ""
    token: bytes = b""
    mic: bytes = b""


def initial_mechanism(data: bytes) -> str:
    """The mechanism of a GSS-API initial token (RFC 2743 3.1): SPNEGO, or one without it. Raises ProtocolViolation."""
    return Reader(data).enter(_INITIAL).object_identifier()


def parse(data: bytes) -> Init | Response:
    """A client's token. Raises ProtocolViolation."""
    if len(data) > TOKEN_LIMIT_BYTES:
        raise ProtocolViolation("a SPNEGO token is too long")
    outer = Reader(data)
    if outer.peek() == _RESPONSE:
        inner = outer.enter(_RESPONSE).enter()
        outer.finish()
        return _response(inner)
    framed = outer.enter(_INITIAL)
    outer.finish()
    if framed.object_identifier() != SPNEGO:
        raise ProtocolViolation("an initial token of another mechanism than SPNEGO")
    if framed.peek() != _INIT:
        raise ProtocolViolation("a SPNEGO token without negTokenInit")
    return _init(framed.enter(_INIT).enter())


def _init(inner: Reader) -> Init:
    listed = token = mic = b""
    mechanisms: list[str] = []
    while inner:
        tag = inner.peek()
        assert tag is not None
        field = inner.enter(tag)
        if tag == 0xA0:
            listed = field.raw()
            names = Reader(listed).enter()
            while names:
                mechanisms.append(names.object_identifier())
                if len(mechanisms) > MAX_MECHANISMS:
                    raise ProtocolViolation("too many SPNEGO mechanisms")
        elif tag == 0xA2:
            token = field.octets()
        elif tag == 0xA3 and field.peek() == ber.OCTET_STRING:
            # a server's NegTokenInit2 has its hints under this number; a client never sends them
            mic = field.octets()
    if not mechanisms:
        raise ProtocolViolation("SPNEGO without a mechanism")
    return Init(tuple(mechanisms), listed, token, mic)


def _response(inner: Reader) -> Response:
    state, mechanism, token, mic = None, "", b"", b""
    while inner:
        tag = inner.peek()
        assert tag is not None
        field = inner.enter(tag)
        if tag == 0xA0:
            number = field.integer(ber.ENUMERATED)
            if number not in set(State):
                raise ProtocolViolation(f"unknown SPNEGO state {number}")
            state = State(number)
        elif tag == 0xA1:
            mechanism = field.object_identifier()
        elif tag == 0xA2:
            token = field.octets()
        elif tag == 0xA3:
            mic = field.octets()
    return Response(state, mechanism, token, mic)


def response(state: State, mechanism: str = "", token: bytes = b"", mic: bytes = b"") -> bytes:
    """A server's token; what is empty is left out."""
    parts = [ber.element(0xA0, ber.integer(state, ber.ENUMERATED))]
    if mechanism:
        parts.append(ber.element(0xA1, ber.object_identifier(mechanism)))
    if token:
        parts.append(ber.element(0xA2, ber.octets(token)))
    if mic:
        parts.append(ber.element(0xA3, ber.octets(mic)))
    return ber.element(_RESPONSE, ber.sequence(*parts))


def init(mechanisms: tuple[str, ...], token: bytes = b"") -> bytes:
    """A client's first token."""
    parts = [ber.element(0xA0, ber.sequence(*(ber.object_identifier(one) for one in mechanisms)))]
    if token:
        parts.append(ber.element(0xA2, ber.octets(token)))
    inner = ber.element(_INIT, ber.sequence(*parts))
    return ber.element(_INITIAL, ber.object_identifier(SPNEGO) + inner)
