"""UpdateItem (MS-OXWSCORE 3.1.4.9): flags and stored properties in place, MIME by writing the message anew."""

from __future__ import annotations

import hashlib

from lxml.etree import tostring

from postern.formats.mime.document import Document
from postern.frontends.ews import calendar_making, identities, places, receipts, saving, sending, thing_making
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import ItemPlace
from postern.model.ids import ChangeNumber
from postern.model.items import Columns, Flag, ItemClass, SpecialUse
from postern.model.refusal import Refusal
from postern.protocols.ews import ids, responses
from postern.protocols.ews.drafting import Draft
from postern.protocols.ews.item_requests import ItemChange, UpdateItem
from postern.protocols.ews.versions import Version
from postern.protocols.ews.violation import EwsViolation
from postern.services.mailboxes import FlagChange, ItemUpdate

_COLUMNS = Columns.FLAGS | Columns.CLASS | Columns.CHANGE_KEY
_EMPTY = "<m:Items/>"
_MESSAGE = "UpdateItemResponseMessage"


async def update_item(call: Call, request: UpdateItem) -> str:
    """UpdateItem."""

    async def one(change: ItemChange) -> str:
        known = _known(change, request.conflicts)
        place = await places.item(call, change.item, occurrences=True)
        rows = await place.box.rows(place.folder, _COLUMNS, [place.uid])
        if not rows:
            raise EwsViolation("ErrorItemNotFound", "There is no such item.")
        flags, item_class, changed = rows[0]
        if known is not None and changed > known and request.conflicts == "NeverOverwrite":
            raise EwsViolation("ErrorIrresolvableConflict", "The item was changed in the meantime.")
        if item_class in thing_making.ELEMENTS:
            thing = await thing_making.draft_of(place, thing_making.ELEMENTS[ItemClass(item_class)])
            for each in change.changes:
                thing.change(each)
            guard = known if request.conflicts == "NeverOverwrite" else None
            if item_class == ItemClass.APPOINTMENT:
                answer = await calendar_making.update(call, place, request, thing, guard)
            else:
                answer = await thing_making.update(call, place, thing, guard)
            return answer + conflicts(call)
        if item_class != ItemClass.MESSAGE:
            raise EwsViolation("ErrorInvalidPropertyUpdateSentMessage", "Items of that class cannot be changed here.")
        if place.day is not None:
            raise EwsViolation("ErrorCalendarCannotUseIdForOccurrenceId", "The item is no series.")
        if not request.disposition:
            raise EwsViolation("ErrorMessageDispositionRequired", "MessageDisposition is missing.")
        draft = await _draft(place, flags, change)
        before = (int(draft.flags), frozenset(draft.keywords))
        for each in change.changes:
            draft.change(each)
        if request.disposition in ("SendOnly", "SendAndSaveCopy"):
            return await _send(call, place, draft, request, _cause(place, changed, change))
        guard = known if request.conflicts == "NeverOverwrite" else None
        receipt = await receipts.due(call, place) if request.receipts and draft.flags & Flag.SEEN else None
        if draft.rewritten or draft.attachments or draft.mime is not None:
            place, guard = await rewrite(call, place, draft, guard), None
        await _change(place, draft, before, guard)
        if receipt is not None:
            await receipts.send(call, place, receipt, "displayed")
        return identities.items_of(await identities.identity(place.box, place.folder, place.uid)) + conflicts(call)

    return responses.response("UpdateItem", await call.each(_MESSAGE, request.changes, one, empty=_EMPTY))


def conflicts(call: Call) -> str:
    """ConflictResults: none, since nothing is merged half."""
    if call.version < Version.EXCHANGE_2007_SP1:
        return ""
    return "<m:ConflictResults><t:Count>0</t:Count></m:ConflictResults>"


