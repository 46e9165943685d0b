"""One VEVENT or VTODO to an appointment or a task (MS-OXCICAL 2.1.3.1.1.20)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from urllib.parse import unquote

from postern.convert.ical import vocabulary as words
from postern.convert.ical.rules import read_rule
from postern.convert.ical.syntax import Component, Property, split_list
from postern.convert.ical.times import Moment, read_duration, read_time
from postern.model.calendar.appointment import (
    NOT_ONLINE,
    Appointment,
    Attachment,
    Attendee,
    Busy,
    Conferencing,
    Importance,
    Person,
    State,
    Task,
    TaskStatus,
)
from postern.model.calendar.zones import Zone, to_utc, to_wall
from postern.model.refusal import ProtocolViolation

MAX_ATTENDEES = 5000
MAX_ATTACHMENTS = 100
MAX_TEXT = 2 * 1024 * 1024
MAX_URL = 2000
MAX_SUBJECT = 255
"""Characters, as Outlook has them (MS-OXCICAL 2.1.3.1.1.20.25)."""
_DAY = timedelta(days=1)


def read_event(component: Component, uid: str, zones: Mapping[str, Zone]) -> tuple[Appointment, Moment]:
    """The appointment, without its recurrence, and its start as written. Raises ProtocolViolation without a start."""
    found = component.first("DTSTART")
    if found is None:
        raise ProtocolViolation("an event without DTSTART")
    start = read_time(found, zones)
    length = read_length(component, start, zones)
    all_day = start.is_date or component.text("X-MICROSOFT-CDO-ALLDAYEVENT").upper() == "TRUE"
    status = component.text("STATUS").upper()
    organizer = component.first("ORGANIZER")
    attendees = _attendees(component)
    meeting = State.MEETING if organizer is not None and attendees else State.NONE
    busy = _busy(component, status)
    item = Appointment(
        uid=uid,
        start=start.utc,
        end=_end(start, length),
        zone=start.zone,
        clock=_left_out(start),
        all_day=all_day,
        subject=_line(component.text("SUMMARY"))[:MAX_SUBJECT],
        location=_line(component.text("LOCATION"))[:MAX_SUBJECT],
        text=component.text("DESCRIPTION")[:MAX_TEXT],
        html=_html(component),
        busy=busy,
        intended_busy=words.meaning(words.BUSY, component.text("X-MICROSOFT-CDO-INTENDEDSTATUS"), busy),
        sensitivity=words.meaning(words.CLASS, component.text("CLASS"), words.CLASS["PUBLIC"]),
        importance=_importance(component),
        categories=_categories(component),
        reminder_minutes=_reminder(component, start, length),
        organizer=_person(organizer) if organizer is not None else None,
        attendees=attendees,
        state=meeting | (State.CANCELED if status == "CANCELLED" else State.NONE),
        sequence=_number(component.text("SEQUENCE")),
        stamp=_at(component, "X-MICROSOFT-CDO-OWNER-CRITICAL-CHANGE") or _at(component, "DTSTAMP"),
        created_at=_at(component, "CREATED"),
        modified_at=_at(component, "LAST-MODIFIED"),
        response_requested=any(each.parameter("RSVP").upper() == "TRUE" for each in component.all("ATTENDEE"))
        or not attendees,
        counter_allowed=component.text("X-MICROSOFT-DISALLOW-COUNTER").upper() != "TRUE",
        url=_line(component.text("URL"))[:2000],
        conferencing=_conferencing(component),
        attachments=_attachments(component),
    )
    return item, start


def read_length(component: Component, start: Moment, zones: Mapping[str, Zone]) -> timedelta:
    """By the wall clock; an end before the start counts as no length (RFC 5545 3.6.1 says what holds without end)."""
    end, duration = component.first("DTEND"), component.first("DURATION")
    if end is not None:
        until = read_time(end, zones)
        if until.zone != start.zone and not until.is_date and not until.zone.floating:
            return max(until.utc - start.utc, timedelta())
        return max(until.wall - start.wall, timedelta())
    if duration is not None:
        return max(read_duration(duration.value), timedelta())
    return _DAY if start.is_date else timedelta()


def _left_out(start: Moment) -> time | None:
    return None if start.zone.floating or to_wall(start.utc, start.zone) == start.wall else start.wall.time()


def _end(start: Moment, length: timedelta) -> datetime:
    try:
        wall = start.wall + length
    except OverflowError:
        raise ProtocolViolation("an event that ends after the year 9999") from None
    end = wall.replace(tzinfo=UTC) if start.zone.floating else to_utc(wall, start.zone)
    return max(end, start.utc)


def read_task(component: Component, zones: Mapping[str, Zone]) -> Task:
    """A task with its rule. Raises ProtocolViolation for times that are none."""
    begin, due, done = component.first("DTSTART"), component.first("DUE"), component.first("COMPLETED")
    start = read_time(begin, zones) if begin is not None else None
    end = read_time(due, zones) if due is not None else None
    status = words.meaning(words.TASK, component.text("STATUS"), TaskStatus.NOT_STARTED)
    percent = 100 if status is TaskStatus.COMPLETED else min(_number(component.text("PERCENT-COMPLETE")), 100)
    rule = component.first("RRULE")
    first = start or end
    recurrence = None
    if rule is not None and first is not None:
        recurrence = read_rule(rule.value, first.wall, first.zone).recurrence
    return Task(
        uid=component.text("UID").strip(),
        subject=_line(component.text("SUMMARY"))[:MAX_SUBJECT],
        text=component.text("DESCRIPTION")[:MAX_TEXT],
        start=start.wall.date() if start is not None else None,
        due=end.wall.date() if end is not None else None,
        completed_at=read_time(done, zones).utc if done is not None else None,
        status=TaskStatus.COMPLETED if done is not None else status,
        percent=100 if done is not None else percent,
        importance=_importance(component),
        sensitivity=words.meaning(words.CLASS, component.text("CLASS"), words.CLASS["PUBLIC"]),
        categories=_categories(component),
        reminder_at=_alarm_time(component, start, end, zones),
        recurrence=recurrence,
        modified_at=_at(component, "LAST-MODIFIED"),
    )


def _conferencing(component: Component) -> Conferencing:
    """MS-OXCICAL 2.1.3.1.1.20.52 and its neighbours."""
    kind = component.text("X-MS-OLK-CONFTYPE").strip()
    workspace, show = component.text("X-MS-OLK-MWSURL"), component.text("X-MS-OLK-NETSHOWURL")
    known = int(kind) if kind in ("0", "1", "2") else None
    if known is None and not workspace and not show:
        return NOT_ONLINE
    return Conferencing(known, _line(workspace)[:MAX_URL], _line(show)[:MAX_URL])


def _line(text: str) -> str:
    return " ".join(text.split())


def _number(text: str) -> int:
    try:
        return max(0, min(int(text), 2**31 - 1))
    except ValueError:
        return 0


def _at(component: Component, name: str) -> datetime | None:
    found = component.first(name)
    if found is None:
        return None
    try:
        return read_time(found, {}).utc
    except ProtocolViolation:
        return None


def _busy(component: Component, status: str) -> Busy:
    default = Busy.TENTATIVE if status == "TENTATIVE" else Busy.BUSY
    if component.text("TRANSP").upper() == "TRANSPARENT":
        default = Busy.FREE
    return words.meaning(words.BUSY, component.text("X-MICROSOFT-CDO-BUSYSTATUS"), default)


def _importance(component: Component) -> Importance:
    given = component.text("X-MICROSOFT-CDO-IMPORTANCE").strip()
    return Importance(int(given)) if given in ("0", "1", "2") else words.importance(component.text("PRIORITY"))


def _categories(component: Component) -> tuple[str, ...]:
    names = [name[:MAX_SUBJECT] for each in component.all("CATEGORIES") for name in split_list(each.value)]
    return tuple(dict.fromkeys(names))[:100]


def _html(component: Component) -> str:
    for each in component.all("X-ALT-DESC"):
        if each.parameter("FMTTYPE").lower() == "text/html":
            return each.text[:MAX_TEXT]
    return ""


def _person(found: Property) -> Person:
    address = found.value.strip()
    if address.lower().startswith("mailto:"):
        address = unquote(address[7:])
    if "@" not in address and found.parameter("EMAIL"):
        address = found.parameter("EMAIL")
    return Person(_line(address)[:320], _line(found.parameter("CN").strip('"'))[:MAX_SUBJECT])


def _attendees(component: Component) -> tuple[Attendee, ...]:
    found: dict[str, Attendee] = {}
    for each in component.all("ATTENDEE")[:MAX_ATTENDEES]:
        person = _person(each)
        if person.address:
            found.setdefault(
                person.key,
                Attendee(
                    person,
                    words.role(each.parameter("ROLE"), each.parameter("CUTYPE")),
                    words.meaning(words.PARTSTAT, each.parameter("PARTSTAT"), words.PARTSTAT["NEEDS-ACTION"]),
                ),
            )
    return tuple(found.values())


def _reminder(component: Component, start: Moment, length: timedelta) -> int | None:
    """Minutes before the start, of the first alarm that shows something."""
    for alarm in component.walk("VALARM"):
        trigger = alarm.first("TRIGGER")
        if trigger is None or alarm.text("ACTION").upper() == "EMAIL":
            continue
        try:
            if "T" in trigger.value.upper() and trigger.value[:4].isdigit():
                before = start.utc - read_time(trigger, {}).utc
            else:
                before = -read_duration(trigger.value)
                if trigger.parameter("RELATED").upper() == "END":
                    before -= length
        except ProtocolViolation:
            continue
        return max(0, min(int(before.total_seconds() // 60), 2_628_000))
    return None


def _alarm_time(
    component: Component, start: Moment | None, due: Moment | None, zones: Mapping[str, Zone]
) -> datetime | None:
    for alarm in component.walk("VALARM"):
        trigger = alarm.first("TRIGGER")
        if trigger is None:
            continue
        try:
            if trigger.value[:4].isdigit():
                return read_time(trigger, zones).utc
            anchor = due if trigger.parameter("RELATED").upper() == "END" else start or due
            if anchor is not None:
                return anchor.utc + read_duration(trigger.value)
        except (ProtocolViolation, OverflowError):
            continue
    return None


def _attachments(component: Component) -> tuple[Attachment, ...]:
    made = []
    for each in component.all("ATTACH")[:MAX_ATTACHMENTS]:
        name = _line(each.parameter("FILENAME") or each.parameter("X-FILENAME"))[:MAX_SUBJECT]
        kind = each.parameter("FMTTYPE") or "application/octet-stream"
        if each.parameter("ENCODING").upper() == "BASE64" or each.parameter("VALUE").upper() == "BINARY":
            try:
                content = base64.b64decode("".join(each.value.split()), validate=True)
            except (binascii.Error, ValueError):
                continue
            made.append(Attachment(name or "attachment", kind, content))
        elif each.value.strip():
            uri = each.value.strip()[:4000]
            made.append(Attachment(name or uri.rpartition("/")[2][:MAX_SUBJECT] or "attachment", kind, uri=uri))
    return tuple(made)
