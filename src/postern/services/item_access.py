"""Items of every class for EWS, ActiveSync, MAPI and web mail: get, find, create, change, delete, move, copy, follow.

Over services.mailbox_access, whose `need` says what the principal may: everything, or by folder permissions. What is
created is durable on return; after all other changes `durable()` has to be awaited before the client is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from postern.formats.mime.scan import scan
from postern.formats.mime.standin import standin
from postern.model.ids import NO_BLOB, BlobRef, ChangeNumber, FolderId, ItemId, Uid
from postern.model.items import (
    Attachment,
    Columns,
    Conversation,
    Folder,
    FolderClass,
    ItemClass,
    NewAttachment,
    NewItem,
    Placement,
    Span,
    SpecialUse,
)
from postern.model.ports import Clock
from postern.model.properties import pack
from postern.model.ranges import merged
from postern.model.refusal import Reason, Refusal
from postern.model.rights import FolderRight
from postern.model.sync import Came, FolderChanges, ItemChanges, Setting, SyncPoint, Went
from postern.services.accepted import Beside
from postern.services.mailbox_access import MailboxAccess
from postern.services.public_folders import is_own
from postern.store.interface import ItemUpdate, Mailbox, Ranges, Rendering, Replaced, Updated

_EXPORT_ITEMS = 100


class Stream(NamedTuple):
    """An attachment that comes in."""

    content: bytes
    properties: Mapping[str, Any]


class NewThing(NamedTuple):
    """An item that is no message."""

    item_class: ItemClass
    subject: str
    properties: Mapping[str, Any]
    flags: int = 1
    keywords: tuple[str, ...] = ()
    sent_at: int | None = None
    span: Span | None = None
    attachments: Sequence[Stream] = ()


class Disposal(Enum):
    """What deleting means (MS-OXWSCDATA 2.2.5.6 DisposalType)."""

    HARD = "hard"
    """Gone for good."""
    SOFT = "soft"
    """Into Recoverable Items."""
    TO_DELETED_ITEMS = "to_deleted_items"


class ItemAccess:
    """A mailbox's items for one principal."""

    def __init__(self, access: MailboxAccess, mailbox: Mailbox, clock: Clock) -> None:
        self.access = access
        self.id = access.id
        self._mailbox = mailbox
        self._clock = clock

    # --- reading

    async def locate(self, items: Sequence[ItemId], near: FolderId | None = None) -> dict[ItemId, tuple[FolderId, Uid]]:
        """Where items are that the principal may read; others are left out, as if they were not there."""
        found = await self._mailbox.locate(items, near)
        closed = await self._closed({folder for folder, _ in found.values()})
        return {item: where for item, where in found.items() if where[0] not in closed}

    async def _closed(self, folders: set[FolderId]) -> set[FolderId]:
        """Those that the principal may not read."""
        closed: set[FolderId] = set()
        for folder in folders:
            try:
                await self._need(FolderRight.READ_ANY, folder)
            except Refusal:
                closed.add(folder)
        return closed

    async def get(
        self, items: Sequence[ItemId], columns: Columns, near: FolderId | None = None
    ) -> dict[ItemId, tuple[FolderId, tuple[Any, ...]]]:
        """Folder and row (UID first, then the columns in their order) of each item that is there and may be read."""
        by_folder: dict[FolderId, dict[Uid, ItemId]] = {}
        for item, (folder, uid) in (await self.locate(items, near)).items():
            by_folder.setdefault(folder, {})[uid] = item
        found: dict[ItemId, tuple[FolderId, tuple[Any, ...]]] = {}
        for folder, wanted in by_folder.items():
            ranges = merged((uid, uid) for uid in wanted)
            async for rows in self._mailbox.items(folder, columns | Columns.UID, ranges):
                for row in rows:
                    found[wanted[row[0]]] = (folder, row)
        return found

    async def changes(
        self, folder: FolderId, point: SyncPoint, limit: int = 512, *, newest_first: bool = True
    ) -> ItemChanges:
        """The next page of what a client does not know of a folder."""
        await self._need(FolderRight.READ_ANY, folder)
        return await self._mailbox.item_changes(folder, point, limit, newest_first=newest_first)

    async def came_from(self, folder: FolderId, uids: Sequence[Uid]) -> dict[Uid, Came]:
        """Of items of a folder that were moved or copied there from a folder that may be read: from where."""
        await self._need(FolderRight.READ_ANY, folder)
        found = await self._mailbox.came_from(folder, uids)
        closed = await self._closed({came.folder for came in found.values()})
        return {uid: came for uid, came in found.items() if came.folder not in closed}

    async def went_to(self, folder: FolderId, gone: Sequence[tuple[Uid, ChangeNumber]]) -> dict[Uid, Went]:
        """Of items that a folder lost to one that may be read: where they are now."""
        await self._need(FolderRight.READ_ANY, folder)
        found = await self._mailbox.went_to(folder, gone)
        closed = await self._closed({went.folder for went in found.values()})
        return {uid: went for uid, went in found.items() if went.folder not in closed}

    async def folder_changes(self, since: ChangeNumber, incarnation: int = 0) -> FolderChanges:
        """Folders made, changed and removed; of what may not be seen only that it is removed."""
        changes = await self._mailbox.folder_changes(since, incarnation)
        shown = {folder.id: folder for folder in await self.access.folders()}
        return changes._replace(
            created=[shown[f.id] for f in changes.created if f.id in shown],
            updated=[shown[f.id] for f in changes.updated if f.id in shown],
        )

    async def overlapping(self, folder: FolderId, starts_at: int, ends_at: int) -> Sequence[Uid]:
        """Calendar items that meet [starts_at, ends_at); seconds since the epoch."""
        await self._need(FolderRight.READ_ANY, folder)
        return await self._mailbox.overlapping(folder, starts_at, ends_at)

    async def conversations(self, folder: FolderId) -> Sequence[Conversation]:
        """A folder's conversations, the one with the latest item first."""
        await self._need(FolderRight.READ_ANY, folder)
        return await self._mailbox.conversations(folder)

    async def in_conversations(self, wanted: Sequence[int]) -> list[tuple[int, FolderId, Uid]]:
        """Conversation, folder, UID of their items that may be read, by folder and UID."""
        found = await self._mailbox.in_conversations(wanted)
        closed = await self._closed({folder for _, folder, _ in found})
        return [place for place in found if place[1] not in closed]

    async def removed_from(self, folder: FolderId) -> tuple[FolderId, Sequence[Uid]]:
        """Where recoverable items are, and those that were removed from a folder."""
        await self._need(FolderRight.READ_ANY, folder)
        recoverable = (await self.access.special(SpecialUse.RECOVERABLE)).id
        await self._need(FolderRight.READ_ANY, recoverable)
        return recoverable, await self._mailbox.removed_from(folder)

    async def attachments(self, folder: FolderId, uid: Uid) -> Sequence[Attachment]:
        """Of an item without MIME; `access.read_body` reads their `blob`."""
        await self._need(FolderRight.READ_ANY, folder)
        return await self._mailbox.attachments(folder, uid)

    # --- creating

    async def create(self, folder: FolderId, new: NewThing) -> Placement:
        """Put an item that is no message into a folder. Raises Refusal(OVER_QUOTA, TOO_LARGE, TOO_MANY)."""
        await self._need(FolderRight.CREATE, folder)
        now = int(self._clock.timestamp())
        rendered = render(new.subject, new.sent_at)

        async def put(refs: Sequence[BlobRef]) -> Placement:
            item = NewItem(
                blob=NO_BLOB,
                body_size=0,
                prefix=rendered.prefix,
                received_at=now,
                envelope=rendered.envelope,
                bodystructure=rendered.bodystructure,
                parts=rendered.parts,
                header=b"",
                subject=rendered.subject,
                sent_at=rendered.sent_at,
                message_id="",
                flags=new.flags,
                keywords=new.keywords,
                item_class=new.item_class,
                properties=pack({**new.properties, **self.access.signature()}),
                attachments=_attachments(new.attachments, refs),
                span=new.span,
            )
            (placement,) = await self._mailbox.add(folder, [item])
            return placement

        return await self.access.mailflow.keep(self.id, [stream.content for stream in new.attachments], put)

    async def create_message(
        self,
        folder: FolderId,
        content: bytes,
        flags: int,
        keywords: tuple[str, ...] = (),
        received_at: int | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> Placement:
        """Put a message into a folder. `properties`: what its MIME cannot say."""
        await self._need(FolderRight.CREATE, folder)
        beside = Beside(pack({**(properties or {}), **self.access.signature()}))
        return await self.access.mailflow.append(self.id, folder, content, flags, keywords, received_at, beside)

    async def replace_message(
        self, item: ItemId, content: bytes, unchanged_since: ChangeNumber | None = None
    ) -> Placement:
        """Give a message another body under the same item id; flags, dates and properties stay.

        Raises Refusal(NO_SUCH_ITEM, CONFLICT).
        """
        folder, uid = await self._one(item)
        await self.access.need_items(FolderRight.EDIT_ANY, folder, ((uid, uid),))
        found = await self._mailbox.export(folder, [uid])
        if not found:
            raise Refusal(Reason.NO_SUCH_ITEM, str(item))
        (old,) = found
        beside = Beside(old.properties, Replaced(item, unchanged_since), int(old.item_class))
        return await self.access.mailflow.append(
            self.id, folder, content, old.flags, old.keywords, old.received_at, beside
        )

    async def _one(self, item: ItemId) -> tuple[FolderId, Uid]:
        where = (await self.locate([item])).get(item)
        if where is None:
            raise Refusal(Reason.NO_SUCH_ITEM, str(item))
        return where

    # --- changing

    async def update(
        self,
        folder: FolderId,
        uid: Uid,
        update: ItemUpdate,
        unchanged_since: ChangeNumber | None = None,
        attach: Sequence[Stream] = (),
    ) -> Updated:
        """Change an item in place. Raises Refusal(NO_SUCH_ITEM, CONFLICT, OVER_QUOTA, TOO_LARGE, TOO_MANY)."""
        own = self.access.own_read_state and not attach and update == ItemUpdate(flags=update.flags)
        await self._need(FolderRight.READ_ANY, folder)
        if not (own and is_own(update.flags)):
            await self.access.need_items(FolderRight.EDIT_ANY, folder, ((uid, uid),))
        if not attach:
            return await self._mailbox.update(folder, uid, update, unchanged_since)

        async def put(refs: Sequence[BlobRef]) -> Updated:
            whole = update._replace(attach=(*update.attach, *_attachments(attach, refs)))
            return await self._mailbox.update(folder, uid, whole, unchanged_since)

        return await self.access.mailflow.keep(self.id, [stream.content for stream in attach], put)

    async def delete(self, folder: FolderId, uids: Sequence[Uid], disposal: Disposal) -> Sequence[Uid]:
        """Remove items; the UIDs of those that were there."""
        ranges = merged((uid, uid) for uid in uids)
        await self.access.need_items(FolderRight.DELETE_ANY, folder, ranges)
        if disposal is Disposal.TO_DELETED_ITEMS:
            trash = (await self._mailbox.special(SpecialUse.TRASH)).id
            # whoever may delete may do it this way too, in whatever folder it ends
            return (await self._mailbox.move(folder, ranges, trash)).sources
        return await self._mailbox.expunge(folder, ranges, only_deleted=False, purge=disposal is Disposal.HARD)

    async def move(
        self, folder: FolderId, uids: Sequence[Uid], target: FolderId, into: ItemAccess | None = None
    ) -> dict[Uid, Placement]:
        """Move items, also `into` another mailbox: there before they leave here, so that nothing is ever lost."""
        await self._need(FolderRight.READ_ANY, folder)
        await self.access.need_items(FolderRight.DELETE_ANY, folder, merged((uid, uid) for uid in uids))
        if into is None or into.id == self.id:
            return await self._within(folder, uids, target, moving=True)
        placed = await self._across(folder, uids, target, into)
        ranges = merged((uid, uid) for uid in placed)
        await self._mailbox.expunge(folder, ranges, only_deleted=False, purge=True)
        return placed

    async def copy(
        self, folder: FolderId, uids: Sequence[Uid], target: FolderId, into: ItemAccess | None = None
    ) -> dict[Uid, Placement]:
        """Copy items, also `into` another mailbox."""
        await self._need(FolderRight.READ_ANY, folder)
        if into is None or into.id == self.id:
            return await self._within(folder, uids, target, moving=False)
        return await self._across(folder, uids, target, into)

    async def _within(
        self, folder: FolderId, uids: Sequence[Uid], target: FolderId, *, moving: bool
    ) -> dict[Uid, Placement]:
        await self._need(FolderRight.CREATE, target)
        ranges: Ranges = merged((uid, uid) for uid in uids)
        call = self._mailbox.move if moving else self._mailbox.copy
        done = await call(folder, ranges, target)
        return {
            source: Placement(target, done.uid_validity, uid, ItemId(uid))
            for source, uid in zip(done.sources, done.placements, strict=True)
        }

    async def _across(
        self, folder: FolderId, uids: Sequence[Uid], target: FolderId, into: ItemAccess
    ) -> dict[Uid, Placement]:
        """Copies that are durable in the other mailbox."""
        await into._need(FolderRight.CREATE, target)
        placed: dict[Uid, Placement] = {}
        for start in range(0, len(uids), _EXPORT_ITEMS):
            for uid in uids[start : start + _EXPORT_ITEMS]:
                items = await self._mailbox.export(folder, [uid])
                if items:
                    (placed[uid],) = await into._mailbox.add(target, items)
        await into._mailbox.durable()
        return placed

    # --- folders and settings

    async def special(self, use: SpecialUse) -> Folder:
        """A distinguished folder, made at its first use where it is made on demand."""
        try:
            return await self.access.special(use)
        except Refusal as refused:
            if refused.reason is not Reason.NO_SUCH_FOLDER:
                raise
        await self.access.need(FolderRight.CREATE_SUBFOLDER, None)
        return await self._mailbox.ensure_special(use)

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
        await self._need(FolderRight.OWNER, folder)
        return await self._mailbox.set_folder(
            folder, set_, delete, folder_class=folder_class, unchanged_since=unchanged_since
        )

    async def settings(self, kind: str) -> Sequence[Setting]:
        """Values that belong to the whole mailbox: only for who may do everything in it."""
        self.access.need_all()
        return await self._mailbox.settings(kind)

    async def set_settings(
        self, kind: str, values: Mapping[str, bytes | None], unchanged_since: ChangeNumber | None = None
    ) -> ChangeNumber:
        """Set values, None removes."""
        self.access.need_all()
        return await self._mailbox.set_settings(kind, values, unchanged_since)

    async def durable(self) -> None:
        """Return when what was changed here survives a power cut."""
        await self._mailbox.durable()

    async def _need(self, right: FolderRight, folder: FolderId) -> None:
        await self.access.need(right, FolderId(abs(folder)))


def render(subject: str, sent_at: int | None) -> Rendering:
    """What IMAP shows of an item without MIME; for `ItemUpdate.rendering` when its subject or date changes."""
    prefix = standin(subject, sent_at)
    scanned = scan(prefix)
    return Rendering(prefix, scanned.envelope, scanned.bodystructure, scanned.parts, subject, sent_at)


def _attachments(streams: Sequence[Stream], refs: Sequence[BlobRef]) -> tuple[NewAttachment, ...]:
    return tuple(
        NewAttachment(ref, len(stream.content), pack(stream.properties))
        for stream, ref in zip(streams, refs, strict=True)
    )


__all__ = ["Disposal", "ItemAccess", "NewThing", "Stream", "render"]
