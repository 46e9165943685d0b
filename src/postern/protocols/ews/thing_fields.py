"""What items that are no messages have: appointments, contacts, lists, tasks."""

from __future__ import annotations

from postern.protocols.ews.calendar_xml import CALENDAR
from postern.protocols.ews.contact_fields import CONTACT, LIST
from postern.protocols.ews.item_table import Property
from postern.protocols.ews.task_fields import TASK

THINGS: dict[str, tuple[Property, ...]] = {
    "CalendarItem": CALENDAR,
    "Contact": CONTACT,
    "DistributionList": LIST,
    "Task": TASK,
    "Item": (),
}
"""What items that are no messages have beside every item's properties."""
