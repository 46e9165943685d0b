"""Meeting messages: what they have beside a message's properties (MS-OXWSMTGS 2.2.4.18 to 2.2.4.21).

Lists are told what delivery has stored beside the mail (services.calendar.meeting_mail); whoever gets one message, also
what its calendar part says and what became of the meeting (`facts.calendar`, frontends.ews.meeting_reading).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from postern.formats import global_object_id
from postern.model.calendar.appointment import Response
from postern.protocols.ews.calendar_xml import BUSY, CALENDAR, RESPONSES, CalendarFacts, at
from postern.protocols.ews.item_table import ALL, DEFAULT, Maker, Property, computed
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.versions import Version

_CLASS = "ipm.schedule.meeting."
REPRESENTING = "PidTagReceivedRepresentingSmtpAddress"
"""Stored property of a copy for a delegate: whose meeting it is."""
_ANSWERS = {"pos": "Accept", "tent": "Tentative", "neg": "Decline"}


def element_of(message_class: object) -> str:
    """What a message of a class is called; Message for one that is about no meeting and no post."""
    if not isinstance(message_class, str) or not message_class.lower().startswith(_CLASS):
        posted = isinstance(message_class, str) and f"{message_class.lower()}.".startswith("ipm.post.")
        return "PostItem" if posted else "Message"
    kind = message_class.lower()[len(_CLASS) :].partition(".")[0]
    kinds = {"request": "MeetingRequest", "resp": "MeetingResponse", "canceled": "MeetingCancellation"}
    return kinds.get(kind, "MeetingMessage")


_KINDS = {
    0x1: "NewMeetingRequest",
    0x10000: "FullUpdate",
    0x20000: "InformationalUpdate",
    0x40000: "SilentUpdate",
    0x80000: "Outdated",
    0x100000: "PrincipalWantsCopy",
}
"""PidLidMeetingType (MS-OXOCAL 2.2.6.5), which the calendar assistant stores, as MeetingRequestType."""
_07, _13 = Version.EXCHANGE_2007, Version.EXCHANGE_2013


def _uid(facts: MessageFacts) -> str | None:
    stored = facts.properties.get("PidLidGlobalObjectId")
    return global_object_id.to_uid(stored) if isinstance(stored, bytes) and stored else None


def _stored(key: str) -> Callable[[MessageFacts], str | None]:
    """A time, or words, as delivery stored it."""

    def value(facts: MessageFacts) -> str | None:
        found = facts.properties.get(key)
        return at(found) if isinstance(found, datetime) else str(found or "")

    return value


def _sequence(facts: MessageFacts) -> str:
    return str(facts.properties.get("PidLidAppointmentSequence", 0))


def _told(value: Callable[[CalendarFacts], str | None]) -> Callable[[MessageFacts], str | None]:
    """Known only where the calendar part was read."""
    return lambda facts: value(facts.calendar) if facts.calendar is not None else None


def _response(facts: MessageFacts) -> str:
    if facts.element == "MeetingResponse":
        return _ANSWERS.get(facts.message_class.lower().rpartition(".")[2], "Unknown")
    told = facts.calendar.told if facts.calendar is not None else None
    if told is not None and told.response is not Response.NONE:
        return RESPONSES[told.response]
    return "NoResponseReceived" if facts.element == "MeetingRequest" else "Unknown"


def _associated(facts: MessageFacts) -> str:
    told = facts.calendar.told if facts.calendar is not None else None
    if told is None or not told.calendar_id:
        return ""
    return f'<t:AssociatedCalendarItemId Id="{told.calendar_id}" ChangeKey="{told.calendar_key}"/>'


def delegated_for(facts: MessageFacts) -> str:
    """Whose meeting the message is about, if it is a copy for a delegate; else empty."""
    whose = str(facts.properties.get(REPRESENTING) or "")
    return whose if whose.lower() != facts.owner else ""


def _out_of_date(facts: MessageFacts) -> str:
    told = facts.calendar.told if facts.calendar is not None else None
    late = facts.properties.get("PidLidMeetingType") == 0x80000
    return "true" if late or (told is not None and told.out_of_date) else "false"


def _kind(facts: MessageFacts) -> str:
    stored = facts.properties.get("PidLidMeetingType", 1)
    return _KINDS.get(stored, "NewMeetingRequest") if isinstance(stored, int) else "NewMeetingRequest"


def _proposed(number: int) -> Callable[[CalendarFacts], str | None]:
    def value(facts: CalendarFacts) -> str | None:
        proposed = facts.told.proposed if facts.told is not None else None
        return at(proposed[number]) if proposed is not None else None

    return value


def _answered_at(facts: CalendarFacts) -> str | None:
    found = facts.told.responded_at if facts.told is not None else None
    return at(found) if found is not None else None


_OF_CALENDAR = {row.uri: row for row in CALENDAR}


def _calendar(name: str) -> Property:
    """As calendar items have it."""
    row = _OF_CALENDAR[f"calendar:{name}"]
    return row if row.base else row._replace(base=ALL)


def _or_stored(name: str, key: str, since: Version = _07) -> Property:
    """The same; in lists as delivery stored it."""
    row, kept = _OF_CALENDAR[f"calendar:{name}"], computed(f"calendar:{name}", _stored(key), DEFAULT)
    make: Maker = lambda facts, wish: (row if facts.calendar is not None else kept).make(facts, wish)  # noqa: E731
    return Property(row.uri, make, since, DEFAULT)


_COMMON: tuple[Property, ...] = (
    Property("meeting:AssociatedCalendarItemId", lambda facts, wish: _associated(facts), _07, DEFAULT),
    computed("meeting:IsDelegated", lambda facts: "true" if delegated_for(facts) else "false", DEFAULT),
    computed("meeting:IsOutOfDate", _out_of_date, DEFAULT),
    computed("meeting:HasBeenProcessed", lambda facts: "true", DEFAULT),
    computed("meeting:ResponseType", _response, DEFAULT),
    computed("calendar:UID", _uid),
    _calendar("RecurrenceId"),
    _calendar("DateTimeStamp"),
    computed("calendar:IsOrganizer", _told(lambda f: str(f.told is not None and f.told.organizer).lower()), ALL, _13),
)


def _times(since: Version) -> tuple[Property, ...]:
    return (
        _or_stored("Start", "PidLidAppointmentStartWhole", since),
        _or_stored("End", "PidLidAppointmentEndWhole", since),
    )


def _place(since: Version) -> Property:
    return _or_stored("Location", "PidLidLocation", since)


def _intended(facts: CalendarFacts) -> str:
    return BUSY[facts.item.intended_busy]


_REQUEST: tuple[Property, ...] = (
    *_COMMON,
    computed("meetingRequest:MeetingRequestType", _kind, DEFAULT),
    computed("meetingRequest:IntendedFreeBusyStatus", _told(_intended), DEFAULT),
    *_times(_07),
    *map(_calendar, ("OriginalStart", "IsAllDayEvent", "LegacyFreeBusyStatus")),
    _place(_07),
    _calendar("When"),
    computed("calendar:IsMeeting", lambda facts: "true", ALL),
    *map(_calendar, ("IsCancelled", "IsRecurring")),
    computed("calendar:MeetingRequestWasSent", lambda facts: "true", ALL),
    _calendar("CalendarItemType"),
    computed("calendar:MyResponseType", _response, ALL),
    *map(
        _calendar,
        ("Organizer", "RequiredAttendees", "OptionalAttendees", "Resources", "ConflictingMeetingCount",
         "AdjacentMeetingCount", "ConflictingMeetings", "AdjacentMeetings", "Duration", "TimeZone"),
    ),
    computed("calendar:AppointmentReplyTime", _told(_answered_at), ALL),
    computed("calendar:AppointmentSequenceNumber", _sequence, ALL),
    *map(
        _calendar,
        ("AppointmentState", "Recurrence", "FirstOccurrence", "LastOccurrence", "ModifiedOccurrences",
         "DeletedOccurrences", "StartTimeZone", "EndTimeZone", "ConferenceType", "AllowNewTimeProposal",
         "IsOnlineMeeting", "MeetingWorkspaceUrl", "NetShowUrl", "StartWallClock", "EndWallClock", "StartTimeZoneId",
         "EndTimeZoneId"),
    ),
)  # fmt: skip
_ABOUT: tuple[Property, ...] = (
    *_times(_13),
    _place(_13),
    _calendar("Recurrence")._replace(since=_13),
    _calendar("CalendarItemType")._replace(since=_13),
)
"""Of answers and cancellations (Exchange 2013)."""
MEETING: dict[str, tuple[Property, ...]] = {
    "MeetingMessage": _COMMON,
    "MeetingRequest": _REQUEST,
    "MeetingResponse": (
        *_COMMON,
        *_ABOUT,
        computed("meeting:ProposedStart", _told(_proposed(0)), ALL, _13),
        computed("meeting:ProposedEnd", _told(_proposed(1)), ALL, _13),
    ),
    "MeetingCancellation": (*_COMMON, *_ABOUT),
}


def responses_of(facts: MessageFacts, version: Version) -> str:
    """Elements of ResponseObjects before those of every message."""
    if facts.element == "MeetingRequest":
        other = version >= _13 and facts.calendar is not None and facts.calendar.item.counter_allowed
        return f"<t:AcceptItem/><t:TentativelyAcceptItem/><t:DeclineItem/>{'<t:ProposeNewTime/>' if other else ''}"
    return "<t:RemoveItem/>" if facts.element == "MeetingCancellation" else ""
