"""Calendar items made, changed, deleted and answered (MS-OXWSMTGS 3.1.4); services.calendar.agenda does the work."""

from __future__ import annotations

import msgspec

from postern.convert.appointments import NAMES, from_properties, to_properties
from postern.frontends.ews import calendar_reading, identities, meeting_reading, places, thing_making, thing_values
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import FolderPlace, ItemPlace
from postern.model.calendar.appointment import Appointment, Attachment, Response, State
from postern.model.calendar.zones import Zone
from postern.model.ids import ChangeNumber, ItemId
from postern.model.items import Columns, ItemClass
from postern.model.properties import unpack
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import ids
from postern.protocols.ews.calendar_xml import WHEN
from postern.protocols.ews.ids import ItemKey
from postern.protocols.ews.item_requests import CreateItem, NewItem, UpdateItem
from postern.protocols.ews.meeting_xml import REPRESENTING
from postern.protocols.ews.places import ItemRef
from postern.protocols.ews.reading import attribute, text
from postern.protocols.ews.thing_drafting import ThingDraft
from postern.protocols.ews.violation import EwsViolation, SchemaViolation
from postern.services.calendar.agenda import (
    NOBODY,
    TO_ALL,
    TO_ALL_AND_SAVE,
    TO_CHANGED,
    TO_CHANGED_AND_SAVE,
    Agenda,
    Sending,
)
from postern.services.calendar.entries import Entry, check
from postern.services.mailboxes import Disposal, ItemUpdate

_INVITATIONS = {"SendToNone": NOBODY, "SendOnlyToAll": TO_ALL, "SendToAllAndSaveCopy": TO_ALL_AND_SAVE}
_UPDATES = {**_INVITATIONS, "SendOnlyToChanged": TO_CHANGED, "SendToChangedAndSaveCopy": TO_CHANGED_AND_SAVE}
_ANSWERS = {
    "AcceptItem": Response.ACCEPTED,
    "TentativelyAcceptItem": Response.TENTATIVE,
    "DeclineItem": Response.DECLINED,
    "ProposeNewTime": Response.TENTATIVE,
}
CALENDAR_RESPONSES = frozenset({*_ANSWERS, "CancelCalendarItem", "RemoveItem"})
_NONE = "<m:Items/>"


def _mode(given: str, modes: dict[str, Sending], code: str, name: str) -> Sending:
    if not given:
        raise EwsViolation(code, f"{name} is missing.")
    if given not in modes:
        raise SchemaViolation(f"{name} cannot be {given[:40]}.")
    return modes[given]


def _refused(refusal: Refusal) -> EwsViolation | Refusal:
    """What a calendar's no is called here."""
    if refusal.reason is Reason.BAD_VALUE and "recurrence" in refusal.detail:
        return EwsViolation("ErrorCalendarInvalidRecurrence", f"The recurrence is not valid: {refusal.detail}.")
    if refusal.reason is Reason.BAD_VALUE:
        return EwsViolation("ErrorCalendarInvalidPropertyValue", f"The calendar item is not valid: {refusal.detail}.")
    return refusal


def checked(item: Appointment) -> None:
    """Raises EwsViolation for what no calendar can hold."""
    try:
        check(item)
    except Refusal as refusal:
        raise _refused(refusal) from refusal


def zone_for(call: Call, agenda: Agenda) -> Zone:
    """Where times without a zone are: the request's, else the owner's."""
    return call.zone if call.zone is not None else agenda.zone


