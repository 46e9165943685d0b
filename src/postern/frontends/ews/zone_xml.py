"""Time zones as requests and answers have them: TimeZoneDefinition, MeetingTimeZone, SerializableTimeZone.

MS-OXWSGTZ 2.2.4.12, MS-OXWSMTGS 2.2.4.39 TimeZoneType, MS-OXWSAVAIL 3.1.4.1.3.15.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from lxml.etree import _Element as Element

from postern.convert.zones.definition import Definition, Group, Period, Transition, define, zone_of
from postern.convert.zones.names import named_zone, windows_name
from postern.model.calendar.zones import MAX_OFFSET_MINUTES, Changeover, Zone, ZoneRule
from postern.model.refusal import Refusal
from postern.protocols.ews.reading import child, children, integer, integer_of, need, text, text_of
from postern.protocols.ews.recurrence_xml import DAYS, MONTHS, NTH
from postern.protocols.ews.violation import EwsViolation, SchemaViolation
from postern.protocols.soap.writing import attribute
from postern.protocols.soap.writing import text as escaped

_DURATION = re.compile(
    r"\s*(-)?P(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,6})M)?(?:(\d{1,8})(?:\.\d+)?S)?)?\s*", re.ASCII
).fullmatch
_TIME = re.compile(r"\s*(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?\s*", re.ASCII).fullmatch
INVALID = "ErrorCalendarInvalidTimeZone"


def seconds_of(value: str, what: str) -> int:
    """xs:duration. Raises SchemaViolation."""
    found = _DURATION(value[:60])
    if found is None or not any(found.groups()[1:]):
        raise SchemaViolation(f"{what} is no duration.")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[1:])
    total = days * 86_400 + hours * 3600 + minutes * 60 + seconds
    return -total if found[1] else total


def named(name: str) -> Zone:
    """A zone by name. Raises EwsViolation(ErrorCalendarInvalidTimeZone)."""
    found = named_zone(name)
    if found is None:
        raise EwsViolation(INVALID, f"No time zone is named {name[:80]!r}.")
    return found


def definition(element: Element) -> Zone:
    """StartTimeZone, EndTimeZone, TimeZoneDefinition. Raises EwsViolation(ErrorCalendarInvalidTimeZone)."""
    periods = tuple(
        Period(one.get("Id", ""), one.get("Name", ""), _minutes(one.get("Bias", ""), "Bias"))
        for _, one in _inside(element, "Periods")
    )
    groups = tuple(
        Group(one.get("Id", ""), tuple(_transition(*each) for each in children(one)))
        for _, one in _inside(element, "TransitionsGroups")
    )
    transitions = tuple(_transition(*each) for each in _inside(element, "Transitions"))
    try:
        return zone_of(Definition(element.get("Id", ""), element.get("Name", ""), periods, groups, transitions))
    except (Refusal, ValueError, OverflowError) as problem:
        raise EwsViolation(
            INVALID, "The time zone is not known, and not defined in a way that makes sense."
        ) from problem


def _inside(element: Element, name: str) -> list[tuple[str, Element]]:
    found = child(element, name)
    rows = [] if found is None else list(children(found))
    if len(rows) > 1100:
        raise EwsViolation(INVALID, "The time zone has too many parts.")
    return rows


def _minutes(value: str, what: str) -> int:
    return seconds_of(value, what) // 60


def _transition(name: str, element: Element) -> Transition:
    to = text_of(element, "To").strip()
    if name == "Transition":
        return Transition(to)
    if name == "AbsoluteDateTransition":
        value = text_of(element, "DateTime").strip()
        try:
            return Transition(to, at=datetime.fromisoformat(value).replace(tzinfo=None))
        except ValueError:
            raise EwsViolation(INVALID, "A transition of the time zone is at no time.") from None
    month = integer_of(element, "Month", 0)
    second = seconds_of(text_of(element, "TimeOffset"), "TimeOffset")
    if not 1 <= month <= 12 or not 0 <= second < 86_400:
        raise EwsViolation(INVALID, "A transition of the time zone is at no time.")
    if name == "RecurringDateTransition":
        day = integer_of(element, "Day", 0)
        if not 1 <= day <= 31:
            raise EwsViolation(INVALID, "A transition of the time zone is at no time.")
        return Transition(to, Changeover(month, 0, day=day, second_of_day=second))
    if name != "RecurringDayTransition":
        raise SchemaViolation(f"{name} is no transition.")
    weekday, which = text_of(element, "DayOfWeek").strip(), integer_of(element, "Occurrence", 0)
    if weekday not in DAYS or which not in (1, 2, 3, 4, -1):
        raise EwsViolation(INVALID, "A transition of the time zone is at no time.")
    return Transition(to, Changeover(month, 5 if which == -1 else which, DAYS.index(weekday), second_of_day=second))


def meeting_zone(element: Element) -> Zone:
    """MeetingTimeZone (TimeZoneType): a name, or offsets with their changes. Raises EwsViolation."""
    name = element.get("TimeZoneName", "").strip()
    base = child(element, "BaseOffset")
    if base is None:
        return named(name)
    offset = -_minutes(text(base), "BaseOffset")
    standard, daylight = child(element, "Standard"), child(element, "Daylight")
    known = named_zone(name)
    if known is not None:
        return known
    if standard is None or daylight is None:
        return _made(name, ZoneRule(1, offset))
    return _made(
        name,
        ZoneRule(
            1,
            offset - _minutes(text_of(standard, "Offset", "PT0S"), "Offset"),
            offset - _minutes(text_of(daylight, "Offset", "PT0S"), "Offset"),
            _change(standard),
            _change(daylight),
        ),
    )


def _made(name: str, rule: ZoneRule) -> Zone:
    if max(abs(rule.standard_minutes), abs(rule.daylight_minutes)) > MAX_OFFSET_MINUTES:
        raise EwsViolation(INVALID, "The offset of the time zone is more than a day.")
    return Zone(name or "Custom", (rule,), windows_id=name or "Custom")


def _change(element: Element) -> Changeover:
    found = _TIME(text_of(element, "Time"))
    yearly = child(element, "RelativeYearlyRecurrence")
    if found is None or yearly is None:
        raise EwsViolation(INVALID, "The time zone does not say when its clocks are changed.")
    day, nth = text_of(yearly, "DaysOfWeek").strip(), text_of(yearly, "DayOfWeekIndex").strip()
    month = text_of(yearly, "Month").strip()
    if day not in DAYS or nth not in NTH or month not in MONTHS:
        raise EwsViolation(INVALID, "The time zone does not say when its clocks are changed.")
    second = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3])
    if second >= 86_400:
        raise EwsViolation(INVALID, "The time zone does not say when its clocks are changed.")
    return Changeover(MONTHS.index(month) + 1, NTH.index(nth) + 1, DAYS.index(day), second_of_day=second)


def serializable(element: Element) -> Zone:
    """The TimeZone of GetUserAvailability. Raises EwsViolation(ErrorTimeZone)."""
    bias = integer_of(element, "Bias", 0)
    standard, daylight = (_side(need(element, name)) for name in ("StandardTime", "DaylightTime"))
    if max(abs(bias + standard[0]), abs(bias + daylight[0])) > MAX_OFFSET_MINUTES:
        raise EwsViolation("ErrorTimeZone", "The offset of the time zone is more than a day.")
    if standard[1] is None or daylight[1] is None:
        return Zone("Custom", (ZoneRule(1, -(bias + standard[0])),))
    rule = ZoneRule(1, -(bias + standard[0]), -(bias + daylight[0]), standard[1], daylight[1])
    return Zone("Custom", (rule,))


def _side(element: Element) -> tuple[int, Changeover | None]:
    bias = integer_of(element, "Bias", 0)
    found = _TIME(text_of(element, "Time"))
    order, month = integer_of(element, "DayOrder", 0), integer_of(element, "Month", 0)
    weekday = text_of(element, "DayOfWeek").strip()
    if not month:
        return bias, None
    if found is None or not 1 <= month <= 12 or weekday not in DAYS:
        raise EwsViolation("ErrorTimeZone", "The time zone does not say when its clocks are changed.")
    second = (int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3])) % 86_400
    if child(element, "Year") is not None and integer(text_of(element, "Year", "0") or "0", "Year"):
        return bias, Changeover(month, 0, day=max(1, min(order, 31)), second_of_day=second)
    if not 1 <= order <= 5:
        raise EwsViolation("ErrorTimeZone", "The time zone does not say when its clocks are changed.")
    return bias, Changeover(month, order, DAYS.index(weekday), second_of_day=second)


@lru_cache(maxsize=1024)
def shown_name(zone: Zone) -> str:
    """What clients are told: Windows' name where it has one."""
    return "UTC" if zone.floating else (windows_name(zone) or zone.id)


