"""What the store keeps of a calendar item beside its span, so that free/busy need not read the item.

One octet where the span says when the item is: how busy its owner is then. Else a MessagePack array (`Times`) with what
finding occurrences needs. It is written with each change of the item (`span_of`) and says what the item says; an item
for which nothing is kept has to be read.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from postern.convert.recurrences import StoredRecurrence, recurrence_of, stored_recurrence
from postern.model.calendar.appointment import Appointment, Busy
from postern.model.calendar.views import repeated_soon, seconds
from postern.model.calendar.zones import Zone, to_utc, tzinfo_of

_DAY_S = 86_400
_FIRST_YEAR, _LAST_YEAR = 1600, 9000


class Times(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When something is. Of a series: of its first occurrence."""

    start: int
    """Seconds since the epoch; of a floating one, as if its wall clock were UTC's."""
    end: int
    busy: int
    """FREE if it is cancelled."""
    zone: Zone | None = None
    """None: what it is does not matter."""
    recurrence: StoredRecurrence | None = None
    clock: int | None = None
    """Second of the day, if `start` cannot say it."""
    deleted: tuple[int, ...] = ()
    modified: tuple[tuple[int, Times], ...] = ()
    """By original day."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Times).decode


def kept_of(item: Appointment, starts_at: int, ends_at: int) -> bytes:
    """What is kept of an item with this span; nothing of what lies at the calendar's edges."""
    if item.start.year < _FIRST_YEAR or item.end.year > _LAST_YEAR:
        return b""
    times = _times_of(item)
    if times.recurrence is None and times.zone is None and (times.start, times.end) == (starts_at, ends_at):
        return bytes((times.busy,))
    return _encode(times)


def _times_of(item: Appointment) -> Times:
    start, end = (
        (item.start.replace(tzinfo=UTC), item.end.replace(tzinfo=UTC)) if item.zone.floating else (item.start, item.end)
    )
    busy = Busy.FREE if item.is_canceled else item.busy
    zone = item.zone if item.zone.floating or item.recurrence is not None else None
    if item.recurrence is None:
        return Times(seconds(start), seconds(end), int(busy), zone)
    clock = item.clock
    return Times(
        seconds(start),
        seconds(end),
        int(busy),
        zone,
        stored_recurrence(item.recurrence),
        None if clock is None else clock.hour * 3600 + clock.minute * 60 + clock.second,
        tuple(day.toordinal() for day in item.deleted),
        tuple((each.day.toordinal(), _times_of(each.item)) for each in item.modified),
    )


def times_in(kept: bytes, start: int, end: int, viewer: Zone) -> list[tuple[int, list[tuple[int, int]]]]:
    """How busy, with starts and ends, of what is not free and touches [start, end).

    `viewer`: where floating times are. Raises ValueError for what was not kept by `kept_of`.
    """
    try:
        times = _decode(kept)
    except msgspec.DecodeError as problem:
        raise ValueError(str(problem)) from problem
    if times.recurrence is None:
        first, last = _once(times, viewer)
        return [(times.busy, [(first, last)])] if times.busy and _touches(first, last, start, end) else []
    found = []
    skipped = set(times.deleted)
    for day, changed in times.modified:
        skipped.add(day)
        first, last = _once(changed, viewer)
        if changed.busy and _touches(first, last, start, end):
            found.append((changed.busy, [(first, last)]))
    if not times.busy:
        return found
    assert times.zone is not None
    floating = times.zone.floating
    second, length = (times.start % _DAY_S, times.end - times.start) if floating else _by_clock(times, times.zone)
    zone = viewer if floating else times.zone
    rule = recurrence_of(times.recurrence)
    found.append((times.busy, repeated_soon(rule, second, length, zone, skipped, start, end)))
    return found


def _once(times: Times, viewer: Zone) -> tuple[int, int]:
    if times.zone is None or not times.zone.floating:
        return times.start, times.end
    return _at(times.start, viewer), _at(times.end, viewer)


def _at(wall: int, viewer: Zone) -> int:
    return seconds(to_utc(datetime.fromtimestamp(wall, UTC).replace(tzinfo=None), viewer))


def _by_clock(times: Times, zone: Zone) -> tuple[int, int]:
    clock = tzinfo_of(zone)
    start, end = datetime.fromtimestamp(times.start, clock), datetime.fromtimestamp(times.end, clock)
    length = end.replace(tzinfo=None, fold=0) - start.replace(tzinfo=None, fold=0)
    second = start.hour * 3600 + start.minute * 60 + start.second if times.clock is None else times.clock
    return second, length.days * _DAY_S + length.seconds


def _touches(begins: int, ends: int, start: int, end: int) -> bool:
    return begins < end and (ends > start or (begins == ends and begins >= start))
