"""What the front end needs from below, as it uses it; `net.stream` and `services` fit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from postern.model.ids import BlobRef, ChangeNumber, FolderId, MailboxId, Uid
from postern.model.items import (
    Changes,
    Columns,
    Folder,
    FolderClass,
    FolderView,
    Placement,
    SpecialUse,
)
from postern.model.query import Query
from postern.services.mailboxes import CopyResult, FlagChange, FlagResult, Ranges

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

    def write(self, data: bytes | list[bytes | memoryview]) -> None:
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
    """services.mailboxes.MailboxAccess: a mailbox as one principal may use it."""

    async def folders(self) -> Sequence[Folder]: ...  # noqa: D102 - store.interface.Mailbox documents them all
    async def folder(self, folder: FolderId) -> Folder: ...  # noqa: D102
    async def view(self, folder: FolderId, *, claim_recent: bool = False) -> FolderView: ...  # noqa: D102
    def items(  # noqa: D102
        self,
        folder: FolderId,
        columns: Columns,
        ranges: Ranges | None = None,
        changed_since: ChangeNumber | None = None,
    ) -> AsyncIterator[list[tuple[Any, ...]]]: ...
    async def changes(self, folder: FolderId, since: ChangeNumber) -> Changes: ...  # noqa: D102
    async def change_number(self) -> ChangeNumber: ...  # noqa: D102
    async def keywords(self) -> dict[int, str]: ...  # noqa: D102
    async def search(  # noqa: D102
        self, folder: FolderId, query: Query, within: Ranges | None = None
    ) -> Sequence[Uid]: ...
    async def read(self, folder: FolderId, uid: Uid) -> bytes: ...  # noqa: D102
    async def read_body(self, ref: BlobRef, offset: int = 0, length: int | None = None) -> bytes: ...  # noqa: D102
    async def read_bodies(self, refs: Sequence[tuple[int, int]]) -> list[bytes]: ...  # noqa: D102
    async def view_bodies(self, refs: Sequence[tuple[int, int]]) -> list[bytes | memoryview]: ...  # noqa: D102
    async def set_flags(  # noqa: D102
        self, folder: FolderId, ranges: Ranges, change: FlagChange, unchanged_since: ChangeNumber | None = None
    ) -> FlagResult: ...
    async def copy(self, folder: FolderId, ranges: Ranges, target: FolderId) -> CopyResult: ...  # noqa: D102
    async def move(self, folder: FolderId, ranges: Ranges, target: FolderId) -> CopyResult: ...  # noqa: D102
    async def expunge(  # noqa: D102
        self, folder: FolderId, ranges: Ranges | None, *, only_deleted: bool = True
    ) -> Sequence[Uid]: ...
    async def create_folder(  # noqa: D102
        self,
        parent: FolderId | None,
        name: str,
        folder_class: FolderClass = FolderClass.MAIL,
        special: SpecialUse = SpecialUse.NONE,
    ) -> Folder: ...
    async def rename_folder(self, folder: FolderId, parent: FolderId | None, name: str) -> None: ...  # noqa: D102
    async def delete_folder(self, folder: FolderId) -> None: ...  # noqa: D102
    async def subscribe(self, folder: FolderId, subscribed: bool) -> None: ...  # noqa: D102
    async def durable(self) -> None: ...  # noqa: D102
    async def append(  # noqa: D102
        self, folder: FolderId, content: bytes, flags: int, keywords: tuple[str, ...], received_at: int | None
    ) -> Placement: ...
    def subscribe_changes(self, wake: Callable[[], None]) -> Callable[[], None]: ...  # noqa: D102


class Mailboxes(Protocol):
    """services.mailboxes.Mailboxes."""

    async def open(self, principal: Principal, owner: MailboxId | None = None) -> Mailbox:
        """A mailbox; the principal's own by default. Raises Refusal."""
        ...

    async def others(self, principal: Principal) -> Sequence[tuple[str, MailboxId]]:
        """(address, mailbox) of the other users' mailboxes in which the principal has a right."""
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
