"""What the store keeps of a calendar item beside its span, so that free/busy need not read the item.

One octet where the span says when the item is: how busy its owner is then. Else a MessagePack array (`Times`) with what
finding occurrences needs. It is written with each change of the item (`span_of`) and says what the item says; an item
for which nothing is kept has to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from postern.convert.recurrences import StoredRecurrence, recurrence_of, stored_recurrence
from postern.model.calendar.appointment import Appointment, Busy
from postern.model.calendar.series import Days
from postern.model.calendar.views import repeated_soon, seconds
from postern.model.calendar.zones import Zone, to_utc, tzinfo_of

_DAY_S = 86_400
_FIRST_YEAR, _LAST_YEAR = 1600, 9000
_SMALL_BYTES = 256
"""What is remembered once it is read: nearly all series, at most 4 KB each."""


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


class Busies(NamedTuple):
    """What is alike but for its time: a start and an end for each, in seconds since the epoch."""

    busy: int
    starts: Sequence[int]
    ends: Sequence[int]


def times_in(kept: bytes, start: int, end: int, viewer: Zone) -> list[Busies]:
    """What is not free and touches [start, end).

    `viewer`: where floating times are. Raises ValueError for what was not kept by `kept_of`.
    """
    times, days, second, length, skipped = (_read if len(kept) <= _SMALL_BYTES else _read.__wrapped__)(kept)
    if days is None:
        first, last = _once(times, viewer)
        return [Busies(times.busy, (first,), (last,))] if times.busy and _touches(first, last, start, end) else []
    found = []
    for _day, changed in times.modified:
        first, last = _once(changed, viewer)
        if changed.busy and _touches(first, last, start, end):
            found.append(Busies(changed.busy, (first,), (last,)))
    if times.busy:
        assert times.zone is not None
        zone = viewer if times.zone.floating else times.zone
        found.append(Busies(times.busy, *repeated_soon(days, second, length, zone, skipped, start, end)))
    return found


class _Read(NamedTuple):
    times: Times
    days: Days | None
    """Of a series."""
    second: int
    """Of the day, by the clock on the wall."""
    length: int
    """In seconds by that clock."""
    skipped: frozenset[int]
    """Days that are deleted or modified."""


@lru_cache(maxsize=2048)
def _read(kept: bytes) -> _Read:
    """What octets say; who takes part in a meeting has the same ones. Raises ValueError."""
    try:
        times = _decode(kept)
    except msgspec.DecodeError as problem:
        raise ValueError(str(problem)) from problem
    if times.recurrence is None:
        return _Read(times, None, 0, 0, frozenset())
    assert times.zone is not None
    days = Days(recurrence_of(times.recurrence))
    skipped = frozenset((*times.deleted, *(day for day, _changed in times.modified)))
    if times.zone.floating:
        return _Read(times, days, times.start % _DAY_S, times.end - times.start, skipped)
    return _Read(times, days, *_by_clock(times, times.zone), skipped)


def _once(times: Times, viewer: Zone) -> tuple[int, int]:
    if times.zone is None or not times.zone.floating:
        return times.start, times.end
    return _at(times.start, viewer), _at(times.end, viewer)


def _at(wall: int, viewer: Zone) -> int:
    return seconds(to_utc(datetime.fromtimestamp(wall, UTC).replace(tzinfo=None), viewer))


def _by_clock(times: Times, zone: Zone) -> tuple[int, int]:
    """The second of the day at the start, and the length, as a clock on the wall shows them."""
    clock = tzinfo_of(zone)
    start, end = datetime.fromtimestamp(times.start, clock), datetime.fromtimestamp(times.end, clock)
    second, last = _second(start), _second(end)
    length = (end.toordinal() - start.toordinal()) * _DAY_S + last - second
    return second if times.clock is None else times.clock, length


def _second(at: datetime) -> int:
    return at.hour * 3600 + at.minute * 60 + at.second


def _touches(begins: int, ends: int, start: int, end: int) -> bool:
    return begins < end and (ends > start or (begins == ends and begins >= start))
