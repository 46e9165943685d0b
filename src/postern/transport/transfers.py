"""One transfer from the queue, to its end: relay, mailbox or categorizer, then settled; and one report, submitted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from postern.model.envelope import Envelope, Recipient
from postern.model.ids import BlobRef, DeliveryKey, MailboxId
from postern.model.ports import Clock, Entropy
from postern.model.transfer import TLS_FAILED, Fate, LocalCopy, NextHop, Outgoing, Result
from postern.transport import dsn
from postern.transport.categorizer import Recipients, categorize
from postern.transport.outcomes import AnyOutcome, Defer, Expand, queue_id
from postern.transport.queue import QueueStore
from postern.transport.queue_rows import Claim, OwedReport, Waiting, Work
from postern.transport.reporting import write_report
from postern.transport.routing import Router, Unroutable
from postern.transport.tracking import Tracker


class SmtpAgent(Protocol):
    """Hands messages to next hops (delivery.smtp)."""

    async def send(self, next_hop: NextHop, message: Outgoing) -> Sequence[Result]:
        """Results in the order of the message's recipients. Never raises for what the other side does."""
        ...

    async def close(self) -> None:
        """End idle connections."""
        ...


class MailboxAgent(Protocol):
    """Puts messages into mailboxes (delivery.mailbox)."""

    async def deliver(self, copy: LocalCopy) -> Result:
        """One copy."""
        ...


class Contents(Protocol):
    """Bodies by reference (the store's Blobs)."""

    async def read(self, ref: BlobRef, offset: int = 0, length: int | None = None) -> bytes:
        """Part of a body."""
        ...


Submit = Callable[[DeliveryKey, Envelope, bytes], Awaitable[None]]
"""Accepts a message of our own durably; the same key twice is one message."""


class Parts(msgspec.Struct, frozen=True):
    """What the queue is worked with."""

    queue: QueueStore
    router: Router
    smtp: SmtpAgent
    mailboxes: MailboxAgent
    contents: Contents
    directory: Recipients
    submit: Submit
    tracker: Tracker
    clock: Clock
    entropy: Entropy


class Transfer(msgspec.Struct, frozen=True):
    """Recipients of one message that go together: one next hop, one reverse path."""

    claim: Claim
    work: Work
    hop: str
    group: tuple[Waiting, ...]

    @property
    def ids(self) -> list[int]:
        """Of the queue's recipients."""
        return [w.id for w in self.group]


def divide(claim: Claim, router: Router) -> list[Transfer]:
    """A claim's recipients by what serves them."""
    groups: dict[tuple[Work, str, str], list[Waiting]] = {}
    for waiting in claim.recipients:
        hop = router.key(waiting.target) if waiting.work is Work.RELAY else waiting.target
        groups.setdefault((waiting.work, hop, waiting.reverse_path), []).append(waiting)
    return [Transfer(claim, work, hop, tuple(group)) for (work, hop, _), group in groups.items()]


class QueueDiskError(OSError):
    """The queue's file could not be synced: what the disk has is unknown, only a new start can tell."""


