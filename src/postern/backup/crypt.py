"""Keys of a repository: what names a chunk and what hides it.

Without a key a chunk's name is its SHA-256. With one, its name is an HMAC-SHA-256 (so that names tell nothing of
contents) and it is sealed by AES-256-GCM with its name as associated data (so that one chunk cannot stand for another).
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Literal

import msgspec
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from postern.model.ports import Entropy

NONCE_BYTES = 12
KEY_BYTES = 32
MIN_SECRET_BYTES = 16
PASSES = 4
MEMORY_KIB = 64 * 1024


class WrongKeyError(Exception):
    """The repository is encrypted and this is not its key, or none was given; or a key for one that has none."""


class Secret(msgspec.Struct, frozen=True):
    """What an administrator has: a key file's content, or a passphrase."""

    kind: Literal["file", "passphrase"]
    value: bytes


class KeyFacts(msgspec.Struct, frozen=True):
    """What the repository says of its key, in clear: nothing that helps to guess it, but argon2's parameters."""

    kind: Literal["file", "passphrase"]
    salt: str
    check: str
    passes: int = PASSES
    memory_kib: int = MEMORY_KIB


def read_key_file(path: Path) -> Secret:
    """Raises OSError, WrongKeyError for a file that is too short to be a key."""
    value = path.read_bytes().strip()
    if len(value) < MIN_SECRET_BYTES:
        raise WrongKeyError(f"{path} is no key file: `postern backup key {path}` makes one")
    return Secret("file", value)


class Keys:
    """Naming and sealing. Without a secret sealing does nothing."""

    def __init__(self, entropy: Entropy, master: bytes | None = None) -> None:
        self._entropy = entropy
        self._aead: AESGCM | None = None
        self._name_key = b""
        if master is not None:
            self._aead = AESGCM(_derived(master, b"postern backup: contents"))
            self._name_key = _derived(master, b"postern backup: names")

    def name(self, raw: bytes | memoryview) -> bytes:
        """A chunk's name, 32 octets."""
        if self._name_key:
            return hmac.digest(self._name_key, raw, "sha256")
        return hashlib.sha256(raw).digest()

    def seal(self, name: bytes, content: bytes | memoryview) -> bytes | memoryview:
        """As it is stored. The nonce is random: 2^32 chunks a key (NIST SP 800-38D 8.3)."""
        if self._aead is None:
            return content
        nonce = self._entropy.token(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, content, name)

    def open(self, name: bytes, stored: bytes) -> bytes:
        """The reverse. Raises ValueError for what was changed."""
        if self._aead is None:
            return stored
        try:
            return self._aead.decrypt(stored[:NONCE_BYTES], stored[NONCE_BYTES:], name)
        except (InvalidTag, ValueError) as problem:
            raise ValueError("does not open with this key: changed, or another's") from problem

    @property
    def check(self) -> str:
        """Tells a wrong key from a damaged repository."""
        return hmac.digest(self._name_key, b"postern backup: check", "sha256").hex()


def new_keys(entropy: Entropy, secret: Secret | None) -> tuple[Keys, KeyFacts | None]:
    """Keys for a repository that is being made."""
    if secret is None:
        return Keys(entropy), None
    facts = KeyFacts(secret.kind, entropy.token(16).hex(), "")
    keys = Keys(entropy, _master(secret, facts))
    return keys, msgspec.structs.replace(facts, check=keys.check)


def keys_of(entropy: Entropy, facts: KeyFacts | None, secret: Secret | None) -> Keys:
    """Keys of a repository that is there. Raises WrongKeyError."""
    if facts is None:
        if secret is not None:
            raise WrongKeyError("this repository is not encrypted: leave the key out, or begin another repository")
        return Keys(entropy)
    if secret is None:
        wanted = "--key-file FILE" if facts.kind == "file" else "--passphrase"
        raise WrongKeyError(f"this repository is encrypted: say {wanted}")
    if secret.kind != facts.kind:
        raise WrongKeyError(f"this repository opens with a {'key file' if facts.kind == 'file' else 'passphrase'}")
    keys = Keys(entropy, _master(secret, facts))
    if not hmac.compare_digest(keys.check, facts.check):
        raise WrongKeyError("this is not the key of this repository")
    return keys


def _master(secret: Secret, facts: KeyFacts) -> bytes:
    salt = bytes.fromhex(facts.salt)
    if secret.kind == "file":
        return HKDF(SHA256(), KEY_BYTES, salt, b"postern backup: key file").derive(secret.value)
    return hash_secret_raw(secret.value, salt, facts.passes, facts.memory_kib, 1, KEY_BYTES, Type.ID)


def _derived(master: bytes, use: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, None, use).derive(master)
