"""What a client sets on a calendar item, applied to an appointment (MS-OXWSMTGS 2.2.4.10)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec
from lxml.etree import _Element as Element

from postern.frontends.ews import zone_xml
from postern.model.calendar.appointment import Appointment, Attendee, Busy, Conferencing, Person, Role
from postern.model.calendar.series import first_day
from postern.model.calendar.zones import Zone, to_utc, to_wall
from postern.protocols.ews import drafting, recurrence_xml
from postern.protocols.ews.calendar_xml import BUSY
from postern.protocols.ews.reading import boolean, child, children, choice, date_time, integer, need, text
from postern.protocols.ews.thing_drafting import ThingDraft
from postern.protocols.ews.violation import EwsViolation

MAX_LENGTH = timedelta(days=5 * 366)
MAX_UID = 300
MAX_URL = 2000
USUAL_LENGTH = timedelta(minutes=30)
MAX_LOCATION = 1000
_TRUTHS = {
    "IsAllDayEvent": "all_day",
    "IsResponseRequested": "response_requested",
    "AllowNewTimeProposal": "counter_allowed",
}
ROLES = {"RequiredAttendees": Role.REQUIRED, "OptionalAttendees": Role.OPTIONAL, "Resources": Role.RESOURCE}


def moment(value: str, what: str, zone: Zone) -> datetime:
    """xs:dateTime, in UTC; without an offset it is what the zone's clock reads. Raises EwsViolation."""
    value = value.strip()
    found = date_time(value, what)
    rest = value[19:]
    if not (rest.endswith("Z") or "+" in rest or "-" in rest):
        found = to_utc(found.replace(tzinfo=None), zone)
    if not 2 <= found.year <= 9998:
        raise EwsViolation("ErrorCalendarOutOfRange", f"{what} is out of the calendar.")
    return found.astimezone(UTC).replace(microsecond=0)


def applied(draft: ThingDraft, item: Appointment, default: Zone, *, new: bool) -> Appointment:
    """The appointment with what the draft sets. Raises EwsViolation."""
    zone = _zone(draft.calendar, default if new else item.zone)
    made = msgspec.structs.replace(
        item, zone=zone, **_times(draft, item, zone, new=new), **_simple(draft, item, new=new)
    )
    if made.all_day:
        made = _whole_days(made)
    if made.end < made.start:
        raise EwsViolation("ErrorCalendarEndDateIsEarlierThanStartDate", "The item ends before it starts.")
    if made.end - made.start > MAX_LENGTH:
        raise EwsViolation("ErrorCalendarDurationIsTooLong", "A calendar item lasts five years at most.")
    return _recurring(draft, _attendees(draft, made), item)


def _times(draft: ThingDraft, item: Appointment, zone: Zone, *, new: bool) -> dict[str, datetime]:
    values = draft.calendar
    changes: dict[str, datetime] = {}
    if zone != item.zone and item.all_day and "Start" not in values and not new:
        # whole days stay the days they are
        changes = {
            name: to_utc(to_wall(at, item.zone), zone) for name, at in (("start", item.start), ("end", item.end))
        }
    for name, field in (("Start", "start"), ("End", "end")):
        if name in values:
            changes[field] = moment(text(values[name]), name, zone)
    if new and "start" in changes and "end" not in changes:
        changes["end"] = changes["start"] + USUAL_LENGTH
    return changes


