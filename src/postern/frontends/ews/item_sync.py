"""SyncFolderItems (MS-OXWSSYNC 3.1.4.2): the store's runs, packed into the state that the client brings back."""

from __future__ import annotations

import base64
import binascii
import struct

from postern.frontends.ews import places, slices, thing_mime
from postern.frontends.ews.call import Call
from postern.frontends.ews.item_reading import wanted
from postern.frontends.ews.loading import Loader
from postern.model.ids import FolderId, MailboxId
from postern.model.items import Flag
from postern.model.sync import START, ChangeKind, ItemDelta, Phase, SyncPoint
from postern.protocols.ews import ids, responses
from postern.protocols.ews.find_requests import SyncFolderItems
from postern.protocols.ews.ids import ItemIds
from postern.protocols.ews.message_xml import BOOL, THINGS
from postern.protocols.ews.places import AnyFolder
from postern.protocols.ews.versions import Version
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.ews.writers import writer_of

_FORM = 1
_NONE = "<m:SyncState/><m:IncludesLastItemInRange>true</m:IncludesLastItemInRange>"
"""Of an error: exchangelib reads both before it looks at the code."""
_STATE = struct.Struct(">B16sQQQQQQBQQ")


def pack(mailbox: MailboxId, folder: FolderId, point: SyncPoint) -> str:
    """As text."""
    raw = _STATE.pack(
        _FORM,
        bytes.fromhex(mailbox),
        folder,
        point.incarnation,
        point.change,
        point.item,
        point.upto_change,
        point.upto_item,
        point.phase,
        point.first,
        point.second,
    )
    return base64.b64encode(raw).decode()


def unpack(text: str, mailbox: MailboxId, folder: FolderId) -> SyncPoint:
    """Raises EwsViolation(ErrorInvalidSyncStateData)."""
    try:
        form, box, where, *rest = _STATE.unpack(base64.b64decode(text, validate=True))
        if form != _FORM or box.hex() != mailbox or where != folder:
            raise ValueError
        incarnation, change, item, upto_change, upto_item, phase, first, second = rest
        return SyncPoint(incarnation, change, item, upto_change, upto_item, Phase(phase), first, second)
    except (ValueError, binascii.Error, struct.error):
        raise _stale() from None


def _stale() -> EwsViolation:
    return EwsViolation("ErrorInvalidSyncStateData", "The state is not valid here any more. Begin without one.")


async def sync_folder_items(call: Call, request: SyncFolderItems) -> str:
    """SyncFolderItems."""
    writer = writer_of(request.shape, call.version, listing=True)
    read_flags = call.version >= Version.EXCHANGE_2007_SP1

    async def one(ref: AnyFolder) -> str:
        place = await places.stored(call, ref, "ErrorSyncFolderNotFound")
        box = place.box
        point = unpack(request.state, box.id, place.folder) if request.state else START
        page = await box.items.changes(place.folder, point, request.limit)
        if not page.complete:
            raise _stale()
        full = [
            delta.uid
            for delta in page.changes
            if delta.kind in (ChangeKind.CREATED, ChangeKind.UPDATED)
            or (delta.kind is ChangeKind.READ_CHANGED and not read_flags)
        ]
        found = {}
        if full:
            loader = await Loader.open(box, place.folder, wanted(writer))
            found = await loader.by_uid(full)
            for facts in found.values() if writer.mime else ():
                if facts.element in THINGS:
                    facts.content = thing_mime.of(facts)
        item_ids = ItemIds(box.id, place.folder)

        def told(delta: ItemDelta) -> str:
            id_ = item_ids.of(delta.item)
            if id_ in request.ignore:
                return ""
            if delta.kind is ChangeKind.DELETED:
                return f'<t:Delete><t:ItemId Id="{id_}"/></t:Delete>'
            if delta.kind is ChangeKind.READ_CHANGED and read_flags:
                item = f'<t:ItemId Id="{id_}" ChangeKey="{ids.item_change(delta.change_key)}"/>'
                seen = BOOL[bool(delta.flags & Flag.SEEN)]
                return f"<t:ReadFlagChange>{item}<t:IsRead>{seen}</t:IsRead></t:ReadFlagChange>"
            facts = found.get(delta.uid)
            if facts is None:  # gone since: the next page tells
                return ""
            kind = "Create" if delta.kind is ChangeKind.CREATED else "Update"
            return f"<t:{kind}>{writer.write(facts)}</t:{kind}>"

        changes = await slices.each(page.changes, told)
        return (
            f"<m:SyncState>{pack(box.id, place.folder, page.point)}</m:SyncState>"
            f"<m:IncludesLastItemInRange>{BOOL[not page.more]}</m:IncludesLastItemInRange>"
            f"<m:Changes>{''.join(changes)}</m:Changes>"
        )

    message = "SyncFolderItemsResponseMessage"
    return responses.response("SyncFolderItems", await call.each(message, [request.folder], one, empty=_NONE))
