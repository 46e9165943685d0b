"""The low-water mark of a journal: everything below it is applied, and what it was applied to is synced.

The file has two slots that are written in turn, so that a torn write leaves the older mark: a mark must never fall back
once applied keys below it were forgotten. A lock on the file says that the journal has a living owner.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from postern.store.journal.files import Files
from postern.store.journal.layout import journals, mark_path

_SLOT = struct.Struct("<8sQQIII")
_MAGIC = b"PSTNMRK1"
_SLOT_DISTANCE = 512


class MarkState(NamedTuple):
    """What a mark says."""

    segment: int
    record: int
    """The first record of `segment` that may not be applied yet."""
    closed: bool
    """Everything is applied and nothing will come: the journal needs no replay."""


class JournalInUseError(Exception):
    """The journal has a living owner."""


class Mark:
    """A journal's mark, open and locked."""

    def __init__(self, descriptor: int, files: Files, sequence: int, state: MarkState) -> None:
        self._descriptor = descriptor
        self._files = files
        self._sequence = sequence
        self.state = state

    @classmethod
    def create(cls, directory: Path, journal: int, files: Files) -> Mark:
        """Make a new journal's mark, durable on return: before any segment, or the journal would not be replayed."""
        descriptor = files.create(mark_path(directory, journal))
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mark = cls(descriptor, files, 0, MarkState(0, 0, closed=False))
        mark.write(mark.state)
        files.sync_directory(directory)
        return mark

    @classmethod
    def take(cls, directory: Path, journal: int, files: Files) -> Mark:
        """Lock and read the mark of a journal that somebody left. Raises JournalInUseError, FileNotFoundError."""
        descriptor = files.open(mark_path(directory, journal))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            files.close(descriptor)
            raise JournalInUseError(f"journal {journal:x}") from None
        sequence, state = _decode(os.pread(descriptor, 2 * _SLOT_DISTANCE, 0))
        return cls(descriptor, files, sequence, state)

    def write(self, state: MarkState) -> None:
        """Put a new mark; durable on return. Blocks."""
        self._sequence += 1
        slot = _SLOT.pack(_MAGIC, self._sequence, state.segment, state.record, state.closed, 0)[:-4]
        offset = self._sequence % 2 * _SLOT_DISTANCE
        self._files.write(self._descriptor, [slot + crc32(slot).to_bytes(4, "little")], offset)
        self._files.sync(self._descriptor)
        self.state = state

    def release(self) -> None:
        """Give the lock up."""
        self._files.close(self._descriptor)


def _decode(data: bytes) -> tuple[int, MarkState]:
    best = 0, MarkState(0, 0, closed=False)
    for offset in (0, _SLOT_DISTANCE):
        slot = data[offset : offset + _SLOT.size]
        if len(slot) < _SLOT.size or slot[:8] != _MAGIC:
            continue
        _, sequence, segment, record, closed, checksum = _SLOT.unpack(slot)
        if checksum == crc32(slot[:-4]) and sequence > best[0]:
            best = sequence, MarkState(segment, record, bool(closed))
    return best


def read_mark(directory: Path, journal: int) -> MarkState:
    """A journal's mark without taking it. A journal without one is closed: marks come before segments."""
    try:
        return _decode(mark_path(directory, journal).read_bytes())[1]
    except FileNotFoundError:
        return MarkState(0, 0, closed=True)


def orphans(directory: Path) -> list[int]:
    """Journals that are neither closed nor owned by a living process: to be replayed."""
    return [
        journal
        for journal in (journals(directory) if directory.is_dir() else [])
        if not read_mark(directory, journal).closed and not _is_locked(mark_path(directory, journal))
    ]


def _is_locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
