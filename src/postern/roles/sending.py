"""A worker's queue runner as a part that starts and stops, and the back pressure that it feeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from postern.model.envelope import Envelope
from postern.model.ids import DeliveryKey
from postern.model.ports import Resolver
from postern.model.refusal import Reason, Refusal
from postern.roles import outbound
from postern.roles.parts import Parts
from postern.roles.peers import PeerCertificates
from postern.services.local_delivery import Wakes
from postern.services.mailflow import Mailflow
from postern.services.rules.at_delivery import AtDelivery
from postern.telemetry import log
from postern.transport.pressure import Pressure

ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
LOOPBACK = ("127.0.0.1", "::1")


class Sending:
    """The outgoing side of one worker."""

    def __init__(
        self,
        name: str,
        parts: Parts,
        mailflow: Mailflow,
        resolver: Resolver,
        listeners: Sequence[tuple[str, int]],
        peers: PeerCertificates,
        rules: AtDelivery | None = None,
        assistants: Wakes | None = None,
    ) -> None:
        """`listeners` are our SMTP listeners. Raises OSError, ValueError (keys, password files)."""

        async def submit(key: DeliveryKey, envelope: Envelope, content: bytes) -> None:
            await mailflow.submit_internal(key, envelope, content)

        self._parts = parts
        self._pressure = Pressure(outbound.limits(parts.settings), _report)
        self._runner = outbound.queue_runner(
            parts.settings,
            name,
            queue=parts.queue,
            store=parts.store,
            directory=parts.directory,
            tracker=parts.tracker,
            resolver=resolver,
            submit=submit,
            clock=parts.clock,
            entropy=parts.entropy,
            peers=peers,
            own_addresses=[
                (own, port)
                for address, port in listeners
                for own in ((*LOOPBACK, address) if address in ANY_ADDRESS else (address,))
            ],
            rules=rules,
            assistants=assistants,
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

    async def stop(self, timeout_s: float) -> None:
        """Finish the transfers that run, give back the rest."""
        await self._runner.stop(timeout_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def pressure(self) -> Reason | None:
        """Why no mail can be taken just now, or None: what the SMTP front end asks before MAIL."""
        try:
            self._pressure.check()
        except Refusal as refusal:
            return refusal.reason
        return None


def _report(why: str, on: bool) -> None:
    log.logger(part="pressure").warning("pressure.on" if on else "pressure.off", reason=why)
