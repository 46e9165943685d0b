"""A mailbox for its owner and who has full access: the store's mailbox with nothing between but a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from postern.formats.mime import threads
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
from postern.services.accepted import NOTHING_BESIDE, Beside
from postern.services.annotations import SHARED, change, every, forget
from postern.store.interface import Bus, CopyResult, FlagChange, FlagResult, Mailbox, Ranges, Store

T = TypeVar("T")
FEW_LINKED = 200
"""Messages that are threaded on the loop: well under a slice."""
Reply = Coroutine[Any, Any, T]


class Appender(Protocol):
    """services.mailflow.Mailflow: what makes an APPEND durable."""

    async def append(
        self,
        mailbox: MailboxId,
        folder: FolderId,
        content: bytes,
        flags: int,
        keywords: Sequence[str],
        received_at: int | None,
        beside: Beside = NOTHING_BESIDE,
    ) -> Placement:
        """Put a message into a folder; durable on return. Raises Refusal."""
        ...

    async def keep(
        self, mailbox: MailboxId, streams: Sequence[bytes], use: Callable[[Sequence[BlobRef]], Awaitable[T]]
    ) -> T:
        """Append streams, let `use` commit what refers to them; durable on return. Raises Refusal."""
        ...


class MailboxAccess:
    """A mailbox for somebody who may do everything in it. Methods are those of store.interface.Mailbox."""

    own_read_state = False
    """\\Seen is each reader's own (public folders): setting it needs no right to edit."""

    def __init__(self, mailbox: Mailbox, store: Store, bus: Bus, slot: int, mailflow: Appender) -> None:
        self.id = mailbox.id
        self._mailbox = mailbox
        self._blobs = store.blobs
        self._bus = bus
        self._slot = slot
        self.mailflow = mailflow
        self.inherit: Callable[[MailboxId, FolderId, FolderId], Awaitable[None]] | None = None
        """services.permissions.Permissions.inherit; None: a new folder is open as its mailbox is."""

    async def need(self, right: FolderRight, folder: FolderId | None) -> None:
        """Refuses who lacks a right on a folder (None: the root). Raises Refusal(NO_SUCH_FOLDER, NOT_PERMITTED)."""

    async def need_items(self, right: FolderRight, folder: FolderId, ranges: Ranges | None) -> None:
        """The same for EDIT_ANY or DELETE_ANY, where the right to one's own items will do if they all are."""

    def signature(self) -> dict[str, str]:
        """Properties that tell who made an item, for those whose rights may depend on it."""
        return {}

    def need_all(self) -> None:
        """Refuses who may not do everything in this mailbox. Raises Refusal(NOT_PERMITTED)."""

    # --- reading

    def folders(self) -> Reply[Sequence[Folder]]:
        """All folders that may be seen, parents before children."""
        return self._mailbox.folders()

    def folder(self, folder: FolderId) -> Reply[Folder]:
        """One folder's counters."""
        return self._mailbox.folder(folder)

    def special(self, use: SpecialUse) -> Reply[Folder]:
        """The folder with a distinguished use."""
        return self._mailbox.special(use)

    def view(self, folder: FolderId, *, claim_recent: bool = False) -> Reply[FolderView]:
        """What SELECT needs."""
        return self._mailbox.view(folder, claim_recent=claim_recent)

    def items(
        self,
        folder: FolderId,
        columns: Columns,
        ranges: Ranges | None = None,
        changed_since: ChangeNumber | None = None,
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Rows in UID order, in chunks."""
        return self._mailbox.items(folder, columns, ranges, changed_since)

    def changes(self, folder: FolderId, since: ChangeNumber) -> Reply[Changes]:
        """What an open session has to be told."""
        return self._mailbox.changes(folder, since)

    def change_number(self) -> Reply[ChangeNumber]:
        """The mailbox's last change number; cheap."""
        return self._mailbox.change_number()

    def last_change(self) -> ChangeNumber:
        """The same without waiting; 0 if it is not known in shared memory, so that the file has to be asked."""
        return ChangeNumber(self._bus.current(self._slot))

    def keywords(self) -> Reply[dict[int, str]]:
        """Bit -> keyword."""
        return self._mailbox.keywords()

    def search(self, folder: FolderId, query: Query, within: Ranges | None = None) -> Reply[Sequence[Uid]]:
        """UIDs that match, ascending."""
        return self._mailbox.search(folder, query, within)

    def sort(self, folder: FolderId, uids: Sequence[Uid], keys: Sequence[SortKey]) -> Reply[Sequence[Uid]]:
        """Items in order."""
        return self._mailbox.sort(folder, uids, keys)

    async def threads(self, folder: FolderId, uids: Sequence[Uid], *, by_subject: bool = False) -> list[Thread]:
        """Items as threads, by references or by subject alone."""
        linked = await self._mailbox.links(folder, uids)
        if len(linked) < FEW_LINKED:
            return threads.by_subject(linked) if by_subject else threads.by_references(linked)
        return await asyncio.to_thread(threads.by_subject if by_subject else threads.by_references, linked)

    def read(self, folder: FolderId, uid: Uid) -> Reply[bytes]:
        """A whole message."""
        return self._mailbox.read(folder, uid)

    def read_body(self, ref: BlobRef, offset: int = 0, length: int | None = None) -> Reply[bytes]:
        """Part of a body whose reference came from `items`."""
        return self._blobs.read(ref, offset, length)

    def read_bodies(self, refs: Sequence[tuple[int, int]]) -> Reply[list[bytes]]:
        """Whole bodies whose references came from `items`."""
        return self._blobs.read_many(refs)

    def view_bodies(self, refs: Sequence[tuple[int, int]], *, to_send: bool = False) -> Reply[list[bytes | memoryview]]:
        """The same to be written soon: several may share memory, with `to_send` that of a file (store.interface)."""
        return self._blobs.read_views(refs, to_send=to_send)

    def used_bytes(self) -> Reply[int]:
        """Octets that count against the quota."""
        return self._mailbox.used_bytes()

    def used_items(self) -> Reply[int]:
        """Items that count against the quota."""
        return self._mailbox.used_items()

    def quota(self) -> Reply[Quota]:
        """The limits in force."""
        return self._mailbox.quota()

    def subscribe_changes(self, wake: Callable[[], None]) -> Callable[[], None]:
        """`wake` is called in the loop after each commit to this mailbox; returns the way to unsubscribe."""
        return self._bus.subscribe(self._slot, wake)

    # --- writing

    def append(
        self,
        folder: FolderId,
        content: bytes,
        flags: int,
        keywords: tuple[str, ...],
        received_at: int | None,
        supersedes: tuple[FolderId, Uid] | None = None,
    ) -> Reply[Placement]:
        """Put a message into a folder, in the place of another one if that is said; durable on return.

        Raises Refusal(NO_SUCH_ITEM) if the other one is not there.
        """
        beside = NOTHING_BESIDE if supersedes is None else Beside(supersedes=supersedes)
        return self.mailflow.append(self.id, folder, content, flags, keywords, received_at, beside)

    def set_flags(
        self, folder: FolderId, ranges: Ranges, change: FlagChange, unchanged_since: ChangeNumber | None = None
    ) -> Reply[FlagResult]:
        """Change flags of a set of items in one commit."""
        return self._mailbox.set_flags(folder, ranges, change, unchanged_since)

    def copy(self, folder: FolderId, ranges: Ranges, target: FolderId) -> Reply[CopyResult]:
        """Copy items within the mailbox."""
        return self._mailbox.copy(folder, ranges, target)

    def move(self, folder: FolderId, ranges: Ranges, target: FolderId) -> Reply[CopyResult]:
        """Move items within the mailbox."""
        return self._mailbox.move(folder, ranges, target)

    def expunge(self, folder: FolderId, ranges: Ranges | None, *, only_deleted: bool = True) -> Reply[Sequence[Uid]]:
        """Remove items into Recoverable Items."""
        return self._mailbox.expunge(folder, ranges, only_deleted=only_deleted)

    async def create_folder(
        self,
        parent: FolderId | None,
        name: str,
        folder_class: FolderClass = FolderClass.MAIL,
        special: SpecialUse = SpecialUse.NONE,
    ) -> Folder:
        """Make a folder, open to whom its parent is."""
        made = await self._mailbox.create_folder(parent, name, folder_class, special)
        if parent is not None and self.inherit is not None:
            try:
                await self.inherit(self.id, parent, made.id)
            except BaseException:
                # else it would be open as the mailbox is, which may be wider
                await self._mailbox.delete_folder(made.id)
                raise
        return made

    def rename_folder(self, folder: FolderId, parent: FolderId | None, name: str) -> Reply[None]:
        """Rename or move a folder."""
        return self._mailbox.rename_folder(folder, parent, name)

    async def delete_folder(self, folder: FolderId) -> None:
        """Remove a folder."""
        await self._mailbox.delete_folder(folder)
        await forget(self._mailbox, folder)

    async def annotations(self, reader: AccountId, folder: FolderId) -> dict[str, bytes]:
        """Annotations of a folder (0: of the mailbox) that somebody sees, by name. Raises Refusal."""
        await self.need(FolderRight.READ_ANY, folder)
        return (await every(self._mailbox, reader)).get(folder, {})

    async def every_annotation(self, reader: AccountId) -> dict[FolderId, dict[str, bytes]]:
        """Those of all folders. Raises Refusal(NOT_PERMITTED) for who may not do everything here."""
        self.need_all()
        return await every(self._mailbox, reader)

    async def annotate(self, reader: AccountId, folder: FolderId, values: Mapping[str, bytes | None]) -> None:
        """Set annotations, None removes; shared ones need the right to edit. Raises Refusal."""
        shared = any(name.startswith(SHARED) for name in values)
        await self.need(FolderRight.READ_ANY | (FolderRight.EDIT_ANY if shared else FolderRight(0)), folder)
        await change(self._mailbox, reader, folder, values)

    def subscribe(self, folder: FolderId, subscribed: bool) -> Reply[None]:
        """Set the subscription."""
        return self._mailbox.subscribe(folder, subscribed)

    def durable(self) -> Reply[None]:
        """Return when what was changed here survives a power cut; to be awaited before OK."""
        return self._mailbox.durable()
