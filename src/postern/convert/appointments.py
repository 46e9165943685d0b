"""Appointments as calendar items carry them (model.properties, MS-OXOCAL), both ways.

What is stored says everything once: the canonical names where a value has one, and under `Postern...` what MAPI has
only in a binary form that cannot say all of it (recurrence, zone, exceptions, recipients). `mapi` computes those forms
for whoever asks for them, and `with_mapi` takes them from whoever sets them, so that the two can never differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from postern.convert.busy_times import kept_of
from postern.convert.recurrences import StoredRecurrence, recurrence_of, stored_recurrence
from postern.convert.zones.names import named_zone, windows_name
from postern.convert.zones.rules import rules_of
from postern.formats import global_object_id, recurrence_blob, timezones
from postern.formats.recurrence_blob import Blob, ExceptionInfo
from postern.model.calendar.appointment import (
    NOT_ONLINE,
    Appointment,
    Attendee,
    Busy,
    Conferencing,
    Importance,
    ModifiedOccurrence,
    Person,
    Reminded,
    Response,
    Role,
    Sensitivity,
    State,
)
from postern.model.calendar.recurrence import Recurrence
from postern.model.calendar.views import bounds, wall_clock
from postern.model.calendar.zones import UTC_ZONE, Zone, to_utc, to_wall
from postern.model.items import FOREVER, Span
from postern.model.properties import unpack
from postern.model.refusal import ProtocolViolation, Reason, Refusal

EXCEPTION_DAY = "PosternExceptionDay"
"""Of an attachment: the day (ordinal) of the exception that it belongs to; none for the series'."""
_URL = "00020329-0000-0000-c000-000000000046/url:001F"
_LATE_S = 253_402_300_799
"""The last second of the year 9999."""

_Person = tuple[str, str]
_Who = tuple[str, str, int, int, datetime | None, int, datetime | None, datetime | None]


def _named(name: str, default: Any) -> Any:
    return msgspec.field(default=default, name=name)


class _Stored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    uid: bytes = _named("PidLidGlobalObjectId", b"")
    uid_text: str = _named("PosternUid", "")
    """If the other does not give it back letter by letter."""
    start: datetime = _named("PidLidAppointmentStartWhole", datetime(1970, 1, 1, tzinfo=UTC))
    end: datetime = _named("PidLidAppointmentEndWhole", datetime(1970, 1, 1, tzinfo=UTC))
    zone: Zone = _named("PosternTimeZone", UTC_ZONE)
    all_day: bool = _named("PidLidAppointmentSubType", default=False)
    subject: str = _named("PidTagSubject", "")
    location: str = _named("PidLidLocation", "")
    text: str = _named("PidTagBody", "")
    html: str = _named("PidTagBodyHtml", "")
    busy: int = _named("PidLidBusyStatus", 2)
    intended_busy: int = _named("PidLidIntendedBusyStatus", 2)
    sensitivity: int = _named("PidTagSensitivity", 0)
    importance: int = _named("PidTagImportance", 1)
    categories: tuple[str, ...] = _named("PidNameKeywords", ())
    reminder: bool = _named("PidLidReminderSet", default=False)
    reminder_minutes: int = _named("PidLidReminderDelta", 15)
    reminded: tuple[datetime, datetime] | None = _named("PosternReminded", None)
    organizer: _Person | None = _named("PosternOrganizer", None)
    attendees: tuple[_Who, ...] = _named("PosternAttendees", ())
    state: int = _named("PidLidAppointmentStateFlags", 0)
    response: int = _named("PidLidResponseStatus", 0)
    responded_at: datetime | None = _named("PidLidAppointmentReplyTime", None)
    sequence: int = _named("PidLidAppointmentSequence", 0)
    stamp: datetime | None = _named("PidLidOwnerCriticalChange", None)
    created_at: datetime | None = _named("PidTagCreationTime", None)
    modified_at: datetime | None = _named("PidTagLastModificationTime", None)
    response_requested: bool = _named("PidTagResponseRequested", default=True)
    counter_refused: bool = _named("PidLidAppointmentNotAllowPropose", default=False)
    url: str = _named(_URL, "")
    conference_type: int | None = _named("PidLidConferencingType", None)
    workspace_url: str = _named("PidLidMeetingWorkspaceUrl", "")
    net_show_url: str = _named("PidLidNetShowUrl", "")
    instance_of: datetime | None = _named("PidLidExceptionReplaceTime", None)
    recurrence: StoredRecurrence | None = _named("PosternRecurrence", None)
    clock: int | None = _named("PosternClock", None)
    deleted: tuple[int, ...] = _named("PosternDeletedDays", ())
    modified: tuple[tuple[int, _Stored], ...] = _named("PosternExceptions", ())


