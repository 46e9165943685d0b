"""What the front end needs from below, as it uses it; `net.stream`, `services` and `roles.maildrops` fit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from postern.model.ids import BlobRef, FolderId, MailboxId, Uid
from postern.model.items import Columns, Folder, SpecialUse

if TYPE_CHECKING:
    import ssl

    from postern.protocols.sasl.outcome import ScramCredentials
    from postern.services.authentication import Principal


class TlsFacts(Protocol):
    """What TLS gives to a session."""

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


class Mailbox(Protocol):
    """services.mailboxes.MailboxAccess."""

    async def folders(self) -> Sequence[Folder]: ...  # noqa: D102 - store.interface.Mailbox documents them all
    def items(  # noqa: D102
        self, folder: FolderId, columns: Columns, ranges: Sequence[tuple[int, int]] | None = None
    ) -> AsyncIterator[list[tuple[Any, ...]]]: ...
    async def read_bodies(self, refs: Sequence[BlobRef]) -> list[bytes]: ...  # noqa: D102
    async def expunge(  # noqa: D102
        self, folder: FolderId, ranges: Sequence[tuple[int, int]] | None, *, only_deleted: bool = True
    ) -> Sequence[Uid]: ...
    async def durable(self) -> None: ...  # noqa: D102


class Mailboxes(Protocol):
    """services.mailboxes.Mailboxes."""

    async def open(self, principal: Principal, owner: MailboxId | None = None) -> Mailbox:
        """The principal's mailbox. Raises Refusal."""
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


class Maildrops(Protocol):
    """Exclusive access to maildrops, over all workers (RFC 1939 4)."""

    def acquire(self, slot: int) -> Callable[[], None] | None:
        """Take a mailbox's lock by its bus slot; the way to release it, or None if somebody has it."""
        ...


INBOX = SpecialUse.INBOX
