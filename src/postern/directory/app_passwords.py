"""Passwords for programs: made by chance, shown once, kept as a keyed hash.

A slow hash protects what people think of, because that can be guessed. These have 100 bits of chance: whoever stole the
file and its key and tried 10^13 a second would need 2 * 10^9 years for one of them. So a keyed SHA-256 is as safe as
argon2id here, costs 2 us instead of 24 ms, and finds the right one among an account's app passwords at once, where
argon2id would have to try each.
"""

from __future__ import annotations

import hmac

from postern.directory import passwords
from postern.model.credentials import ScramCredentials
from postern.model.ports import Entropy

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 signs without look-alikes; small letters, for telephones."""
_LENGTH = 20
_GROUP = 5
MAX_PER_ACCOUNT = 50


def new(entropy: Entropy) -> str:
    """`abcde-fghij-kmnpq-23456`: 100 bits."""
    letters = "".join(_ALPHABET[entropy.below(len(_ALPHABET))] for _ in range(_LENGTH))
    return "-".join(letters[i : i + _GROUP] for i in range(0, _LENGTH, _GROUP))


def digest(key: bytes, account: int, password: str) -> bytes:
    """What is stored. Spaces and hyphens do not count: people type it in groups."""
    plain = password.replace("-", "").replace(" ", "") if len(password) < 64 else password
    return hmac.digest(key, b"%d\0%b" % (account, plain.encode(errors="surrogatepass")), "sha256")


def scram_salt(key: bytes, account: int) -> bytes:
    """The one salt of all app passwords of an account: SCRAM names it before it knows which one the client has."""
    return hmac.digest(key, b"salt\0%d" % account, "sha256")[:16]


def scram_keys(key: bytes, account: int, password: str, iterations: int) -> ScramCredentials:
    """SCRAM-SHA-256 keys of an app password as it was shown, with its hyphens."""
    return passwords.scram_keys(password, scram_salt(key, account), iterations)
