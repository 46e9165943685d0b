"""Recurrences as calendar items carry them: names and numbers, days as ordinals."""

from __future__ import annotations

from datetime import date
from typing import TypeAlias

from postern.model.calendar.recurrence import Kind, Nth, Pattern, Recurrence, Weekday

StoredRecurrence: TypeAlias = tuple[str, int, int, int, int, int, int, int, int | None, int | None]
"""Kind, interval, days, first day, day of month, nth, month; then start, count, until (ordinals)."""

# made once: enumerations find their members slowly, and free/busy reads a thousand series
_KINDS = {each.value: each for each in Kind}
_DAYS = {days: Weekday(days) for days in range(128)}
_NTHS = {int(each): each for each in Nth}


def stored_recurrence(recurrence: Recurrence) -> StoredRecurrence:
    """What is stored of a recurrence."""
    pattern, until = recurrence.pattern, recurrence.until
    return (
        pattern.kind.value,
        pattern.interval,
        int(pattern.days),
        pattern.first_day,
        pattern.day_of_month,
        int(pattern.nth),
        pattern.month,
        recurrence.start.toordinal(),
        recurrence.count,
        None if until is None else until.toordinal(),
    )


def recurrence_of(stored: StoredRecurrence) -> Recurrence:
    """The recurrence that was stored. Raises KeyError, ValueError for what none is."""
    kind, interval, days, first_day, day_of_month, nth, month, start, count, until = stored
    pattern = Pattern(_KINDS[kind], interval, _DAYS[days], first_day, day_of_month, _NTHS[nth], month)
    last = None if until is None else date.fromordinal(until)
    return Recurrence(pattern, date.fromordinal(start), count, last)
