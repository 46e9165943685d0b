"""Exclusive access to POP3 maildrops over all workers: byte-range locks that the kernel drops with their process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path


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

    def close(self) -> None:
        """Give all locks up."""
        os.close(self._descriptor)
