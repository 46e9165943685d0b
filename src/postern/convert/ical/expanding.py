"""The dates of any RRULE (RFC 5545 3.3.10), within bounds that hold whatever the rule says.

dateutil's rules find the same dates, but look for one that never comes until the year 9999.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterator
from datetime import date, datetime, time
from itertools import product

from postern.convert.ical.rule_text import Rule
from postern.model.calendar.series import month_length

MAX_DATES = 366
MAX_YEARS = 5
_MAX_TIMES = 24
"""Of one day."""


def expand(rule: Rule) -> tuple[tuple[datetime, ...], bool]:
    """The first dates, naive, at most MAX_DATES within MAX_YEARS; and whether that is all of them.

    Nothing for rules of hours, minutes and seconds.
    """
    if rule.frequency not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
        return (), False
    start = rule.start
    horizon = start.replace(year=min(start.year + MAX_YEARS, 9999), day=min(start.day, 28))
    end = horizon if rule.until is None else min(horizon, datetime.combine(rule.until, time.max))
    most = min(MAX_DATES, rule.count or MAX_DATES)
    clocks = _clocks(rule)
    dates: list[datetime] = []
    for first, last in _periods(rule, end.date()):
        found = [
            datetime.combine(day, clock)
            for ordinal in range(first, last + 1)
            for day in [date.fromordinal(ordinal)]
            if _fits(rule, day)
            for clock in clocks
        ]
        for at in _chosen(rule, found):
            if at > end:
                break
            if at >= start:
                dates.append(at)
            if len(dates) == most:
                return tuple(dates), len(dates) == rule.count
    return tuple(dates), rule.count is None and end < horizon


def _chosen(rule: Rule, found: list[datetime]) -> list[datetime]:
    if not rule.positions:
        return found
    places = {place - 1 if place > 0 else len(found) + place for place in rule.positions}
    return [found[place] for place in sorted(places) if 0 <= place < len(found)]


def _clocks(rule: Rule) -> list[time]:
    start = rule.start
    hours, minutes = rule.hours or (start.hour,), rule.minutes or (start.minute,)
    seconds = [min(second, 59) for second in rule.seconds] or [start.second]
    clocks = {time(*each) for each in product(hours[:24], minutes[:60], seconds[:60])}
    return sorted(clocks)[:_MAX_TIMES]


def _periods(rule: Rule, end: date) -> Iterator[tuple[int, int]]:
    """First and last day (ordinals) of each day, week, month or year that counts."""
    start, last = rule.start, end.toordinal()
    match rule.frequency:
        case "DAILY":
            yield from ((day, day) for day in range(start.toordinal(), last + 1, rule.interval))
        case "WEEKLY":
            week = start.toordinal() - (start.toordinal() - rule.first_day) % 7
            for day in range(week, last + 1, 7 * rule.interval):
                yield max(1, day), min(day + 6, date.max.toordinal())
        case "MONTHLY":
            for month in range(start.year * 12 + start.month - 1, end.year * 12 + end.month, rule.interval):
                first = date(month // 12, month % 12 + 1, 1)
                yield first.toordinal(), first.toordinal() + month_length(first.year, first.month) - 1
        case _:
            for year in range(start.year, end.year + 1, rule.interval):
                yield date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()


def _fits(rule: Rule, day: date) -> bool:
    by_day = rule.days or rule.month_days or rule.year_days or rule.week_numbers
    months, month_days = rule.months, rule.month_days
    if not by_day:
        if rule.frequency == "WEEKLY" and day.weekday() != rule.start.weekday():
            return False
        if rule.frequency in ("MONTHLY", "YEARLY"):
            month_days = (rule.start.day,)
        if rule.frequency == "YEARLY" and not months:
            months = (rule.start.month,)
    if months and day.month not in months:
        return False
    if month_days and not {day.day, day.day - month_length(day.year, day.month) - 1} & set(month_days):
        return False
    if rule.year_days:
        number = day.timetuple().tm_yday
        if not {number, number - (366 if isleap(day.year) else 365) - 1} & set(rule.year_days):
            return False
    if rule.week_numbers and not _week_numbers(day, rule.first_day) & set(rule.week_numbers):
        return False
    return not rule.days or _weekday_fits(rule, day)


def _week_numbers(day: date, first_day: int) -> set[int]:
    """The number of the week, and counted from the end; a week belongs to the year with most of its days."""
    middle = day.toordinal() - (day.toordinal() - first_day) % 7 + 3
    if not 1 <= middle <= date.max.toordinal():
        return set()
    at = date.fromordinal(middle)
    days = 366 if isleap(at.year) else 365
    number = (at.timetuple().tm_yday - 1) // 7
    return {number + 1, -((days - at.timetuple().tm_yday) // 7) - 1}


def _weekday_fits(rule: Rule, day: date) -> bool:
    weekday = day.toordinal() % 7
    for ordinal, wanted in rule.days:
        if wanted != weekday:
            continue
        if not ordinal or rule.frequency in ("DAILY", "WEEKLY"):
            return True
        if rule.frequency == "YEARLY" and not rule.months:
            number, length = day.timetuple().tm_yday, 366 if isleap(day.year) else 365
        else:
            number, length = day.day, month_length(day.year, day.month)
        if ordinal in ((number - 1) // 7 + 1, -((length - number) // 7) - 1):
            return True
    return False
