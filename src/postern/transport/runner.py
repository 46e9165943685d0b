"""The queue runner of one worker: claims what is due, hands it to the agents, settles it, submits the reports owed.

Only this worker's loop runs it; workers share the queue through claims. A next hop that does not answer is left alone
for a while, and the rest of its mail with it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from postern.model.envelope import Envelope, Recipient
from postern.model.ids import BlobRef, DeliveryKey, MailboxId
from postern.model.ports import Clock, Entropy
from postern.model.refusal import Refusal
from postern.model.transfer import Fate, LocalCopy, NextHop, Outgoing, Result
from postern.transport import dsn
from postern.transport.categorizer import Recipients, categorize
from postern.transport.outcomes import AnyOutcome, Defer, Expand, queue_id
from postern.transport.queue import QueueStore
from postern.transport.queue_rows import Claim, OwedReport, Waiting, Work
from postern.transport.reporting import write_report
from postern.transport.routing import Router, Unroutable
from postern.transport.tracking import Tracker

POLL_SECONDS = 1.0
"""How soon what another process put in, or an administrator changed, is seen."""
RENEW_SECONDS = 300.0
REPORT_RETRY_SECONDS = 30.0
_TRY_AGAIN_SECONDS = 60.0


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


class RunnerSettings(msgspec.Struct, frozen=True):
    """Limits of one worker."""

    host_name: str
    transfers: int = 20
    """At the same time, in all."""
    transfers_per_hop: int = 4
    """At the same time to one next hop; connections to it are as many at most."""
    hold_seconds: float = 60.0
    """How long a next hop that did not answer is left alone."""


class Parts(msgspec.Struct, frozen=True):
    """What the runner works with."""

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


class QueueRunner:
    """One per worker."""

    def __init__(self, worker: str, parts: Parts, settings: RunnerSettings) -> None:
        """`worker` names this worker among all that share the queue, the same after a restart."""
        self._worker = worker
        self._parts = parts
        self._settings = settings
        self._wake = asyncio.Event()
        self._jobs: set[asyncio.Task[None]] = set()
        self._busy: dict[str, int] = {}
        self._held: dict[str, tuple[float, Result]] = {}
        self._stopping = False
        self._broken: OSError | None = None

    def wake(self) -> None:
        """Something was put into the queue."""
        self._wake.set()

    async def run(self) -> None:
        """Work until `stop`. Raises OSError when the queue's disk fails: the worker has to end."""
        self._parts.queue.on_work = self.wake
        await self._until_ready()
        renewed = self._parts.clock.monotonic()
        while not self._stopping:
            try:
                found = await self._round()
            except Refusal:
                found = False
            if self._broken is not None:
                raise self._broken
            now = self._parts.clock.monotonic()
            if now - renewed > RENEW_SECONDS and self._jobs:
                renewed = now
                with contextlib.suppress(Refusal):
                    await self._parts.queue.renew(self._worker)
            if not found:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
            self._wake.clear()

    async def stop(self, timeout_s: float = 30.0) -> None:
        """Finish the transfers that run, give back the rest."""
        self._stopping = True
        self._wake.set()
        if self._jobs:
            _, running = await asyncio.wait(self._jobs, timeout=timeout_s)
            for job in running:
                job.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        await self._parts.smtp.close()
        with contextlib.suppress(Refusal):
            await self._parts.queue.release(self._worker)

    async def _until_ready(self) -> None:
        """Give back what a dead predecessor of the same name had claimed."""
        while not self._stopping:
            try:
                await self._parts.queue.release(self._worker)
                return
            except Refusal:
                await asyncio.sleep(POLL_SECONDS)

    async def _round(self) -> bool:
        """Start what can be started; whether there was anything."""
        queue = self._parts.queue
        reports = await queue.claim_reports(self._worker, 20)
        if reports:
            # a report is submitted only when its reason is durable: else a power cut could send a second one
            await self._durable()
            for owed in reports:
                await self._report(owed)
        room = self._settings.transfers - len(self._jobs)
        if room <= 0:
            await asyncio.wait(self._jobs, return_when=asyncio.FIRST_COMPLETED, timeout=POLL_SECONDS)
            return True
        claims = await queue.claim(self._worker, room * 10, self._unavailable())
        for claim in claims:
            await self._start(claim)
        return bool(claims or reports)

    def _unavailable(self) -> list[str]:
        """Targets that would have to wait because their next hop is busy."""
        now = self._parts.clock.monotonic()
        self._held = {hop: held for hop, held in self._held.items() if held[0] > now}
        return [hop for hop, running in self._busy.items() if running >= self._settings.transfers_per_hop]

    async def _start(self, claim: Claim) -> None:
        """Divide a claim into transfers; what finds no place goes back untried."""
        groups: dict[tuple[Work, str, str], list[Waiting]] = {}
        for waiting in claim.recipients:
            hop = self._parts.router.key(waiting.target) if waiting.work is Work.RELAY else waiting.target
            groups.setdefault((waiting.work, hop, waiting.reverse_path), []).append(waiting)
        back: list[int] = []
        for (work, hop, _), group in groups.items():
            held = self._held.get(hop)
            if held is not None:
                # it counts as an attempt: else a long queue behind a dead host would be tried for ever
                await self._settle(claim, group, [held[1]] * len(group))
                continue
            if self._busy.get(hop, 0) >= self._settings.transfers_per_hop:
                back += [w.id for w in group]
                continue
            self._busy[hop] = self._busy.get(hop, 0) + 1
            job = asyncio.create_task(self._job(claim, work, hop, group))
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)
        if back:
            await self._parts.queue.put_back(back, 1.0 + self._parts.entropy.below(1000) / 1000)

    async def _job(self, claim: Claim, work: Work, hop: str, group: Sequence[Waiting]) -> None:
        """One transfer, to its end."""
        try:
            if work is Work.CATEGORIZE:
                await self._categorize(claim, group)
                return
            if work is Work.RELAY:
                results = await self._relay(claim, hop, group)
            else:
                results = await self._mailbox(claim, group)
            await self._settle(claim, group, results)
        except (Refusal, OSError) as problem:
            # the queue's file or a body could not be read or written: nothing was lost, the claim goes back
            with contextlib.suppress(Refusal):
                await self._parts.queue.put_back([w.id for w in group], _TRY_AGAIN_SECONDS)
            self._track("DEFER", claim, [w.recipient.address for w in group], text=str(problem))
        except Exception:
            # a mistake of ours: the loop's handler reports it, and the mail waits for a version without it
            with contextlib.suppress(Refusal):
                await self._parts.queue.put_back([w.id for w in group], _TRY_AGAIN_SECONDS * 10)
            raise
        finally:
            self._busy[hop] -= 1
            if not self._busy[hop]:
                del self._busy[hop]
            self._wake.set()

    async def _relay(self, claim: Claim, hop: str, group: Sequence[Waiting]) -> Sequence[Result]:
        try:
            next_hop = await self._parts.router.next_hop(group[0].target)
        except Unroutable as problem:
            fate = Fate.FAILED if problem.permanent else Fate.DEFERRED
            return [Result(fate, problem.status, problem.text)] * len(group)
        recipients = tuple(w.recipient for w in group)
        envelope = msgspec.structs.replace(claim.envelope, recipients=recipients, reverse_path=group[0].reverse_path)
        if 0 < next_hop.max_bytes < claim.content.size:
            text = f"send connector {next_hop.connector} lets out {next_hop.max_bytes} octets at most"
            return [Result(Fate.FAILED, "5.3.4", text)] * len(group)
        content = claim.content.prefix + await self._parts.contents.read(claim.content.blob)
        ours = bool(claim.principal) or claim.key.segment < 0
        results = await self._parts.smtp.send(next_hop, Outgoing(claim.queue_id, envelope, content, ours))
        down = next((r for r in results if r.unreachable), None)
        if down is not None:
            self._held[hop] = (self._parts.clock.monotonic() + self._settings.hold_seconds, down)
        return results

    async def _mailbox(self, claim: Claim, group: Sequence[Waiting]) -> Sequence[Result]:
        return [
            await self._parts.mailboxes.deliver(
                LocalCopy(
                    claim.queue_id,
                    claim.key,
                    MailboxId(w.target),
                    w.recipient,
                    w.reverse_path,
                    claim.content,
                    claim.received_at,
                )
            )
            for w in group
        ]

    async def _settle(self, claim: Claim, group: Sequence[Waiting], results: Sequence[Result]) -> None:
        by_id = {w.id: r for w, r in zip(group, results, strict=True)}
        settled = await self._parts.queue.settle(claim, by_id)
        # what was relayed is gone for good before anything else is said: a power cut must not send it again
        if any(result.fate is not Fate.DEFERRED for _, result in settled):
            await self._durable()
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

    async def _durable(self) -> None:
        try:
            await self._parts.queue.durable()
        except OSError as problem:
            # what the disk has is unknown: only a new start can tell
            self._broken = problem
            raise

    async def _categorize(self, claim: Claim, group: Sequence[Waiting]) -> None:
        """Ask the directory again for recipients it could not answer for."""
        done: list[Waiting] = []
        outcomes: list[AnyOutcome] = []
        results: dict[int, Result] = {}
        for waiting in group:
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
                    self._track("EXPAND", claim, [outcome.recipient.address], f"{outcome.members} members")
        if results:
            await self._parts.queue.settle(claim, results)

    async def _report(self, owed: OwedReport) -> None:
        """Submit a report under its own key, then forget it: after a crash in between the key makes it one."""
        report, key = owed.report, dsn.key_of(owed.id)
        try:
            content = await self._parts.contents.read(report.content.blob)
            notification = write_report(
                report, report.content.prefix + content, queue_id(key), self._settings.host_name, self._parts.clock
            )
            envelope = Envelope("", (Recipient(report.to, "NEVER"),), notification.body, notification.smtputf8)
            await self._parts.submit(key, envelope, notification.content)
            await self._parts.queue.reported(owed.id)
        except (Refusal, OSError):
            with contextlib.suppress(Refusal):
                await self._parts.queue.report_later(owed.id, REPORT_RETRY_SECONDS)
            return
        self._parts.tracker.record(
            "DSN",
            queue_id(key),
            recipients=(report.to,),
            source="DSN",
            status=report.subjects[0].status,
            text=", ".join(f"{s.action} {s.recipient.address}" for s in report.subjects[:20]),
            related=report.queue_id,
        )

    def _track(self, event: str, claim: Claim, recipients: Sequence[str], text: str) -> None:
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
