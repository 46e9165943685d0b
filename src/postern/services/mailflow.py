"""The way of a message from a front end to where it goes: journal, categorizer, mailboxes and queue.

Nothing is answered before its record is synced, nothing is applied before either. What is applied is remembered under the
record's key by whatever it was applied to, so that a replay does it again without doing it twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec

from postern.directory.interface import Directory
from postern.model.envelope import Envelope, Peer
from postern.model.ids import BlobRef, DeliveryKey, FolderId, MailboxId
from postern.model.items import Placement
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.model.transfer import LocalCopy
from postern.services.accepted import (
    Accepted,
    AcceptHeader,
    AppendHeader,
    AssignedHeader,
    decode_accept,
    decode_append,
    decode_assigned,
    encode,
)
from postern.services.admission import Admission, Route
from postern.services.authentication import Principal
from postern.services.flow_ports import DurableStore, TransferQueue
from postern.services.local_delivery import LocalDelivery, appended_item, stored_content
from postern.store import failpoints
from postern.store.interface import Delivery
from postern.store.journal.collect import finished_segments
from postern.store.journal.files import Files
from postern.store.journal.marks import MarkState
from postern.store.journal.records import Kind
from postern.store.journal.replay import Orphan, Pending, about, continue_journal, take_orphan
from postern.store.journal.writer import Journal
from postern.transport.categorizer import categorize
from postern.transport.loops import check_loop
from postern.transport.outcomes import AnyOutcome, Deliver, Expand, Fail, queue_id
from postern.transport.outcomes import decode as decode_outcomes
from postern.transport.outcomes import encode as encode_outcomes
from postern.transport.tracking import Tracker


class MailflowSettings(msgspec.Struct, frozen=True):
    """Names and limits."""

    host_name: str
    """In Received lines."""
    backlog_bytes: int = 64 << 20
    """Accepted and not applied, in memory; above, senders wait."""
    mark_interval_s: float = 30.0
    """How often the low-water mark moves; bounds how much a replay has to look at."""
    retry_s: float = 5.0
    """After how long something is tried again that neither mailbox nor queue could take."""


class Mailflow:
    """One per worker."""

    def __init__(  # noqa: PLR0913 - everything meets here
        self,
        journal: Journal,
        store: DurableStore,
        directory: Directory,
        queue: TransferQueue,
        tracker: Tracker,
        clock: Clock,
        on_failure: Callable[[OSError], None],
        settings: MailflowSettings,
    ) -> None:
        """`on_failure` ends the process: it is called when a replayed journal's disk fails."""
        self._journal = journal
        self._store = store
        self._directory = directory
        self._queue = queue
        self._tracker = tracker
        self._clock = clock
        self._on_failure = on_failure
        self._settings = settings
        self._admission = Admission(directory, store, clock)
        self._local = LocalDelivery(store, tracker, settings.host_name, self._unable)
        self._tasks: set[asyncio.Task[object]] = set()
        self._room = asyncio.Condition()
        self._marking = asyncio.Lock()

    # --- life
    def start(self) -> None:
        """Begin to deliver and to move the mark."""
        self._spawn(self._local.run())
        self._spawn(self._move_mark())

    async def close(self) -> None:
        """Apply what was accepted, move the mark to the end if possible, and stop. Front ends have stopped before.

        What could not be applied stays in the journal for the next start.
        """
        await self._journal.drained()
        for _ in range(200):
            if not self._journal.outstanding:
                break
            await asyncio.sleep(0.01)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.move_mark(self._journal, closing=True)
        await self._journal.close()

    def _spawn(self, work: Awaitable[object]) -> asyncio.Task[object]:
        task: asyncio.Task[object] = asyncio.ensure_future(work)  # type: ignore[assignment,arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- what front ends ask
    async def check_sender(self, reverse_path: str, principal: Principal | None, peer: Peer) -> None:
        """MAIL FROM. Raises Refusal(SENDER_NOT_ALLOWED, OVER_QUOTA, TRY_LATER)."""
        await self._admission.check_sender(reverse_path, principal)

    async def check_recipient(
        self, address: str, principal: Principal | None, peer: Peer, size: int, *, may_relay: bool = False
    ) -> Route:
        """RCPT TO: who that is. `size` in octets, 0 if unknown; `may_relay`: the connector lets anonymous peers relay.

        Raises Refusal(NO_SUCH_RECIPIENT, RELAY_DENIED, NOT_PERMITTED, OVER_QUOTA, TRY_LATER).
        """
        return await self._admission.check_recipient(address, principal, size, may_relay=may_relay)

    async def submit(
        self, envelope: Envelope, peer: Peer, routes: Sequence[Route], content: bytes
    ) -> str:
        """Take responsibility for a message; its queue id. Returns when that survives a power cut.

        `routes` are those of `envelope.recipients`. Raises Refusal(LOOP, DISK_FULL, READ_ONLY, SHUTTING_DOWN).
        """
        check_loop(content, self._settings.host_name)
        await self._wait_for_room()
        outcomes = self._admission.plain_outcomes(envelope, routes)
        header = AcceptHeader(envelope, self._clock.timestamp(), peer, outcomes)
        ref = await self._accept(self._journal, Kind.ACCEPT, header, content)
        return queue_id(DeliveryKey(*ref))

    async def submit_internal(self, key: DeliveryKey, envelope: Envelope, content: bytes) -> None:
        """Submit a message that Postern wrote, under its origin key: twice is once. Raises as `submit`."""
        await self._wait_for_room()
        header = AcceptHeader(envelope, self._clock.timestamp(), key=key)
        await self._accept(self._journal, Kind.INTERNAL, header, content)

    async def append(
        self,
        mailbox: MailboxId,
        folder: FolderId,
        content: bytes,
        flags: int,
        keywords: Sequence[str],
        received_at: int | None,
    ) -> Placement:
        """Put a message into a folder; returns when message and UID survive a power cut.

        Raises the store's refusals, and those of `submit`. Permissions are the caller's business.
        """
        when = int(self._clock.timestamp()) if received_at is None else received_at
        header = AppendHeader(mailbox, folder, flags, tuple(keywords), when)
        # a client that goes away in between must not leave a record that nobody applies
        return await asyncio.shield(self._spawn(self._append(header, content)))  # type: ignore[return-value]

    # --- accepting
    async def _wait_for_room(self) -> None:
        if self._local.waiting_bytes > self._settings.backlog_bytes:
            while self._local.waiting_bytes > self._settings.backlog_bytes:
                await asyncio.sleep(0.02)

    async def _accept(self, journal: Journal, kind: Kind, header: AcceptHeader, content: bytes) -> BlobRef:
        durable = journal.append(kind, encode(header), content)
        # not in this coroutine: its connection may go away before the record is synced
        durable.add_done_callback(partial(self._accepted, journal, header, content))
        return await asyncio.shield(durable)

    def _accepted(
        self, journal: Journal, header: AcceptHeader, content: bytes, durable: asyncio.Future[BlobRef]
    ) -> None:
        if durable.cancelled() or durable.exception() is not None:
            return
        failpoints.hit("mailflow.accepted")
        self._apply(Accepted(journal, durable.result(), header, content, header.outcomes))

    def _apply(self, message: Accepted) -> None:
        header = message.header
        self._tracker.record(
            "RECEIVE" if header.peer else "SUBMIT",
            message.queue_id,
            sender=header.envelope.reverse_path,
            recipients=tuple(recipient.address for recipient in header.envelope.recipients),
            size=len(message.content),
            source="SMTP" if header.peer else "DSN",
            peer=header.peer.address if header.peer else "",
            tls=header.peer.tls if header.peer else "",
            session=header.peer.session_id if header.peer else "",
        )
        if message.outcomes is not None and all(map(_is_plain, message.outcomes)):
            self._deliver(message, message.outcomes)
        else:
            self._spawn(self._categorize(message))

    def _deliver(self, message: Accepted, outcomes: Sequence[AnyOutcome]) -> None:
        message.left += len(outcomes)
        self._local.put(message, outcomes)  # type: ignore[arg-type]

    async def _categorize(self, message: Accepted) -> None:
        """Decide, make the decision durable, then apply it."""
        if message.outcomes is None:
            envelope = message.header.envelope
            peer = message.header.peer
            outcomes = await categorize(
                envelope, self._directory, authenticated=peer is None or bool(peer.principal)
            )
            await self._until_done(
                lambda: message.journal.append(Kind.OUTCOME, about(message.ref, encode_outcomes(outcomes)))
            )
            failpoints.hit("mailflow.outcome")
            message.outcomes = outcomes
        message.left = 1  # the queue's part
        local = [outcome for outcome in message.outcomes if _is_plain(outcome)]
        if local:
            self._deliver(message, local)
        rest = [outcome for outcome in message.outcomes if not _is_plain(outcome)]
        for outcome in rest:
            if isinstance(outcome, Expand):
                self._track(message, "EXPAND", outcome, related=outcome.recipient.address)
        if rest:
            await self._hand_to_queue(message, rest)
        message.done()

    async def _hand_to_queue(self, message: Accepted, outcomes: Sequence[AnyOutcome]) -> None:
        header = message.header
        content = stored_content(message, self._settings.host_name)
        await self._until_done(
            lambda: self._queue.accept(message.key, header.envelope, content, outcomes, header.received_at)
        )
        failpoints.hit("mailflow.queued")

    def _unable(self, message: Accepted, outcome: Deliver, error: Exception) -> None:
        """A mailbox refused: for good (a failure, reported to the sender) or for now (the queue tries again)."""
        if isinstance(error, Refusal) and not error.reason.temporary:
            status = "5.2.2" if error.reason is Reason.OVER_QUOTA else "5.1.1"
            text = "mailbox is full" if error.reason is Reason.OVER_QUOTA else error.reason.value
            failure = Fail(outcome.recipient, outcome.reverse_path, status, text, outcome.asked)
            self._spawn(self._queue_and_finish(message, failure))
        else:
            self._track(message, "DEFER", outcome, text=str(error))
            self._spawn(self._queue_and_finish(message, outcome))

    async def _queue_and_finish(self, message: Accepted, outcome: AnyOutcome) -> None:
        if isinstance(outcome, Deliver):
            copy = LocalCopy(
                message.queue_id,
                message.key,
                outcome.mailbox,
                outcome.recipient,
                outcome.reverse_path,
                stored_content(message, self._settings.host_name),
                message.header.received_at,
            )
            await self._until_done(lambda: self._queue.accept_local(copy, message.header.envelope))
        else:
            await self._hand_to_queue(message, [outcome])
        message.done()

    async def _until_done(self, attempt: Callable[[], Awaitable[object]]) -> None:
        """Try for as long as the answer is temporary: the message is in the journal and nowhere else."""
        while True:
            try:
                await attempt()
                return
            except Refusal as refusal:
                if refusal.reason is Reason.SHUTTING_DOWN:
                    raise
            await asyncio.sleep(self._settings.retry_s)

    def _track(self, message: Accepted, event: str, outcome: AnyOutcome, **details: object) -> None:
        self._tracker.record(
            event,
            message.queue_id,
            message_id=message.message_id,
            sender=message.header.envelope.reverse_path,
            recipients=(outcome.recipient.address,),
            source="ROUTING",
            **details,
        )

    # --- appending
    async def _append(self, header: AppendHeader, content: bytes) -> Placement:
        ref = await self._journal.append(Kind.APPEND, encode(header), content)
        return await self._apply_append(self._journal, ref, header, content, None)

    async def _apply_append(
        self, journal: Journal, ref: BlobRef, header: AppendHeader, content: bytes, known: AssignedHeader | None
    ) -> Placement:
        item = await appended_item(ref, header, content)
        delivery = Delivery(
            header.mailbox, DeliveryKey(*ref), item, header.folder, known.given if known else None, known is not None
        )
        placement, refusal = (await self._store.deliver([delivery]))[0]
        failpoints.hit("append.applied")
        if refusal is None and placement is None:  # applied before the process died
            journal.applied(ref)
            return Placement(header.folder, 0, known.given if known and known.given else 0, 0)  # type: ignore[arg-type]
        if known is None:
            assigned = encode(AssignedHeader.of(placement))
            try:
                await journal.append(Kind.ASSIGNED, about(ref, assigned))
            except Refusal as full:
                # the journal's disk is full, the mailbox could still take it: then its own log is what has to last
                if full.reason is Reason.SHUTTING_DOWN:
                    raise
                await (await self._store.mailbox(header.mailbox)).durable()
            failpoints.hit("append.assigned")
        journal.applied(ref)
        if refusal is not None:
            raise refusal
        assert placement is not None
        return placement
