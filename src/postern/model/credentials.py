"""What a server keeps to verify a client's proof."""

from __future__ import annotations

from typing import NamedTuple


class ScramCredentials(NamedTuple):
    """Stored SCRAM-SHA-256 secrets (RFC 5802 3, RFC 7677)."""

    salt: bytes
    iterations: int
    stored_key: bytes
    """H(ClientKey), 32 octets."""
    server_key: bytes
    """HMAC(SaltedPassword, "Server Key"), 32 octets."""
    alternatives: tuple[tuple[bytes, bytes], ...] = ()
    """StoredKey and ServerKey of other passwords with the same salt and iterations that are as good: app passwords."""
