"""Parts of a date (RFC 5260 4.2)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from postern.formats.mime import date

_MJD_OF_ORDINAL_ZERO = 678_576
"""Modified Julian days between the proleptic calendar's day 0 and 1858-11-17."""
_ZONE = re.compile(r"([+-])(\d\d)(\d\d)").fullmatch


def of_field(value: bytes, name: str) -> datetime | None:
    """The date in a field's value: after the last `;` of Received, else the value; in its own zone."""
    if name.lower() == "received":
        value = value.rpartition(b";")[2]
    found = date.parse(value)
    if found is None:
        return None
    seconds, offset = found
    try:
        return datetime.fromtimestamp(seconds, timezone(timedelta(seconds=offset)))
    except (ValueError, OverflowError):
        return None


def in_zone(when: datetime, zone: str) -> datetime | None:
    """The same moment in a zone such as +0100; None if that is none."""
    found = _ZONE(zone)
    if found is None:
        return None
    minutes = int(found.group(2)) * 60 + int(found.group(3))
    if minutes >= 24 * 60:
        return None
    try:
        return when.astimezone(timezone(timedelta(minutes=-minutes if found.group(1) == "-" else minutes)))
    except OverflowError:
        return None


def part(when: datetime, name: str) -> str:
    """One of tables.DATE_PARTS as text; empty for an unknown one."""
    shift = when.utcoffset() or timedelta()
    minutes = int(shift.total_seconds()) // 60
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    day = f"{when.year:04}-{when.month:02}-{when.day:02}"
    time = f"{when.hour:02}:{when.minute:02}:{when.second:02}"
    return {
        "year": f"{when.year:04}",
        "month": f"{when.month:02}",
        "day": f"{when.day:02}",
        "date": day,
        "julian": str(when.toordinal() - _MJD_OF_ORDINAL_ZERO),
        "hour": f"{when.hour:02}",
        "minute": f"{when.minute:02}",
        "second": f"{when.second:02}",
        "time": time,
        "iso8601": f"{day}T{time}{zone[:3]}:{zone[3:]}",
        "std11": date.render(when),
        "zone": zone,
        "weekday": str(when.isoweekday() % 7),
    }.get(name.lower(), "")
