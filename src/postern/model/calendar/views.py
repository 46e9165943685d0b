"""What of an appointment lies in a window of time. Costs what it shows, however long ago a series began."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import NamedTuple

import msgspec

from postern.model.calendar.appointment import Appointment, ModifiedOccurrence
from postern.model.calendar.series import first_day, is_occurrence, last_day, ordinals_between
from postern.model.calendar.zones import Zone, to_utc, to_wall, tzinfo_of

MAX_SPAN = timedelta(days=5 * 366)
"""An appointment longer than this counts as so long in searching a window (EWS: ErrorCalendarDurationIsTooLong)."""
_EARLY = datetime.min.replace(tzinfo=UTC)
_LATE = datetime.max.replace(tzinfo=UTC)
_TWO_DAYS = 2
_LAST_ORDINAL = date.max.toordinal()


class Occurrence(NamedTuple):
    """One occurrence: aware UTC, the half-open interval, and the item that describes it."""

    start: datetime
    end: datetime
    item: Appointment
    """The exception where there is one, else the series; its own `start` and `end` are then not this one's."""
    day: date | None
    """Which occurrence of the series: its original day in the zone; None for what does not recur."""


def zone_of(item: Appointment, viewer: Zone) -> Zone:
    """The zone that an appointment is computed in."""
    return viewer if item.zone.floating else item.zone


def span(item: Appointment, viewer: Zone) -> tuple[datetime, datetime]:
    """Start and end; those of a floating appointment lie in the viewer's zone."""
    if not item.zone.floating:
        return item.start, item.end
    return to_utc(item.start.replace(tzinfo=None), viewer), to_utc(item.end.replace(tzinfo=None), viewer)


def occurrences(
    item: Appointment, start: datetime, end: datetime, viewer: Zone, limit: int | None = None
) -> list[Occurrence]:
    """Those that touch the window [start, end), by start, at most `limit`; one of no length counts at its start."""
    if item.recurrence is None:
        begins, ends = span(item, viewer)
        return [Occurrence(begins, ends, item, None)] if _touches(begins, ends, start, end) else []
    found = [
        Occurrence(begins, ends, modified.item, modified.day)
        for modified in item.modified
        for begins, ends in [span(modified.item, viewer)]
        if _touches(begins, ends, start, end)
    ]
    regular = _regular(item, start, end, zone_of(item, viewer))
    if limit is None:
        found += regular
    else:
        for _number, occurrence in zip(range(limit), regular, strict=False):
            found.append(occurrence)
    found.sort(key=lambda occurrence: occurrence[0])
    return found[:limit]


def _touches(begins: datetime, ends: datetime, start: datetime, end: datetime) -> bool:
    return begins < end and (ends > start or (begins == ends and begins >= start))


def _regular(item: Appointment, start: datetime, end: datetime, zone: Zone) -> Iterator[Occurrence]:
    recurrence = item.recurrence
    assert recurrence is not None
    wall, length = wall_clock(item)
    if length < timedelta(0):
        return
    # no zone is more than a day from UTC; what begins earlier may still go on
    reach = min(length, MAX_SPAN).days + _TWO_DAYS
    low = start.toordinal() - reach
    high = min(end.toordinal() + 1, _LAST_ORDINAL)
    skipped = _skipped(item, low, high)
    seconds, day_over = wall.time(), length
    clock = tzinfo_of(zone)
    for ordinal in ordinals_between(recurrence, low, high):
        if ordinal in skipped:
            continue
        day = date.fromordinal(ordinal)
        local = datetime.combine(day, seconds)
        try:
            begins, ends = _utc(local, clock), _utc(local + day_over, clock)
        except OverflowError:
            return
        if begins >= end:
            return
        ends = max(begins, ends)  # a short one across a clock put forward
        if _touches(begins, ends, start, end):
            yield Occurrence(begins, ends, item, day)


def _utc(local: datetime, clock: timezone | object) -> datetime:
    offset = local.replace(tzinfo=clock).utcoffset()  # type: ignore[arg-type]
    return (local - offset).replace(tzinfo=UTC) if offset is not None else local.replace(tzinfo=UTC)


