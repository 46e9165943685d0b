"""What the front end needs from below, as it uses it; `net.stream` and `services` fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from postern.model.envelope import Envelope, Peer

if TYPE_CHECKING:
    import ssl

    from postern.protocols.sasl.outcome import ScramCredentials
    from postern.services.authentication import Principal


class TlsFacts(Protocol):
    """What TLS gives to a session."""

    @property
    def version(self) -> str:
        """Such as TLSv1.3."""
        ...

    @property
    def cipher(self) -> str:
        """OpenSSL's name."""
        ...

    @property
    def server_end_point(self) -> bytes:
        """Channel binding (RFC 5929 4)."""
        ...


class Stream(Protocol):
    """net.stream.Stream."""

    @property
    def peer(self) -> tuple[str, int]:
        """Remote address and port."""
        ...

    @property
    def local(self) -> tuple[str, int]:
        """Our address and port."""
        ...

    @property
    def tls(self) -> TlsFacts | None:
        """None without TLS."""
        ...

    async def read(self, timeout_s: float) -> bytes:
        """At least one octet; empty at the end. Raises TimeoutError, ConnectionError."""
        ...

    def write(self, data: bytes | list[bytes]) -> None:
        """Queue octets."""
        ...

    async def drain(self) -> None:
        """Wait until the peer takes more."""
        ...

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Handshake as a server."""
        ...

    def close(self) -> None:
        """Send what is queued and close."""
        ...


class Mailflow(Protocol):
    """services.mailflow.Mailflow."""

    async def check_sender(self, reverse_path: str, principal: Principal | None, peer: Peer) -> None:
        """MAIL FROM. Raises Refusal."""
        ...

    async def check_recipient(
        self, address: str, principal: Principal | None, peer: Peer, size: int, *, may_relay: bool = False
    ) -> Any:
        """RCPT TO: a route, to be handed back with the message. Raises Refusal."""
        ...

    async def submit(self, envelope: Envelope, peer: Peer, routes: Sequence[Any], content: bytes) -> str:
        """Take responsibility; the queue id, when the message is durable. Raises Refusal."""
        ...


class Authentication(Protocol):
    """services.authentication.Authentication."""

    async def verify_password(
        self, user: str, password: str, peer_address: str, protocol: str, authzid: str = ""
    ) -> Principal:
        """Raises Refusal."""
        ...

    async def scram(self, user: str, peer_address: str = "") -> ScramCredentials:
        """Raises Refusal."""
        ...

    async def finish_scram(
        self, user: str, ok: bool, peer_address: str, protocol: str = "", authzid: str = ""
    ) -> Principal:
        """Raises Refusal."""
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
