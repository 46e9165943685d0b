"""What every front end needs from below, as it uses it; `net.stream` and `services.authentication` fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from postern.model.refusal import Reason

if TYPE_CHECKING:
    import ssl

    from postern.net.tls import Wrapping
    from postern.protocols.sasl.outcome import ScramCredentials
    from postern.services.authentication import Principal
    from postern.services.negotiation import Negotiations


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

    @property
    def peer_certificate(self) -> bytes:
        """DER, verified in the handshake; empty if the peer has none or nobody asked."""
        ...

    @property
    def peer_chain(self) -> tuple[bytes, ...]:
        """What the peer has shown, its own first, in DER; nothing of it is verified."""
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

    async def read_unless_nudged(self, timeout_s: float) -> bytes | None:
        """As `read`, or None if nothing is there and `nudge` was called since the last `calm`."""
        ...

    def nudge(self) -> None:
        """Have `read_unless_nudged` return."""
        ...

    def calm(self) -> None:
        """What it was nudged for is about to be done."""
        ...

    def write(self, data: bytes | list[bytes] | list[bytes | memoryview]) -> None:
        """Queue octets."""
        ...

    async def drain(self, timeout_s: float = 300.0) -> None:
        """Wait until the peer takes more. Raises TimeoutError, ConnectionError."""
        ...

    async def start_tls(self, context: ssl.SSLContext | Wrapping) -> None:
        """Handshake as a server."""
        ...

    def close(self) -> None:
        """Send what is queued and close."""
        ...

    def end(self, reason: Reason) -> None:
        """Have the reader stop with `net.stream.Ended`."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class Authentication(Protocol):
    """services.authentication.Authentication."""

    @property
    def negotiations(self) -> Negotiations:
        """Mechanisms that prove by tokens."""
        ...

    async def verify_password(
        self,
        user: str,
        password: str,
        peer_address: str,
        protocol: str,
        authzid: str = "",
        *,
        interactive: bool = False,
    ) -> Principal:
        """Raises Refusal."""
        ...

    async def finish_second_factor(self, ticket: str, code: str, peer_address: str, protocol: str) -> Principal:
        """The code after SecondFactorRequired. Raises Refusal."""
        ...

    async def watch(self, principal: Principal, protocol: str, session: Stream) -> Callable[[], None]:
        """End the session when its account ends; the way to forget it. Raises Refusal."""
        ...

    async def scram(self, user: str, peer_address: str = "", protocol: str = "") -> ScramCredentials:
        """Raises Refusal."""
        ...

    async def derived_key(self, user: str, kind: str, peer_address: str) -> bytes | None:
        """Raises Refusal."""
        ...

    async def finish_scram(
        self,
        user: str,
        ok: bool,
        peer_address: str,
        protocol: str = "",
        authzid: str = "",
        *,
        stored_key: bytes = b"",
    ) -> Principal:
        """Raises Refusal."""
        ...
