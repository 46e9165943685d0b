"""ExportItems and UploadItems (MS-OXWSBTRF 3.1.4): messages with all that is kept beside their MIME."""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec

from postern.frontends.ews import places
from postern.frontends.ews.call import Call
from postern.frontends.ews.identities import identity
from postern.model import properties
from postern.model.items import FIRST_KEYWORD_BIT, Columns, Flag, ItemClass
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import responses
from postern.protocols.ews.bulk_requests import Upload
from postern.protocols.ews.places import ItemRef
from postern.protocols.ews.violation import EwsViolation

_FORM = "postern-item-1"
_SYSTEM = int(Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED | Flag.DELETED | Flag.DRAFT)
_MAX_KEYWORDS = 55
_MAX_PROPERTIES = 500
_LAST = 1 << 33
_ATOM = re.compile(r"[!#$&'+,./0-9:;<=>?@A-Z\[^_`a-z|}~-]{1,200}").fullmatch
"""IMAP's, without what ends lines or lists."""
_SCALARS = (str, int, float, bool, bytes)


class Parcel(msgspec.Struct, frozen=True, array_like=True):
    """An item on its way; msgpack."""

    form: str
    content: bytes
    flags: int
    keywords: tuple[str, ...]
    received_at: int
    properties: dict[str, Any]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Parcel).decode


async def export_items(call: Call, request: tuple[ItemRef, ...]) -> str:
    """ExportItems."""

    async def one(ref: ItemRef) -> str:
        place = await places.item(call, ref)
        box = place.box
        columns = Columns.UID | Columns.FLAGS | Columns.RECEIVED_AT | Columns.CLASS | Columns.PROPERTIES
        rows = await box.rows(place.folder, columns, [place.uid])
        if not rows:
            raise EwsViolation("ErrorItemNotFound", "There is no such item.")
        _, flags, received_at, item_class, beside = rows[0]
        if item_class != ItemClass.MESSAGE:
            raise EwsViolation("ErrorInvalidRequest", "Only messages are exported.")
        words = tuple(
            word for bit, word in (await box.keywords()).items() if bit >= FIRST_KEYWORD_BIT and flags >> bit & 1
        )
        content = await box.access.read(place.folder, place.uid)
        parcel = Parcel(
            _FORM, content, flags & _SYSTEM, words, received_at, dict(properties.unpack(beside)) if beside else {}
        )
        data = base64.b64encode(_encode(parcel)).decode()
        return f'<m:ItemId Id="{ref.id}"/><m:Data>{data}</m:Data>'

    return responses.response("ExportItems", await call.each("ExportItemsResponseMessage", request, one))


async def upload_items(call: Call, request: tuple[Upload, ...]) -> str:
    """UploadItems."""

    async def one(asked: Upload) -> str:
        if asked.associated:
            raise EwsViolation("ErrorInvalidRequest", "Associated items cannot be uploaded.")
        parcel = _open(asked.data)
        place = await places.stored(call, asked.folder)
        if (asked.item is None) != (asked.action == "CreateNew"):
            raise EwsViolation("ErrorInvalidIdMalformed", "ItemId goes with Update and UpdateOrCreate.")
        if asked.item is not None:
            try:
                there = await places.item(call, asked.item)
            except Refusal as refusal:
                if asked.action == "Update" or refusal.reason is not Reason.NO_SUCH_ITEM:
                    raise
            else:
                if there.folder != place.folder or there.box.id != place.box.id:
                    raise EwsViolation("ErrorInvalidIdMalformed", "The item is in another folder.")
                await there.box.items.replace_message(there.item, parcel.content)
                there.box.wrote(folders=True)
                return f'<m:ItemId Id="{asked.item.id}"/>'
        placed = await place.box.items.create_message(
            place.folder,
            parcel.content,
            parcel.flags & _SYSTEM,
            parcel.keywords,
            parcel.received_at,
            parcel.properties,
        )
        place.box.wrote(folders=True)
        place.box.forget_keywords()
        told = await identity(place.box, place.folder, placed.uid)
        return told.replace("<t:", "<m:")

    return responses.response("UploadItems", await call.each("UploadItemsResponseMessage", request, one))


def _open(data: bytes) -> Parcel:
    """What ExportItems gave; it may have been altered on its way. Raises EwsViolation(ErrorInvalidRequest)."""
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
        or len(parcel.properties) > _MAX_PROPERTIES
        or not all(_plain(value) for value in parcel.properties.values())
    ):
        raise EwsViolation("ErrorInvalidRequest", "The data is nothing that this server has exported.")
    return parcel


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, _SCALARS) for one in value)
    return isinstance(value, _SCALARS)
