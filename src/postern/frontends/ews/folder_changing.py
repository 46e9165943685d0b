"""CreateFolder, UpdateFolder, DeleteFolder, MoveFolder, CopyFolder, EmptyFolder, MarkAllItemsAsRead (MS-OXWSFOLD)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from postern.frontends.ews import folder_properties, places, search_folders, transferring
from postern.frontends.ews.box import Box, distinguished, is_search, shown_name
from postern.frontends.ews.call import Call
from postern.frontends.ews.permission_reading import read_permissions
from postern.frontends.ews.places import FolderPlace
from postern.model import properties
from postern.model.ids import FolderId
from postern.model.items import Flag, Folder, FolderClass, SpecialUse
from postern.model.properties import CONTAINER_CLASS
from postern.model.refusal import Reason, Refusal
from postern.model.rights import FolderRight
from postern.protocols.ews import responses, search_parameters
from postern.protocols.ews.folder_requests import (
    CreateFolder,
    CreateManagedFolder,
    DeleteFolder,
    EmptyFolder,
    FieldChange,
    FolderChange,
    MarkAllItemsAsRead,
    NewFolder,
    TransferFolder,
    UpdateFolder,
)
from postern.protocols.ews.folder_xml import FolderWriter, identity
from postern.protocols.ews.ids import ROOT, TOP
from postern.protocols.ews.paths import Extended, Field
from postern.protocols.ews.places import AnyFolder
from postern.protocols.ews.shapes import FolderShape
from postern.protocols.ews.violation import EwsViolation
from postern.services.folder_sharing import Sharer
from postern.services.mailboxes import FlagChange

_EMPTY = "<m:Folders/>"
_IDS = FolderShape()
_ALL_UIDS = ((1, 2**32 - 1),)
_CLASSES = {
    "Folder": FolderClass.MAIL,
    "CalendarFolder": FolderClass.CALENDAR,
    "ContactsFolder": FolderClass.CONTACTS,
    "TasksFolder": FolderClass.TASKS,
}
_CHANGEABLE = ("folder:DisplayName", "folder:PermissionSet", "folder:FolderClass", "folder:SearchParameters")
_READ_ONLY = ("FolderId", "ParentFolderId", "TotalCount", "ChildFolderCount", "UnreadCount", "EffectiveRights",
              "DistinguishedFolderId", "ManagedFolderInformation", "SharingEffectiveRights")  # fmt: skip


async def _identity(box: Box, folder: FolderId, call: Call) -> str:
    writer = FolderWriter(_IDS, call.version)
    return f"<m:Folders>{writer.write(await box.facts(folder))}</m:Folders>"


def parent_in_store(folder: FolderId) -> FolderId | None:
    """What the store calls the folder above. Raises EwsViolation for the mailbox's own root."""
    if folder == ROOT:
        raise EwsViolation("ErrorInvalidParentFolder", "Nothing can be put beside the top of the store.")
    return None if folder == TOP else folder


def container(new: NewFolder) -> FolderClass:
    """The class of a folder to be made. Raises EwsViolation(ErrorNoFolderClassOverride and the like)."""
    said = new.text("FolderClass")
    if new.element == "SearchFolder":
        if said is not None and folder_properties.coarse(said) is not FolderClass.MAIL:
            raise EwsViolation("ErrorNoFolderClassOverride", "FolderClass does not fit the kind of the folder.")
        return FolderClass.ROOT
    if said is None:
        return _CLASSES[new.element]
    found = folder_properties.coarse(said)
    if new.element != "Folder" and found is not _CLASSES[new.element]:
        raise EwsViolation("ErrorNoFolderClassOverride", "FolderClass does not fit the kind of the folder.")
    return found


