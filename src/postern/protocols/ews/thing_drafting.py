"""Properties that clients set on contacts, lists, tasks, notes and calendar items: what becomes of what is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from lxml.etree import _Element as Element

from postern.model.contact import MAX_MEMBERS
from postern.protocols.ews import contact_fields, extended
from postern.protocols.ews.attachment_requests import NewAttachment, new_attachment
from postern.protocols.ews.calendar_xml import WHEN
from postern.protocols.ews.contact_fields import CONTACT, LIST
from postern.protocols.ews.drafting import IGNORED, IMPORTANCE, READ_ONLY, SENSITIVITY
from postern.protocols.ews.folder_requests import extended_of
from postern.protocols.ews.item_requests import FieldChange, NewItem
from postern.protocols.ews.item_table import MAX_STRINGS, Property
from postern.protocols.ews.message_facts import CLASSES
from postern.protocols.ews.paths import Extended, Field, Indexed
from postern.protocols.ews.reading import boolean, children, choice, date_time, integer, text
from postern.protocols.ews.task_fields import TASK
from postern.protocols.ews.violation import EwsViolation

MAX_SUBJECT = 255
_TABLES: dict[str, tuple[Property, ...]] = {"Contact": CONTACT, "DistributionList": LIST, "Task": TASK}
MAKES = frozenset({*_TABLES, "CalendarItem"})
"""Elements that make items without MIME; `Item` does with a note's class."""
_MARKER = 1_525_252_321
"""ReminderMinutesBeforeStart of who wants what is usual."""


def _body(element: Element) -> Mapping[str, Any]:
    value = text(element)
    if choice(element.get("BodyType", ""), ("HTML", "Text"), "BodyType") == "HTML":
        return {"PidTagBodyHtml": value or None, "PidTagBody": None}
    return {"PidTagBody": value or None, "PidTagBodyHtml": None}


def _subject(element: Element) -> Mapping[str, Any]:
    return {"PidTagSubject": " ".join(text(element).split("\n"))[:MAX_SUBJECT] or None}


def _categories(element: Element) -> Mapping[str, Any]:
    found = [text(one) for _, one in children(element)]
    if len(found) > MAX_STRINGS:
        raise EwsViolation("ErrorPropertyValidationFailure", f"An item has {MAX_STRINGS} categories at most.")
    return {"PidNameKeywords": found or None}


def _minutes(element: Element) -> Mapping[str, Any]:
    value = integer(text(element), "ReminderMinutesBeforeStart", 0)
    return {"PidLidReminderDelta": 15 if value == _MARKER else min(value, 2_629_800)}


_COMMON: dict[str, tuple[Callable[[Element], Mapping[str, Any]], tuple[str, ...]]] = {
    "Subject": (_subject, ("PidTagSubject",)),
    "Body": (_body, ("PidTagBody", "PidTagBodyHtml")),
    "Sensitivity": (
        lambda e: {"PidTagSensitivity": SENSITIVITY.index(choice(text(e), SENSITIVITY, "Sensitivity"))},
        ("PidTagSensitivity",),
    ),
    "Importance": (
        lambda e: {"PidTagImportance": IMPORTANCE.index(choice(text(e), IMPORTANCE, "Importance"))},
        ("PidTagImportance",),
    ),
    "Categories": (_categories, ("PidNameKeywords",)),
    "ReminderIsSet": (lambda e: {"PidLidReminderSet": boolean(text(e), "ReminderIsSet")}, ("PidLidReminderSet",)),
    "ReminderDueBy": (lambda e: {"PidLidReminderTime": date_time(text(e), "ReminderDueBy")}, ("PidLidReminderTime",)),
    "ReminderNextTime": (
        lambda e: {"PidLidReminderSignalTime": date_time(text(e), "ReminderNextTime")},
        ("PidLidReminderSignalTime",),
    ),
    "RetentionDate": (
        lambda e: {"PidTagRetentionDate": date_time(text(e), "RetentionDate")},
        ("PidTagRetentionDate",),
    ),
    "ReminderMinutesBeforeStart": (_minutes, ("PidLidReminderDelta",)),
    "InReplyTo": (lambda e: {"PidTagInReplyToId": text(e) or None}, ("PidTagInReplyToId",)),
    "Culture": (lambda e: {"PosternCulture": text(e).strip() or None}, ("PosternCulture",)),
}
_CALENDAR_READ_ONLY = frozenset(
    {
        "IsOnlineMeeting", "IsMeeting", "IsCancelled", "IsRecurring", "MeetingRequestWasSent", "CalendarItemType",
        "MyResponseType", "Organizer", "ConflictingMeetingCount", "AdjacentMeetingCount", "ConflictingMeetings",
        "AdjacentMeetings", "Duration", "AppointmentReplyTime", "AppointmentSequenceNumber", "AppointmentState",
        "FirstOccurrence", "LastOccurrence", "ModifiedOccurrences", "DeletedOccurrences", "OriginalStart",
        "StartWallClock", "EndWallClock", "IsOrganizer", "DateTimeStamp", "RecurrenceId", "TimeZone",
    }
)  # fmt: skip
_CALENDAR_IGNORED = frozenset(
    {"InboxReminders", "EnhancedLocation", "JoinOnlineMeetingUrl",
     "OnlineMeetingSettings", "DoNotForwardMeeting", "CalendarActivityData"}
)  # fmt: skip
_CALENDAR_SET = frozenset(
    {
        "UID", "Start", "End", "IsAllDayEvent", "LegacyFreeBusyStatus", "Location", "IsResponseRequested",
        "RequiredAttendees", "OptionalAttendees", "Resources", "Recurrence", "MeetingTimeZone", "StartTimeZone",
        "ConferenceType", "MeetingWorkspaceUrl", "NetShowUrl",
        "EndTimeZone", "AllowNewTimeProposal", "StartTimeZoneId", "EndTimeZoneId", "IntendedFreeBusyStatus",
    }
)  # fmt: skip


