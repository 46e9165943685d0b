"""A mailbox as EWS sees it: folders as a tree with the two roots above it, items by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from postern.model import properties
from postern.model.ids import FolderId, ItemId, MailboxId, Uid
from postern.model.items import Columns, Folder, FolderClass, SpecialUse
from postern.model.ranges import merged
from postern.model.refusal import Reason, Refusal
from postern.model.rights import FolderRight
from postern.protocols.ews import search_parameters
from postern.protocols.ews.effective_rights import Rights
from postern.protocols.ews.folder_xml import FolderFacts
from postern.protocols.ews.ids import ROOT, TOP, FolderKey, folder_change, folder_id
from postern.services.identities import Owner
from postern.services.mailboxes import DelegateAccess, ItemAccess
from postern.services.permissions import ALL_RIGHTS

_USES = {
    SpecialUse.INBOX: "inbox",
    SpecialUse.SENT: "sentitems",
    SpecialUse.DRAFTS: "drafts",
    SpecialUse.TRASH: "deleteditems",
    SpecialUse.JUNK: "junkemail",
    SpecialUse.ARCHIVE: "archive",
    SpecialUse.OUTBOX: "outbox",
    SpecialUse.CALENDAR: "calendar",
    SpecialUse.CONTACTS: "contacts",
    SpecialUse.TASKS: "tasks",
    SpecialUse.NOTES: "notes",
    SpecialUse.JOURNAL: "journal",
    SpecialUse.RECOVERABLE: "recoverableitemsdeletions",
    SpecialUse.RECOVERABLE_VERSIONS: "recoverableitemsversions",
    SpecialUse.RECOVERABLE_PURGES: "recoverableitemspurges",
    SpecialUse.CONVERSATION_HISTORY: "conversationhistory",
    SpecialUse.VOICE_MAIL: "voicemail",
    SpecialUse.SYNC_ISSUES: "syncissues",
    SpecialUse.CONFLICTS: "conflicts",
    SpecialUse.LOCAL_FAILURES: "localfailures",
    SpecialUse.SERVER_FAILURES: "serverfailures",
    SpecialUse.SEARCH_FOLDERS: "searchfolders",
    SpecialUse.QUICK_CONTACTS: "quickcontacts",
    SpecialUse.IM_CONTACTS: "imcontactlist",
    SpecialUse.RECIPIENT_CACHE: "recipientcache",
    SpecialUse.MY_CONTACTS: "mycontacts",
    SpecialUse.PEOPLE_CONNECT: "peopleconnect",
    SpecialUse.FAVORITES: "favorites",
    SpecialUse.DIRECTORY: "directory",
    SpecialUse.TODO_SEARCH: "todosearch",
    SpecialUse.ADMIN_AUDIT_LOGS: "adminauditlogs",
}
NAMES = {name: use for use, name in _USES.items()} | {"recoverableitemsroot": SpecialUse.RECOVERABLE}
"""DistinguishedFolderId -> use."""
_ELEMENTS = {
    FolderClass.CALENDAR: "CalendarFolder",
    FolderClass.CONTACTS: "ContactsFolder",
    FolderClass.TASKS: "TasksFolder",
}
_SHARING = (
    (FolderRight.READ_ANY, "FullDetails"),
    (FolderRight.FREEBUSY_DETAILED, "TimeAndSubjectAndLocation"),
    (FolderRight.FREEBUSY_SIMPLE, "TimeOnly"),
)
_HIDDEN = properties.tagged(0x10F4, 0x000B)
"""PidTagAttributeHidden as clients put it there: such folders are listed all the same."""
_OWNER = Rights(True, True, True, True, True)
_ROOT_RIGHTS = Rights(False, True, False, False, True)


class Box:
    """One mailbox for one request."""

    def __init__(self, items: ItemAccess, owner: Owner, *, sees_private: bool) -> None:
        self.items = items
        self.access = items.access
        self.owner = owner
        self.sees_private = sees_private
        """Whether private items are shown: to who may do everything, and to delegates who were allowed to."""
        self.written = False
        """Something was changed that has to become durable before the answer."""
        self._folders: dict[FolderId, Folder] | None = None
        self._singles: dict[FolderId, Folder] = {}
        self._rights: dict[FolderId, FolderRight] = {}
        self._keywords: dict[int, str] | None = None

    @property
    def id(self) -> MailboxId:
        """Whose it is."""
        return self.access.id

    # --- folders

    async def folders(self, *, fresh: bool = False) -> dict[FolderId, Folder]:
        """All that may be seen, parents before children; `fresh`: as they are now."""
        if self._folders is None or fresh:
            self._singles.clear()
            self._folders = {one.id: one for one in await self.access.folders()}
        return self._folders

    def wrote(self, *, folders: bool = False) -> None:
        """Remember that something was changed."""
        self.written = True
        if folders:
            self._folders = None
            self._singles.clear()

    def forget(self) -> None:
        """Keep nothing that was read: it is asked again after a long time."""
        self._folders = self._keywords = None
        self._singles.clear()
        self._rights.clear()

    async def folder(self, folder: FolderId) -> Folder:
        """One of the store's folders. Raises Refusal(NO_SUCH_FOLDER), also for the two roots."""
        found = (await self.folders()).get(folder)
        if found is None:
            raise Refusal(Reason.NO_SUCH_FOLDER, str(folder))
        return found

    async def single(self, folder: FolderId) -> Folder:
        """The same, for whoever needs no other: reading one costs less than all of them. Raises as `folder`."""
        if self._folders is not None or isinstance(self.access, DelegateAccess):
            return await self.folder(folder)  # what a delegate may see of one follows from the others
        found = self._singles.get(folder)
        if found is None:
            found = self._singles[folder] = await self.access.folder(folder)
        return found

    async def finds(self, folder: FolderId) -> bool:
        """Whether it is a search folder; the two roots are none. Raises Refusal(NO_SUCH_FOLDER)."""
        return folder not in (ROOT, TOP) and is_search(await self.folder(folder))

    async def children(self, folder: FolderId, *, deep: bool = False) -> list[Folder]:
        """Folders below one, parents before children, but for the top of the store, which is none of the store's.

        The root has it and what is hidden; the top of the store has all that are seen there.
        """
        every = await self.folders()
        above = every.get(folder)
        hidden = folder == ROOT or (above is not None and is_hidden(above, every))
        shown = [one for one in every.values() if hidden or not is_hidden(one, every)]
        if folder in (ROOT, TOP):
            return shown if deep else [one for one in shown if self.parent_of(one) == folder]
        inside = {folder}
        found = []
        for one in shown:
            if one.parent in inside:
                found.append(one)
                if deep:
                    inside.add(one.id)
        return found

    async def rights(self, folder: FolderId) -> FolderRight:
        """What whoever asks may do in a folder."""
        if not isinstance(self.access, DelegateAccess):
            return ALL_RIGHTS
        held = self._rights.get(folder)
        if held is None:
            access = self.access
            held = await access.permissions.folder_rights(access.principal, access.id, folder)
            self._rights[folder] = held
        return held

    async def effective(self, folder: FolderId) -> Rights:
        """The same as EffectiveRights has it."""
        if not isinstance(self.access, DelegateAccess):
            return _ROOT_RIGHTS if folder == ROOT else _OWNER
        held = await self.rights(folder)
        return Rights(
            bool(held & FolderRight.CREATE),
            bool(held & FolderRight.CREATE_SUBFOLDER),
            bool(held & FolderRight.DELETE_ANY),
            bool(held & FolderRight.EDIT_ANY),
            bool(held & FolderRight.READ_ANY),
            private=self.sees_private,
        )

    async def facts(self, folder: FolderId, *, permissions: str = "") -> FolderFacts:
        """What is told of a folder. Raises Refusal(NO_SUCH_FOLDER)."""
        every = await self.folders()
        rights = await self.effective(folder)
        if folder in (ROOT, TOP):
            top = folder == TOP
            shown = [one for one in every.values() if one.parent is None and not is_hidden(one, every)]
            return FolderFacts(
                self.folder_id(folder),
                folder_change(0),
                self.folder_id(ROOT) if top else "",
                folder_change(0) if top else "",
                "Folder",
                self._root_name(top=top),
                "",
                0,
                0,
                len(shown)
                if top
                else 1 + sum(1 for one in every.values() if one.parent is None and is_hidden(one, every)),
                ("publicfoldersroot" if self.access.own_read_state else "msgfolderroot") if top else "root",
                rights,
            )
        found = await self.folder(folder)
        parent = self.parent_of(found)
        above = every.get(parent)
        stored = properties.unpack(found.properties) if found.properties else {}
        search = search_parameters.search_of(stored)
        return FolderFacts(
            self.folder_id(folder),
            folder_change(found.changed),
            self.folder_id(parent),
            folder_change(above.changed if above is not None else 0),
            "SearchFolder" if search_parameters.KEY in stored else _ELEMENTS.get(found.folder_class, "Folder"),
            shown_name(found),
            container_class(found),
            found.messages,
            found.unseen,
            sum(1 for one in every.values() if one.parent == folder),
            distinguished(found),
            rights,
            permissions,
            found.size_bytes,
            hidden=is_hidden(found, every) or bool(stored.get(_HIDDEN)),
            sharing=await self._sharing(folder),
            properties=stored,
            search=search_parameters.xml(search, lambda one: self.folder_id(FolderId(one))) if search else "",
        )

    def _root_name(self, *, top: bool) -> str:
        if not top:
            return "Root"
        return "Public Folders" if self.access.own_read_state else "Top of Information Store"

    async def _sharing(self, folder: FolderId) -> str:
        """SharingEffectiveRights (MS-OXWSMTGS 2.2.4.9); of one's own calendar there is none."""
        if not isinstance(self.access, DelegateAccess):
            return ""
        held = await self.rights(folder)
        return next((name for right, name in _SHARING if held & right), "None")

    def parent_of(self, folder: Folder) -> FolderId:
        """The folder above, in EWS's tree."""
        if folder.parent is not None:
            return folder.parent
        return ROOT if folder.hidden or folder.special is SpecialUse.RECOVERABLE else TOP

    def folder_id(self, folder: FolderId) -> str:
        """A FolderId's Id."""
        return folder_id(FolderKey(self.id, folder))

    async def by_use(self, use: SpecialUse) -> Folder:
        """Raises Refusal(NO_SUCH_FOLDER)."""
        for one in (await self.folders()).values():
            if one.special is use:
                return one
        raise Refusal(Reason.NO_SUCH_FOLDER, use.value)

    # --- items

    async def keywords(self) -> dict[int, str]:
        """Bit -> keyword."""
        if self._keywords is None:
            self._keywords = await self.access.keywords()
        return self._keywords

    def forget_keywords(self) -> None:
        """A new one may have been made."""
        self._keywords = None

    async def locate(self, folder: FolderId, items: Sequence[ItemId]) -> dict[ItemId, Uid]:
        """UIDs of items in a folder; missing ones are left out. Raises Refusal."""
        found = await self.items.locate(items, folder)
        return {item: uid for item, (where, uid) in found.items() if where == folder}

    async def uid(self, folder: FolderId, item: ItemId) -> Uid:
        """Raises Refusal(NO_SUCH_ITEM, NO_SUCH_FOLDER)."""
        found = (await self.locate(folder, [item])).get(item)
        if found is None:
            raise Refusal(Reason.NO_SUCH_ITEM, str(item))
        return found

    async def rows(self, folder: FolderId, columns: Columns, uids: Sequence[Uid]) -> list[tuple[Any, ...]]:
        """Rows of some items, in UID order. Raises Refusal."""
        ranges = merged((one, one) for one in uids)
        return [row async for rows in self.access.items(folder, columns, ranges) for row in rows] if ranges else []


def is_hidden(folder: Folder, every: dict[FolderId, Folder]) -> bool:
    """Not below the top of the store."""
    step: Folder | None = folder
    while step is not None:
        if step.hidden or step.special is SpecialUse.RECOVERABLE:
            return True
        step = every.get(step.parent) if step.parent is not None else None
    return False


def is_search(folder: Folder) -> bool:
    """Whether it is a search folder."""
    # nothing else that a client can make is of this class, and it need not be unpacked to know that
    return folder.folder_class is FolderClass.ROOT and search_parameters.KEY in properties.unpack(folder.properties)


def distinguished(folder: Folder) -> str:
    """DistinguishedFolderId; empty for an ordinary folder."""
    return _USES.get(folder.special, "")


def container_class(folder: Folder) -> str:
    """PidTagContainerClass, as finely as it was given."""
    said = properties.unpack(folder.properties).get("PidTagContainerClass") if folder.properties else None
    return said if isinstance(said, str) else folder.folder_class.value


def shown_name(folder: Folder) -> str:
    """IMAP's INBOX is called Inbox everywhere else."""
    return "Inbox" if folder.special is SpecialUse.INBOX and folder.name == "INBOX" else folder.name
