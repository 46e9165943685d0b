"""Windows' time zones by CLDR's table, with the rules that IANA's data gives them in a year."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


class Change(NamedTuple):
    """When clocks change, each year."""

    month: int
    weekday: int
    """0: Monday."""
    occurrence: int
    """1 to 4 of the month; -1: the last."""
    at_s: int
    """Seconds after midnight by the clock that ends."""


class Zone(NamedTuple):
    """A zone in one year."""

    name: str
    """`W. Europe Standard Time`."""
    shown: str
    standard_s: int
    """Seconds east of UTC."""
    daylight_s: int | None
    """None: clocks do not change."""
    to_daylight: Change | None
    to_standard: Change | None


@lru_cache(maxsize=1)
def _table() -> dict[str, str]:
    from tzlocal.windows_tz import win_tz  # imported where a client asks for zones

    return dict(win_tz)


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """Of all zones; IANA's data may lack one of them."""
    return tuple(sorted(_table()))


def _place(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(_table()[name])
    except (KeyError, ZoneInfoNotFoundError, ValueError):
        return None


@lru_cache(maxsize=512)
def zone(name: str, year: int) -> Zone:
    """Raises KeyError for one that is not known."""
    place = _place(name)
    if place is None:
        raise KeyError(name)
    changes = _changes(place, year)
    offsets = {_offset(place, datetime(year, 1, 1, tzinfo=UTC)), *(after for _, _, after in changes)}
    standard = min(offsets)
    shown = f"(UTC{'+' if standard >= 0 else '-'}{abs(standard) // 3600:02}:{abs(standard) // 60 % 60:02}) {name}"
    if len(changes) != 2 or len(offsets) != 2:
        now = _offset(place, datetime(year, 12, 31, tzinfo=UTC))
        return Zone(name, shown, now, None, None, None)
    to_daylight = next(_rule(at, before) for at, before, after in changes if after > before)
    to_standard = next(_rule(at, before) for at, before, after in changes if after < before)
    return Zone(name, shown, standard, max(offsets), to_daylight, to_standard)


def _offset(place: ZoneInfo, at: datetime) -> int:
    return int((at.astimezone(place).utcoffset() or timedelta()).total_seconds())


def _changes(place: ZoneInfo, year: int) -> list[tuple[datetime, int, int]]:
    """(instant, offset before, offset after) in a year."""
    found = []
    at, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    before = _offset(place, at)
    while at < end:
        # no zone has two changes within a week, but for Ramadan's four weeks
        step = min(at + timedelta(days=7), end)
        after = _offset(place, step)
        if after != before:
            low, high = 0, int((step - at).total_seconds())
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (
                    (middle, high) if _offset(place, at + timedelta(seconds=middle)) == before else (low, middle)
                )
            found.append((at + timedelta(seconds=high), before, after))
        at, before = step, after
    return found


def _rule(at: datetime, before: int) -> Change:
    wall = (at + timedelta(seconds=before)).replace(tzinfo=None)
    days = monthrange(wall.year, wall.month)[1]
    occurrence = -1 if wall.day + 7 > days else (wall.day - 1) // 7 + 1
    return Change(wall.month, wall.weekday(), occurrence, wall.hour * 3600 + wall.minute * 60 + wall.second)
