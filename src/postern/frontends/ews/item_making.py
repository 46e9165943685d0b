"""CreateItem for messages, and the responses that are made from messages (MS-OXWSCORE 3.1.4.2, MS-OXWSMSG 3.1.4.1)."""

from __future__ import annotations

from postern.formats.mime import compose
from postern.formats.mime.compose import Mailbox
from postern.frontends.ews import (
    answering,
    calendar_making,
    identities,
    meeting_forwarding,
    places,
    saving,
    sending,
    thing_making,
)
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import FolderPlace
from postern.model.items import Flag, SpecialUse
from postern.model.refusal import Refusal
from postern.protocols.ews import responses
from postern.protocols.ews.drafting import Draft
from postern.protocols.ews.item_requests import PLAIN, RESPONSES, CreateItem, NewItem
from postern.protocols.ews.violation import EwsViolation

_EMPTY = "<m:Items/>"
THINGS = frozenset({"Contact", "DistributionList", "Task"})
_MESSAGE = "CreateItemResponseMessage"


async def create_item(call: Call, request: CreateItem) -> str:
    """CreateItem."""
    saved: FolderPlace | EwsViolation | None = None
    if request.saved_to is not None:
        try:
            saved = await places.stored(call, request.saved_to, "ErrorSavedItemFolderNotFound")
        except EwsViolation as violation:
            saved = violation

    async def one(item: NewItem) -> str:
        if isinstance(saved, EwsViolation):
            raise saved
        if item.element == "CalendarItem":
            return await calendar_making.create(call, item, request, saved)
        if item.element in THINGS or thing_making.is_note(item):
            return await thing_making.create(call, item, saved)
        if item.element in calendar_making.CALENDAR_RESPONSES:
            return await calendar_making.respond(call, item, request)
        if item.element in RESPONSES:
            return await _respond(call, item, request, saved)
        if item.element not in PLAIN:
            raise EwsViolation("ErrorInvalidItemForOperationCreateItem", f"{item.element} cannot be made.")
        draft = saving.blank()
        draft.create(item)
        if item.element != "Item":
            _need_disposition(request)
        return await _finish(call, draft, request.disposition or "SaveOnly", saved, item.element)

    return responses.response("CreateItem", await call.each(_MESSAGE, request.items, one, empty=_EMPTY))


def _need_disposition(request: CreateItem) -> None:
    if not request.disposition:
        raise EwsViolation("ErrorMessageDispositionRequired", "MessageDisposition is missing.")


async def _respond(call: Call, item: NewItem, request: CreateItem, saved: FolderPlace | None) -> str:
    """A reply, a forward, a suppressed receipt."""
    if item.element == "ForwardItem":
        sent = await meeting_forwarding.forward(call, item, request)
        if sent is not None:
            return sent
    draft, after = await answering.respond(call, item)
    if draft is None:
        return _EMPTY
    _need_disposition(request)
    answer = await _finish(call, draft, request.disposition, saved, item.element)
    if after is not None and request.disposition != "SaveOnly":
        await after()
    return answer


async def _finish(call: Call, draft: Draft, disposition: str, saved: FolderPlace | None, element: str) -> str:
    if disposition == "SaveOnly":
        place = saved or await sending.saved_to(call, None, SpecialUse.DRAFTS)
        if draft.mime is None:
            await author(call, draft)
        content = saving.rendered(call, draft)
        uid = await saving.add(place.box, place.folder, content, draft)
        shown = "Message" if element in RESPONSES or element == "Item" else element
        return identities.items_of(await identities.identity(place.box, place.folder, uid), shown)
    await author(call, draft)
    content = call.services.submission.complete(saving.rendered(call, draft))
    place_of_copy = None
    if disposition == "SendAndSaveCopy":
        place_of_copy = saved or await sending.saved_to(call, None, SpecialUse.SENT)
    await sending.send(call, content)
    if place_of_copy is not None:
        draft.flags |= Flag.SEEN
        try:
            await saving.add(place_of_copy.box, place_of_copy.folder, content, draft, drop=int(Flag.DRAFT))
        except Refusal as refusal:
            # it is sent: an error would have the client send it again
            call.services.log.warning("ews.copy_not_saved", user=call.principal.address, reason=refusal.reason.value)
            said = "The message was sent; there is no copy of it."
            return responses.warning(_MESSAGE, "ErrorItemSave", said, _EMPTY)
    return _EMPTY


async def author(call: Call, draft: Draft) -> None:
    """Who writes, where the message does not say it; with another in From, Sender is left to the mail flow."""
    if draft.document.get(b"from") is None:
        owner = (await call.box()).owner
        draft.field("From", compose.mailbox(Mailbox(owner.name, call.principal.address)))
    for name in ("Disposition-Notification-To", "Return-Receipt-To"):
        if draft.document.get(name.lower().encode()) == b"<>":
            draft.field(name, draft.document.get(b"from"))
