"""ExportItems and UploadItems (MS-OXWSBTRF 3.1.4)."""

from __future__ import annotations

import base64

from postern.frontends.ews import parcels, places
from postern.frontends.ews.call import Call
from postern.frontends.ews.identities import identity
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import ids, responses
from postern.protocols.ews.bulk_requests import Upload
from postern.protocols.ews.places import ItemRef
from postern.protocols.ews.violation import EwsViolation


async def export_items(call: Call, request: tuple[ItemRef, ...]) -> str:
    """ExportItems."""

    async def one(ref: ItemRef) -> str:
        if ref.change_key:
            ids.read_change(ref.change_key)
        parcel = await parcels.of(await places.item(call, ref))
        data = base64.b64encode(parcels.pack(parcel)).decode()
        return f'<m:ItemId Id="{ref.id}"/><m:Data>{data}</m:Data>'

    return responses.response("ExportItems", await call.each("ExportItemsResponseMessage", request, one))


async def upload_items(call: Call, request: tuple[Upload, ...]) -> str:
    """UploadItems."""

    async def one(asked: Upload) -> str:
        if asked.associated:
            raise EwsViolation("ErrorInvalidRequest", "Associated items cannot be uploaded.")
        parcel = parcels.unpack(asked.data)
        place = await places.stored(call, asked.folder)
        if (asked.item is None) != (asked.action == "CreateNew"):
            raise EwsViolation("ErrorInvalidIdMalformed", "ItemId goes with Update and UpdateOrCreate.")
        if asked.item is not None:
            if asked.item.change_key:
                ids.read_change(asked.item.change_key)
            try:
                there = await places.item(call, asked.item)
            except Refusal as refusal:
                if asked.action == "Update" or refusal.reason is not Reason.NO_SUCH_ITEM:
                    raise
            else:
                # where it is in another folder, UpdateOrCreate makes a new one (MS-OXWSBTRF 2.2.5.1)
                if there.folder == place.folder and there.box.id == place.box.id:
                    await parcels.replace(call, there, parcel)
                    return f'<m:ItemId Id="{asked.item.id}"/>'
                if asked.action == "Update":
                    raise EwsViolation("ErrorItemNotFound", "The item is in another folder.")
        uid = await parcels.put(call, place, parcel)
        told = await identity(place.box, place.folder, uid)
        return told.replace("<t:", "<m:")

    return responses.response("UploadItems", await call.each("UploadItemsResponseMessage", request, one))
