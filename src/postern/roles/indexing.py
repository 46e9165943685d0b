"""Following mailboxes that somebody searches: new mail goes into their search files, gone mail out of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from postern.model.ids import MailboxId
from postern.model.refusal import Reason, Refusal
from postern.roles.document_reading import DocumentReader
from postern.roles.parts import Parts
from postern.telemetry.log import logger

LOOK_EVERY_S = 1.0
QUIET_S = 2.0
ATTACHMENTS_S = 30.0
"""How long attachments of one mailbox are read before the next mailbox has its turn."""
CLEAN_EVERY_S = 24 * 3600.0


class Indexing:
    """Of the background process."""

    def __init__(self, parts: Parts, process: str) -> None:
        self._parts = parts
        self._log = logger(process=process)
        self._slots: dict[MailboxId, int] = {}
        self._done: dict[MailboxId, int] = {}
        """Change numbers up to which mailboxes have been looked at."""
        self._cleaned: dict[MailboxId, float] = {}
        self._documents = DocumentReader()

    async def look(self) -> None:
        """Index every mailbox that has changed since the last time, one after another."""
        for mailbox in await self._mailboxes():
            slot = await self._slot(mailbox)
            if slot is None:
                continue
            current = self._parts.bus.current(slot)
            if self._done.get(mailbox, -1) == current and current:
                continue
            if not await asyncio.to_thread(self._is_quiet, mailbox):
                continue  # a search is filling the file: two at it would only wait for each other
            try:
                count = await self._parts.store.index_mailbox(mailbox)
                await self._clean(mailbox)
                if await self._read_attachments(mailbox):
                    current = -1  # the others first, then it goes on here
            except Refusal as refusal:
                self._log.warning("index.skipped", mailbox=mailbox, reason=str(refusal))
                if refusal.reason is Reason.NO_SUCH_RECIPIENT:
                    self._slots.pop(mailbox, None)
                count = 0
            self._done[mailbox] = current
            if count:
                self._log.info("index.grown", mailbox=mailbox, messages=count)
        await self._documents.close()

    async def _read_attachments(self, mailbox: MailboxId) -> bool:
        """Whether some are left for the next time."""
        done = await self._parts.store.read_attachments(mailbox, self._documents.read, ATTACHMENTS_S)
        if done.read or done.failed:
            self._log.info("index.attachments", mailbox=mailbox, read=done.read, unreadable=done.failed)
            await self._parts.store.index_mailbox(mailbox)
        return done.more

    async def _clean(self, mailbox: MailboxId) -> None:
        now = self._parts.clock.monotonic()
        if now - self._cleaned.setdefault(mailbox, now) >= CLEAN_EVERY_S:
            self._cleaned[mailbox] = now
            await self._parts.store.clean_search_file(mailbox)

    def _is_quiet(self, mailbox: MailboxId) -> bool:
        changed = self._parts.store.search_file_changed_at(mailbox)
        return changed is None or not 0 <= self._parts.clock.timestamp() - changed < QUIET_S

    async def _mailboxes(self) -> list[MailboxId]:
        if self._parts.settings.search.index == "all":
            return [one.mailbox for one in await self._parts.directory.accounts() if one.mailbox is not None]
        return await asyncio.to_thread(_searched, self._parts.data / "search")

    async def _slot(self, mailbox: MailboxId) -> int | None:
        slot = self._slots.get(mailbox)
        if slot is None:
            account = await self._parts.directory.account_of(mailbox)
            if account is None or not self._parts.store.path(mailbox).exists():
                return None
            slot = self._slots[mailbox] = account.slot
        return slot


def _searched(root: Path) -> list[MailboxId]:
    return sorted(MailboxId(path.stem) for path in root.glob("??/" + "[0-9a-f]" * 32 + ".db"))
