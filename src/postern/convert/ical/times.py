"""Dates, times, durations and offsets of iCalendar (RFC 5545 3.3.4 to 3.3.6, 3.3.14), read with patience."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from postern.convert.ical.syntax import Property, line
from postern.model.calendar.zones import FLOATING, UTC_ZONE, Zone, to_utc, to_wall
from postern.model.refusal import ProtocolViolation

_TIME = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ](\d{2}):?(\d{2}):?(\d{2})?(?:\.\d+)?(Z?))?")
_DURATION = re.compile(r"([+-]?)P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2}):?(\d{2})?")
_MAX_DURATION = timedelta(days=36_600)


class Moment(NamedTuple):
    """A time as it is written: the naive reading of a wall clock, and which clock."""

    wall: datetime
    zone: Zone
    is_date: bool

    @property
    def utc(self) -> datetime:
        """Aware; a floating one counts as if it were UTC."""
        return self.wall.replace(tzinfo=UTC) if self.zone.floating else to_utc(self.wall, self.zone)


def read_time(found: Property, zones: Mapping[str, Zone]) -> Moment:
    """A DATE or DATE-TIME. An unknown TZID is a floating time. Raises ProtocolViolation for what is no time."""
    value = found.value.strip()
    parts = _TIME.fullmatch(value)
    if parts is None:
        raise ProtocolViolation(f"{found.name}: {value[:40]!r} is no time")
    try:
        day = date(int(parts[1]), int(parts[2]), int(parts[3]))
        if parts[4] is None:
            return Moment(datetime(day.year, day.month, day.day), FLOATING, True)  # noqa: DTZ001
        # 24:00 and leap seconds are written here and there
        seconds = int(parts[4]) * 3600 + int(parts[5]) * 60 + min(int(parts[6] or 0), 59)
        if int(parts[4]) > 24 or int(parts[5]) > 59:
            raise ValueError
        wall = datetime(day.year, day.month, day.day) + timedelta(seconds=seconds)  # noqa: DTZ001
    except (ValueError, OverflowError):
        raise ProtocolViolation(f"{found.name}: {value[:40]!r} is no time") from None
    if parts[7]:
        return Moment(wall, UTC_ZONE, False)
    return Moment(wall, zones.get(found.parameter("TZID").strip('"'), FLOATING), False)


def read_duration(value: str) -> timedelta:
    """A DURATION, perhaps negative. Raises ProtocolViolation, also for centuries."""
    parts = _DURATION.fullmatch(value.strip().upper())
    if parts is None or not any(parts.group(2, 3, 4, 5, 6)):
        raise ProtocolViolation(f"{value[:40]!r} is no duration")
    weeks, days, hours, minutes, seconds = (int((each or "0")[:9]) for each in parts.group(2, 3, 4, 5, 6))
    length = weeks * 604_800 + days * 86_400 + hours * 3600 + minutes * 60 + seconds
    if length > _MAX_DURATION.total_seconds():
        raise ProtocolViolation("a duration of more than a century")
    return timedelta(seconds=-length if parts[1] == "-" else length)


def read_offset(value: str) -> int:
    """Minutes east of UTC. Raises ProtocolViolation."""
    parts = _OFFSET.fullmatch(value.strip())
    if parts is None or int(parts[2]) > 23 or int(parts[3]) > 59:
        raise ProtocolViolation(f"{value[:20]!r} is no offset from UTC")
    minutes = int(parts[2]) * 60 + int(parts[3])
    return -minutes if parts[1] == "-" else minutes


def write_utc(name: str, at: datetime) -> str:
    """A line with a time in UTC."""
    return line(name, stamp(at))


def stamp(at: datetime) -> str:
    """An aware time as `20261128T120000Z`."""
    at = at.astimezone(UTC)
    return f"{at.year:04d}{at:%m%dT%H%M%S}Z"


def write_time(name: str, at: datetime, zone: Zone, *, all_day: bool, clock: time | None = None) -> str:
    """A line with an aware time as the wall clock of a zone reads it, or only the day. `clock`: another reading."""
    wall = at.replace(tzinfo=None) if zone.floating else to_wall(at, zone)
    if clock is not None:
        wall = datetime.combine(wall.date(), clock)
    day = f"{wall.year:04d}{wall:%m%d}"
    if all_day:
        return line(name, day, {"VALUE": "DATE"})
    if zone.floating:
        return line(name, f"{day}T{wall:%H%M%S}")
    if zone == UTC_ZONE:
        return line(name, f"{day}T{wall:%H%M%S}Z")
    return line(name, f"{day}T{wall:%H%M%S}", {"TZID": tzid(zone)})


def tzid(zone: Zone) -> str:
    """The name that a zone has in a calendar: Windows' where the client came with one (MS-OXCICAL 2.1.3.1.1.19.1)."""
    return (zone.windows_id or zone.id).replace('"', "'").replace("\n", " ")


def write_duration(length: timedelta) -> str:
    """`-PT15M` and the like."""
    seconds = int(length.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    days, rest = divmod(seconds, 86_400)
    hours, minutes = divmod(rest // 60, 60)
    clock = "".join(f"{value}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (rest % 60, "S")) if value)
    if not clock:
        return f"{sign}P{days}D" if days else "PT0S"
    return f"{sign}P{f'{days}D' if days else ''}T{clock}"


def write_offset(minutes: int) -> str:
    """`+0300`."""
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    return f"{sign}{minutes // 60:02d}{minutes % 60:02d}"
