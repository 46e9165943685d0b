"""AV pairs (MS-NLMP 2.2.2.1): what server and client tell of themselves, sealed into the client's proof."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum
from hashlib import md5

from postern.model.refusal import ProtocolViolation

MAX_PAIRS = 64
"""More than there are kinds; a message of 64 KiB could hold 16 000 empty ones."""


class Kind(IntEnum):
    """AvId."""

    END = 0
    NETBIOS_COMPUTER = 1
    NETBIOS_DOMAIN = 2
    DNS_COMPUTER = 3
    DNS_DOMAIN = 4
    DNS_TREE = 5
    FLAGS = 6
    TIMESTAMP = 7
    SINGLE_HOST = 8
    TARGET_NAME = 9
    CHANNEL_BINDINGS = 10


class AvFlags(IntEnum):
    """Bits of the FLAGS pair."""

    CONSTRAINED = 1
    MIC = 2
    """The client's last message has a MIC."""
    UNTRUSTED_TARGET = 4
    """The target name is from a source that the client does not trust."""


def pack(pairs: Mapping[int, bytes]) -> bytes:
    """The list with its end mark."""
    listed = b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in pairs.items())
    return listed + b"\0\0\0\0"


def unpack(data: bytes) -> dict[int, bytes]:
    """A list up to its end mark; what follows is not looked at. Raises ProtocolViolation."""
    found: dict[int, bytes] = {}
    position = 0
    for _ in range(MAX_PAIRS):
        if position + 4 > len(data):
            raise ProtocolViolation("AV pairs without an end")
        kind, size = struct.unpack_from("<HH", data, position)
        position += 4
        if kind == Kind.END:
            return found
        if position + size > len(data):
            raise ProtocolViolation("an AV pair is cut short")
        if kind in found:
            # which of the two would count is what an attacker could choose
            raise ProtocolViolation(f"AV pair {kind} is there twice")
        found[kind] = data[position : position + size]
        position += size
    raise ProtocolViolation("too many AV pairs")


def text(value: str) -> bytes:
    """A name as pairs have it."""
    return value.encode("utf-16-le")


def read_text(value: bytes) -> str:
    """A name of a pair. Raises ProtocolViolation."""
    try:
        return value.decode("utf-16-le")
    except UnicodeDecodeError as error:
        raise ProtocolViolation("a name that is not UTF-16") from error


def channel_bindings(application_data: bytes) -> bytes:
    """The hash of a gss_channel_bindings_struct without addresses (MS-NLMP 2.2.2.1, RFC 2744 3.11).

    `application_data` is `tls-server-end-point:` and the certificate's hash (RFC 5056, RFC 5929 4).
    """
    structure = bytes(16) + struct.pack("<I", len(application_data)) + application_data
    return md5(structure, usedforsecurity=False).digest()
