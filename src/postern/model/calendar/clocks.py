"""What clocks read through whole days, in seconds: a day on which no clock is changed is arithmetic."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from operator import le
from typing import NamedTuple

EPOCH_ORDINAL = datetime(1970, 1, 1, tzinfo=UTC).toordinal()
LAST_ORDINAL = date.max.toordinal()
DAY_S = 86_400
STEADY_DAYS = 100
"""Windows of so many days are looked at as a whole."""


def utc_of(clock: tzinfo, ordinal: int, second: int) -> int:
    """Seconds since the epoch when a clock reads a second of a day."""
    shift = _offset(clock, ordinal)
    if shift is None:
        local = datetime.combine(date.fromordinal(ordinal), time.min, clock) + timedelta(seconds=second)
        shift = _seconds_of(local.utcoffset())
    return (ordinal - EPOCH_ORDINAL) * DAY_S + second - shift


@lru_cache(maxsize=4096)
def steady(clock: tzinfo, low: int, high: int) -> int | None:
    """Seconds east of UTC all through some days; None if they change."""
    first = _offset(clock, low)
    return first if all(_offset(clock, day) == first for day in range(low + 1, high + 1)) else None


@lru_cache(maxsize=65_536)
def _offset(clock: tzinfo, ordinal: int) -> int | None:
    """Seconds east of UTC all through a day; None if they change on it. Nothing changes at the calendar's edges."""
    first = datetime.combine(date.fromordinal(min(max(1, ordinal), LAST_ORDINAL)), time.min, clock)
    now = _seconds_of(first.utcoffset())
    if not 1 <= ordinal < LAST_ORDINAL:
        return now
    return now if _seconds_of((first + timedelta(days=1)).utcoffset()) == now else None


def _seconds_of(offset: timedelta | None) -> int:
    return offset.days * DAY_S + offset.seconds if offset is not None else 0


class EveryDay(NamedTuple):
    """What begins each day at the same second of it by a clock, on days that follow each other."""

    first: int
    """Ordinal."""
    starts: Sequence[int]
    """In seconds since the epoch."""
    ends: Sequence[int]
    even: Sequence[tuple[int, int]]
    """Where in these a day is always as long, and no clock is changed: [from, to), all of them."""


def every_day(clock: tzinfo, second: int, length: int, start: int, end: int) -> EveryDay | None:
    """Those that touch [start, end), seconds since the epoch. `length`: in seconds by the clock.

    None for windows that are no weeks, at the edges of the calendar, and where one does not follow the other, as they
    do where no rule is absurd.
    """
    # no zone is more than a day from UTC; what begins earlier may still go on
    low = start // DAY_S + EPOCH_ORDINAL - length // DAY_S - 2
    high = end // DAY_S + EPOCH_ORDINAL + 1
    over, rest = divmod(second + length, DAY_S)
    if length < 0 or high - low >= STEADY_DAYS or low < 1 or high + over > LAST_ORDINAL:
        return None
    starts: Sequence[int]
    ends: Sequence[int]
    shift = steady(clock, low, high + over)
    if shift is not None:
        first = (low - EPOCH_ORDINAL) * DAY_S + second - shift
        starts = range(first, first + (high - low + 1) * DAY_S, DAY_S)
        ends = range(starts.start + length, starts.stop + length, DAY_S)
    else:
        starts = [utc_of(clock, day, second) for day in range(low, high + 1)]
        # a short one across a clock put forward takes no time
        ends = [max(at, utc_of(clock, day + over, rest)) for day, at in enumerate(starts, low)]
        if not (all(map(le, starts, starts[1:])) and all(map(le, ends, ends[1:]))):
            return None
    opening = bisect_right(ends, start)
    while opening and starts[opening - 1] == ends[opening - 1] == start:
        opening -= 1
    closing = bisect_left(starts, end)
    starts, ends = starts[opening:closing], ends[opening:closing]
    return EveryDay(low + opening, starts, ends, _even(starts, ends))


def _even(starts: Sequence[int], ends: Sequence[int]) -> list[tuple[int, int]]:
    breaks = [at for at in range(1, len(starts)) if not starts[at] - starts[at - 1] == ends[at] - ends[at - 1] == DAY_S]
    return list(pairwise((0, *breaks, len(starts))))
