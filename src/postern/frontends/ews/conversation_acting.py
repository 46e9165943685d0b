"""ApplyConversationAction (MS-OXWSCONV 3.1.4.1): one thing done to a conversation's items, and to those to come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from postern.formats.mime.document import Document
from postern.frontends.ews import places
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.frontends.ews.conversation_reading import members
from postern.model.ids import FolderId, Uid
from postern.model.items import Columns, Flag, SpecialUse
from postern.model.ranges import merged
from postern.protocols.ews import ids, responses
from postern.protocols.ews.categories import keyword
from postern.protocols.ews.conversation_requests import ConversationAction
from postern.protocols.ews.drafting import Draft
from postern.protocols.ews.ids import ConversationKey
from postern.protocols.ews.violation import EwsViolation
from postern.services.mailboxes import Disposal, FlagChange, ItemUpdate

_SEEN = Flag.SEEN.value
_DISPOSALS = {
    "": Disposal.TO_DELETED_ITEMS,
    "HardDelete": Disposal.HARD,
    "SoftDelete": Disposal.SOFT,
    "MoveToDeletedItems": Disposal.TO_DELETED_ITEMS,
}
_Do = Callable[[FolderId, list[Uid]], Awaitable[None]]


async def apply_conversation_action(call: Call, actions: tuple[ConversationAction, ...]) -> str:
    """ApplyConversationAction."""

    async def one(wanted: ConversationAction) -> str:
        key = ids.read_conversation(wanted.id)
        box = await call.box(key.mailbox)
        if wanted.action.startswith("Always"):
            await _always(call, box, key, wanted)
        else:
            await _each(call, box, key, wanted, await _once(call, box, wanted))
        return ""

    message = "ApplyConversationActionResponseMessage"
    return responses.response("ApplyConversationAction", await call.each(message, actions, one))


# --- now


async def _once(call: Call, box: Box, wanted: ConversationAction) -> _Do:
    """What is done to the items of a folder. Raises EwsViolation."""
    match wanted.action:
        case "Delete":
            return partial(_delete, box, _DISPOSALS[wanted.delete_type])
        case "Move" | "Copy":
            return partial(_transfer, box, await _destination(call, box, wanted), wanted.action == "Move")
        case "SetReadState":
            if wanted.read is None:
                raise EwsViolation("ErrorMissingArgument", "IsRead is missing.")
            return partial(_change, box, FlagChange(add=_SEEN) if wanted.read else FlagChange(remove=_SEEN))
        case "Flag":
            if wanted.flag is None:
                raise EwsViolation("ErrorMissingArgument", "Flag is missing.")
            draft = Draft(Document(), 0, frozenset(), sent=True)
            draft.flag(wanted.flag)
            return partial(_flag, box, draft)
    raise EwsViolation("ErrorApplyConversationActionFailed", "There are no retention policies here.")


async def _each(call: Call, box: Box, key: ConversationKey, wanted: ConversationAction, do: _Do) -> None:
    """Do it, folder by folder. Raises EwsViolation, Refusal."""
    where = await members(box, key.number)
    if wanted.context is not None:
        context = await places.stored(call, wanted.context)
        where = {folder: uids for folder, uids in where.items() if context.box is box and folder == context.folder}
    until = None if wanted.last_sync is None else wanted.last_sync.timestamp()
    for folder, uids in where.items():
        chosen = uids
        if until is not None:
            rows = await box.rows(folder, Columns.UID | Columns.SAVED_AT, uids)
            chosen = [uid for uid, saved_at in rows if saved_at <= until]
        if chosen:
            await do(folder, chosen)
            box.wrote(folders=True)


async def _destination(call: Call, box: Box, wanted: ConversationAction) -> FolderId:
    if wanted.destination is None:
        raise EwsViolation("ErrorMissingArgument", "DestinationFolderId is missing.")
    place = await places.stored(call, wanted.destination, "ErrorToFolderNotFound")
    if place.box.id != box.id:
        raise EwsViolation("ErrorApplyConversationActionFailed", "The folder is in another mailbox.")
    return place.folder


async def _delete(box: Box, disposal: Disposal, folder: FolderId, uids: list[Uid]) -> None:
    if disposal is Disposal.TO_DELETED_ITEMS and (await box.folder(folder)).special is SpecialUse.TRASH:
        return
    await box.items.delete(folder, uids, disposal)


async def _transfer(box: Box, target: FolderId, move: bool, folder: FolderId, uids: list[Uid]) -> None:
    if folder == target:
        return
    await (box.items.move if move else box.items.copy)(folder, uids, target)


async def _change(box: Box, change: FlagChange, folder: FolderId, uids: list[Uid]) -> None:
    await box.access.set_flags(folder, merged((uid, uid) for uid in uids), change)
    box.forget_keywords()


async def _flag(box: Box, draft: Draft, folder: FolderId, uids: list[Uid]) -> None:
    flagged = Flag.FLAGGED.value
    change = FlagChange(add=flagged) if draft.flags & flagged else FlagChange(remove=flagged)
    removed = tuple(draft.removed - draft.properties.keys())
    for uid in uids:
        await box.items.update(folder, uid, ItemUpdate(draft.properties, removed, change))


# --- from now on


async def _always(call: Call, box: Box, key: ConversationKey, wanted: ConversationAction) -> None:
    """Keep what is to become of new items, and do it to those that are there. Raises EwsViolation, Refusal."""
    book = await call.services.rules.open(call.principal, box.id)
    rule = await book.conversation(key.number)
    match wanted.action:
        case "AlwaysMove":
            target = 0 if wanted.destination is None else await _destination(call, box, wanted)
            rule = msgspec.structs.replace(rule, folder=int(target))
            do: _Do | None = partial(_transfer, box, FolderId(target), True) if target else None
        case "AlwaysDelete":
            rule = msgspec.structs.replace(rule, delete=wanted.always_delete)
            do = partial(_delete, box, _DISPOSALS[wanted.delete_type]) if wanted.always_delete else None
        case _:
            words = tuple(keyword(one) for one in wanted.categories)
            gone = tuple(one for one in rule.keywords if one not in words)
            rule = msgspec.structs.replace(rule, keywords=words)
            do = partial(_change, box, FlagChange(add_keywords=words, remove_keywords=gone)) if words or gone else None
    await book.set_conversation(key.number, rule)
    if do is not None:
        await _each(call, box, key, wanted, do)