async def create(call: Call, item: NewItem, request: CreateItem, saved: FolderPlace | None) -> str:
    """A new appointment or meeting. Raises EwsViolation, Refusal."""
    sending = _mode(request.invitations, _INVITATIONS, "ErrorSendMeetingInvitationsRequired", "SendMeetingInvitations")
    place = await thing_making.target(call, "CalendarItem", saved)
    agenda = await call.agenda(place.box)
    draft = ThingDraft("CalendarItem")
    draft.create(item)
    start, end = calendar_reading.next_slot(call.services.clock.now())
    stored = {"PidLidReminderSet": True, **draft.set} if item.first("ReminderIsSet") is None else draft.set
    base = msgspec.structs.replace(from_properties(stored), start=start, end=end, uid="")
    made = calendar_reading.applied(draft, base, zone_for(call, agenda), new=True)
    extra = {key: value for key, value in draft.set.items() if key not in NAMES}
    try:
        made = msgspec.structs.replace(made, attachments=_attached(call, draft))
        entry = await agenda.create(made, sending, folder=place.folder, extra=extra)
    except Refusal as refusal:
        raise _refused(refusal) from refusal
    place.box.wrote(folders=True)
    identity = await identities.identity(place.box, entry.folder, entry.uid)
    return identities.items_of(identity, "CalendarItem")


def _attached(call: Call, draft: ThingDraft) -> tuple[Attachment, ...]:
    """What the draft attaches: it is kept with the item and goes out with what is sent for it. Raises EwsViolation."""
    name, kind = thing_values.NAME, thing_values.TYPE
    return tuple(
        Attachment(
            str(one.properties[name]) or "attachment",
            str(one.properties[kind]),
            one.content,
            more=tuple((key, value) for key, value in one.properties.items() if key not in (name, kind)),
        )
        for one in thing_making.streams(call, draft.attachments)
    )


async def _entry(call: Call, place: ItemPlace) -> tuple[Agenda, Entry]:
    agenda = await call.agenda(place.box)
    found = (await agenda.get([place.item], place.folder)).get(place.item)
    if found is None:
        raise EwsViolation("ErrorItemNotFound", "There is no such item.")
    return agenda, found


async def update(
    call: Call, place: ItemPlace, request: UpdateItem, draft: ThingDraft, guard: ChangeNumber | None
) -> str:
    """Changes of an item or of one occurrence. Raises EwsViolation, Refusal."""
    sending = _mode(
        request.invitations,
        _UPDATES,
        "ErrorSendMeetingInvitationsOrCancellationsRequired",
        "SendMeetingInvitationsOrCancellations",
    )
    agenda, entry = await _entry(call, place)
    try:
        done = await (_update_occurrence if place.day is not None else _update_item)(
            call, agenda, entry, place, draft, sending, guard
        )
    except Refusal as refusal:
        raise _refused(refusal) from refusal
    place.box.wrote(folders=True)
    return identities.items_of(_identity(place, done), "CalendarItem")


def _identity(place: ItemPlace, entry: Entry) -> str:
    day = place.day.toordinal() if place.day is not None else 0
    key = ids.item_id(ItemKey(place.box.id, entry.folder, ItemId(entry.id), day))
    return f'<t:ItemId Id="{key}" ChangeKey="{ids.item_change(entry.change_key)}"/>'


def _changed(call: Call, agenda: Agenda, item: Appointment, draft: ThingDraft) -> Appointment:
    stored = to_properties(item)
    for key in draft.removed:
        stored.pop(key, None)
    stored.update({key: value for key, value in draft.set.items() if key in NAMES})
    if draft.set.keys() & {"PidLidReminderSet", "PidLidReminderDelta"}:
        stored.pop("PosternReminded", None)  # a reminder that is set anew rings again
    if draft.calendar.keys() & {"Start", "End", "Recurrence"} and WHEN not in draft.set:
        draft.put({WHEN: None})  # words about another time
    made = calendar_reading.applied(draft, from_properties(stored), zone_for(call, agenda), new=False)
    return msgspec.structs.replace(made, attachments=_attached(call, draft))


