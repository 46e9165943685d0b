"""Contacts, tasks and calendar items that are attached to something (MS-OXWSATT 2.2.4.6 ItemAttachmentType).

Each is a message of its own: a text that any program shows, for a calendar item an iCalendar file beside it, and its
properties in a part that this server reads again. What is in that part may come from anywhere: what makes no item is
shown as the message that it lies in.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from postern.convert.appointments import from_properties, to_properties
from postern.convert.ical.writing import write_calendar
from postern.formats.global_object_id import new_uid
from postern.formats.mime import compose
from postern.formats.mime.anatomy import Part
from postern.frontends.ews import calendar_reading, thing_values
from postern.frontends.ews.call import Call
from postern.frontends.ews.thing_settling import settled
from postern.model.calendar.zones import UTC_ZONE
from postern.model.ids import FolderId, MailboxId
from postern.model.properties import MAX_PROPERTIES_BYTES, MESSAGE_CLASS
from postern.protocols.ews.attachment_requests import NewAttachment
from postern.protocols.ews.item_requests import NewItem
from postern.protocols.ews.meeting_xml import element_of
from postern.protocols.ews.message_facts import MessageFacts, body_of
from postern.protocols.ews.message_xml import MessageWriter
from postern.protocols.ews.thing_drafting import ThingDraft

ELEMENTS = frozenset({"CalendarItem", "Contact", "Task"})
ITEM_TYPE = "application/x-postern-item"
CLASS_FIELD = "X-Postern-Class"
"""Of an attached message that is a post: what its class is."""
_CALENDAR_FILE = "item.ics"
_PLAIN = (str, int, float, bool, bytes, datetime)
_MAX_DEPTH = 4
_UNREADABLE = (TypeError, ValueError, AttributeError, LookupError, OverflowError, ArithmeticError)
"""What properties that nobody here has written lead to."""


class _Parcel(msgspec.Struct, array_like=True):
    element: str
    properties: dict[str, Any]


_decode = msgspec.msgpack.Decoder(_Parcel).decode
_encode = msgspec.msgpack.Encoder().encode


def written(call: Call, item: NewItem, nested: Callable[[NewAttachment], bytes]) -> bytes:
    """The message of an item that is to be attached. `nested` makes entities of its own attachments.

    Raises EwsViolation.
    """
    draft = ThingDraft(item.element)
    draft.create(item)
    settled(call, draft, call.principal.address)
    values = draft.properties
    entities: list[bytes] = []
    if item.element == "CalendarItem":
        now = call.services.clock.now()
        base = msgspec.structs.replace(from_properties(draft.set), start=now, end=now, uid="")
        made = calendar_reading.applied(draft, base, call.zone or UTC_ZONE, new=True)
        if not made.uid:  # RFC 5545 3.8.4.7: whoever opens the file tells events by it
            made = msgspec.structs.replace(made, uid=new_uid(now, call.services.entropy.token(16)))
        values = {**draft.set, **to_properties(made)}
        calendar = write_calendar([made], method="PUBLISH")
        entities.append(compose.file_entity(calendar, _CALENDAR_FILE, "text/calendar"))
    subject = str(values.get("PidTagSubject") or "")
    parcel = _encode(_Parcel(item.element, values))
    entities.append(compose.file_entity(parcel, "item", ITEM_TYPE))
    entities += [nested(one) for one in draft.attachments]
    text = str(values.get("PidTagBody") or "") or subject
    fields = [compose.field("Subject", compose.unstructured(subject))]
    return compose.assemble(fields, compose.text_entity(text, "plain"), entities, call.services.entropy)


def opened(facts: MessageFacts) -> MessageFacts | None:
    """Of an attached message: the item that it is; None if it is only a message."""
    parts = facts.anatomy.attachments if facts.anatomy is not None else ()
    found = next((one for one in parts if one.content_type == ITEM_TYPE), None)
    if found is None or found.size_estimate > MAX_PROPERTIES_BYTES:
        return None
    try:
        parcel = _decode(found.decoded(facts.content))
    except msgspec.MsgspecError:
        return None
    if parcel.element not in ELEMENTS or not all(_is_plain(one) for one in parcel.properties.values()):
        return None
    made = msgspec.structs.replace(facts, element=parcel.element, properties=parcel.properties)
    made.subject = str(parcel.properties.get("PidTagSubject") or facts.subject)
    assert made.anatomy is not None
    shown = tuple(one for one in made.anatomy.attachments if not _is_ours(one, parcel.element))
    made.anatomy = msgspec.structs.replace(made.anatomy, attachments=shown)
    made.has_attachments = made.anatomy.has_attachments
    named = parcel.properties.get("PidNameKeywords")
    made.categories = tuple(str(one) for one in named) if isinstance(named, list) else ()
    if parcel.element == "CalendarItem":
        try:
            thing_values.with_calendar(made, MailboxId("0" * 32), FolderId(0), 0, private=True)
            item = made.calendar.item
            msgspec.convert(msgspec.to_builtins(item), type(item))
        except (*_UNREADABLE, msgspec.MsgspecError):
            return None
        own = {key: value for key, value in parcel.properties.items() if "/" in key or ":" in key}
        made.properties = {**own, **to_properties(item)}
    return made


def xml(facts: MessageFacts, writer: MessageWriter) -> str:
    """An attached item, or the message that it lies in."""
    if element_of(facts.text(CLASS_FIELD.lower().encode())) == "PostItem":
        facts.element = "PostItem"
        facts.properties = {MESSAGE_CLASS: facts.text(CLASS_FIELD.lower().encode())}
        return writer.write(facts)
    made = opened(facts)
    if made is not None:
        try:
            body_of(made, "Best")
            return writer.write(made)
        except _UNREADABLE:
            pass  # somebody else's properties under our name
    return writer.write(facts)


def _is_ours(part: Part, element: str) -> bool:
    return part.content_type == ITEM_TYPE or (element == "CalendarItem" and part.name == _CALENDAR_FILE)


def _is_plain(value: object, depth: int = 0) -> bool:
    if isinstance(value, list | dict):
        if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
            return False
        inside = value.values() if isinstance(value, dict) else value
        return depth < _MAX_DEPTH and all(_is_plain(one, depth + 1) for one in inside)
    return value is None or isinstance(value, _PLAIN)


__all__ = ["CLASS_FIELD", "ELEMENTS", "ITEM_TYPE", "opened", "written", "xml"]
