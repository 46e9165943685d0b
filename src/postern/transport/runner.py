"""The queue runner of one worker: claims what is due, starts transfers, submits the reports owed.

Workers share the queue through claims. What is claimed waits here, by next hop, for a free place; a next hop that does
not answer is left alone for a while, and all mail for it is deferred meanwhile without being tried.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

import msgspec

from postern.model.refusal import Refusal
from postern.model.transfer import Result
from postern.transport.transfers import Parts, QueueDiskError, Submit, Transfer, Transfers, divide

POLL_SECONDS = 1.0
"""How soon what another process put in, or an administrator changed, is seen."""
RENEW_SECONDS = 300.0
REPORT_RETRY_SECONDS = 30.0
_TRY_AGAIN_SECONDS = 60.0
_READY_TRANSFERS = 2000
"""So many wait here for a place before no more are claimed."""
_READY_PER_HOP = 100
"""More for one next hop are left in the queue: a slow one must not stand in the others' way."""
_CLAIM_RECIPIENTS = 200


class RunnerSettings(msgspec.Struct, frozen=True):
    """Limits of one worker."""

    host_name: str
    transfers: int = 20
    """At the same time, in all."""
    transfers_per_hop: int = 4
    """At the same time to one next hop; connections to it are as many at most."""
    hold_seconds: float = 60.0
    """How long a next hop that did not answer is left alone."""


class QueueRunner:
    """One per worker."""

    def __init__(self, worker: str, parts: Parts, settings: RunnerSettings) -> None:
        """`worker` names this worker among all that share the queue, the same after a restart."""
        self._worker = worker
        self._parts = parts
        self._settings = settings
        self._transfers = Transfers(parts, settings.host_name)
        self._wake = asyncio.Event()
        self._jobs: set[asyncio.Task[None]] = set()
        self._ready: dict[str, deque[Transfer]] = {}
        self._busy: dict[str, int] = {}
        self._held: dict[str, tuple[float, Result]] = {}
        self._stopping = False
        self._broken: QueueDiskError | None = None

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    async def run(self) -> None:
        """Work until `stop`. Raises OSError when the queue's disk fails: the worker has to end."""
        self._parts.queue.on_work = self.wake
        await self._until_ready()
        renewed = self._parts.clock.monotonic()
        while not self._stopping:
            self._wake.clear()
            found = False
            with contextlib.suppress(Refusal):
                found = await self._round()
            if self._broken is not None:
                raise self._broken
            now = self._parts.clock.monotonic()
            if now - renewed > RENEW_SECONDS:
                renewed = now
                with contextlib.suppress(Refusal):
                    await self._parts.queue.renew(self._worker)
                    await self._parts.queue.pull_back()
            if not found:
                with contextlib.suppress(TimeoutError):
                    # not wait_for: in Python 3.11 it may lose a cancellation that comes with the event
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()

    async def stop(self, timeout_s: float = 30.0) -> None:
        """Finish the transfers that run, give back the rest."""
        self._stopping = True
        self._wake.set()
        self._ready.clear()
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
                await self._parts.queue.pull_back()
                return
            except Refusal:
                await asyncio.sleep(POLL_SECONDS)

    async def _round(self) -> bool:
        """Start what can be started; whether to look again at once."""
        queue = self._parts.queue
        reports = await queue.claim_reports(self._worker, 20)
        if reports:
            # a report is submitted only when its reason is durable: else a power cut could send a second one
            await self._durable()
        for owed in reports:
            try:
                await self._transfers.report(owed)
            except (Refusal, OSError):
                await queue.report_later(owed.id, REPORT_RETRY_SECONDS)
        claims = []
        if sum(map(len, self._ready.values())) < _READY_TRANSFERS:
            full = [hop for hop, ready in self._ready.items() if len(ready) >= _READY_PER_HOP]
            claims = await queue.claim(self._worker, _CLAIM_RECIPIENTS, full)
        back: list[int] = []
        for claim in claims:
            for transfer in divide(claim, self._parts.router):
                ready = self._ready.setdefault(transfer.hop, deque())
                # only a hop that is named like its targets can be left out when claiming
                if len(ready) >= _READY_PER_HOP and transfer.hop == transfer.group[0].target:
                    back += transfer.ids
                else:
                    ready.append(transfer)
        if back:
            await queue.put_back(back)
        await self._start()
        return bool(claims or reports)

    async def _start(self) -> None:
        """Give places to what is ready, one next hop after the other."""
        now = self._parts.clock.monotonic()
        self._held = {hop: held for hop, held in self._held.items() if held[0] > now}
        for hop, ready in self._ready.items():
            if hop in self._held and any(waiting.urgent for transfer in ready for waiting in transfer.group):
                del self._held[hop]
        for hop in [hop for hop in self._ready if hop in self._held]:
            # it counts as an attempt: else a long queue behind a dead host would be tried for ever
            for transfer in self._ready.pop(hop):
                await self._transfers.settle(transfer, [self._held[hop][1]] * len(transfer.group))
        started = True
        while started and len(self._jobs) < self._settings.transfers:
            started = False
            for hop in list(self._ready):
                ready = self._ready[hop]
                if len(self._jobs) < self._settings.transfers and self._has_place(hop):
                    self._spawn(ready.popleft())
                    started = True
                if not ready:
                    del self._ready[hop]

    def _has_place(self, hop: str) -> bool:
        return self._busy.get(hop, 0) < self._settings.transfers_per_hop

    def _spawn(self, transfer: Transfer) -> None:
        self._busy[transfer.hop] = self._busy.get(transfer.hop, 0) + 1
        job = asyncio.create_task(self._job(transfer))
        self._jobs.add(job)
        job.add_done_callback(self._ended)

    def _ended(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        self._wake.set()

    async def _job(self, transfer: Transfer) -> None:
        """One transfer, to its end."""
        queue = self._parts.queue
        try:
            # it may have waited here: an administrator may have removed or suspended some of it
            kept = await queue.still_claimed(self._worker, transfer.ids)
            group = tuple(w for w in transfer.group if w.id in kept)
            if group:
                down = await self._transfers.perform(msgspec.structs.replace(transfer, group=group))
                if down is not None:
                    until = self._parts.clock.monotonic() + self._settings.hold_seconds
                    self._held[transfer.hop] = (until, down)
        except QueueDiskError as problem:
            self._broken = problem
        except (Refusal, OSError) as problem:
            # the queue's file or a body could not be read or written: nothing was lost, the claim goes back
            with contextlib.suppress(Refusal):
                await queue.put_back(transfer.ids, _TRY_AGAIN_SECONDS)
            addresses = [w.recipient.address for w in transfer.group]
            self._transfers.track("DEFER", transfer.claim, addresses, str(problem))
        except Exception:
            # a mistake of ours: the loop's handler reports it, and the mail waits for a version without it
            with contextlib.suppress(Refusal):
                await queue.put_back(transfer.ids, _TRY_AGAIN_SECONDS * 10)
            raise
        finally:
            self._busy[transfer.hop] -= 1
            if not self._busy[transfer.hop]:
                del self._busy[transfer.hop]

    async def _durable(self) -> None:
        try:
            await self._transfers.durable()
        except QueueDiskError as problem:
            self._broken = problem
            raise


__all__ = ["Parts", "QueueRunner", "RunnerSettings", "Submit"]