async def _update_item(
    call: Call, agenda: Agenda, entry: Entry, place: ItemPlace, draft: ThingDraft, sending: Sending,
    guard: ChangeNumber | None,
) -> Entry:  # fmt: skip
    extra = ItemUpdate(
        {key: value for key, value in draft.set.items() if key not in NAMES},
        tuple(key for key in draft.removed if key not in NAMES and key in entry.properties),
    )
    item = _changed(call, agenda, entry.item, draft)
    return await agenda.update(entry, item, sending, extra=extra, unchanged_since=guard)


async def _update_occurrence(
    call: Call, agenda: Agenda, entry: Entry, place: ItemPlace, draft: ThingDraft, sending: Sending,
    guard: ChangeNumber | None,
) -> Entry:  # fmt: skip
    assert place.day is not None
    if "Recurrence" in draft.calendar or "Recurrence" in draft.calendar_removed:
        raise EwsViolation("ErrorCalendarCannotUseIdForOccurrenceId", "An occurrence does not recur itself.")
    shown = agenda.occurrence(entry, place.day)
    one = msgspec.structs.replace(
        shown.item, start=shown.start, end=shown.end, recurrence=None, clock=None, deleted=(), modified=()
    )
    item = _changed(call, agenda, one, draft)
    others = [each.item for each in entry.item.modified if each.day != place.day]
    if any(item.start < each.end and each.start < item.end for each in others):
        raise EwsViolation("ErrorOccurrenceCrossingBoundary", "Another occurrence of the series is then.")
    return await agenda.update_occurrence(entry, place.day, item, sending, unchanged_since=guard)


async def delete(call: Call, place: ItemPlace, disposal: Disposal, cancellations: str) -> None:
    """An item or one occurrence. Raises EwsViolation, Refusal."""
    sending = _mode(cancellations, _INVITATIONS, "ErrorSendMeetingCancellationsRequired", "SendMeetingCancellations")
    agenda, entry = await _entry(call, place)
    if place.day is not None:
        await agenda.delete_occurrence(entry, place.day, sending)
    else:
        await agenda.delete(entry, disposal, sending)
    place.box.wrote(folders=True)


# --- responses

_SENDINGS = {"SaveOnly": NOBODY, "SendOnly": TO_ALL, "SendAndSaveCopy": TO_ALL_AND_SAVE}


async def respond(call: Call, item: NewItem, request: CreateItem) -> str:
    """AcceptItem and its kin, CancelCalendarItem, RemoveItem. Raises EwsViolation, Refusal."""
    reference = item.first("ReferenceItemId")
    if reference is None:
        raise EwsViolation("ErrorMissingInformationReferenceItemId", "ReferenceItemId is missing.")
    ref = ItemRef(attribute(reference, "Id"), reference.get("ChangeKey", ""))
    place = await places.item(call, ref, occurrences=True)
    kind = await thing_making.class_of(place)
    if not request.disposition:
        raise EwsViolation("ErrorMessageDispositionRequired", "MessageDisposition is missing.")
    sending = _SENDINGS[request.disposition]
    comment = item.first("NewBodyContent")
    if comment is None:
        comment = item.first("Body")
    said = text(comment) if comment is not None else ""
    message = place if kind is ItemClass.MESSAGE else None
    if message is not None:
        agenda, entry, place = await _invited(call, message, answering=item.element in _ANSWERS)
    elif kind is ItemClass.APPOINTMENT:
        agenda, entry = await _entry(call, place)
    else:
        raise EwsViolation("ErrorInvalidItemForOperationCreateItem", f"{item.element} goes with calendar items.")
    try:
        if item.element == "RemoveItem":
            answer = await _remove(place, agenda, entry)
        elif item.element == "CancelCalendarItem":
            answer = await _cancel(place, agenda, entry, sending, said)
        else:
            answer = await _answer(call, place, agenda, entry, item, sending, said)
    except Refusal as refusal:
        raise _refused(refusal) from refusal
    if message is not None and item.element != "CancelCalendarItem":
        # what was answered is done with (MS-OXWSMTGS 3.1.4.2.3)
        await message.box.items.delete(message.folder, [message.uid], Disposal.TO_DELETED_ITEMS)
        message.box.wrote(folders=True)
    place.box.wrote(folders=True)
    return answer


