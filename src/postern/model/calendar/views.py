"""What of an appointment lies in a window of time. Costs what it shows, however long ago a series began."""

from __future__ import annotations

from collections.abc import Iterator, Set
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from math import floor
from typing import NamedTuple, TypeAlias, TypeVar

import msgspec

from postern.model.calendar.appointment import Appointment, ModifiedOccurrence
from postern.model.calendar.clocks import DAY_S, EPOCH_ORDINAL, LAST_ORDINAL, STEADY_DAYS, steady, utc_of
from postern.model.calendar.recurrence import Recurrence
from postern.model.calendar.series import Days, first_day, is_occurrence, last_day
from postern.model.calendar.zones import Zone, to_utc, to_wall, tzinfo_of

MAX_SPAN = timedelta(days=5 * 366)
"""An appointment longer than this counts as so long in searching a window (EWS: ErrorCalendarDurationIsTooLong)."""
_EARLY = datetime.min.replace(tzinfo=UTC)
_LATE = datetime.max.replace(tzinfo=UTC)
_TWO_DAYS = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_At = TypeVar("_At", int, datetime)

Span: TypeAlias = tuple[int, int, Appointment, int | None]
"""Start and end in seconds since the epoch, the item that describes it, the ordinal of its original day."""


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
    found = []
    for first, last, shown, ordinal in spans(item, seconds(start), seconds(end), viewer, limit):
        day = date.fromordinal(ordinal) if ordinal is not None else None
        if shown is item:
            found.append(Occurrence(_datetime(first), _datetime(last), shown, day))
        else:
            found.append(Occurrence(*span(shown, viewer), shown, day))
    return found


def spans(item: Appointment, start: int, end: int, viewer: Zone, limit: int | None = None) -> list[Span]:
    """The same in whole seconds since the epoch, for those who look at thousands."""
    if item.recurrence is None:
        begins, ends = span(item, viewer)
        first, last = seconds(begins), seconds(ends)
        return [(first, last, item, None)] if _touches(first, last, start, end) else []
    found: list[Span] = []
    for modified in item.modified:
        first, last = (seconds(at) for at in span(modified.item, viewer))
        if _touches(first, last, start, end):
            found.append((first, last, modified.item, modified.day.toordinal()))
    regular = _regular(item, start, end, zone_of(item, viewer))
    found += regular if limit is None else islice(regular, limit)
    if item.modified:
        found.sort(key=lambda each: each[0])
    return found[:limit]


def seconds(at: datetime) -> int:
    """Since the epoch, of an aware time; parts of a second are dropped."""
    return floor(at.timestamp())


def _datetime(at: int) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=at)
    except OverflowError:
        return _EARLY if at < 0 else _LATE


def _touches(begins: _At, ends: _At, start: _At, end: _At) -> bool:
    return begins < end and (ends > start or (begins == ends and begins >= start))


def _regular(item: Appointment, start: int, end: int, zone: Zone) -> Iterator[Span]:
    assert item.recurrence is not None
    wall, duration = wall_clock(item)
    second = wall.hour * 3600 + wall.minute * 60 + wall.second
    length = duration.days * DAY_S + duration.seconds
    skipped = {day.toordinal() for day in item.deleted}
    skipped.update(modified.day.toordinal() for modified in item.modified)
    for first, last, ordinal in repeated(Days(item.recurrence), second, length, zone, skipped, start, end):
        yield first, last, item, ordinal


def repeated(
    days: Days, second: int, length: int, zone: Zone, skipped: Set[int], start: int, end: int
) -> Iterator[tuple[int, int, int]]:
    """Start and end in seconds since the epoch, and the day's ordinal, of what touches [start, end), by start.

    `second`: of the day, by the wall clock at the start; `length`: in seconds by the wall clock; `skipped`: ordinals.
    """
    if length < 0:
        return
    # no zone is more than a day from UTC; what begins earlier may still go on
    low = start // DAY_S + EPOCH_ORDINAL - min(length // DAY_S, MAX_SPAN.days) - _TWO_DAYS
    high = min(end // DAY_S + EPOCH_ORDINAL + 1, LAST_ORDINAL)
    clock = tzinfo_of(zone)
    over, rest = divmod(second + length, DAY_S)
    # the same offset through all that is looked at, or asked for each day
    shift = steady(clock, low, min(high + over, LAST_ORDINAL)) if high - low < STEADY_DAYS else None
    ordinals = days.between(low, high)
    if shift is not None:
        base = second - shift - EPOCH_ORDINAL * DAY_S
        for ordinal in ordinals:
            first = ordinal * DAY_S + base
            if first >= end:
                return
            last = first + length
            if (last > start or (first == last and first >= start)) and ordinal not in skipped:
                yield first, last, ordinal
        return
    for ordinal in ordinals:
        if ordinal in skipped:
            continue
        first = utc_of(clock, ordinal, second)
        last = max(first, utc_of(clock, ordinal + over, rest))  # a short one across a clock put forward
        if first >= end:
            return
        if last > start or (first == last and first >= start):
            yield first, last, ordinal


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

    A series without an end ends with the calendar. One without any occurrence has its own start and end, and what
    stands beside its pattern (mail programs send such exceptions).
    """
    begins, ends = span(item, viewer)
    if item.recurrence is None:
        return begins, ends
    first = first_day(item.recurrence)
    if first is not None:
        begins, ends = _bounds_of_days(item, item.recurrence, first, (begins, ends), viewer)
    for modified in item.modified:
        start, end = span(modified.item, viewer)
        begins, ends = min(begins, start), max(ends, end)
    return max(begins, _EARLY), ends


def _bounds_of_days(
    item: Appointment, recurrence: Recurrence, first: date, own: tuple[datetime, datetime], viewer: Zone
) -> tuple[datetime, datetime]:
    """Bounds of a series without its exceptions; `own` where its days cannot be told."""
    begins, ends = own
    plain = msgspec.structs.replace(item, deleted=(), modified=())
    at = occurrence_on(plain, first, viewer)
    if at is not None:
        begins, ends = at.start, at.end
    last = last_day(recurrence)
    if last is None or (recurrence.count is None and recurrence.until is None):
        return begins, _LATE
    at = occurrence_on(plain, last, viewer)
    return begins, ends if at is None else max(ends, at.end)


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