async def create_folder(call: Call, request: CreateFolder) -> str:
    """CreateFolder."""
    parent: FolderPlace | EwsViolation
    try:
        parent = await places.folder(call, request.parent, "ErrorParentFolderNotFound")
    except EwsViolation as violation:
        parent = violation

    async def one(new: NewFolder) -> str:
        if isinstance(parent, EwsViolation):
            raise parent
        name = new.text("DisplayName")
        if name is None or not name.strip():
            raise EwsViolation("ErrorFolderSaveFailed", "A folder needs a name.")
        given = {found for found, _ in new.values}
        if bad := next((read_only for read_only in _READ_ONLY if read_only in given), ""):
            raise EwsViolation("ErrorInvalidPropertySet", f"{bad} cannot be set.")
        above = parent_in_store(parent.folder)
        await _refuse_below_search(parent)
        kept = folder_properties.given(new) | await _search(call, parent.box, new)
        made = await parent.box.access.create_folder(above, checked_name(name), container(new))
        parent.box.wrote(folders=True)
        if kept:
            await parent.box.items.set_folder(made.id, kept)
        await _set_permissions(call, parent.box, made.id, new)
        try:
            return await _identity(parent.box, made.id, call)
        except Refusal as refusal:
            if refusal.reason is not Reason.NO_SUCH_FOLDER:
                raise
            # who may make folders and not see them: an error would make it be made again
            named = identity("FolderId", parent.box.folder_id(made.id), "")
            return f"<m:Folders><t:{new.element}>{named}</t:{new.element}></m:Folders>"

    message = "CreateFolderResponseMessage"
    return responses.response("CreateFolder", await call.each(message, request.folders, one, empty=_EMPTY))


async def create_managed_folder(call: Call, request: CreateManagedFolder) -> str:
    """CreateManagedFolder (MS-OXWSFOLD 3.1.4.3): nobody defines such folders here, so there is none to make."""
    counted = Counter(name.casefold() for name in request.names)

    async def one(name: str) -> str:
        await call.box_of(request.address)
        if counted[name.casefold()] > 1:
            raise EwsViolation("ErrorDuplicateInputFolderNames", "A folder is named twice.")
        raise EwsViolation("ErrorManagedFolderNotFound", "There are no managed folders.")

    message = "CreateManagedFolderResponseMessage"
    return responses.response("CreateManagedFolder", await call.each(message, request.names, one, empty=_EMPTY))


async def _search(call: Call, box: Box, new: NewFolder) -> dict[str, Any]:
    """What makes a folder a search folder. Raises EwsViolation, Refusal."""
    element = next((one for name, one in new.values if name == "SearchParameters"), None)
    if new.element != "SearchFolder":
        if element is not None:
            raise EwsViolation("ErrorInvalidPropertySet", "Only search folders have SearchParameters.")
        return {}
    if box.access.own_read_state:
        raise EwsViolation("ErrorInvalidFolderTypeForOperation", "There are no search folders among public folders.")
    await search_folders.room(box)
    asked = b"" if element is None else await search_folders.given(call, box, element)
    return {search_parameters.KEY: asked, CONTAINER_CLASS: new.text("FolderClass") or FolderClass.MAIL.value}


async def _refuse_below_search(place: FolderPlace) -> None:
    """Nothing is below a search folder (MS-OXCFOLD 2.2.1.2)."""
    if await place.box.finds(place.folder):
        raise EwsViolation("ErrorInvalidFolderTypeForOperation", "A search folder has no folders below it.")


def checked_name(name: str) -> str:
    """The store takes no slash; Exchange does."""
    return name.strip().replace("/", "\u2215")


async def _set_permissions(call: Call, box: Box, folder: FolderId, new: NewFolder) -> None:
    for name, element in new.values:
        if name == "PermissionSet":
            rows = await read_permissions(call, element, calendar=new.element == "CalendarFolder")
            await _share(call, box, folder, rows)


async def _share(call: Call, box: Box, folder: FolderId, rows: list[Sharer]) -> None:
    """Without rows the folder is shared as the mailbox is."""
    if not await box.rights(folder) & FolderRight.OWNER:
        raise Refusal(Reason.NOT_PERMITTED, "only owners share a folder")
    await call.services.sharing.replace(box.id, folder, rows)


async def update_folder(call: Call, request: UpdateFolder) -> str:
    """UpdateFolder."""

    async def one(change: FolderChange) -> str:
        place = await places.stored(call, change.folder, searches=True)
        for each in change.changes:
            await _change(call, place, each)
        return await _identity(place.box, place.folder, call)

    message = "UpdateFolderResponseMessage"
    return responses.response("UpdateFolder", await call.each(message, request.changes, one, empty=_EMPTY))