@lru_cache(maxsize=1024)
def attributes_and_content(zone: Zone, year: int) -> str:
    """Of a TimeZoneDefinition: a known name alone; a zone of somebody's own making in full."""
    name = shown_name(zone)
    if zone.floating or not zone.rules:
        return f'Id="{attribute(name)}" Name="{attribute(name)}">'
    made = define(zone, year, year)
    periods = "".join(
        f'<t:Period Bias="{_written(each.bias_minutes * 60)}" Name="{attribute(each.name)}" Id="{attribute(each.id)}"/>'
        for each in made.periods
    )
    groups = "".join(
        f'<t:TransitionsGroup Id="{attribute(each.id)}">{"".join(_step(one, "Period") for one in each.transitions)}'
        "</t:TransitionsGroup>"
        for each in made.groups
    )
    transitions = "".join(_step(one, "Group") for one in made.transitions)
    return (
        f'Id="{attribute(made.id)}" Name="{attribute(made.name or made.id)}"><t:Periods>{periods}</t:Periods>'
        f"<t:TransitionsGroups>{groups}</t:TransitionsGroups><t:Transitions>{transitions}</t:Transitions>"
    )


def _step(one: Transition, kind: str) -> str:
    to = f'<t:To Kind="{kind}">{escaped(one.to)}</t:To>'
    change = one.changeover
    if change is not None:
        when = f"<t:TimeOffset>{_written(change.second_of_day)}</t:TimeOffset><t:Month>{change.month}</t:Month>"
        if change.week == 0:
            return f"<t:RecurringDateTransition>{to}{when}<t:Day>{change.day}</t:Day></t:RecurringDateTransition>"
        which = -1 if change.week == 5 else change.week
        return (
            f"<t:RecurringDayTransition>{to}{when}<t:DayOfWeek>{DAYS[change.weekday]}</t:DayOfWeek>"
            f"<t:Occurrence>{which}</t:Occurrence></t:RecurringDayTransition>"
        )
    if one.at is not None:
        at = f"<t:DateTime>{one.at:%Y-%m-%dT%H:%M:%S}</t:DateTime>"
        return f"<t:AbsoluteDateTransition>{to}{at}</t:AbsoluteDateTransition>"
    return f"<t:Transition>{to}</t:Transition>"


def _written(seconds: int) -> str:
    sign, (hours, rest) = "-" if seconds < 0 else "", divmod(abs(seconds), 3600)
    minutes = rest // 60
    return f"{sign}PT{hours}H{minutes}M" if minutes else f"{sign}PT{hours}H"
