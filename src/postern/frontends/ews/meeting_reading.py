"""Meeting messages as GetItem tells them: what their calendar part says, and what the calendar has of the meeting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import partial

import msgspec

from postern.formats.mime.scan import scan
from postern.frontends.ews import zone_xml
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.model.calendar.appointment import Appointment, Busy, Response, State
from postern.model.calendar.views import day_of_original, occurrence_on
from postern.model.calendar.zones import UTC_ZONE
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import ids
from postern.protocols.ews.calendar_xml import CalendarFacts, Neighbour, Neighbours, Told
from postern.protocols.ews.ids import ItemKey
from postern.protocols.ews.meeting_xml import delegated_for
from postern.protocols.ews.message_facts import MessageFacts
from postern.services.calendar.agenda import Agenda
from postern.services.calendar.attendee import intended
from postern.services.calendar.entries import Entry, Shown
from postern.services.calendar.meeting_mail import calendar_part, read

MAX_NEIGHBOURS = 100
_SMALL_BYTES = 16 << 10
"""A message that is taken apart in the loop."""
_MOMENT = timedelta(seconds=1)


def is_meeting(facts: MessageFacts) -> bool:
    """Whether it is a message about a meeting."""
    return facts.element.startswith("Meeting")


async def tell(call: Call, box: Box, several: Iterable[MessageFacts]) -> None:
    """Give meeting messages what they are about (MS-OXWSMTGS 2.2.4.18); what cannot be read stays without."""
    for facts in several:
        if is_meeting(facts) and facts.calendar is None:
            await _one(call, box, facts)


async def _one(call: Call, box: Box, facts: MessageFacts) -> None:
    key = ids.read_item(facts.id)
    content = facts.content
    if not content:
        content = await box.access.read(key.folder, await box.uid(key.folder, key.item))
    found = brought(content) if len(content) <= _SMALL_BYTES else await asyncio.to_thread(brought, content)
    if found is None:
        return
    method, item = found
    agenda = await _agenda(call, box, delegated_for(facts))
    entry = await _entry(agenda, item)
    organizer = agenda is not None and await agenda.organizes(item)
    facts.calendar = _facts(method, item, agenda, entry, organizer=organizer)
    if facts.element == "MeetingRequest" and agenda is not None and not organizer:
        around = await neighbours(agenda, facts.calendar.start, facts.calendar.end, item.uid)
        facts.calendar = msgspec.structs.replace(facts.calendar, neighbours=around)


def brought(content: bytes) -> tuple[str, Appointment] | None:
    """Method and appointment of a message's calendar part; None: there is none, or it cannot be read."""
    part = calendar_part(content, scan(content))
    if part is None:
        return None
    method, calendar, named = part
    found = read(calendar, named, method)
    return (found.method, found.appointments[0]) if found is not None and found.appointments else None


async def _agenda(call: Call, box: Box, delegated: str) -> Agenda | None:
    """The calendar that a message belongs to: of the mailbox it is in, or of whom its owner acts for."""
    try:
        return await call.agenda(box if not delegated else await call.box_of(delegated))
    except Refusal as refusal:
        if refusal.reason in (Reason.NOT_PERMITTED, Reason.NO_SUCH_RECIPIENT, Reason.NO_SUCH_FOLDER):
            return None
        raise


async def _entry(agenda: Agenda | None, item: Appointment) -> Entry | None:
    if agenda is None or not item.uid:
        return None
    try:
        return await concerned(agenda, item)
    except Refusal as refusal:
        if refusal.reason in (Reason.NOT_PERMITTED, Reason.NO_SUCH_FOLDER):
            return None
        raise


async def concerned(agenda: Agenda, item: Appointment) -> Entry | None:
    """What the default calendar has of a message's meeting: the one occurrence if it is there alone, else the series.

    Raises Refusal.
    """
    found = await agenda.find(item.uid)
    alone = [each for each in found if each.item.instance_of is not None and each.item.instance_of == item.instance_of]
    return next(iter(alone or found), None)


def day_in(entry: Entry, item: Appointment) -> date | None:
    """Which occurrence of a series a message is about; None: all of it, or there is no series."""
    if entry.item.recurrence is None or item.instance_of is None:
        return None
    return day_of_original(entry.item, item.instance_of)


