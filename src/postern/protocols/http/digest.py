"""HTTP Digest (RFC 7616), the server's sums. The scheme is off unless somebody switches it on: see docs/http.md."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

import msgspec

ALGORITHMS = {"SHA-256": "sha256", "MD5": "md5"}
"""Strongest first, as offered."""
_NEEDED = ("username", "realm", "nonce", "uri", "response", "qop", "nc", "cnonce")


class Claim(msgspec.Struct, frozen=True):
    """What a client sent."""

    user: str
    realm: str
    nonce: str
    uri: str
    response: str
    count: int
    """nc: how often the client has used the nonce, from 1."""
    cnonce: str
    algorithm: str


def claim(parameters: Mapping[str, str]) -> Claim:
    """Raises ValueError for what is missing or was not offered: `auth-int`, hashes of user names."""
    if any(not parameters.get(name) for name in _NEEDED):
        raise ValueError("a Digest without " + next(name for name in _NEEDED if not parameters.get(name)))
    if parameters["qop"] != "auth" or parameters.get("userhash", "false") != "false":
        raise ValueError("a Digest that was not offered")
    algorithm = parameters.get("algorithm", "MD5").upper()
    if algorithm not in ALGORITHMS or len(parameters["nc"]) != 8:
        raise ValueError("a Digest that was not offered")
    # what is quoted comes as latin-1 from the field's octets, and the challenge says charset=UTF-8
    return Claim(
        parameters["username"],
        parameters["realm"],
        parameters["nonce"],
        parameters["uri"],
        parameters["response"].lower(),
        int(parameters["nc"], 16),
        parameters["cnonce"],
        algorithm,
    )


def key(algorithm: str, user: str, realm: str, password: str) -> str:
    """H(A1): what is stored instead of the password, and as good as it for this realm."""
    return _hash(algorithm, f"{user}:{realm}:{password}")


def kind(algorithm: str, realm: str) -> str:
    """Name of an algorithm's key among those that the directory derives of a password."""
    return f"digest-{algorithm.lower()} {realm}"


def answer(stored: str, method: str, one: Claim) -> str:
    """The response that proves knowledge of the password (RFC 7616 3.4.1)."""
    second = _hash(one.algorithm, f"{method}:{one.uri}")
    return _hash(one.algorithm, f"{stored}:{one.nonce}:{one.count:08x}:{one.cnonce}:auth:{second}")


def proves(stored: str, method: str, one: Claim) -> bool:
    """Whether a claim's response is right."""
    return hmac.compare_digest(answer(stored, method, one).encode(), one.response.encode())


def _hash(algorithm: str, text: str) -> str:
    return hashlib.new(ALGORITHMS[algorithm], text.encode(), usedforsecurity=False).hexdigest()
