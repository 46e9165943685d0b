"""A worker's outgoing side: routing, the queue runner and its agents, back pressure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from postern.config.settings import Settings
from postern.delivery.mailbox import MailboxAgent
from postern.delivery.smtp.agent import AgentSettings, NextHopAgent
from postern.delivery.smtp.signing import DkimKey, Signer
from postern.formats.dkim import load_key
from postern.model.addresses import normalise_domain
from postern.model.envelope import Envelope
from postern.model.ids import DeliveryKey
from postern.model.ports import Resolver
from postern.model.refusal import Reason, Refusal
from postern.model.transfer import TlsPolicy
from postern.roles.instance import StartError
from postern.roles.parts import Parts
from postern.services.copies import CopyDelivery
from postern.services.mailflow import Mailflow
from postern.telemetry import log
from postern.transport import runner
from postern.transport.pressure import Limits, Pressure
from postern.transport.routing import Router, SendConnector, SmartHost

ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
LOOPBACK = ("127.0.0.1", "::1")


def send_connectors(settings: Settings) -> list[SendConnector]:
    """The settings' send connectors. Raises StartError."""
    return [
        SendConnector(
            name=own.name,
            address_spaces=own.domains,
            smart_hosts=tuple(_smart_host(text, own.port, own.name) for text in own.smart_hosts),
            port=own.port,
            tls=TlsPolicy(own.tls),
            username=own.username,
            password=_secret(own.password_file) if own.username else "",
        )
        for own in settings.send_connector
    ]


def _smart_host(text: str, port: int, connector: str) -> SmartHost:
    """`host`, `host:port` or `[address]:port`. Raises StartError."""
    host, rest = text, ""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
    elif text.count(":") == 1:
        host, _, rest = text.partition(":")
    number = rest.removeprefix(":")
    if not host or (number and not (number.isascii() and number.isdigit() and 0 < int(number) < 65536)):
        raise StartError(f"send connector {connector}: {text!r} is not host, host:port or [address]:port")
    return SmartHost(host, int(number) if number else port)


def _secret(file: str) -> str:
    try:
        return Path(file).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"the password file {file} of a send connector cannot be read: {error}") from error


def dkim_keys(settings: Settings) -> dict[str, DkimKey]:
    """Keys by domain. Raises StartError."""
    keys = {}
    for own in settings.dkim:
        try:
            keys[normalise_domain(own.domain)] = DkimKey(own.selector, load_key(Path(own.key).read_bytes()))
        except (OSError, ValueError, Refusal) as error:
            raise StartError(f"the DKIM key {own.key} of {own.domain} cannot be used: {error}") from error
    return keys


def make_pressure(settings: Settings) -> Pressure:
    """Back pressure with the settings' limits; changes are logged."""

    def report(why: str, on: bool) -> None:
        log.logger(part="pressure").warning("pressure.on" if on else "pressure.off", reason=why)

    limits = Limits(
        queue_recipients=settings.pressure.max_queue,
        free_bytes=settings.pressure.min_free_bytes,
        loop_lag_s=settings.pressure.max_loop_lag_s,
    )
    return Pressure(limits, report)


def reason_of(pressure: Pressure) -> Callable[[], Reason | None]:
    """What the SMTP front end asks."""

    def reason() -> Reason | None:
        try:
            pressure.check()
        except Refusal as refusal:
            return refusal.reason
        return None

    return reason


class Outbound:
    """The queue runner of one worker with what belongs to it."""

    def __init__(
        self,
        name: str,
        parts: Parts,
        mailflow: Mailflow,
        resolver: Resolver,
        own_addresses: Sequence[tuple[str, int]],
        pressure: Pressure,
    ) -> None:
        """`own_addresses` are our SMTP listeners. Raises StartError."""
        settings = parts.settings
        host_name = settings.server.hostname
        expanded = [
            (own, port)
            for address, port in own_addresses
            for own in ((*LOOPBACK, address) if address in ANY_ADDRESS else (address,))
        ]

        async def submit(key: DeliveryKey, envelope: Envelope, content: bytes) -> None:
            await mailflow.submit_internal(key, envelope, content)

        queue = settings.queue
        agent = NextHopAgent(
            AgentSettings(helo=host_name, idle_seconds=float(queue.connection_idle_s)),
            parts.entropy,
            Signer(dkim_keys(settings), parts.clock),
        )
        self._parts = parts
        self._pressure = pressure
        self._runner = runner.QueueRunner(
            name,
            runner.Parts(
                queue=parts.queue,
                router=Router(send_connectors(settings), resolver, parts.entropy, [host_name], expanded),
                smtp=agent,
                mailboxes=MailboxAgent(CopyDelivery(parts.store)),
                contents=parts.blobs,
                directory=parts.directory,
                submit=submit,
                tracker=parts.tracker,
                clock=parts.clock,
                entropy=parts.entropy,
            ),
            runner.RunnerSettings(host_name=host_name, transfers_per_hop=queue.max_connections_per_host),
        )
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, lag: Callable[[], float], on_failure: Callable[[Exception], None]) -> None:
        """Begin; `on_failure` has to end the process (the queue's disk failed)."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.logger(part="queue").error("queue.failed", exc_info=error)
                on_failure(error if isinstance(error, Exception) else RuntimeError(str(error)))

        run = asyncio.create_task(self._runner.run())
        run.add_done_callback(ended)
        watch = asyncio.create_task(self._pressure.watch(self._parts.data, self._parts.queue.length, lag))
        self._tasks = [run, watch]

    def wake(self) -> None:
        """Something was put into the queue."""
        self._runner.wake()

    async def stop(self, timeout_s: float) -> None:
        """Finish the transfers that run, give back the rest."""
        await self._runner.stop(timeout_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
