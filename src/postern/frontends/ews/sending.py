"""Sending: what CreateItem and SendItem have in common, and SendItem (MS-OXWSMSG 3.1.4.6)."""

from __future__ import annotations

from postern.formats.mime import compose, header
from postern.formats.mime.compose import Mailbox
from postern.formats.mime.scan import identifier
from postern.frontends.ews import places
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import FolderPlace
from postern.model.ids import DeliveryKey
from postern.model.items import Columns, Flag, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import ids, responses
from postern.protocols.ews.drafting import Draft
from postern.protocols.ews.item_requests import SendItem
from postern.protocols.ews.places import AnyFolder, ItemRef
from postern.protocols.ews.violation import EwsViolation
from postern.services.submission import split

RECENT_UIDS = 1000
"""How far back a copy of what is sent again is looked for."""


async def author(call: Call, draft: Draft) -> None:
    """Who writes, where the message does not say it; with another in From, Sender is left to the mail flow."""
    if draft.document.get(b"from") is None:
        owner = (await call.box()).owner
        draft.field("From", compose.mailbox(Mailbox(owner.name, call.principal.address)))
    for name in ("Disposition-Notification-To", "Return-Receipt-To"):
        if draft.document.get(name.lower().encode()) == b"<>":
            draft.field(name, draft.document.get(b"from"))


async def send(call: Call, content: bytes, key: DeliveryKey | None = None) -> None:
    """Send a message to whom it names; under a key once, however often it is tried. Raises EwsViolation, Refusal."""
    try:
        await call.services.submission.send(call.principal, content, call.peer, key)
    except Refusal as refusal:
        if refusal.reason is Reason.BAD_VALUE:
            raise EwsViolation("ErrorInvalidRecipients", "The message has no recipients.") from refusal
        if refusal.reason is Reason.NO_SUCH_RECIPIENT:
            raise EwsViolation("ErrorInvalidRecipients", f"There is no recipient {refusal.detail}.") from refusal
        raise


async def is_kept(place: FolderPlace, content: bytes) -> bool:
    """Whether a folder has a copy of what is to be put there: an earlier request has come that far."""
    head, _ = split(content)
    wanted = identifier(header.first(head, b"message-id") or b"")
    if not wanted:
        return False
    try:
        folder = await place.box.folder(place.folder)
        ranges = ((max(1, folder.uid_next - RECENT_UIDS), 2**32 - 1),)
        rows = place.box.access.items(folder.id, Columns.MESSAGE_ID, ranges)
        return any([found == wanted async for some in rows for (found,) in some])
    except Refusal:
        return False  # who may only put things there cannot look


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
        # the item in this state is sent once: whoever was not told how it went may ask again
        key = call.services.submission.key(place.box.id, str(place.item), str(rows[0][0]))
        content = call.services.submission.complete(content, key)
        await send(call, content, key)
        try:
            if target is not None and not await is_kept(target, content):
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
