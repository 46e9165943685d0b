"""What of an appointment lies in a window of time. Costs what it shows, however long ago a series began."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence, Set
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import islice
from math import floor
from operator import le
from typing import NamedTuple, TypeAlias, TypeVar

import msgspec

from postern.model.calendar.appointment import Appointment, ModifiedOccurrence
from postern.model.calendar.series import Days, first_day, is_occurrence, last_day
from postern.model.calendar.zones import Zone, to_utc, to_wall, tzinfo_of

MAX_SPAN = timedelta(days=5 * 366)
"""An appointment longer than this counts as so long in searching a window (EWS: ErrorCalendarDurationIsTooLong)."""
_EARLY = datetime.min.replace(tzinfo=UTC)
_LATE = datetime.max.replace(tzinfo=UTC)
_TWO_DAYS = 2
_LAST_ORDINAL = date.max.toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = _EPOCH.toordinal()
_DAY_S = 86_400
_STEADY_DAYS = 100
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
    length = duration.days * _DAY_S + duration.seconds
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
    low = start // _DAY_S + _EPOCH_ORDINAL - min(length // _DAY_S, MAX_SPAN.days) - _TWO_DAYS
    high = min(end // _DAY_S + _EPOCH_ORDINAL + 1, _LAST_ORDINAL)
    clock = tzinfo_of(zone)
    over, rest = divmod(second + length, _DAY_S)
    # the same offset through all that is looked at, or asked for each day
    shift = _steady(clock, low, min(high + over, _LAST_ORDINAL)) if high - low < _STEADY_DAYS else None
    ordinals = days.between(low, high)
    if shift is not None:
        base = second - shift - _EPOCH_ORDINAL * _DAY_S
        for ordinal in ordinals:
            first = ordinal * _DAY_S + base
            if first >= end:
                return
            last = first + length
            if (last > start or (first == last and first >= start)) and ordinal not in skipped:
                yield first, last, ordinal
        return
    for ordinal in ordinals:
        if ordinal in skipped:
            continue
        first = _utc(clock, ordinal, second)
        last = max(first, _utc(clock, ordinal + over, rest))  # a short one across a clock put forward
        if first >= end:
            return
        if last > start or (first == last and first >= start):
            yield first, last, ordinal


def repeated_soon(
    days: Days, second: int, length: int, zone: Zone, skipped: Set[int], start: int, end: int
) -> tuple[Sequence[int], Sequence[int]]:
    """All starts and all ends of what `repeated` finds, for windows of weeks: by tables of what clocks read."""
    if length < 0:
        return (), ()
    low = start // _DAY_S + _EPOCH_ORDINAL - length // _DAY_S - _TWO_DAYS
    high = end // _DAY_S + _EPOCH_ORDINAL + 1
    opens, closes = _readings(tzinfo_of(zone), low, high, second, length) if high - low < _STEADY_DAYS else ((), ())
    if not opens:
        found = list(repeated(days, second, length, zone, skipped, start, end))
        return [each[0] for each in found], [each[1] for each in found]
    ordinals = days.between(low, high)
    if isinstance(ordinals, range) and not skipped:
        wanted = slice(ordinals.start - low, max(ordinals.stop - low, 0), ordinals.step)
        starts: Sequence[int] = opens[wanted]
        ends: Sequence[int] = closes[wanted]
    else:
        places = [day - low for day in ordinals if day not in skipped]
        starts, ends = [opens[at] for at in places], [closes[at] for at in places]
    first = bisect_right(ends, start)
    while first and starts[first - 1] == ends[first - 1] == start:
        first -= 1
    last = bisect_left(starts, end)
    return starts[first:last], ends[first:last]


@lru_cache(maxsize=512)
def _readings(clock: tzinfo, low: int, high: int, second: int, length: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """When something begins and ends, on each day of some weeks, that begins at a second of the day by a clock.

    Empty at the edges of the calendar, and where days do not follow each other, as they do where no rule is absurd.
    At most 7 KB an entry.
    """
    over, rest = divmod(second + length, _DAY_S)
    if low < 1 or high + over > _LAST_ORDINAL:
        return (), ()
    shift = _steady(clock, low, high + over)
    if shift is not None:
        first = (low - _EPOCH_ORDINAL) * _DAY_S + second - shift
        opens = range(first, first + (high - low + 1) * _DAY_S, _DAY_S)
        return tuple(opens), tuple(range(opens.start + length, opens.stop + length, _DAY_S))
    begins = tuple(_utc(clock, day, second) for day in range(low, high + 1))
    # a short one across a clock put forward takes no time
    ends = tuple(max(at, _utc(clock, day + over, rest)) for day, at in enumerate(begins, low))
    in_order = all(map(le, begins, begins[1:])) and all(map(le, ends, ends[1:]))
    return (begins, ends) if in_order else ((), ())


def _utc(clock: tzinfo, ordinal: int, second: int) -> int:
    """Seconds since the epoch at a wall clock reading."""
    shift = _offset(clock, ordinal)
    if shift is None:
        local = datetime.combine(date.fromordinal(ordinal), time.min, clock) + timedelta(seconds=second)
        shift = _seconds_of(local.utcoffset())
    return (ordinal - _EPOCH_ORDINAL) * _DAY_S + second - shift


@lru_cache(maxsize=4096)
def _steady(clock: tzinfo, low: int, high: int) -> int | None:
    """Seconds east of UTC all through some days; None if they change."""
    first = _offset(clock, low)
    return first if all(_offset(clock, day) == first for day in range(low + 1, high + 1)) else None


@lru_cache(maxsize=65_536)
def _offset(clock: tzinfo, ordinal: int) -> int | None:
    """Seconds east of UTC all through a day; None if they change on it. Nothing changes at the calendar's edges."""
    first = datetime.combine(date.fromordinal(min(max(1, ordinal), _LAST_ORDINAL)), time.min, clock)
    now = _seconds_of(first.utcoffset())
    if not 1 <= ordinal < _LAST_ORDINAL:
        return now
    return now if _seconds_of((first + timedelta(days=1)).utcoffset()) == now else None


def _seconds_of(offset: timedelta | None) -> int:
    return offset.days * _DAY_S + offset.seconds if offset is not None else 0


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
