"""Meeting messages: what they have beside a message's properties (MS-OXWSMTGS 2.2.4.14 to 2.2.4.20).

It follows from what delivery has stored beside the mail (services.calendar.meeting_mail).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from postern.formats import global_object_id
from postern.protocols.ews.calendar_xml import at
from postern.protocols.ews.item_table import ALL, DEFAULT, Property, computed
from postern.protocols.ews.message_facts import MessageFacts

REPRESENTING = "PidTagReceivedRepresentingSmtpAddress"
_CLASS = "ipm.schedule.meeting."
_ANSWERS = {"pos": "Accept", "tent": "Tentative", "neg": "Decline"}


def element_of(message_class: object) -> str:
    """What a message of a class is called; Message for one that is about no meeting and no post."""
    if not isinstance(message_class, str) or not message_class.lower().startswith(_CLASS):
        posted = isinstance(message_class, str) and f"{message_class.lower()}.".startswith("ipm.post.")
        return "PostItem" if posted else "Message"
    kind = message_class.lower()[len(_CLASS) :].partition(".")[0]
    kinds = {"request": "MeetingRequest", "resp": "MeetingResponse", "canceled": "MeetingCancellation"}
    return kinds.get(kind, "MeetingMessage")


def _uid(facts: MessageFacts) -> str | None:
    stored = facts.properties.get("PidLidGlobalObjectId")
    return global_object_id.to_uid(stored) if isinstance(stored, bytes) and stored else None


def _moment(key: str) -> Callable[[MessageFacts], str | None]:
    def value(facts: MessageFacts) -> str | None:
        stored = facts.properties.get(key)
        return at(stored) if isinstance(stored, datetime) else None

    return value


def _response(facts: MessageFacts) -> str:
    if facts.element != "MeetingResponse":
        return "NoResponseReceived" if facts.element == "MeetingRequest" else "Unknown"
    return _ANSWERS.get(facts.message_class.lower().rpartition(".")[2], "Unknown")


_TYPES = {
    0x1: "NewMeetingRequest",
    0x10000: "FullUpdate",
    0x20000: "InformationalUpdate",
    0x40000: "SilentUpdate",
    0x80000: "Outdated",
    0x100000: "PrincipalWantsCopy",
}
"""PidLidMeetingType (MS-OXOCAL 2.2.6.5)."""


def _type(facts: MessageFacts) -> str:
    stored = facts.properties.get("PidLidMeetingType")
    return _TYPES.get(stored, "NewMeetingRequest") if isinstance(stored, int) else "NewMeetingRequest"


def _is_delegated(facts: MessageFacts) -> str:
    """Whether it is about somebody else's calendar, for whom the reader acts."""
    whose = str(facts.properties.get(REPRESENTING) or "").lower()
    return "true" if whose and whose != facts.owner else "false"


def _is_out_of_date(facts: MessageFacts) -> str:
    return "true" if _type(facts) == "Outdated" else "false"


_COMMON: tuple[Property, ...] = (
    computed("meeting:IsDelegated", _is_delegated, DEFAULT),
    computed("meeting:IsOutOfDate", _is_out_of_date, DEFAULT),
    computed("meeting:HasBeenProcessed", lambda facts: "true", DEFAULT),
    computed("meeting:ResponseType", _response, DEFAULT),
    computed("calendar:UID", _uid),
)
_TIMES: tuple[Property, ...] = (
    computed("calendar:Start", _moment("PidLidAppointmentStartWhole"), DEFAULT),
    computed("calendar:End", _moment("PidLidAppointmentEndWhole"), DEFAULT),
)
_LOCATION = computed("calendar:Location", lambda facts: str(facts.properties.get("PidLidLocation") or ""), DEFAULT)


def _sequence(facts: MessageFacts) -> str:
    return str(facts.properties.get("PidLidAppointmentSequence", 0))


MEETING: dict[str, tuple[Property, ...]] = {
    "MeetingMessage": _COMMON,
    "MeetingRequest": (
        *_COMMON,
        computed("meetingRequest:MeetingRequestType", _type, DEFAULT),
        *_TIMES,
        _LOCATION,
        computed("calendar:IsMeeting", lambda facts: "true", ALL),
        computed("calendar:AppointmentSequenceNumber", _sequence, ALL),
    ),
    "MeetingResponse": _COMMON,
    "MeetingCancellation": _COMMON,
}


def responses_of(facts: MessageFacts) -> str:
    """Elements of ResponseObjects before those of every message."""
    if facts.element == "MeetingRequest":
        return "<t:AcceptItem/><t:TentativelyAcceptItem/><t:DeclineItem/>"
    return "<t:RemoveItem/>" if facts.element == "MeetingCancellation" else ""
