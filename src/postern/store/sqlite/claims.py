"""Which process works on a mailbox's outbox: an octet of a lock file each, let go however a process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from postern.model.ids import MailboxId


class Claims:
    """One per process: the locks of a file belong to the process, and end with its first close of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._held: set[MailboxId] = set()

    def take(self, mailbox: MailboxId) -> bool:
        """False if somebody works on it. Raises OSError."""
        if mailbox in self._held:
            return False
        if self._fd < 0:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(mailbox))
        except (BlockingIOError, PermissionError):
            return False
        self._held.add(mailbox)
        return True

    def give(self, mailbox: MailboxId) -> None:
        """Let it go."""
        if mailbox in self._held:
            self._held.discard(mailbox)
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _place(mailbox))

    def close(self) -> None:
        """Let all go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._held.clear()


def _place(mailbox: MailboxId) -> int:
    """Two mailboxes of one place wait for each other now and then, and that is all."""
    return int(mailbox[:15], 16)
