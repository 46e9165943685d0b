"""Occurrences of a recurrence by number and by day, in constant time each (MS-OXOCAL 2.2.1.44.1).

Days are ordinals (`date.toordinal`), so that arithmetic near the years 1 and 9999 stays arithmetic: a number whose day
lies outside of them has none.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache
from itertools import islice, takewhile

from postern.model.calendar.recurrence import Kind, Nth, Pattern, Recurrence, Weekday

_LAST_ORDINAL = date.max.toordinal()
_FEW_WEEKS = 60
_LAST_MONTH = 9999 * 12 + 11
_MONTH_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def day_of(recurrence: Recurrence, number: int) -> date | None:
    """The day of an occurrence, numbered from 0 whatever the end; None after the year 9999."""
    ordinal = _plan(recurrence.pattern, recurrence.start).ordinal(number)
    return date.fromordinal(ordinal) if ordinal is not None else None


def first_day(recurrence: Recurrence) -> date | None:
    """The day of the first occurrence; None if there is none at all."""
    day = day_of(recurrence, 0)
    if day is None or (recurrence.until is not None and day > recurrence.until):
        return None
    return day


def last_day(recurrence: Recurrence) -> date | None:
    """The day of the last occurrence; None without an end, or without any occurrence."""
    if recurrence.count is not None:
        return day_of(recurrence, recurrence.count - 1)
    if recurrence.until is None:
        return None
    plan = _plan(recurrence.pattern, recurrence.start)
    number = plan.number(recurrence.until.toordinal() + 1) - 1
    ordinal = plan.ordinal(number) if number >= 0 else None
    return date.fromordinal(ordinal) if ordinal is not None else None


def occurrence_count(recurrence: Recurrence) -> int | None:
    """How many there are; None without an end."""
    if recurrence.count is not None:
        return recurrence.count
    if recurrence.until is None:
        return None
    return _plan(recurrence.pattern, recurrence.start).number(recurrence.until.toordinal() + 1)


def ordinals_between(recurrence: Recurrence, low: int, high: int) -> Iterable[int]:
    """Ordinals of the occurrences from day `low` to day `high`, both included; costs what it yields."""
    return Days(recurrence).between(low, high)


class Days:
    """The days of a recurrence, for who asks for them often."""

    __slots__ = ("_count", "_last", "_plan")

    def __init__(self, recurrence: Recurrence) -> None:
        self._plan = _plan(recurrence.pattern, recurrence.start)
        self._count = recurrence.count
        self._last = _LAST_ORDINAL if recurrence.until is None else recurrence.until.toordinal()

    def between(self, low: int, high: int) -> Iterable[int]:
        """`ordinals_between`; a range or a list wherever these are few."""
        number = self._plan.number(low)
        found = self._plan.between(number, min(high, self._last))
        if self._count is None:
            return found
        left = max(0, self._count - number)
        return found[:left] if isinstance(found, range | list) else islice(found, left)


def days_between(recurrence: Recurrence, low: date, high: date) -> Iterator[date]:
    """The same in dates."""
    for ordinal in ordinals_between(recurrence, low.toordinal(), high.toordinal()):
        yield date.fromordinal(ordinal)


def is_occurrence(recurrence: Recurrence, day: date) -> bool:
    """Whether the pattern has an occurrence that day; exceptions are not asked."""
    return next(days_between(recurrence, day, day), None) is not None


def month_length(year: int, month: int) -> int:
    """Days of a month, 1 to 12."""
    if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
        return 29
    return _MONTH_LENGTHS[month - 1]


def nth_weekday(year: int, month: int, days: Weekday, nth: Nth) -> int:
    """The day of a month that is its nth among the days of the week in the mask."""
    length = month_length(year, month)
    mask = int(days)
    if nth is Nth.LAST:
        weekday = date(year, month, length).toordinal() % 7
        day = length
        while not mask >> weekday & 1:
            weekday = (weekday - 1) % 7
            day -= 1
        return day
    weekday = date(year, month, 1).toordinal() % 7
    day, found = 1, 0
    while True:
        if mask >> weekday & 1:
            found += 1
            if found == nth:
                return day
        weekday = (weekday + 1) % 7
        day += 1


class _Daily:
    def __init__(self, start: int, interval: int) -> None:
        self._start, self._interval = start, interval

    def ordinal(self, number: int) -> int | None:
        ordinal = self._start + number * self._interval
        return ordinal if ordinal <= _LAST_ORDINAL else None

    def number(self, low: int) -> int:
        return max(0, -(-(low - self._start) // self._interval))

    def between(self, number: int, high: int) -> Iterable[int]:
        return range(self._start + number * self._interval, high + 1, self._interval)


class _Weekly:
    """A week may begin before the year 1; only days on or after the start are ever named."""

    def __init__(self, start: int, pattern: Pattern) -> None:
        days = int(pattern.days)  # a flag's own operators cost a microsecond each
        self._offsets = sorted((day - pattern.first_day) % 7 for day in range(7) if days >> day & 1)
        into_week = (start % 7 - pattern.first_day) % 7
        self._week = start - into_week
        self._skipped = sum(offset < into_week for offset in self._offsets)
        self._step = 7 * pattern.interval

    def ordinal(self, number: int) -> int | None:
        week, index = divmod(number + self._skipped, len(self._offsets))
        ordinal = self._week + week * self._step + self._offsets[index]
        return ordinal if ordinal <= _LAST_ORDINAL else None

    def number(self, low: int) -> int:
        week, rest = divmod(low - self._week, self._step)
        before = bisect_left(self._offsets, rest)
        return max(0, week * len(self._offsets) + before - self._skipped)

    def between(self, number: int, high: int) -> Iterable[int]:
        week, index = divmod(number + self._skipped, len(self._offsets))
        first = self._week + week * self._step
        weeks = range(first, high + 1, self._step)
        if len(weeks) <= _FEW_WEEKS:
            days = [at + offset for at in weeks for offset in self._offsets]
            return days[index : bisect_right(days, high)]
        every = (at + offset for at in weeks for offset in self._offsets)
        return takewhile(high.__ge__, islice(every, index, None))


class _Monthly:
    """Months counted from the year 0; yearly patterns are those of 12 months."""

    def __init__(self, start: date, pattern: Pattern) -> None:
        self._pattern = pattern
        self._absolute = pattern.kind in (Kind.ABSOLUTE_MONTHLY, Kind.ABSOLUTE_YEARLY)
        self._step = pattern.interval
        month = start.year * 12 + start.month - 1
        if pattern.kind.unit == "yearly":
            self._step *= 12
            month = start.year * 12 + pattern.month - 1
        if self._day(month) < start.toordinal():
            month += self._step
        self._first = month

    def _day(self, month: int) -> int:
        year, index = divmod(month, 12)
        pattern = self._pattern
        if self._absolute:
            day = min(pattern.day_of_month, month_length(year, index + 1))
        else:
            day = nth_weekday(year, index + 1, pattern.days, pattern.nth)
        return date(year, index + 1, day).toordinal()

    def ordinal(self, number: int) -> int | None:
        month = self._first + number * self._step
        return self._day(month) if month <= _LAST_MONTH else None

    def number(self, low: int) -> int:
        if low > _LAST_ORDINAL:
            return max(0, (_LAST_MONTH - self._first) // self._step + 1)
        day = date.fromordinal(max(1, low))
        number = max(0, -(-(day.year * 12 + day.month - 1 - self._first) // self._step))
        month = self._first + number * self._step
        return number + (month <= _LAST_MONTH and self._day(month) < low)

    def between(self, number: int, high: int) -> Iterable[int]:
        months = range(self._first + number * self._step, _LAST_MONTH + 1, self._step)
        return takewhile(high.__ge__, map(self._day, months))


@lru_cache(maxsize=4096)
def _plan(pattern: Pattern, start: date) -> _Daily | _Weekly | _Monthly:
    if pattern.kind.regeneration:
        # the next task is made when this one is done; a calendar shows the one that there is
        return _Once(start.toordinal())
    if pattern.kind is Kind.DAILY:
        return _Daily(start.toordinal(), pattern.interval)
    if pattern.kind is Kind.WEEKLY:
        return _Weekly(start.toordinal(), pattern)
    return _Monthly(start, pattern)


class _Once(_Daily):
    def __init__(self, start: int) -> None:
        super().__init__(start, _LAST_ORDINAL)