class ThingDraft:
    """An item without MIME while properties are set on it."""

    def __init__(self, element: str, before: Mapping[str, Any] | None = None) -> None:
        """`before`: what is stored of an item that is there."""
        self.element = element
        self.before = before or {}
        self.set: dict[str, Any] = {}
        self.removed: set[str] = set()
        self.attachments: list[NewAttachment] = []
        self.calendar: dict[str, Element] = {}
        """What calendar items have beside: read where their zone is known."""
        self.calendar_removed: set[str] = set()
        self._rows = {row.name: row for row in _TABLES.get(element, ())}

    @property
    def properties(self) -> dict[str, Any]:
        """Everything that is to be stored."""
        return {**{key: value for key, value in self.before.items() if key not in self.removed}, **self.set}

    def create(self, item: NewItem) -> None:
        """Take over all properties of a new item. Raises EwsViolation."""
        for name, element in item.values:
            if name not in IGNORED:
                self._set(name, element)

    def change(self, change: FieldChange) -> None:
        """Do one change. Raises EwsViolation."""
        path = change.path
        if isinstance(path, Extended):
            self._change_extended(path, change)
            return
        if isinstance(path, Indexed):
            self._change_indexed(path, change)
            return
        assert isinstance(path, Field)
        name = path.uri.partition(":")[2]
        if change.action == "Delete":
            self._delete(name)
            return
        found, element = _only(change)
        if found != name:
            raise EwsViolation("ErrorUpdatePropertyMismatch", "The property is not the one that the path names.")
        if change.action == "Append":
            self._append(name, element)
        else:
            self._set(name, element)

    # --- one property

    def put(self, values: Mapping[str, Any]) -> None:
        """Set stored properties; None removes."""
        for key, value in values.items():
            if value is None:
                self.set.pop(key, None)
                self.removed.add(key)
            else:
                self.set[key] = value
                self.removed.discard(key)

    def _set(self, name: str, element: Element) -> None:
        row = self._rows.get(name)
        if name == "ExtendedProperty":
            path, values, _ = extended_of(element)
            self._extended(path, extended.parse(path, values))
        elif name == "Attachments":
            self.attachments += [new_attachment(one) for _, one in children(element)]
        elif name == "ItemClass":
            self._item_class(text(element).strip())
        elif name == "MimeContent":
            raise EwsViolation("ErrorUnsupportedMimeConversion", f"A {self.element} is not made from MIME.")
        elif row is not None:
            if row.read is None:
                raise EwsViolation("ErrorInvalidPropertySet", f"{row.uri} cannot be set.")
            self.put(row.read(element))
        elif name in _COMMON:
            self.put(_COMMON[name][0](element))
        elif self.element == "CalendarItem" and name == "When":
            self.put({WHEN: text(element)[:MAX_SUBJECT] or None})
        elif self.element == "CalendarItem" and name in _CALENDAR_SET:
            self.calendar[name] = element
            self.calendar_removed.discard(name)
        elif self.element == "CalendarItem" and name in _CALENDAR_IGNORED:
            return
        elif name in READ_ONLY or (self.element == "CalendarItem" and name in _CALENDAR_READ_ONLY):
            raise EwsViolation("ErrorInvalidPropertySet", f"{name} cannot be set.")
        else:
            raise EwsViolation("ErrorInvalidPropertyRequest", f"A {self.element} has no property {name}.")

    def _item_class(self, value: str) -> None:
        usual = CLASSES[self.element]
        if value.lower() != usual.lower() and not value.lower().startswith(f"{usual.lower()}."):
            raise EwsViolation("ErrorObjectTypeChanged", f"The class of a {self.element} is {usual}.")
        self.put({"PidTagMessageClass": None if value.lower() == usual.lower() else value[:255]})

    def _append(self, name: str, element: Element) -> None:
        row = self._rows.get(name)
        if name == "Body":
            new = _COMMON["Body"][0](element)
            now = self.properties
            for key in ("PidTagBody", "PidTagBodyHtml"):
                if new.get(key):
                    self.put({key: str(now.get(key) or "") + new[key]})
        elif name == "Members" and row is not None:
            both = contact_fields.members_of(self.properties) + contact_fields.read_members(element)
            rows = {contact_fields.member_key(one): list(one) for one in both}
            self.put({contact_fields.MEMBERS: list(rows.values())[:MAX_MEMBERS]})
        elif self.element == "CalendarItem" and name in ("RequiredAttendees", "OptionalAttendees", "Resources"):
            self.calendar[f"+{name}"] = element
        else:
            raise EwsViolation("ErrorInvalidPropertyAppend", f"Nothing can be appended to {name}.")

    def _delete(self, name: str) -> None:
        row = self._rows.get(name)
        if row is not None and row.read is not None:
            self.put(dict.fromkeys(row.keys))
        elif row is None and name in _COMMON:
            self.put(dict.fromkeys(_COMMON[name][1]))
        elif self.element == "CalendarItem" and name == "When":
            self.put({WHEN: None})
        elif self.element == "CalendarItem" and name in _CALENDAR_SET:
            if name in ("Start", "End", "UID"):
                raise EwsViolation("ErrorInvalidPropertyDelete", f"{name} cannot be removed.")
            self.calendar.pop(name, None)
            self.calendar_removed.add(name)
        elif row is not None or name in READ_ONLY or name in _CALENDAR_READ_ONLY or name == "ItemClass":
            raise EwsViolation("ErrorInvalidPropertyDelete", f"{name} cannot be removed.")
        # what such an item never has is not there already: exchangelib removes all that it has no value for

    def _change_indexed(self, path: Indexed, change: FieldChange) -> None:
        if path.uri == "distributionlist:Members:Member" and self.element == "DistributionList":
            if change.action != "Delete":
                raise EwsViolation("ErrorInvalidPropertySet", "Members are appended to distributionlist:Members.")
            kept = [
                list(row)
                for row in contact_fields.members_of(self.properties)
                if contact_fields.member_key(row) != path.index
            ]
            self.put({contact_fields.MEMBERS: kept or None})
            return
        keys = contact_fields.indexed(path.uri, path.index) if self.element == "Contact" else None
        if keys is None:
            raise EwsViolation("ErrorInvalidPropertySet", f"{path.uri} cannot be set here.")
        if change.action == "Append":
            raise EwsViolation("ErrorInvalidPropertyAppend", f"Nothing can be appended to {path.uri}.")
        if change.action == "Delete":
            self.put(dict.fromkeys(keys))
            return
        name, element = _only(change)
        row = self._rows.get(name)
        if row is None or row.read is None:
            raise EwsViolation("ErrorUpdatePropertyMismatch", "The property is not the one that the path names.")
        values = row.read(element)
        if not set(keys) & values.keys():
            raise EwsViolation("ErrorUpdatePropertyMismatch", "The property is not the one that the path names.")
        self.put({key: values.get(key) for key in keys})

    # --- extended properties

    def _change_extended(self, path: Extended, change: FieldChange) -> None:
        if change.action == "Append":
            raise EwsViolation("ErrorInvalidPropertyAppend", "Nothing can be appended to an extended property.")
        if change.action == "Delete":
            self.put({extended.key(path): None})
            return
        name, element = _only(change)
        if name != "ExtendedProperty":
            raise EwsViolation("ErrorIncorrectUpdatePropertyCount", "A change has exactly one property.")
        given, values, _ = extended_of(element)
        if given.identity != path.identity or given.kind != path.kind:
            raise EwsViolation("ErrorUpdatePropertyMismatch", "The property is not the one that the path names.")
        self._extended(given, extended.parse(given, values))

    def _extended(self, path: Extended, value: Any) -> None:
        if path.tag in (0x0E07, 0x1080, 0x1081):
            return  # flags and icons of messages; some clients set them on everything
        if path.tag == 0x0037 and isinstance(value, str):
            self.put({"PidTagSubject": value[:MAX_SUBJECT] or None})
        elif path.tag == 0x001A and isinstance(value, str):
            self._item_class(value)
        elif path.tag in extended.READ_ONLY and path.tag not in (0x1000, 0x1013):
            raise EwsViolation("ErrorInvalidPropertySet", f"The property 0x{path.tag:04X} cannot be set.")
        else:
            self.put({extended.key(path): value})

    def reminder(self) -> None:
        """Of a task: a reminder needs a time, by default the start of its day."""
        if self.set.keys() & {"PidLidReminderTime", "PidLidReminderSet"}:
            self.put({"PidLidReminderSignalTime": None})  # it was put off, and is set anew
        values = self.properties
        if values.get("PidLidReminderSet") and "PidLidReminderTime" not in values:
            due = values.get("PidLidTaskDueDate")
            if due is not None:
                self.put({"PidLidReminderTime": due + timedelta(hours=8)})


def _only(change: FieldChange) -> tuple[str, Element]:
    if change.value is None or len(change.value.values) != 1:
        raise EwsViolation("ErrorIncorrectUpdatePropertyCount", "A change has exactly one property.")
    return change.value.values[0]
