"""ForwardItem of meetings: the request goes on with its calendar, and its organizer is told (MS-OXWSMSG 2.2.4.12)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postern.frontends.ews import meeting_reading, places, thing_making
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import ItemPlace
from postern.model.calendar.appointment import Appointment, Attendee, Person, Role
from postern.model.calendar.views import occurrence_on
from postern.model.calendar.zones import UTC_ZONE
from postern.model.items import ItemClass
from postern.protocols.ews import drafting
from postern.protocols.ews.item_requests import CreateItem, NewItem
from postern.protocols.ews.places import ItemRef
from postern.protocols.ews.reading import attribute, text
from postern.protocols.ews.violation import EwsViolation
from postern.services.calendar.agenda import TO_ALL, TO_ALL_AND_SAVE, TO_CHANGED, Agenda, Sending
from postern.services.calendar.entries import Entry

_SENDINGS = {"SendOnly": TO_ALL, "SendAndSaveCopy": TO_ALL_AND_SAVE}
_RECIPIENTS = ("ToRecipients", "CcRecipients", "BccRecipients")
_DONE = "<m:Items/>"


async def forward(call: Call, item: NewItem, request: CreateItem) -> str | None:
    """Send a meeting on; None: it is no meeting, or only a draft is wanted. Raises EwsViolation, Refusal."""
    reference = item.first("ReferenceItemId")
    sending = _SENDINGS.get(request.disposition)
    if reference is None or sending is None:
        return None
    ref = ItemRef(attribute(reference, "Id"), reference.get("ChangeKey", ""))
    place = await places.item(call, ref, occurrences=True)
    kind = await thing_making.class_of(place)
    agenda = await call.agenda(place.box)
    found: Appointment | None = None
    entry: Entry | None = None
    if kind is ItemClass.MESSAGE:
        content = await place.box.access.read(place.folder, place.uid)
        brought = meeting_reading.brought(content)
        if brought is None or brought[0] != "REQUEST":
            return None
        found = brought[1]
        entry = await meeting_reading.concerned(agenda, found)
    elif kind is ItemClass.APPOINTMENT:
        entry = await agenda.entries.one(place.item, place.folder)
        found = _shown(entry, place)
    if found is None or found.organizer is None or not found.attendees:
        return None
    to = _people(item)
    new = item.first("NewBodyContent")
    said = text(new) if new is not None else ""
    await _send(agenda, entry, found, to, sending, said)
    return _DONE


def _people(item: NewItem) -> list[Person]:
    named = [
        one for name in _RECIPIENTS if (given := item.first(name)) is not None for one in drafting.recipients(given)
    ]
    if not named:
        raise EwsViolation("ErrorInvalidRecipients", "The meeting is forwarded to nobody.")
    return [Person(one.address, one.name) for one in named]


def _shown(entry: Entry, place: ItemPlace) -> Appointment | None:
    """The item, or its occurrence as a request for it alone tells it."""
    if place.day is None:
        return entry.item
    zone = UTC_ZONE if entry.item.zone.floating else entry.item.zone
    one = occurrence_on(entry.item, place.day, zone)
    if one is None:
        return None
    plain = occurrence_on(msgspec.structs.replace(entry.item, deleted=(), modified=()), place.day, zone)
    alone = msgspec.structs.replace(one.item, recurrence=None, clock=None, deleted=(), modified=())
    instance = plain.start if plain is not None else one.start
    return msgspec.structs.replace(alone, uid=entry.item.uid, start=one.start, end=one.end, instance_of=instance)


async def _send(
    agenda: Agenda, entry: Entry | None, item: Appointment, to: Sequence[Person], sending: Sending, said: str
) -> None:
    if entry is not None and item.instance_of is None and agenda.is_organizer(entry.item):
        # who organizes a meeting invites, and needs no notice of it
        known = {each.person.key for each in entry.item.attendees}
        added = tuple(Attendee(one, Role.OPTIONAL) for one in to if one.key not in known)
        whole = msgspec.structs.replace(entry.item, attendees=(*entry.item.attendees, *added))
        await agenda.update(entry, whole, TO_CHANGED._replace(save_copy=sending.save_copy))
        return
    await agenda.forward(item, to, sending, comment=said)
