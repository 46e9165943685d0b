"""Tasks: their properties in the schema's order, and what follows from setting one (MS-OXWSTASK 2.2.4.6)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from lxml.etree import _Element as Element

from postern.model.calendar.recurrence import Kind, Nth, Pattern, Recurrence, Weekday
from postern.model.calendar.series import day_of
from postern.protocols.ews import recurrence_xml
from postern.protocols.ews.item_table import (
    ALL,
    DEFAULT,
    Property,
    Wish,
    computed,
    number,
    string,
    strings,
    truth,
    word,
)
from postern.protocols.ews.message_facts import MessageFacts, instant
from postern.protocols.ews.reading import date_time
from postern.protocols.ews.reading import text as text_in
from postern.protocols.ews.versions import Version
from postern.protocols.ews.violation import EwsViolation, SchemaViolation

STATUS, PERCENT, COMPLETE = "PidLidTaskStatus", "PidLidPercentComplete", "PidLidTaskComplete"
START, DUE, DONE_ON = "PidLidTaskStartDate", "PidLidTaskDueDate", "PidLidTaskDateCompleted"
RECURRENCE, VERSION = "PosternRecurrence", "PidLidTaskVersion"
STATUSES = ("NotStarted", "InProgress", "Completed", "WaitingOnOthers", "Deferred")
COMPLETED = 2


def _day(uri: str, key: str, base: str = ALL) -> Property:
    """A day; stored as its midnight in UTC, whatever zone a client names it in (MS-OXOTASK 2.2.2.2.4)."""
    name = uri.partition(":")[2]

    def make(facts: MessageFacts, wish: Wish) -> str:
        value = facts.properties.get(key)
        return f"<t:{name}>{instant(int(value.timestamp()))}</t:{name}>" if isinstance(value, datetime) else ""

    def read(element: Element) -> Mapping[str, Any]:
        given = text_in(element).strip()
        date_time(given, name)  # for what it refuses
        try:
            return {key: datetime.combine(date.fromisoformat(given[:10]), datetime.min.time(), UTC)}
        except ValueError:
            raise SchemaViolation(f"{name} is no date and time.") from None

    return Property(uri, make, Version.EXCHANGE_2007, base, 0, read, (key,))


def _percent(facts: MessageFacts, wish: Wish) -> str:
    value = facts.properties.get(PERCENT, 0)
    shown = round(value * 100, 6) if isinstance(value, int | float) else 0
    return f"<t:PercentComplete>{shown:g}</t:PercentComplete>"


def _read_percent(element: Element) -> Mapping[str, Any]:
    try:
        value = float(text_in(element))
    except ValueError:
        raise SchemaViolation("PercentComplete is no number.") from None
    if not 0 <= value <= 100:
        raise EwsViolation("ErrorInvalidPercentCompleteValue", "PercentComplete is between 0 and 100.")
    return {PERCENT: value / 100}


def recurrence_of(properties: Mapping[str, Any]) -> Recurrence | None:
    """The stored pattern; None: it does not recur, or makes no sense."""
    stored = properties.get(RECURRENCE)
    if not isinstance(stored, list):
        return None
    try:
        kind, interval, days, first_day, day_of_month, nth, month, start, count, until = stored
        pattern = Pattern(Kind(kind), interval, Weekday(days), first_day, day_of_month, Nth(nth), month)
        return Recurrence(pattern, date.fromordinal(start), count, None if until is None else date.fromordinal(until))
    except (ValueError, TypeError):
        return None


def stored_recurrence(recurrence: Recurrence) -> list[Any]:
    """As appointments store theirs (convert.appointments)."""
    pattern, until = recurrence.pattern, recurrence.until
    return [
        pattern.kind.value, pattern.interval, int(pattern.days), pattern.first_day, pattern.day_of_month,
        int(pattern.nth), pattern.month, recurrence.start.toordinal(), recurrence.count,
        None if until is None else until.toordinal(),
    ]  # fmt: skip


def _recurrence(facts: MessageFacts, wish: Wish) -> str:
    found = recurrence_of(facts.properties)
    return recurrence_xml.write(found) if found is not None else ""


def _read_recurrence(element: Element) -> Mapping[str, Any]:
    return {RECURRENCE: stored_recurrence(recurrence_xml.read(element, task=True))}


def _is_recurring(facts: MessageFacts) -> str:
    return "true" if facts.properties.get(RECURRENCE) else "false"


def _described(facts: MessageFacts) -> str:
    """StatusDescription: the words Exchange has for a status."""
    words = ("Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred")
    value = facts.properties.get(STATUS, 0)
    return words[value] if isinstance(value, int) and 0 <= value < len(words) else words[0]


TASK: tuple[Property, ...] = (
    number("task:ActualWork", "PidLidTaskActualEffort"),
    string("task:BillingInformation", "PidLidBilling"),
    computed("task:ChangeCount", lambda facts: str(facts.properties.get(VERSION, 1))),
    strings("task:Companies", "PidLidCompanies"),
    _day("task:CompleteDate", DONE_ON),
    strings("task:Contacts", "PidLidContacts"),
    computed("task:DelegationState", lambda facts: "NoMatch"),
    _day("task:DueDate", DUE, DEFAULT),
    computed("task:IsAssignmentEditable", lambda facts: "0"),
    computed("task:IsComplete", lambda facts: "true" if facts.properties.get(STATUS) == COMPLETED else "false"),
    computed("task:IsRecurring", _is_recurring),
    truth("task:IsTeamTask", "PidLidTeamTask"),
    string("task:Mileage", "PidLidMileage"),
    string("task:Owner", "PidLidTaskOwner", DEFAULT)._replace(read=None),
    Property("task:PercentComplete", _percent, Version.EXCHANGE_2007, DEFAULT, 0, _read_percent, (PERCENT,)),
    Property("task:Recurrence", _recurrence, Version.EXCHANGE_2007, ALL, 0, _read_recurrence, (RECURRENCE,)),
    _day("task:StartDate", START, DEFAULT),
    word("task:Status", STATUS, STATUSES, DEFAULT, always=True),
    computed("task:StatusDescription", _described),
    number("task:TotalWork", "PidLidTaskEstimatedEffort"),
)


def settle(properties: dict[str, Any], given: Mapping[str, Any], today: date) -> dict[str, Any] | None:
    """Make a task's status, percentage and dates agree after `given` was set (MS-OXWSTASK 3.1.4.9).

    Changes `properties`, the whole map. The answer: a task of its own for what was done, if the task recurs and has
    moved on to its next time; else None. Raises EwsViolation.
    """
    if given.get(DONE_ON) is not None and DONE_ON in given:
        if given[DONE_ON].date() > today + timedelta(days=1):
            raise EwsViolation("ErrorInvalidCompleteDate", "CompleteDate is in the future.")
        properties[STATUS] = COMPLETED
    elif given.get(STATUS) == COMPLETED or given.get(PERCENT) == 1:
        properties[STATUS] = COMPLETED
    elif STATUS in given and PERCENT not in given:
        # of what is under way again it is not known how much is done
        properties[PERCENT] = properties.get(PERCENT, 0.0) if given[STATUS] and properties.get(PERCENT) != 1 else 0.0
    elif STATUS in given and not given[STATUS]:
        properties[PERCENT] = 0.0
    elif PERCENT in given and STATUS not in given:
        properties[STATUS] = 1 if given[PERCENT] else 0
    start, due = properties.get(START), properties.get(DUE)
    if isinstance(start, datetime) and isinstance(due, datetime) and due < start:
        if START in given and DUE in given:
            raise EwsViolation("ErrorCalendarEndDateIsEarlierThanStartDate", "The task is due before it starts.")
        properties[START if DUE in given else DUE] = due if DUE in given else start
    done = properties.get(STATUS) == COMPLETED
    properties[COMPLETE] = done
    if not done:
        properties.pop(DONE_ON, None)
        return None
    properties[PERCENT] = 1.0
    properties.setdefault(DONE_ON, datetime.combine(today, datetime.min.time(), UTC))
    recurrence = recurrence_of(properties)
    if recurrence is None:
        return None
    moved = _next(recurrence, properties, today)
    if moved is None:
        return None
    finished = {key: value for key, value in properties.items() if key != RECURRENCE}
    properties.update({**moved, STATUS: 0, PERCENT: 0.0, COMPLETE: False})
    properties.pop(DONE_ON, None)
    return finished


def _next(recurrence: Recurrence, properties: Mapping[str, Any], today: date) -> dict[str, Any] | None:
    """Dates and pattern of the next time; None: that was the last."""
    due, start = properties.get(DUE), properties.get(START)
    last = due.date() if isinstance(due, datetime) else recurrence.start
    done = properties.get(DONE_ON)
    pattern = recurrence.pattern
    if recurrence.count == 1:
        return None
    if pattern.kind.regeneration:
        since = done.date() if isinstance(done, datetime) else today
        after = Recurrence(_plain(pattern, since), since)
        found = day_of(after, 1)
    else:
        number = 0
        found = day_of(recurrence, 0)
        while found is not None and found <= last and number < 100_000:
            number += 1
            found = day_of(recurrence, number)
    if found is None or (recurrence.until is not None and found > recurrence.until):
        return None
    count = None if recurrence.count is None else recurrence.count - 1
    following = Recurrence(pattern, found, count, recurrence.until)
    made: dict[str, Any] = {RECURRENCE: stored_recurrence(following)}
    made[DUE] = datetime.combine(found, datetime.min.time(), UTC)
    if isinstance(start, datetime):
        made[START] = made[DUE] - max(timedelta(), (due - start) if isinstance(due, datetime) else timedelta())
    return made


def _plain(pattern: Pattern, since: date) -> Pattern:
    unit = pattern.kind.unit
    if unit == "weekly":
        return Pattern(Kind.WEEKLY, pattern.interval, Weekday(1 << since.isoweekday() % 7))
    if unit == "monthly":
        return Pattern(Kind.ABSOLUTE_MONTHLY, pattern.interval, day_of_month=since.day)
    if unit == "yearly":
        return Pattern(Kind.ABSOLUTE_YEARLY, pattern.interval, day_of_month=since.day, month=since.month)
    return Pattern(Kind.DAILY, pattern.interval)
