"""Appointments and tasks to iCalendar (MS-OXCICAL 2.1.3.1); strict, because everybody else has to read it."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote

from postern.convert.ical import vocabulary as words
from postern.convert.ical.rules import write_rule
from postern.convert.ical.syntax import component, escape, line
from postern.convert.ical.times import write_duration, write_time, write_utc
from postern.convert.ical.vtimezone import write_zone
from postern.model.calendar.appointment import Appointment, Attendee, Busy, Person, Role, State, Task, TaskStatus
from postern.model.calendar.series import last_day
from postern.model.calendar.views import wall_clock
from postern.model.calendar.zones import UTC_ZONE, Zone, to_utc, to_wall

PRODUCT = "-//Postern//Postern//EN"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAFE = "@.!#$&'*+/=?^_`{|}~-"


def write_calendar(
    items: Iterable[Appointment], *, method: str = "", tasks: Iterable[Task] = (), name: str = "", only: str = ""
) -> bytes:
    """A VCALENDAR with the zones that it needs. `only`: for a reply, the one attendee it names."""
    items = list(items)
    head = [line("VERSION", "2.0"), line("PRODID", PRODUCT)]
    if method:
        head.append(line("METHOD", method))
    if name:
        head.append(line("X-WR-CALNAME", escape(name)))
    zones = [write_zone(zone, *years) for zone, years in _zones(items).items()]
    events = [text for item in items for text in _events(item, method, only)]
    todos = [_task(task) for task in tasks]
    return component("VCALENDAR", [*head, *zones, *events, *todos]).encode("utf-8", "replace")


def _zones(items: Iterable[Appointment]) -> dict[Zone, tuple[int, int]]:
    """Each zone that is named, with the years it has to be right for; no more than a dozen after the first."""
    found: dict[Zone, tuple[int, int]] = {}
    for item in items:
        for each in (item, *(modified.item for modified in item.modified)):
            if each.zone.floating or each.zone == UTC_ZONE:
                continue
            first = each.start.year
            last = first
            if each.recurrence is not None:
                end = last_day(each.recurrence)
                last = min(end.year if end is not None else first + 12, first + 12)
            low, high = found.get(each.zone, (first, last))
            found[each.zone] = (min(low, first), max(high, last))
    return found


def _events(item: Appointment, method: str, only: str) -> Iterable[str]:
    yield _event(item, None, method, only)
    if item.recurrence is not None:
        for modified in item.modified:
            yield _event(modified.item, (item, modified.day), method, only)


def original_start(series: Appointment, day: date) -> datetime:
    """When the occurrence of that day was to begin, aware UTC: the value of RECURRENCE-ID."""
    wall = datetime.combine(day, wall_clock(series)[0].time())
    return wall.replace(tzinfo=UTC) if series.zone.floating else to_utc(wall, series.zone)


def _event(item: Appointment, exception: tuple[Appointment, date] | None, method: str, only: str) -> str:
    zone = item.zone
    dates = item.all_day and _at_midnight(item)
    lines = [line("UID", escape(item.uid))]
    if exception is not None:
        series, day = exception
        original = original_start(series, day)
        lines.append(
            write_time("RECURRENCE-ID", original, series.zone, all_day=series.all_day and _at_midnight(series))
        )
    elif item.instance_of is not None:
        lines.append(write_time("RECURRENCE-ID", item.instance_of, zone, all_day=dates))
    lines.append(write_utc("DTSTAMP", item.stamp or item.modified_at or _EPOCH))
    lines.append(write_time("DTSTART", item.start, zone, all_day=dates, clock=item.clock))
    if item.clock is None:
        lines.append(write_time("DTEND", item.end, zone, all_day=dates))
    else:
        lines.append(line("DURATION", write_duration(wall_clock(item)[1])))
    lines += _recurring(item, dates=dates)
    lines += _described(item)
    lines += _people(item, method, only)
    lines.append(line("SEQUENCE", str(item.sequence)))
    for name, at in (("CREATED", item.created_at), ("LAST-MODIFIED", item.modified_at)):
        if at is not None:
            lines.append(write_utc(name, at))
    lines += _microsoft(item)
    if item.reminder_minutes is not None and method in ("", "REQUEST", "PUBLISH"):
        trigger = write_duration(-timedelta(minutes=item.reminder_minutes))
        alarm = [line("ACTION", "DISPLAY"), line("DESCRIPTION", "REMINDER"), line("TRIGGER", trigger)]
        lines.append(component("VALARM", alarm))
    return component("VEVENT", lines)


def _at_midnight(item: Appointment) -> bool:
    """A whole day that is not from midnight to midnight of its own zone can only be said with times."""
    if item.zone.floating:
        return True
    start, end = to_wall(item.start, item.zone), to_wall(item.end, item.zone)
    return start.time() == end.time() == start.time().min


def _recurring(item: Appointment, *, dates: bool) -> list[str]:
    if item.recurrence is None:
        return []
    wall, _length = wall_clock(item)
    rule = write_rule(item.recurrence, wall, item.zone)
    if dates and item.recurrence.until is not None:
        # UNTIL is of the type of DTSTART (RFC 5545 3.3.10)
        last = last_day(item.recurrence) or item.recurrence.until
        parts = [part for part in rule.split(";") if not part.startswith("UNTIL=")]
        rule = ";".join([*parts, f"UNTIL={last.year:04d}{last:%m%d}"])
    lines = [line("RRULE", rule)]
    lines += [write_time("EXDATE", original_start(item, day), item.zone, all_day=dates) for day in item.deleted]
    return lines


def _described(item: Appointment) -> list[str]:
    lines = [line("SUMMARY", escape(item.subject))]
    if item.location:
        lines.append(line("LOCATION", escape(item.location)))
    if item.text:
        lines.append(line("DESCRIPTION", escape(item.text)))
    if item.html:
        lines.append(line("X-ALT-DESC", escape(item.html), {"FMTTYPE": "text/html"}))
    if item.categories:
        lines.append(line("CATEGORIES", ",".join(escape(name) for name in item.categories)))
    if item.url:
        lines.append(line("URL", item.url.replace("\n", "")))
    lines.append(line("CLASS", words.CLASS_WRITTEN[item.sensitivity]))
    lines.append(line("PRIORITY", words.PRIORITY_WRITTEN[item.importance]))
    lines.append(line("TRANSP", "TRANSPARENT" if item.busy is Busy.FREE else "OPAQUE"))
    confirmed = "TENTATIVE" if item.busy is Busy.TENTATIVE and not item.is_meeting else "CONFIRMED"
    lines.append(line("STATUS", "CANCELLED" if item.is_canceled else confirmed))
    for each in item.attachments:
        parameters = {"FMTTYPE": each.content_type}
        if each.uri:
            lines.append(line("ATTACH", each.uri.replace("\n", ""), parameters))
        else:
            coded = base64.b64encode(each.content).decode()
            given = {**parameters, "ENCODING": "BASE64", "VALUE": "BINARY", "X-FILENAME": each.name}
            lines.append(line("ATTACH", coded, given))
    return lines


def _people(item: Appointment, method: str, only: str) -> list[str]:
    lines = []
    if item.organizer is not None and (item.attendees or item.state & State.MEETING):
        lines.append(_person("ORGANIZER", item.organizer, {}))
    for attendee in item.attendees:
        if only and attendee.person.key != only.casefold():
            continue
        lines.append(_attendee(attendee, item, method))
    return lines


def _attendee(attendee: Attendee, item: Appointment, method: str) -> str:
    given = {
        "CUTYPE": "RESOURCE" if attendee.role is Role.RESOURCE else "",
        "ROLE": words.ROLE_WRITTEN[attendee.role],
        "PARTSTAT": words.PARTSTAT_WRITTEN[attendee.response],
    }
    if method not in ("REPLY", "CANCEL", "PUBLISH"):
        given["RSVP"] = "TRUE" if item.response_requested else "FALSE"
    return _person("ATTENDEE", attendee.person, given)


def _person(name: str, person: Person, parameters: dict[str, str]) -> str:
    address = "".join(each if ord(each) > 127 else quote(each, safe=_SAFE) for each in person.address)
    return line(name, f"mailto:{address}", {**parameters, "CN": person.name.replace('"', "'")})


def _microsoft(item: Appointment) -> list[str]:
    names = {value: word for word, value in words.BUSY.items()}
    lines = [
        line("X-MICROSOFT-CDO-BUSYSTATUS", names[item.busy]),
        line("X-MICROSOFT-CDO-INTENDEDSTATUS", names[item.intended_busy]),
        line("X-MICROSOFT-CDO-IMPORTANCE", str(int(item.importance))),
        line("X-MICROSOFT-CDO-ALLDAYEVENT", "TRUE" if item.all_day else "FALSE"),
        line("X-MICROSOFT-DISALLOW-COUNTER", "FALSE" if item.counter_allowed else "TRUE"),
    ]
    online = item.conferencing
    if online.kind is not None:
        lines.append(line("X-MS-OLK-CONFTYPE", str(online.kind)))
    if online.workspace_url:
        lines.append(line("X-MS-OLK-MWSURL", escape(online.workspace_url)))
    if online.net_show_url:
        lines.append(line("X-MS-OLK-NETSHOWURL", escape(online.net_show_url)))
    if item.is_meeting and item.stamp is not None:
        lines.append(write_utc("X-MICROSOFT-CDO-OWNER-CRITICAL-CHANGE", item.stamp))
    return lines


def _task(task: Task) -> str:
    lines = [line("UID", escape(task.uid)), write_utc("DTSTAMP", task.modified_at or _EPOCH)]
    for name, day in (("DTSTART", task.start), ("DUE", task.due)):
        if day is not None:
            lines.append(line(name, f"{day.year:04d}{day:%m%d}", {"VALUE": "DATE"}))
    if task.recurrence is not None and not task.recurrence.pattern.kind.regeneration:
        first = datetime.combine(task.recurrence.start, datetime.min.time())
        lines.append(line("RRULE", write_rule(task.recurrence, first, Zone(""))))
    lines.append(line("SUMMARY", escape(task.subject)))
    if task.text:
        lines.append(line("DESCRIPTION", escape(task.text)))
    if task.categories:
        lines.append(line("CATEGORIES", ",".join(escape(name) for name in task.categories)))
    lines.append(line("CLASS", words.CLASS_WRITTEN[task.sensitivity]))
    lines.append(line("PRIORITY", words.PRIORITY_WRITTEN[task.importance]))
    lines.append(line("STATUS", words.TASK_WRITTEN[task.status]))
    lines.append(line("PERCENT-COMPLETE", str(100 if task.status is TaskStatus.COMPLETED else task.percent)))
    if task.completed_at is not None:
        lines.append(write_utc("COMPLETED", task.completed_at))
    if task.reminder_at is not None:
        alarm = [line("ACTION", "DISPLAY"), line("DESCRIPTION", "REMINDER")]
        at = task.reminder_at.astimezone(UTC)
        alarm.append(line("TRIGGER", f"{at.year:04d}{at:%m%dT%H%M%S}Z", {"VALUE": "DATE-TIME"}))
        lines.append(component("VALARM", alarm))
    return component("VTODO", lines)
