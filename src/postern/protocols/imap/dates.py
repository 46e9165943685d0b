"""Dates of SEARCH and APPEND (RFC 9051 9, `date` and `date-time`)."""

from __future__ import annotations

import re
from calendar import timegm
from datetime import date
from functools import lru_cache

from postern.model.refusal import ProtocolViolation
from postern.protocols.imap.render import MONTHS

_MONTH_NUMBERS = {name.upper(): number for number, name in enumerate(MONTHS, 1)}
_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    rb"( [0-9]|[0-9]{2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)

_FIRST, _LAST = timegm((1, 1, 1, 0, 0, 0)), timegm((9999, 12, 31, 23, 59, 59))
"""What a year of four digits can say in UTC, by which dates are told."""


def day(text: bytes) -> int:
    """Seconds since the epoch at the start of a day in UTC. Raises ProtocolViolation."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ProtocolViolation("expected a date such as 17-Jul-2026")
    return _midnight(match[3], match[2], match[1])


def date_time(text: bytes) -> int:
    """Seconds since the epoch. Raises ProtocolViolation."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ProtocolViolation("expected a date-time such as 17-Jul-2026 02:44:25 +0000")
    hour, minute, second = int(match[4]), int(match[5]), int(match[6])
    if hour > 23 or minute > 59 or second > 60 or int(match[9]) > 59:
        raise ProtocolViolation("no such time")
    zone_s = int(match[8]) * 3600 + int(match[9]) * 60
    local = _midnight(match[3], match[2], match[1]) + hour * 3600 + minute * 60 + second
    moment = local - zone_s if match[7] == b"+" else local + zone_s
    if not _FIRST <= moment <= _LAST:
        raise ProtocolViolation("no such date")  # it could not be told again
    return moment


@lru_cache(512)
def _midnight(year: bytes, month: bytes, day_of_month: bytes) -> int:
    try:
        there = date(int(year), _MONTH_NUMBERS[month.upper()], int(day_of_month))
    except (KeyError, ValueError) as error:
        raise ProtocolViolation("no such date") from error
    return timegm(there.timetuple())