def _facts(
    method: str, item: Appointment, agenda: Agenda | None, entry: Entry | None, *, organizer: bool
) -> CalendarFacts:
    day = None if entry is None else day_in(entry, item)
    known = _known(entry, day)
    told = Told(
        calendar_id="" if entry is None or agenda is None else _id(agenda, entry, day),
        calendar_key="" if entry is None else ids.item_change(entry.change_key),
        response=known.response if known is not None else Response.NONE,
        responded_at=known.responded_at if known is not None else None,
        out_of_date=known is not None and _older(item, known),
        organizer=organizer,
        proposed=(item.start, item.end) if method == "COUNTER" else None,
    )
    if method == "COUNTER" and known is not None:
        # the time in it is the one that is proposed
        item = msgspec.structs.replace(item, start=known.start, end=known.end)
    if method in ("REPLY", "COUNTER", "CANCEL") and item.recurrence is None and day is not None and entry is not None:
        item = msgspec.structs.replace(item, recurrence=entry.item.recurrence)
    state = State.MEETING | (State.NONE if organizer else State.RECEIVED)
    state |= State.CANCELED if method == "CANCEL" else State.NONE
    item = msgspec.structs.replace(item, state=state, intended_busy=intended(item))
    return CalendarFacts(
        item=item,
        start=item.start,
        end=item.end,
        viewer=agenda.zone if agenda is not None else UTC_ZONE,
        zone_name=zone_xml.shown_name(item.zone),
        zone_xml=zone_xml.attributes_and_content(item.zone, item.start.year),
        id_of_day=partial(_id, agenda, entry) if agenda is not None and entry is not None else lambda _: "",
        change_key=told.calendar_key,
        told=told,
    )


def _known(entry: Entry | None, day: date | None) -> Appointment | None:
    """What the calendar has of the very thing that a message is about."""
    if entry is None or day is None:
        return None if entry is None else entry.item
    found = occurrence_on(entry.item, day, entry.item.zone if not entry.item.zone.floating else UTC_ZONE)
    if found is None:
        return None
    return msgspec.structs.replace(found.item, start=found.start, end=found.end)


def _older(item: Appointment, known: Appointment) -> bool:
    """Whether the meeting has changed since the message."""
    if item.sequence != known.sequence:
        return item.sequence < known.sequence
    return item.stamp is not None and known.stamp is not None and item.stamp < known.stamp


def _id(agenda: Agenda, entry: Entry, day: date | None) -> str:
    return ids.item_id(ItemKey(agenda.entries.items.id, entry.folder, entry.id, 0 if day is None else day.toordinal()))


async def look_around(call: Call, facts: MessageFacts) -> None:
    """Give a calendar item what is beside it in the default calendar; a series is looked at by its first time."""
    agenda = await call.agenda(await call.box(ids.read_item(facts.id).mailbox))
    shown = facts.calendar
    around = await neighbours(agenda, shown.start, shown.end, shown.item.uid)
    facts.calendar = msgspec.structs.replace(shown, neighbours=around)


async def neighbours(agenda: Agenda, start: datetime, end: datetime, uid: str) -> Neighbours:
    """What else the default calendar has then, and what ends or begins with it; free time is nobody's conflict.

    MS-OXWSMTGS 2.2.4.10 ConflictingMeetings, AdjacentMeetings.
    """
    try:
        shown = await agenda.view(start - _MOMENT, end + _MOMENT)
    except (Refusal, OverflowError):
        return Neighbours()
    others = [each for each in shown if each.entry.item.uid != uid and _counts(each.item)]
    conflicting = [each for each in others if each.start < end and start < each.end]
    adjacent = [each for each in others if each.end == start or each.start == end]
    return Neighbours(_told(agenda, conflicting), _told(agenda, adjacent))


def _counts(item: Appointment) -> bool:
    return item.busy is not Busy.FREE and not item.is_canceled


def _told(agenda: Agenda, shown: Sequence[Shown]) -> tuple[Neighbour, ...]:
    return tuple(
        Neighbour(
            _id(agenda, each.entry, each.day),
            ids.item_change(each.entry.change_key),
            each.item.subject,
            each.start,
            each.end,
            each.item.busy,
            each.item.location,
        )
        for each in shown[:MAX_NEIGHBOURS]
    )
