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

from postern.model.calendar.recurrence import Kind, Nth, Pattern, Recurrence

_LAST_ORDINAL = date.max.toordinal()
_FEW_WEEKS = 60
_FEW_DAYS = 366
_LAST_MONTH = 9999 * 12 + 11
_MONTHLY = {
    Kind.ABSOLUTE_MONTHLY: (False, True),
    Kind.RELATIVE_MONTHLY: (False, False),
    Kind.ABSOLUTE_YEARLY: (True, True),
    Kind.RELATIVE_YEARLY: (True, False),
}
"""Patterns of months: whether they are of years, and whether they are of a day of the month."""
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

    @property
    def runs(self) -> tuple[tuple[int, int], ...] | None:
        """The same days as the first one and the step of some runs; none is after `last`. None: they are no runs."""
        return None if isinstance(self._plan, _Monthly) else self._plan.runs()

    @property
    def last(self) -> int:
        """No occurrence is after this ordinal."""
        if self._count is None:
            return self._last
        last = self._plan.ordinal(self._count - 1) if self._count else 0
        return self._last if last is None else min(last, self._last)

    def between(self, low: int, high: int) -> Iterable[int]:
        """`ordinals_between`; a range or a list wherever these are few."""
        high = min(high, self._last)
        if self._count is None and 1 <= low <= high < low + _FEW_DAYS and isinstance(self._plan, _Monthly):
            return self._plan.within(low, high)
        number = self._plan.number(low)
        found = self._plan.between(number, high)
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


@lru_cache(maxsize=4096)
def _nth(weekday: int, length: int, mask: int, nth: int) -> int:
    """The day of a month that is its nth among the days in a mask; `weekday` and `length` are the month's."""
    fitting = [day for day in range(1, length + 1) if mask >> (weekday + day - 1) % 7 & 1]
    return fitting[-1] if nth == Nth.LAST else fitting[nth - 1]


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

    def runs(self) -> tuple[tuple[int, int], ...]:
        return ((self._start, self._interval),)


@lru_cache(maxsize=1024)
def _offsets(days: int, first_day: int) -> list[int]:
    """Where the days in a mask are in a week that begins with a day."""
    return sorted((day - first_day) % 7 for day in range(7) if days >> day & 1)


class _Weekly:
    """A week may begin before the year 1; only days on or after the start are ever named."""

    def __init__(self, start: int, pattern: Pattern) -> None:
        self._offsets = _offsets(int(pattern.days), pattern.first_day)  # a flag's own operators cost a microsecond each
        into_week = (start % 7 - pattern.first_day) % 7
        self._week = start - into_week
        self._skipped = bisect_left(self._offsets, into_week)
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

    def runs(self) -> tuple[tuple[int, int], ...]:
        week, step, skipped = self._week, self._step, self._skipped
        return tuple([(week + offset + (step if at < skipped else 0), step) for at, offset in enumerate(self._offsets)])


class _Monthly:
    """Months counted from the year 0; yearly patterns are those of 12 months."""

    def __init__(self, start: date, pattern: Pattern) -> None:
        yearly, absolute = _MONTHLY[pattern.kind]
        self._day_of_month = pattern.day_of_month if absolute else 0
        self._mask, self._nth = int(pattern.days), int(pattern.nth)
        self._step = pattern.interval * 12 if yearly else pattern.interval
        month = start.year * 12 + (pattern.month if yearly else start.month) - 1
        if self._day(month) < start.toordinal():
            month += self._step
        self._first = month

    def _day(self, month: int) -> int:
        first, length = _month(month)
        if self._day_of_month:
            return first + min(self._day_of_month, length) - 1
        return first + _nth(first % 7, length, self._mask, self._nth) - 1

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

    def within(self, low: int, high: int) -> list[int]:
        """Those from a day to another, of few months."""
        first, last = (day.year * 12 + day.month - 1 for day in map(date.fromordinal, (low, high)))
        if first < self._first:
            first = self._first
        else:
            first += (self._first - first) % self._step
        return [day for month in range(first, last + 1, self._step) if low <= (day := self._day(month)) <= high]


@lru_cache(maxsize=4096)
def _month(month: int) -> tuple[int, int]:
    """The ordinal of a month's first day, and how many days it has."""
    year, index = divmod(month, 12)
    return date(year, index + 1, 1).toordinal(), month_length(year, index + 1)


@lru_cache(maxsize=4096)
def _plan(pattern: Pattern, start: date) -> _Daily | _Weekly | _Monthly:
    if pattern.kind is Kind.WEEKLY:
        return _Weekly(start.toordinal(), pattern)
    if pattern.kind is Kind.DAILY:
        return _Daily(start.toordinal(), pattern.interval)
    if pattern.kind in _MONTHLY:
        return _Monthly(start, pattern)
    # the next task is made when this one is done; a calendar shows the one that there is
    return _Once(start.toordinal())


class _Once(_Daily):
    def __init__(self, start: int) -> None:
        super().__init__(start, _LAST_ORDINAL)
