"""Disk space kept back, so that deleting works on a full disk."""

from __future__ import annotations

import os
from pathlib import Path

RESERVE_FILE = "reserve"
"""In the data directory."""
RESERVE_BYTES = 16 * 1024 * 1024
_LEAST_BYTES = 256 * 1024
"""Less helps no deletion."""


class Reserve:
    """One preallocated file in the data directory, shared by all workers.

    It is given up when a deletion meets a full disk, and what is left of it is taken back afterwards. Otherwise it
    grows to at most half of what is free: on a small or nearly full disk there is a smaller one rather than none.
    """

    def __init__(self, path: Path, size_bytes: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size_bytes
        self._given_up = 0

    def ensure(self) -> bool:
        """Allocate what there is room for; whether all of it is there. Blocks; for start-up and threads."""
        return self._allocate(0)

    def take_back(self) -> bool:
        """After the deletion: before anybody else uses what it has left. Blocks."""
        given, self._given_up = self._given_up, 0
        return self._allocate(given)

    def _allocate(self, owed: int) -> bool:
        try:
            held = self._path.stat().st_blocks * 512 if self._path.exists() else 0
            if held >= self._size:
                return True
            space = os.statvfs(self._path.parent)
            room = held + space.f_bavail * space.f_frsize
            wanted = min(self._size, max(room // 2, min(owed, room)))
            if wanted < held + _LEAST_BYTES and wanted < self._size:
                return False
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(fd, 0, wanted)
            finally:
                os.close(fd)
        except OSError:
            return False  # a full or read-only disk: the operation at hand reports it
        return wanted == self._size

    def release(self) -> bool:
        """Free the space; whether there was any to free."""
        try:
            held = self._path.stat().st_blocks * 512
            if held == 0:
                return False
            os.truncate(self._path, 0)
            self._given_up = held
        except OSError:
            return False
        return True
