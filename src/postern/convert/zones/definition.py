"""EWS's TimeZoneDefinition (MS-OXWSGTZ 2.2.4.12) as plain values: periods, groups of transitions, transitions."""

from __future__ import annotations

from datetime import datetime

import msgspec

from postern.convert.zones.names import display_name, named_zone, windows_name
from postern.convert.zones.rules import rules_of
from postern.model.calendar.zones import MAX_OFFSET_MINUTES, MAX_RULES, Changeover, Zone, ZoneRule
from postern.model.refusal import Reason, Refusal

STANDARD, DAYLIGHT = "Standard", "Daylight"


class Period(msgspec.Struct, frozen=True):
    """A named offset; the bias is Windows': minutes that are added to local time to get UTC."""

    id: str
    name: str
    bias_minutes: int


class Transition(msgspec.Struct, frozen=True):
    """To a period (in a group) or a group; each year (`changeover`), once (`at`), or from the beginning (neither)."""

    to: str
    changeover: Changeover | None = None
    at: datetime | None = None
    """Naive, in local time."""


class Group(msgspec.Struct, frozen=True):
    """What happens in each of some years."""

    id: str
    transitions: tuple[Transition, ...]


class Definition(msgspec.Struct, frozen=True):
    """A whole zone. Without periods it is a mere name."""

    id: str
    name: str = ""
    periods: tuple[Period, ...] = ()
    groups: tuple[Group, ...] = ()
    transitions: tuple[Transition, ...] = ()


def define(zone: Zone, first_year: int, last_year: int, language: str = "en") -> Definition:
    """The definition of a zone for these years, under Windows' name where it has one."""
    name = windows_name(zone) or zone.id
    periods: dict[str, Period] = {}
    groups, transitions = [], []
    for number, rule in enumerate(rules_of(zone, first_year, last_year)):
        year = f"trule:Microsoft/Registry/{name}/{rule.from_year}"
        standard = Period(f"{year}-{STANDARD}", STANDARD, -rule.standard_minutes)
        periods[standard.id] = standard
        if rule.standard is None or rule.daylight is None:
            steps: tuple[Transition, ...] = (Transition(standard.id),)
        else:
            daylight = Period(f"{year}-{DAYLIGHT}", DAYLIGHT, -rule.daylight_minutes)
            periods[daylight.id] = daylight
            steps = (Transition(daylight.id, rule.daylight), Transition(standard.id, rule.standard))
        groups.append(Group(str(number), steps))
        since = datetime(rule.from_year, 1, 1) if number else None  # noqa: DTZ001 - local by definition
        transitions.append(Transition(str(number), at=since))
    return Definition(name, display_name(name, language), tuple(periods.values()), tuple(groups), tuple(transitions))


def zone_of(definition: Definition) -> Zone:
    """The zone that a client defines; a known name without periods is enough.

    A name that is known and defined as we know it stays a name. Raises Refusal(BAD_VALUE) for what defines nothing
    (EWS: ErrorTimeZone).
    """
    named = named_zone(definition.id)
    if not definition.periods:
        if named is None:
            raise Refusal(Reason.BAD_VALUE, f"no time zone is named {definition.id[:80]!r}")
        return named
    if len(definition.transitions) > MAX_RULES:
        raise Refusal(Reason.BAD_VALUE, "the time zone has too many transitions")
    periods = {period.id: period for period in definition.periods}
    groups = {group.id: group for group in definition.groups}
    rules = []
    for transition in definition.transitions or (Transition(definition.periods[0].id),):
        year = transition.at.year if transition.at is not None else 1
        if transition.to in groups:
            rules.append(_rule(year, groups[transition.to], periods))
        else:
            rules.append(ZoneRule(year, _minutes(transition.to, periods)))
    rules.sort(key=lambda rule: rule.from_year)
    if named is not None and _same(named, rules[-1]):
        return named
    return Zone(definition.id, tuple(rules), windows_id=definition.id)


def _same(named: Zone, rule: ZoneRule) -> bool:
    """Whether the rule that holds last is what the name means at present; old rules matter to nobody who names it."""
    ours = rules_of(named, max(rule.from_year, 2026), max(rule.from_year, 2026))[0]
    return msgspec.structs.replace(ours, from_year=rule.from_year) == rule


def _rule(year: int, group: Group, periods: dict[str, Period]) -> ZoneRule:
    if len(group.transitions) > 2:
        raise Refusal(Reason.BAD_VALUE, "a time zone changes its clocks at most twice a year")
    recurring = [step for step in group.transitions if step.changeover is not None]
    if len(recurring) < 2:
        if not group.transitions:
            raise Refusal(Reason.BAD_VALUE, "a group of time zone transitions is empty")
        return ZoneRule(year, _minutes(group.transitions[0].to, periods))
    first, second = recurring
    if periods[_known(first.to, periods)].name.lower().startswith("standard") or (
        periods[_known(second.to, periods)].name.lower().startswith("daylight")
    ):
        first, second = second, first
    return ZoneRule(
        year,
        standard_minutes=_minutes(second.to, periods),
        daylight_minutes=_minutes(first.to, periods),
        standard=second.changeover,
        daylight=first.changeover,
    )


def _known(period: str, periods: dict[str, Period]) -> str:
    if period not in periods:
        raise Refusal(Reason.BAD_VALUE, f"the time zone has no period {period[:80]!r}")
    return period


def _minutes(period: str, periods: dict[str, Period]) -> int:
    minutes = -periods[_known(period, periods)].bias_minutes
    if abs(minutes) > MAX_OFFSET_MINUTES:
        raise Refusal(Reason.BAD_VALUE, "the offset of a time zone is more than a day")
    return minutes
