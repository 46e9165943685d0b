"""Attachments of items without MIME (MS-OXWSATT 3.1.4): by the number that the store gives them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

from postern.convert.appointments import EXCEPTION_DAY
from postern.formats.mime.anatomy import anatomy
from postern.formats.mime.scan import scan
from postern.frontends.ews import enclosing, slices, thing_making, thing_values
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import ItemPlace
from postern.model import properties
from postern.model.items import Attachment, Flag
from postern.protocols.ews import contact_fields, ids, responses
from postern.protocols.ews.attachment_requests import CreateAttachment
from postern.protocols.ews.attachment_xml import kept_xml
from postern.protocols.ews.ids import AttachmentKey, ItemKey
from postern.protocols.ews.message_facts import Kept, MessageFacts
from postern.protocols.ews.message_xml import MessageWriter
from postern.protocols.ews.violation import EwsViolation
from postern.services.item_access import Stream
from postern.services.mailboxes import ItemUpdate


async def get(call: Call, place: ItemPlace, facts: MessageFacts, key: AttachmentKey, writer: MessageWriter) -> str:
    """One attachment with its content. Raises EwsViolation, Refusal."""
    held = {str(one.id): one for one in await place.box.items.attachments(place.folder, place.uid)}
    found = held.get(key.section)
    private = facts.calendar is None and not facts.kept
    if found is None or private:
        raise EwsViolation("ErrorItemNotFound", "There is no such attachment.")
    (kept,) = thing_values.kept([found], place.box.id, place.folder, place.item) or (_of_exception(found, key),)
    content = await place.box.access.read_body(found.blob)
    if kept.enclosed:
        inner = enclosing.xml(_enclosed(content, facts), writer)
    else:
        encoded = await slices.sized(len(content), lambda: base64.b64encode(content).decode("ascii"))
        inner = f"<t:Content>{encoded}</t:Content>"
    return f"<m:Attachments>{kept_xml(facts, kept, call.version, inner)}</m:Attachments>"


def _of_exception(found: Attachment, key: AttachmentKey) -> Kept:
    values = properties.unpack(found.properties)
    return Kept(
        ids.attachment_id(key), str(values.get(thing_values.NAME) or ""), str(values.get(thing_values.TYPE) or "")
    )


def _enclosed(content: bytes, facts: MessageFacts) -> MessageFacts:
    """A message that is attached."""
    found = scan(content)
    return MessageFacts(
        id="",
        change_key="",
        parent_id="",
        parent_change_key="",
        flags=Flag.SEEN,
        received_at=found.sent_at if found.sent_at is not None else facts.received_at,
        saved_at=facts.saved_at,
        size=len(content),
        sent_at=found.sent_at,
        subject=found.subject,
        header=content[: found.header_end],
        rights=facts.rights,
        content=content,
        anatomy=anatomy(content, found.parts),
        conversation_prefix=facts.conversation_prefix,
        conversation=found.conversation,
    )


async def create(call: Call, place: ItemPlace, request: CreateAttachment) -> str:
    """CreateAttachment for such an item. Raises EwsViolation, Refusal."""
    made: list[Stream | EwsViolation] = []
    for one in request.attachments:
        try:
            (stream,) = thing_making.streams(call, [one])
        except EwsViolation as violation:
            made.append(violation)
            continue
        if place.day is not None:
            stream = stream._replace(properties={**stream.properties, EXCEPTION_DAY: place.day.toordinal()})
        made.append(stream)
    good = [one for one in made if isinstance(one, Stream)]
    set_ = {contact_fields.PHOTO: True} if any(thing_values.PHOTO in one.properties for one in good) else {}
    change: int = 0
    numbers: Iterator[int] = iter(())
    if good:
        done = await place.box.items.update(place.folder, place.uid, ItemUpdate(set_), None, good)
        place.box.wrote(folders=True)
        change, numbers = done.change_key, iter(done.attachments)
    key = ItemKey(place.box.id, place.folder, place.item, place.day.toordinal() if place.day is not None else 0)

    async def one_of(number: int) -> str:
        stream = made[number]
        if isinstance(stream, EwsViolation):
            raise stream
        attachment = ids.attachment_id(AttachmentKey(key.mailbox, key.folder, key.item, str(next(numbers))))
        kind = request.attachments[number].element
        root = f' RootItemId="{ids.item_id(key)}" RootItemChangeKey="{ids.item_change(change)}"'
        return f'<m:Attachments><t:{kind}><t:AttachmentId Id="{attachment}"{root}/></t:{kind}></m:Attachments>'

    answer = await call.each("CreateAttachmentResponseMessage", range(len(made)), one_of, empty="<m:Attachments/>")
    return responses.response("CreateAttachment", answer)


async def remove(place: ItemPlace, sections: Sequence[str]) -> tuple[set[str], str]:
    """Those that were there, and RootItemId. Raises Refusal."""
    held = {str(one.id): one for one in await place.box.items.attachments(place.folder, place.uid)}
    gone = [one for one in sections if one in held]
    if not gone:
        return set(), ""
    photo = any(properties.unpack(held[one].properties).get(thing_values.PHOTO) for one in gone)
    update = ItemUpdate(delete=(contact_fields.PHOTO,) if photo else (), detach=tuple(held[one].id for one in gone))
    done = await place.box.items.update(place.folder, place.uid, update)
    place.box.wrote(folders=True)
    key = ids.item_id(ItemKey(place.box.id, place.folder, place.item))
    change = ids.item_change(done.change_key)
    return set(gone), f'<m:RootItemId RootItemId="{key}" RootItemChangeKey="{change}"/>'