_FIELDS = {each.encode_name: each for each in msgspec.structs.fields(_Stored)}
NAMES = frozenset(_FIELDS)
"""Of everything that `to_properties` may give; what else an item carries is its clients' own."""
_decode = msgspec.msgpack.Decoder(_Stored).decode


def to_properties(item: Appointment) -> dict[str, Any]:
    """What is stored of an appointment, without its attachments; what has its usual value is left out."""
    made: dict[str, Any] = msgspec.to_builtins(_stored(item), builtin_types=(datetime, bytes))
    return made


def from_properties(stored: bytes | Mapping[str, Any], *, brief: bool = False) -> Appointment:
    """The appointment of an item, from its packed map or the map. A value that makes no sense is left out.

    `brief`: without the series' own texts.
    """
    try:
        found = _decode(stored) if isinstance(stored, bytes) else msgspec.convert(stored, _Stored)
        return _appointment(found, brief=brief)
    except (msgspec.DecodeError, ValueError, TypeError, KeyError, OverflowError):
        return _appointment(_lenient(unpack(stored) if isinstance(stored, bytes) else stored), brief=brief)


def _lenient(values: Mapping[str, Any]) -> _Stored:
    kept: dict[str, Any] = {}
    for name, value in values.items():
        if name not in _FIELDS:
            continue
        try:
            _appointment(msgspec.convert({name: value}, _Stored))
        except (msgspec.ValidationError, ValueError, TypeError, KeyError, OverflowError):
            continue
        kept[name] = value
    return msgspec.convert(kept, _Stored)


def changes(before: Mapping[str, Any], item: Appointment) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What to set and what to delete in the item's map so that it says this appointment (store ItemUpdate)."""
    after = to_properties(item)
    set_ = {name: value for name, value in after.items() if before.get(name, _FIELDS) != value}
    return set_, tuple(name for name in before if name in NAMES and name not in after)


def span_of(item: Appointment, viewer: Zone) -> Span:
    """What the item covers; a floating one a day more on either side, for it is another time for each viewer."""
    begins, ends = bounds(item, viewer)
    low, high = int(begins.timestamp()), int(ends.timestamp())
    if item.zone.floating:
        low, high = low - 86_400, high + 86_400
    endless = item.recurrence is not None and item.recurrence.count is None and item.recurrence.until is None
    ends_at = FOREVER if endless or high >= _LATE_S else max(high, low + 1)
    return Span(low, ends_at, kept_of(item, low, ends_at))


