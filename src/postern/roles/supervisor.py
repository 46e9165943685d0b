"""The first process: opens sockets, forks the workers, restarts what crashes, reloads, stops.

It opens no database and starts no thread, so that a fork copies nothing that two processes must not share. Everything
that the workers will need is imported here, once: they share its memory.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from postern.certificates.place import Place
from postern.config.settings import Settings
from postern.net.clock import SystemClock
from postern.net.descriptors import raise_limit
from postern.roles import background, layouts, mechanisms, outbound, worker
from postern.roles.bus import SharedBus
from postern.roles.children import BACKGROUND, Child, Children, Role
from postern.roles.gauges import ServerMetrics
from postern.roles.instance import DataDirectory, StartError, begin_epoch, end_epoch
from postern.roles.process import Slot
from postern.roles.sockets import HTTP, Endpoint, close_unused, open_endpoints, tls_contexts
from postern.roles.workers import worker_count
from postern.store.journal.layout import allocate_journal, journal_directory
from postern.telemetry import log

BUS_FILE = "bus"
TICK_S = 0.5
"""How often the supervisor looks at what is due (restarts, late stops)."""
KILL_AFTER_S = 10.0
"""After the grace of a stop: a process that still lives is killed; its journal is replayed."""
LINGER_S = 60.0
"""After a reload: how long old workers serve their open connections before they end them."""


class Ready(msgspec.Struct, frozen=True):
    """A server that serves."""

    ports: dict[str, int]
    """By data path id, as really open."""
    pid: int
    data: Path


class Supervisor:
    """One server."""

    def __init__(self, settings: Settings, reload: Callable[[], Settings] | None) -> None:
        self.settings = settings
        self._reload = reload
        self._workers = worker_count(settings)
        self.data = DataDirectory(settings.data_dir)
        try:
            check(settings)
            layouts.claim(settings.data_dir)
            self._epoch = begin_epoch(settings.data_dir)
            self._tls = tls_contexts(settings)
            Place(settings.data_dir).ensure_identity(settings.server.hostname, SystemClock().now())
            self.endpoints: list[Endpoint] = open_endpoints(settings, self._workers)
            SharedBus.clear(settings.data_dir / BUS_FILE)
        except BaseException:
            self.data.release()
            raise
        self._metrics = ServerMetrics([endpoint.listening.path.id for endpoint in self.endpoints])
        self._log = log.logger(process="supervisor")
        self._signals: list[int] = []
        self._children = Children(self._fork, self._metrics, self._log)
        self._stopping = 0.0
        self._clean = True

    # --- life

    def run(self, on_ready: Callable[[Ready], None] | None) -> int:
        """Serve until SIGTERM; the exit status."""
        raise_limit()
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(wake_read, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
        before = {number: signal.signal(number, self._note) for number in numbers}
        try:
            self._start_all()
            poll = select.poll()
            poll.register(wake_read, select.POLLIN)
            announced = False
            while self._children.alive or not self._stopping:
                for descriptor in self._children.ready_pipes():
                    poll.register(descriptor, select.POLLIN)
                ready = [descriptor for descriptor, _ in poll.poll(TICK_S * 1000)]
                for descriptor in ready:
                    if descriptor == wake_read:
                        with contextlib.suppress(BlockingIOError):
                            os.read(wake_read, 4096)
                    else:
                        poll.unregister(descriptor)
                        self._children.note_ready(descriptor)
                self._handle_signals()
                self._children.reap()
                if self._children.failed_start and not announced:
                    self._log.error("start.failed", process_name=self._children.failed_start)
                    self._begin_stop()
                if not self._stopping:
                    self._children.restart_due()
                    if not announced and self._children.all_ready:
                        announced = True
                        self._announce(on_ready)
                elif time.monotonic() > self._stopping:
                    self._children.kill_all()
            return self._end()
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(wake_read)
            os.close(wake_write)
            self.data.release()

    def _start_all(self) -> None:
        preload(self.endpoints)
        gc.collect()
        gc.freeze()
        for index in range(self._workers):
            self._children.start(Role("worker", index))
        if self.settings.server.background:
            self._children.start(BACKGROUND)

    def _announce(self, on_ready: Callable[[Ready], None] | None) -> None:
        ports = {endpoint.listening.path.id: endpoint.port for endpoint in self.endpoints}
        self._log.info("server.ready", workers=self._workers, ports=ports, data=str(self.settings.data_dir))
        if on_ready is not None:
            on_ready(Ready(ports, os.getpid(), self.settings.data_dir))

    def _end(self) -> int:
        for endpoint in self.endpoints:
            for sock in endpoint.sockets:
                sock.close()
        failed = bool(self._children.failed_start)
        if self._children.clean and not failed:
            end_epoch(self.settings.data_dir, self._epoch)
        self._log.info("server.stopped", clean=self._children.clean)
        return 1 if failed else 0

    # --- signals

    def _note(self, number: int, _: object) -> None:
        self._signals.append(number)

    def _handle_signals(self) -> None:
        signals, self._signals = self._signals, []
        for number in signals:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._begin_stop()
            elif number == signal.SIGHUP and not self._stopping:
                self._do_reload()

    def _begin_stop(self) -> None:
        if self._stopping:
            return
        self._log.info("server.stopping", grace_s=self.settings.server.stop_s)
        self._stopping = time.monotonic() + self.settings.server.stop_s + KILL_AFTER_S
        self._children.stop_all()

    def _do_reload(self) -> None:
        """New settings for new processes; a bad file changes nothing."""
        if self._reload is None:
            self._log.warning("reload.refused", reason="this server was started without a settings file")
            return
        try:
            settings = self._reload()
            if settings.data_dir != self.settings.data_dir:
                raise StartError("server.data cannot be changed by a reload: stop and start the server")
            check(settings)
            tls = tls_contexts(settings)
            workers = worker_count(settings)
            endpoints = open_endpoints(settings, workers, self.endpoints)
        except Exception as error:  # whatever is wrong with the file, the server goes on
            self._log.error("reload.refused", reason=str(error))
            return
        preload(endpoints)
        log.configure(settings.log.level)
        old, self.endpoints = self.endpoints, endpoints
        self.settings, self._tls, self._workers = settings, tls, workers
        self._metrics.declare([endpoint.listening.path.id for endpoint in endpoints])
        # before the fork: a successor that inherits a socket which it does not know keeps it open for nobody
        close_unused(old, endpoints)
        roles = [Role("worker", index) for index in range(workers)]
        self._children.replace_all([*roles, BACKGROUND] if settings.server.background else roles, LINGER_S)
        self._log.info("reload.done", workers=workers)

    # --- children

    def _fork(self, role: Role, process: int) -> Child:
        journal = allocate_journal(journal_directory(self.settings.data_dir))
        slot = Slot(role.label, process, journal)
        common = (self.settings, slot, self._epoch, self._metrics)
        if role == BACKGROUND:
            pages = [endpoint for endpoint in self.endpoints if endpoint.in_background]
            return self._children.fork(role, process, background.main(*common, pages), self._drop_sockets(None))
        main = worker.main(*common, role.number, self.endpoints, self._tls)
        return self._children.fork(role, process, main, self._drop_sockets(role.number))

    def _drop_sockets(self, index: int | None) -> Callable[[], None]:
        """In a worker: close the others' sockets, or the kernel would queue connections for nobody when they die."""

        def drop() -> None:
            for endpoint in self.endpoints:
                background = endpoint.in_background
                for number, sock in enumerate(endpoint.sockets):
                    if (background and index is None) or (not background and number == index):
                        continue
                    sock.close()

        return drop


def check(settings: Settings) -> None:
    """What only shows when it is used: keys, password files, smart hosts, networks. Raises StartError."""
    try:
        outbound.signer(settings, SystemClock())
        for connector in settings.send_connector:
            outbound.send_connector(connector)
        mechanisms.check(settings)
    except (OSError, ValueError) as error:
        raise StartError(f"a DKIM key or a send connector cannot be used: {error}") from error


def preload(endpoints: Sequence[Endpoint]) -> None:
    """Import what workers import late, so that they share it; what HTTP needs, only if somebody will speak it."""
    for name in worker.LATE_IMPORTS:
        importlib.import_module(name)
    if any(endpoint.listening.path.protocol == HTTP and not endpoint.in_background for endpoint in endpoints):
        importlib.import_module("postern.roles.web").prepare()


def run(
    settings: Settings,
    *,
    reload: Callable[[], Settings] | None = None,
    on_ready: Callable[[Ready], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; the exit status. Raises StartError (with a text for the administrator).

    `reload` reads the settings again at SIGHUP. `on_ready` is called when every process serves.
    """
    log.configure(settings.log.level)
    return Supervisor(settings, reload).run(on_ready)
