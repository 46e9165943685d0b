"""Reminders of appointments and tasks: which ring when, and what putting off and dismissing change (MS-OXORMDR).

A single item's reminder is dismissed by having none. A series goes on: what is dismissed is everything up to the start
that `Appointment.reminded` names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from postern.model.calendar.appointment import Appointment, Reminded
from postern.model.calendar.views import Occurrence, occurrences
from postern.model.calendar.zones import Zone
from postern.model.ids import ItemId
from postern.services.calendar.shelf import Row

AHEAD = timedelta(days=31)
"""The longest time before a start that is looked for; what was put off rings whenever it is to."""
SEARCHED = timedelta(days=5 * 366)
"""How far ahead the next time of a series is looked for."""
MAX_TIMES = 1000
"""Of one series, in a window."""


class Ring(NamedTuple):
    """One reminder."""

    at: datetime
    start: datetime
    end: datetime
    item: ItemId
    day: date | None
    """Which occurrence."""
    subject: str
    location: str
    uid: str


def of_calendar(rows: Iterable[Row], begin: datetime, end: datetime, viewer: Zone) -> list[Ring]:
    """What rings in [begin, end], by time."""
    found = [ring for row in rows for ring in _of_row(row, begin, end, viewer)]
    return sorted(found, key=lambda each: (each.at, each.item))


def _of_row(row: Row, begin: datetime, end: datetime, viewer: Zone) -> list[Ring]:
    item = row.item
    if item.is_canceled or (item.reminder_minutes is None and not item.modified):
        return []
    last = end + AHEAD
    if item.reminded is not None:
        # what was put off may be long past
        begin_at = min(begin, item.reminded.start)
        last = max(last, item.reminded.start + timedelta(seconds=1))
    else:
        begin_at = begin
    found = []
    for each in occurrences(item, begin_at, last, viewer, MAX_TIMES):
        at = rings_at(item, each)
        if at is not None and begin <= at <= end:
            shown = each.item
            found.append(Ring(at, each.start, each.end, row.id, each.day, shown.subject, shown.location, item.uid))
    return found


def rings_at(item: Appointment, each: Occurrence) -> datetime | None:
    """When one time of an item rings; None: not, or not again."""
    minutes = each.item.reminder_minutes
    if minutes is None:
        return None
    if item.reminded is not None and each.start == item.reminded.start:
        return item.reminded.at
    if item.reminded is not None and item.recurrence is not None and each.start < item.reminded.start:
        return None
    return each.start - timedelta(minutes=minutes)


def dismissed(item: Appointment, start: datetime, viewer: Zone) -> Appointment:
    """The item after the reminder of its time at `start` was dismissed."""
    following = _following(item, start, viewer)
    if following is None:
        return msgspec.structs.replace(item, reminder_minutes=None, reminded=None)
    return msgspec.structs.replace(item, reminded=following)


def put_off(item: Appointment, start: datetime, until: datetime, viewer: Zone) -> Appointment:
    """The item after the reminder of its time at `start` was put off; beyond the next one's, it is done with."""
    following = _following(item, start, viewer)
    later = Reminded(start, until)
    return msgspec.structs.replace(item, reminded=later if following is None or until < following.at else following)


def _following(item: Appointment, start: datetime, viewer: Zone) -> Reminded | None:
    """The next time of a series that rings; None: it was the last, or there is no series."""
    if item.recurrence is None:
        return None
    after = start + timedelta(seconds=1)
    for each in occurrences(item, after, after + SEARCHED, viewer, MAX_TIMES):
        if each.start > start and each.item.reminder_minutes is not None:
            return Reminded(each.start, each.start - timedelta(minutes=each.item.reminder_minutes))
    return None


# --- tasks, which are properties

SET, DUE, SIGNAL = "PidLidReminderSet", "PidLidReminderTime", "PidLidReminderSignalTime"


def of_task(properties: Mapping[str, Any], item: ItemId, begin: datetime, end: datetime) -> Ring | None:
    """A task's reminder, if it rings in [begin, end]."""
    at = properties.get(SIGNAL, properties.get(DUE))
    if not properties.get(SET) or not isinstance(at, datetime) or not begin <= at <= end:
        return None
    days = [properties.get(name) for name in ("PidLidTaskStartDate", "PidLidTaskDueDate")]
    known = [day for day in days if isinstance(day, datetime)] or [at]
    subject = str(properties.get("PidTagSubject") or "")
    return Ring(at, known[0], known[-1], item, None, subject, "", f"{int(item):016x}")
