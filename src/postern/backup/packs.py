"""Pack files: chunks one behind the other, each with a head of its own, and a list beside them.

    pack   magic "PSTNPAK1"; per chunk: name (32 octets), stored length u32, raw length u32, flags u8, 3 zero octets,
           CRC of the head u32; then the stored octets
    list   magic "PSTNPIX1", entries u32, CRC u32; per chunk: name, offset of the stored octets u64, stored length u32,
           raw length u32, flags u8

A list that is missing or damaged is made anew from the pack, as far as the pack is whole. Both are written under a
temporary name, synced and renamed, the pack first: a pack without a list is complete.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

PACK_BYTES = 64 << 20
"""A pack is finished by the chunk that reaches it."""
PACK_MAGIC = b"PSTNPAK1"
LIST_MAGIC = b"PSTNPIX1"
COMPRESSED = 1
_HEAD = struct.Struct("<32sIIB3xI")
_LIST_HEAD = struct.Struct("<8sII")
_LIST_ENTRY = struct.Struct("<32sQIIB")
MAX_STORED_BYTES = 8 << 20
"""No chunk is longer: a damaged length costs no memory."""


class Place(NamedTuple):
    """Where a chunk is."""

    name: bytes
    offset: int
    stored_bytes: int
    raw_bytes: int
    flags: int


def sync_directory(path: Path) -> None:
    """Make names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """A whole file or none. Raises OSError."""
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb", buffering=0) as file:
        view = memoryview(content)
        while view:
            view = view[file.write(view) :]
        os.fdatasync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def pack_path(directory: Path, pack: str) -> Path:
    """A pack's file."""
    return directory / f"{pack}.pack"


def list_path(directory: Path, pack: str) -> Path:
    """The list beside it."""
    return directory / f"{pack}.idx"


class PackWriter:
    """A pack that is being written."""

    def __init__(self, directory: Path, pack: str) -> None:
        self.pack = pack
        self._directory = directory
        self._temporary = directory / f"{pack}.pack.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self._temporary, flags, 0o600)
        self.size_bytes = os.write(self._descriptor, PACK_MAGIC)
        self.places: list[Place] = []

    def add(self, name: bytes, stored: bytes | memoryview, raw_bytes: int, flags: int) -> Place:
        """Put a chunk at the end. Raises OSError."""
        head = _HEAD.pack(name, len(stored), raw_bytes, flags, 0)[:-4]
        head += crc32(head).to_bytes(4, "little")
        wanted = len(head) + len(stored)
        written = os.writev(self._descriptor, [head, stored])
        while written < wanted:
            written += os.write(self._descriptor, (head + bytes(stored))[written:])
        place = Place(name, self.size_bytes + len(head), len(stored), raw_bytes, flags)
        self.size_bytes += wanted
        self.places.append(place)
        return place

    def finish(self) -> None:
        """Durable on return. Raises OSError."""
        os.fdatasync(self._descriptor)
        os.close(self._descriptor)
        self._temporary.replace(pack_path(self._directory, self.pack))
        sync_directory(self._directory)
        write_list(self._directory, self.pack, self.places)

    def abandon(self) -> None:
        """Leave nothing behind."""
        os.close(self._descriptor)
        self._temporary.unlink(missing_ok=True)


def write_list(directory: Path, pack: str, places: list[Place]) -> None:
    """Durable on return. Raises OSError."""
    body = b"".join(_LIST_ENTRY.pack(*place) for place in places)
    write_durably(list_path(directory, pack), _LIST_HEAD.pack(LIST_MAGIC, len(places), crc32(body)) + body)


def read_list(directory: Path, pack: str) -> list[Place] | None:
    """What is in a pack by the list beside it; None if there is none that is whole."""
    try:
        data = list_path(directory, pack).read_bytes()
    except FileNotFoundError:
        return None
    if len(data) < _LIST_HEAD.size:
        return None
    magic, count, checksum = _LIST_HEAD.unpack_from(data)
    body = data[_LIST_HEAD.size :]
    if magic != LIST_MAGIC or len(body) != count * _LIST_ENTRY.size or crc32(body) != checksum:
        return None
    return [Place(*entry) for entry in _LIST_ENTRY.iter_unpack(body)]


def scan_pack(path: Path) -> Iterator[Place]:
    """What is in a pack by itself; behind a damaged head the next whole one is looked for. Raises OSError."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        offset = len(PACK_MAGIC)
        while offset + _HEAD.size <= size:
            head = os.pread(file.fileno(), _HEAD.size, offset)
            found = _head(head)
            if found is None:
                offset = _resynchronise(file.fileno(), offset + 1, size)
                continue
            name, stored, raw, flags = found
            start = offset + _HEAD.size
            if start + stored <= size:
                yield Place(name, start, stored, raw, flags)
            offset = start + stored


def head_is(descriptor: int, place: Place) -> bool:
    """Whether a chunk's head says what the list beside the pack says: who has lost the list has only heads."""
    name, offset, *sizes = place
    return _head(os.pread(descriptor, _HEAD.size, offset - _HEAD.size)) == (name, *sizes)


def _head(head: bytes) -> tuple[bytes, int, int, int] | None:
    if len(head) < _HEAD.size:
        return None
    name, stored, raw, flags, checksum = _HEAD.unpack(head)
    if checksum != crc32(head[:-4]) or stored > MAX_STORED_BYTES or raw > MAX_STORED_BYTES:
        return None
    return name, stored, raw, flags


def _resynchronise(descriptor: int, offset: int, size: int) -> int:
    """The next offset at which a head is whole; `size` if there is none. Heads have three zero octets to look for."""
    zeros = _HEAD.size - 7
    while offset + _HEAD.size <= size:
        window = os.pread(descriptor, 1 << 20, offset)
        position = window.find(b"\0\0\0", zeros)
        while position != -1 and position - zeros + _HEAD.size <= len(window):
            start = position - zeros
            if _head(window[start : start + _HEAD.size]) is not None:
                return offset + start
            position = window.find(b"\0\0\0", position + 1)
        offset += max(len(window) - _HEAD.size + 1, 1)
    return size
