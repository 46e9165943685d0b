"""The background process: what has time. Expiry, garbage collection, old tracking files, and the metrics page."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence

from postern.config.settings import Settings
from postern.model.refusal import Refusal
from postern.net.dns import DnsResolver
from postern.net.listener import Listener, serve
from postern.roles import retention_clock
from postern.roles.certificate_care import LOOK_EVERY_S as CERTIFICATES_EVERY_S
from postern.roles.certificate_care import CertificateCare
from postern.roles.gauges import ServerMetrics
from postern.roles.indexing import LOOK_EVERY_S, Indexing
from postern.roles.mirroring import Mirroring
from postern.roles.parts import OFFLINE_DIRECTORY, SIGN_INS_DIRECTORY, TRACKING_DIRECTORY, Parts
from postern.roles.process import Slot, Wishes
from postern.roles.pulse import Pulse
from postern.roles.retention_clock import RetentionClock
from postern.roles.sockets import METRICS, Endpoint
from postern.roles.workers import worker_count
from postern.services.address_book import AddressBook
from postern.services.offline_books import OfflineBooks
from postern.store import failpoints
from postern.store.journal.collect import Collector
from postern.store.journal.layout import journal_directory
from postern.telemetry import daily, log
from postern.transport import tracking

NICENESS = 10
MAX_OPEN_MAILBOXES = 8
"""It visits one after the other, and keeps hardly any of them busy."""
HOUR_S = 3600.0
DAY_S = 86400.0
EXPIRY_EVERY_S = HOUR_S
COLLECT_EVERY_S = 6 * HOUR_S
OFFLINE_FIRST_S = 5.0
FIRST_RUN_S = 60.0
"""After the start, clients come first."""
QUEUE_LENGTH_EVERY_S = 5.0


def main(
    settings: Settings, slot: Slot, epoch: int, metrics: ServerMetrics, pages: Sequence[Endpoint]
) -> Callable[[Wishes, Callable[[], None]], Awaitable[int]]:
    """What the forked process runs."""

    async def run(wishes: Wishes, tell_ready: Callable[[], None]) -> int:
        return await Background(settings, slot, epoch, metrics).run(pages, wishes, tell_ready)

    return run


class Background:
    """One process's life."""

    def __init__(self, settings: Settings, slot: Slot, epoch: int, metrics: ServerMetrics) -> None:
        self._settings = settings
        self._slot = slot
        self._epoch = epoch
        self._metrics = metrics
        self._log = log.logger(process=slot.name)

    async def run(self, pages: Sequence[Endpoint], wishes: Wishes, tell_ready: Callable[[], None]) -> int:
        """Work until asked to stop; the exit status."""
        os.nice(NICENESS)
        failpoints.configure_from_environment()
        parts = Parts.open(
            self._settings, self._slot.name, self._slot.process, self._epoch, max_open=MAX_OPEN_MAILBOXES
        )
        await parts.bus.start()
        self._retention = RetentionClock(parts.data / retention_clock.FILE, parts.clock, self._log)
        pulse = Pulse(self._metrics)
        served = await self._serve(pages, parts)
        tasks = [
            asyncio.create_task(pulse.run()),
            asyncio.create_task(self._every(QUEUE_LENGTH_EVERY_S, 0.0, lambda: self._measure_queue(parts))),
            asyncio.create_task(self._every(EXPIRY_EVERY_S, FIRST_RUN_S, lambda: self._expire(parts))),
            asyncio.create_task(self._every(COLLECT_EVERY_S, 2 * FIRST_RUN_S, lambda: self._collect(parts))),
        ]
        if self._settings.search.index != "off":
            indexing = Indexing(parts, self._slot.name)
            tasks.append(asyncio.create_task(self._every(LOOK_EVERY_S, LOOK_EVERY_S, indexing.look)))
        every_s = float(self._settings.address_book.offline_every_s)
        if every_s:
            book = AddressBook(parts.directory, parts.clock)
            books = OfflineBooks(parts.directory, book, parts.data / OFFLINE_DIRECTORY)
            tasks.append(asyncio.create_task(self._every(every_s, OFFLINE_FIRST_S, lambda: self._offline(books))))
        resolver = DnsResolver(parts.clock, self._settings.network.nameservers, self._settings.network.nameserver_port)
        mirroring = Mirroring(parts.directory, resolver, parts.clock, parts.entropy, parts.data)
        tasks.append(asyncio.create_task(mirroring.run()))
        care = CertificateCare(self._settings, self._metrics, parts.clock, self._log)
        tasks.append(asyncio.create_task(self._every(CERTIFICATES_EVERY_S, 0.0, care.look)))
        pulse.report()
        tell_ready()
        await wishes.stop.wait()
        for listener in served:
            await listener.stop(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await parts.store.sync_dirty()
        await parts.close()
        return 0

    async def _serve(self, pages: Sequence[Endpoint], parts: Parts) -> list[Listener]:
        if not pages:
            return []
        # imported by this process alone where no worker speaks HTTP
        from postern.frontends.http.connection import Shared
        from postern.frontends.http.frontend import HttpFrontend
        from postern.frontends.http.settings import HttpSettings
        from postern.frontends.http.site import ANYBODY, Mount, Site
        from postern.roles.pages import Pages

        own = Pages(self._metrics, worker_count(self._settings) + 1)
        site = Site([Mount("/metrics", own.metrics, ANYBODY, exact=True), Mount("/health", own.health, ANYBODY)])
        settings = HttpSettings(METRICS, self._settings.server.hostname, head_timeout_s=10.0, body_bytes=0, hsts_s=0)
        handler = HttpFrontend(Shared(settings, site, None, parts.clock, self._log)).handle
        return [await serve(endpoint.sockets[0], handler, None) for endpoint in pages]

    async def _every(self, seconds: float, first_s: float, work: Callable[[], Awaitable[None]]) -> None:
        """Again and again; what fails is tried again in its turn."""
        await asyncio.sleep(first_s)
        while True:
            try:
                await work()
            except Exception as error:  # a corrupt mailbox or a full disk must not end the others' care
                self._log.error(
                    "background.failed", exc_info=None if isinstance(error, Refusal) else error, reason=str(error)
                )
            await asyncio.sleep(seconds)

    async def _measure_queue(self, parts: Parts) -> None:
        self._metrics.queue_length.set(await parts.queue.length())

    async def _expire(self, parts: Parts) -> None:
        """Recoverable items past their time, tracking files past theirs."""
        now = await asyncio.to_thread(self._retention.now)
        before = now - self._settings.store.recoverable_days * DAY_S
        purged = 0
        for account in await parts.directory.accounts():
            if account.mailbox is None or not parts.store.path(account.mailbox).exists():
                continue
            try:
                mailbox = await parts.store.mailbox(account.mailbox)
                purged += await mailbox.purge_recoverable(before)
            except Refusal as refusal:
                self._log.warning("expiry.skipped", mailbox=account.mailbox, reason=str(refusal))
        days = self._settings.log.tracking_days
        files = await asyncio.to_thread(tracking.prune, parts.data / TRACKING_DIRECTORY, now, days)
        days = self._settings.log.signin_days
        signins = await asyncio.to_thread(daily.prune, parts.data / SIGN_INS_DIRECTORY, now, days)
        self._log.info("expiry.done", items=purged, tracking_files=files, signin_files=signins)

    async def _offline(self, books: OfflineBooks) -> None:
        """The offline address book, where the directory has changed."""
        for made in await books.make():
            if made.changed:
                self._log.info("offline_book.made", list=made.name, sequence=made.sequence, recipients=made.recipients)

    async def _collect(self, parts: Parts) -> None:
        """Free bodies that nothing refers to any more."""

        async def queued(segments: Sequence[int]) -> Mapping[int, set[int]]:
            return {segment: await parts.queue.live(segment) for segment in segments}

        rested = parts.clock.timestamp() - self._settings.store.dead_bytes_days * DAY_S
        collector = Collector(journal_directory(parts.data), [parts.store.live, queued], rested_before=rested)
        collected = await collector.collect()
        self._log.info("collection.done", **collected._asdict())
