"""Compressed files of an offline address book: whole ones (MS-OXOAB 2.11) and differences (MS-OXOAB 2.10)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from postern.formats.oab.lzx import compress

BLOCK_BYTES = 0x40000
"""Largest block, compressed or not; clients reserve so much."""
_TARGET_BYTES = 0x20000
"""Octets of a target block in a difference file: its source may be larger by what was removed."""


def checksum(data: bytes) -> int:
    """CRC-32 with all bits set at the beginning and not inverted at the end (MS-OXOAB 2.9.1)."""
    return zlib.crc32(data) ^ 0xFFFFFFFF


def full(data: bytes) -> bytes:
    """A whole file. Every block is LZX: Outlook takes no others, whatever their flag says."""
    found = [struct.pack("<4I", 3, 1, BLOCK_BYTES, len(data))]
    for begin in range(0, len(data), BLOCK_BYTES):
        block = data[begin : begin + BLOCK_BYTES]
        packed = compress(block)
        found += [struct.pack("<4I", 1, len(packed), len(block), checksum(block)), packed]
    return b"".join(found)


def difference(source: Sequence[bytes], target: Sequence[bytes]) -> bytes:
    """What makes the target of the source; both are records in one order, as `details.split` gives them.

    Each block takes the next part of the source and makes the next part of the target of it. Where a part ends is
    decided by a record that both have, so that insertions and removals do not pull them apart.
    """
    old, new = b"".join(source), b"".join(target)
    places: dict[bytes, int] = {}
    at = 0
    for record in source:
        at += len(record)
        places[record] = at
    found = [
        struct.pack("<7I", 3, 2, BLOCK_BYTES, len(old), len(new), checksum(old), checksum(new)),
    ]
    used = made = end = here = 0
    for number, record in enumerate(target, 1):
        end += len(record)
        here = max(here, min(places.get(record, 0), used + BLOCK_BYTES))
        following = len(target[number]) if number < len(target) else BLOCK_BYTES
        if end - made + following <= _TARGET_BYTES:
            continue
        if number == len(target):
            here = min(len(old), used + BLOCK_BYTES)
        found += _blocks(old[used:here] if here > used else b"", new[made:end])
        used, made = max(used, here), end
    return b"".join(found)


def _blocks(source: bytes, target: bytes) -> list[bytes]:
    """One block, or several where a single record is larger than one may be."""
    found = []
    for begin in range(0, len(target), BLOCK_BYTES):
        piece = target[begin : begin + BLOCK_BYTES]
        packed = compress(piece, source)
        found += [struct.pack("<4I", len(packed), len(piece), len(source), checksum(piece)), packed]
        source = b""
    return found
