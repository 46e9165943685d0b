"""Posts (MS-OXWSPOST): notes to whoever reads a folder; mail that nobody sends."""

from __future__ import annotations

from postern.frontends.ews import answering, identities, places, saving, sending
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import FolderPlace
from postern.model.items import Flag, SpecialUse
from postern.model.properties import MESSAGE_CLASS
from postern.protocols.ews.drafting import Draft
from postern.protocols.ews.item_requests import NewItem
from postern.protocols.ews.places import ItemRef
from postern.protocols.ews.reading import attribute, text
from postern.protocols.ews.violation import EwsViolation

POST = "IPM.Post"


async def create(call: Call, item: NewItem, saved: FolderPlace | None) -> str:
    """A new post; durable with the answer. Raises EwsViolation, Refusal."""
    kind = item.first("ItemClass")
    named = POST if kind is None else text(kind).strip()
    if named.lower() != POST.lower() and not named.lower().startswith(f"{POST.lower()}."):
        raise EwsViolation("ErrorObjectTypeChanged", f"The class of a post is {POST}.")
    draft = saving.blank()
    draft.create(item)
    return await _save(call, draft, saved or await sending.saved_to(call, None, SpecialUse.INBOX), named)


async def reply(call: Call, item: NewItem, saved: FolderPlace | None) -> str:
    """PostReplyItem: a post that answers another, in its folder. Raises EwsViolation, Refusal."""
    draft, _ = await answering.respond(call, item)
    assert draft is not None
    if saved is None:
        reference = item.first("ReferenceItemId")
        assert reference is not None
        place = await places.item(call, ItemRef(attribute(reference, "Id")))
        saved = FolderPlace(place.box, place.folder)
    return await _save(call, draft, saved, POST)


async def _save(call: Call, draft: Draft, place: FolderPlace, kind: str) -> str:
    draft.properties[MESSAGE_CLASS] = kind
    if draft.mime is None:
        await sending.author(call, draft)
    content = call.services.submission.complete(saving.rendered(call, draft))
    uid = await saving.add(place.box, place.folder, content, draft, drop=int(Flag.DRAFT))
    return identities.items_of(await identities.identity(place.box, place.folder, uid), "PostItem")
