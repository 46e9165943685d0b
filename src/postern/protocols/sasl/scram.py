"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), both sides."""

from __future__ import annotations

import hashlib
import hmac
import re
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Generator

from postern.model.ports import Entropy
from postern.protocols.sasl.outcome import (
    Challenge,
    ChannelBinding,
    Done,
    Failed,
    NeedScram,
    Outcome,
    ScramCredentials,
)

MESSAGE_LIMIT_BYTES = 4096
MAX_CLIENT_ITERATIONS = 10_000_000
"""What our client lets a server ask for: more would be a way to burn its CPU."""

Run = Generator[Outcome, bytes | ScramCredentials | None, Outcome]

# RFC 5802 7: gs2-header, then client-first-message-bare. `m=` (mandatory extension) never matches and so fails.
_CLIENT_FIRST = re.compile(
    rb"(?P<gs2>(?P<flag>n|y|p=(?P<kind>[A-Za-z0-9.-]+)),(?:a=(?P<authzid>[^,\0]+))?,)"
    rb"(?P<bare>n=(?P<user>[^,\0]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]+)*)"
)
_CLIENT_FINAL = re.compile(
    rb"(?P<without>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]+)*)"
    rb",p=(?P<proof>[A-Za-z0-9+/=]+)"
)
_SERVER_FIRST = re.compile(
    rb"r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+),s=(?P<salt>[A-Za-z0-9+/=]+),i=(?P<i>[1-9][0-9]{0,8})(?:,.*)?"
)

_READY = Challenge(b"")


def nonce(entropy: Entropy, size_bytes: int) -> bytes:
    """A printable nonce without comma."""
    return b2a_base64(entropy.token(size_bytes), newline=False)


def server(server_nonce: bytes, binding: ChannelBinding | None, *, plus: bool) -> Run:
    """The server's side. A wrong proof of an unknown user's fake credentials looks like any wrong proof."""
    response = yield _READY
    if response is None:
        response = yield Challenge(b"")
    assert isinstance(response, bytes)
    first = _CLIENT_FIRST.fullmatch(response) if len(response) <= MESSAGE_LIMIT_BYTES else None
    if first is None:
        return Failed("malformed client-first-message", malformed=True)
    bound = _bound_data(first, binding, plus=plus)
    if isinstance(bound, Failed):
        return bound
    try:
        user = _unescape(first["user"])
        authzid = _unescape(first["authzid"] or b"")
    except ValueError:
        return Failed("malformed name", malformed=True)

    credentials = yield NeedScram(user, authzid)
    assert credentials is not None
    assert not isinstance(credentials, bytes)
    full_nonce = first["nonce"] + server_nonce
    server_first = b"r=%b,s=%b,i=%d" % (
        full_nonce,
        b2a_base64(credentials.salt, newline=False),
        credentials.iterations,
    )
    response = yield Challenge(server_first)
    assert isinstance(response, bytes)
    final = _CLIENT_FINAL.fullmatch(response) if len(response) <= MESSAGE_LIMIT_BYTES else None
    if final is None:
        return Failed("malformed client-final-message", user, malformed=True)
    try:
        proof = a2b_base64(final["proof"], strict_mode=True)
        sent_binding = a2b_base64(final["binding"], strict_mode=True)
    except Error:
        return Failed("malformed base64", user, malformed=True)

    auth_message = b",".join((first["bare"], server_first, final["without"]))
    proven, stored_key, server_key = False, b"", credentials.server_key
    for stored, server in ((credentials.stored_key, credentials.server_key), *credentials.alternatives):
        signature = _hmac(stored, auth_message)
        client_key = _xor(proof, signature) if len(proof) == len(signature) else b""
        if hmac.compare_digest(hashlib.sha256(client_key).digest(), stored):
            proven, stored_key, server_key = True, stored if server is not credentials.server_key else b"", server
    if not hmac.compare_digest(final["nonce"], full_nonce):
        return Failed("nonce does not match", user)
    if not hmac.compare_digest(sent_binding, first["gs2"] + bound):
        return Failed("channel binding does not match", user)
    if not proven:
        return Failed("wrong proof", user)
    verifier = b"v=" + b2a_base64(_hmac(server_key, auth_message), newline=False)
    return Done(user, authzid, verifier, stored_key)


def _bound_data(first: re.Match[bytes], binding: ChannelBinding | None, *, plus: bool) -> bytes | Failed:
    """Check the channel-binding flag (RFC 5802 6); the data that must be bound."""
    flag = first["flag"]
    if flag == b"y":
        # The client believes that we offer no -PLUS. If we do, somebody took it out of our list.
        if plus or binding is not None:
            return Failed("channel binding was stripped from the list of mechanisms")
        return b""
    if flag == b"n":
        return Failed("channel binding required", malformed=True) if plus else b""
    data = binding.data(first["kind"].decode("ascii")) if binding is not None and plus else b""
    return data or Failed("channel binding type not supported", malformed=True)


def derive(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    """StoredKey and ServerKey of a password (RFC 5802 3)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    return hashlib.sha256(_hmac(salted, b"Client Key")).digest(), _hmac(salted, b"Server Key")


def client(
    user: str, password: str, client_nonce: bytes, binding: tuple[str, bytes] | None = None
) -> Generator[bytes, bytes, bool]:
    """The client's side: yields messages, is sent the server's; returns whether the server proved itself."""
    gs2 = b"p=%b,," % binding[0].encode("ascii") if binding else b"n,,"
    bare = b"n=%b,r=%b" % (user.replace("=", "=3D").replace(",", "=2C").encode(), client_nonce)
    server_first = yield gs2 + bare
    first = _SERVER_FIRST.fullmatch(server_first)
    if first is None or not first["nonce"].startswith(client_nonce) or int(first["i"]) > MAX_CLIENT_ITERATIONS:
        return False
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), a2b_base64(first["salt"]), int(first["i"]))
    client_key = _hmac(salted, b"Client Key")
    bound = b2a_base64(gs2 + (binding[1] if binding else b""), newline=False)
    without = b"c=%b,r=%b" % (bound, first["nonce"])
    auth_message = b",".join((bare, server_first, without))
    proof = _xor(client_key, _hmac(hashlib.sha256(client_key).digest(), auth_message))
    server_final = yield without + b",p=" + b2a_base64(proof, newline=False)
    expected = b"v=" + b2a_base64(_hmac(_hmac(salted, b"Server Key"), auth_message), newline=False)
    return hmac.compare_digest(server_final, expected)


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _xor(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")


def _unescape(name: bytes) -> str:
    """Decode a saslname (RFC 5802 5.1). Raises ValueError."""
    if re.search(rb"=(?!2C|3D)", name):
        raise ValueError("stray =")
    return name.replace(b"=2C", b",").replace(b"=3D", b"=").decode()
