"""RRULE and Outlook's patterns into each other (MS-OXCICAL 2.1.3.2.2).

A rule that fits one of Outlook's templates becomes a pattern. Any other one is expanded into its dates, as far as
`expanding` goes; each becomes an occurrence that stands for itself, as Exchange keeps those of a series that
somebody was invited to one by one. Rules of hours, minutes and seconds leave the first occurrence alone.
"""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from postern.convert.ical.expanding import expand
from postern.convert.ical.rule_text import DAY_NAMES, Rule, parse
from postern.model.calendar.recurrence import MAX_COUNT, Kind, Nth, Pattern, Recurrence, Weekday, check
from postern.model.calendar.series import day_of, first_day, last_day, month_length
from postern.model.calendar.zones import Zone, to_utc
from postern.model.refusal import ProtocolViolation, Refusal

_MAX_WALK = 5000


class Repetition(msgspec.Struct, frozen=True):
    """What became of a rule."""

    recurrence: Recurrence | None = None
    deleted: tuple[date, ...] = ()
    """Days that the pattern has and the rule has not."""
    dates: tuple[datetime, ...] = ()
    """Naive starts in the zone, instead of a pattern: the first ones if `complete` is not true."""
    complete: bool = True
    """False: an endless or long rule was cut, or short months count differently (Outlook takes their last day)."""


def read_rule(text: str, start: datetime, zone: Zone, *, outlook: bool = False) -> Repetition:
    """A rule of a series that starts at a naive wall clock reading. `outlook`: its writer means Outlook's short months.

    Raises ProtocolViolation for what is no rule.
    """
    rule = parse(text, start, zone)
    if rule.until is not None and rule.until < start.date():
        return Repetition()
    pattern = _pattern(rule)
    if pattern is None:
        return _expanded(rule)
    recurrence = Recurrence(pattern, start.date(), rule.count, rule.until)
    if rule.count is not None and rule.count > MAX_COUNT:
        last = day_of(recurrence, rule.count - 1)
        recurrence = msgspec.structs.replace(recurrence, count=None, until=last)
    try:
        check(recurrence)
    except Refusal:
        return _expanded(rule)
    if first_day(recurrence) is None:
        return Repetition()
    if outlook or not _short_months(rule, pattern):
        return Repetition(recurrence)
    return _without_short_months(recurrence)


def write_rule(recurrence: Recurrence, start: datetime, zone: Zone) -> str:
    """The rule of a pattern, whose occurrences begin at the wall clock time of `start` (MS-OXCICAL 2.1.3.2.2)."""
    pattern = recurrence.pattern
    parts = [f"FREQ={pattern.kind.unit.upper()}"]
    if recurrence.count is not None:
        parts.append(f"COUNT={recurrence.count}")
    elif recurrence.until is not None:
        last = last_day(recurrence) or recurrence.until
        local = datetime.combine(last, start.time())
        parts.append(f"UNTIL={local:%Y%m%dT%H%M%S}" if zone.floating else f"UNTIL={to_utc(local, zone):%Y%m%dT%H%M%SZ}")
    if pattern.interval != 1:
        parts.append(f"INTERVAL={pattern.interval}")
    days = ",".join(name for bit, name in enumerate(DAY_NAMES) if pattern.days & (1 << bit))
    if pattern.kind is Kind.WEEKLY:
        parts.append(f"BYDAY={days}")
    elif pattern.kind in (Kind.RELATIVE_MONTHLY, Kind.RELATIVE_YEARLY):
        parts.append(f"BYDAY={days}")
        parts.append(f"BYSETPOS={-1 if pattern.nth is Nth.LAST else int(pattern.nth)}")
    elif pattern.kind in (Kind.ABSOLUTE_MONTHLY, Kind.ABSOLUTE_YEARLY):
        last_of_february = pattern.month == 2 and pattern.day_of_month > 28
        ends_month = pattern.day_of_month == 31 and pattern.kind is Kind.ABSOLUTE_MONTHLY
        parts.append(f"BYMONTHDAY={-1 if ends_month or last_of_february else pattern.day_of_month}")
    if pattern.kind in (Kind.ABSOLUTE_YEARLY, Kind.RELATIVE_YEARLY):
        parts.append(f"BYMONTH={pattern.month}")
    if pattern.kind is Kind.WEEKLY:
        parts.append(f"WKST={DAY_NAMES[pattern.first_day]}")
    return ";".join(parts)


def _pattern(rule: Rule) -> Pattern | None:
    """By one of Outlook's templates; None if it fits none."""
    parts = rule.parts
    if parts.get("BYYEARDAY") or parts.get("BYWEEKNO"):
        return None
    own_time = {"BYHOUR": rule.start.hour, "BYMINUTE": rule.start.minute, "BYSECOND": rule.start.second}
    if any(parts.get(name) and parts[name].lstrip("0") != str(value).lstrip("0") for name, value in own_time.items()):
        return None
    match parts.get("FREQ"):
        case "DAILY":
            return _daily(rule)
        case "WEEKLY":
            return _weekly(rule)
        case "MONTHLY":
            return _monthly(rule)
        case "YEARLY":
            return _yearly(rule)
        case "HOURLY" | "MINUTELY" | "SECONDLY":
            return None
    raise ProtocolViolation("RRULE: without FREQ")


