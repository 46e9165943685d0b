"""Delivery into mailboxes of this server: at once when idle, in batches under load.

A batch costs each mailbox one commit, whatever the number of messages for it. What a mailbox cannot take now goes
to the queue, under the same key, so that no message blocks another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from postern.formats.mime.scan import Scan, new_item
from postern.formats.mime.trace import received_line, return_path_line
from postern.model.envelope import Peer
from postern.model.ids import BlobRef, DeliveryKey, MailboxId
from postern.model.items import ItemClass, NewItem
from postern.model.refusal import Refusal
from postern.model.sync import SetOff
from postern.model.transfer import StoredContent
from postern.services.accepted import NOTHING_BESIDE, Accepted, AppendHeader, AssignedHeader
from postern.services.calendar import meeting_mail
from postern.services.mailflow_settings import MailflowSettings
from postern.services.rules.at_delivery import AtDelivery, Placed
from postern.services.rules.deciding import Incoming
from postern.services.scanning import scan_content
from postern.store import failpoints
from postern.store.interface import Delivered, Delivery, Store
from postern.transport.outcomes import Deliver
from postern.transport.tracking import Tracker

BATCH_MESSAGES = 512
BATCH_BYTES = 8 << 20
PAUSE_S = 0.02
"""Nothing came for so long: whoever sends may be waiting to see it delivered."""
_BUSY_MESSAGES = 8
"""A batch of so many means load, until nothing has come for _BUSY_S."""
_BUSY_S = 0.05
_FLOOD_MESSAGES = 64
_FLOOD_PER_S = 250
_FLOOD_LINGERS = 4
"""After a batch of so many, come at such a rate, the next one may wait so many times as long: the more are for one
mailbox, the less each costs, and where so much comes a second is little beside what its senders wait."""
_SLICE_MESSAGES = 16
"""Messages scanned between two chances for the connections (about 2 ms)."""

Unable = Callable[[Accepted, Deliver, Exception], None]


class Wakes(Protocol):
    """services.assistants.runner.OutboxRunner."""

    def wake(self, mailbox: MailboxId) -> None:
        """There is something in a mailbox's outbox."""
        ...


class _Job(NamedTuple):
    message: Accepted
    outcomes: Sequence[Deliver]


