"""Recurrence and TaskRecurrence, both ways (MS-OXWSCDATA 2.2.4.57, MS-OXWSTASK 2.2.4.4)."""

from __future__ import annotations

import re
from datetime import date

from lxml.etree import _Element as Element

from postern.model.calendar.recurrence import (
    EVERY_DAY,
    WEEKEND,
    WORKDAYS,
    Kind,
    Nth,
    Pattern,
    Recurrence,
    Weekday,
    check,
)
from postern.model.refusal import Refusal
from postern.protocols.ews.reading import children, integer_of, text_of
from postern.protocols.ews.violation import EwsViolation, SchemaViolation

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
NTH = ("First", "Second", "Third", "Fourth", "Last")
_SETS = {"Day": EVERY_DAY, "Weekday": WORKDAYS, "WeekendDay": WEEKEND}
_KINDS = {
    "RelativeYearlyRecurrence": Kind.RELATIVE_YEARLY,
    "AbsoluteYearlyRecurrence": Kind.ABSOLUTE_YEARLY,
    "RelativeMonthlyRecurrence": Kind.RELATIVE_MONTHLY,
    "AbsoluteMonthlyRecurrence": Kind.ABSOLUTE_MONTHLY,
    "WeeklyRecurrence": Kind.WEEKLY,
    "DailyRecurrence": Kind.DAILY,
    "DailyRegeneration": Kind.DAILY_REGENERATION,
    "WeeklyRegeneration": Kind.WEEKLY_REGENERATION,
    "MonthlyRegeneration": Kind.MONTHLY_REGENERATION,
    "YearlyRegeneration": Kind.YEARLY_REGENERATION,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_RANGES = ("NoEndRecurrence", "EndDateRecurrence", "NumberedRecurrence")
_DATE = re.compile(r"\s*(\d{4})-(\d\d)-(\d\d)(?:Z|[+-]\d\d:\d\d)?\s*", re.ASCII).fullmatch
INVALID = "ErrorCalendarInvalidRecurrence"
_NO_DAY = "ErrorCalendarInvalidDayForWeeklyRecurrence"


def day(value: str, what: str) -> date:
    """xs:date; a zone that it may have says nothing here. Raises SchemaViolation."""
    found = _DATE(value[:40])
    if found is None:
        raise SchemaViolation(f"{what} is no date.")
    try:
        return date(*(int(part) for part in found.groups()))
    except ValueError:
        raise SchemaViolation(f"{what} is no date.") from None


def read(element: Element, *, task: bool = False) -> Recurrence:
    """Raises EwsViolation(ErrorCalendarInvalidRecurrence), SchemaViolation."""
    pattern: Pattern | None = None
    made: Recurrence | None = None
    for name, one in children(element):
        if name in _KINDS:
            pattern = _pattern(_KINDS[name], one)
        elif name in _RANGES:
            if pattern is None:
                raise SchemaViolation("A recurrence begins with its pattern.")
            made = _range(pattern, name, one)
        else:
            raise SchemaViolation(f"{name} is no part of a recurrence.")
    if made is None:
        raise SchemaViolation("A recurrence has a pattern and a range.")
    if made.pattern.kind.regeneration and not task:
        raise SchemaViolation("Only tasks are made anew when they are done.")
    try:
        check(made)
    except Refusal as refusal:
        raise EwsViolation(INVALID, f"The recurrence is not valid: {refusal.detail}.") from refusal
    return made


def _pattern(kind: Kind, element: Element) -> Pattern:
    interval = integer_of(element, "Interval", 1)
    if kind is Kind.WEEKLY:
        days = _weekly(text_of(element, "DaysOfWeek"))
        first = text_of(element, "FirstDayOfWeek", "Sunday").strip()
        return Pattern(kind, interval, days, first_day=_index(DAYS, first, "FirstDayOfWeek"))
    if kind in (Kind.RELATIVE_MONTHLY, Kind.RELATIVE_YEARLY):
        nth = Nth(_index(NTH, text_of(element, "DayOfWeekIndex").strip(), "DayOfWeekIndex") + 1)
        return Pattern(kind, interval, _days(text_of(element, "DaysOfWeek")), nth=nth, month=_month(kind, element))
    if kind in (Kind.ABSOLUTE_MONTHLY, Kind.ABSOLUTE_YEARLY):
        return Pattern(kind, interval, day_of_month=integer_of(element, "DayOfMonth", 0), month=_month(kind, element))
    return Pattern(kind, interval)


def _month(kind: Kind, element: Element) -> int:
    if kind.unit != "yearly":
        return 0
    return _index(MONTHS, text_of(element, "Month").strip(), "Month") + 1


def _index(words: tuple[str, ...], value: str, what: str) -> int:
    if value not in words:
        raise SchemaViolation(f"{what} cannot be {value[:40]}.")
    return words.index(value)


def _weekly(value: str) -> Weekday:
    """Single days alone: Day, Weekday and WeekendDay go with relative patterns (MS-OXWSMTGS 3.1.4.2.3)."""
    if any(one not in DAYS for one in value.split()):
        raise EwsViolation(_NO_DAY, "A weekly recurrence names days of the week one by one.")
    return _days(value)


def _days(value: str) -> Weekday:
    found = Weekday(0)
    for one in value.split()[:20]:
        found |= _SETS[one] if one in _SETS else Weekday(1 << _index(DAYS, one, "DaysOfWeek"))
    if not found:
        raise EwsViolation(_NO_DAY, "The recurrence names no day of the week.")
    return found


def _range(pattern: Pattern, name: str, element: Element) -> Recurrence:
    start = day(text_of(element, "StartDate"), "StartDate")
    if name == "EndDateRecurrence":
        until = day(text_of(element, "EndDate"), "EndDate")
        if until < start:
            raise EwsViolation("ErrorCalendarEndDateIsEarlierThanStartDate", "The recurrence ends before it begins.")
        return Recurrence(pattern, start, until=until)
    if name == "NumberedRecurrence":
        return Recurrence(pattern, start, count=integer_of(element, "NumberOfOccurrences", 0))
    return Recurrence(pattern, start)


def write(recurrence: Recurrence) -> str:
    """`<t:Recurrence>`."""
    pattern = recurrence.pattern
    name, kind = _NAMES[pattern.kind], pattern.kind
    interval = f"<t:Interval>{pattern.interval}</t:Interval>"
    month = f"<t:Month>{MONTHS[pattern.month - 1]}</t:Month>" if kind.unit == "yearly" and pattern.month else ""
    if kind is Kind.WEEKLY:
        inner = f"{interval}<t:DaysOfWeek>{_named(pattern.days)}</t:DaysOfWeek>"
        inner += f"<t:FirstDayOfWeek>{DAYS[pattern.first_day]}</t:FirstDayOfWeek>"
    elif kind in (Kind.RELATIVE_MONTHLY, Kind.RELATIVE_YEARLY):
        inner = f"<t:DaysOfWeek>{_one(pattern.days)}</t:DaysOfWeek>"
        inner += f"<t:DayOfWeekIndex>{NTH[pattern.nth - 1]}</t:DayOfWeekIndex>"
        inner = inner + month if month else interval + inner
    elif kind in (Kind.ABSOLUTE_MONTHLY, Kind.ABSOLUTE_YEARLY):
        inner = f"<t:DayOfMonth>{pattern.day_of_month}</t:DayOfMonth>"
        inner = inner + month if month else interval + inner
    else:
        inner = interval
    start = f"<t:StartDate>{recurrence.start.isoformat()}</t:StartDate>"
    if recurrence.count is not None:
        ends = "NumberedRecurrence"
        start += f"<t:NumberOfOccurrences>{recurrence.count}</t:NumberOfOccurrences>"
    elif recurrence.until is not None:
        ends = "EndDateRecurrence"
        start += f"<t:EndDate>{recurrence.until.isoformat()}</t:EndDate>"
    else:
        ends = "NoEndRecurrence"
    return f"<t:Recurrence><t:{name}>{inner}</t:{name}><t:{ends}>{start}</t:{ends}></t:Recurrence>"


def _named(days: Weekday) -> str:
    return " ".join(name for bit, name in enumerate(DAYS) if days >> bit & 1)


def _one(days: Weekday) -> str:
    """A relative pattern names one day or a set of them; another mask is told by its first day."""
    for name, mask in _SETS.items():
        if days == mask:
            return name
    return _named(days).partition(" ")[0]
