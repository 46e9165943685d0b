"""iCalendar to appointments and tasks (MS-OXCICAL 2.1.3). What cannot be read is left out and named."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

import msgspec

from postern.convert.ical import event
from postern.convert.ical.expanding import MAX_DATES
from postern.convert.ical.rules import Repetition, read_rule
from postern.convert.ical.syntax import Component, Property, read
from postern.convert.ical.times import Moment, read_time
from postern.convert.ical.vtimezone import read_zones
from postern.model.calendar.appointment import Appointment, ModifiedOccurrence, Task
from postern.model.calendar.views import day_of_original, wall_clock
from postern.model.calendar.zones import FLOATING, Zone, to_utc
from postern.model.refusal import ProtocolViolation

MAX_EXCEPTIONS = 2000
_METHODS = frozenset({"PUBLISH", "REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"})


class CalendarText(msgspec.Struct, frozen=True):
    """What was in a calendar."""

    method: str
    """Upper case; empty for a mere calendar, or for a method that is none."""
    product: str
    appointments: tuple[Appointment, ...]
    tasks: tuple[Task, ...]
    problems: tuple[str, ...]
    """What was left out or cut, for a log."""


def read_calendar(
    data: bytes, *, charset: str = "utf-8", method: str = "", default_zone: Zone = FLOATING
) -> CalendarText:
    """Everything in some VCALENDARs. `method`: of the MIME part; the calendar's own one counts first.

    Times in zones that nobody knows are times of `default_zone`. Raises ProtocolViolation if it is no calendar.
    """
    appointments: list[Appointment] = []
    tasks: list[Task] = []
    problems: list[str] = []
    product = ""
    for calendar in read(data, charset):
        method = calendar.text("METHOD") or method
        product = product or calendar.text("PRODID")
        zones = read_zones(calendar, _years(calendar), default_zone)
        by_uid: dict[str, list[Component]] = {}
        for number, component in enumerate(calendar.walk("VEVENT")):
            by_uid.setdefault(component.text("UID").strip() or f"postern-without-uid-{number}", []).append(component)
        for uid, components in by_uid.items():
            appointments += _series(uid, components, zones, product, problems)
        for component in calendar.walk("VTODO"):
            try:
                tasks.append(event.read_task(component, zones))
            except ProtocolViolation as problem:
                problems.append(str(problem))
    method = method.strip().upper()
    return CalendarText(
        method if method in _METHODS else "", product, tuple(appointments), tuple(tasks), tuple(problems)
    )


def _years(calendar: Component) -> tuple[int, int]:
    """The years of the first and the last thing that begins: what a zone's name has to be right for."""
    years = [
        int(found.value[:4])
        for each in calendar.components
        if each.name != "VTIMEZONE" and (found := each.first("DTSTART")) is not None and found.value[:4].isdecimal()
    ]
    return (min(years), max(years)) if years else (2026, 2026)


def _series(
    uid: str, components: list[Component], zones: Mapping[str, Zone], product: str, problems: list[str]
) -> list[Appointment]:
    """The appointments of one UID: a series with its exceptions, or occurrences that stand for themselves."""
    masters, instances = [], []
    for component in components[:MAX_EXCEPTIONS]:
        try:
            item, start = event.read_event(component, uid, zones)
            original = component.first("RECURRENCE-ID")
            if original is None:
                masters.append((item, start, component))
            else:
                instances.append((item, read_time(original, zones)))
        except ProtocolViolation as problem:
            problems.append(f"{uid[:80]}: {problem}")
    if not masters:
        return [_alone(item, original) for item, original in instances]
    # two masters of one UID: the newer one counts
    item, start, component = max(masters, key=lambda each: each[0].sequence)
    try:
        made = _repeating(item, start, component, zones, product, problems)
    except ProtocolViolation as problem:
        problems.append(f"{uid[:80]}: {problem}")
        made = [item]
    series = made[0]
    if series.recurrence is None:
        changed = {original.utc: _alone(item, original) for item, original in instances}
        return [changed.pop(each.instance_of or each.start, each) for each in made] + list(changed.values())
    return [_with_exceptions(series, instances), *made[1:]]


def _alone(item: Appointment, original: Moment) -> Appointment:
    return msgspec.structs.replace(item, instance_of=original.utc)


def _day(series: Appointment, original: Moment) -> date:
    if original.is_date or (original.zone.floating and not series.zone.floating):
        return original.wall.date()
    return day_of_original(series, original.utc)


def _with_exceptions(series: Appointment, instances: list[tuple[Appointment, Moment]]) -> Appointment:
    modified: dict[date, Appointment] = {}
    deleted = set(series.deleted)
    for item, original in instances:
        day = _day(series, original)
        if item.is_canceled and not series.is_canceled:
            deleted.add(day)
            modified.pop(day, None)
        elif day not in modified or modified[day].sequence <= item.sequence:
            modified[day] = item
            deleted.discard(day)
    return msgspec.structs.replace(
        series,
        deleted=tuple(sorted(deleted)),
        modified=tuple(ModifiedOccurrence(day, item) for day, item in sorted(modified.items())),
    )


def _repeating(
    item: Appointment,
    start: Moment,
    component: Component,
    zones: Mapping[str, Zone],
    product: str,
    problems: list[str],
) -> list[Appointment]:
    """The series, and what else its dates make: first the series, or single occurrences if it cannot be said as one."""
    rule = component.first("RRULE") or component.first("X-MICROSOFT-RRULE")
    more = [
        Moment(at.wall, start.zone, at.is_date) if at.zone.floating else at
        for found in component.all("RDATE")
        for at in _times(found, zones)
    ][:MAX_DATES]
    if rule is None and not more:
        return [item]
    outlook = "microsoft" in product.lower() or "postern" in product.lower()
    found = read_rule(rule.value, start.wall, start.zone, outlook=outlook) if rule is not None else Repetition()
    if not found.complete:
        problems.append(
            f"{item.uid[:80]}: the rule {rule.value[:120] if rule else ''} is cut or differs in short months"
        )
    gone = {
        _day(item, at if not at.zone.floating else Moment(at.wall, start.zone, at.is_date))
        for each in component.all("EXDATE")
        for at in _times(each, zones)
    }
    added = [_moved(item, at.utc) for at in more if at.utc != item.start and _day(item, at) not in gone]
    if found.recurrence is not None:
        deleted = tuple(sorted(gone | set(found.deleted))[:10_000])
        return [msgspec.structs.replace(item, recurrence=found.recurrence, deleted=deleted), *added]
    if not found.dates and not added:
        return [item]
    starts = [start.wall, *found.dates] if not found.dates or found.dates[0] != start.wall else list(found.dates)
    utc = [at.replace(tzinfo=UTC) if start.zone.floating else to_utc(at, start.zone) for at in starts]
    alone = [_moved(item, at) for at, wall in zip(utc, starts, strict=True) if wall.date() not in gone]
    together = {each.start: each for each in alone + added}
    return [together[at] for at in sorted(together)] or [item]


def _moved(item: Appointment, start: datetime) -> Appointment:
    """One occurrence that stands for itself, at another time of the same wall clock length."""
    length = wall_clock(item)[1]
    try:
        end = start + length
    except OverflowError:
        end = start
    return msgspec.structs.replace(item, start=start, end=end, instance_of=start)


def _times(found: Property, zones: Mapping[str, Zone]) -> list[Moment]:
    made = []
    for value in found.value.split(",")[:10_000]:
        try:
            made.append(read_time(Property(found.name, value.partition("/")[0], found.parameters), zones))
        except ProtocolViolation:
            continue
    return made
