"""Disk space kept back, so that deleting works on a full disk."""

from __future__ import annotations

import os
from pathlib import Path

RESERVE_BYTES = 16 * 1024 * 1024
_HEADROOM = 4


class Reserve:
    """One preallocated file in the data directory, shared by all workers.

    It is given up when a deletion meets a full disk, and taken back when there is room for it several times over.
    """

    def __init__(self, path: Path, size_bytes: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size_bytes

    def ensure(self) -> bool:
        """Allocate the file if there is plenty of room; whether it is there. Blocks; for start-up and threads."""
        try:
            if self._path.exists() and self._path.stat().st_blocks * 512 >= self._size:
                return True
            space = os.statvfs(self._path.parent)
            if space.f_bavail * space.f_frsize < _HEADROOM * self._size:
                return False
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(fd, 0, self._size)
            finally:
                os.close(fd)
        except OSError:
            return False  # a full or read-only disk: the operation at hand reports it
        return True

    def release(self) -> bool:
        """Free the space; whether there was any to free."""
        try:
            if self._path.stat().st_blocks == 0:
                return False
            os.truncate(self._path, 0)
        except OSError:
            return False
        return True