async def _change(call: Call, place: FolderPlace, change: FieldChange) -> None:
    if isinstance(change.path, Extended):
        if change.path.tag == 0x3001 and change.action == "Set":
            await _rename(place, folder_properties.name_in(change))
            return
        await folder_properties.change_extended(place, change.path, change)
        return
    if not isinstance(change.path, Field):
        raise EwsViolation("ErrorInvalidPropertyRequest", f"No folder has the property {change.path.uri}.")
    uri = change.path.uri
    if change.action == "Append":
        raise EwsViolation("ErrorInvalidPropertyAppend", f"Nothing can be appended to {uri}.")
    if uri not in _CHANGEABLE:
        raise EwsViolation("ErrorInvalidPropertySet", f"{uri} cannot be set.")
    if change.action == "Delete" and uri == "folder:PermissionSet":
        await _share(call, place.box, place.folder, [])
        return
    if change.action == "Delete":
        raise EwsViolation("ErrorInvalidPropertyDelete", f"{uri} cannot be removed.")
    assert change.value is not None
    if len(change.value.values) != 1:
        raise EwsViolation("ErrorIncorrectUpdatePropertyCount", "A change has exactly one property.")
    if change.value.values[0][0] != uri.partition(":")[2]:
        raise EwsViolation("ErrorUpdatePropertyMismatch", "The property is not the one that the path names.")
    if uri == "folder:PermissionSet":
        await _set_permissions(call, place.box, place.folder, change.value)
        return
    if uri == "folder:SearchParameters":
        await search_folders.change(call, place, change.value.values[0][1])
        return
    if uri == "folder:FolderClass":
        await folder_properties.change_class(place, change.value.text("FolderClass") or "")
        return
    await _rename(place, change.value.text("DisplayName") or "")


async def _rename(place: FolderPlace, name: str) -> None:
    if not name.strip():
        raise EwsViolation("ErrorFolderSaveFailed", "A folder needs a name.")
    folder = await place.box.folder(place.folder)
    if distinguished(folder):
        raise EwsViolation("ErrorFolderSaveFailed", "Distinguished folders cannot be renamed.")
    if checked_name(name) != folder.name:
        await place.box.access.rename_folder(folder.id, folder.parent, checked_name(name))
        place.box.wrote(folders=True)


async def delete_folder(call: Call, request: DeleteFolder) -> str:
    """DeleteFolder."""

    async def one(ref: AnyFolder) -> str:
        place = await places.folder(call, ref)
        if place.folder in (ROOT, TOP) or distinguished(folder := await place.box.folder(place.folder)):
            raise EwsViolation("ErrorDeleteDistinguishedFolder", "Distinguished folders cannot be removed.")
        if request.disposal == "MoveToDeletedItems":
            trash = await place.box.by_use(SpecialUse.TRASH)
            if not await _is_below(place.box, folder, trash.id):
                await _move(place.box, folder, trash.id, retry=True)
                return ""
        await remove(place.box, folder)
        return ""

    return responses.response("DeleteFolder", await call.each("DeleteFolderResponseMessage", request.folders, one))


async def remove(box: Box, folder: Folder) -> None:
    """A folder with all that is below it; the items go to where removed items wait. Raises Refusal."""
    for one in reversed(await box.children(folder.id, deep=True)):
        await box.access.delete_folder(one.id)
    await box.access.delete_folder(folder.id)
    box.wrote(folders=True)


async def _is_below(box: Box, folder: Folder, above: FolderId) -> bool:
    every = await box.folders()
    step: Folder | None = folder
    while step is not None:
        if step.parent == above:
            return True
        step = every.get(step.parent) if step.parent is not None else None
    return False


_NAME_TRIES = 50


async def _move(box: Box, folder: Folder, target: FolderId | None, *, retry: bool = False) -> None:
    """`retry`: under another name if there is one of that name."""
    name = folder.name
    for number in range(1, _NAME_TRIES):
        try:
            await box.access.rename_folder(folder.id, target, name)
        except Refusal as refusal:
            if refusal.reason is not Reason.ALREADY_EXISTS or not retry:
                raise
            name = f"{folder.name}{number}"
        else:
            box.wrote(folders=True)
            return
    raise Refusal(Reason.ALREADY_EXISTS, folder.name)


