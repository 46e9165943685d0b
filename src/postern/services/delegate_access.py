"""A mailbox for somebody with rights on some of its folders: every call is checked.

A folder that one may not even see does not exist for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from postern.formats.mime.threads import Thread
from postern.model.ids import ChangeNumber, FolderId, Uid
from postern.model.items import (
    Changes,
    Columns,
    Flag,
    Folder,
    FolderClass,
    FolderView,
    Placement,
    SpecialUse,
)
from postern.model.ordering import SortKey
from postern.model.properties import pack, unpack
from postern.model.query import Query
from postern.model.refusal import Reason, Refusal
from postern.model.rights import FolderRight
from postern.services.accepted import Beside
from postern.services.authentication import Principal
from postern.services.mailbox_access import MailboxAccess
from postern.services.permissions import Permissions
from postern.store.interface import CopyResult, FlagChange, FlagResult, Ranges

CREATOR = "PosternCreator"
"""Stored property: the account that made an item in another's mailbox."""
MAX_OWNED = 1000
_OWNED = {FolderRight.EDIT_ANY: FolderRight.EDIT_OWNED, FolderRight.DELETE_ANY: FolderRight.DELETE_OWNED}


class DelegateAccess(MailboxAccess):
    """A mailbox for somebody with rights on some folders (MS-OXCPERM).

    Items that somebody makes here carry their maker's account, which is what rights on one's own items go by.
    """

    principal: Principal
    permissions: Permissions

    async def _rights(self, folder: FolderId) -> FolderRight:
        # associated items are under the negated number of their folder
        return await self.permissions.folder_rights(self.principal, self.id, FolderId(abs(folder)))

    async def need(self, right: FolderRight, folder: FolderId | None) -> None:
        """Raises Refusal(NO_SUCH_FOLDER) for a folder one may not see, NOT_PERMITTED for one that one may."""
        held = await self._rights(FolderId(0) if folder is None else folder)
        if held & right == right:
            return
        if folder is not None and not held & (FolderRight.VISIBLE | FolderRight.READ_ANY):
            raise Refusal(Reason.NO_SUCH_FOLDER, str(folder))
        raise Refusal(Reason.NOT_PERMITTED, f"{self.principal.address} lacks {right!r} on {folder}")

    async def need_items(self, right: FolderRight, folder: FolderId, ranges: Ranges | None) -> None:
        """Raises Refusal(NO_SUCH_FOLDER, NOT_PERMITTED). More than MAX_OWNED items at once need the whole right."""
        visible = FolderId(abs(folder))
        held = await self._rights(visible)
        if held & right != right and held & _OWNED[right] and await self._made(folder, ranges):
            return
        await self.need(right, visible)

    async def _made(self, folder: FolderId, ranges: Ranges | None) -> bool:
        if ranges is None or sum(last - first + 1 for first, last in ranges) > MAX_OWNED:
            return False
        me = str(self.principal.account)
        async for rows in self._mailbox.items(folder, Columns.PROPERTIES, ranges):
            if any(unpack(stored or b"").get(CREATOR) != me for (stored,) in rows):
                return False
        return True

    def signature(self) -> dict[str, str]:
        """The principal's account."""
        return {CREATOR: str(self.principal.account)}

    def need_all(self) -> None:
        """Raises Refusal(NOT_PERMITTED)."""
        raise Refusal(Reason.NOT_PERMITTED, f"{self.principal.address} has no full access to {self.id}")

    async def folders(self) -> Sequence[Folder]:
        """Visible folders and the way to them; what is in those that may not be read shows in no counter."""
        every = await self._mailbox.folders()
        parents = {folder.id: folder.parent for folder in every}
        shown: set[FolderId] = set()
        readable: set[FolderId] = set()
        for folder in every:
            if folder.special is SpecialUse.RECOVERABLE:
                continue
            rights = await self._rights(folder.id)
            if rights & FolderRight.READ_ANY:
                readable.add(folder.id)
            if rights & (FolderRight.VISIBLE | FolderRight.READ_ANY):
                step: FolderId | None = folder.id
                while step is not None and step not in shown:
                    shown.add(step)
                    step = parents[step]
        return [folder if folder.id in readable else _closed(folder) for folder in every if folder.id in shown]

    async def folder(self, folder: FolderId) -> Folder:
        """One folder's counters (RFC 4314 4: STATUS needs the right to read)."""
        await self.need(FolderRight.READ_ANY, folder)
        return await self._mailbox.folder(folder)

    async def special(self, use: SpecialUse) -> Folder:
        """The folder with a distinguished use."""
        found = await self._mailbox.special(use)
        await self.need(FolderRight.VISIBLE, found.id)
        return found

    async def view(self, folder: FolderId, *, claim_recent: bool = False) -> FolderView:
        """What SELECT needs; the owner's \\Recent is left to the owner."""
        await self.need(FolderRight.READ_ANY, folder)
        return await self._mailbox.view(folder)

    async def items(
        self,
        folder: FolderId,
        columns: Columns,
        ranges: Ranges | None = None,
        changed_since: ChangeNumber | None = None,
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Rows in UID order, in chunks."""
        await self.need(FolderRight.READ_ANY, folder)
        async for rows in self._mailbox.items(folder, columns, ranges, changed_since):
            yield rows

    async def changes(self, folder: FolderId, since: ChangeNumber) -> Changes:
        """What an open session has to be told."""
        await self.need(FolderRight.READ_ANY, folder)
        return await self._mailbox.changes(folder, since)

    async def search(self, folder: FolderId, query: Query, within: Ranges | None = None) -> Sequence[Uid]:
        """UIDs that match, ascending."""
        await self.need(FolderRight.READ_ANY, folder)
        return await self._mailbox.search(folder, query, within)

    async def sort(self, folder: FolderId, uids: Sequence[Uid], keys: Sequence[SortKey]) -> Sequence[Uid]:
        """Items in order."""
        await self.need(FolderRight.READ_ANY, folder)
        return await self._mailbox.sort(folder, uids, keys)

    async def threads(self, folder: FolderId, uids: Sequence[Uid], *, by_subject: bool = False) -> list[Thread]:
        """Items as threads."""
        await self.need(FolderRight.READ_ANY, folder)
        return await super().threads(folder, uids, by_subject=by_subject)

    async def read(self, folder: FolderId, uid: Uid) -> bytes:
        """A whole message."""
        await self.need(FolderRight.READ_ANY, folder)
        return await self._mailbox.read(folder, uid)

    async def append(
        self,
        folder: FolderId,
        content: bytes,
        flags: int,
        keywords: tuple[str, ...],
        received_at: int | None,
        supersedes: tuple[FolderId, Uid] | None = None,
    ) -> Placement:
        """Put a message into a folder, in the place of another one if that is said; durable on return."""
        await self.need(FolderRight.CREATE, folder)
        if supersedes is not None:
            await self.need_items(FolderRight.DELETE_ANY, supersedes[0], ((supersedes[1], supersedes[1]),))
        beside = Beside(pack(self.signature()), supersedes=supersedes)
        return await self.mailflow.append(self.id, folder, content, flags, keywords, received_at, beside)

    async def set_flags(
        self, folder: FolderId, ranges: Ranges, change: FlagChange, unchanged_since: ChangeNumber | None = None
    ) -> FlagResult:
        """Change flags; DELETED needs the right to delete, everything else the right to edit."""
        touched = change.add | change.remove
        if self.own_read_state:
            touched &= ~Flag.SEEN
        await self.need(FolderRight.READ_ANY, folder)
        if touched & Flag.DELETED or change.replace:
            await self.need_items(FolderRight.DELETE_ANY, folder, ranges)
        if touched & ~Flag.DELETED or change.replace or change.add_keywords or change.remove_keywords:
            await self.need_items(FolderRight.EDIT_ANY, folder, ranges)
        return await self._mailbox.set_flags(folder, ranges, change, unchanged_since)

    async def copy(self, folder: FolderId, ranges: Ranges, target: FolderId) -> CopyResult:
        """Copy items within the mailbox."""
        await self.need(FolderRight.READ_ANY, folder)
        await self.need(FolderRight.CREATE, target)
        return await self._mailbox.copy(folder, ranges, target)

    async def move(self, folder: FolderId, ranges: Ranges, target: FolderId) -> CopyResult:
        """Move items within the mailbox."""
        await self.need(FolderRight.READ_ANY, folder)
        await self.need_items(FolderRight.DELETE_ANY, folder, ranges)
        await self.need(FolderRight.CREATE, target)
        return await self._mailbox.move(folder, ranges, target)

    async def expunge(self, folder: FolderId, ranges: Ranges | None, *, only_deleted: bool = True) -> Sequence[Uid]:
        """Remove items into Recoverable Items."""
        await self.need_items(FolderRight.DELETE_ANY, folder, ranges)
        return await self._mailbox.expunge(folder, ranges, only_deleted=only_deleted)

    async def create_folder(
        self,
        parent: FolderId | None,
        name: str,
        folder_class: FolderClass = FolderClass.MAIL,
        special: SpecialUse = SpecialUse.NONE,
    ) -> Folder:
        """Make a folder, open to whom its parent is."""
        await self.need(FolderRight.CREATE_SUBFOLDER, parent)
        return await super().create_folder(parent, name, folder_class, special)

    async def rename_folder(self, folder: FolderId, parent: FolderId | None, name: str) -> None:
        """Rename or move a folder."""
        await self.need(FolderRight.OWNER, folder)
        if (await self._mailbox.folder(folder)).parent != parent:
            await self.need(FolderRight.CREATE_SUBFOLDER, parent)
        await self._mailbox.rename_folder(folder, parent, name)

    async def delete_folder(self, folder: FolderId) -> None:
        """Remove a folder."""
        await self.need(FolderRight.OWNER, folder)
        await super().delete_folder(folder)

    async def subscribe(self, folder: FolderId, subscribed: bool) -> None:
        """Set the principal's own subscription."""
        await self.need(FolderRight.VISIBLE, folder)
        await self._mailbox.subscribe(folder, subscribed)


def _closed(folder: Folder) -> Folder:
    return msgspec.structs.replace(folder, messages=0, unseen=0, deleted=0, size_bytes=0)
