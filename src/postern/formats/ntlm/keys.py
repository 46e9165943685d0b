"""What NTLMv2 computes (MS-NLMP 3.3.2, 3.4): proofs, session keys, message integrity codes."""

from __future__ import annotations

import hmac
from hashlib import md5

from postern.formats.ntlm import md4
from postern.formats.ntlm.messages import Flags

NT_HASH_BYTES = 16
KEY_BYTES = 16
_SIGNATURE_VERSION = b"\1\0\0\0"
_CLIENT = b"session key to client-to-server "
_SERVER = b"session key to server-to-client "
_SIGNING, _SEALING = b"signing key magic constant\0", b"sealing key magic constant\0"


def nt_hash(password: str) -> bytes:
    """NTOWFv1: MD4 of the password in UTF-16. As good as the password for whoever has it."""
    return md4.digest(password.encode("utf-16-le", "surrogatepass"))


def response_key(hashed: bytes, user: str, domain: str) -> bytes:
    """NTOWFv2 of an NT hash, with the names as the client sent them."""
    return hmac.digest(hashed, (user.upper() + domain).encode("utf-16-le", "surrogatepass"), "md5")


def proof(key: bytes, server_challenge: bytes, blob: bytes) -> bytes:
    """NTProofStr."""
    return hmac.digest(key, server_challenge + blob, "md5")


def session_base_key(key: bytes, proved: bytes) -> bytes:
    """SessionBaseKey, which is the key exchange key as well in NTLMv2."""
    return hmac.digest(key, proved, "md5")


def exported_key(base_key: bytes, flags: Flags, encrypted: bytes) -> bytes | None:
    """ExportedSessionKey; None if the client promised to send one and did not."""
    if not flags & Flags.KEY_EXCHANGE or not flags & (Flags.SIGN | Flags.SEAL | Flags.ALWAYS_SIGN):
        return base_key
    return rc4(base_key, encrypted) if len(encrypted) == KEY_BYTES else None


def mic(key: bytes, *messages: bytes) -> bytes:
    """Over all three messages, the last with a MIC of zeros."""
    return hmac.digest(key, b"".join(messages), "md5")


def signature(key: bytes, flags: Flags, message: bytes, *, by_client: bool, sequence: int = 0) -> bytes:
    """NTLMSSP_MESSAGE_SIGNATURE with extended session security, the first one under its sealing key.

    16 octets; what SPNEGO protects its list of mechanisms with (RFC 4178 5).
    """
    side = _CLIENT if by_client else _SERVER
    number = sequence.to_bytes(4, "little")
    checksum = hmac.digest(_md5(key + side + _SIGNING), number + message, "md5")[:8]
    if flags & Flags.KEY_EXCHANGE:
        strength = 16 if flags & Flags.NEGOTIATE_128 else 7 if flags & Flags.NEGOTIATE_56 else 5
        checksum = rc4(_md5(key[:strength] + side + _SEALING), checksum)
    return _SIGNATURE_VERSION + checksum + number


def rc4(key: bytes, data: bytes) -> bytes:
    """The stream cipher that NTLM wraps sixteen octets in."""
    box = list(range(256))
    j = 0
    for i in range(256):
        j = (j + box[i] + key[i % len(key)]) & 0xFF
        box[i], box[j] = box[j], box[i]
    out = bytearray()
    i = j = 0
    for octet in data:
        i = (i + 1) & 0xFF
        j = (j + box[i]) & 0xFF
        box[i], box[j] = box[j], box[i]
        out.append(octet ^ box[(box[i] + box[j]) & 0xFF])
    return bytes(out)


def _md5(data: bytes) -> bytes:
    return md5(data, usedforsecurity=False).digest()
