"""Whose mailboxes have push subscriptions: a file each, so that a start need not ask every mailbox."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from postern.model.ids import MailboxId

_LENGTH = 32


class PushRegister:
    """Of a data directory; every process may have one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def add(self, mailbox: MailboxId) -> None:
        """Durable on return. Raises OSError."""
        await asyncio.to_thread(self._add, mailbox)

    async def remove(self, mailbox: MailboxId) -> None:
        """It may come back after a power cut, and is found to be empty then."""
        await asyncio.to_thread((self._folder / mailbox).unlink, missing_ok=True)

    async def all(self) -> list[MailboxId]:
        """As it is now."""
        return await asyncio.to_thread(self._all)

    def _add(self, mailbox: MailboxId) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self._folder / mailbox, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        for place in (self._folder, self._folder.parent):
            held = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(held)
            finally:
                os.close(held)

    def _all(self) -> list[MailboxId]:
        try:
            names = [place.name for place in self._folder.iterdir()]
        except FileNotFoundError:
            return []
        return sorted(MailboxId(name) for name in names if len(name) == _LENGTH and name.isalnum())
