"""Works off mailboxes' outboxes: what a delivery set off is done once, whenever the process that took it in ends.

An entry is settled after its work is durable, and its work is such that doing it again changes nothing. One process
works on a mailbox at a time (`Claims`), so that what an assistant has read still holds when it writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from postern.model.ids import MailboxId
from postern.model.refusal import Reason, Refusal
from postern.model.sync import OutboxEntry
from postern.store import failpoints
from postern.store.interface import Mailbox, Store

_log = logging.getLogger(__name__)
RETRY_S = 30.0
CLAIMED_RETRY_S = 0.1
BATCH = 1000
MAX_ATTEMPTS = 5
"""Of an entry that fails with a mistake of ours; then it is given up, and the log says so."""

Handler = Callable[[Mailbox, OutboxEntry], Awaitable[None]]
"""Does the work of one entry, durably. Raises Refusal, OSError for what is to be tried again."""


class Claims(Protocol):
    """Which process works on a mailbox: store.sqlite.claims."""

    def take(self, mailbox: MailboxId) -> bool:
        """False if another one works on it."""
        ...

    def give(self, mailbox: MailboxId) -> None:
        """Done."""
        ...


class OutboxRunner:
    """One per worker."""

    def __init__(self, store: Store, claims: Claims) -> None:
        self._store = store
        self._claims = claims
        self._handlers: dict[str, Handler] = {}
        self._waiting: dict[MailboxId, float] = {}
        """When each is due, by the loop's clock."""
        self._event = asyncio.Event()
        self._failed: dict[tuple[MailboxId, int], int] = {}

    def register(self, kind: str, handler: Handler) -> None:
        """Who does entries of a kind; those of kinds that nobody does are left alone."""
        self._handlers[kind] = handler

    def wake(self, mailbox: MailboxId) -> None:
        """There is something in a mailbox's outbox."""
        self._waiting.setdefault(mailbox, 0.0)
        self._event.set()

    def start(self) -> asyncio.Task[None]:
        """Begin."""
        return asyncio.create_task(self.run())

    async def run(self) -> None:
        """Work for ever; what fails for now is tried again, and nothing else waits for it."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            await self._through([mailbox for mailbox, due in self._waiting.items() if due <= now])
            due = min(self._waiting.values(), default=None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._event.wait()
            self._event.clear()

    async def settle_all(self) -> None:
        """Once through all that waits, also what is to be tried again later."""
        await self._through(list(self._waiting))

    async def _through(self, mailboxes: Sequence[MailboxId]) -> None:
        loop = asyncio.get_running_loop()
        for mailbox in mailboxes:
            self._waiting.pop(mailbox, None)
            if not self._claims.take(mailbox):
                self._waiting[mailbox] = loop.time() + CLAIMED_RETRY_S
                continue
            try:
                await self._settle(mailbox)
            except (Refusal, OSError) as problem:
                if isinstance(problem, Refusal) and problem.reason is Reason.NO_SUCH_RECIPIENT:
                    continue
                _log.warning("outbox of mailbox %s waits: %s", mailbox, problem)
                self._waiting[mailbox] = loop.time() + RETRY_S
            finally:
                self._claims.give(mailbox)

    async def _settle(self, mailbox: MailboxId) -> None:
        opened = await self._store.mailbox(mailbox)
        while True:
            entries = [entry for entry in await opened.outbox(BATCH) if entry.kind in self._handlers]
            if not entries:
                return
            for entry in entries:
                await self._work(opened, entry)
                await opened.settle([entry.id])
                failpoints.hit("assistants.settled")

    async def _work(self, mailbox: Mailbox, entry: OutboxEntry) -> None:
        failpoints.hit("assistants.begun")
        try:
            await self._handlers[entry.kind](mailbox, entry)
        except Refusal as refusal:
            if refusal.reason.temporary:
                raise
            # it can not be done, today or tomorrow: the mail itself is in the mailbox
            _log.warning("%s of item %d in mailbox %s: %s", entry.kind, entry.item, mailbox.id, refusal)
        except OSError:
            raise
        except Exception as mistake:
            key = (mailbox.id, entry.id)
            self._failed[key] = self._failed.get(key, 0) + 1
            _log.exception("%s of item %d in mailbox %s failed", entry.kind, entry.item, mailbox.id)
            if self._failed[key] < MAX_ATTEMPTS:
                raise Refusal(Reason.TRY_LATER, f"{entry.kind} failed") from mistake
            del self._failed[key]
        failpoints.hit("assistants.done")