def _known(change: ItemChange, resolution: str) -> ChangeNumber | None:
    """The state a client knows. Raises EwsViolation."""
    if change.item.change_key:
        return ChangeNumber(ids.read_change(change.item.change_key))
    if resolution == "AlwaysOverwrite":
        return None
    raise EwsViolation("ErrorChangeKeyRequiredForWriteOperations", "The item has to be named with its change key.")


_FLAGS_ONLY = frozenset({"message:IsRead", "item:Categories", "item:Flag"})


async def _draft(place: ItemPlace, flags: int, change: ItemChange) -> Draft:
    named = await place.box.keywords()
    words = frozenset(word for bit, word in named.items() if flags >> bit & 1)
    if all(getattr(each.path, "uri", "") in _FLAGS_ONLY for each in change.changes):
        document = Document()  # nothing of the message has to be read
    else:
        document = Document.read(await place.box.access.read(place.folder, place.uid))
    return Draft(document, flags & saving.SYSTEM, words, sent=not flags & Flag.DRAFT)


async def _change(
    place: ItemPlace, draft: Draft, before: tuple[int, frozenset[str]], unchanged_since: ChangeNumber | None
) -> None:
    """What needs no new MIME."""
    flags, words = before
    now = int(draft.flags)
    update = FlagChange(
        now & ~flags,
        flags & ~now,
        tuple(sorted(draft.keywords - words)),
        tuple(sorted(words - draft.keywords)),
    )
    flagged = update != FlagChange()
    box = place.box
    if draft.properties or draft.removed:
        removed = tuple(draft.removed - draft.properties.keys())
        await box.items.update(
            place.folder,
            place.uid,
            ItemUpdate(draft.properties, removed, update if flagged else None),
            unchanged_since,
        )
        box.wrote(folders=True)
    elif flagged:
        await box.access.set_flags(place.folder, ((place.uid, place.uid),), update)
        box.wrote(folders=True)
    box.forget_keywords()


async def rewrite(call: Call, place: ItemPlace, draft: Draft, unchanged_since: ChangeNumber | None) -> ItemPlace:
    """Put a changed message in the place of the old one. Raises Refusal."""
    return await saving.replace(place, saving.rendered(call, draft), unchanged_since)


def _cause(place: ItemPlace, changed: int, change: ItemChange) -> tuple[str, ...]:
    """What a message is sent for: an item in a state, with what is changed of it on the way."""
    digest = hashlib.sha256()
    for each in change.changes:
        digest.update(f"{each.action}/{each.path}".encode())
        for _, element in () if each.value is None else each.value.values:
            digest.update(tostring(element))
    return place.box.id, str(place.item), str(changed), digest.hexdigest()


async def _send(call: Call, place: ItemPlace, draft: Draft, request: UpdateItem, cause: tuple[str, ...]) -> str:
    """The changed draft goes out, and a copy of it stays (MessageDisposition)."""
    key = call.services.submission.key(*cause)
    await sending.author(call, draft)
    content = call.services.submission.complete(saving.rendered(call, draft), key)
    copy = None
    if request.disposition == "SendAndSaveCopy":
        copy = await sending.saved_to(call, request.saved_to, SpecialUse.SENT)
    await sending.send(call, content, key)
    try:
        if copy is not None and not await sending.is_kept(copy, content):
            draft.flags |= Flag.SEEN
            await saving.add(copy.box, copy.folder, content, draft, drop=int(Flag.DRAFT))
        await place.box.access.expunge(place.folder, ((place.uid, place.uid),), only_deleted=False)
        place.box.wrote(folders=True)
    except Refusal as refusal:
        # it is sent: an error would have the client send it again
        call.services.log.warning("ews.copy_not_saved", user=call.principal.address, reason=refusal.reason.value)
        said = "The message was sent; there is no copy of it, or the draft is still there."
        return responses.warning(_MESSAGE, "ErrorItemSave", said, _EMPTY + conflicts(call))
    return _EMPTY + conflicts(call)
