"""Sends what rules wanted to be sent: out of mailboxes' outboxes, each letter exactly once.

A letter is submitted under its entry's key, so a second attempt after a crash submits nothing. What may be sent once
in a while only is first claimed in the mailbox under the entry's key: two messages of one sender, whichever processes
look at them, give one reply, and a claim that a crash left behind is taken up by its own entry again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from postern.model.envelope import Envelope, Recipient
from postern.model.ids import NO_BLOB, ChangeNumber, DeliveryKey
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.model.sync import OutboxEntry
from postern.services.rules import stored
from postern.services.rules.stored import Memory, Once
from postern.store import failpoints
from postern.store.interface import Mailbox, Store

MAX_ANSWERED = 8000

Submit = Callable[[DeliveryKey, Envelope, bytes], Awaitable[object]]


class LetterSender:
    """Handles entries of kind `stored.SEND` for services.assistants.runner."""

    def __init__(self, store: Store, clock: Clock, submit: Submit) -> None:
        """`submit` is Mailflow.submit_internal."""
        self._store = store
        self._clock = clock
        self.submit = submit

    async def handle(self, mailbox: Mailbox, entry: OutboxEntry) -> None:
        """Send one letter, if it may be sent. Raises Refusal, OSError."""
        letter = stored.decode_letter(entry.payload)
        failpoints.hit("rules.sending")
        if letter.once is not None and not await self._claim(mailbox, entry, letter.once):
            return
        body = await self._store.blobs.read(entry.blob) if entry.blob != NO_BLOB else b""
        envelope = Envelope(
            letter.reverse_path,
            tuple(Recipient(address) for address in letter.recipients),
            letter.body,
            letter.smtputf8,
        )
        await self.submit(entry.key, envelope, letter.head + body)
        failpoints.hit("rules.submitted")

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
                if now < memory.until <= now + once.seconds:  # a later one was noted while the clock was ahead
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