def _skipped(item: Appointment, low: int, high: int) -> set[int]:
    skipped: set[int] = set()
    if item.deleted:
        first = bisect_left(item.deleted, date.fromordinal(max(1, low)))
        for day in item.deleted[first:]:
            if day.toordinal() > high:
                break
            skipped.add(day.toordinal())
    skipped.update(modified.day.toordinal() for modified in item.modified)
    return skipped


def wall_clock(item: Appointment) -> tuple[datetime, timedelta]:
    """What a wall clock reads at the start, and how long it takes by it (MS-OXOCAL StartTimeOffset, EndTimeOffset)."""
    if item.zone.floating:
        return item.start.replace(tzinfo=None), item.end - item.start
    wall = to_wall(item.start, item.zone)
    length = to_wall(item.end, item.zone) - wall
    return (wall if item.clock is None else datetime.combine(wall.date(), item.clock)), length


def occurrence_on(item: Appointment, day: date, viewer: Zone) -> Occurrence | None:
    """The occurrence whose original day this is, also if it is modified; None if it is deleted or there is none."""
    if item.recurrence is None or day in item.deleted:
        return None
    for modified in item.modified:
        if modified.day == day:
            return Occurrence(*span(modified.item, viewer), modified.item, day)
    if not is_occurrence(item.recurrence, day):
        return None
    wall, length = wall_clock(item)
    local = datetime.combine(day, wall.time())
    zone = zone_of(item, viewer)
    begins = to_utc(local, zone)
    try:
        ends = to_utc(local + length, zone)
    except OverflowError:
        ends = _LATE
    return Occurrence(begins, max(begins, ends), item, day)


def day_of_original(item: Appointment, original_start: datetime) -> date:
    """Which occurrence an original start time (RECURRENCE-ID) means: its day in the series' zone."""
    if item.zone.floating:
        return original_start.date()
    return to_wall(original_start, item.zone).date()


def bounds(item: Appointment, viewer: Zone) -> tuple[datetime, datetime]:
    """From the first start to the last end of everything in it (PidLidClipStart, ClipEnd): what an index keeps.

    A series without an end ends with the calendar. One without any occurrence has its own start and end.
    """
    begins, ends = span(item, viewer)
    if item.recurrence is None:
        return begins, ends
    first = first_day(item.recurrence)
    if first is None:
        return begins, ends
    plain = _without_exceptions(item)
    at = occurrence_on(plain, first, viewer)
    if at is not None:
        begins, ends = at.start, at.end
    endless = item.recurrence.count is None and item.recurrence.until is None
    last = last_day(item.recurrence)
    if endless or last is None:
        ends = _LATE
    else:
        at = occurrence_on(plain, last, viewer)
        if at is not None:
            ends = max(ends, at.end)
    for modified in item.modified:
        start, end = span(modified.item, viewer)
        begins, ends = min(begins, start), max(ends, end)
    return max(begins, _EARLY), ends


def _without_exceptions(item: Appointment) -> Appointment:
    return msgspec.structs.replace(item, deleted=(), modified=())


def with_modified(item: Appointment, day: date, changed: Appointment) -> Appointment:
    """The series with one occurrence replaced; it is an exception from now on, and not deleted."""
    kept = [modified for modified in item.modified if modified.day != day]
    kept.append(
        ModifiedOccurrence(day, msgspec.structs.replace(changed, recurrence=None, clock=None, deleted=(), modified=()))
    )
    kept.sort(key=lambda modified: modified.day)
    return msgspec.structs.replace(
        item, modified=tuple(kept), deleted=tuple(gone for gone in item.deleted if gone != day)
    )


def with_deleted(item: Appointment, day: date) -> Appointment:
    """The series without one occurrence."""
    return msgspec.structs.replace(
        item,
        deleted=tuple(sorted({*item.deleted, day})),
        modified=tuple(modified for modified in item.modified if modified.day != day),
    )


def is_day_of(item: Appointment, day: date) -> bool:
    """Whether a series has, or had before it was deleted, an occurrence on a day."""
    return item.recurrence is not None and is_occurrence(item.recurrence, day)
