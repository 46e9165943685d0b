"""What the store keeps of a calendar item beside its span, so that free/busy need not read the item.

One octet where the span says when the item is: how busy its owner is then. Else a MessagePack array (`Times`) with what
finding occurrences needs. It is written with each change of the item (`span_of`) and says what the item says; an item
for which nothing is kept has to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

import msgspec

from postern.convert.recurrences import StoredRecurrence, recurrence_of, stored_recurrence
from postern.model.calendar.appointment import Appointment, Busy
from postern.model.calendar.blocks import Alike, Block, blocks_of
from postern.model.calendar.clocks import every_day
from postern.model.calendar.series import Days
from postern.model.calendar.views import repeated, seconds
from postern.model.calendar.zones import Zone, to_utc, tzinfo_of

_DAY_S = 86_400
_FIRST_YEAR, _LAST_YEAR = 1600, 9000
_BUSY = tuple(Busy(value) for value in range(5))
_NONE: frozenset[int] = frozenset()
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


def times_in(kept: bytes, start: int, end: int, viewer: Zone) -> list[Alike]:
    """What is not free and touches [start, end).

    `viewer`: where floating times are. Raises ValueError for what was not kept by `kept_of`.
    """
    read = (_read if len(kept) <= _SMALL_BYTES else _read.__wrapped__)(kept)
    times, days, clock, second, length, runs, final, skipped = read
    found: list[Alike] = []
    if days is None:
        _once(times, start, end, viewer, found)
        return found
    for _day, changed in times.modified:
        _once(changed, start, end, viewer, found)
    if not times.busy:
        return found
    busy = _BUSY[times.busy]
    table = _table(clock or tzinfo_of(viewer), second, length, start, end, busy)
    if table is None:
        zone = times.zone if times.zone is not None and clock is not None else viewer
        rows = list(repeated(days, second, length, zone, skipped, start, end))
        if rows:
            found.append(Alike(busy, 0, blocks_of(busy, [row[0] for row in rows], [row[1] for row in rows])))
        return found
    low, every, even = table
    if runs is None or skipped:
        wanted = days.between(low, low + len(every) - 1)
        some = [every[day - low] for day in wanted if day not in skipped]
        if some:
            found.append(Alike(busy, 0, some))
        return found
    stop = final - low + 1
    for first, step in runs:
        first -= low
        for at, closing in even:
            at = first if first >= at else at + (first - at) % step
            closing = min(closing, stop)
            if at < closing:
                found.append(Alike(busy, step * _DAY_S, every[at:closing:step]))
    return found


class _Read(NamedTuple):
    times: Times
    days: Days | None
    """Of a series."""
    clock: tzinfo | None
    """Of a series, unless it is floating."""
    second: int
    """Of the day, by the clock on the wall."""
    length: int
    """In seconds by that clock."""
    runs: tuple[tuple[int, int], ...] | None
    """Of its days."""
    final: int
    """No day is after it."""
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
        return _Read(times, None, None, 0, 0, None, 0, _NONE)
    assert times.zone is not None
    days = Days(recurrence_of(times.recurrence))
    skipped = _NONE
    if times.deleted or times.modified:
        skipped = frozenset((*times.deleted, *(day for day, _changed in times.modified)))
    if times.zone.floating:
        clock, second, length = None, times.start % _DAY_S, times.end - times.start
    else:
        clock = tzinfo_of(times.zone)
        second, length = _by_clock(times, clock)
    return _Read(times, days, clock, second, length, days.runs, days.last, skipped)


class _Table(NamedTuple):
    """Blocks of what is every day, from which series take theirs."""

    first: int
    """Ordinal of the first day."""
    blocks: tuple[Block, ...]
    even: Sequence[tuple[int, int]]
    """See `EveryDay`."""


@lru_cache(maxsize=512)
def _table(clock: tzinfo, second: int, length: int, start: int, end: int, busy: Busy) -> _Table | None:
    """See `every_day`. People's meetings begin at few times of a day and take few lengths. At most 15 KB an entry."""
    days = every_day(clock, second, length, start, end)
    return None if days is None else _Table(days.first, blocks_of(busy, days.starts, days.ends), days.even)


def _once(times: Times, start: int, end: int, viewer: Zone, found: list[Alike]) -> None:
    first, last = times.start, times.end
    if times.zone is not None and times.zone.floating:
        first, last = _at(first, viewer), _at(last, viewer)
    if times.busy and first < end and (last > start or (first == last and first >= start)):
        found.append(Alike(_BUSY[times.busy], 0, blocks_of(_BUSY[times.busy], (first,), (last,))))


def _at(wall: int, viewer: Zone) -> int:
    return seconds(to_utc(datetime.fromtimestamp(wall, UTC).replace(tzinfo=None), viewer))


def _by_clock(times: Times, clock: tzinfo) -> tuple[int, int]:
    """The second of the day at the start, and the length, as a clock on the wall shows them."""
    start, end = datetime.fromtimestamp(times.start, clock), datetime.fromtimestamp(times.end, clock)
    second = start.hour * 3600 + start.minute * 60 + start.second if times.clock is None else times.clock
    length = end - start  # two of one clock: what it reads is subtracted
    return second, length.days * _DAY_S + length.seconds