def _stored(item: Appointment) -> _Stored:
    recurrence = item.recurrence
    uid = global_object_id.from_uid(item.uid, _instance_day(item)) if item.uid else b""
    return _Stored(
        uid=uid,
        uid_text="" if not uid or global_object_id.to_uid(uid) == item.uid else item.uid,
        start=item.start,
        end=item.end,
        zone=item.zone,
        all_day=item.all_day,
        subject=item.subject,
        location=item.location,
        text=item.text,
        html=item.html,
        busy=int(item.busy),
        intended_busy=int(item.intended_busy),
        sensitivity=int(item.sensitivity),
        importance=int(item.importance),
        categories=item.categories,
        reminder=item.reminder_minutes is not None,
        reminder_minutes=15 if item.reminder_minutes is None else item.reminder_minutes,
        reminded=None if item.reminded is None else (item.reminded.start, item.reminded.at),
        organizer=None if item.organizer is None else (item.organizer.address, item.organizer.name),
        attendees=tuple(_who(each) for each in item.attendees),
        state=int(item.state),
        response=int(item.response),
        responded_at=item.responded_at,
        sequence=item.sequence,
        stamp=item.stamp,
        created_at=item.created_at,
        modified_at=item.modified_at,
        response_requested=item.response_requested,
        counter_refused=not item.counter_allowed,
        url=item.url,
        conference_type=item.conferencing.kind,
        workspace_url=item.conferencing.workspace_url,
        net_show_url=item.conferencing.net_show_url,
        instance_of=item.instance_of,
        recurrence=None if recurrence is None else stored_recurrence(recurrence),
        clock=None if item.clock is None else item.clock.hour * 3600 + item.clock.minute * 60 + item.clock.second,
        deleted=tuple(day.toordinal() for day in item.deleted),
        modified=tuple((each.day.toordinal(), _stored(each.item)) for each in item.modified),
    )


def _instance_day(item: Appointment) -> date | None:
    if item.instance_of is None:
        return None
    return item.instance_of.date() if item.zone.floating else to_wall(item.instance_of, item.zone).date()


def _who(each: Attendee) -> _Who:
    return (
        each.person.address,
        each.person.name,
        int(each.role),
        int(each.response),
        each.responded_at,
        each.sequence,
        each.proposed_start,
        each.proposed_end,
    )


def _appointment(found: _Stored, *, brief: bool = False) -> Appointment:
    return Appointment(
        uid=found.uid_text or (global_object_id.to_uid(found.uid) if found.uid else ""),
        start=found.start,
        end=found.end,
        zone=found.zone,
        all_day=found.all_day,
        subject=found.subject,
        location=found.location,
        text="" if brief else found.text,
        html="" if brief else found.html,
        busy=_BUSY[found.busy],
        intended_busy=_BUSY[found.intended_busy],
        sensitivity=Sensitivity(found.sensitivity) if found.sensitivity else Sensitivity.NORMAL,
        importance=Importance(found.importance),
        categories=found.categories,
        reminder_minutes=found.reminder_minutes if found.reminder else None,
        reminded=Reminded(*found.reminded) if found.reminded is not None else None,
        organizer=Person(*found.organizer) if found.organizer is not None else None,
        attendees=tuple(_attendee(each) for each in found.attendees),
        state=State(found.state & 7) if found.state else State.NONE,
        response=Response(found.response) if found.response else Response.NONE,
        responded_at=found.responded_at,
        sequence=found.sequence,
        stamp=found.stamp,
        created_at=found.created_at,
        modified_at=found.modified_at,
        response_requested=found.response_requested,
        counter_allowed=not found.counter_refused,
        url=found.url,
        conferencing=_conferencing(found),
        instance_of=found.instance_of,
        recurrence=None if found.recurrence is None else recurrence_of(found.recurrence),
        clock=None if found.clock is None else _clock(found.clock),
        deleted=tuple(date.fromordinal(day) for day in found.deleted),
        modified=tuple(ModifiedOccurrence(date.fromordinal(day), _appointment(each)) for day, each in found.modified),
    )


def _conferencing(found: _Stored) -> Conferencing:
    if found.conference_type is None and not found.workspace_url and not found.net_show_url:
        return NOT_ONLINE
    return Conferencing(found.conference_type, found.workspace_url, found.net_show_url)


_BUSY = {int(each): each for each in Busy}


