"""What this front end needs from below besides `frontends.ports`, as it uses it; `services` fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from postern.model.envelope import Envelope, Peer

if TYPE_CHECKING:
    from postern.net.tls import Wrapping
    from postern.services.authentication import Principal


class Mailflow(Protocol):
    """services.mailflow.Mailflow."""

    async def check_sender(self, reverse_path: str, principal: Principal | None, peer: Peer) -> None:
        """MAIL FROM. Raises Refusal."""
        ...

    async def check_limits(self, principal: Principal, octets: int, recipients: int) -> None:
        """DATA: whether the sender's policy allows such a message. Raises Refusal."""
        ...

    async def check_author(self, content: bytes, principal: Principal) -> bytes:
        """DATA: the message as the principal may send it. Raises Refusal."""
        ...

    async def check_recipient(
        self, address: str, principal: Principal | None, peer: Peer, size: int, *, may_relay: bool = False
    ) -> Any:
        """RCPT TO: a route, to be handed back with the message. Raises Refusal."""
        ...

    async def submit(self, envelope: Envelope, peer: Peer, routes: Sequence[Any], content: bytes) -> str:
        """Take responsibility; the queue id, when the message is durable. Raises Refusal."""
        ...


class Peers(Protocol):
    """What peers' certificates prove; None of it without TLS."""

    async def context(self) -> Wrapping | None:
        """The context that asks for a certificate; None: nobody's matters."""
        ...

    async def server(self, chain: Sequence[bytes], address: str) -> str:
        """Which of the organisation's servers shows these certificates; empty: none."""
        ...

    async def server_of(self, principal: str) -> str:
        """Which of the organisation's servers has that Kerberos principal; empty: none."""
        ...

    async def check_sender(self, reverse_path: str, chain: Sequence[bytes], *, tls: bool) -> None:
        """Whether a peer that shows these may send in that name. Raises Refusal."""
        ...


class SenderDomains(Protocol):
    """services.sender_domains.SenderDomains."""

    async def check(self, reverse_path: str) -> None:
        """Whether the domain of a sender exists and takes mail. Raises Refusal."""
        ...


class Log(Protocol):
    """A structured logger."""

    def info(self, event: str, **values: Any) -> object:
        """What happened."""
        ...

    def warning(self, event: str, **values: Any) -> object:
        """What an administrator may want to look at."""
        ...

    def exception(self, event: str, **values: Any) -> object:
        """A bug, with the trace of the exception being handled."""
        ...


class Metrics(Protocol):
    """Hooks for counters."""

    def opened(self, data_path: str) -> None:
        """A connection came."""
        ...

    def closed(self, data_path: str, reason: str) -> None:
        """It ended: quit, eof, timeout, errors, commands, messages, size, refused, stopping, tls, reset, failure."""
        ...

    def accepted(self, data_path: str, octets: int, recipients: int) -> None:
        """A message was answered with 250."""
        ...

    def refused(self, data_path: str, stage: str, reason: str) -> None:
        """A Refusal at connect, mail, rcpt, data or auth."""
        ...


class Strangers:
    """Nobody's certificate matters."""

    async def context(self) -> None:
        """Peers.context."""

    async def server(self, chain: Sequence[bytes], address: str) -> str:
        """Peers.server."""
        return ""

    async def server_of(self, principal: str) -> str:
        """Peers.server_of."""
        return ""

    async def check_sender(self, reverse_path: str, chain: Sequence[bytes], *, tls: bool) -> None:
        """Peers.check_sender."""


class Silent:
    """Counts and logs nothing."""

    def opened(self, data_path: str) -> None:
        """Metrics.opened."""

    def closed(self, data_path: str, reason: str) -> None:
        """Metrics.closed."""

    def accepted(self, data_path: str, octets: int, recipients: int) -> None:
        """Metrics.accepted."""

    def refused(self, data_path: str, stage: str, reason: str) -> None:
        """Metrics.refused."""

    def info(self, event: str, **values: Any) -> None:
        """Log.info."""

    def warning(self, event: str, **values: Any) -> None:
        """Log.warning."""

    def exception(self, event: str, **values: Any) -> None:
        """Log.exception."""
