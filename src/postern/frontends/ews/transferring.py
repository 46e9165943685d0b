"""MoveItem, CopyItem, DeleteItem (MS-OXWSCORE 3.1.4)."""

from __future__ import annotations

from postern.frontends.ews import calendar_making, places, thing_making
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.frontends.ews.identities import identity, items_of
from postern.frontends.ews.places import FolderPlace, ItemPlace
from postern.model.ids import FolderId, Uid
from postern.model.items import Columns, ItemClass, SpecialUse
from postern.protocols.ews import responses
from postern.protocols.ews.item_requests import DeleteItem, TransferItem
from postern.protocols.ews.places import ItemRef
from postern.protocols.ews.violation import EwsViolation
from postern.services.mailboxes import Disposal, Ranges

_EMPTY = "<m:Items/>"


async def dispose(box: Box, folder: FolderId, ranges: Ranges, disposal: str) -> None:
    """Remove items as DeleteType says. Raises Refusal."""
    if disposal == "MoveToDeletedItems":
        trash = await box.by_use(SpecialUse.TRASH)
        if trash.id != folder:
            await box.access.move(folder, ranges, trash.id)
            box.wrote(folders=True)
            return
    await box.access.expunge(folder, ranges, only_deleted=False)
    box.wrote(folders=True)


_DISPOSALS = {
    "HardDelete": Disposal.HARD,
    "SoftDelete": Disposal.SOFT,
    "MoveToDeletedItems": Disposal.TO_DELETED_ITEMS,
}


async def delete_item(call: Call, request: DeleteItem) -> str:
    """DeleteItem."""

    async def one(ref: ItemRef) -> str:
        place = await places.item(call, ref, occurrences=True)
        kind = _DISPOSALS[request.disposal]
        if kind is Disposal.TO_DELETED_ITEMS and (await place.box.folder(place.folder)).special is SpecialUse.TRASH:
            kind = Disposal.SOFT
        rows = await place.box.rows(place.folder, Columns.CLASS, [place.uid])
        if rows and rows[0][0] == ItemClass.APPOINTMENT:
            await calendar_making.delete(call, place, kind, request.cancellations)
            return ""
        if place.day is not None:
            raise EwsViolation("ErrorItemNotFound", "There is no such occurrence.")
        if (
            rows
            and rows[0][0] == ItemClass.TASK
            and request.occurrences not in ("AllOccurrences", "SpecifiedOccurrenceOnly")
        ):
            raise EwsViolation("ErrorAffectedTaskOccurrencesRequired", "AffectedTaskOccurrences is missing.")
        await place.box.items.delete(place.folder, [place.uid], kind)
        place.box.wrote(folders=True)
        return ""

    return responses.response("DeleteItem", await call.each("DeleteItemResponseMessage", request.items, one))


async def move_item(call: Call, request: TransferItem) -> str:
    """MoveItem."""
    return await _transfer(call, request, "MoveItem", move=True)


async def copy_item(call: Call, request: TransferItem) -> str:
    """CopyItem."""
    return await _transfer(call, request, "CopyItem", move=False)


async def _transfer(call: Call, request: TransferItem, operation: str, *, move: bool) -> str:
    target: FolderPlace | EwsViolation
    try:
        target = await places.stored(call, request.target, "ErrorToFolderNotFound")
    except EwsViolation as violation:
        target = violation

    async def one(ref: ItemRef) -> str:
        if isinstance(target, EwsViolation):
            raise target
        place = await places.item(call, ref, occurrences=True)
        if place.day is not None:
            raise EwsViolation("ErrorCalendarCannotMoveOrCopyOccurrence", "An occurrence stays with its series.")
        uid = await transfer(place, target, move=move)
        # the ids of what went to another mailbox are not told (MS-OXWSCORE 3.1.4.7)
        if place.box.id != target.box.id or not request.new_ids:
            return _EMPTY
        rows = await target.box.rows(target.folder, Columns.CLASS, [uid])
        element = thing_making.ELEMENTS.get(ItemClass(rows[0][0]), "Message") if rows else "Message"
        return items_of(await identity(target.box, target.folder, uid), element)

    return responses.response(
        operation, await call.each(f"{operation}ResponseMessage", request.items, one, empty=_EMPTY)
    )


async def transfer(place: ItemPlace, target: FolderPlace, *, move: bool) -> Uid:
    """Move or copy one item, also to another mailbox; its new UID. Raises Refusal."""
    items = place.box.items
    act = items.move if move else items.copy
    found = await act(place.folder, [place.uid], target.folder, target.box.items)
    place.box.wrote(folders=True)
    target.box.wrote(folders=True)
    if place.uid not in found:
        raise EwsViolation("ErrorItemNotFound", "There is no such item.")
    return found[place.uid].uid