class LocalDelivery:
    """One per worker."""

    def __init__(
        self,
        store: Store,
        tracker: Tracker,
        settings: MailflowSettings,
        unable: Unable,
        rules: AtDelivery | None = None,
        assistants: Wakes | None = None,
    ) -> None:
        """`unable` takes over a delivery that a mailbox refused; it calls `message.done()` in the end.

        Without `rules`, nobody's are looked at.
        """
        self._assistants = assistants
        self._store = store
        self._tracker = tracker
        self._host_name = settings.host_name
        self._linger_s = settings.linger_s
        self._unable = unable
        self._rules = rules
        self._jobs: list[_Job] = []
        self._wake = asyncio.Event()
        self._less = asyncio.Event()
        self._busy_until = 0.0
        self.waiting_bytes = 0

    def put(self, message: Accepted, outcomes: Sequence[Deliver]) -> None:
        """Deliver a message into the outcomes' mailboxes; `message.done` is called for each."""
        self._jobs.append(_Job(message, outcomes))
        self.waiting_bytes += len(message.content)
        self._wake.set()

    async def room(self, limit_bytes: int) -> None:
        """Return when fewer octets wait than that."""
        while self.waiting_bytes > limit_bytes:
            self._less.clear()
            await self._less.wait()

    async def run(self) -> None:
        """Deliver for ever."""
        loop = asyncio.get_running_loop()
        flood, taken_at = False, loop.time()
        while True:
            await self._wake.wait()
            await asyncio.sleep(0)  # the senders' answers first
            if loop.time() < self._busy_until:
                await self._linger(loop.time() + self._linger_s * (_FLOOD_LINGERS if flood else 1))
            now = loop.time()
            since, taken_at = now - taken_at, now
            jobs, self._jobs = self._jobs[:BATCH_MESSAGES], self._jobs[BATCH_MESSAGES:]
            if not self._jobs:
                self._wake.clear()
            try:
                await self._deliver(jobs)
            except Refusal:
                raise
            except Exception as error:
                await self._one_by_one(jobs, error)
            if len(jobs) >= _BUSY_MESSAGES:
                self._busy_until = loop.time() + _BUSY_S
            flood = len(jobs) >= max(_FLOOD_MESSAGES, _FLOOD_PER_S * since)
            self.waiting_bytes -= sum(len(job.message.content) for job in jobs)
            self._less.set()

    async def _linger(self, until: float) -> None:
        """Let a batch grow until it is large, or old, or nothing more comes."""
        loop = asyncio.get_running_loop()
        seen = 0
        while seen < len(self._jobs) < BATCH_MESSAGES and self.waiting_bytes < BATCH_BYTES and loop.time() < until:
            seen = len(self._jobs)
            await asyncio.sleep(min(PAUSE_S, self._linger_s))

    async def _one_by_one(self, jobs: Sequence[_Job], error: Exception) -> None:
        """Something in a batch made it fail; the others must not wait for it."""
        if isinstance(error, SystemError):  # a sync failed: only a replay can tell what is on disk
            raise error
        for job in jobs:
            try:
                await self._deliver([job])
            except SystemError:
                raise
            except Exception as own:
                for outcome in job.outcomes:
                    self._unable(job.message, outcome, own)

    async def _deliver(self, jobs: Sequence[_Job]) -> None:
        batch: list[Delivery] = []
        owners: list[tuple[Accepted, Deliver]] = []
        placed: list[Placed] = []
        rules = self._rules
        if rules is not None:
            rules.refresh()
        for number, (message, outcomes) in enumerate(jobs):
            if number % _SLICE_MESSAGES == _SLICE_MESSAGES - 1:
                await asyncio.sleep(0)
            item: NewItem | None = None
            scanned: Scan | None = None
            sets_off: tuple[SetOff, ...] = ()
            sender: str | None = None
            for outcome in outcomes:
                if item is None or outcome.reverse_path != sender:
                    sender = outcome.reverse_path
                    scanned = scanned or await scan_content(message.content)
                    item, sets_off = await self._item(message, outcome, scanned)
                    message.message_id = item.message_id
                delivery = Delivery(outcome.mailbox, message.key, item, sets_off=sets_off)
                if rules is not None and outcome.mailbox not in rules.without:
                    assert scanned is not None
                    by_rules = await rules.place(delivery, _incoming(message, outcome, item, scanned))
                    placed.append(by_rules)
                    delivery = by_rules.delivery
                batch.append(delivery)
                owners.append((message, outcome))
        failpoints.hit("mailflow.delivering")
        try:
            results: Sequence[Delivered] = await self._store.deliver(batch)
        except Refusal as refusal:
            results = [Delivered(None, refusal)] * len(batch)
        failpoints.hit("mailflow.delivered")
        self._tell(placed, batch, results)
        for (message, outcome), result in zip(owners, results, strict=True):
            if result.refusal is not None:
                self._unable(message, outcome, result.refusal)
                continue
            self._tracker.record(
                "DELIVER",
                message.queue_id,
                message_id=message.message_id,
                sender=message.header.envelope.reverse_path,
                recipients=(outcome.recipient.address,),
                size=len(message.content),
                source="STORE",
                related=outcome.asked,
            )
            message.done()

    def _tell(self, placed: Sequence[Placed], batch: Sequence[Delivery], results: Sequence[Delivered]) -> None:
        """Whoever waits for what deliveries have set off."""
        if self._rules is not None:
            for by_rules in placed:
                self._rules.committed(by_rules)
        if self._assistants is not None:
            for delivery, result in zip(batch, results, strict=True):
                if delivery.sets_off and result.refusal is None:
                    self._assistants.wake(delivery.mailbox)

    async def _item(self, message: Accepted, outcome: Deliver, scanned: Scan) -> tuple[NewItem, tuple[SetOff, ...]]:
        prefix = return_path_line(outcome.reverse_path) + trace_prefix(message, self._host_name)
        item = new_item(scanned, message.ref, len(message.content), prefix, int(message.header.received_at))
        return await meeting_mail.mark(
            item, message.content, scanned, outcome.reverse_path, from_here=message.header.peer is None
        )


def _incoming(message: Accepted, outcome: Deliver, item: NewItem, scanned: Scan) -> Incoming:
    envelope = message.header.envelope
    return Incoming(
        message.content,
        item.prefix,
        scanned,
        envelope.reverse_path,
        outcome.recipient.address,
        message.header.received_at,
        envelope.body,
        envelope.smtputf8,
    )


def trace_prefix(message: Accepted, host_name: str) -> bytes:
    """Our Received line for a message; none for what we wrote ourselves. The same in a replay."""
    peer: Peer | None = message.header.peer
    if peer is None:
        return b""
    recipients = message.header.envelope.recipients
    # naming one of several recipients would tell the others of a blind copy (RFC 5321 7.2)
    only = recipients[0].address if len(recipients) == 1 else ""
    return received_line(peer, host_name, message.queue_id, int(message.header.received_at), only)


def stored_content(message: Accepted, host_name: str) -> StoredContent:
    """A message as the queue refers to it."""
    return StoredContent(message.ref, len(message.content), trace_prefix(message, host_name))


async def append_delivery(
    ref: BlobRef, header: AppendHeader, content: bytes, known: AssignedHeader | None = None, *, replayed: bool = False
) -> Delivery:
    """What an APPEND record puts into a folder; under the UID that its client may know, which replays have to find."""
    item = new_item(
        await scan_content(content), ref, len(content), b"", header.received_at, header.flags, header.keywords
    )
    if header.beside != NOTHING_BESIDE:
        beside = header.beside
        item = msgspec.structs.replace(item, properties=beside.properties, item_class=ItemClass(beside.item_class))
    uid = known.given if known else None
    return Delivery(
        header.mailbox,
        DeliveryKey(*ref),
        item,
        header.folder,
        uid,
        # what a client was told is there has to be there, whatever the quota is by now
        ignore_quota=uid is not None,
        replaces=header.beside.replaces,
        supersedes=header.beside.supersedes,
        ahead=header.ahead,
        replayed=replayed,
        takes_ahead=not replayed and header.beside == NOTHING_BESIDE,
    )
