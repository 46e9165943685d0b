"""Public folders: a mailbox in which each reader has read what he has read (Exchange's per-user read state).

The folders are those that somebody made in a mailbox of the kind PUBLIC; its distinguished folders are not shown.
`ReaderMailbox` stands before the store's mailbox: \\Seen and the subscription are the reader's own, everything else is
shared. A change of \\Seen alone changes no item, so MODSEQ stays; the reader's other sessions learn of it when they
next ask for flags.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from postern.model.ids import BlobRef, ChangeNumber, FolderId, ItemId, MailboxId, Uid
from postern.model.items import (
    Changes,
    Columns,
    Conversation,
    Flag,
    Folder,
    FolderView,
    ItemFlags,
    NewItem,
    Placement,
    SpecialUse,
)
from postern.model.query import And, HasFlags, Query, UidIn, replaced
from postern.model.ranges import merged
from postern.services.accepted import NOTHING_BESIDE, Beside
from postern.services.subscriptions import VisitedMailbox, chosen
from postern.store.interface import CopyResult, FlagChange, FlagResult, ItemUpdate, Ranges, Updated

if TYPE_CHECKING:
    from postern.services.mailbox_access import Appender

T = TypeVar("T")
SEEN = Flag.SEEN.value
TOGETHER = 500
"""Items whose read state is changed in one commit: about a loop slice."""
_NO_CHANGE = FlagChange()


def public_folders(folders: Iterable[Folder]) -> list[Folder]:
    """Those of a public mailbox that somebody made, parents before children."""
    shown: dict[FolderId, Folder] = {}
    for folder in folders:
        if folder.special is SpecialUse.NONE and (folder.parent is None or folder.parent in shown):
            shown[folder.id] = folder
    return list(shown.values())


class ReaderMailbox(VisitedMailbox):
    """A public mailbox as one reader sees it: a store.interface.Mailbox; what is not here is the mailbox's own."""

    # --- folders

    async def folders(self) -> Sequence[Folder]:
        """The public folders, with the reader's counters and subscriptions."""
        read = await self._mailbox.read_counts(self._visitor)
        subscribed = await chosen(self._mailbox, self._visitor)
        return [
            msgspec.structs.replace(
                one, unseen=max(0, one.messages - read.get(one.id, 0)), subscribed=subscribed.get(one.id, False)
            )
            for one in public_folders(await self._mailbox.folders())
        ]

    async def folder(self, folder: FolderId) -> Folder:
        """One folder's counters."""
        found = await self._mailbox.folder(folder)
        read = (await self._mailbox.read_counts(self._visitor)).get(folder, 0)
        return msgspec.structs.replace(found, unseen=max(0, found.messages - read))

    async def view(self, folder: FolderId, *, claim_recent: bool = False) -> FolderView:
        """What SELECT needs; \\Recent belongs to nobody here."""
        found = await self._mailbox.view(folder)
        first = None
        async for rows in self.items(folder, Columns.UID | Columns.FLAGS):
            first = next((Uid(uid) for uid, flags in rows if not flags & SEEN), None)
            if first is not None:
                break
        own = msgspec.structs.replace(await self.folder(folder), recent_from=found.folder.uid_next)
        return found._replace(folder=own, first_unseen=first)

    # --- reading

    async def items(
        self,
        folder: FolderId,
        columns: Columns,
        ranges: Ranges | None = None,
        changed_since: ChangeNumber | None = None,
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Rows in UID order, with the reader's \\Seen."""
        if folder < 0 or not columns & Columns.FLAGS:
            async for rows in self._mailbox.items(folder, columns, ranges, changed_since):
                yield rows
            return
        at, id_at = _field(columns, Columns.FLAGS), _field(columns, Columns.ITEM_ID)
        extra = not columns & Columns.ITEM_ID
        async for rows in self._mailbox.items(folder, columns | Columns.ITEM_ID, ranges, changed_since):
            ids = [row[id_at] for row in rows]
            read = await self._mailbox.read_by(self._visitor, folder, (min(ids), max(ids))) if ids else frozenset()
            shown = []
            for row in rows:
                flags = row[at] | SEEN if row[id_at] in read else row[at] & ~SEEN
                rest = row[at + 1 : id_at] + row[id_at + 1 :] if extra else row[at + 1 :]
                shown.append((*row[:at], flags, *rest))
            yield shown

    async def _seen(self, folder: FolderId, ranges: Ranges | None) -> dict[Uid, int]:
        """UID to flags as the reader has them."""
        found: dict[Uid, int] = {}
        async for rows in self.items(folder, Columns.UID | Columns.FLAGS, ranges):
            found.update(rows)
        return found

    async def changes(self, folder: FolderId, since: ChangeNumber) -> Changes:
        """What an open session has to be told."""
        found = await self._mailbox.changes(folder, since)
        if not found.changed:
            return found
        flags = await self._seen(folder, merged((one.uid, one.uid) for one in found.changed))
        return found._replace(
            changed=[one._replace(flags=flags.get(one.uid, one.flags & ~SEEN)) for one in found.changed]
        )

    async def search(self, folder: FolderId, query: Query, within: Ranges | None = None) -> Sequence[Uid]:
        """UIDs that match, ascending; SEEN and UNSEEN mean the reader."""
        asked = False

        def leaf(one: Query) -> Query:
            nonlocal asked
            if isinstance(one, HasFlags) and one.mask & SEEN:
                asked = True
            return one

        replaced(query, leaf)
        if asked:
            flags = await self._seen(folder, within)
            seen = UidIn(tuple(merged((uid, uid) for uid, held in flags.items() if held & SEEN)))
            query = replaced(query, lambda one: _by_uid(one, seen))
        return await self._mailbox.search(folder, query, within)

    async def conversations(self, folder: FolderId) -> Sequence[Conversation]:
        """A folder's conversations, with what the reader has not read of them."""
        return await self._mailbox.conversations(folder, self._visitor)

    async def export(self, folder: FolderId, uids: Sequence[Uid]) -> Sequence[NewItem]:
        """Items as another mailbox can `add` them."""
        found: list[NewItem] = []
        for uid in uids:
            flags = await self._seen(folder, [(uid, uid)])
            for one in await self._mailbox.export(folder, [uid]):
                found.append(msgspec.structs.replace(one, flags=(one.flags & ~SEEN) | (flags.get(uid, 0) & SEEN)))
        return found

    # --- writing

    async def mark(self, folder: FolderId, items: Sequence[ItemId], *, read: bool) -> None:
        """Set the reader's own \\Seen."""
        for start in range(0, len(items), TOGETHER):
            await self._mailbox.set_read_by(self._visitor, folder, items[start : start + TOGETHER], read)

    async def _mark_uids(self, folder: FolderId, ranges: Ranges, *, read: bool) -> None:
        ids: list[ItemId] = []
        async for rows in self.items(folder, Columns.UID | Columns.FLAGS | Columns.ITEM_ID, ranges):
            ids += [item for _, flags, item in rows if bool(flags & SEEN) is not read]
        if ids:
            await self.mark(folder, ids, read=read)

    async def set_flags(
        self, folder: FolderId, ranges: Ranges, change: FlagChange, unchanged_since: ChangeNumber | None = None
    ) -> FlagResult:
        """Change flags of a set of items: \\Seen for the reader, the others for everybody."""
        own, shared = _apart(change)
        if shared == _NO_CHANGE:
            result = await self._addressed(folder, ranges, unchanged_since)
        else:
            result = await self._mailbox.set_flags(folder, ranges, shared, unchanged_since)
        touched = merged((one.uid, one.uid) for one in result.changed)
        if own is not None and touched:
            await self._mark_uids(folder, touched, read=own)
        flags = await self._seen(folder, touched) if touched else {}
        return result._replace(
            changed=[one._replace(flags=flags.get(one.uid, one.flags & ~SEEN)) for one in result.changed]
        )

    async def _addressed(self, folder: FolderId, ranges: Ranges, unchanged_since: ChangeNumber | None) -> FlagResult:
        """What a STORE that changes nothing shared would answer."""
        changed: list[ItemFlags] = []
        failed: list[Uid] = []
        number = await self._mailbox.change_number()
        async for rows in self._mailbox.items(folder, Columns.UID | Columns.FLAGS | Columns.MODSEQ, ranges):
            for uid, flags, modseq in rows:
                if unchanged_since is not None and modseq > unchanged_since:
                    failed.append(uid)
                else:
                    changed.append(ItemFlags(uid, flags, modseq, ChangeNumber(0)))
        return FlagResult(changed, failed, number, False)

    async def update(
        self, folder: FolderId, uid: Uid, update: ItemUpdate, unchanged_since: ChangeNumber | None = None
    ) -> Updated:
        """Change an item in place; \\Seen for the reader."""
        own, shared = _apart(update.flags) if update.flags is not None else (None, None)
        rest = update._replace(flags=None if shared == _NO_CHANGE else shared)
        done = await self._mailbox.update(folder, uid, rest, unchanged_since)
        if own is not None:
            await self._mark_uids(folder, [(uid, uid)], read=own)
        return done

    async def add(self, folder: FolderId, items: Sequence[NewItem]) -> Sequence[Placement]:
        """Put items into a folder; what is \\Seen is so for the reader."""
        placed = await self._mailbox.add(
            folder, [msgspec.structs.replace(one, flags=one.flags & ~SEEN) for one in items]
        )
        read = [where.item for where, one in zip(placed, items, strict=True) if one.flags & SEEN]
        if read:
            await self.mark(folder, read, read=True)
        return placed

    async def copy(self, folder: FolderId, ranges: Ranges, target: FolderId) -> CopyResult:
        """Copy items; what the reader has read he has read there too."""
        return await self._transferred(self._mailbox.copy, folder, ranges, target)

    async def move(self, folder: FolderId, ranges: Ranges, target: FolderId) -> CopyResult:
        """Move items; others find them unread."""
        return await self._transferred(self._mailbox.move, folder, ranges, target)

    async def _transferred(
        self,
        call: Callable[[FolderId, Ranges, FolderId], Awaitable[CopyResult]],
        folder: FolderId,
        ranges: Ranges,
        target: FolderId,
    ) -> CopyResult:
        before = await self._seen(folder, ranges)
        done = await call(folder, ranges, target)
        pairs = zip(done.sources, done.placements, strict=True)
        read = [ItemId(new) for old, new in pairs if before.get(old, 0) & SEEN]
        if read:
            await self.mark(target, read, read=True)
        return done


class ReaderAppender:
    """What comes in by APPEND: \\Seen is the reader's."""

    def __init__(self, mailflow: Appender, mailbox: ReaderMailbox) -> None:
        self._mailflow = mailflow
        self._mailbox = mailbox

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
        placed = await self._mailflow.append(mailbox, folder, content, flags & ~SEEN, keywords, received_at, beside)
        if flags & SEEN:
            await self._mailbox.mark(folder, [placed.item], read=True)
            await self._mailbox.durable()
        return placed

    async def keep(
        self, mailbox: MailboxId, streams: Sequence[bytes], use: Callable[[Sequence[BlobRef]], Awaitable[T]]
    ) -> T:
        """Append streams, let `use` commit what refers to them."""
        return await self._mailflow.keep(mailbox, streams, use)


def is_own(change: FlagChange | None) -> bool:
    """Whether a change of flags touches nothing but \\Seen."""
    return change is not None and not change.replace and _apart(change)[1] == _NO_CHANGE


def _apart(change: FlagChange) -> tuple[bool | None, FlagChange]:
    """What a change makes of \\Seen (None: nothing), and the rest of it."""
    own: bool | None = None
    if change.add & SEEN:
        own = True
    elif change.remove & SEEN or change.replace:
        own = False
    return own, change._replace(add=change.add & ~SEEN, remove=change.remove & ~SEEN, untold=False)


def _by_uid(one: Query, seen: UidIn) -> Query:
    if not isinstance(one, HasFlags) or not one.mask & SEEN:
        return one
    rest = one.mask & ~SEEN
    return And((seen, HasFlags(rest))) if rest else seen


def _field(columns: Columns, wanted: Columns) -> int:
    """The place of a column among the fields of a row; BLOB has two."""
    below = columns & (wanted - 1)
    return below.bit_count() + bool(below & Columns.BLOB)
