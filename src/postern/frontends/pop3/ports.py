"""What this front end needs besides `frontends.ports`, as it uses it; `services` and `roles.maildrops` fit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from postern.model.ids import BlobRef, FolderId, MailboxId, Uid
from postern.model.items import Columns, Folder, SpecialUse

if TYPE_CHECKING:
    from postern.services.authentication import Principal


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


class Maildrops(Protocol):
    """Exclusive access to maildrops, over all workers (RFC 1939 4)."""

    def acquire(self, slot: int) -> Callable[[], None] | None:
        """Take a mailbox's lock by its bus slot; the way to release it, or None if somebody has it."""
        ...

    def wait_s(self, slot: int, now: float, delay_s: float) -> float:
        """Seconds until a session may begin `delay_s` after the last; 0: it begins now. Only with the lock."""
        ...


INBOX = SpecialUse.INBOX
