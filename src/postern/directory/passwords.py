"""Passwords: hashing with argon2id, verifying what other servers left, SCRAM-SHA-256 keys.

A stored hash is `{SCHEME}value` with Dovecot's scheme names; without a scheme, `$...` is a crypt hash. What is not
`is_quick` costs milliseconds and lets go of the interpreter lock, so services call it in threads.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import unicodedata
from typing import NamedTuple

import argon2

from postern.directory import crypt
from postern.model.credentials import ScramCredentials
from postern.model.ports import Entropy
from postern.model.refusal import Reason, Refusal


class HashCost(NamedTuple):
    """How dear a new password is to verify."""

    argon2_passes: int = 3
    argon2_memory_kib: int = 65536
    """RFC 9106 4: the second recommended option (64 MiB, 3 passes) with one lane."""
    scram_iterations: int = 100_000


STANDARD = HashCost()
CHEAP = HashCost(1, 1024, 4096)
"""For throw-away organisations and tests."""

_DIGESTS = {"SHA": "sha1", "SHA256": "sha256", "SHA512": "sha512"}
_SALTED = {"SSHA": "sha1", "SSHA256": "sha256", "SSHA512": "sha512"}
_CRYPT = frozenset({"CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT", "MD5-CRYPT", "YESCRYPT"})
_ARGON2 = frozenset({"ARGON2ID", "ARGON2I"})
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){20,}")
"""No shorter than a SHA-1 digest."""
SCHEMES = tuple(sorted({*_ARGON2, *_CRYPT, *_DIGESTS, *_SALTED, "PBKDF2-SHA256", "PLAIN"}))
"""What `verify` understands."""


def prepare(password: str) -> str:
    """Fold a password as SASLprep (RFC 4013) does where it matters: NFKC, all spaces alike.

    Raises Refusal(BAD_VALUE) for control characters and the empty password.
    """
    if not password.isascii():
        spaced = "".join(" " if unicodedata.category(c) == "Zs" else c for c in password)
        password = unicodedata.normalize("NFKC", spaced)
    if not password or any(unicodedata.category(c) == "Cc" for c in password):
        raise Refusal(Reason.BAD_VALUE, "a password may not be empty or contain control characters")
    return password


def hash_password(password: str, entropy: Entropy, cost: HashCost = STANDARD) -> str:
    """`{ARGON2ID}$argon2id$...`. Raises Refusal(BAD_VALUE)."""
    value = argon2.low_level.hash_secret(
        prepare(password).encode(),
        entropy.token(16),
        time_cost=cost.argon2_passes,
        memory_cost=cost.argon2_memory_kib,
        parallelism=1,
        hash_len=32,
        type=argon2.low_level.Type.ID,
    )
    return "{ARGON2ID}" + value.decode("ascii")


def scheme_of(stored: str) -> tuple[str, str]:
    """Scheme (upper case, without a `.b64` or `.HEX` suffix) and value."""
    if stored.startswith("{"):
        scheme, _, value = stored[1:].partition("}")
        return scheme.upper().split(".")[0], value
    return ("ARGON2ID" if stored.startswith("$argon2") else "CRYPT"), stored


def is_dated(stored: str) -> bool:
    """Whether a hash came from elsewhere, in a scheme that new passwords are not kept in."""
    return scheme_of(stored)[0] != "ARGON2ID"


def is_quick(stored: str) -> bool:
    """Whether `verify` takes microseconds: a plain digest, which needs no thread. Most come from another server."""
    scheme = scheme_of(stored)[0]
    return scheme in _DIGESTS or scheme in _SALTED or scheme == "PLAIN"


def check_hash(stored: str) -> str:
    """A hash that is about to be imported, in its stored form. Raises Refusal(NOT_SUPPORTED, BAD_VALUE)."""
    scheme, value = scheme_of(stored.strip())
    if scheme not in SCHEMES or not value:
        raise Refusal(Reason.NOT_SUPPORTED, f"password scheme {scheme or '(none)'} is not one of {', '.join(SCHEMES)}")
    if scheme in _CRYPT and not crypt.available():
        raise Refusal(Reason.NOT_SUPPORTED, f"this system has no libcrypt to verify {scheme} hashes")
    if not _is_whole(scheme, value):
        raise Refusal(Reason.BAD_VALUE, f"that is no {scheme} hash: nobody could sign in with it")
    return "{" + scheme + "}" + value


def _is_whole(scheme: str, value: str) -> bool:
    """Whether there can be a password for it: what was cut off or garbled is noticed when it is imported."""
    if scheme in _ARGON2:
        return value.startswith("$argon2") and value.count("$") >= 4
    if scheme in _CRYPT:
        return value.startswith("$") or len(value) >= 13
    if scheme in _DIGESTS or scheme in _SALTED:
        size, raw = _digest(scheme, value)
        return len(raw) == size if scheme in _DIGESTS else len(raw) > size
    return scheme != "PBKDF2-SHA256" or value.count("$") >= 2


def verify(password: str, stored: str) -> bool:
    """Whether a password has that hash. False for hashes that cannot be understood."""
    try:
        prepared = prepare(password).encode()
    except (Refusal, UnicodeError):
        prepared = b"\xff"  # no stored password is that; the work is still done
    scheme, value = scheme_of(stored)
    if scheme in _ARGON2:
        kind = argon2.low_level.Type.ID if scheme == "ARGON2ID" else argon2.low_level.Type.I
        try:
            return argon2.low_level.verify_secret(value.encode(), prepared, kind)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
    if scheme in _CRYPT:
        return crypt.verify(prepared, value.encode())
    if scheme == "PLAIN":
        return hmac.compare_digest(prepared, value.encode())
    if scheme == "PBKDF2-SHA256":
        return _verify_pbkdf2(prepared, value)
    return _verify_digest(prepared, scheme, value)


def _verify_digest(password: bytes, scheme: str, value: str) -> bool:
    name = _DIGESTS.get(scheme) or _SALTED.get(scheme)
    size, raw = _digest(scheme, value)
    if name is None or not raw:
        return False
    digest, salt = raw[:size], raw[size:]
    return hmac.compare_digest(hashlib.new(name, password + salt, usedforsecurity=False).digest(), digest)


def _digest(scheme: str, value: str) -> tuple[int, bytes]:
    """Octets of the digest alone; digest and salt, empty if they cannot be read."""
    name = _DIGESTS.get(scheme) or _SALTED.get(scheme) or "sha256"
    size = hashlib.new(name, usedforsecurity=False).digest_size
    try:
        # base64 may be as long as the hexadecimal digest (SHA-1 with a salt of 8 octets), but never of its digits alone
        return size, bytes.fromhex(value) if _HEX.fullmatch(value) else base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return size, b""


def _verify_pbkdf2(password: bytes, value: str) -> bool:
    """`iterations$salt$hash`, the latter two in base64 (as Stalwart and Django write it, without their prefix)."""
    try:
        rounds, salt, expected = value.rsplit("$", 2)
        digest = base64.b64decode(expected)
        found = hashlib.pbkdf2_hmac("sha256", password, base64.b64decode(salt), int(rounds), len(digest))
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(found, digest)


def scram_keys(password: str, salt: bytes, iterations: int) -> ScramCredentials:
    """Derive what the server stores (RFC 5802 3). Raises Refusal(BAD_VALUE)."""
    salted = hashlib.pbkdf2_hmac("sha256", prepare(password).encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return ScramCredentials(
        salt, iterations, hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256")
    )


def new_credentials(password: str, entropy: Entropy, cost: HashCost = STANDARD) -> tuple[str, ScramCredentials]:
    """Everything that is stored of a new password."""
    keys = scram_keys(password, entropy.token(16), cost.scram_iterations)
    return hash_password(password, entropy, cost), keys


def fake_scram(user: str, secret: bytes, iterations: int) -> ScramCredentials:
    """Credentials that nobody can prove, the same each time for a user: an unknown one looks like a known one."""
    salt = hmac.digest(secret, b"salt " + user.encode(errors="surrogatepass"), "sha256")[:16]
    key = hmac.digest(secret, b"key " + user.encode(errors="surrogatepass"), "sha256")
    return ScramCredentials(salt, iterations, key, hmac.digest(secret, key, "sha256"))
