"""SyncFolderHierarchy (MS-OXWSSYNC 3.1.4.1).

The state that a client brings back holds what it was told of each folder: a number that changes with the folder's name
and place, and the folder's change number. So it survives restarts, needs no memory here and cannot grow stale.
"""

from __future__ import annotations

import base64
import binascii
import zlib

import msgspec

from postern.frontends.ews import places, search_folders
from postern.frontends.ews.box import Box, is_hidden
from postern.frontends.ews.call import Call
from postern.model.ids import FolderId
from postern.model.items import Folder
from postern.protocols.ews import responses
from postern.protocols.ews.folder_requests import SyncFolderHierarchy
from postern.protocols.ews.folder_xml import FolderWriter, identity
from postern.protocols.ews.ids import ROOT, TOP
from postern.protocols.ews.places import AnyFolder, DistinguishedRef
from postern.protocols.ews.violation import EwsViolation

_FORM = 1
_NONE = "<m:SyncState/><m:IncludesLastFolderInRange>true</m:IncludesLastFolderInRange>"
"""Of an error: exchangelib reads both before it looks at the code."""
_MAX_STATE = 4 << 20
_MAX_RAW = 16 << 20


class State(msgspec.Struct, frozen=True, array_like=True):
    """What a client knows."""

    form: int
    mailbox: str
    root: int
    folders: dict[int, tuple[int, int]]
    """Folder -> its own fingerprint, its change number."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(State).decode


def pack(state: State) -> str:
    """As text."""
    return base64.b64encode(zlib.compress(_encode(state), 1)).decode()


def unpack(text: str) -> State:
    """Raises EwsViolation(ErrorInvalidSyncStateData)."""
    try:
        if len(text) > _MAX_STATE:
            raise ValueError
        inflate = zlib.decompressobj()
        raw = inflate.decompress(base64.b64decode(text, validate=True), _MAX_RAW)
        if not inflate.eof:
            raise ValueError
        state = _decode(raw)
        if state.form != _FORM:
            raise ValueError
    except (ValueError, binascii.Error, zlib.error, msgspec.MsgspecError):
        raise EwsViolation(
            "ErrorInvalidSyncStateData", "The state is none of this server's. Begin without one."
        ) from None
    return state


def fingerprint(folder: Folder) -> int:
    """Changes with whatever a client is shown of the folder itself."""
    told = f"{folder.parent}\0{folder.folder_class.value}\0{folder.special.value}\0{folder.name}"
    return zlib.crc32(folder.properties, zlib.crc32(told.encode()))


async def sync_folder_hierarchy(call: Call, request: SyncFolderHierarchy) -> str:
    """SyncFolderHierarchy."""
    writer = FolderWriter(request.shape, call.version)

    async def one(ref: AnyFolder) -> str:
        place = await places.folder(call, ref, "ErrorSyncFolderNotFound")
        box = place.box
        known: dict[int, tuple[int, int]] = {}
        if request.state:
            before = unpack(request.state)
            if before.mailbox != box.id or before.root != place.folder:
                raise EwsViolation("ErrorInvalidSyncStateData", "The state is of another folder. Begin without one.")
            known = before.folders
        present = {each.id: each for each in await _below(box, place.folder)}
        changes = []
        marks = {int(each.id): (fingerprint(each), int(each.changed)) for each in present.values()}
        if place.folder == ROOT:  # which has the top of the store below it, and that never changes
            marks[int(TOP)] = (0, 0)
            if TOP not in known:
                changes.append(f"<t:Create>{writer.write(await box.facts(TOP))}</t:Create>")
        for folder in present.values():
            seen = known.get(folder.id)
            now = (fingerprint(folder), folder.changed)
            if seen == now:
                continue
            kind = "Create" if seen is None else "Update"
            facts = await search_folders.counted(call, box, await box.facts(folder.id), writer)
            changes.append(f"<t:{kind}>{writer.write(facts)}</t:{kind}>")
        for gone in known:
            if gone not in marks:
                lost = identity("FolderId", box.folder_id(FolderId(gone)), "")
                changes.append(f"<t:Delete>{lost}</t:Delete>")
        after = pack(State(_FORM, box.id, place.folder, marks))
        return (
            f"<m:SyncState>{after}</m:SyncState><m:IncludesLastFolderInRange>true</m:IncludesLastFolderInRange>"
            f"<m:Changes>{''.join(changes)}</m:Changes>"
        )

    wanted = request.folder or DistinguishedRef("msgfolderroot")
    message = "SyncFolderHierarchyResponseMessage"
    return responses.response("SyncFolderHierarchy", await call.each(message, [wanted], one, empty=_NONE))


async def _below(box: Box, folder: FolderId) -> list[Folder]:
    if folder == TOP:
        every = await box.folders()
        return [one for one in every.values() if not is_hidden(one, every)]
    return await box.children(folder, deep=True)
