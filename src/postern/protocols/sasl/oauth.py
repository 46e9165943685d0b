"""OAUTHBEARER (RFC 7628) and XOAUTH2: how an access token is carried, not what it says."""

from __future__ import annotations

import re

from postern.model.refusal import ProtocolViolation

MECHANISMS = ("OAUTHBEARER", "XOAUTH2")
TOKEN_LIMIT_BYTES = 49152

# RFC 7628 3.1: gs2-header without channel binding, then key-value pairs that end with ^A
_OAUTHBEARER = re.compile(rb"[ny],(?:a=(?P<user>[^,\x00\x01]+))?,\x01(?P<pairs>(?:[A-Za-z]+=[^\x01]*\x01)*)\x01")
_XOAUTH2 = re.compile(rb"user=(?P<user>[^\x00\x01]+)\x01(?P<pairs>(?:[A-Za-z]+=[^\x01]*\x01)*)\x01")
_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/=-]+)", re.IGNORECASE)


def response(mechanism: str, data: bytes) -> tuple[str, bytes]:
    """Whom the client wants to be (empty: whomever the token names), and its token. Raises ProtocolViolation."""
    found = (_OAUTHBEARER if mechanism == "OAUTHBEARER" else _XOAUTH2).fullmatch(data)
    if found is None or len(data) > TOKEN_LIMIT_BYTES:
        raise ProtocolViolation(f"malformed {mechanism} response")
    pairs = dict(pair.split(b"=", 1) for pair in found["pairs"].split(b"\1") if pair)
    token = _BEARER.fullmatch(pairs.get(b"auth", b""))
    if token is None:
        raise ProtocolViolation(f"{mechanism} without a bearer token")
    user = found["user"] or b""
    if mechanism == "OAUTHBEARER":
        user = user.replace(b"=2C", b",").replace(b"=3D", b"=")  # RFC 5801 4
    try:
        return user.decode(), token[1]
    except UnicodeDecodeError as error:
        raise ProtocolViolation("a user name that is not UTF-8") from error


def failure(mechanism: str) -> bytes:
    """What a client is told before the exchange fails (RFC 7628 3.2.2)."""
    if mechanism == "OAUTHBEARER":
        return b'{"status":"invalid_token"}'
    return b'{"status":"401","schemes":"bearer"}'
