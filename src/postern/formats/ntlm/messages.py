"""NEGOTIATE, CHALLENGE and AUTHENTICATE messages (MS-NLMP 2.2.1), as a server reads and writes them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntFlag

import msgspec

from postern.formats.ntlm import pairs
from postern.formats.ntlm.pairs import AvFlags, Kind
from postern.model.refusal import ProtocolViolation

SIGNATURE = b"NTLMSSP\0"
MESSAGE_LIMIT_BYTES = 16384
"""Longest message taken: real ones have below 2 KiB."""
CHALLENGE_BYTES = 8
MIC_START, MIC_END = 72, 88

_NEGOTIATE, _CHALLENGE, _AUTHENTICATE = 1, 2, 3
_CHALLENGE_HEAD = struct.Struct("<8sIHHII8s8xHHI8s")
_AUTHENTICATE_HEAD = struct.Struct("<8sI" + "HHI" * 6 + "I")
_V2 = struct.Struct("<BB6xQ8s4x")
_PROOF_BYTES = 16
_VERSION = bytes((10, 0, 0, 0, 0, 0, 0, 15))
"""NTLMSSP_REVISION_W2K3 (MS-NLMP 2.2.2.10); the rest is for debugging."""


class Flags(IntFlag):
    """NegotiateFlags (MS-NLMP 2.2.2.5) that matter here."""

    UNICODE = 0x1
    OEM = 0x2
    REQUEST_TARGET = 0x4
    SIGN = 0x10
    SEAL = 0x20
    NTLM = 0x200
    ANONYMOUS = 0x800
    ALWAYS_SIGN = 0x8000
    TARGET_TYPE_DOMAIN = 0x10000
    TARGET_TYPE_SERVER = 0x20000
    EXTENDED_SESSION_SECURITY = 0x80000
    TARGET_INFO = 0x800000
    VERSION = 0x2000000
    NEGOTIATE_128 = 0x20000000
    KEY_EXCHANGE = 0x40000000
    NEGOTIATE_56 = 0x80000000


_ECHOED = (
    Flags.SIGN
    | Flags.SEAL
    | Flags.ALWAYS_SIGN
    | Flags.NEGOTIATE_128
    | Flags.NEGOTIATE_56
    | Flags.KEY_EXCHANGE
    | Flags.VERSION
)


class Authenticate(msgspec.Struct, frozen=True):
    """The client's last message."""

    user: str
    domain: str
    workstation: str
    flags: Flags
    proof: bytes
    """NTProofStr, 16 octets."""
    blob: bytes
    """What the proof is over, besides the challenge: NTLMv2_CLIENT_CHALLENGE."""
    response: bytes
    """`proof` and `blob`, as a domain controller wants them."""
    pairs: Mapping[int, bytes]
    """AV pairs in the blob: trustworthy once the proof is right."""
    encrypted_key: bytes
    """EncryptedRandomSessionKey; empty without key exchange."""
    mic: bytes
    """Empty if the client says that it sends none."""
    message: bytes
    """All of it, the MIC replaced by zeros."""


def negotiate(data: bytes) -> Flags:
    """What a client's first message asks for. Raises ProtocolViolation."""
    _check(data, _NEGOTIATE, 16)
    flags = Flags(int.from_bytes(data[12:16], "little"))
    if not flags & Flags.EXTENDED_SESSION_SECURITY:
        # clients from before Windows NT 4 SP4; they know no NTLMv2
        raise ProtocolViolation("NTLM client without extended session security")
    return flags


