"""Internet dates (RFC 5322 3.3), without the locale and without the email package's price."""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import lru_cache

_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), start=1
    )
}
_MONTH_NAMES = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_DATE = re.compile(
    rb"\s*+(?:[A-Za-z]{1,9}[,.]?\s*+)?(\d{1,2})[\s-]{1,4}([A-Za-z]{3})[A-Za-z]{0,6}[\s-]{1,4}(\d{2,4}),?\s++"
    rb"(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?(?:\.\d{1,9})?\s*+(?:([+-]\d{4})|([A-Za-z]{1,5})\b)?"
).match

# RFC 5322 4.3: the named zones; all other alphabetic zones mean nothing and count as UTC.
_ZONES = {b"EDT": -4, b"EST": -5, b"CDT": -5, b"CST": -6, b"MDT": -6, b"MST": -7, b"PDT": -7, b"PST": -8}
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def parse(value: bytes) -> tuple[int, int] | None:
    """(seconds since the epoch, zone offset in seconds east of UTC) of a Date value, or None if it is none.

    Adding the two gives the wall clock's reading, which is what IMAP's SENTON and its kin compare (RFC 9051 6.4.4).
    """
    found = _DATE(value)
    if found is None:
        return None
    day, month_name, year_digits, hour, minute, second, zone, zone_name = found.groups()
    days = _days(day, month_name, year_digits)
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if days is None or hours > 23 or minutes > 59 or seconds > 60:
        return None
    offset = _offset(zone, zone_name)
    return days * 86400 + hours * 3600 + minutes * 60 + seconds - offset, offset


@lru_cache(maxsize=512)
def _days(day: bytes, month_name: bytes, year_digits: bytes) -> int | None:
    """Days since the epoch; mail of one time has few of them."""
    month = _MONTHS.get(month_name.lower())
    if month is None:
        return None
    year = int(year_digits)
    if len(year_digits) < 4:  # RFC 5322 4.3
        year += 2000 if year < 50 and len(year_digits) == 2 else 1900
    try:
        return date(year, month, int(day)).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        return None


@lru_cache(maxsize=128)
def _offset(zone: bytes | None, zone_name: bytes | None) -> int:
    """Seconds east of UTC."""
    if zone:
        digits = int(zone[1:])
        return (digits // 100 * 3600 + digits % 100 * 60) * (-1 if zone[:1] == b"-" else 1)
    return _ZONES.get(zone_name.upper(), 0) * 3600 if zone_name else 0


def render(when: datetime) -> str:
    """An aware time as RFC 5322 writes it: `Mon, 23 Nov 2026 11:12:34 +0000`. Naive times count as UTC."""
    shift = when.utcoffset()
    seconds = int(shift.total_seconds()) if shift else 0
    sign = "-" if seconds < 0 else "+"
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return (
        f"{_DAY_NAMES[when.weekday()]}, {when.day:02d} {_MONTH_NAMES[when.month]} {when.year:04d} "
        f"{when.hour:02d}:{when.minute:02d}:{when.second:02d} {sign}{hours:02d}{minutes:02d}"
    )
