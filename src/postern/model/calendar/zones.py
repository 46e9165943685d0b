"""Time zones as values, and what a wall clock reads in them.

A zone is either named by IANA, and then computed by its database, or made of yearly rules as Windows, MAPI and EWS say
them (MS-OXOCAL 2.2.1.41.1). Both give a `tzinfo`, so that nobody above asks which it is.

A wall clock reading that does not exist counts as if the clock had not been put forward, one that comes twice is the
first (RFC 5545 3.3.5); Python's fold=0 says the same.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from postern.model.calendar.series import month_length

MAX_RULES = 1024
"""MS-OXOCAL 2.2.1.41: cRules is at most 1024."""
MAX_OFFSET_MINUTES = 24 * 60 - 1
_MINUTE = timedelta(minutes=1)


class Changeover(msgspec.Struct, frozen=True):
    """When clocks are changed each year, in the wall clock's time before it (SYSTEMTIME in MS-OXOCAL 2.2.1.39)."""

    month: int
    week: int
    """1 to 4, 5 is the last one of the month; 0: on the day of the month `day`."""
    weekday: int = 0
    """0 = Sunday; nothing where week is 0."""
    day: int = 0
    second_of_day: int = 0

    def at(self, year: int) -> datetime:
        """The naive wall clock reading at which the clock is changed in a year."""
        if self.week == 0:
            day = min(self.day, month_length(year, self.month))
        else:
            first = date(year, self.month, 1).toordinal() % 7
            day = 1 + (self.weekday - first) % 7 + 7 * (self.week - 1)
            if day > month_length(year, self.month):
                day -= 7
        return datetime(year, self.month, day) + timedelta(seconds=self.second_of_day)  # noqa: DTZ001


class ZoneRule(msgspec.Struct, frozen=True):
    """What holds from a year on. Offsets are minutes east of UTC, unlike Windows' biases."""

    from_year: int
    standard_minutes: int
    daylight_minutes: int = 0
    standard: Changeover | None = None
    """Back to standard time; both changeovers are set or none is."""
    daylight: Changeover | None = None


class Zone(msgspec.Struct, frozen=True):
    """An IANA name without rules, or any name with rules, oldest first; the first one holds for earlier years too."""

    id: str
    rules: tuple[ZoneRule, ...] = ()
    windows_id: str = ""
    """As a Windows client named it, so that it is told the same name."""

    @property
    def floating(self) -> bool:
        """No zone at all: the same reading wherever the viewer is."""
        return not self.id and not self.rules


UTC_ZONE = Zone("UTC", windows_id="UTC")
FLOATING = Zone("")


@lru_cache(maxsize=1024)
def tzinfo_of(zone: Zone) -> tzinfo:
    """What computes in a zone; UTC for a floating one. An unknown name without rules is UTC too: see convert.zones."""
    if zone.rules:
        return RuleZone(zone)
    if zone.floating or zone.id == "UTC":
        return UTC
    try:
        return ZoneInfo(zone.id)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def to_wall(at: datetime, zone: Zone) -> datetime:
    """What the wall clock of a zone reads, naive, at an aware time; times out of the calendar are its edges."""
    try:
        return at.astimezone(tzinfo_of(zone)).replace(tzinfo=None, fold=0)
    except (OverflowError, ValueError):
        return datetime.min if at.year < 5000 else datetime.max  # noqa: DTZ901


def to_utc(wall: datetime, zone: Zone) -> datetime:
    """The time, in UTC, at which a wall clock of a zone reads this."""
    try:
        offset = tzinfo_of(zone).utcoffset(wall.replace(tzinfo=tzinfo_of(zone)))
        return (wall - (offset or timedelta())).replace(tzinfo=UTC)
    except OverflowError:
        return (datetime.min if wall.year < 5000 else datetime.max).replace(tzinfo=UTC)  # noqa: DTZ901


class RuleZone(tzinfo):
    """Computes with yearly rules; also half-hour shifts, southern summers and zones that change their rules."""

    def __init__(self, zone: Zone) -> None:
        self._id = zone.id
        self._rules = zone.rules
        self._years: dict[int, tuple[int, tuple[tuple[datetime, int, int], ...]]] = {}

    def __repr__(self) -> str:
        return f"RuleZone({self._id!r})"

    def _rule(self, year: int) -> ZoneRule:
        found = self._rules[0]
        for rule in self._rules:
            if rule.from_year > year:
                break
            found = rule
        return found

    def _year(self, year: int) -> tuple[int, tuple[tuple[datetime, int, int], ...]]:
        """The offset a year begins with, and its changes in order: (wall clock before, offset before, after)."""
        known = self._years.get(year)
        if known is not None:
            return known
        rule = self._rule(year)
        if rule.standard is None or rule.daylight is None or rule.standard_minutes == rule.daylight_minutes:
            made: tuple[int, tuple[tuple[datetime, int, int], ...]] = (rule.standard_minutes, ())
        else:
            back = (rule.standard.at(year), rule.daylight_minutes, rule.standard_minutes)
            forth = (rule.daylight.at(year), rule.standard_minutes, rule.daylight_minutes)
            changes = (forth, back) if forth[0] < back[0] else (back, forth)
            made = (changes[0][1], changes)
        if len(self._years) > 4000:
            self._years.clear()
        self._years[year] = made
        return made

    def _minutes(self, wall: datetime, fold: int) -> int:
        minutes, changes = self._year(wall.year)
        for at, before, after in changes:
            shift = (after - before) * _MINUTE
            # forward: readings from `at` to `at + shift` do not exist; back: those from `at + shift` to `at` come twice
            if fold:
                passed = wall >= (at if after > before else at + shift)
            else:
                passed = wall >= (at + shift if after > before else at)
            if not passed:
                break
            minutes = after
        return minutes

    def utcoffset(self, dt: datetime | None, /) -> timedelta:
        """East of UTC is positive."""
        if dt is None:
            return timedelta(minutes=self._rules[-1].standard_minutes)
        return self._minutes(dt.replace(tzinfo=None, fold=0), dt.fold) * _MINUTE

    def dst(self, dt: datetime | None, /) -> timedelta:
        """How far the clock is from standard time."""
        if dt is None:
            return timedelta()
        return self.utcoffset(dt) - self._rule(dt.year).standard_minutes * _MINUTE

    def tzname(self, _dt: datetime | None, /) -> str:
        """The zone's own name."""
        return self._id

    def fromutc(self, dt: datetime) -> datetime:
        """From a UTC reading that bears this tzinfo, with fold set where a reading comes the second time."""
        at = dt.replace(tzinfo=None)
        minutes, changes = self._year(at.year)
        local_year = (at + minutes * _MINUTE).year
        if local_year != at.year:  # New Year's Eve is another year's already, or still
            minutes, changes = self._year(local_year)
        fold = 0
        for wall, before, after in changes:
            change = wall - before * _MINUTE
            if at < change:
                break
            minutes = after
            fold = int(after < before and at < change + (before - after) * _MINUTE)
        return (at + minutes * _MINUTE).replace(tzinfo=self, fold=fold)
