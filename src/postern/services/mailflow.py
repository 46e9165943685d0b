"""The way of a message from a front end to where it goes: journal, categorizer, mailboxes and queue.

Nothing is answered before its record is synced, nothing is applied before either. What is applied is remembered under
the record's key by whatever it was applied to, so that a replay does it again without doing it twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from postern.directory.interface import Directory
from postern.model.envelope import Envelope, Peer
from postern.model.ids import BlobRef, DeliveryKey, FolderId, MailboxId
from postern.model.items import Placement
from postern.model.ports import Clock
from postern.services.accepted import (
    NOTHING_BESIDE,
    Accepted,
    AcceptHeader,
    AppendHeader,
    Beside,
    encode,
)
from postern.services.admission import Admission, Route
from postern.services.appending import Appending
from postern.services.applying import Applier
from postern.services.authorship import check_author
from postern.services.local_delivery import Wakes
from postern.services.mailflow_settings import MailflowSettings
from postern.services.permissions import Permissions
from postern.services.principal import Principal
from postern.services.replaying import DurableStore, MarkKeeper, Replayer
from postern.services.rules.at_delivery import AtDelivery
from postern.services.scanning import SCAN_IN_THREAD_BYTES
from postern.store import failpoints
from postern.store.journal.records import Kind
from postern.store.journal.writer import Journal
from postern.transport.loops import check_loop
from postern.transport.outcomes import queue_id
from postern.transport.queue import QueueStore
from postern.transport.tracking import Tracker

T = TypeVar("T")


class Mailflow:
    """One per worker."""

    def __init__(  # noqa: PLR0913, PLR0917 - everything meets here
        self,
        journal: Journal,
        store: DurableStore,
        directory: Directory,
        queue: QueueStore,
        tracker: Tracker,
        clock: Clock,
        on_failure: Callable[[Exception], None],
        settings: MailflowSettings,
        rules: AtDelivery | None = None,
        assistants: Wakes | None = None,
    ) -> None:
        """`on_failure` has to end the process: a disk did not sync, or a record could not be applied."""
        self._journal = journal
        self._store = store
        self._clock = clock
        self._settings = settings
        self._admission = Admission(directory, store, clock)
        self._permissions = Permissions(directory)
        self._applier = Applier(store, directory, queue, tracker, settings, on_failure, rules, assistants)
        self._appending = Appending(journal, store, self._applier.spawn)
        self._marks = MarkKeeper(store, queue)
        self._replayer = Replayer(journal, store, self._applier, self._marks, clock, on_failure)

    # --- life
    def start(self) -> None:
        """Begin to deliver and to move the mark."""
        self._applier.start()
        self._applier.spawn(self._keep_mark())

    async def close(self) -> None:
        """Apply what was accepted, seal the journal and stop. Front ends have stopped before.

        What cannot be applied in time stays in the journal for the next start.
        """
        await self._journal.drained()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._journal.all_applied(), self._settings.close_s)
        await self._applier.stop()
        await self._marks.close(self._journal)

    async def replay(self, journal: int) -> int:
        """Apply what a journal without an owner still holds; how many messages. Raises JournalInUseError."""
        return await self._replayer.replay(journal)

    async def advance_mark(self) -> None:
        """Move the low-water mark now; done regularly by itself."""
        await self._marks.advance(self._journal)

    async def _keep_mark(self) -> None:
        while True:
            await asyncio.sleep(self._settings.mark_interval_s)
            await self._marks.advance(self._journal)

    @property
    def outstanding(self) -> int:
        """Messages that are accepted and not applied; for metrics and back pressure."""
        return self._journal.outstanding

    # --- what front ends ask
    async def check_sender(self, reverse_path: str, principal: Principal | None, peer: Peer) -> None:
        """MAIL FROM. Raises Refusal(SENDER_NOT_ALLOWED, OVER_QUOTA, TRY_LATER)."""
        await self._admission.check_sender(reverse_path, principal)

    async def check_limits(self, principal: Principal, octets: int, recipients: int) -> None:
        """DATA: whether the sender's policy allows such a message. Raises Refusal(TOO_LARGE, TOO_MANY)."""
        await self._admission.check_limits(principal, octets, recipients)

    async def check_author(self, content: bytes, principal: Principal) -> bytes:
        """DATA: whether somebody may write in the name that From has; the message as it may be sent.

        Raises Refusal(SENDER_NOT_ALLOWED).
        """
        return await check_author(self._permissions, principal, content)

    async def check_recipient(
        self, address: str, principal: Principal | None, peer: Peer, size: int, *, may_relay: bool = False
    ) -> Route:
        """RCPT TO: who that is. `size` in octets, 0 if unknown; `may_relay`: the connector lets anonymous peers relay.

        Raises Refusal(NO_SUCH_RECIPIENT, RELAY_DENIED, NOT_PERMITTED, OVER_QUOTA, TRY_LATER).
        """
        return await self._admission.check_recipient(address, principal, size, may_relay=may_relay)

    async def submit(
        self,
        envelope: Envelope,
        peer: Peer,
        routes: Sequence[Route],
        content: bytes,
        key: DeliveryKey | None = None,
    ) -> str:
        """Take responsibility for a message; its queue id. Returns when that survives a power cut.

        `routes` are those of `envelope.recipients`; `key`: what is submitted under it twice is delivered once. Raises
        Refusal(LOOP, DISK_FULL, READ_ONLY, SHUTTING_DOWN).
        """
        check_loop(content, self._settings.host_name, self._settings.max_received)
        await self._applier.room(self._settings.backlog_bytes)
        outcomes = self._admission.plain_outcomes(envelope, routes)
        kind = Kind.ACCEPT if key is None else Kind.INTERNAL
        ref = await self._accept(kind, AcceptHeader(envelope, self._clock.timestamp(), peer, outcomes, key), content)
        return queue_id(key or DeliveryKey(*ref))

    async def submit_internal(self, key: DeliveryKey, envelope: Envelope, content: bytes) -> str:
        """Submit a message that Postern wrote, under its origin key: twice is once. Raises as `submit`."""
        await self._applier.room(self._settings.backlog_bytes)
        await self._accept(Kind.INTERNAL, AcceptHeader(envelope, self._clock.timestamp(), key=key), content)
        return queue_id(key)

    async def append(
        self,
        mailbox: MailboxId,
        folder: FolderId,
        content: bytes,
        flags: int,
        keywords: Sequence[str],
        received_at: int | None,
        beside: Beside = NOTHING_BESIDE,
    ) -> Placement:
        """Put a message into a folder; returns when message and UID survive a power cut.

        `beside`: properties that come with it, or the item that it replaces. Permissions are the caller's business.
        Raises the store's refusals, and those of `submit`.
        """
        when = int(self._clock.timestamp()) if received_at is None else received_at
        # an item's new body has the item's place, and what is read in a thread comes later than what follows
        plain = beside is NOTHING_BESIDE and len(content) <= SCAN_IN_THREAD_BYTES
        ahead = self._appending.ahead(mailbox, folder) if plain else None
        header = AppendHeader(mailbox, folder, flags, tuple(keywords), when, beside, ahead)
        # not in this coroutine: a client that goes away must not leave a record that nobody applies
        return await self._appending.append(header, content)

    async def keep(
        self, mailbox: MailboxId, streams: Sequence[bytes], use: Callable[[Sequence[BlobRef]], Awaitable[T]]
    ) -> T:
        """Append streams, let `use` commit to a mailbox what refers to them; returns when both survive a power cut.

        Raises what `use` raises, and as `submit`. A replay does nothing with a stream that nobody came to refer to.
        """
        return await asyncio.shield(self._applier.spawn(self._keep(mailbox, streams, use)))

    # --- behind them
    async def _keep(
        self, mailbox: MailboxId, streams: Sequence[bytes], use: Callable[[Sequence[BlobRef]], Awaitable[T]]
    ) -> T:
        written = await asyncio.gather(
            *(self._journal.append(Kind.STREAM, b"", stream) for stream in streams), return_exceptions=True
        )
        refs = [ref for ref in written if isinstance(ref, BlobRef)]
        try:
            for failed in written:
                if isinstance(failed, BaseException):
                    raise failed
            failpoints.hit("keep.streams")
            result = await use(refs)
            await (await self._store.mailbox(mailbox)).durable()
            failpoints.hit("keep.committed")
            return result
        finally:
            # until here nothing collects them
            for ref in refs:
                self._journal.applied(ref)

    async def _accept(self, kind: Kind, header: AcceptHeader, content: bytes) -> BlobRef:
        answer: asyncio.Future[BlobRef] = asyncio.get_running_loop().create_future()
        durable = self._journal.append(kind, encode(header), content)
        # not in this coroutine: its connection may go away before the record is synced
        durable.add_done_callback(partial(self._accepted, header, content, answer))
        return await answer

    def _accepted(
        self,
        header: AcceptHeader,
        content: bytes,
        answer: asyncio.Future[BlobRef],
        durable: asyncio.Future[BlobRef],
    ) -> None:
        if durable.cancelled():
            answer.cancel()
            return
        if (error := durable.exception()) is not None:
            if not answer.done():
                answer.set_exception(error)
            return
        ref = durable.result()
        failpoints.hit("mailflow.accepted")
        self._applier.apply(Accepted(self._journal, ref, header, content, header.outcomes))
        if not answer.done():
            answer.set_result(ref)


__all__ = ["Mailflow", "MailflowSettings", "Principal", "Route"]
