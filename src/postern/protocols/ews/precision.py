"""DateTimePrecision: whether times are told in seconds or with milliseconds (MS-OXWSCORE 3.1.4.4.1.1)."""

from __future__ import annotations

import re

from lxml.etree import _Element as Element

from postern.protocols.ews import names
from postern.protocols.ews.reading import choice, text

_ELEMENTS = (
    "DateTimeReceived", "DateTimeSent", "DateTimeCreated", "DateTimeStamp", "ReminderDueBy", "ReminderNextTime",
    "LastModifiedTime", "RetentionDate", "StartDate", "DueDate", "CompleteDate", "AssignedTime", "Start", "End",
    "OriginalStart", "RecurrenceId", "AppointmentReplyTime", "LastResponseTime", "ProposedStart", "ProposedEnd",
    "Birthday", "WeddingAnniversary", "PostedTime",
)  # fmt: skip
_TIMES = re.compile(rf"(<t:(?:{'|'.join(_ELEMENTS)})>\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d)Z<")


def asked(headers: tuple[Element, ...]) -> bool:
    """Whether milliseconds are wanted. Raises SchemaViolation."""
    for header in headers:
        if header.tag == f"{names.T}DateTimePrecision":
            return choice(text(header), ("Seconds", "Milliseconds"), "DateTimePrecision") == "Milliseconds"
    return False


def milliseconds(answer: str) -> str:
    """An answer whose times have them; the store keeps seconds, so they are zero."""
    return _TIMES.sub(r"\1.000Z<", answer)