class Transfers:
    """What is done with claims. Raises Refusal and OSError where nothing was done, QueueDiskError for the end."""

    def __init__(self, parts: Parts, host_name: str) -> None:
        self._parts = parts
        self._host_name = host_name

    async def perform(self, transfer: Transfer) -> Result | None:
        """One transfer, settled; a result if it says that the whole next hop is down."""
        if transfer.work is Work.CATEGORIZE:
            await self._categorize(transfer)
            return None
        if transfer.work is Work.RELAY:
            results = await self._relay(transfer)
        else:
            results = [await self._mailbox(transfer.claim, waiting) for waiting in transfer.group]
        await self.settle(transfer, results)
        return next((r for r in results if r.unreachable), None)

    async def settle(self, transfer: Transfer, results: Sequence[Result]) -> None:
        """Write down what became of each recipient."""
        claim = transfer.claim
        by_id = {w.id: r for w, r in zip(transfer.group, results, strict=True)}
        settled = await self._parts.queue.settle(claim, by_id)
        # what was relayed is gone for good before anything else is said: a power cut must not send it again
        if any(result.fate is not Fate.DEFERRED for _, result in settled):
            await self.durable()
        for waiting, result in settled:
            self._parts.tracker.record(
                _EVENTS[result.fate],
                claim.queue_id,
                message_id=claim.message_id,
                sender=waiting.reverse_path,
                recipients=(waiting.recipient.address,),
                size=claim.content.size,
                source="STORE" if waiting.work is Work.MAILBOX else "SMTP",
                peer=result.remote,
                tls=result.tls,
                status=result.status,
                text=result.text,
                related=waiting.asked,
            )

    async def durable(self) -> None:
        """Sync the queue's file."""
        try:
            await self._parts.queue.durable()
        except OSError as problem:
            raise QueueDiskError(problem.errno, problem.strerror) from problem

    async def _relay(self, transfer: Transfer) -> Sequence[Result]:
        claim, group = transfer.claim, transfer.group
        try:
            next_hop = await self._parts.router.next_hop(group[0].target)
        except Unroutable as problem:
            fate = Fate.FAILED if problem.permanent else Fate.DEFERRED
            return [Result(fate, problem.status, problem.text)] * len(group)
        if 0 < next_hop.max_bytes < claim.content.size:
            text = f"send connector {next_hop.connector} lets out {next_hop.max_bytes} octets at most"
            return [Result(Fate.FAILED, "5.3.4", text)] * len(group)
        envelope = msgspec.structs.replace(
            claim.envelope, recipients=tuple(w.recipient for w in group), reverse_path=group[0].reverse_path
        )
        content = claim.content.prefix + await self._parts.contents.read(claim.content.blob)
        ours = bool(claim.principal) or claim.key.segment < 0
        tls_failed = all(waiting.status == TLS_FAILED for waiting in group)
        return await self._parts.smtp.send(next_hop, Outgoing(claim.queue_id, envelope, content, ours, tls_failed))

    async def _mailbox(self, claim: Claim, waiting: Waiting) -> Result:
        return await self._parts.mailboxes.deliver(
            LocalCopy(
                claim.queue_id,
                claim.key,
                MailboxId(waiting.target),
                waiting.recipient,
                waiting.reverse_path,
                claim.content,
                claim.received_at,
            )
        )

    async def _categorize(self, transfer: Transfer) -> None:
        """Ask the directory again for recipients it could not answer for."""
        claim = transfer.claim
        done: list[Waiting] = []
        outcomes: list[AnyOutcome] = []
        results: dict[int, Result] = {}
        for waiting in transfer.group:
            envelope = Envelope(waiting.reverse_path, (waiting.recipient,))
            found = await categorize(envelope, self._parts.directory, authenticated=bool(claim.principal))
            later = next((o for o in found if isinstance(o, Defer)), None)
            if later is not None:
                results[waiting.id] = Result(Fate.DEFERRED, "4.3.0", later.text)
            else:
                done.append(waiting)
                outcomes += found
        if done:
            await self._parts.queue.recategorized(claim, done, outcomes)
            for outcome in outcomes:
                if isinstance(outcome, Expand):
                    self.track("EXPAND", claim, [outcome.recipient.address], f"{outcome.members} members")
        if results:
            await self._parts.queue.settle(claim, results)

    async def report(self, owed: OwedReport) -> None:
        """Submit a report under its own key, then forget it: after a crash in between the key makes it one."""
        report, key = owed.report, dsn.key_of(owed.id)
        content = await self._parts.contents.read(report.content.blob)
        notification = write_report(
            report, report.content.prefix + content, queue_id(key), self._host_name, self._parts.clock
        )
        envelope = Envelope("", (Recipient(report.to, "NEVER"),), notification.body, notification.smtputf8)
        await self._parts.submit(key, envelope, notification.content)
        await self._parts.queue.reported(owed.id)
        self._parts.tracker.record(
            "DSN",
            queue_id(key),
            recipients=(report.to,),
            source="DSN",
            status=report.subjects[0].status,
            text=", ".join(f"{s.action} {s.recipient.address}" for s in report.subjects[:20]),
            related=report.queue_id,
        )

    def track(self, event: str, claim: Claim, recipients: Sequence[str], text: str) -> None:
        """Note an event about recipients of a message."""
        self._parts.tracker.record(
            event,
            claim.queue_id,
            message_id=claim.message_id,
            sender=claim.envelope.reverse_path,
            recipients=tuple(recipients),
            text=text,
        )


_EVENTS = {
    Fate.DELIVERED: "DELIVER",
    Fate.RELAYED: "SEND",
    Fate.RELAYED_BLIND: "SEND",
    Fate.DEFERRED: "DEFER",
    Fate.FAILED: "FAIL",
}
