"""CreateItem for messages, and the responses that are made from messages (MS-OXWSCORE 3.1.4.2, MS-OXWSMSG 3.1.4.1)."""

from __future__ import annotations

import hashlib

from postern.frontends.ews import (
    answering,
    calendar_making,
    identities,
    meeting_forwarding,
    places,
    post_making,
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
        if item.element == "PostItem":
            return await post_making.create(call, item, saved)
        if item.element == "PostReplyItem":
            return await post_making.reply(call, item, saved)
        return await _composed(call, item, request, saved)

    return responses.response("CreateItem", await call.each(_MESSAGE, request.items, one, empty=_EMPTY))


async def _composed(call: Call, item: NewItem, request: CreateItem, saved: FolderPlace | None) -> str:
    """Mail: a new one, a reply, a forward, a suppressed receipt."""
    if item.element == "ForwardItem":
        forwarded = await meeting_forwarding.forward(call, item, request)
        if forwarded is not None:
            return forwarded
    draft, after = await _drafted(call, item)
    if draft is None:
        return _EMPTY
    if not request.disposition and item.element != "Item":
        raise EwsViolation("ErrorMessageDispositionRequired", "MessageDisposition is missing.")
    answer = await _finish(call, draft, request.disposition or "SaveOnly", saved, item.element)
    if after is not None and request.disposition != "SaveOnly":
        await after()
    return answer


async def _drafted(call: Call, item: NewItem) -> tuple[Draft | None, answering.After | None]:
    """The message of an item, and what is to be done when it was sent; no message: all is done. Raises EwsViolation."""
    if item.element in RESPONSES:
        return await answering.respond(call, item)
    if item.element not in PLAIN:
        raise EwsViolation("ErrorInvalidItemForOperationCreateItem", f"{item.element} cannot be made.")
    draft = saving.blank()
    draft.create(item)
    return draft, None


async def _finish(call: Call, draft: Draft, disposition: str, saved: FolderPlace | None, element: str) -> str:
    if disposition == "SaveOnly":
        place = saved or await sending.saved_to(call, None, SpecialUse.DRAFTS)
        if draft.mime is None:
            await sending.author(call, draft)
        content = saving.rendered(call, draft)
        uid = await saving.add(place.box, place.folder, content, draft)
        shown = "Message" if element in RESPONSES or element == "Item" else element
        return identities.items_of(await identities.identity(place.box, place.folder, uid), shown)
    await sending.author(call, draft)
    rendered = saving.rendered(call, draft)
    content = call.services.submission.complete(rendered)
    key = None
    if draft.mime is not None and content == draft.mime:
        # the client has named the message itself: the same octets again are the same message
        key = call.services.submission.key((await call.box()).id, "", hashlib.sha256(content).hexdigest())
    place_of_copy = None
    if disposition == "SendAndSaveCopy":
        place_of_copy = saved or await sending.saved_to(call, None, SpecialUse.SENT)
    await sending.send(call, content, key)
    if place_of_copy is not None and not (key is not None and await sending.is_kept(place_of_copy, content)):
        draft.flags |= Flag.SEEN
        try:
            await saving.add(place_of_copy.box, place_of_copy.folder, content, draft, drop=int(Flag.DRAFT))
        except Refusal as refusal:
            # it is sent: an error would have the client send it again
            call.services.log.warning("ews.copy_not_saved", user=call.principal.address, reason=refusal.reason.value)
            said = "The message was sent; there is no copy of it."
            return responses.warning(_MESSAGE, "ErrorItemSave", said, _EMPTY)
    return _EMPTY
