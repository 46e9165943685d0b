"""GetReminders and PerformReminderAction as they are asked (MS-OXWSMTGS 3.1.4.5, 3.1.4.7)."""

from __future__ import annotations

from datetime import datetime

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews.places import ItemRef, item, limited
from postern.protocols.ews.reading import child, choice, date_time, integer_of, need, some, text, text_of
from postern.protocols.ews.violation import SchemaViolation

KINDS = ("All", "Current", "Old")
MAX_ITEMS = 200


class GetReminders(msgspec.Struct, frozen=True):
    """Which; aware UTC."""

    begin: datetime | None
    end: datetime | None
    limit: int
    kind: str


class ReminderAction(msgspec.Struct, frozen=True):
    """What is to become of one."""

    item: ItemRef
    until: datetime | None
    """None: it is dismissed."""


class PerformReminderAction(msgspec.Struct, frozen=True):
    """Several."""

    actions: tuple[ReminderAction, ...]


def get_reminders(element: Element) -> GetReminders:
    """Raises SchemaViolation."""
    begin, end = child(element, "BeginTime"), child(element, "EndTime")
    return GetReminders(
        None if begin is None else date_time(text(begin), "BeginTime"),
        None if end is None else date_time(text(end), "EndTime"),
        integer_of(element, "MaxItems", 0, 0, MAX_ITEMS) or MAX_ITEMS,
        choice(text_of(element, "ReminderType", "All"), KINDS, "ReminderType"),
    )


def perform_reminder_action(element: Element) -> PerformReminderAction:
    """Raises SchemaViolation, EwsViolation."""
    found = limited(some(element, "ReminderItemActions"))
    return PerformReminderAction(tuple(_action(one) for _, one in found))


def _action(element: Element) -> ReminderAction:
    kind = choice(text(need(element, "ActionType")), ("Dismiss", "Snooze"), "ActionType")
    until = child(element, "NewReminderTime")
    if kind == "Snooze" and until is None:
        raise SchemaViolation("Snooze needs NewReminderTime.")
    when = date_time(text(until), "NewReminderTime") if kind == "Snooze" and until is not None else None
    return ReminderAction(item(need(element, "ItemId")), when)
