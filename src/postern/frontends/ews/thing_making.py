"""Items without MIME, made, changed and deleted: contacts, lists, tasks and notes; calendar items go on to theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from postern.frontends.ews import identities, saving, thing_values
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import FolderPlace, ItemPlace
from postern.frontends.ews.thing_settling import is_photo, settled
from postern.model import properties
from postern.model.ids import ChangeNumber, Uid
from postern.model.items import Columns, FolderClass, ItemClass, SpecialUse
from postern.protocols.ews.attachment_requests import NewAttachment
from postern.protocols.ews.item_requests import NewItem
from postern.protocols.ews.thing_drafting import ThingDraft
from postern.protocols.ews.violation import EwsViolation
from postern.services.item_access import NewThing, Stream, render
from postern.services.mailboxes import ItemUpdate

CLASSES = {
    "Contact": (ItemClass.CONTACT, SpecialUse.CONTACTS, FolderClass.CONTACTS),
    "DistributionList": (ItemClass.DISTRIBUTION_LIST, SpecialUse.CONTACTS, FolderClass.CONTACTS),
    "Task": (ItemClass.TASK, SpecialUse.TASKS, FolderClass.TASKS),
    "Item": (ItemClass.NOTE, SpecialUse.NOTES, FolderClass.NOTES),
    "CalendarItem": (ItemClass.APPOINTMENT, SpecialUse.CALENDAR, FolderClass.CALENDAR),
}
ELEMENTS = {kind: element for element, (kind, _, _) in CLASSES.items()}
_MAX_ATTACHMENTS = 1000


def is_note(item: NewItem) -> bool:
    """Whether an `Item` is a sticky note, not a message."""
    found = item.first("ItemClass")
    return (
        item.element == "Item" and found is not None and (found.text or "").strip().lower().startswith("ipm.stickynote")
    )


async def target(call: Call, element: str, saved: FolderPlace | None) -> FolderPlace:
    """Where a new item goes. Raises EwsViolation, Refusal."""
    _, use, kind = CLASSES[element]
    if saved is None:
        box = await call.box()
        return FolderPlace(box, (await box.items.special(use)).id)
    folder = await saved.box.folder(saved.folder)
    if folder.folder_class is not kind and folder.special is not SpecialUse.TRASH and element == "CalendarItem":
        raise EwsViolation("ErrorCannotCreateCalendarItemInNonCalendarFolder", "The folder is no calendar.")
    if folder.folder_class is not kind and element == "Task":
        raise EwsViolation("ErrorCannotCreateTaskInNonTaskFolder", "The folder holds no tasks.")
    if folder.folder_class is not kind and element in ("Contact", "DistributionList"):
        raise EwsViolation("ErrorCannotCreateContactInNonContactFolder", "The folder holds no contacts.")
    return saved


async def create(call: Call, item: NewItem, saved: FolderPlace | None) -> str:
    """A new contact, list, task or note. Raises EwsViolation, Refusal."""
    place = await target(call, item.element, saved)
    draft = ThingDraft(item.element)
    draft.create(item)
    finished = settled(call, draft, place.box.owner.name or place.box.owner.address)
    uid = await _put(call, place, draft)
    if finished is not None:
        await _put_map(place, "Task", finished)
    place.box.wrote(folders=True)
    identity = await identities.identity(place.box, place.folder, uid)
    return identities.items_of(identity, item.element)


async def _put(call: Call, place: FolderPlace, draft: ThingDraft) -> Uid:
    return await _put_map(place, draft.element, draft.properties, streams(call, draft.attachments))


async def _put_map(place: FolderPlace, element: str, values: dict[str, Any], attachments: Sequence[Stream] = ()) -> Uid:
    kind = CLASSES[element][0]
    subject = str(values.get("PidTagSubject") or "")
    placed = await place.box.items.create(place.folder, NewThing(kind, subject, values, attachments=attachments))
    return placed.uid


def streams(call: Call, attachments: Sequence[NewAttachment]) -> list[Stream]:
    """Attachments as the store takes them; items as messages. Raises EwsViolation."""
    if len(attachments) > _MAX_ATTACHMENTS:
        raise EwsViolation("ErrorDataSizeLimitExceeded", f"An item has {_MAX_ATTACHMENTS} attachments at most.")
    made = []
    for one in attachments:
        values: dict[str, Any] = {thing_values.NAME: one.name}
        content, kind = one.content, one.content_type
        if one.item is not None:
            values[thing_values.ENCLOSED] = True
            entity = saving.entity(call, one)
            content, kind = entity.partition(b"\r\n\r\n")[2], "message/rfc822"
        values[thing_values.TYPE] = kind or "application/octet-stream"
        for key, value in (
            (thing_values.CONTENT_ID, one.content_id),
            (thing_values.INLINE, one.inline),
            (thing_values.PHOTO, is_photo(one)),
        ):
            if value:
                values[key] = value
        made.append(Stream(content, values))
    return made


async def update(call: Call, place: ItemPlace, draft: ThingDraft, guard: ChangeNumber | None) -> str:
    """Write what a draft has changed. Raises EwsViolation, Refusal."""
    finished = settled(call, draft, place.box.owner.name or place.box.owner.address)
    set_ = {key: value for key, value in draft.set.items() if draft.before.get(key) != value}
    removed = tuple(key for key in draft.removed if key in draft.before)
    subject = str(draft.properties.get("PidTagSubject") or "")
    rendering = render(subject, None) if subject != str(draft.before.get("PidTagSubject") or "") else None
    attach = streams(call, draft.attachments)
    if set_ or removed or attach:
        change = ItemUpdate(set_, removed, rendering=rendering)
        await place.box.items.update(place.folder, place.uid, change, guard, attach)
    if finished is not None:
        await _put_map(FolderPlace(place.box, place.folder), draft.element, finished)
    place.box.wrote(folders=True)
    return identities.items_of(await identities.identity(place.box, place.folder, place.uid), draft.element)


async def draft_of(place: ItemPlace, element: str) -> ThingDraft:
    """A draft over what is stored. Raises EwsViolation."""
    rows = await place.box.rows(place.folder, Columns.PROPERTIES, [place.uid])
    if not rows:
        raise EwsViolation("ErrorItemNotFound", "There is no such item.")
    return ThingDraft(element, properties.unpack(rows[0][0] or b""))


async def class_of(place: ItemPlace) -> ItemClass:
    """What an item is. Raises EwsViolation."""
    rows = await place.box.rows(place.folder, Columns.CLASS, [place.uid])
    if not rows:
        raise EwsViolation("ErrorItemNotFound", "There is no such item.")
    return ItemClass(rows[0][0])
