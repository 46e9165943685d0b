"""The entry: serves a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from postern.frontends.ports import Authentication, Stream
from postern.frontends.smtp.connection import Connection, Shared
from postern.frontends.smtp.connectors import Connectors
from postern.frontends.smtp.ports import Log, Mailflow, Metrics, Peers, SenderDomains, Silent, Strangers
from postern.frontends.smtp.replies import NO_SERVICE, REPLIES, Stage
from postern.frontends.smtp.settings import ReceiveConnector, SmtpSettings
from postern.model.networks import PeerCounts
from postern.model.ports import Clock, Entropy, Resolver
from postern.model.refusal import Reason
from postern.protocols.smtp.reply import Reply

if TYPE_CHECKING:
    import ssl

    from postern.net.tls import Wrapping


class SmtpFrontend:
    """One for each SMTP data path in a worker."""

    def __init__(  # noqa: PLR0913 - everything meets here
        self,
        settings: SmtpSettings,
        mailflow: Mailflow,
        authentication: Authentication,
        clock: Clock,
        entropy: Entropy,
        *,
        tls: Callable[[], ssl.SSLContext | Wrapping | None] = lambda: None,
        resolver: Resolver | None = None,
        pressure: Callable[[], Reason | None] = lambda: None,
        metrics: Metrics | None = None,
        log: Log | None = None,
        peers: Peers | None = None,
        sender_domains: SenderDomains | None = None,
    ) -> None:
        """`tls` gives the context for STARTTLS as it is at the moment (a reload changes it); None: not offered.

        `resolver` is asked for peers' names, for the Received field; without one none is there. `pressure` says why
        no mail can be taken just now (TRY_LATER, DISK_FULL, READ_ONLY, SHUTTING_DOWN), or None.
        Raises ValueError for a connector whose networks are none.
        """
        silent = Silent()
        self._shared = Shared(
            settings=settings,
            mailflow=mailflow,
            authentication=authentication,
            clock=clock,
            entropy=entropy,
            tls=tls,
            resolver=resolver,
            pressure=pressure,
            metrics=metrics or silent,
            log=log or silent,
            peers=peers or Strangers(),
            sender_domains=sender_domains,
        )
        self._connectors = Connectors(settings.connectors, settings.data_path)
        self._greeting = Reply(220, "", f"{settings.hostname} ESMTP Postern")
        self._open = 0
        self._peers = PeerCounts(settings.max_connections_per_address)

    @property
    def connections(self) -> int:
        """Connections being served."""
        return self._open

    async def handle(self, stream: Stream) -> None:
        """Serve one connection to its end. Cancelling it says 421 and closes; no accepted message is lost."""
        settings, metrics = self._shared.settings, self._shared.metrics
        address = stream.peer[0]
        metrics.opened(settings.data_path)
        connector = self._connectors.choose(address)
        if connector is None:
            metrics.refused(settings.data_path, Stage.CONNECT.value, Reason.NOT_PERMITTED.value)
            self._turn_away(stream, NO_SERVICE)
            return
        if self._open >= settings.max_connections or not self._peers.enter(address):
            metrics.refused(settings.data_path, Stage.CONNECT.value, Reason.TOO_MANY_CONNECTIONS.value)
            self._turn_away(stream, REPLIES[Reason.TOO_MANY_CONNECTIONS])
            return
        self._open += 1
        try:
            await self._serve(stream, connector)
        finally:
            self._open -= 1
            self._peers.leave(address)
            stream.close()

    async def _serve(self, stream: Stream, connector: ReceiveConnector) -> None:
        connection = Connection(self._shared, stream, connector)
        reason = "reset"
        try:
            reason = await connection.run(self._greeting)
        except asyncio.CancelledError:
            reason = "stopping"
            connection.stop()
            raise
        finally:
            connection.finished()
            self._shared.metrics.closed(self._shared.settings.data_path, reason)

    def _turn_away(self, stream: Stream, answer: Reply) -> None:
        stream.write(answer.wire)
        self._shared.metrics.closed(self._shared.settings.data_path, "refused")
        stream.close()