async def _invited(call: Call, message: ItemPlace, *, answering: bool) -> tuple[Agenda, Entry, ItemPlace]:
    """The calendar item of a meeting message, and where it is: with a copy for a delegate in the principal's calendar.

    `answering`: a request that is in no calendar comes into it. Raises EwsViolation, Refusal.
    """
    content = await message.box.access.read(message.folder, message.uid)
    found = meeting_reading.brought(content)
    if found is None:
        raise EwsViolation("ErrorInvalidItemForOperationCreateItem", "The message is about no meeting.")
    rows = await message.box.rows(message.folder, Columns.PROPERTIES, [message.uid])
    represented = str(unpack(rows[0][0] or b"").get(REPRESENTING) or "") if rows else ""
    principals = await _box_of(call, represented)
    box = message.box if principals is None else principals
    agenda = await call.agenda(box)
    method, item = found
    entry = await meeting_reading.concerned(agenda, item)
    foreign = represented and principals is None
    if entry is None and method == "REQUEST" and answering and not foreign:
        entry = await agenda.take(item)  # somebody passed it on
    if entry is None:
        raise EwsViolation("ErrorItemNotFound", "The meeting is not in the calendar.")
    return agenda, entry, ItemPlace(box, entry.folder, entry.id, entry.uid, meeting_reading.day_in(entry, item))


async def _box_of(call: Call, represented: str) -> Box | None:
    """The mailbox of who the reader acts for. None: of nobody, or no delegate of theirs any more."""
    if not represented:
        return None
    try:
        return await call.box_of(represented)
    except Refusal:
        return None


async def _remove(place: ItemPlace, agenda: Agenda, entry: Entry) -> str:
    if place.day is not None:
        await agenda.delete_occurrence(entry, place.day)
    else:
        await agenda.delete(entry, Disposal.TO_DELETED_ITEMS)
    return _NONE


async def _cancel(place: ItemPlace, agenda: Agenda, entry: Entry, sending: Sending, said: str) -> str:
    if entry.item.state & State.RECEIVED:
        raise EwsViolation("ErrorCalendarIsNotOrganizer", "Only who organized a meeting calls it off.")
    if place.day is not None:
        await agenda.delete_occurrence(entry, place.day, sending, comment=said)
    else:
        await agenda.cancel(entry, sending, comment=said)
    return _NONE


async def _answer(
    call: Call, place: ItemPlace, agenda: Agenda, entry: Entry, item: NewItem, sending: Sending, said: str
) -> str:
    if not entry.item.state & State.RECEIVED:
        raise EwsViolation(f"ErrorCalendarIsOrganizerFor{_organizer(item.element)}", "The meeting is your own.")
    if entry.item.is_canceled:
        raise EwsViolation(f"ErrorCalendarIsCancelledFor{_organizer(item.element)}", "The meeting was called off.")
    if not entry.item.is_meeting:
        raise EwsViolation("ErrorInvalidItemForOperationCreateItem", f"{item.element} goes with meetings.")
    proposed = calendar_reading.proposed(dict(item.values), zone_for(call, agenda))
    if item.element == "ProposeNewTime" and proposed is None:
        raise EwsViolation("ErrorInvalidArgument", "ProposeNewTime needs a time.")
    if proposed is not None and not entry.item.counter_allowed:
        raise EwsViolation("ErrorInvalidOperation", "The organizer wants no other times proposed.")
    done = await agenda.respond(entry, _ANSWERS[item.element], sending, day=place.day, comment=said, proposed=proposed)
    if done is None:
        return _NONE
    return identities.items_of(_identity(place, done), "CalendarItem")


def _organizer(element: str) -> str:
    return {"AcceptItem": "Accept", "DeclineItem": "Decline"}.get(element, "Tentative")
