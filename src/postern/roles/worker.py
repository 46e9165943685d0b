"""A worker: every protocol on one loop, a journal of its own. Here, and only here, the parts are wired together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from postern.config.listeners import Listening
from postern.config.settings import Settings
from postern.ldapsource.verifying import PasswordSources
from postern.net.descriptors import mailbox_files, sockets_below
from postern.net.dns import DnsResolver
from postern.net.listener import Listener, serve
from postern.net.stream import Stream
from postern.roles.calendars import calendars
from postern.roles.certificate_watch import CertificateWatch
from postern.roles.frontends import MAILDROPS_FILE, Frontends
from postern.roles.gauges import ServerMetrics
from postern.roles.maildrops import MaildropLocks
from postern.roles.parts import Parts
from postern.roles.peers import PeerCertificates
from postern.roles.process import EXIT_JOURNAL_FAILED, Slot, Wishes
from postern.roles.pulse import Pulse
from postern.roles.sending import Sending
from postern.roles.sockets import Endpoint, TlsContexts
from postern.services.address_book import AddressBook
from postern.services.assistants.runner import OutboxRunner
from postern.services.lifecycle import Session, Sessions
from postern.services.mailboxes import Mailboxes
from postern.services.mailflow import Mailflow
from postern.services.mailflow_settings import MailflowSettings
from postern.services.permissions import Permissions
from postern.services.rules.at_delivery import AtDelivery
from postern.services.rules.letter_sender import LetterSender
from postern.services.rules.stored import SEND
from postern.store import failpoints
from postern.store.journal.layout import journal_directory, journals
from postern.store.journal.marks import JournalInUseError
from postern.store.journal.writer import Journal
from postern.store.sqlite.host import MAX_OPEN
from postern.telemetry import log

LATE_IMPORTS = ("encodings.idna", "stringprep", "unicodedata", "concurrent.futures.thread", "dns.asyncbackend")
"""Modules that would otherwise be imported after the fork, by each process for itself."""
UPKEEP_EVERY_S = 5.0
"""How often files that garbage collection replaced are let go, and the first worker looks for journals whose owner
died and whose successor never came."""
COUNT_THEMSELVES = frozenset({"smtp", "http"})
"""Protocols whose front ends count the connections of an address. With the others one address may have a tenth of all
connections on which nobody has signed in: it could keep everybody else out."""
ORPHANED_GRACE_S = 1.0
"""The supervisor is gone: finish quickly, the next one waits for us."""


def main(
    settings: Settings,
    slot: Slot,
    epoch: int,
    metrics: ServerMetrics,
    index: int,
    endpoints: Sequence[Endpoint],
    tls: TlsContexts,
) -> Callable[[Wishes, Callable[[], None]], Awaitable[int]]:
    """What the forked process runs."""

    async def run(wishes: Wishes, tell_ready: Callable[[], None]) -> int:
        worker = Worker(settings, slot, epoch, metrics, index)
        return await worker.run(endpoints, tls, wishes, tell_ready)

    return run


class Worker:
    """One process's life."""

    def __init__(self, settings: Settings, slot: Slot, epoch: int, metrics: ServerMetrics, index: int) -> None:
        self._settings = settings
        self._slot = slot
        self._epoch = epoch
        self._metrics = metrics
        self._index = index
        self._assistants: OutboxRunner
        self._log = log.logger(process=slot.name)
        self._listeners: list[tuple[Listening, Listener]] = []
        self._pulse = Pulse(metrics, self._report)
        self._failed = asyncio.Event()
        self._reported = (0, 0)

    async def run(
        self, endpoints: Sequence[Endpoint], tls: TlsContexts, wishes: Wishes, tell_ready: Callable[[], None]
    ) -> int:
        """Serve until asked to stop; the exit status."""
        failpoints.configure_from_environment()
        parts = Parts.open(
            self._settings, self._slot.name, self._slot.process, self._epoch, max_open=mailbox_files(MAX_OPEN)
        )
        await parts.bus.start()
        wishes.peer_died = parts.bus.rescan
        parts.store.tell_when_lost(self._journal_failed)
        await parts.store.start()
        self._journal = Journal(
            journal_directory(parts.data),
            self._slot.journal,
            parts.clock,
            self._journal_failed,
            segment_bytes=self._settings.store.segment_bytes,
            spool_bytes=self._settings.store.spool_bytes,
        )
        assistants = self._assistants = OutboxRunner(parts.store, parts.claims)
        rules = AtDelivery(
            parts.store,
            parts.directory,
            parts.bus,
            parts.clock,
            self._journal,
            self._settings.server.hostname,
            assistants,
        )
        mailflow = self._mailflow = Mailflow(
            self._journal,
            parts.store,
            parts.directory,
            parts.queue,
            parts.tracker,
            parts.clock,
            self._journal_failed,
            MailflowSettings(self._settings.server.hostname, self._settings.smtp.max_received),
            rules,
            assistants,
        )
        assistants.register(SEND, LetterSender(parts.store, parts.clock, mailflow.submit_internal).handle)
        mailflow.start()
        resolver = DnsResolver(parts.clock, self._settings.network.nameservers, self._settings.network.nameserver_port)
        smtp = [(e.address, e.port) for e in endpoints if e.listening.path.protocol == "smtp"]
        peers = PeerCertificates(self._settings, parts.directory, parts.clock)
        sending = Sending(self._slot.name, parts, mailflow, resolver, smtp, peers, rules, assistants)
        permissions = Permissions(parts.directory)
        sessions = Sessions(parts.directory, permissions, parts.clock, self._known)
        authentication = parts.authentication(sessions, peers.trust)
        sources = PasswordSources(parts.directory, resolver, parts.clock, parts.entropy)
        authentication.password_sources = sources
        address_book = AddressBook(parts.directory, parts.clock)
        mailboxes = Mailboxes(parts.store, parts.bus, permissions, mailflow, parts.clock, sessions)
        agendas = calendars(parts, mailflow, mailboxes, assistants)
        frontends = Frontends(
            settings=self._settings,
            parts=parts,
            mailflow=mailflow,
            mailboxes=mailboxes,
            agendas=agendas,
            address_book=address_book,
            authentication=authentication,
            resolver=resolver,
            maildrops=MaildropLocks(parts.data / MAILDROPS_FILE),
            pressure=sending.pressure,
            metrics=self._metrics,
            tls=tls,
            peers=peers,
            https_port=next((e.port for e in endpoints if e.listening.path.id == "https"), 0),
        )
        tasks = [asyncio.create_task(self._pulse.run()), asyncio.create_task(sessions.run(parts.bus))]
        assisting = assistants.start()
        await self._replay_orphans(parts, starting=True)
        sending.start(lambda: self._pulse.standing_lag_s, self._journal_failed)
        tasks.append(asyncio.create_task(self._upkeep(parts)))

        watch = CertificateWatch(self._settings, tls, partial(self._use, frontends), parts.clock, self._log)
        watch.look()  # a worker that takes another's place gets the contexts of the server's start
        tasks.append(asyncio.create_task(watch.run()))
        for endpoint in endpoints:
            await self._serve(endpoint, frontends)
        self._pulse.report()
        tell_ready()
        stop = asyncio.create_task(wishes.stop.wait())
        failed = asyncio.create_task(self._failed.wait())
        await asyncio.wait([stop, failed], return_when=asyncio.FIRST_COMPLETED)
        if self._failed.is_set():
            return EXIT_JOURNAL_FAILED
        await self._stop(wishes)
        await sending.stop(ORPHANED_GRACE_S if wishes.orphaned else float(self._settings.server.stop_s))
        await frontends.stop()
        frontends.close()
        peers.close()
        for task in (*tasks, failed):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await address_book.close()
        assisting.cancel()
        await asyncio.gather(assisting, return_exceptions=True)
        # what is delivered from here on leaves its work to the next start
        await mailflow.close()
        await parts.close()
        return 0

    async def _serve(self, endpoint: Endpoint, frontends: Frontends) -> None:
        listening = endpoint.listening
        if endpoint.in_background or self._index >= len(endpoint.sockets):
            return
        handler, limit, full = frontends.handler(listening)
        self._listeners.append(
            (
                listening,
                await serve(
                    endpoint.sockets[self._index],
                    self._correlated(handler, listening.path.id),
                    frontends.tls.of(listening) if listening.path.implicit_tls else None,
                    on_error=self._session_failed,
                    limit=limit,
                    full=full,
                    below=sockets_below(),
                    strangers=0 if listening.path.protocol in COUNT_THEMSELVES else max(1, limit // 10),
                ),
            )
        )

    def _use(self, frontends: Frontends, tls: TlsContexts) -> None:
        """From now on, for new connections."""
        frontends.tls = tls
        for listening, listener in self._listeners:
            if listener.tls is not None:
                listener.tls = tls.of(listening)

    def _known(self, session: Session) -> None:
        """Somebody has signed in."""
        if isinstance(session, Stream):
            for _, listener in self._listeners:
                listener.known(session)

    def _correlated(
        self, handler: Callable[[Stream], Awaitable[None]], path: str
    ) -> Callable[[Stream], Awaitable[None]]:
        """Give each connection its correlation id."""
        serial = 0

        def handle(stream: Stream) -> Awaitable[None]:
            # called in the connection's task; a coroutine would be one frame more for as long as a client waits
            nonlocal serial
            serial += 1
            stream.context = f"{self._slot.journal:x}-{serial:x}"
            log.correlate(session=stream.context, listener=path, peer=stream.peer[0])
            return handler(stream)

        return handle

    def _session_failed(self, stream: Stream, error: BaseException) -> None:
        if isinstance(error, ConnectionError | TimeoutError):
            self._log.debug("session.broken", session=stream.context, peer=stream.peer[0], reason=str(error))
            return
        self._metrics.errors.add()
        self._log.error("session.failed", session=stream.context, peer=stream.peer[0], exc_info=error)

    def _journal_failed(self, error: Exception) -> None:
        """Take nothing more, answer nothing more: the journal is replayed by our successor."""
        self._log.error("journal.failed", reason=str(error))
        for _, listener in self._listeners:
            listener.stop_accepting()
        self._failed.set()

    async def _stop(self, wishes: Wishes) -> None:
        grace = ORPHANED_GRACE_S if wishes.orphaned else float(self._settings.server.stop_s)
        if wishes.linger:
            for _, listener in self._listeners:
                listener.stop_accepting()
            await wishes.second_stop(lambda: any(listener.connections for _, listener in self._listeners))
        await asyncio.gather(*(listener.stop(grace) for _, listener in self._listeners))

    # --- journals that others left

    async def _replay_orphans(self, parts: Parts, *, starting: bool = False) -> None:
        left = starting and self._index == 0
        for journal in journals(journal_directory(parts.data)):
            if journal == self._slot.journal:
                continue
            with contextlib.suppress(JournalInUseError, FileNotFoundError):
                count = await self._mailflow.replay(journal)
                left = True
                if count:
                    self._log.warning("journal.replayed", journal=f"{journal:x}", messages=count)
        if left:
            # a process that ended left its journal, and perhaps work in outboxes
            for mailbox in await parts.store.with_outbox():
                self._assistants.wake(mailbox)

    async def _upkeep(self, parts: Parts) -> None:
        while True:
            await asyncio.sleep(UPKEEP_EVERY_S)
            parts.blobs.trim()
            if self._index == 0:
                await parts.store.set_room_aside()
                await self._replay_orphans(parts)

    # --- metrics

    def _report(self) -> None:
        open_by_path: dict[str, int] = {}
        for listening, listener in self._listeners:
            path = listening.path.id
            open_by_path[path] = open_by_path.get(path, 0) + len(listener.connections)
            self._metrics.connections[path].add(listener.accepted)
            self._metrics.refused[path].add(listener.refused)
            listener.accepted = listener.refused = 0
        for path, count in open_by_path.items():
            self._metrics.open[path].set(count)
        records, syncs = self._journal.records_written, self._journal.syncs
        self._metrics.journal_records.add(records - self._reported[0])
        self._metrics.journal_syncs.add(syncs - self._reported[1])
        self._reported = (records, syncs)
        self._metrics.outstanding.set(self._mailflow.outstanding)
