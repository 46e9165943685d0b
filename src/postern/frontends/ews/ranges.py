"""RecurringMasterItemIdRanges: a series, and with it the occurrences of some ranges (MS-OXWSCORE 2.2.4.35)."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from postern.convert.ical.writing import original_start
from postern.frontends.ews import calendar_reading, thing_values
from postern.model.calendar.appointment import Appointment
from postern.model.calendar.views import Occurrence, occurrences
from postern.model.calendar.zones import Zone
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.places import Range

MAX_TOLD = 2000
"""Occurrences in one answer, as in a calendar view."""
_LONG = 64
"""That may have begun before a range and still go on in it."""
_FIRST = datetime(2, 1, 1, tzinfo=UTC)
_LAST = datetime(9998, 1, 1, tzinfo=UTC)


def with_occurrences(series: MessageFacts, ranges: tuple[Range, ...], zone: Zone) -> list[MessageFacts]:
    """The series, then its occurrences by time, each once. A task has none that are there. Raises EwsViolation."""
    if series.calendar is None or series.calendar.item.recurrence is None:
        return [series]
    item: Appointment = series.calendar.item
    viewer: Zone = series.calendar.viewer
    days = {}
    for one in ranges:
        start = calendar_reading.moment(one.start, "Start", zone) if one.start else _FIRST
        end = calendar_reading.moment(one.end, "End", zone) if one.end else _LAST
        limit = min(one.count or MAX_TOLD, MAX_TOLD)
        for found in _within(item, start, end, viewer, limit, original=one.original):
            days[found.day] = found.start
    told = sorted((when, day) for day, when in days.items() if day is not None)[:MAX_TOLD]
    return [series, *(thing_values.occurrence(series, day) for _, day in told)]


def _within(
    item: Appointment, start: datetime, end: datetime, viewer: Zone, limit: int, *, original: bool
) -> list[Occurrence]:
    if not original:
        return [one for one in occurrences(item, start, end, viewer, limit + _LONG) if one.start >= start][:limit]
    # as if nothing had been moved; one that has been is told where it is
    plain = msgspec.structs.replace(item, modified=())
    found = occurrences(plain, start, end, viewer, limit + _LONG)
    return [one for one in found if one.day is not None and original_start(item, one.day) >= start][:limit]
