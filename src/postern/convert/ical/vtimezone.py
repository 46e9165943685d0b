"""VTIMEZONE and zones into each other (RFC 5545 3.6.5, MS-OXCICAL 2.1.3.1.1.19)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec

from postern.convert.ical.rules import read_rule
from postern.convert.ical.syntax import Component, Property, component, escape, line
from postern.convert.ical.times import read_offset, read_time, tzid, write_offset
from postern.convert.zones.names import named_zone, windows_name
from postern.convert.zones.rules import rules_of
from postern.model.calendar.recurrence import Kind, Nth
from postern.model.calendar.zones import FLOATING, Changeover, Zone, ZoneRule, tzinfo_of
from postern.model.refusal import ProtocolViolation

MAX_OBSERVANCES = 200
_NAMES = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")
_FIRST_YEAR = 1601


class _Observance(msgspec.Struct):
    daylight: bool
    minutes: int
    first: int
    last: int
    """Years in which it begins; the last is 9999 if it goes on."""
    changeover: Changeover


def read_zones(calendar: Component, years: tuple[int, int], default: Zone) -> dict[str, Zone]:
    """TZID -> zone, for every definition and every TZID that is used; an unknown one is `default`.

    A known name that is defined as we know it, in these years, stays a name; one defined otherwise has its own rules.
    """
    zones: dict[str, Zone] = {}
    for definition in calendar.walk("VTIMEZONE"):
        name = definition.text("TZID").strip('"')
        if not name or name in zones:
            continue
        zones[name] = _zone(definition, name, years) or default
    for each in _used(calendar):
        if each not in zones:
            zones[each] = named_zone(each) or default
    return zones


def _used(calendar: Component) -> set[str]:
    return {
        found
        for item in calendar.components
        for each in item.properties
        if (found := each.parameter("TZID").strip('"'))
    }


def _zone(definition: Component, name: str, years: tuple[int, int]) -> Zone | None:
    named = named_zone(name) or named_zone(definition.text("X-LIC-LOCATION"))
    try:
        rules = _rules(definition)
    except ProtocolViolation:
        rules = ()
    if not rules:
        return named
    own = Zone(name, rules, windows_id=windows_name(Zone(name)))
    if named is not None and all(_agree(own, named, year) for year in years):
        return named
    return own


def _agree(own: Zone, named: Zone, year: int) -> bool:
    """Whether two zones have the same offset all through a year."""
    ours, theirs = tzinfo_of(own), tzinfo_of(named)
    at = datetime(max(2, min(year, 9998)), 1, 1, 12, tzinfo=UTC)
    return all(
        (at + timedelta(days=day)).astimezone(ours).utcoffset()
        == (at + timedelta(days=day)).astimezone(theirs).utcoffset()
        for day in range(0, 365, 4)
    )


def _rules(definition: Component) -> tuple[ZoneRule, ...]:
    observances = [
        made
        for each in definition.components[:MAX_OBSERVANCES]
        if each.name in ("STANDARD", "DAYLIGHT")
        for made in _observances(each)
    ]
    if not observances:
        return ()
    years = sorted({_FIRST_YEAR, *(each.first for each in observances), *(each.last + 1 for each in observances)})
    rules: list[ZoneRule] = []
    for year in years[:1000]:
        if year > 9999:
            break
        rule = _rule(observances, year)
        if not rules or msgspec.structs.replace(rule, from_year=rules[-1].from_year) != rules[-1]:
            rules.append(rule)
    return tuple(rules)


def _rule(observances: list[_Observance], year: int) -> ZoneRule:
    active = [each for each in observances if each.first <= year <= each.last]
    standard = next((each for each in reversed(active) if not each.daylight), None)
    daylight = next((each for each in reversed(active) if each.daylight), None)
    if standard is not None and daylight is not None:
        return ZoneRule(year, standard.minutes, daylight.minutes, standard.changeover, daylight.changeover)
    # one offset all the year: of what began last before it, or will begin first
    begun = [each for each in observances if each.first <= year]
    last = max(begun, key=lambda each: (min(each.last, year), not each.daylight)) if begun else None
    chosen = standard or daylight or last or min(observances, key=lambda each: (each.daylight, each.first))
    return ZoneRule(year, chosen.minutes)


def _observances(each: Component) -> list[_Observance]:
    offset, start = each.first("TZOFFSETTO"), each.first("DTSTART")
    if offset is None or start is None:
        return []
    minutes, daylight = read_offset(offset.value), each.name == "DAYLIGHT"
    wall = read_time(start, {}).wall
    rule = each.first("RRULE")
    if rule is not None:
        changeover, last = _yearly(rule.value, wall)
        if changeover is not None:
            return [_Observance(daylight, minutes, wall.year, last, changeover)]
    walls = [wall]
    for found in each.all("RDATE"):
        for value in found.value.split(",")[:MAX_OBSERVANCES]:
            walls.append(read_time(Property("RDATE", value.partition("/")[0], {}), {}).wall)
    made = [
        _Observance(daylight, minutes, at.year, at.year, Changeover(at.month, 0, day=at.day, second_of_day=_second(at)))
        for at in sorted(set(walls))
    ]
    if rule is None and len(made) == 1 and not daylight:
        made[0].last = 9999  # the way to write a zone that never changes
    return made


def _yearly(value: str, wall: datetime) -> tuple[Changeover | None, int]:
    found = read_rule(_nth_of_week(value, wall), wall, FLOATING)
    if found.recurrence is None:
        return None, wall.year
    pattern, seconds = found.recurrence.pattern, _second(wall)
    last = found.recurrence.until.year if found.recurrence.until is not None else 9999
    if pattern.kind is Kind.RELATIVE_YEARLY and int(pattern.days).bit_count() == 1:
        weekday = int(pattern.days).bit_length() - 1
        return Changeover(pattern.month, int(pattern.nth), weekday, second_of_day=seconds), last
    if pattern.kind is Kind.ABSOLUTE_YEARLY:
        return Changeover(pattern.month, 0, day=pattern.day_of_month, second_of_day=seconds), last
    return None, wall.year


def _nth_of_week(value: str, wall: datetime) -> str:
    """Rules like "the Sunday on or after the 8th" (BYMONTHDAY=8,9,...,14;BYDAY=SU) as "the second Sunday"."""
    parts = dict(part.partition("=")[::2] for part in value.upper().split(";"))
    days = parts.get("BYMONTHDAY", "").split(",")
    if len(days) == 7 and len(parts.get("BYDAY", "")) == 2:
        try:
            numbers = sorted(int(day) for day in days)
        except ValueError:
            return value
        if all(after - before == 1 for before, after in pairwise(numbers)):
            place = 5 if numbers[0] < 0 or numbers[0] > 22 else (numbers[0] - 1) // 7 + 1
            del parts["BYMONTHDAY"]
            parts["BYDAY"] = f"{-1 if place == 5 else place}{parts['BYDAY']}"
            parts.setdefault("BYMONTH", str(wall.month))
    return ";".join(f"{name}={each}" for name, each in parts.items() if name)


def _second(wall: datetime) -> int:
    return wall.hour * 3600 + wall.minute * 60 + wall.second


def write_zone(zone: Zone, first_year: int, last_year: int) -> str:
    """A VTIMEZONE that holds from one year to another; the last rule goes on for ever."""
    rules = rules_of(zone, first_year, last_year)
    lines = [line("TZID", escape(tzid(zone)))]
    for index, rule in enumerate(rules):
        year = rule.from_year if index or rule.from_year > _FIRST_YEAR else _FIRST_YEAR
        until = rules[index + 1].from_year - 1 if index + 1 < len(rules) else None
        if rule.standard is None or rule.daylight is None:
            before = rules[index - 1].standard_minutes if index else rule.standard_minutes
            start = Changeover(1, 0, day=1)
            lines.append(_observance("STANDARD", (before, rule.standard_minutes), start, (year, year)))
            continue
        offsets = (rule.standard_minutes, rule.daylight_minutes)
        lines.append(_observance("STANDARD", offsets[::-1], rule.standard, (year, until)))
        lines.append(_observance("DAYLIGHT", offsets, rule.daylight, (year, until)))
    return component("VTIMEZONE", lines)


def _observance(name: str, offsets: tuple[int, int], at: Changeover, years: tuple[int, int | None]) -> str:
    first = at.at(years[0])
    lines = [line("DTSTART", _local(first))]
    if years[1] is None or years[1] > years[0]:
        rule = f"FREQ=YEARLY;BYMONTH={at.month}"
        if at.week:
            place = -1 if Nth(at.week) is Nth.LAST else at.week
            rule = f"FREQ=YEARLY;BYDAY={place}{_NAMES[at.weekday]};BYMONTH={at.month}"
        if years[1] is not None:
            until = at.at(years[1]) - timedelta(minutes=offsets[0])
            rule += f";UNTIL={_local(until)}Z"
        lines.append(line("RRULE", rule))
    lines.append(line("TZOFFSETFROM", write_offset(offsets[0])))
    lines.append(line("TZOFFSETTO", write_offset(offsets[1])))
    return component(name, lines)


def _local(wall: datetime) -> str:
    return f"{wall.year:04d}{wall:%m%dT%H%M%S}"
