"""Meeting times that suit everybody (EWS GetUserAvailability, MS-OXWAVLS 2.2.4.27 to 2.2.4.36).

Quality counts how many can come: everybody is Excellent, 50 % and GoodThreshold more are Good, half of them Fair, fewer
Poor. Optional attendees do not count, rooms do: a time without a room is no better than one without a colleague.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import IntEnum

import msgspec

from postern.model.calendar.appointment import Busy, Role
from postern.model.calendar.blocks import Block
from postern.model.calendar.zones import Zone, to_utc
from postern.model.refusal import Reason, Refusal
from postern.services.calendar.freebusy import WorkingHours

STEP_MINUTES = 30
_GRID_S = 300
MAX_DAYS = 62


class Quality(IntEnum):
    """Best first, as EWS orders them."""

    EXCELLENT = 0
    GOOD = 1
    FAIR = 2
    POOR = 3


class Options(msgspec.Struct, frozen=True):
    """SuggestionsViewOptions, with EWS's defaults."""

    good_threshold: int = 25
    max_by_day: int = 10
    max_outside_work_by_day: int = 0
    duration_minutes: int = 60
    minimum: Quality = Quality.FAIR
    current_time: datetime | None = None
    """Of a meeting that is moved: it does not stand in its own way."""


class Invited(msgspec.Struct, frozen=True):
    """Somebody to come, and what is known of the time."""

    blocks: Sequence[Block] | None
    """None: nobody knows; counts as free, and is told."""
    role: Role = Role.REQUIRED


class Suggestion(msgspec.Struct, frozen=True):
    """One time to meet."""

    start: datetime
    work_time: bool
    quality: Quality
    conflicts: tuple[Busy | None, ...]
    """For each attendee in order: FREE is no conflict; None: nothing is known."""


class Day(msgspec.Struct, frozen=True):
    """The suggestions of one day, the best first."""

    day: date
    quality: Quality
    suggestions: tuple[Suggestion, ...]


def check_options(options: Options) -> None:
    """Raises Refusal(BAD_VALUE) for what EWS does not allow."""
    limits = (
        ("GoodThreshold", options.good_threshold, 1, 49),
        ("MaximumResultsByDay", options.max_by_day, 0, 48),
        ("MaximumNonWorkHourResultsByDay", options.max_outside_work_by_day, 0, 48),
        ("MeetingDurationInMinutes", options.duration_minutes, 30, 1440),
    )
    for name, value, low, high in limits:
        if not low <= value <= high:
            raise Refusal(Reason.BAD_VALUE, f"{name} is {value}, allowed is {low} to {high}")


def suggest(
    attendees: Sequence[Invited], first: date, days: int, hours: WorkingHours, zone: Zone, options: Options
) -> list[Day]:
    """Suggestions from a day on, each half hour of the organizer's wall clock. A conflict of free time is none."""
    check_options(options)
    days = min(days, MAX_DAYS)
    origin = int(to_utc(datetime.combine(first, datetime.min.time()), zone).timestamp())
    end = origin + (days + 2) * 86_400
    exempt = None
    if options.current_time is not None:
        since = int(options.current_time.timestamp())
        exempt = (since, since + options.duration_minutes * 60)
    masks = [_masks(each.blocks, origin, end, exempt) for each in attendees]
    return [
        _day(first + timedelta(days=number), attendees, masks, (origin, hours, zone, options)) for number in range(days)
    ]


def _masks(
    blocks: Sequence[Block] | None, origin: int, end: int, exempt: tuple[int, int] | None
) -> list[tuple[Busy, int]]:
    """For each kind of busy time a number whose bit n is the n-th five minutes."""
    masks: dict[Busy, int] = {}
    for block in blocks or ():
        if block.busy in (Busy.FREE, Busy.WORKING_ELSEWHERE) or (block.start, block.end) == exempt:
            continue
        low = max(0, (block.start - origin) // _GRID_S)
        high = -(-(min(block.end, end) - origin) // _GRID_S)
        if low < high:
            masks[block.busy] = masks.get(block.busy, 0) | ((1 << high) - (1 << low))
    return sorted(masks.items(), reverse=True)


def _day(
    day: date,
    attendees: Sequence[Invited],
    masks: list[list[tuple[Busy, int]]],
    given: tuple[int, WorkingHours, Zone, Options],
) -> Day:
    origin, hours, zone, options = given
    found: list[Suggestion] = []
    seen = set()
    length = (1 << -(-options.duration_minutes * 60 // _GRID_S)) - 1
    for minute in range(0, 1440, STEP_MINUTES):
        wall = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
        start = to_utc(wall, zone)
        seconds = int(start.timestamp())
        if seconds in seen:  # a clock put forward
            continue
        seen.add(seconds)
        work = hours.covers(seconds, seconds + options.duration_minutes * 60)
        if not work and not options.max_outside_work_by_day:
            continue
        needed = length << max(0, (seconds - origin) // _GRID_S)
        conflicts = tuple(
            None if each.blocks is None else next((busy for busy, mask in own if mask & needed), Busy.FREE)
            for each, own in zip(attendees, masks, strict=True)
        )
        quality = _quality(attendees, conflicts, options)
        if quality <= options.minimum:
            found.append(Suggestion(start, work, quality, conflicts))
    found.sort(key=lambda each: (each.quality, not each.work_time, each.start))
    during = [each for each in found if each.work_time][: options.max_by_day]
    outside = [each for each in found if not each.work_time][: options.max_outside_work_by_day]
    chosen = sorted(during + outside, key=lambda each: (each.quality, not each.work_time, each.start))
    chosen = chosen[: options.max_by_day]
    return Day(day, chosen[0].quality if chosen else Quality.POOR, tuple(chosen))


def _quality(attendees: Sequence[Invited], conflicts: Sequence[Busy | None], options: Options) -> Quality:
    counted = [busy for each, busy in zip(attendees, conflicts, strict=True) if each.role is not Role.OPTIONAL] or list(
        conflicts
    )
    if not counted:
        return Quality.EXCELLENT
    percent = 100 * sum(busy in (None, Busy.FREE) for busy in counted) / len(counted)
    if percent == 100:
        return Quality.EXCELLENT
    if percent >= 50 + options.good_threshold:
        return Quality.GOOD
    return Quality.FAIR if percent >= 50 else Quality.POOR
