"""Exclusive access to POP3 maildrops over all workers, and when each was last used.

A mailbox has a byte of the file to lock, which the kernel drops with its process, and eight octets of content: the
machine's monotonic clock when its last session began.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Callable
from pathlib import Path

_BEGAN = struct.Struct("<d")


class MaildropLocks:
    """One per process. The locks are the process's, so that the file may be opened only here."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._held: set[int] = set()

    def acquire(self, slot: int) -> Callable[[], None] | None:
        """Take a mailbox's lock by its bus slot; the way to release it, or None if somebody has it."""
        if slot in self._held:
            return None
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, slot)
        except (BlockingIOError, PermissionError):
            return None
        self._held.add(slot)

        def release() -> None:
            if slot in self._held:
                self._held.discard(slot)
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, slot)

        return release

    def wait_s(self, slot: int, now: float, delay_s: float) -> float:
        """Seconds until a session may begin `delay_s` after the last; 0: it begins now, which is noted.

        To be asked by who has the lock. `now` is of the monotonic clock; a time from before the machine's last start
        means nothing, or makes somebody wait once.
        """
        noted = os.pread(self._descriptor, _BEGAN.size, slot * _BEGAN.size)
        if len(noted) == _BEGAN.size:
            (before,) = _BEGAN.unpack(noted)
            if 0.0 < before <= now < before + delay_s:
                return float(before + delay_s - now)
        with contextlib.suppress(OSError):  # a full disk keeps nobody from reading mail
            os.pwrite(self._descriptor, _BEGAN.pack(now), slot * _BEGAN.size)
        return 0.0

    def close(self) -> None:
        """Give all locks up."""
        os.close(self._descriptor)
