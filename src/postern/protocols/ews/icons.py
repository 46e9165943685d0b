"""IconIndex: the picture that clients show beside an item (MS-OXWSCORE 2.2.5.5, MS-OXOMSG 2.2.1.10)."""

from __future__ import annotations

from postern.model.items import Flag
from postern.protocols.ews.message_facts import FORWARDED, MessageFacts

_ANSWERS = {"pos": "AppointmentMeetYes", "neg": "AppointmentMeetNo", "tent": "AppointmentMeetMaybe"}


def icon_of(facts: MessageFacts) -> str:
    """One of IconIndexType."""
    element = facts.element
    if element == "CalendarItem":
        return _calendar(facts)
    if element == "Task":
        return "TaskRecur" if facts.properties.get("PosternRecurrence") else "TaskItem"
    if element == "MeetingResponse":
        return _ANSWERS.get(facts.message_class.lower().rpartition(".")[2], "AppointmentMeet")
    fixed = {
        "Contact": "OutlookDefaultForContacts",
        "MeetingRequest": "AppointmentMeet",
        "MeetingCancellation": "AppointmentMeetCancel",
        "PostItem": "PostItem",
    }
    return fixed.get(element) or (_mail(facts) if element == "Message" else "Default")


def _calendar(facts: MessageFacts) -> str:
    if facts.calendar is None:
        return "AppointmentItem"
    item = facts.calendar.series or facts.calendar.item
    if item.recurrence is not None:
        return "AppointmentMeetRecur" if item.is_meeting else "AppointmentRecur"
    return "AppointmentMeet" if item.is_meeting else "AppointmentItem"


def _mail(facts: MessageFacts) -> str:
    if FORWARDED in facts.keywords:
        return "MailForwarded"
    if facts.flags & Flag.ANSWERED:
        return "MailReplied"
    return "MailRead" if facts.read else "MailUnread"
