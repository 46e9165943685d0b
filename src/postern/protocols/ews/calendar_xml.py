"""Calendar items: their properties in the schema's order (MS-OXWSMTGS 2.2.4.10 CalendarItemType)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import msgspec

from postern.model.calendar.appointment import Appointment, Attendee, Busy, Response, Role, State
from postern.model.calendar.appointment import Person as Somebody
from postern.model.calendar.series import first_day, last_day
from postern.model.calendar.views import Occurrence, occurrence_on
from postern.model.calendar.zones import UTC_ZONE, Zone, to_wall
from postern.protocols.ews import recurrence_xml
from postern.protocols.ews.item_table import ALL, DEFAULT, NAMED, Maker, Property, Wish
from postern.protocols.ews.message_facts import MessageFacts, instant
from postern.protocols.ews.versions import Version
from postern.protocols.soap.writing import text

BUSY = ("Free", "Tentative", "Busy", "OOF", "WorkingElsewhere")
RESPONSES = ("Unknown", "Organizer", "Tentative", "Accept", "Decline", "NoResponseReceived")
WHEN = "PosternWhen"
"""Stored property: what a client says about the time in words."""
_MAX_OCCURRENCES = 1000
"""Told in ModifiedOccurrences and DeletedOccurrences."""


class Neighbour(NamedTuple):
    """Another item of the same calendar, at the time of this one or next to it."""

    id: str
    change_key: str
    subject: str
    start: datetime
    end: datetime
    busy: Busy
    location: str


class Neighbours(NamedTuple):
    """What else the calendar has."""

    conflicting: tuple[Neighbour, ...] = ()
    adjacent: tuple[Neighbour, ...] = ()


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a meeting message has beside the appointment that it brings."""

    calendar_id: str = ""
    """Of the item in the calendar that it is about; empty: there is none."""
    calendar_key: str = ""
    response: Response = Response.NONE
    """Of the mailbox's owner, as the calendar has it."""
    responded_at: datetime | None = None
    out_of_date: bool = False
    organizer: bool = False
    """The mailbox's owner organizes the meeting."""
    proposed: tuple[datetime, datetime] | None = None
    """By a counter proposal."""


class CalendarFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a calendar item, of one occurrence of a series, or of what a meeting message brings."""

    item: Appointment
    """The single item, the series, or of an occurrence what describes it."""
    start: datetime
    end: datetime
    day: date | None = None
    """Which occurrence."""
    series: Appointment | None = None
    """Of an occurrence."""
    exception: bool = False
    viewer: Zone = UTC_ZONE
    zone_name: str = "UTC"
    zone_xml: str = ""
    """Attributes and content of StartTimeZone, with the closing bracket of its start."""
    id_of_day: Callable[[date], str] = lambda _: ""
    change_key: str = ""
    ical: Callable[[], bytes] = lambda: b""
    """Its MimeContent: iCalendar, a series with its exceptions behind it."""
    neighbours: Neighbours | None = None
    """None where nobody looked."""
    told: Told | None = None
    """Of a meeting message."""

    @property
    def recurring(self) -> bool:
        """A series, or part of one."""
        return self.item.recurrence is not None or self.day is not None or self.item.instance_of is not None

    @property
    def kind(self) -> str:
        """CalendarItemType."""
        if self.told is not None and self.item.instance_of is not None:
            return "Exception"
        if self.item.recurrence is not None and self.day is None:
            return "RecurringMaster"
        if self.day is None:
            return "Single"
        return "Exception" if self.exception else "Occurrence"


def at(moment: datetime) -> str:
    """xs:dateTime; exact also where seconds since the epoch would not be."""
    moment = moment.astimezone(UTC) if moment.tzinfo is not None and moment.year > 1 else moment
    return f"{moment.year:04}-{moment.month:02}-{moment.day:02}T{moment.hour:02}:{moment.minute:02}:{moment.second:02}Z"


def _row(
    uri: str, value: Callable[[CalendarFacts], str | None], base: str = ALL, since: Version = Version.EXCHANGE_2007
) -> Property:
    """A property that is a text."""
    name = uri.partition(":")[2]

    def make(facts: MessageFacts, wish: Wish) -> str:
        if facts.calendar is None:
            return ""
        found = value(facts.calendar)
        return f"<t:{name}>{text(found)}</t:{name}>" if found else ""

    return Property(uri, make, since, base)


def _xml(
    uri: str, value: Callable[[CalendarFacts], str], base: str = ALL, since: Version = Version.EXCHANGE_2007
) -> Property:
    """A property that has elements in it."""
    make: Maker = lambda facts, wish: value(facts.calendar) if facts.calendar is not None else ""  # noqa: E731
    return Property(uri, make, since, base)


def _truth(uri: str, value: Callable[[CalendarFacts], bool], base: str = ALL) -> Property:
    return _row(uri, lambda facts: "true" if value(facts) else "false", base)


def _mailbox(person: Somebody) -> str:
    return (
        f"<t:Mailbox><t:Name>{text(person.name or person.address)}</t:Name><t:EmailAddress>{text(person.address)}"
        "</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType></t:Mailbox>"
    )


def _attendees(name: str, role: Role) -> Maker:
    def make(facts: MessageFacts, wish: Wish) -> str:
        if facts.calendar is None:
            return ""
        rows = "".join(_attendee(each, wish.version) for each in facts.calendar.item.attendees if each.role is role)
        return f"<t:{name}>{rows}</t:{name}>" if rows else ""

    return make


def _attendee(each: Attendee, version: Version) -> str:
    inner = _mailbox(each.person)
    inner += f"<t:ResponseType>{RESPONSES[each.response]}</t:ResponseType>"
    if each.responded_at is not None:
        inner += f"<t:LastResponseTime>{at(each.responded_at)}</t:LastResponseTime>"
    if each.proposed_start is not None and each.proposed_end is not None and version >= Version.EXCHANGE_2013:
        inner += f"<t:ProposedStart>{at(each.proposed_start)}</t:ProposedStart>"
        inner += f"<t:ProposedEnd>{at(each.proposed_end)}</t:ProposedEnd>"
    return f"<t:Attendee>{inner}</t:Attendee>"


def organizer(facts: CalendarFacts) -> str:
    """Organizer; nothing of what nobody organizes."""
    person = facts.item.organizer
    return f"<t:Organizer>{_mailbox(person)}</t:Organizer>" if person is not None and person.address else ""


def duration(length: timedelta) -> str:
    """xs:duration."""
    seconds = max(0, int(length.total_seconds()))
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    whole = f"P{days}D" if days else "P"
    clock = "".join(f"{value}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if value)
    return f"{whole}T{clock}" if clock else (whole if days else "PT0S")


def _when(facts: MessageFacts, wish: Wish) -> str:
    if facts.calendar is None:
        return ""
    said = facts.properties.get(WHEN) if facts.calendar.day is None else None
    shown = said if isinstance(said, str) else _clock(facts.calendar)
    return f"<t:When>{text(shown)}</t:When>" if shown else ""


def _clock(facts: CalendarFacts) -> str:
    start, end = (to_wall(one, facts.item.zone) for one in (facts.start, facts.end))
    return f"{start:%Y-%m-%d %H:%M} - {end:%Y-%m-%d %H:%M}" if start.year > 1 else ""


def _count(name: str, *, adjacent: bool) -> Callable[[CalendarFacts], str]:
    def value(facts: CalendarFacts) -> str:
        if facts.neighbours is None:
            return ""
        return f"<t:{name}>{len(facts.neighbours[adjacent])}</t:{name}>"

    return value


def _neighbours(name: str, *, adjacent: bool) -> Callable[[CalendarFacts], str]:
    def value(facts: CalendarFacts) -> str:
        rows = facts.neighbours[adjacent] if facts.neighbours is not None else ()
        return f"<t:{name}>{''.join(_neighbour(each) for each in rows)}</t:{name}>" if rows else ""

    return value


def _neighbour(each: Neighbour) -> str:
    place = f"<t:Location>{text(each.location)}</t:Location>" if each.location else ""
    return (
        f'<t:CalendarItem><t:ItemId Id="{each.id}" ChangeKey="{each.change_key}"/><t:Subject>{text(each.subject)}'
        f"</t:Subject><t:Start>{at(each.start)}</t:Start><t:End>{at(each.end)}</t:End><t:LegacyFreeBusyStatus>"
        f"{BUSY[each.busy]}</t:LegacyFreeBusyStatus>{place}</t:CalendarItem>"
    )


def _intended(facts: CalendarFacts) -> str:
    return BUSY[facts.item.intended_busy if facts.item.is_meeting else facts.item.busy]


def _online(facts: CalendarFacts) -> str | None:
    kind = facts.item.conferencing.kind
    return None if kind is None else str(kind)


def _occurrence(name: str, facts: CalendarFacts, found: Occurrence | None) -> str:
    if found is None or found.day is None or not facts.id_of_day(found.day):
        return ""  # the schema wants its id, and a meeting that is in no calendar has none
    original = occurrence_on(_plain(facts.item), found.day, facts.viewer)
    begun = found.start if original is None else original.start
    return (
        f'<t:{name}><t:ItemId Id="{facts.id_of_day(found.day)}" ChangeKey="{facts.change_key}"/><t:Start>'
        f"{at(found.start)}</t:Start><t:End>{at(found.end)}</t:End><t:OriginalStart>{at(begun)}</t:OriginalStart></t:{name}>"
    )


def _plain(item: Appointment) -> Appointment:
    return msgspec.structs.replace(item, deleted=(), modified=())


def _edge(name: str, *, last: bool) -> Callable[[CalendarFacts], str]:
    def value(facts: CalendarFacts) -> str:
        series = facts.item.recurrence
        if series is None or facts.day is not None:
            return ""
        if last and series.count is None and series.until is None:
            return ""
        day = last_day(series) if last else first_day(series)
        return _occurrence(name, facts, occurrence_on(_plain(facts.item), day, facts.viewer) if day else None)

    return value


def _modified(facts: CalendarFacts) -> str:
    if facts.day is not None or not facts.item.modified:
        return ""
    rows = "".join(
        _occurrence("Occurrence", facts, occurrence_on(facts.item, each.day, facts.viewer))
        for each in facts.item.modified[:_MAX_OCCURRENCES]
    )
    return f"<t:ModifiedOccurrences>{rows}</t:ModifiedOccurrences>" if rows else ""


def _deleted(facts: CalendarFacts) -> str:
    if facts.day is not None or not facts.item.deleted:
        return ""
    plain = _plain(facts.item)
    found = [occurrence_on(plain, day, facts.viewer) for day in facts.item.deleted[:_MAX_OCCURRENCES]]
    rows = "".join(
        f"<t:DeletedOccurrence><t:Start>{at(one.start)}</t:Start></t:DeletedOccurrence>" for one in found if one
    )
    return f"<t:DeletedOccurrences>{rows}</t:DeletedOccurrences>" if rows else ""


def _recurrence(facts: CalendarFacts) -> str:
    series = facts.item.recurrence
    return recurrence_xml.write(series) if series is not None and facts.day is None else ""


def _original(facts: CalendarFacts) -> str | None:
    if facts.series is None or facts.day is None:
        return at(facts.item.instance_of) if facts.item.instance_of is not None else None
    found = occurrence_on(_plain(facts.series), facts.day, facts.viewer)
    return at(found.start) if found is not None else None


def _wall(moment: datetime, facts: CalendarFacts) -> str:
    wall = to_wall(moment, facts.item.zone)
    return f"{wall.year:04}-{wall:%m-%dT%H:%M:%S}"


def _reply(facts: CalendarFacts) -> str | None:
    return at(facts.item.responded_at) if facts.item.responded_at is not None else None


def _state(facts: CalendarFacts) -> int:
    return int(facts.item.state)


_07, _10, _10SP2, _13 = (
    Version.EXCHANGE_2007, Version.EXCHANGE_2010, Version.EXCHANGE_2010_SP2, Version.EXCHANGE_2013,
)  # fmt: skip

CALENDAR: tuple[Property, ...] = (
    _row("calendar:UID", lambda f: f.item.uid),
    _row("calendar:RecurrenceId", lambda f: _original(f) if f.day is not None or f.item.instance_of else None),
    _row("calendar:DateTimeStamp", lambda f: at(f.item.stamp or f.item.modified_at or f.start)),
    _row("calendar:Start", lambda f: at(f.start), DEFAULT),
    _row("calendar:End", lambda f: at(f.end), DEFAULT),
    _row("calendar:OriginalStart", _original),
    _truth("calendar:IsAllDayEvent", lambda f: f.item.all_day),
    _row("calendar:LegacyFreeBusyStatus", lambda f: BUSY[f.item.busy], DEFAULT),
    _row("calendar:Location", lambda f: f.item.location, DEFAULT),
    Property("calendar:When", _when, _07, ALL),
    _truth("calendar:IsMeeting", lambda f: f.item.is_meeting),
    _truth("calendar:IsCancelled", lambda f: f.item.is_canceled),
    _truth("calendar:IsRecurring", lambda f: f.recurring),
    _truth("calendar:MeetingRequestWasSent", lambda f: f.item.is_meeting and f.item.stamp is not None),
    _truth("calendar:IsResponseRequested", lambda f: f.item.response_requested),
    _row("calendar:CalendarItemType", lambda f: f.kind, DEFAULT),
    _row("calendar:MyResponseType", lambda f: RESPONSES[f.item.response]),
    _xml("calendar:Organizer", organizer, DEFAULT),
    Property("calendar:RequiredAttendees", _attendees("RequiredAttendees", Role.REQUIRED), _07, ALL),
    Property("calendar:OptionalAttendees", _attendees("OptionalAttendees", Role.OPTIONAL), _07, ALL),
    Property("calendar:Resources", _attendees("Resources", Role.RESOURCE), _07, ALL),
    _xml("calendar:ConflictingMeetingCount", _count("ConflictingMeetingCount", adjacent=False), NAMED),
    _xml("calendar:AdjacentMeetingCount", _count("AdjacentMeetingCount", adjacent=True), NAMED),
    _xml("calendar:ConflictingMeetings", _neighbours("ConflictingMeetings", adjacent=False), NAMED),
    _xml("calendar:AdjacentMeetings", _neighbours("AdjacentMeetings", adjacent=True), NAMED),
    _row("calendar:Duration", lambda f: duration(f.end - f.start)),
    _row("calendar:TimeZone", lambda f: f.zone_name),
    _row("calendar:AppointmentReplyTime", _reply),
    _row("calendar:AppointmentSequenceNumber", lambda f: str(f.item.sequence)),
    _row("calendar:AppointmentState", lambda f: str(_state(f))),
    _xml("calendar:Recurrence", _recurrence),
    _xml("calendar:FirstOccurrence", _edge("FirstOccurrence", last=False)),
    _xml("calendar:LastOccurrence", _edge("LastOccurrence", last=True)),
    _xml("calendar:ModifiedOccurrences", _modified),
    _xml("calendar:DeletedOccurrences", _deleted),
    _xml("calendar:StartTimeZone", lambda f: f"<t:StartTimeZone {f.zone_xml}</t:StartTimeZone>", ALL, _10),
    _xml("calendar:EndTimeZone", lambda f: f"<t:EndTimeZone {f.zone_xml}</t:EndTimeZone>", ALL, _10),
    _row("calendar:ConferenceType", _online),
    _truth("calendar:AllowNewTimeProposal", lambda f: f.item.counter_allowed),
    _truth("calendar:IsOnlineMeeting", lambda f: False),
    _row("calendar:MeetingWorkspaceUrl", lambda f: f.item.conferencing.workspace_url),
    _row("calendar:NetShowUrl", lambda f: f.item.conferencing.net_show_url),
    _row("calendar:StartWallClock", lambda f: _wall(f.start, f), ALL, _13),
    _row("calendar:EndWallClock", lambda f: _wall(f.end, f), ALL, _13),
    _row("calendar:StartTimeZoneId", lambda f: f.zone_name, ALL, _13),
    _row("calendar:EndTimeZoneId", lambda f: f.zone_name, ALL, _13),
    _row("calendar:IntendedFreeBusyStatus", _intended, ALL, _13),
    _row("calendar:IsOrganizer", lambda f: "false" if f.item.state & State.RECEIVED else "true", ALL, _13),
)


def responses_xml(facts: MessageFacts, version: Version) -> str:
    """ResponseObjects of a calendar item: what may be done with it (MS-OXWSCDATA 2.2.4.44)."""
    calendar = facts.calendar
    if calendar is None:
        return ""
    item = calendar.item
    names = ["ForwardItem"]
    if item.is_meeting:
        names = ["ReplyToItem", "ReplyAllToItem", "ForwardItem"]
        if not item.state & State.RECEIVED:
            names.append("CancelCalendarItem")
        elif not item.is_canceled:
            names = ["AcceptItem", "TentativelyAcceptItem", "DeclineItem", *names]
            if item.counter_allowed and version >= _13:
                names.append("ProposeNewTime")
        else:
            names.append("RemoveItem")
    return f"<t:ResponseObjects>{''.join(f'<t:{name}/>' for name in names)}</t:ResponseObjects>"


def reminder_xml(facts: MessageFacts, name: str) -> str:
    """ReminderDueBy, ReminderIsSet, ReminderMinutesBeforeStart of an item that is no message."""
    if name == "ReminderIsSet":
        return f"<t:ReminderIsSet>{'true' if facts.properties.get('PidLidReminderSet') else 'false'}</t:ReminderIsSet>"
    if name == "ReminderDueBy":
        if facts.calendar is not None:
            return f"<t:ReminderDueBy>{at(facts.calendar.start)}</t:ReminderDueBy>"
        due = facts.properties.get("PidLidReminderTime")
        return (
            f"<t:ReminderDueBy>{instant(int(due.timestamp()))}</t:ReminderDueBy>" if isinstance(due, datetime) else ""
        )
    minutes = facts.properties.get("PidLidReminderDelta", 15 if facts.calendar is not None else 0)
    shown = minutes if type(minutes) is int and 0 <= minutes <= 2_629_800 else 0
    return f"<t:ReminderMinutesBeforeStart>{shown}</t:ReminderMinutesBeforeStart>"
