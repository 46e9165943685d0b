"""Words of iCalendar and the values they stand for (RFC 5545 3.2, 3.8; MS-OXCICAL 2.1.3.1.1.20)."""

from __future__ import annotations

from typing import TypeVar

from postern.model.calendar.appointment import Busy, Importance, Response, Role, Sensitivity, TaskStatus

BUSY = {
    "FREE": Busy.FREE,
    "TENTATIVE": Busy.TENTATIVE,
    "BUSY": Busy.BUSY,
    "OOF": Busy.OUT_OF_OFFICE,
    "WORKINGELSEWHERE": Busy.WORKING_ELSEWHERE,
}
CLASS = {
    "PUBLIC": Sensitivity.NORMAL,
    "X-PERSONAL": Sensitivity.PERSONAL,
    "PERSONAL": Sensitivity.PERSONAL,
    "PRIVATE": Sensitivity.PRIVATE,
    "CONFIDENTIAL": Sensitivity.CONFIDENTIAL,
}
CLASS_WRITTEN = {
    Sensitivity.NORMAL: "PUBLIC",
    Sensitivity.PERSONAL: "X-PERSONAL",
    Sensitivity.PRIVATE: "PRIVATE",
    Sensitivity.CONFIDENTIAL: "CONFIDENTIAL",
}
PARTSTAT = {
    "NEEDS-ACTION": Response.NOT_RESPONDED,
    "ACCEPTED": Response.ACCEPTED,
    "DECLINED": Response.DECLINED,
    "TENTATIVE": Response.TENTATIVE,
    "DELEGATED": Response.NOT_RESPONDED,
    "COMPLETED": Response.ACCEPTED,
    "IN-PROCESS": Response.ACCEPTED,
}
PARTSTAT_WRITTEN = {
    Response.NONE: "NEEDS-ACTION",
    Response.NOT_RESPONDED: "NEEDS-ACTION",
    Response.ORGANIZED: "ACCEPTED",
    Response.ACCEPTED: "ACCEPTED",
    Response.DECLINED: "DECLINED",
    Response.TENTATIVE: "TENTATIVE",
}
ROLE_WRITTEN = {Role.REQUIRED: "REQ-PARTICIPANT", Role.OPTIONAL: "OPT-PARTICIPANT", Role.RESOURCE: "NON-PARTICIPANT"}
PRIORITY_WRITTEN = {Importance.LOW: "9", Importance.NORMAL: "5", Importance.HIGH: "1"}
TASK = {
    "NEEDS-ACTION": TaskStatus.NOT_STARTED,
    "IN-PROCESS": TaskStatus.IN_PROGRESS,
    "COMPLETED": TaskStatus.COMPLETED,
    "CANCELLED": TaskStatus.DEFERRED,
}
TASK_WRITTEN = {
    TaskStatus.NOT_STARTED: "NEEDS-ACTION",
    TaskStatus.IN_PROGRESS: "IN-PROCESS",
    TaskStatus.COMPLETED: "COMPLETED",
    TaskStatus.WAITING: "NEEDS-ACTION",
    TaskStatus.DEFERRED: "NEEDS-ACTION",
}

_Value = TypeVar("_Value")


def meaning(table: dict[str, _Value], word: str, default: _Value) -> _Value:
    """What a word stands for, in any case; an unknown one is the default."""
    return table.get(word.strip().upper(), default)


def importance(priority: str) -> Importance:
    """PRIORITY: 1 to 4 is high, 6 to 9 low."""
    try:
        number = int(priority)
    except ValueError:
        return Importance.NORMAL
    if 1 <= number <= 4:
        return Importance.HIGH
    return Importance.LOW if 6 <= number <= 9 else Importance.NORMAL


def role(role_word: str, kind_word: str) -> Role:
    """ROLE and CUTYPE."""
    if kind_word.strip().upper() in ("RESOURCE", "ROOM"):
        return Role.RESOURCE
    words = {"OPT-PARTICIPANT": Role.OPTIONAL, "NON-PARTICIPANT": Role.RESOURCE}
    return meaning(words, role_word, Role.REQUIRED)
