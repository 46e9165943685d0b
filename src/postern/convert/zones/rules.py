"""IANA zones as yearly rules, for clients that know nothing else (MAPI, EWS, VTIMEZONE)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

import msgspec

from postern.model.calendar.zones import Changeover, Zone, ZoneRule, tzinfo_of

_YEARS_SEEN = 8
"""How many years ahead tell a rule by the week from one by the day."""
_STEP = timedelta(days=1)
_LAST_YEAR = 9990


def rules_of(zone: Zone, first_year: int, last_year: int) -> tuple[ZoneRule, ...]:
    """What holds in these years, equal neighbours joined; a zone with rules has them already."""
    if zone.rules:
        return zone.rules
    first_year = max(2, min(first_year, _LAST_YEAR))
    return _rules(zone, first_year, max(first_year, min(last_year, _LAST_YEAR)))


def with_rules(zone: Zone, first_year: int, last_year: int) -> Zone:
    """The same zone, made of rules."""
    return msgspec.structs.replace(zone, rules=rules_of(zone, first_year, last_year))


def standard_offset(iana: str, year: int = 2026) -> int:
    """Minutes east of UTC in standard time."""
    return rules_of(Zone(iana), year, year)[0].standard_minutes


@lru_cache(maxsize=512)
def _rules(zone: Zone, first_year: int, last_year: int) -> tuple[ZoneRule, ...]:
    clock = tzinfo_of(zone)
    made: list[ZoneRule] = []
    for year in range(first_year, last_year + 1):
        rule = _rule(clock, year)
        if not made or msgspec.structs.replace(rule, from_year=made[-1].from_year) != made[-1]:
            made.append(rule)
    return tuple(made)


class _Change(msgspec.Struct, frozen=True):
    wall: datetime
    before: int
    after: int


@lru_cache(maxsize=4096)
def _changes(clock: tzinfo, year: int) -> tuple[_Change, ...]:
    """The changes of a year, found by halving days."""
    found = []
    at = datetime(year, 1, 1, tzinfo=UTC) - _STEP
    end = datetime(year + 1, 1, 1, tzinfo=UTC) + _STEP
    minutes = _offset(clock, at)
    while at < end:
        # no zone has two changes within a week, but for Ramadan's four weeks
        after = at + 7 * _STEP
        then = _offset(clock, after)
        if then != minutes:
            low, high = at, after
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if _offset(clock, middle) == minutes else (low, middle)
            moment = (low + timedelta(milliseconds=500)).replace(microsecond=0)
            moment = high.replace(microsecond=0) if _offset(clock, moment) == minutes else moment
            wall = (moment + timedelta(minutes=minutes)).replace(tzinfo=None)
            if wall.year == year:
                found.append(_Change(wall, minutes, then))
        minutes, at = then, after
    return tuple(found)


def _offset(clock: tzinfo, at: datetime) -> int:
    offset = at.astimezone(clock).utcoffset()
    return round(offset.total_seconds() / 60) if offset is not None else 0


def _rule(clock: tzinfo, year: int) -> ZoneRule:
    changes = _changes(clock, year)
    if not changes:
        return ZoneRule(year, _offset(clock, datetime(year, 1, 1, tzinfo=UTC)))
    if len(changes) == 1:
        return _once(year, changes[0])
    forth = next((change for change in changes if change.after > change.before), changes[0])
    back = next((change for change in changes if change.after < change.before), changes[-1])
    return ZoneRule(
        year,
        standard_minutes=back.after,
        daylight_minutes=forth.after,
        standard=_changeover(clock, year, back, forward=False),
        daylight=_changeover(clock, year, forth, forward=True),
    )


def _once(year: int, change: _Change) -> ZoneRule:
    """A new offset for good: the other change of that year is at its very beginning, as Windows says it."""
    at = Changeover(change.wall.month, 0, day=change.wall.day, second_of_day=_second(change.wall))
    new_year = Changeover(1, 0, day=1)
    if change.after > change.before:
        return ZoneRule(year, change.before, change.after, new_year, at)
    return ZoneRule(year, change.after, change.before, at, new_year)


def _second(wall: datetime) -> int:
    return wall.hour * 3600 + wall.minute * 60 + wall.second


def _changeover(clock: tzinfo, year: int, change: _Change, *, forward: bool) -> Changeover:
    """By the week of the month if that holds in the years to come, else by the day of this year."""
    weeks = _weeks(change.wall)
    seconds = _second(change.wall)
    for later in range(year + 1, min(year + _YEARS_SEEN, _LAST_YEAR)):
        same = [
            other
            for other in _changes(clock, later)
            if (other.after > other.before) is forward
            and other.wall.month == change.wall.month
            and other.wall.weekday() == change.wall.weekday()
            and other.wall.time() == change.wall.time()
        ]
        if len(same) != 1:
            break
        weeks &= _weeks(same[0].wall)
    if not weeks:
        return Changeover(change.wall.month, 0, day=change.wall.day, second_of_day=seconds)
    week = 5 if 5 in weeks else min(weeks)
    return Changeover(change.wall.month, week, change.wall.toordinal() % 7, second_of_day=seconds)


def _weeks(wall: datetime) -> set[int]:
    weeks = {(wall.day - 1) // 7 + 1} - {5}
    following = wall + timedelta(days=7)
    if following.month != wall.month:
        weeks.add(5)
    return weeks
