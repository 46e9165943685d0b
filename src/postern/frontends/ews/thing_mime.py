"""MimeContent of items that have no MIME: what programs that know only the standards can read.

MS-OXWSCORE 2.2.4.24 gives it to every kind of item since Exchange 2010 SP3: iCalendar for calendar items and tasks,
vCard for contacts and lists, a text for notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from postern.convert.ical.writing import original_start, write_calendar
from postern.convert.vcard import write_contact, write_list
from postern.formats.mime.standin import standin
from postern.model.calendar.appointment import Importance, Sensitivity, Task, TaskStatus
from postern.model.contact import Contact, DistributionList, of_properties
from postern.protocols.ews import task_fields
from postern.protocols.ews.calendar_xml import CalendarFacts
from postern.protocols.ews.message_facts import MessageFacts, body_of


def of(facts: MessageFacts) -> bytes:
    """The octets."""
    revised = datetime.fromtimestamp(facts.saved_at, UTC)
    if facts.calendar is not None:
        return _calendar(facts.calendar)
    if facts.element == "Contact":
        return write_contact(of_properties(Contact, facts.properties), facts.id, revised)
    if facts.element == "DistributionList":
        return write_list(of_properties(DistributionList, facts.properties), facts.id, revised)
    if facts.element == "Task":
        return write_calendar([], tasks=[_task(facts, revised)])
    return standin(facts.subject, facts.saved_at) + body_of(facts, "Text")[0].encode("utf-8", "replace")


def _calendar(facts: CalendarFacts) -> bytes:
    item = facts.item
    if facts.day is not None and facts.series is not None:
        item = msgspec.structs.replace(
            item,
            uid=facts.series.uid,
            start=facts.start,
            end=facts.end,
            recurrence=None,
            clock=None,
            deleted=(),
            modified=(),
            instance_of=original_start(facts.series, facts.day),
        )
    return write_calendar([item])


def _task(facts: MessageFacts, revised: datetime) -> Task:
    stored = facts.properties
    done = stored.get(task_fields.DONE_ON)
    due = stored.get("PidLidReminderTime")
    percent = stored.get(task_fields.PERCENT, 0)
    return Task(
        uid=str(stored.get("PosternUid") or facts.id),
        subject=facts.subject,
        text=body_of(facts, "Text")[0],
        start=_day(stored, task_fields.START),
        due=_day(stored, task_fields.DUE),
        completed_at=done if isinstance(done, datetime) else None,
        status=_one_of(TaskStatus, stored.get(task_fields.STATUS)),
        percent=round(percent * 100) if isinstance(percent, int | float) and 0 <= percent <= 1 else 0,
        importance=Importance(facts.importance),
        sensitivity=Sensitivity(facts.sensitivity),
        categories=facts.categories,
        reminder_at=due if stored.get("PidLidReminderSet") and isinstance(due, datetime) else None,
        recurrence=task_fields.recurrence_of(stored),
        modified_at=revised,
    )


def _day(stored: Mapping[str, Any], key: str) -> date | None:
    value = stored.get(key)
    return value.date() if isinstance(value, datetime) else None


def _one_of(kind: type[TaskStatus], value: object) -> TaskStatus:
    return kind(value) if isinstance(value, int) and value in {one.value for one in kind} else TaskStatus.NOT_STARTED