async def move_folder(call: Call, request: TransferFolder) -> str:
    """MoveFolder."""
    target = await _target(call, request.target)

    async def one(ref: AnyFolder) -> str:
        if isinstance(target, EwsViolation):
            raise target
        place = await places.folder(call, ref)
        if place.folder in (ROOT, TOP) or distinguished(folder := await place.box.folder(place.folder)):
            raise EwsViolation("ErrorMoveDistinguishedFolder", "Distinguished folders cannot be moved.")
        if place.box.id != target.box.id:
            raise EwsViolation("ErrorCrossMailboxMoveCopy", "Folders cannot be moved between mailboxes.")
        above = parent_in_store(target.folder)
        await _refuse_below_search(target)
        if above == folder.id or (
            above is not None and await _is_below(place.box, await place.box.folder(above), folder.id)
        ):
            raise EwsViolation("ErrorMoveCopyFailed", "A folder cannot be moved into itself.")
        await _move(place.box, folder, above)
        return await _identity(place.box, folder.id, call)

    message = "MoveFolderResponseMessage"
    return responses.response("MoveFolder", await call.each(message, request.folders, one, empty=_EMPTY))


async def _target(call: Call, ref: AnyFolder) -> FolderPlace | EwsViolation:
    try:
        return await places.folder(call, ref, "ErrorToFolderNotFound")
    except EwsViolation as violation:
        return violation


async def copy_folder(call: Call, request: TransferFolder) -> str:
    """CopyFolder."""
    target = await _target(call, request.target)

    async def one(ref: AnyFolder) -> str:
        if isinstance(target, EwsViolation):
            raise target
        place = await places.stored(call, ref, searches=True)
        await _refuse_below_search(target)
        if place.box.id != target.box.id:
            raise EwsViolation("ErrorCrossMailboxMoveCopy", "Folders cannot be copied between mailboxes.")
        above = parent_in_store(target.folder)
        folder = await place.box.folder(place.folder)
        below = await place.box.children(folder.id, deep=True)
        if above == folder.id or above in {each.id for each in below}:
            raise EwsViolation("ErrorMoveCopyFailed", "A folder cannot be copied into itself.")
        made: dict[FolderId, FolderId] = {}
        for each in (folder, *below):
            into = above if each.id == folder.id else made[each.parent or TOP]
            if is_search(each):
                await search_folders.room(place.box)
            new = await place.box.access.create_folder(into, shown_name(each), each.folder_class)
            if each.properties:
                await place.box.items.set_folder(new.id, properties.unpack(each.properties))
            made[each.id] = new.id
            await place.box.access.copy(each.id, _ALL_UIDS, new.id)
            place.box.wrote(folders=True)
        return await _identity(place.box, made[folder.id], call)

    message = "CopyFolderResponseMessage"
    return responses.response("CopyFolder", await call.each(message, request.folders, one, empty=_EMPTY))


async def empty_folder(call: Call, request: EmptyFolder) -> str:
    """EmptyFolder."""

    async def one(ref: AnyFolder) -> str:
        place = await places.stored(call, ref, searches=True)
        folder = await place.box.folder(place.folder)
        if folder.folder_class is FolderClass.CALENDAR or is_search(folder):
            raise EwsViolation("ErrorCannotEmptyFolder", "Calendars and search folders cannot be emptied at once.")
        below = await place.box.children(folder.id) if request.subfolders else []
        if any(distinguished(each) for each in below):
            raise EwsViolation("ErrorCannotEmptyFolder", "There are distinguished folders in it.")
        await transferring.dispose(place.box, folder.id, _ALL_UIDS, request.disposal)
        for each in below:
            if request.disposal == "MoveToDeletedItems":
                trash = await place.box.by_use(SpecialUse.TRASH)
                if folder.id != trash.id:
                    await _move(place.box, each, trash.id, retry=True)
                    continue
            await remove(place.box, each)
        return ""

    return responses.response("EmptyFolder", await call.each("EmptyFolderResponseMessage", request.folders, one))


async def mark_all_items_as_read(call: Call, request: MarkAllItemsAsRead) -> str:
    """MarkAllItemsAsRead (MS-OXWSCORE 3.1.4.8)."""
    seen = Flag.SEEN.value
    change = FlagChange(add=seen) if request.read else FlagChange(remove=seen)

    async def one(ref: AnyFolder) -> str:
        place = await places.stored(call, ref)
        await place.box.access.set_flags(place.folder, _ALL_UIDS, change)
        place.box.wrote(folders=True)
        return ""

    message = "MarkAllItemsAsReadResponseMessage"
    return responses.response("MarkAllItemsAsRead", await call.each(message, request.folders, one))
