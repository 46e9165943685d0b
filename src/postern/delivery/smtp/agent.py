"""Hands messages to next hops: tries their hosts in order, keeps connections for the next message.

A transfer is repeated only while the other side cannot have the message: after the content went out a broken
connection means that the message is deferred, and may arrive twice (RFC 5321 4.5.3.2.6), never not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec

from postern.delivery.smtp.connection import (
    CONNECTION_PROBLEMS,
    Connection,
    Connector,
    Initiator,
    Timeouts,
    Trust,
    Unusable,
)
from postern.delivery.smtp.contexts import Contexts
from postern.delivery.smtp.fitting import Unfit, fit
from postern.delivery.smtp.signing import Signer
from postern.model.envelope import Envelope
from postern.model.ports import Entropy
from postern.model.transfer import TLS_FAILED, Fate, NextHop, Outgoing, Result, Target
from postern.protocols.smtp.client import RecipientResult, RemoteReply

MAX_TRIED = 6
"""Hosts tried for one message; the rest waits for the next attempt."""
DEAD_SECONDS = 60.0
"""A host that did not answer is tried last for so long."""


class AgentSettings(msgspec.Struct, frozen=True):
    """Limits."""

    helo: str
    """Our name."""
    idle_seconds: float = 5.0
    """A connection is kept so long for the next message."""
    transfers_per_connection: int = 100
    recipients_per_transfer: int = 100
    """RFC 5321 4.5.3.1.8: every server takes as many."""
    timeouts: Timeouts = Timeouts()
    source_address: str = ""
    """IP address to connect from; empty: any."""


class NextHopAgent:
    """One per worker."""

    def __init__(
        self,
        settings: AgentSettings,
        entropy: Entropy,
        signer: Signer | None = None,
        *,
        contexts: Contexts | None = None,
        trust: Trust | None = None,
        kerberos: Initiator | None = None,
    ) -> None:
        """`trust` judges the certificates of the organisation's servers and of partners; None: nobody is either.

        `kerberos` signs in to servers that take it; None: to none.
        """
        self._settings = settings
        self._connector = Connector(
            settings.helo, entropy, settings.timeouts, contexts or Contexts(), settings.source_address, trust, kerberos
        )
        self._signer = signer
        self._idle: dict[tuple[object, ...], list[Connection]] = {}
        self._dead: dict[Target, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections_opened = 0
        self.connections_reused = 0

    async def send(self, next_hop: NextHop, message: Outgoing) -> list[Result]:
        """Results in the order of the message's recipients."""
        results: list[Result] = []
        step = self._settings.recipients_per_transfer
        recipients = message.envelope.recipients
        for start in range(0, len(recipients), step):
            part = msgspec.structs.replace(message.envelope, recipients=recipients[start : start + step])
            results += await self._send(next_hop, msgspec.structs.replace(message, envelope=part))
        return results

    async def close(self) -> None:
        """Say goodbye on idle connections."""
        idle = [c for connections in self._idle.values() for c in connections]
        self._idle.clear()
        for connection in idle:
            self._spawn_quit(connection)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._settings.timeouts.quit_s)

    async def _send(self, next_hop: NextHop, message: Outgoing) -> list[Result]:
        """One envelope's worth, by whichever host takes it."""
        count = len(message.envelope.recipients)
        problem = Unusable("4.4.1", "no host to try")
        if self._settings.source_address:
            problem.text = f"no host that network.source_address {self._settings.source_address} could reach"
        host = ""
        targets = self._in_order(next_hop.targets)
        for number, target in enumerate(targets[:MAX_TRIED]):
            try:
                return await self._by(next_hop, target, message)
            except Unusable as unusable:
                # one host's "never" says nothing of another that cannot be asked now, and that TLS failed has to be
                # known at the next attempt
                if number == 0 or problem.permanent or not (unusable.permanent or problem.status == TLS_FAILED):
                    problem, host = unusable, target.host
                if not unusable.permanent:
                    self._dead[target] = asyncio.get_running_loop().time() + DEAD_SECONDS
                if unusable.status == "5.4.6":
                    break
        fate = Fate.FAILED if problem.permanent else Fate.DEFERRED
        return [Result(fate, problem.status, problem.text, host, unreachable=not problem.permanent)] * count

    def _in_order(self, targets: Sequence[Target]) -> list[Target]:
        now = asyncio.get_running_loop().time()
        self._dead = {t: until for t, until in self._dead.items() if until > now}
        source = self._settings.source_address
        # from an IPv4 address nobody reaches an IPv6 one, and the other way round
        reached = [t for t in targets if (":" in t.address) == (":" in source)] if source else targets
        return sorted(reached, key=self._dead.__contains__)

    async def _by(self, next_hop: NextHop, target: Target, message: Outgoing) -> list[Result]:
        """Transfer to one host. Raises Unusable while the message is surely not there."""
        while True:
            connection, reused = await self._connection(next_hop, target, message.tls_failed)
            try:
                results = await self._transfer(connection, message)
            except CONNECTION_PROBLEMS as problem:
                connection.abort()
                text = f"{target.host}[{target.address}]: {problem or type(problem).__name__}"
                if connection.committed:
                    lost = f"connection lost after the message was sent: {text}"
                    return [Result(Fate.DEFERRED, "4.4.2", lost, target.host, connection.tls)] * len(
                        message.envelope.recipients
                    )
                if reused:
                    # it was idle and the server has closed it: nothing is wrong with the server
                    continue
                raise Unusable("4.4.2", text) from problem
            except BaseException:
                connection.abort()
                raise
            self._give_back(next_hop, connection)
            return results

    async def _connection(self, next_hop: NextHop, target: Target, tls_failed: bool) -> tuple[Connection, bool]:
        idle = self._idle.get(_pool_key(next_hop, target))
        while idle:
            connection = idle.pop()
            if connection.alive and await self._connector.still_trusted(next_hop, connection):
                self.connections_reused += 1
                return connection, True
            self._spawn_quit(connection)
        connection = await self._connector.open(next_hop, target, tls_failed=tls_failed)
        self.connections_opened += 1
        return connection, False

    async def _transfer(self, connection: Connection, message: Outgoing) -> list[Result]:
        recipients = message.envelope.recipients
        host, tls = connection.target.host, connection.tls
        try:
            fitted = fit(message.envelope, message.content, connection.session.extensions)
        except Unfit as problem:
            return [Result(Fate.FAILED, problem.status, problem.text, "", tls)] * len(recipients)
        content = fitted.content
        if self._signer is not None and message.ours:
            content = await self._signer.signature(content) + content
        answers = await self._portions(connection, fitted.envelope, content) if fitted.envelope.recipients else []
        blind = "DSN" not in connection.session.extensions
        replies = iter(answers)
        return [
            Result(Fate.FAILED, "5.6.7", fitted.unfit[number], "", tls)
            if number in fitted.unfit
            else _result(next(replies), host, tls, blind)
            for number in range(len(recipients))
        ]

    async def _portions(self, connection: Connection, envelope: Envelope, content: bytes) -> list[RecipientResult]:
        """In as many transactions as the server's RCPTMAX asks for (RFC 9422)."""
        most = connection.session.extensions.limit("RCPTMAX") or len(envelope.recipients)
        results: list[RecipientResult] = []
        for start in range(0, len(envelope.recipients), most):
            part = msgspec.structs.replace(envelope, recipients=envelope.recipients[start : start + most])
            try:
                results += await connection.transfer(part, content)
            except CONNECTION_PROBLEMS as problem:
                if not results:
                    raise
                # earlier portions are there and must not be sent again with the rest
                lost = RemoteReply(451, "4.4.2", (f"connection lost: {problem or type(problem).__name__}",))
                results += [RecipientResult(r, lost) for r in envelope.recipients[len(results) :]]
                break
        return results

    def _give_back(self, next_hop: NextHop, connection: Connection) -> None:
        most = min(self._settings.transfers_per_connection, connection.limit_transfers or 1_000_000)
        # one that TLS failed for serves the message that waited: another one has its own first attempt with TLS
        if not connection.alive or connection.without_tls or connection.transfers >= most:
            self._spawn_quit(connection)
            return
        key = _pool_key(next_hop, connection.target)
        self._idle.setdefault(key, []).append(connection)
        asyncio.get_running_loop().call_later(
            self._settings.idle_seconds, self._expire, key, connection, connection.transfers
        )

    def _expire(self, key: tuple[object, ...], connection: Connection, transfers: int) -> None:
        idle = self._idle.get(key, [])
        # a connection that was used since then has a later timer
        if connection in idle and connection.transfers == transfers:
            idle.remove(connection)
            self._spawn_quit(connection)
        if not idle:
            self._idle.pop(key, None)

    def _spawn_quit(self, connection: Connection) -> None:
        task = asyncio.create_task(self._quit(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _quit(connection: Connection) -> None:
        with contextlib.suppress(*CONNECTION_PROBLEMS):
            await connection.quit()


def _pool_key(next_hop: NextHop, target: Target) -> tuple[object, ...]:
    return (target, next_hop.tls, next_hop.partner, next_hop.username)


def _result(answer: RecipientResult, host: str, tls: str, blind: bool) -> Result:
    reply = answer.reply
    if reply.positive:
        return Result(Fate.RELAYED_BLIND if blind else Fate.RELAYED, reply.enhanced or "2.0.0", reply.text, host, tls)
    # RFC 5321 4.5.3.1.10: 552 to a RCPT means too many recipients, and the rest may be sent later
    too_many = answer.at_rcpt and reply.code == 552 and reply.enhanced in ("", "5.5.3")
    if reply.permanent and not too_many:
        return Result(Fate.FAILED, reply.enhanced or "5.0.0", reply.text, host, tls)
    enhanced = reply.enhanced if reply.enhanced.startswith("4") else "4.0.0"
    return Result(Fate.DEFERRED, enhanced, reply.text, host, tls)
