"""Sends what rules wanted to be sent: out of mailboxes' outboxes, each letter exactly once.

A letter is submitted under its entry's key, so a second attempt after a crash submits nothing. What may be sent once
in a while only is first claimed in the mailbox under the entry's key: two messages of one sender, whichever processes
look at them, give one reply, and a claim that a crash left behind is taken up by its own entry again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from postern.model.envelope import Envelope, Recipient
from postern.model.ids import NO_BLOB, ChangeNumber, DeliveryKey, MailboxId
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.model.sync import OutboxEntry
from postern.services.rules import stored
from postern.services.rules.stored import Memory, Once
from postern.store import failpoints
from postern.store.interface import Mailbox, Store

_log = logging.getLogger(__name__)
RETRY_S = 30.0
BATCH = 100
MAX_ANSWERED = 8000

Submit = Callable[[DeliveryKey, Envelope, bytes], Awaitable[object]]


class Assistant:
    """One per worker."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._submit: Submit | None = None
        self._waiting: dict[MailboxId, None] = {}
        self._event = asyncio.Event()

    def start(self, submit: Submit) -> asyncio.Task[None]:
        """Begin; `submit` is Mailflow.submit_internal."""
        self._submit = submit
        return asyncio.create_task(self.run())

    def wake(self, mailbox: MailboxId) -> None:
        """There is something in a mailbox's outbox."""
        self._waiting[mailbox] = None
        self._event.set()

    async def run(self) -> None:
        """Work for ever; what fails for now is tried again."""
        while True:
            await self._event.wait()
            self._event.clear()
            await self.settle_all()
            if self._waiting:
                await asyncio.sleep(RETRY_S)
                self._event.set()

    async def settle_all(self) -> None:
        """Once through all that waits; what could not be sent now goes on waiting."""
        mailboxes, self._waiting = list(self._waiting), {}
        for mailbox in mailboxes:
            try:
                await self.settle(mailbox)
            except Refusal as refusal:
                if refusal.reason is Reason.NO_SUCH_RECIPIENT:
                    continue
                _log.warning("outbox of mailbox %s waits: %s", mailbox, refusal)
                self._waiting[mailbox] = None
            except OSError as problem:
                _log.warning("outbox of mailbox %s waits: %s", mailbox, problem)
                self._waiting[mailbox] = None
            except Exception:
                _log.exception("outbox of mailbox %s failed", mailbox)

    async def settle(self, mailbox: MailboxId) -> int:
        """Send what waits in a mailbox; how many letters were submitted. Raises Refusal, OSError."""
        opened = await self._store.mailbox(mailbox)
        sent = 0
        while True:
            entries = [one for one in await opened.outbox(BATCH) if one.kind == stored.SEND]
            if not entries:
                return sent
            for entry in entries:
                sent += await self._settle(opened, entry)

    async def _settle(self, mailbox: Mailbox, entry: OutboxEntry) -> bool:
        assert self._submit is not None, "not started"
        letter = stored.decode_letter(entry.payload)
        failpoints.hit("rules.sending")
        if letter.once is not None and not await self._claim(mailbox, entry, letter.once):
            await mailbox.settle([entry.id])
            return False
        body = await self._store.blobs.read(entry.blob) if entry.blob != NO_BLOB else b""
        envelope = Envelope(
            letter.reverse_path,
            tuple(Recipient(address) for address in letter.recipients),
            letter.body,
            letter.smtputf8,
        )
        await self._submit(entry.key, envelope, letter.head + body)
        failpoints.hit("rules.submitted")
        await mailbox.settle([entry.id])
        failpoints.hit("rules.settled")
        return True

    async def _claim(self, mailbox: Mailbox, entry: OutboxEntry, once: Once) -> bool:
        """Whether this entry is the one that may be sent."""
        now = int(self._clock.timestamp())
        while True:
            known = await mailbox.settings(stored.ANSWERED)
            found = next((one for one in known if one.key == once.name), None)
            if found is not None:
                memory = stored.decode_memory(found.value)
                if (memory.segment, memory.record) == tuple(entry.key):
                    return True
                if memory.until > now:
                    return False
            values: dict[str, bytes | None] = {once.name: stored.encode(Memory(now + once.seconds, *entry.key))}
            if len(known) >= MAX_ANSWERED:
                old = sorted(known, key=lambda one: stored.decode_memory(one.value).until)
                values.update((one.key, None) for one in old[: MAX_ANSWERED // 4] if one.key != once.name)
            since = max((one.changed for one in known), default=ChangeNumber(0))
            try:
                await mailbox.set_settings(stored.ANSWERED, values, unchanged_since=since)
            except Refusal as refusal:
                if refusal.reason is not Reason.CONFLICT:
                    raise
                continue
            return True
