"""SyncFolderItems (MS-OXWSSYNC 3.1.4.2): the store's runs, packed into the state that the client brings back."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence

from postern.frontends.ews import change_writing, places, search_folders, search_sync, slices
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.frontends.ews.item_reading import wanted
from postern.frontends.ews.loading import Loader
from postern.model.ids import FolderId, MailboxId
from postern.model.sync import START, ChangeKind, ItemDelta, Phase, SyncPoint
from postern.protocols.ews import responses
from postern.protocols.ews.find_requests import SyncFolderItems
from postern.protocols.ews.ids import ItemIds
from postern.protocols.ews.message_xml import MessageWriter
from postern.protocols.ews.places import AnyFolder
from postern.protocols.ews.values import BOOL
from postern.protocols.ews.versions import Version
from postern.protocols.ews.writers import writer_of

_NONE = "<m:SyncState/><m:IncludesLastItemInRange>true</m:IncludesLastItemInRange>"
"""Of an error: exchangelib reads both before it looks at the code."""
_HEAD = struct.Struct(">B16sQ")
"""How many points follow (the folder's, its associated items'), mailbox, folder."""
_POINT = struct.Struct(">QQQQQBQQ")


def pack(mailbox: MailboxId, folder: FolderId, points: Sequence[SyncPoint]) -> str:
    """As text."""
    raw = _HEAD.pack(len(points), bytes.fromhex(mailbox), folder) + b"".join(_POINT.pack(*one) for one in points)
    return base64.b64encode(raw).decode()


def unpack(text: str, mailbox: MailboxId, folder: FolderId) -> list[SyncPoint]:
    """One or two. Raises EwsViolation(ErrorInvalidSyncStateData)."""
    try:
        raw = base64.b64decode(text, validate=True)
        count, box, where = _HEAD.unpack_from(raw)
        if count not in (1, 2) or len(raw) != _HEAD.size + count * _POINT.size or box.hex() != mailbox:
            raise ValueError
        if where != folder:
            raise ValueError
        points = []
        for number in range(count):
            read = _POINT.unpack_from(raw, _HEAD.size + number * _POINT.size)
            points.append(SyncPoint(*read)._replace(phase=Phase(read[5])))
        return points
    except (ValueError, binascii.Error, struct.error):
        raise search_sync.stale() from None


async def sync_folder_items(call: Call, request: SyncFolderItems) -> str:
    """SyncFolderItems."""
    writer = writer_of(request.shape, call.version, listing=True)
    read_flags = call.version >= Version.EXCHANGE_2007_SP1

    async def one(ref: AnyFolder) -> str:
        place = await places.stored(call, ref, "ErrorSyncFolderNotFound", searches=True)
        box = place.box
        search = await search_folders.search_in(box, place.folder)
        if search is not None:
            return await search_sync.changes(place, search, request, writer, read_flags=read_flags)
        known = unpack(request.state, box.id, place.folder) if request.state else []
        scopes = [place.folder, FolderId(-place.folder)] if request.associated else [place.folder]
        points = [known[number] if number < len(known) else START for number in range(len(scopes))]
        told: list[str] = []
        room, more = request.limit, False
        for number, folder in enumerate(scopes):
            if room <= 0:
                more = True
                break
            page = await box.items.changes(folder, points[number], room)
            if not page.complete:
                raise search_sync.stale()
            told += await _told(box, folder, page.changes, request, writer, read_flags=read_flags)
            points[number] = page.point
            room -= len(page.changes)
            more = more or page.more
        return (
            f"<m:SyncState>{pack(box.id, place.folder, points)}</m:SyncState>"
            f"<m:IncludesLastItemInRange>{BOOL[not more]}</m:IncludesLastItemInRange>"
            f"<m:Changes>{''.join(told)}</m:Changes>"
        )

    message = "SyncFolderItemsResponseMessage"
    return responses.response("SyncFolderItems", await call.each(message, [request.folder], one, empty=_NONE))


async def _told(
    box: Box,
    folder: FolderId,
    changes: Sequence[ItemDelta],
    request: SyncFolderItems,
    writer: MessageWriter,
    *,
    read_flags: bool,
) -> list[str]:
    """Changes of a folder, or of its associated items."""
    full = [
        delta.uid
        for delta in changes
        if delta.kind in (ChangeKind.CREATED, ChangeKind.UPDATED)
        or (delta.kind is ChangeKind.READ_CHANGED and not read_flags)
    ]
    found = {}
    if full:
        loader = await Loader.open(box, folder, wanted(writer))
        found = await loader.by_uid(full)
        change_writing.with_mime(found.values(), writer)
    item_ids = ItemIds(box.id, folder)

    def told(delta: ItemDelta) -> str:
        id_ = item_ids.of(delta.item)
        if id_ in request.ignore:
            return ""
        return change_writing.written(delta, id_, found.get(delta.uid), writer, read_flags=read_flags)

    return await slices.each(changes, told)