def next_slot(now: datetime) -> tuple[datetime, datetime]:
    """Of an item without Start and End: the next half hour that begins, as in Exchange."""
    start = now.replace(minute=now.minute // 30 * 30, second=0, microsecond=0)
    if start < now:
        start += USUAL_LENGTH
    return start, start + USUAL_LENGTH


def _simple(draft: ThingDraft, item: Appointment, *, new: bool) -> dict[str, object]:
    values, removed = draft.calendar, draft.calendar_removed
    changes: dict[str, object] = {}
    for name, key in _TRUTHS.items():
        if name in values:
            changes[key] = boolean(text(values[name]), name)
        elif name in removed:
            changes[key] = name != "IsAllDayEvent"
    for name, key in (("LegacyFreeBusyStatus", "busy"), ("IntendedFreeBusyStatus", "intended_busy")):
        if name in values:
            word = choice(text(values[name]), (*BUSY, "NoData"), name)
            changes[key] = Busy.BUSY if word == "NoData" else Busy(BUSY.index(word))
        elif new and changes.get("all_day"):
            changes[key] = Busy.FREE
    if "Location" in values or "Location" in removed:
        changes["location"] = text(values["Location"])[:MAX_LOCATION] if "Location" in values else ""
    online = _conferencing(draft, item.conferencing)
    if online != item.conferencing:
        changes["conferencing"] = online
    if "UID" in values and new:
        uid = text(values["UID"]).strip()
        if len(uid) > MAX_UID:
            raise EwsViolation("ErrorInvalidArgument", f"UID has {MAX_UID} characters at most.")
        changes["uid"] = uid
    return changes


def _conferencing(draft: ThingDraft, before: Conferencing) -> Conferencing:
    values, removed = draft.calendar, draft.calendar_removed
    made = before
    if "ConferenceType" in values:
        made = msgspec.structs.replace(made, kind=integer(text(values["ConferenceType"]), "ConferenceType", 0, 2))
    elif "ConferenceType" in removed:
        made = msgspec.structs.replace(made, kind=None)
    for name, field in (("MeetingWorkspaceUrl", "workspace_url"), ("NetShowUrl", "net_show_url")):
        if name in values:
            made = msgspec.structs.replace(made, **{field: text(values[name]).strip()[:MAX_URL]})
        elif name in removed:
            made = msgspec.structs.replace(made, **{field: ""})
    return made


def _zone(values: Mapping[str, Element], default: Zone) -> Zone:
    for name in ("StartTimeZone", "EndTimeZone"):
        if name in values:
            return zone_xml.definition(values[name])
    for name in ("StartTimeZoneId", "EndTimeZoneId"):
        if name in values:
            return zone_xml.named(text(values[name]))
    if "MeetingTimeZone" in values:
        return zone_xml.meeting_zone(values["MeetingTimeZone"])
    return default


def _whole_days(item: Appointment) -> Appointment:
    """From midnight to midnight of the item's zone (MS-OXWSMTGS 2.2.4.10 IsAllDayEvent)."""
    start, end = to_wall(item.start, item.zone), to_wall(item.end, item.zone)
    first = datetime.combine(start.date(), datetime.min.time())
    last = datetime.combine(end.date(), datetime.min.time())
    if last < end:
        last += timedelta(days=1)
    if last <= first:
        last = first + timedelta(days=1)
    return msgspec.structs.replace(item, start=to_utc(first, item.zone), end=to_utc(last, item.zone))


def _attendees(draft: ThingDraft, item: Appointment) -> Appointment:
    kept = list(item.attendees)
    known = {each.person.key: each for each in kept}
    for name, role in ROLES.items():
        if name in draft.calendar_removed or name in draft.calendar:
            kept = [each for each in kept if each.role is not role]
        for key in (name, f"+{name}"):
            if key in draft.calendar:
                kept += [_attendee(one, role, known) for _, one in children(draft.calendar[key])]
    unique = {each.person.key: each for each in kept}
    if len(unique) > drafting.MAX_RECIPIENTS:
        raise EwsViolation("ErrorInvalidRecipients", f"A meeting has {drafting.MAX_RECIPIENTS} attendees at most.")
    return msgspec.structs.replace(item, attendees=tuple(unique.values()))


def _attendee(element: Element, role: Role, known: Mapping[str, Attendee]) -> Attendee:
    need(element, "Mailbox")
    box = drafting.single(element)
    person = Person(box.address, box.name)
    before = known.get(person.key)
    return Attendee(person, role) if before is None else msgspec.structs.replace(before, role=role)


def _recurring(draft: ThingDraft, item: Appointment, old: Appointment) -> Appointment:
    if "Recurrence" in draft.calendar_removed:
        return msgspec.structs.replace(item, recurrence=None, clock=None, deleted=(), modified=())
    given = draft.calendar.get("Recurrence")
    if given is None:
        moved = item.start != old.start or item.end != old.end or item.zone != old.zone
        if item.recurrence is None or not moved:
            return item
        # the series moves: it begins with its new start, and exceptions of the old days are none any more
        begins = to_wall(item.start, item.zone).date()
        series = item.recurrence
        if to_wall(old.start, old.zone).date() != begins:
            until = series.until if series.until is None or series.until >= begins else begins
            series = msgspec.structs.replace(series, start=begins, until=until)
        return msgspec.structs.replace(item, recurrence=series, clock=None, deleted=(), modified=())
    series = recurrence_xml.read(given)
    if item.recurrence == series and item.start == old.start and item.end == old.end:
        return item
    return first_of(msgspec.structs.replace(item, recurrence=series, clock=None, deleted=(), modified=()))


def first_of(item: Appointment) -> Appointment:
    """A series begins with its first occurrence, whatever Start says (MS-OXWSMTGS 2.2.4.10). Raises EwsViolation."""
    from_day = item.recurrence
    assert from_day is not None
    first = first_day(from_day)
    if first is None:
        raise EwsViolation(recurrence_xml.INVALID, "The recurrence has no occurrence.")
    wall = to_wall(item.start, item.zone)
    length = to_wall(item.end, item.zone) - wall
    begins = datetime.combine(first, wall.time())
    try:
        start, end = to_utc(begins, item.zone), to_utc(begins + length, item.zone)
    except OverflowError:
        raise EwsViolation("ErrorCalendarOutOfRange", "The series is out of the calendar.") from None
    return msgspec.structs.replace(item, start=start, end=max(start, end))


def proposed(values: Mapping[str, Element], zone: Zone) -> tuple[datetime, datetime] | None:
    """ProposedStart and ProposedEnd of a response; None: no other time. Raises EwsViolation."""
    if "ProposedStart" not in values and "ProposedEnd" not in values:
        return None
    if "ProposedStart" not in values or "ProposedEnd" not in values:
        raise EwsViolation("ErrorInvalidArgument", "A proposed time has a start and an end.")
    start = moment(text(values["ProposedStart"]), "ProposedStart", zone)
    end = moment(text(values["ProposedEnd"]), "ProposedEnd", zone)
    if end < start:
        raise EwsViolation("ErrorCalendarEndDateIsEarlierThanStartDate", "The proposed time ends before it starts.")
    return start, end


def context(headers: tuple[Element, ...], tag: str) -> Zone | None:
    """The zone of the TimeZoneContext header; None without it. Raises EwsViolation."""
    for header in headers:
        if header.tag == tag:
            found = child(header, "TimeZoneDefinition")
            return zone_xml.definition(found) if found is not None else None
    return None
