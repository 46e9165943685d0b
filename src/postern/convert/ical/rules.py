"""RRULE and Outlook's patterns into each other (MS-OXCICAL 2.1.3.2.2).

A rule that fits one of Outlook's templates becomes a pattern. Any other one is expanded into its dates, up to MAX_DATES
of them and MAX_YEARS; each becomes an occurrence that stands for itself, as Exchange keeps those of a series that
somebody was invited to one by one. Rules of hours, minutes and seconds leave the first occurrence alone.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import msgspec

from postern.model.calendar.recurrence import MAX_COUNT, Kind, Nth, Pattern, Recurrence, Weekday, check
from postern.model.calendar.series import day_of, first_day, last_day, month_length
from postern.model.calendar.zones import Zone, to_utc, to_wall
from postern.model.refusal import ProtocolViolation, Refusal

MAX_DATES = 366
MAX_YEARS = 5
_MAX_WALK = 5000
_NAMES = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")
_BYDAY = re.compile(r"([+-]?\d{1,2})?(SU|MO|TU|WE|TH|FR|SA)")
_UNTIL = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})(Z?))?")
_PARTS = frozenset(
    {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "BYYEARDAY"}
    | {"BYWEEKNO", "BYHOUR", "BYMINUTE", "BYSECOND"}
)


class Repetition(msgspec.Struct, frozen=True):
    """What became of a rule."""

    recurrence: Recurrence | None = None
    deleted: tuple[date, ...] = ()
    """Days that the pattern has and the rule has not."""
    dates: tuple[datetime, ...] = ()
    """Naive starts in the zone, instead of a pattern: the first ones if `complete` is not true."""
    complete: bool = True
    """False: an endless or long rule was cut, or short months count differently (Outlook takes their last day)."""


class _Rule(msgspec.Struct, frozen=True):
    parts: dict[str, str]
    start: datetime
    interval: int
    count: int | None
    until: date | None
    first_day: int
    days: tuple[tuple[int, int], ...]
    """BYDAY: ordinal or 0, day of the week."""
    month_days: tuple[int, ...]
    months: tuple[int, ...]
    positions: tuple[int, ...]


def read_rule(text: str, start: datetime, zone: Zone, *, outlook: bool = False) -> Repetition:
    """A rule of a series that starts at a naive wall clock reading. `outlook`: its writer means Outlook's short months.

    Raises ProtocolViolation for what is no rule.
    """
    rule = _parse(text, start, zone)
    if rule.until is not None and rule.until < start.date():
        return Repetition()
    pattern = _pattern(rule)
    if pattern is None:
        return _expand(rule)
    recurrence = Recurrence(pattern, start.date(), rule.count, rule.until)
    if rule.count is not None and rule.count > MAX_COUNT:
        last = day_of(recurrence, rule.count - 1)
        recurrence = msgspec.structs.replace(recurrence, count=None, until=last)
    try:
        check(recurrence)
    except Refusal:
        return _expand(rule)
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
    days = ",".join(name for bit, name in enumerate(_NAMES) if pattern.days & (1 << bit))
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
        parts.append(f"WKST={_NAMES[pattern.first_day]}")
    return ";".join(parts)


def _parse(text: str, start: datetime, zone: Zone) -> _Rule:
    parts: dict[str, str] = {}
    for part in text.strip().upper().strip(";").split(";"):
        name, _equals, value = part.partition("=")
        name = name.strip()
        if name in _PARTS and name not in parts:
            parts[name] = value.strip()
        elif not name.startswith("X-") and name != "RSCALE":
            raise ProtocolViolation(f"RRULE: {part[:40]!r} is no part of a rule")
    days = []
    for name in filter(None, parts.get("BYDAY", "").split(",")):
        found = _BYDAY.fullmatch(name.strip())
        if found is None:
            raise ProtocolViolation(f"RRULE: {name[:20]!r} is no day")
        days.append((int(found[1] or 0), _NAMES.index(found[2])))
    week_start = parts.get("WKST", "MO")
    count = _numbers(parts, "COUNT", 1, 10**9)
    return _Rule(
        parts,
        start,
        (_numbers(parts, "INTERVAL", 1, 10**9) or (1,))[0],
        count[0] if count else None,
        _until(parts.get("UNTIL", ""), start, zone) if not count else None,
        _NAMES.index(week_start) if week_start in _NAMES else 1,
        tuple(days),
        _numbers(parts, "BYMONTHDAY", -31, 31),
        _numbers(parts, "BYMONTH", 1, 12),
        _numbers(parts, "BYSETPOS", -366, 366),
    )


def _numbers(parts: dict[str, str], name: str, low: int, high: int) -> tuple[int, ...]:
    if not parts.get(name):
        return ()
    try:
        values = tuple(int(value) for value in parts[name].split(",")[:400])
    except ValueError:
        raise ProtocolViolation(f"RRULE: {name}={parts[name][:40]!r} is no number") from None
    if any(not low <= value <= high or (value == 0 and low < 0) for value in values):
        raise ProtocolViolation(f"RRULE: {name}={parts[name][:40]!r} is out of range")
    return values


def _until(text: str, start: datetime, zone: Zone) -> date | None:
    """The day of the last occurrence that may be."""
    if not text:
        return None
    found = _UNTIL.fullmatch(text)
    if found is None:
        raise ProtocolViolation(f"RRULE: UNTIL={text[:40]!r} is no time")
    try:
        day = date(int(found[1]), int(found[2]), int(found[3]))
        if found[4] is None:
            return day
        at = datetime(day.year, day.month, day.day, int(found[4]), int(found[5]), min(int(found[6]), 59), tzinfo=UTC)
    except ValueError:
        raise ProtocolViolation(f"RRULE: UNTIL={text[:40]!r} is no time") from None
    wall = to_wall(at, zone) if found[7] and not zone.floating else at.replace(tzinfo=None)
    if wall.time() < start.time():
        return wall.date() - timedelta(days=1) if wall.date() > date.min else None
    return wall.date()


def _pattern(rule: _Rule) -> Pattern | None:
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


def _plain_days(rule: _Rule) -> Weekday:
    return Weekday(sum({1 << day for _ordinal, day in rule.days}))


def _daily(rule: _Rule) -> Pattern | None:
    if rule.month_days or rule.months or rule.positions:
        return None
    if not rule.days:
        return Pattern(Kind.DAILY, rule.interval)
    if rule.interval != 1 or any(ordinal for ordinal, _day in rule.days):
        return None
    return Pattern(Kind.WEEKLY, 1, days=_plain_days(rule), first_day=rule.first_day)


def _weekly(rule: _Rule) -> Pattern | None:
    if rule.month_days or rule.months or rule.positions or any(ordinal for ordinal, _day in rule.days):
        return None
    days = _plain_days(rule) or Weekday(1 << (rule.start.toordinal() % 7))
    return Pattern(Kind.WEEKLY, rule.interval, days=days, first_day=rule.first_day)


def _monthly(rule: _Rule) -> Pattern | None:
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


def _yearly(rule: _Rule) -> Pattern | None:
    if len(rule.months) > 1:
        return None
    if not rule.months and (rule.days or (rule.month_days and rule.interval != 1)):
        return None
    if not rule.months and rule.month_days:
        return _in_month(rule, 0, 1)
    return _in_month(rule, rule.months[0] if rule.months else rule.start.month, rule.interval)


def _in_month(rule: _Rule, month: int, interval: int) -> Pattern | None:
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


def _day_of_month(rule: _Rule, month: int) -> int:
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


def _nth(rule: _Rule) -> tuple[Weekday, Nth] | None:
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


def _short_months(rule: _Rule, pattern: Pattern) -> bool:
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


def _expand(rule: _Rule) -> Repetition:
    if rule.parts.get("FREQ") not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
        return Repetition(complete=False)
    from dateutil.rrule import rrulestr

    # the start of the search is the series' own, and its end is bounded: an impossible rule may not search for long
    horizon = rule.start.replace(year=min(rule.start.year + MAX_YEARS, 9999), day=min(rule.start.day, 28))
    wanted = {name: value for name, value in rule.parts.items() if name not in ("UNTIL", "COUNT") and value}
    end = horizon if rule.until is None else min(horizon, datetime.combine(rule.until, rule.start.time().max))
    try:
        text = ";".join(f"{name}={value}" for name, value in wanted.items())
        found = rrulestr(text, dtstart=rule.start).replace(until=end)
        most = min(MAX_DATES, rule.count or MAX_DATES)
        dates = tuple(at for _number, at in zip(range(most), found, strict=False))
    except (ValueError, TypeError, KeyError, OverflowError, IndexError):
        raise ProtocolViolation("RRULE: makes no sense") from None
    ended = len(dates) == rule.count or (rule.count is None and end < horizon and len(dates) < MAX_DATES)
    return Repetition(dates=dates, complete=ended)
