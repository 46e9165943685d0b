"""Recurrence as Outlook and EWS know it (MS-OXOCAL 2.2.1.44.1), in dates of the series' own zone.

The invariant that makes views cheap: every pattern has exactly one occurrence for each number 0, 1, 2 ..., so that the
occurrence of a number and the first number on or after a day are arithmetic (`series`), never a walk from the start.
"""

from __future__ import annotations

from datetime import date
from enum import Enum, IntEnum, IntFlag

import msgspec

from postern.model.refusal import Reason, Refusal

MAX_INTERVAL = {"daily": 999, "weekly": 99, "monthly": 99, "yearly": 99}
"""Outlook's limits; a larger one is refused."""
MAX_COUNT = 999
"""MS-OXCICAL 2.1.3.2.2: COUNT has at most three digits."""


class Weekday(IntFlag):
    """Days of the week as a mask (MS-OXOCAL PatternTypeSpecific.Week); bit n is day n, Sunday being day 0."""

    SUNDAY = 1
    MONDAY = 2
    TUESDAY = 4
    WEDNESDAY = 8
    THURSDAY = 16
    FRIDAY = 32
    SATURDAY = 64


WORKDAYS = Weekday.MONDAY | Weekday.TUESDAY | Weekday.WEDNESDAY | Weekday.THURSDAY | Weekday.FRIDAY
WEEKEND = Weekday.SATURDAY | Weekday.SUNDAY
EVERY_DAY = WORKDAYS | WEEKEND


class Nth(IntEnum):
    """Which of the fitting days of a month; LAST is the last one, be it the fourth or the fifth."""

    FIRST = 1
    SECOND = 2
    THIRD = 3
    FOURTH = 4
    LAST = 5


class Kind(Enum):
    """EWS's names of the patterns."""

    DAILY = "daily"
    WEEKLY = "weekly"
    ABSOLUTE_MONTHLY = "absolute_monthly"
    RELATIVE_MONTHLY = "relative_monthly"
    ABSOLUTE_YEARLY = "absolute_yearly"
    RELATIVE_YEARLY = "relative_yearly"
    DAILY_REGENERATION = "daily_regeneration"
    WEEKLY_REGENERATION = "weekly_regeneration"
    MONTHLY_REGENERATION = "monthly_regeneration"
    YEARLY_REGENERATION = "yearly_regeneration"

    @property
    def regeneration(self) -> bool:
        """Tasks only: the next one comes some time after this one is done."""
        return self.value.endswith("_regeneration")

    @property
    def unit(self) -> str:
        """daily, weekly, monthly or yearly."""
        return self.value.removeprefix("absolute_").removeprefix("relative_").removesuffix("_regeneration")


class Pattern(msgspec.Struct, frozen=True):
    """When something comes again. Fields that its kind does not use keep their defaults."""

    kind: Kind
    interval: int = 1
    days: Weekday = Weekday(0)
    """WEEKLY and the relative ones."""
    first_day: int = 0
    """WEEKLY: what day a week begins with, 0 = Sunday; it matters where the interval is above one."""
    day_of_month: int = 0
    """Absolute ones, 1 to 31; a shorter month has it on its last day (MS-OXOCAL 2.2.1.44.1.3)."""
    nth: Nth = Nth.FIRST
    """Relative ones."""
    month: int = 0
    """Yearly ones, 1 to 12."""


class Recurrence(msgspec.Struct, frozen=True):
    """A pattern from a day on: for ever, for `count` occurrences, or up to and including the day `until`."""

    pattern: Pattern
    start: date
    count: int | None = None
    until: date | None = None


def check(recurrence: Recurrence) -> None:
    """Raises Refusal(BAD_VALUE) that names the field which makes no sense."""
    pattern = recurrence.pattern
    _within("interval", pattern.interval, 1, MAX_INTERVAL[pattern.kind.unit])
    if pattern.kind in (Kind.WEEKLY, Kind.RELATIVE_MONTHLY, Kind.RELATIVE_YEARLY):
        _within("days of the week", int(pattern.days), 1, int(EVERY_DAY))
    if pattern.kind is Kind.WEEKLY:
        _within("first day of the week", pattern.first_day, 0, 6)
    if pattern.kind in (Kind.ABSOLUTE_MONTHLY, Kind.ABSOLUTE_YEARLY):
        _within("day of the month", pattern.day_of_month, 1, 31)
    if pattern.kind in (Kind.ABSOLUTE_YEARLY, Kind.RELATIVE_YEARLY):
        _within("month", pattern.month, 1, 12)
    if recurrence.count is not None:
        if recurrence.until is not None:
            raise Refusal(Reason.BAD_VALUE, "a recurrence ends by number or by date, not by both")
        _within("number of occurrences", recurrence.count, 1, MAX_COUNT)
    if recurrence.until is not None and recurrence.until < recurrence.start:
        raise Refusal(Reason.BAD_VALUE, "the recurrence ends before it begins")


def _within(what: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise Refusal(Reason.BAD_VALUE, f"recurrence: {what} is {value}, allowed is {low} to {high}")