def _clock(second: int) -> time:
    return time(second // 3600, second // 60 % 60, second % 60)


def _attendee(each: _Who) -> Attendee:
    address, name, role, response, responded_at, sequence, start, end = each
    return Attendee(Person(address, name), Role(role), Response(response), responded_at, sequence, start, end)


# --- MAPI's forms

_KINDS = {"daily": 1, "weekly": 2, "monthly": 3, "yearly": 4}


def mapi(item: Appointment, viewer: Zone = UTC_ZONE) -> dict[str, Any]:
    """What MAPI and EWS's extended properties know beside what is stored (MS-OXOCAL 2.2.1); computed, never kept."""
    begins, ends = bounds(item, viewer)
    made: dict[str, Any] = {
        "PidLidCleanGlobalObjectId": global_object_id.from_uid(item.uid),
        "PidLidAppointmentDuration": max(0, int((item.end - item.start).total_seconds() // 60)),
        "PidLidCommonStart": item.start,
        "PidLidCommonEnd": item.end,
        "PidTagStartDate": item.start,
        "PidTagEndDate": item.end,
        "PidLidClipStart": begins,
        "PidLidClipEnd": ends,
        "PidLidRecurring": item.recurrence is not None,
        "PidLidRecurrenceType": 0 if item.recurrence is None else _KINDS[item.recurrence.pattern.kind.unit],
        "PidLidIsRecurring": item.recurrence is not None or item.instance_of is not None,
        "PidLidIsException": item.instance_of is not None,
        "PidLidPrivate": item.sensitivity is Sensitivity.PRIVATE,
        "PidLidAllAttendeesString": "; ".join(each.person.name or each.person.address for each in item.attendees),
        "PidLidToAttendeesString": _attendee_names(item, Role.REQUIRED),
        "PidLidCcAttendeesString": _attendee_names(item, Role.OPTIONAL),
        "PidLidFInvited": item.is_meeting and item.response is Response.ORGANIZED,
    }
    if item.reminder_minutes is not None:
        usual = Reminded(item.start, item.start - timedelta(minutes=item.reminder_minutes))
        made["PidLidReminderTime"] = (item.reminded or usual).start
        made["PidLidReminderSignalTime"] = (item.reminded or usual).at
    if not item.zone.floating:
        made |= _zone_values(item.zone, item.start.year, recurring=item.recurrence is not None)
    if item.recurrence is not None:
        made["PidLidAppointmentRecur"] = recurrence_blob.write_blob(_blob(item, item.recurrence))
    return made


def _attendee_names(item: Appointment, role: Role) -> str:
    return "; ".join(each.person.name or each.person.address for each in item.attendees if each.role is role)


@lru_cache(maxsize=1024)
def _zone_values(zone: Zone, year: int, *, recurring: bool) -> dict[str, Any]:
    name = windows_name(zone) or zone.id
    rules = tuple(zone.rules or rules_of(zone, year, year))
    definition = timezones.write_definition(name, rules, year)
    made: dict[str, Any] = {
        "PidLidAppointmentTimeZoneDefinitionStartDisplay": definition,
        "PidLidAppointmentTimeZoneDefinitionEndDisplay": definition,
        "PidLidTimeZoneDescription": name,
    }
    if recurring:
        made["PidLidAppointmentTimeZoneDefinitionRecur"] = timezones.write_definition(name, rules, year, recurring=True)
        made["PidLidTimeZoneStruct"] = timezones.write_struct(rules[-1])
    return made


def _blob(item: Appointment, recurrence: Recurrence) -> Blob:
    wall, length = wall_clock(item)
    start = wall.hour * 60 + wall.minute
    exceptions = []
    for each in item.modified:
        changed = each.item
        begin, end = (at.replace(tzinfo=None) if item.zone.floating else to_wall(at, item.zone) for at in _times(each))
        exceptions.append(
            ExceptionInfo(
                begin,
                end,
                datetime.combine(each.day, wall.time()),
                subject=changed.subject if changed.subject != item.subject else None,
                location=changed.location if changed.location != item.location else None,
                reminder_minutes=changed.reminder_minutes,
                reminder=int(changed.reminder_minutes is not None),
                busy=int(changed.busy) if changed.busy != item.busy else None,
                all_day=int(changed.all_day) if changed.all_day != item.all_day else None,
            )
        )
    return Blob(recurrence, start, start + int(length.total_seconds() // 60), item.deleted, tuple(exceptions))


def _times(each: ModifiedOccurrence) -> tuple[datetime, datetime]:
    return each.item.start, each.item.end


def with_mapi(item: Appointment, properties: Mapping[str, Any]) -> Appointment:
    """The appointment after a client has set MAPI's binary forms: zone, recurrence with its exceptions.

    An exception that is known already keeps what the binary form does not say. Raises Refusal(BAD_VALUE).
    """
    try:
        zone = properties.get("PidLidAppointmentTimeZoneDefinitionRecur") or properties.get(
            "PidLidAppointmentTimeZoneDefinitionStartDisplay"
        )
        if zone is not None:
            item = msgspec.structs.replace(item, zone=known_zone(timezones.read_definition(bytes(zone))))
        recur = properties.get("PidLidAppointmentRecur")
        return item if recur is None else _with_blob(item, recurrence_blob.read_blob(bytes(recur)))
    except (ProtocolViolation, TypeError, ValueError, OverflowError) as problem:
        raise Refusal(Reason.BAD_VALUE, str(problem)) from problem


def known_zone(zone: Zone) -> Zone:
    """The zone of that name if it is defined as we know it, else as it is defined."""
    named = named_zone(zone.id)
    if named is None or not zone.rules:
        return zone if named is None else named
    year = max(zone.rules[-1].from_year, 2026)
    ours = rules_of(named, year, year)[0]
    last = zone.rules[-1]
    return named if msgspec.structs.replace(ours, from_year=last.from_year) == last else zone


def _with_blob(item: Appointment, blob: Blob) -> Appointment:
    known = {each.day: each.item for each in item.modified}
    bare = msgspec.structs.replace(item, recurrence=None, clock=None, deleted=(), modified=(), attachments=())
    modified = []
    for info in blob.exceptions:
        start, end = (
            at.replace(tzinfo=UTC) if item.zone.floating else to_utc(at, item.zone) for at in (info.start, info.end)
        )
        changed = msgspec.structs.replace(known.get(info.original.date(), bare), start=start, end=max(start, end))
        if info.subject is not None:
            changed = msgspec.structs.replace(changed, subject=info.subject)
        if info.location is not None:
            changed = msgspec.structs.replace(changed, location=info.location)
        if info.busy in _BUSY:
            changed = msgspec.structs.replace(changed, busy=_BUSY[info.busy])
        if info.all_day is not None:
            changed = msgspec.structs.replace(changed, all_day=bool(info.all_day))
        if info.reminder is not None:
            minutes = changed.reminder_minutes if info.reminder_minutes is None else info.reminder_minutes
            changed = msgspec.structs.replace(changed, reminder_minutes=minutes if info.reminder else None)
        modified.append(ModifiedOccurrence(info.original.date(), changed))
    day = blob.recurrence.start
    wall = datetime.combine(day, time()) + timedelta(minutes=blob.start_minute)
    until = datetime.combine(day, time()) + timedelta(minutes=max(blob.start_minute, blob.end_minute))
    start, end = (at.replace(tzinfo=UTC) if item.zone.floating else to_utc(at, item.zone) for at in (wall, until))
    return msgspec.structs.replace(
        item,
        start=start,
        end=max(start, end),
        recurrence=blob.recurrence,
        clock=None if item.zone.floating or to_wall(start, item.zone) == wall else wall.time(),
        deleted=tuple(sorted(blob.deleted)),
        modified=tuple(sorted(modified, key=lambda each: each.day)),
    )