def challenge(asked: Flags, server_challenge: bytes, target: str, info: Mapping[int, bytes]) -> bytes:
    """The server's message. `target` is the NetBIOS name of domain or server, `info` its AV pairs."""
    kind = Flags.TARGET_TYPE_DOMAIN if Kind.NETBIOS_DOMAIN in info else Flags.TARGET_TYPE_SERVER
    flags = Flags.NTLM | Flags.EXTENDED_SESSION_SECURITY | Flags.TARGET_INFO | kind
    flags |= (asked & _ECHOED) | (asked & Flags.REQUEST_TARGET)
    if asked & Flags.UNICODE:
        flags |= Flags.UNICODE
        name = pairs.text(target)
    else:  # curl
        flags |= Flags.OEM
        name = target.encode("ascii", "replace")
    packed = pairs.pack(info)
    start = _CHALLENGE_HEAD.size
    head = _CHALLENGE_HEAD.pack(
        SIGNATURE,
        _CHALLENGE,
        len(name),
        len(name),
        start,
        flags,
        server_challenge,
        len(packed),
        len(packed),
        start + len(name),
        _VERSION,
    )
    return head + name + packed


def authenticate(data: bytes) -> Authenticate:
    """Take the client's last message apart.

    Raises ProtocolViolation, also for every answer but NTLMv2: LM and NTLMv1 are not known here.
    """
    _check(data, _AUTHENTICATE, _AUTHENTICATE_HEAD.size)
    head = _AUTHENTICATE_HEAD.unpack_from(data)
    fields = [_field(data, head[at], head[at + 2]) for at in range(2, 20, 3)]
    _, response, domain, user, workstation, key = fields
    flags = Flags(head[20])
    if flags & Flags.ANONYMOUS or not user:
        raise ProtocolViolation("anonymous NTLM")
    if len(response) <= 24:
        raise ProtocolViolation("NTLMv1 or LM response")
    proof, blob = response[:_PROOF_BYTES], response[_PROOF_BYTES:]
    if len(blob) < _V2.size:
        raise ProtocolViolation("an NTLMv2 response is cut short")
    if _V2.unpack_from(blob)[:2] != (1, 1):
        raise ProtocolViolation("an NTLM response of an unknown version")
    info = pairs.unpack(blob[_V2.size :])
    mic, message = b"", data
    if av_flags(info) & AvFlags.MIC:
        starts = [head[at + 2] for at in range(2, 20, 3) if head[at]]
        if min(starts) < MIC_END:
            raise ProtocolViolation("the NTLM MIC was promised and is missing")
        mic = data[MIC_START:MIC_END]
        message = data[:MIC_START] + bytes(MIC_END - MIC_START) + data[MIC_END:]
    return Authenticate(
        _name(user, flags),
        _name(domain, flags),
        _name(workstation, flags),
        flags,
        proof,
        blob,
        response,
        info,
        key,
        mic,
        message,
    )


def av_flags(info: Mapping[int, bytes]) -> int:
    """The FLAGS pair as a number. Raises ProtocolViolation."""
    value = info.get(Kind.FLAGS, bytes(4))
    if len(value) != 4:
        raise ProtocolViolation("AV flags of a wrong size")
    return int.from_bytes(value, "little")


def _name(value: bytes, flags: Flags) -> str:
    """A name in UTF-16, or in an OEM character set, of which ASCII is what everybody agrees on."""
    if flags & Flags.UNICODE:
        return pairs.read_text(value)
    try:
        return value.decode("ascii")
    except UnicodeDecodeError as error:
        raise ProtocolViolation("a name in an unknown character set") from error


def _check(data: bytes, kind: int, least: int) -> None:
    if len(data) > MESSAGE_LIMIT_BYTES:
        raise ProtocolViolation("an NTLM message is too long")
    if not data.startswith(SIGNATURE):
        raise ProtocolViolation("no NTLM message")
    if len(data) < 12 or int.from_bytes(data[8:12], "little") != kind:
        raise ProtocolViolation(f"no NTLM message of type {kind}")
    if len(data) < least:
        raise ProtocolViolation("an NTLM message is cut short")


def _field(data: bytes, size: int, start: int) -> bytes:
    """A payload field; where an empty one points to does not matter. Raises ProtocolViolation."""
    if size and (start < _AUTHENTICATE_HEAD.size or start + size > len(data)):
        raise ProtocolViolation("an NTLM field lies outside its message")
    return data[start : start + size] if size else b""
