"""What this front end needs from below besides `frontends.ports`, as it uses it; `services` fit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from postern.formats.mime.threads import Thread
from postern.model.ids import AccountId, BlobRef, ChangeNumber, FolderId, MailboxId, Uid
from postern.model.items import (
    Changes,
    Columns,
    Folder,
    FolderClass,
    FolderView,
    Placement,
    Quota,
    SpecialUse,
)
from postern.model.ordering import SortKey
from postern.model.query import Query
from postern.model.rights import FolderRight
from postern.services.mailboxes import CopyResult, FlagChange, FlagResult, OtherMailbox, Ranges

if TYPE_CHECKING:
    from postern.services.authentication import Principal


class Mailbox(Protocol):
    """services.mailboxes.MailboxAccess: a mailbox as one principal may use it."""

    @property
    def id(self) -> MailboxId: ...  # noqa: D102 - store.interface.Mailbox documents them all

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
    def last_change(self) -> ChangeNumber:
        """What `change_number` says, if that is known without waiting; else 0."""
        ...

    async def keywords(self) -> dict[int, str]: ...  # noqa: D102
    async def search(  # noqa: D102
        self, folder: FolderId, query: Query, within: Ranges | None = None
    ) -> Sequence[Uid]: ...
    async def sort(  # noqa: D102
        self, folder: FolderId, uids: Sequence[Uid], keys: Sequence[SortKey]
    ) -> Sequence[Uid]: ...
    async def threads(  # noqa: D102
        self, folder: FolderId, uids: Sequence[Uid], *, by_subject: bool = False
    ) -> list[Thread]: ...
    async def read(self, folder: FolderId, uid: Uid) -> bytes: ...  # noqa: D102
    async def read_body(self, ref: BlobRef, offset: int = 0, length: int | None = None) -> bytes: ...  # noqa: D102
    async def read_bodies(self, refs: Sequence[tuple[int, int]]) -> list[bytes]: ...  # noqa: D102
    async def view_bodies(  # noqa: D102
        self, refs: Sequence[tuple[int, int]], *, to_send: bool = False
    ) -> list[bytes | memoryview]: ...
    async def annotations(self, reader: AccountId, folder: FolderId) -> dict[str, bytes]: ...  # noqa: D102
    async def every_annotation(self, reader: AccountId) -> dict[FolderId, dict[str, bytes]]: ...  # noqa: D102
    async def annotate(  # noqa: D102
        self, reader: AccountId, folder: FolderId, values: Mapping[str, bytes | None]
    ) -> None: ...
    async def used_bytes(self) -> int: ...  # noqa: D102
    async def used_items(self) -> int: ...  # noqa: D102
    async def quota(self) -> Quota: ...  # noqa: D102
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
        self,
        folder: FolderId,
        content: bytes,
        flags: int,
        keywords: tuple[str, ...],
        received_at: int | None,
        supersedes: tuple[FolderId, Uid] | None = None,
    ) -> Placement: ...
    def subscribe_changes(self, wake: Callable[[], None]) -> Callable[[], None]: ...  # noqa: D102


class Watch(Protocol):
    """frontends.imap.notify.Watch, as the connection uses it."""

    def selected(self, connection: Any) -> None:
        """A folder was selected."""
        ...

    async def input(self, connection: Any) -> bytes:
        """What the client says next; until then news are told."""
        ...

    async def tell(self, connection: Any) -> None:
        """News there are now."""
        ...

    def end(self, connection: Any) -> None:
        """No more news."""
        ...


class Mailboxes(Protocol):
    """services.mailboxes.Mailboxes."""

    async def open(self, principal: Principal, owner: MailboxId | None = None) -> Mailbox:
        """A mailbox; the principal's own by default. Raises Refusal."""
        ...

    async def folder_rights(self, principal: Principal, mailbox: MailboxId, folder: FolderId) -> FolderRight:
        """All rights on a folder."""
        ...

    async def folder_permissions(self, mailbox: MailboxId, folder: FolderId) -> dict[str, FolderRight]:
        """Rights of others on a folder, by address, `default` or `anonymous`."""
        ...

    async def set_folder_permission(
        self, mailbox: MailboxId, folder: FolderId, grantee: str, rights: FolderRight | None
    ) -> None:
        """Give rights on a folder, None takes them away; whether the asker may is the caller's business."""
        ...

    async def check(self, principal: Principal) -> None:
        """Whether the principal has a mailbox to open. Raises Refusal."""
        ...

    async def others(self, principal: Principal) -> Sequence[tuple[str, MailboxId]]:
        """(address, mailbox) of the other users' mailboxes in which the principal has a right."""
        ...

    async def named(self, principal: Principal, address: str) -> OtherMailbox | None:
        """Another's mailbox by its address, if the principal has a right in it; also one that everybody has."""
        ...

    async def public(self, principal: Principal) -> OtherMailbox | None:
        """The mailbox of public folders, if the principal has a right in it."""
        ...
