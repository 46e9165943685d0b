"""Items on their way out of a mailbox and into one: all that is kept of them, in a form of this server's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from postern.convert.appointments import from_properties, span_of
from postern.frontends.ews import calendar_making, thing_making
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import FolderPlace, ItemPlace
from postern.model import properties
from postern.model.ids import Uid
from postern.model.items import FIRST_KEYWORD_BIT, Columns, Flag, ItemClass
from postern.protocols.ews.violation import EwsViolation
from postern.services.item_access import NewThing, Stream, render
from postern.services.mailboxes import ItemUpdate

_FORM = "postern-item-1"
_SYSTEM = int(Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED | Flag.DELETED | Flag.DRAFT)
_MAX_KEYWORDS = 55
_MAX_PROPERTIES = 500
_MAX_ATTACHMENTS = 1000
_MAX_DEPTH = 5
_LAST = 1 << 33
_ATOM = re.compile(r"[!#$&'+,./0-9:;<=>?@A-Z\[^_`a-z|}~-]{1,200}").fullmatch
"""IMAP's, without what ends lines or lists."""
_SCALARS = (str, int, float, bool, bytes, datetime, type(None))


class Parcel(msgspec.Struct, frozen=True, array_like=True):
    """An item on its way; msgpack."""

    form: str
    content: bytes
    """Of a message."""
    flags: int
    keywords: tuple[str, ...]
    received_at: int
    properties: dict[str, Any]
    item_class: int = int(ItemClass.MESSAGE)
    attachments: tuple[tuple[dict[str, Any], bytes], ...] = ()
    """Of what is no message: properties and content."""


pack = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Parcel).decode


async def of(place: ItemPlace) -> Parcel:
    """An item, packed. Raises EwsViolation, Refusal."""
    box = place.box
    columns = Columns.UID | Columns.FLAGS | Columns.RECEIVED_AT | Columns.CLASS | Columns.PROPERTIES
    rows = await box.rows(place.folder, columns, [place.uid])
    if not rows:
        raise EwsViolation("ErrorItemNotFound", "There is no such item.")
    _, flags, received_at, item_class, beside = rows[0]
    words = tuple(word for bit, word in (await box.keywords()).items() if bit >= FIRST_KEYWORD_BIT and flags >> bit & 1)
    content, attached = b"", []
    if item_class == ItemClass.MESSAGE:
        content = await box.access.read(place.folder, place.uid)
    elif ItemClass(item_class) in thing_making.ELEMENTS:
        for one in await box.items.attachments(place.folder, place.uid):
            attached.append((properties.unpack(one.properties), await box.access.read_body(one.blob)))
    else:
        raise EwsViolation("ErrorInvalidRequest", "Items of that class are not exported.")
    stored = properties.unpack(beside) if beside else {}
    return Parcel(_FORM, content, flags & _SYSTEM, words, received_at, stored, item_class, tuple(attached))


def unpack(data: bytes) -> Parcel:
    """What `of` gave; it may have been altered on its way. Raises EwsViolation(ErrorInvalidRequest)."""
    try:
        parcel = _decode(data)
    except msgspec.MsgspecError:
        parcel = None
    if (
        parcel is None
        or parcel.form != _FORM
        or not 0 <= parcel.received_at < _LAST
        or len(parcel.keywords) > _MAX_KEYWORDS
        or not all(_ATOM(word) for word in parcel.keywords)
        or len(parcel.attachments) > _MAX_ATTACHMENTS
        or not all(_plain(one) for one in (parcel.properties, *(values for values, _ in parcel.attachments)))
        or (parcel.item_class != ItemClass.MESSAGE and parcel.item_class not in thing_making.ELEMENTS)
    ):
        raise EwsViolation("ErrorInvalidRequest", "The data is nothing that this server has exported.")
    return parcel


def _plain(values: Mapping[str, Any]) -> bool:
    return len(values) <= _MAX_PROPERTIES and all(_value(one, 0) for one in values.values())


def _value(one: object, depth: int) -> bool:
    if isinstance(one, list):
        return depth < _MAX_DEPTH and all(_value(each, depth + 1) for each in one)
    return isinstance(one, _SCALARS)


async def put(call: Call, place: FolderPlace, parcel: Parcel) -> Uid:
    """Into a folder, as a new item; its UID. Raises EwsViolation, Refusal."""
    items, flags = place.box.items, parcel.flags & _SYSTEM
    if parcel.item_class == ItemClass.MESSAGE:
        placed = await items.create_message(
            place.folder, parcel.content, flags, parcel.keywords, parcel.received_at, parcel.properties
        )
    else:
        new = NewThing(
            ItemClass(parcel.item_class),
            str(parcel.properties.get("PidTagSubject") or ""),
            parcel.properties,
            flags,
            parcel.keywords,
            span=(await _covering(call, place, parcel)).span,
            attachments=_streams(parcel),
        )
        placed = await items.create(place.folder, new)
    place.box.wrote(folders=True)
    place.box.forget_keywords()
    return placed.uid


async def replace(call: Call, place: ItemPlace, parcel: Parcel) -> None:
    """In the place of an item of the same kind. Raises EwsViolation, Refusal."""
    kind = await thing_making.class_of(place)
    if kind != parcel.item_class:
        raise EwsViolation("ErrorObjectTypeChanged", "The item is of another kind than the one that was exported.")
    items = place.box.items
    if kind is ItemClass.MESSAGE:
        await items.replace_message(place.item, parcel.content)
    else:
        before = (await thing_making.draft_of(place, thing_making.ELEMENTS[kind])).before
        held = await items.attachments(place.folder, place.uid)
        update = (await _covering(call, place, parcel))._replace(
            set=parcel.properties,
            delete=tuple(key for key in before if key not in parcel.properties),
            rendering=render(str(parcel.properties.get("PidTagSubject") or ""), None),
            detach=tuple(one.id for one in held),
        )
        await items.update(place.folder, place.uid, update, None, _streams(parcel))
    place.box.wrote(folders=True)


def _streams(parcel: Parcel) -> list[Stream]:
    return [Stream(content, values) for values, content in parcel.attachments]


async def _covering(call: Call, place: FolderPlace | ItemPlace, parcel: Parcel) -> ItemUpdate:
    """What a calendar item covers. Raises EwsViolation for what no calendar can hold."""
    if parcel.item_class != ItemClass.APPOINTMENT:
        return ItemUpdate()
    item = from_properties(parcel.properties)
    zone = (await call.agenda(place.box)).zone
    calendar_making.checked(item)
    return ItemUpdate(span=span_of(item, zone))
