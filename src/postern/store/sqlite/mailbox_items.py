"""The methods of a mailbox that find items by id, change their properties, and keep what is no item."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import apsw

from postern.model.ids import AccountId, ChangeNumber, FolderId, ItemId, Uid
from postern.model.items import Attachment, Folder, FolderClass, NewItem, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.model.sync import Came, FolderChanges, ItemChanges, OutboxEntry, Setting, SyncPoint, Went
from postern.store.interface import ItemUpdate, Updated
from postern.store.sqlite import beside, bodies, calendars, finding, folders, origins, outbox, reading
from postern.store.sqlite.txn import Txn

T = TypeVar("T")

MAX_PAGE = 512
EXPORT_ITEMS = 500
"""In one call: the answer lies in memory."""
EXPORT_SLICE = 32
FEW_ORIGINS = 20
"""Looked for on the loop: a seek a folder for each."""
FEW_SPANS = 1000
"""Read on the loop."""
MAX_SPANS = 100_000
LOCATE_ITEMS = 500
"""Between two chances for the other connections."""


class ItemMethods(ABC):
    """Part of SqliteMailbox."""

    @abstractmethod
    async def consult(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run a short read."""

    @abstractmethod
    async def read_in_thread(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run a long read on a connection of its own."""

    @abstractmethod
    async def write(self, work: Callable[[Txn], T], *, bulk: bool = False) -> T:
        """Run a write transaction."""

    # --- reading

    async def locate(self, items: Sequence[ItemId], near: FolderId | None = None) -> dict[ItemId, tuple[FolderId, Uid]]:
        """Where items are; missing ones are left out."""
        found: dict[ItemId, tuple[FolderId, Uid]] = {}
        for start in range(0, len(items), LOCATE_ITEMS):
            if start:
                await asyncio.sleep(0)
            found |= await self.consult(partial(finding.locate, items=items[start : start + LOCATE_ITEMS], near=near))
        return found

    async def item_changes(
        self, folder: FolderId, point: SyncPoint, limit: int = MAX_PAGE, *, newest_first: bool = False
    ) -> ItemChanges:
        """The next page of what an asker does not know."""
        look = partial(
            finding.page, folder=folder, point=point, limit=max(1, min(limit, MAX_PAGE)), newest_first=newest_first
        )
        return await self.consult(partial(reading.snapshot, work=look))

    async def came_from(self, folder: FolderId, uids: Sequence[Uid]) -> dict[Uid, Came]:
        """Of items of a folder that were moved or copied there: from where."""
        look = partial(reading.snapshot, work=partial(origins.came_from, folder=folder, uids=uids))
        return await (self.read_in_thread(look) if len(uids) > FEW_ORIGINS else self.consult(look))

    async def went_to(self, folder: FolderId, gone: Sequence[tuple[Uid, ChangeNumber]]) -> dict[Uid, Went]:
        """Of items that a folder lost: where they are now."""
        look = partial(reading.snapshot, work=partial(origins.went_to, folder=folder, gone=gone))
        return await (self.read_in_thread(look) if len(gone) > FEW_ORIGINS else self.consult(look))

    async def folder_changes(self, since: ChangeNumber, incarnation: int = 0) -> FolderChanges:
        """Folders made, changed and removed after a change number."""
        look = partial(folders.changes, since=since, incarnation=incarnation)
        return await self.consult(partial(reading.snapshot, work=look))

    async def attachments(self, folder: FolderId, uid: Uid) -> Sequence[Attachment]:
        """Of an item without MIME."""
        return await self.consult(lambda db: bodies.attachments(db, folder, uid))

    async def overlapping(self, folder: FolderId, starts_at: int, ends_at: int) -> Sequence[Uid]:
        """Calendar items whose span meets [starts_at, ends_at)."""
        return await self.consult(lambda db: calendars.overlapping(db, folder, starts_at, ends_at))

    async def spans(self, folder: FolderId, starts_at: int, ends_at: int) -> Sequence[tuple[Uid, int, int, bytes]]:
        """UID, start, end, what is kept for free/busy, of calendar items whose span meets [starts_at, ends_at)."""
        look = partial(calendars.spans, folder=folder, starts_at=starts_at, ends_at=ends_at)
        found = await self.consult(partial(look, limit=FEW_SPANS))
        if len(found) < FEW_SPANS:
            return found
        return await self.read_in_thread(partial(look, limit=MAX_SPANS))

    async def removed_from(self, folder: FolderId) -> Sequence[Uid]:
        """UIDs in Recoverable Items of what was removed from a folder."""
        return await self.consult(lambda db: finding.removed_from(db, folder))

    async def export(self, folder: FolderId, uids: Sequence[Uid]) -> Sequence[NewItem]:
        """Items as another mailbox of this data directory can `add` them."""
        if len(uids) > EXPORT_ITEMS:
            raise Refusal(Reason.TOO_MANY, f"{len(uids)} items at once")
        exported: list[NewItem] = []
        for start in range(0, len(uids), EXPORT_SLICE):
            if start:
                await asyncio.sleep(0)
            exported += await self.consult(
                partial(bodies.export, folder=folder, uids=uids[start : start + EXPORT_SLICE])
            )
        return exported

    # --- writing

    async def update(
        self, folder: FolderId, uid: Uid, update: ItemUpdate, unchanged_since: ChangeNumber | None = None
    ) -> Updated:
        """Change an item's properties in place."""
        return await self.write(lambda t: bodies.update(t, folder, uid, update, unchanged_since))

    async def ensure_special(self, use: SpecialUse) -> Folder:
        """The folder with a distinguished use, made if it is one of those that are made on demand."""
        try:
            return await self.consult(lambda db: folders.by_use(db, use))
        except Refusal as refused:
            if refused.reason is not Reason.NO_SUCH_FOLDER:
                raise
        return await self.write(lambda t: folders.ensure_special(t, use))

    async def set_folder(
        self,
        folder: FolderId,
        set_: Mapping[str, Any],
        delete: Sequence[str] = (),
        *,
        folder_class: FolderClass | None = None,
        unchanged_since: ChangeNumber | None = None,
    ) -> Folder:
        """Change a folder's properties."""
        return await self.write(
            lambda t: folders.set_properties(t, folder, set_, delete, folder_class, unchanged_since)
        )

    # --- what is no item

    async def settings(self, kind: str) -> Sequence[Setting]:
        """All values of a kind, by key."""
        return await self.consult(lambda db: beside.settings(db, kind))

    async def set_settings(
        self, kind: str, values: Mapping[str, bytes | None], unchanged_since: ChangeNumber | None = None
    ) -> ChangeNumber:
        """Set values, None removes."""
        return await self.write(lambda t: beside.set_settings(t, kind, values, unchanged_since))

    async def read_by(
        self, reader: AccountId, folder: FolderId, between: tuple[int, int] | None = None
    ) -> frozenset[ItemId]:
        """What somebody has read in a folder that keeps read state for each reader."""
        return await self.consult(lambda db: beside.read_by(db, reader, folder, between or (0, 1 << 62)))

    async def read_counts(self, reader: AccountId) -> Mapping[FolderId, int]:
        """How many of the items that are there somebody has read, by folder."""
        return await self.read_in_thread(lambda db: beside.read_counts(db, reader))

    async def set_read_by(self, reader: AccountId, folder: FolderId, items: Sequence[ItemId], read: bool) -> None:
        """Mark items as read or unread for one reader."""
        await self.write(lambda t: beside.set_read_by(t, reader, folder, items, read))

    async def outbox(self, limit: int = 100) -> Sequence[OutboxEntry]:
        """The oldest work that deliveries have set off."""
        return await self.consult(lambda db: outbox.first(db, limit))

    async def settle(self, entries: Sequence[int]) -> None:
        """Work is done, or durable elsewhere under its key: forget it."""
        await self.write(lambda t: outbox.settle(t, entries))
