"""PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login), the mechanisms that hand over the password."""

from __future__ import annotations

from collections.abc import Generator

from postern.protocols.sasl.outcome import Challenge, Failed, Outcome, ScramCredentials, Verify

CREDENTIAL_LIMIT_BYTES = 1024
"""Longest user name or password taken; the hash must not become a way to burn CPU."""

Run = Generator[Outcome, bytes | ScramCredentials | None, Outcome]

_READY = Challenge(b"")
"""Yielded once to start a generator; never seen by a caller."""


def plain() -> Run:
    """`[authzid] NUL authcid NUL passwd` in one message."""
    response = yield _READY
    if response is None:
        response = yield Challenge(b"")
    assert isinstance(response, bytes)
    fields = response.split(b"\0")
    if len(fields) != 3:
        return Failed("PLAIN needs three fields", malformed=True)
    return _verify(fields[1], fields[0], fields[2])


def login() -> Run:
    """User name and password, each after a prompt; the user name may come as initial response."""
    user = yield _READY
    if user is None:
        user = yield Challenge(b"Username:")
    password = yield Challenge(b"Password:")
    assert isinstance(user, bytes)
    assert isinstance(password, bytes)
    return _verify(user, b"", password)


def _verify(authcid: bytes, authzid: bytes, password: bytes) -> Outcome:
    if not authcid or not password:
        return Failed("empty user name or password", malformed=True)
    if max(len(authcid), len(authzid), len(password)) > CREDENTIAL_LIMIT_BYTES or b"\0" in authcid + password:
        return Failed("credentials too long or with NUL", malformed=True)
    try:
        return Verify(authcid.decode(), authzid.decode(), password.decode())
    except UnicodeDecodeError:
        return Failed("credentials are not UTF-8", malformed=True)
