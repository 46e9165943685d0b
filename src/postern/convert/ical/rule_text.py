"""RRULE as it is written (RFC 5545 3.3.10), taken apart."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import msgspec

from postern.model.calendar.zones import Zone, to_wall
from postern.model.refusal import ProtocolViolation

DAY_NAMES = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")
_BYDAY = re.compile(r"([+-]?\d{1,2})?(SU|MO|TU|WE|TH|FR|SA)")
_UNTIL = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})(Z?))?")
_PARTS = frozenset(
    {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "BYYEARDAY"}
    | {"BYWEEKNO", "BYHOUR", "BYMINUTE", "BYSECOND"}
)


class Rule(msgspec.Struct, frozen=True):
    """A rule's parts."""

    parts: dict[str, str]
    start: datetime
    interval: int
    count: int | None
    until: date | None
    first_day: int
    days: tuple[tuple[int, int], ...]
    """BYDAY: ordinal or 0, day of the week."""
    month_days: tuple[int, ...]
    months: tuple[int, ...]
    positions: tuple[int, ...]
    week_numbers: tuple[int, ...]
    year_days: tuple[int, ...]
    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]

    @property
    def frequency(self) -> str:
        """FREQ; empty if it is missing."""
        return self.parts.get("FREQ", "")


def parse(text: str, start: datetime, zone: Zone) -> Rule:
    """A rule of a series that starts at a naive wall clock reading. Raises ProtocolViolation for what is none."""
    parts: dict[str, str] = {}
    for part in text.strip().upper().strip(";").split(";"):
        name, _equals, value = part.partition("=")
        name = name.strip()
        if name in _PARTS and name not in parts:
            parts[name] = value.strip()
        elif not name.startswith("X-") and name != "RSCALE":
            raise ProtocolViolation(f"RRULE: {part[:40]!r} is no part of a rule")
    days = []
    for name in filter(None, parts.get("BYDAY", "").split(",")):
        found = _BYDAY.fullmatch(name.strip())
        if found is None:
            raise ProtocolViolation(f"RRULE: {name[:20]!r} is no day")
        days.append((int(found[1] or 0), DAY_NAMES.index(found[2])))
    week_start = parts.get("WKST", "MO")
    count = _numbers(parts, "COUNT", 1, 10**9)
    return Rule(
        parts,
        start,
        (_numbers(parts, "INTERVAL", 1, 10**9) or (1,))[0],
        count[0] if count else None,
        _until(parts.get("UNTIL", ""), start, zone) if not count else None,
        DAY_NAMES.index(week_start) if week_start in DAY_NAMES else 1,
        tuple(days),
        _numbers(parts, "BYMONTHDAY", -31, 31),
        _numbers(parts, "BYMONTH", 1, 12),
        _numbers(parts, "BYSETPOS", -366, 366),
        _numbers(parts, "BYWEEKNO", -53, 53),
        _numbers(parts, "BYYEARDAY", -366, 366),
        _numbers(parts, "BYHOUR", 0, 23),
        _numbers(parts, "BYMINUTE", 0, 59),
        _numbers(parts, "BYSECOND", 0, 60),
    )


def _numbers(parts: dict[str, str], name: str, low: int, high: int) -> tuple[int, ...]:
    if not parts.get(name):
        return ()
    try:
        values = tuple(int(value) for value in parts[name].split(",")[:400])
    except ValueError:
        raise ProtocolViolation(f"RRULE: {name}={parts[name][:40]!r} is no number") from None
    if any(not low <= value <= high or (value == 0 and low < 0) for value in values):
        raise ProtocolViolation(f"RRULE: {name}={parts[name][:40]!r} is out of range")
    return values


def _until(text: str, start: datetime, zone: Zone) -> date | None:
    """The day of the last occurrence that may be."""
    if not text:
        return None
    found = _UNTIL.fullmatch(text)
    if found is None:
        raise ProtocolViolation(f"RRULE: UNTIL={text[:40]!r} is no time")
    try:
        day = date(int(found[1]), int(found[2]), int(found[3]))
        if found[4] is None:
            return day
        at = datetime(day.year, day.month, day.day, int(found[4]), int(found[5]), min(int(found[6]), 59), tzinfo=UTC)
    except ValueError:
        raise ProtocolViolation(f"RRULE: UNTIL={text[:40]!r} is no time") from None
    wall = to_wall(at, zone) if found[7] and not zone.floating else at.replace(tzinfo=None)
    if wall.time() < start.time():
        return wall.date() - timedelta(days=1) if wall.date() > date.min else None
    return wall.date()
