"""ArchiveItem (MS-OXWSARCH 3.1.4.1): into the folder Archive, below which folders are called as those items came from.

There is no second mailbox for what is old; the folder that mail programs archive into is the archive.
"""

from __future__ import annotations

from postern.frontends.ews import places, thing_making
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.frontends.ews.identities import identity, items_of
from postern.frontends.ews.places import FolderPlace
from postern.frontends.ews.transferring import transfer
from postern.model.ids import FolderId
from postern.model.items import Columns, Folder, ItemClass, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import responses
from postern.protocols.ews.archive_requests import ArchiveItem
from postern.protocols.ews.places import ItemRef
from postern.protocols.ews.violation import EwsViolation

_EMPTY = "<m:Items/>"
MAX_LEVELS = 30


async def archive_item(call: Call, request: ArchiveItem) -> str:
    """ArchiveItem."""
    targets: dict[FolderId, FolderPlace] = {}

    async def one(ref: ItemRef) -> str:
        source = await places.stored(call, request.source)
        place = await places.item(call, ref)
        if (place.box.id, place.folder) != (source.box.id, source.folder):
            raise EwsViolation("ErrorItemNotFound", "The item is not in the folder that is archived.")
        if place.folder not in targets:
            targets[place.folder] = FolderPlace(place.box, await _target(place.box, place.folder))
        target = targets[place.folder]
        uid = await transfer(place, target, move=True)
        rows = await target.box.rows(target.folder, Columns.CLASS, [uid])
        element = thing_making.ELEMENTS.get(ItemClass(rows[0][0]), "Message") if rows else "Message"
        return items_of(await identity(target.box, target.folder, uid), element)

    return responses.response(
        "ArchiveItem", await call.each("ArchiveItemResponseMessage", request.items, one, empty=_EMPTY)
    )


async def _target(box: Box, source: FolderId) -> FolderId:
    """The folder of the archive that stands for one of the mailbox; made where it is not there. Raises EwsViolation."""
    archive = (await box.items.special(SpecialUse.ARCHIVE)).id
    box.wrote(folders=True)
    every = await box.folders()
    path: list[Folder] = []
    step = every.get(source)
    while step is not None and len(path) < MAX_LEVELS:
        if step.id == archive or step.hidden or step.special is SpecialUse.RECOVERABLE:
            raise EwsViolation("ErrorMoveCopyFailed", "What is in that folder is not archived.")
        path.insert(0, step)
        step = every.get(step.parent) if step.parent is not None else None
    parent = archive
    for level in path:
        parent = await _child(box, parent, level)
    return parent


async def _child(box: Box, parent: FolderId, like: Folder) -> FolderId:
    for one in (await box.folders()).values():
        if one.parent == parent and one.name.casefold() == like.name.casefold():
            return one.id
    try:
        made = await box.access.create_folder(parent, like.name, like.folder_class)
    except Refusal as refusal:
        if refusal.reason is not Reason.ALREADY_EXISTS:
            raise
        found = (await box.folders(fresh=True)).values()
        return next(one.id for one in found if one.parent == parent and one.name == like.name)
    box.wrote(folders=True)
    return made.id
