"""What becomes of a durable record: categorizer, mailboxes, queue. The same for live messages and in a replay."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from postern.directory.interface import Directory
from postern.formats.mime.header import first
from postern.model.ids import BlobRef
from postern.model.refusal import Reason, Refusal
from postern.services.accepted import Accepted, AppendHeader, AssignedHeader
from postern.services.local_delivery import LocalDelivery, Wakes, append_delivery, stored_content
from postern.services.mailflow_settings import MailflowSettings
from postern.services.rules.at_delivery import AtDelivery
from postern.store import failpoints
from postern.store.interface import Delivered, Store
from postern.store.journal.records import Kind
from postern.store.journal.replay import about
from postern.transport.categorizer import categorize
from postern.transport.loops import header_of
from postern.transport.outcomes import AnyOutcome, Deliver, Expand, Fail, encode
from postern.transport.queue import QueueStore
from postern.transport.queue_rows import NewEntry
from postern.transport.tracking import Tracker


class Applier:
    """Applies records. One per worker; its tasks end with it."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        queue: QueueStore,
        tracker: Tracker,
        settings: MailflowSettings,
        on_failure: Callable[[Exception], None],
        rules: AtDelivery | None = None,
        assistants: Wakes | None = None,
    ) -> None:
        self._store = store
        self._directory = directory
        self._queue = queue
        self._tracker = tracker
        self._host_name = settings.host_name
        self._retry_s = settings.retry_s
        self._on_failure = on_failure
        self._local = LocalDelivery(store, tracker, settings, self._unable, rules, assistants)
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Begin to deliver."""
        self.spawn(self._local.run())

    async def stop(self) -> None:
        """End all tasks; what they did not finish is still in the journals."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, work: Awaitable[Any]) -> asyncio.Task[Any]:
        """A task that lives as long as the applier, if it is not done before."""
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        # a refusal has been answered or is retried; anything else leaves a record unapplied: only a replay can help
        if isinstance(error, Exception) and not isinstance(error, Refusal):
            self._on_failure(error)

    async def room(self, limit_bytes: int) -> None:
        """Return when fewer octets of messages wait for local delivery."""
        await self._local.room(limit_bytes)

    # --- messages
    def apply(self, message: Accepted) -> None:
        """See to it that a message gets where it belongs, then `message.done()`."""
        header = message.header
        peer = header.peer
        self._tracker.record(
            "RECEIVE" if peer else "SUBMIT",
            message.queue_id,
            sender=header.envelope.reverse_path,
            recipients=tuple(recipient.address for recipient in header.envelope.recipients),
            size=len(message.content),
            source="SMTP" if peer else "DSN",
            peer=peer.address if peer else "",
            tls=peer.tls if peer else "",
            session=peer.session_id if peer else "",
        )
        if message.outcomes is not None:
            direct = _direct(message.outcomes)
            if len(direct) == len(message.outcomes):
                message.left = len(direct)
                self._local.put(message, direct)
                return
        self.spawn(self._categorize(message))

    async def _categorize(self, message: Accepted) -> None:
        """Decide, make the decision durable, then apply it."""
        outcomes = message.outcomes
        if outcomes is None:
            peer = message.header.peer
            outcomes = decided = await categorize(
                message.header.envelope, self._directory, authenticated=peer is None or bool(peer.principal)
            )
            record = about(message.ref, encode(decided))
            await self.until_done(lambda: message.journal.append(Kind.OUTCOME, record))
            failpoints.hit("mailflow.outcome")
            for outcome in outcomes:
                if isinstance(outcome, Expand):
                    self._track(message, "EXPAND", outcome, related=outcome.recipient.address)
        direct = _direct(outcomes)
        others = [o for o in outcomes if not isinstance(o, Deliver) or "SUCCESS" in o.recipient.notify]
        message.left = len(direct) + 1
        if direct:
            self._local.put(message, direct)
        await self._hand_to_queue(message, others)
        message.done()

    async def _hand_to_queue(self, message: Accepted, outcomes: Sequence[AnyOutcome]) -> None:
        if not outcomes:
            return
        header = message.header
        # only the mailboxes' way scans a message
        message.message_id = message.message_id or message_id_of(message.content)
        entry = NewEntry(
            message.key,
            header.envelope,
            stored_content(message, self._host_name),
            outcomes,
            header.received_at,
            message.message_id,
            header.peer.principal if header.peer else "",
        )
        await self.until_done(lambda: self._queue.add([entry]))
        failpoints.hit("mailflow.queued")
        for outcome in outcomes:
            if isinstance(outcome, Fail):
                self._track(message, "FAIL", outcome, status=outcome.status, text=outcome.text)

    def _unable(self, message: Accepted, outcome: Deliver, error: Exception) -> None:
        """A mailbox refused: for good (a failure, reported to the sender) or for now (the queue tries again)."""
        instead: AnyOutcome = outcome
        if isinstance(error, Refusal) and not error.reason.temporary:
            instead = failure_of(outcome, error)
        else:
            self._track(message, "DEFER", outcome, text=str(error))
        self.spawn(self._queue_and_finish(message, instead))

    async def _queue_and_finish(self, message: Accepted, outcome: AnyOutcome) -> None:
        await self._hand_to_queue(message, [outcome])
        message.done()

    async def until_done(self, attempt: Callable[[], Awaitable[Any]]) -> None:
        """Try for as long as the answer is temporary: the message is in the journal and nowhere else."""
        while True:
            try:
                await attempt()
                return
            except Refusal as refusal:
                if refusal.reason is Reason.SHUTTING_DOWN or not refusal.reason.temporary:
                    raise
            await asyncio.sleep(self._retry_s)

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

    # --- appends
    async def place(
        self, ref: BlobRef, header: AppendHeader, content: bytes, known: AssignedHeader | None = None
    ) -> Delivered:
        """In a replay: put an appended message into its folder, under the UID that its client may know."""
        (result,) = await self._store.deliver([await append_delivery(ref, header, content, known, replayed=True)])
        failpoints.hit("append.applied")
        return result


def message_id_of(content: bytes) -> str:
    """Message-ID without brackets, for the queue and the tracking log; empty if there is none."""
    value = first(header_of(content), b"message-id") or b""
    return value.strip(b"<> \t").decode("utf-8", "replace")


def _direct(outcomes: Sequence[AnyOutcome]) -> list[Deliver]:
    """What goes straight into a mailbox; a copy that owes a success report goes by way of the queue."""
    return [o for o in outcomes if isinstance(o, Deliver) and "SUCCESS" not in o.recipient.notify]


def failure_of(outcome: Deliver, refusal: Refusal) -> Fail:
    """What a mailbox's permanent refusal means for the sender."""
    if refusal.reason is Reason.OVER_QUOTA:
        status, text = "5.2.2", "the mailbox is full"
    elif refusal.reason is Reason.TOO_MANY:
        status, text = "5.3.0", "the mailbox cannot take any more messages"
    else:
        status, text = "5.1.1", "the mailbox does not exist any more"
    return Fail(outcome.recipient, outcome.reverse_path, status, text, outcome.asked)
