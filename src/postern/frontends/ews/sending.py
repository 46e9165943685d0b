"""Sending: what CreateItem and SendItem have in common, and SendItem (MS-OXWSMSG 3.1.4.6)."""

from __future__ import annotations

from postern.frontends.ews import places
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import FolderPlace
from postern.model.items import Columns, Flag, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import ids, responses
from postern.protocols.ews.item_requests import SendItem
from postern.protocols.ews.places import AnyFolder, ItemRef
from postern.protocols.ews.violation import EwsViolation


async def send(call: Call, content: bytes) -> None:
    """Send a message to whom it names. Raises EwsViolation, Refusal."""
    try:
        await call.services.submission.send(call.principal, content, call.peer)
    except Refusal as refusal:
        if refusal.reason is Reason.BAD_VALUE:
            raise EwsViolation("ErrorInvalidRecipients", "The message has no recipients.") from refusal
        if refusal.reason is Reason.NO_SUCH_RECIPIENT:
            raise EwsViolation("ErrorInvalidRecipients", f"There is no recipient {refusal.detail}.") from refusal
        raise


async def saved_to(call: Call, ref: AnyFolder | None, use: SpecialUse) -> FolderPlace:
    """Where a copy goes. Raises EwsViolation, Refusal."""
    if ref is not None:
        return await places.stored(call, ref, "ErrorSavedItemFolderNotFound")
    box = await call.box()
    return FolderPlace(box, (await box.by_use(use)).id)


async def send_item(call: Call, request: SendItem) -> str:
    """SendItem."""
    if not request.save and request.saved_to is not None:
        raise EwsViolation("ErrorInvalidSendItemSaveSettings", "A folder is named although nothing shall be saved.")

    async def one(ref: ItemRef) -> str:
        if not ref.change_key:
            raise EwsViolation("ErrorChangeKeyRequired", "To be sent an item has to be named with its change key.")
        known = ids.read_change(ref.change_key)
        target = await saved_to(call, request.saved_to, SpecialUse.SENT) if request.save else None
        place = await places.item(call, ref)
        rows = await place.box.rows(place.folder, Columns.CHANGE_KEY, [place.uid])
        if not rows:
            raise EwsViolation("ErrorItemNotFound", "There is no such item.")
        if rows[0][0] > known:
            raise EwsViolation("ErrorStaleObject", "The item was changed in the meantime.")
        content = await place.box.access.read(place.folder, place.uid)
        content = call.services.submission.complete(content)
        await send(call, content)
        try:
            if target is not None:
                await target.box.access.append(target.folder, content, Flag.SEEN.value, (), None)
                target.box.wrote(folders=True)
            await place.box.access.expunge(place.folder, ((place.uid, place.uid),), only_deleted=False)
            place.box.wrote(folders=True)
        except Refusal as refusal:
            # it is sent: an error would have the client send it again
            call.services.log.warning("ews.copy_not_saved", user=call.principal.address, reason=refusal.reason.value)
            said = "The message was sent; there is no copy of it, or the draft is still there."
            return responses.warning("SendItemResponseMessage", "ErrorItemSave", said)
        return ""

    return responses.response("SendItem", await call.each("SendItemResponseMessage", request.items, one))