def _plain_days(rule: Rule) -> Weekday:
    return Weekday(sum({1 << day for _ordinal, day in rule.days}))


def _daily(rule: Rule) -> Pattern | None:
    if rule.month_days or rule.months or rule.positions:
        return None
    if not rule.days:
        return Pattern(Kind.DAILY, rule.interval)
    if rule.interval != 1 or any(ordinal for ordinal, _day in rule.days):
        return None
    return Pattern(Kind.WEEKLY, 1, days=_plain_days(rule), first_day=rule.first_day)


def _weekly(rule: Rule) -> Pattern | None:
    if rule.month_days or rule.months or rule.positions or any(ordinal for ordinal, _day in rule.days):
        return None
    days = _plain_days(rule) or Weekday(1 << (rule.start.toordinal() % 7))
    return Pattern(Kind.WEEKLY, rule.interval, days=days, first_day=rule.first_day)


def _monthly(rule: Rule) -> Pattern | None:
    if rule.months:
        # each June, as MONTHLY
        if rule.interval != 1 or len(rule.months) != 1:
            return None
        return _in_month(rule, rule.months[0], 1)
    if rule.days and not rule.month_days and not rule.positions and not any(ordinal for ordinal, _d in rule.days):
        if rule.interval != 1:
            return None
        return Pattern(Kind.WEEKLY, 1, days=_plain_days(rule), first_day=rule.first_day)
    return _in_month(rule, 0, rule.interval)


def _yearly(rule: Rule) -> Pattern | None:
    if len(rule.months) > 1:
        return None
    if not rule.months and (rule.days or (rule.month_days and rule.interval != 1)):
        return None
    if not rule.months and rule.month_days:
        return _in_month(rule, 0, 1)
    return _in_month(rule, rule.months[0] if rule.months else rule.start.month, rule.interval)


def _in_month(rule: Rule, month: int, interval: int) -> Pattern | None:
    """A day of the month, each `interval` months, or years if `month` is given."""
    if rule.days:
        place = _nth(rule)
        if place is None or rule.month_days:
            return None
        kind = Kind.RELATIVE_YEARLY if month else Kind.RELATIVE_MONTHLY
        return Pattern(kind, interval, days=place[0], nth=place[1], month=month)
    kind = Kind.ABSOLUTE_YEARLY if month else Kind.ABSOLUTE_MONTHLY
    day = _day_of_month(rule, month)
    return Pattern(kind, interval, day_of_month=day, month=month) if day else None


def _day_of_month(rule: Rule, month: int) -> int:
    """1 to 31, where 31 is also the last day; 0: cannot be said."""
    given = rule.month_days
    if rule.positions:
        # the last one of 28, 29, 30: the 30th, or the last day of a shorter month
        run = tuple(range(28, max(given, default=0) + 1))
        return max(given) if rule.positions == (-1,) and tuple(sorted(given)) == run and run else 0
    if not given:
        return rule.start.day
    if len(given) != 1:
        return 0
    if given[0] == -1:
        return 31
    if given[0] < 0 or (month and given[0] > month_length(2000, month)):
        return 0
    return given[0]


def _nth(rule: Rule) -> tuple[Weekday, Nth] | None:
    """Days and which of them, from BYDAY=2MO or BYDAY=MO,TU;BYSETPOS=2."""
    ordinals = {ordinal for ordinal, _day in rule.days}
    if ordinals == {0}:
        place = rule.positions[0] if len(rule.positions) == 1 else 0
    elif len(rule.days) == 1 and rule.positions in ((), (1,), (-1,)):
        place = rule.days[0][0]
    else:
        return None
    if place == -1:
        return _plain_days(rule), Nth.LAST
    return (_plain_days(rule), Nth(place)) if 1 <= place <= 4 else None


def _short_months(rule: Rule, pattern: Pattern) -> bool:
    """Whether the rule leaves months out in which the pattern takes the last day."""
    if rule.month_days[:1] == (-1,) or rule.positions:
        return False
    if pattern.kind is Kind.ABSOLUTE_YEARLY:
        return pattern.month == 2 and pattern.day_of_month == 29
    return pattern.kind is Kind.ABSOLUTE_MONTHLY and pattern.day_of_month > 28


def _without_short_months(recurrence: Recurrence) -> Repetition:
    """An end by number moves to the day on which the rule has had so many."""
    if recurrence.count is None and recurrence.until is None:
        return Repetition(recurrence, complete=False)
    endless = msgspec.structs.replace(recurrence, count=None, until=None)
    deleted, kept, last = [], 0, recurrence.start
    for number in range(_MAX_WALK):
        day = day_of(endless, number)
        if day is None or (recurrence.until is not None and day > recurrence.until):
            break
        if day.day == recurrence.pattern.day_of_month:
            kept, last = kept + 1, day
            if kept == recurrence.count:
                break
        else:
            deleted.append(day)
    if not kept:
        return Repetition()
    bounded = msgspec.structs.replace(endless, until=last)
    return Repetition(bounded, tuple(day for day in deleted if day < last))


def _expanded(rule: Rule) -> Repetition:
    dates, complete = expand(rule)
    return Repetition(dates=dates, complete=complete)
