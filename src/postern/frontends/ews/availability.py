"""GetUserAvailability: free/busy by what each calendar shows to who asks, and times to meet (MS-OXWSAVAIL 3.1.4.1).

Times are told by the clock of the request's zone, without an offset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from postern.convert.zones.rules import rules_of
from postern.frontends.ews import calendar_reading, codes, zone_xml
from postern.frontends.ews.call import Call
from postern.model.calendar.appointment import Busy, Role
from postern.model.calendar.blocks import Block, Details
from postern.model.calendar.recurrence import Weekday
from postern.model.calendar.zones import UTC_ZONE, Changeover, Zone, to_wall
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews.availability_requests import QUALITIES, Asked, GetUserAvailability, Suggesting, Window
from postern.protocols.ews.calendar_xml import BUSY
from postern.protocols.ews.names import DECLARED
from postern.protocols.ews.recurrence_xml import DAYS
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import text
from postern.services.calendar.availability import Availability
from postern.services.calendar.freebusy import WorkingHours, at
from postern.services.calendar.suggestions import Day, Options, Quality, Suggestion

_ROLES = {"Optional": Role.OPTIONAL, "Room": Role.RESOURCE, "Resource": Role.RESOURCE}
_DONE = '<m:ResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode></m:ResponseMessage>'
_CODES = {
    Reason.NO_SUCH_RECIPIENT: "ErrorMailRecipientNotFound",
    Reason.NOT_PERMITTED: "ErrorNoFreeBusyAccess",
}
_MAX_DAYS = 62
_TOGETHER = 128
"""Events that are written before others have their turn."""
_READINGS = 8192
"""Remembered at a time: whole half hours of weeks are far fewer, and where all differ there is nothing to remember."""
_PLAIN_HOURS = range(-17_000_000, 70_000_000)
"""Since the epoch: years 31 to 9955, so that no offset leads out of the calendar."""


class Clock(dict[int, str]):
    """What a zone's clock reads at seconds since the epoch, as it is written: meetings of many begin at the same times.

    It lives for one answer. The zone is asked once an hour, or each time where its offset changes within the hour.
    """

    def __init__(self, zone: Zone) -> None:
        super().__init__()
        self._zone = zone
        self._days: dict[int, str] = {}
        self._offsets: dict[int, int | None] = {}

    def __missing__(self, seconds: int) -> str:
        hour = seconds // 3600
        offset = self._offsets[hour] if hour in self._offsets else self._look(hour)
        if offset is None:
            told = _local(at(seconds), self._zone)
        else:
            day, rest = divmod(seconds + offset, 86400)
            date_ = self._days.get(day)
            if date_ is None:
                date_ = self._days[day] = _local(at(day * 86400), UTC_ZONE)[:11]
            minute, second = divmod(rest, 60)
            told = f"{date_}{minute // 60:02}:{minute % 60:02}:{second:02}"
        if len(self) >= _READINGS:
            self.clear()
        self[seconds] = told
        return told

    def _look(self, hour: int) -> int | None:
        """Seconds east of UTC in a whole hour; None: it has to be asked for each time."""
        offset = None
        if hour in _PLAIN_HOURS:
            first, last = (self._offset(hour * 3600 + second) for second in (0, 3599))
            offset = first if first == last else None
        self._offsets[hour] = offset
        return offset

    def _offset(self, seconds: int) -> int:
        utc = at(seconds)
        return round((to_wall(utc, self._zone) - utc.replace(tzinfo=None)).total_seconds())


async def get_user_availability(call: Call, request: GetUserAvailability) -> str:
    """GetUserAvailability."""
    zone = zone_xml.serializable(request.zone) if request.zone is not None else (call.zone or UTC_ZONE)
    parts = [f"<m:GetUserAvailabilityResponse {DECLARED}>"]
    if request.window is not None:
        parts += await _free_busy(call, request.people, request.window, zone)
    if request.suggestions is not None:
        parts.append(await _suggestions(call, request.people, request.suggestions, zone))
    parts.append("</m:GetUserAvailabilityResponse>")
    await asyncio.sleep(0)
    made = "".join(parts)  # megabytes: a copy takes a millisecond, so one, and others have their turn around it
    await asyncio.sleep(0)
    return made


def _interval(start: str, end: str, zone: Zone) -> tuple[datetime, datetime]:
    begins = calendar_reading.moment(start, "StartTime", zone)
    ends = calendar_reading.moment(end, "EndTime", zone)
    if ends <= begins:
        raise EwsViolation("ErrorInvalidTimeInterval", "The window ends before it begins.")
    if ends - begins > timedelta(days=_MAX_DAYS):
        raise EwsViolation("ErrorTimeIntervalTooBig", f"The window is longer than {_MAX_DAYS} days.")
    return begins, ends


async def _free_busy(call: Call, people: tuple[Asked, ...], window: Window, zone: Zone) -> list[str]:
    start, end = _interval(window.start, window.end, zone)
    if not 5 <= window.interval <= 1440:
        raise EwsViolation("ErrorInvalidMergedFreeBusyInterval", "An interval has 5 to 1440 minutes.")
    addresses = [one.address for one in people]
    found = await call.services.availability.ask(call.principal, addresses, start, end, window.interval)
    clock = Clock(zone)
    rows = [await _response(one, window.view, clock) for one in found]
    return ["<m:FreeBusyResponseArray>", *rows, "</m:FreeBusyResponseArray>"]


async def _response(one: Availability, view: str, clock: Clock) -> str:
    if one.refusal is not None:
        code = _CODES.get(one.refusal.reason) or codes.of(one.refusal).code
        said = text("Nothing is known of when that mailbox is free.")
        message = (
            f'<m:ResponseMessage ResponseClass="Error"><m:MessageText>{said}</m:MessageText><m:ResponseCode>{code}'
            "</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey></m:ResponseMessage>"
        )
        empty = "<m:FreeBusyView><t:FreeBusyViewType>None</t:FreeBusyViewType></m:FreeBusyView>"
        return f"<m:FreeBusyResponse>{message}{empty}</m:FreeBusyResponse>"
    detailed = any(block.details is not None for block in one.blocks)
    kind = view
    if view.startswith("Detailed") and one.blocks and not detailed:
        kind = view.replace("Detailed", "FreeBusy")
    inner = f"<t:FreeBusyViewType>{kind}</t:FreeBusyViewType>"
    if view == "MergedOnly" or view.endswith("Merged"):
        inner += f"<t:MergedFreeBusy>{one.merged}</t:MergedFreeBusy>"
    if view not in ("None", "MergedOnly") and one.blocks:
        inner += f"<t:CalendarEventArray>{await _events(one.blocks, clock, view)}</t:CalendarEventArray>"
    if one.hours is not None and view != "None":
        inner += _hours(one.hours)
    return f"<m:FreeBusyResponse>{_DONE}<m:FreeBusyView>{inner}</m:FreeBusyView></m:FreeBusyResponse>"


def _local(moment: datetime, zone: Zone) -> str:
    wall = to_wall(moment, zone)
    return f"{wall.year:04}-{wall:%m-%dT%H:%M:%S}"


async def _events(blocks: Sequence[Block], clock: Clock, view: str) -> str:
    written: list[str] = []
    said: dict[int, str] = {}  # occurrences of a series share what they are about
    detailed = view.startswith("Detailed")
    for first in range(0, len(blocks), _TOGETHER):
        for block in blocks[first : first + _TOGETHER]:
            about, details = "", block.details
            if detailed and details is not None:
                about = said.get(id(details)) or said.setdefault(id(details), _details(details))
            written.append(
                f"<t:CalendarEvent><t:StartTime>{clock[block.start]}</t:StartTime><t:EndTime>{clock[block.end]}</t:EndTime>"
                f"<t:BusyType>{BUSY[block.busy]}</t:BusyType>{about}</t:CalendarEvent>"
            )
        await asyncio.sleep(0)
    return "".join(written)


def _details(found: Details) -> str:
    texts = (("ID", found.uid.encode().hex().upper()), ("Subject", found.subject), ("Location", found.location))
    inner = "".join(f"<t:{name}>{text(value)}</t:{name}>" for name, value in texts if value)
    truths = (
        ("IsMeeting", found.meeting),
        ("IsRecurring", found.recurring),
        ("IsException", found.exception),
        ("IsReminderSet", found.reminder),
        ("IsPrivate", found.private),
    )
    inner += "".join(f"<t:{name}>{'true' if value else 'false'}</t:{name}>" for name, value in truths)
    return f"<t:CalendarEventDetails>{inner}</t:CalendarEventDetails>"


def _hours(hours: WorkingHours) -> str:
    days = " ".join(name for bit, name in enumerate(DAYS) if Weekday(1 << bit) & hours.days)
    period = (
        f"<t:WorkingPeriod><t:DayOfWeek>{days}</t:DayOfWeek><t:StartTimeInMinutes>{hours.start_minute}"
        f"</t:StartTimeInMinutes><t:EndTimeInMinutes>{hours.end_minute}</t:EndTimeInMinutes></t:WorkingPeriod>"
    )
    zone = _serializable(hours.zone)
    return f"<t:WorkingHours>{zone}<t:WorkingPeriodArray>{period}</t:WorkingPeriodArray></t:WorkingHours>"


def _serializable(zone: Zone) -> str:
    rule = (zone.rules or rules_of(zone, 2026, 2026))[-1]
    bias = -rule.standard_minutes
    daylight = rule.standard_minutes - rule.daylight_minutes if rule.daylight is not None else 0
    return (
        f"<t:TimeZone><t:Bias>{bias}</t:Bias><t:StandardTime>{_side(0, rule.standard)}</t:StandardTime>"
        f"<t:DaylightTime>{_side(daylight, rule.daylight)}</t:DaylightTime></t:TimeZone>"
    )


def _side(bias: int, change: Changeover | None) -> str:
    order, month, weekday, second = 0, 0, 0, 0
    if change is not None:
        order, month, weekday, second = change.week or change.day, change.month, change.weekday, change.second_of_day
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return (
        f"<t:Bias>{bias}</t:Bias><t:Time>{clock}</t:Time><t:DayOrder>{order}</t:DayOrder><t:Month>{month}</t:Month>"
        f"<t:DayOfWeek>{DAYS[weekday]}</t:DayOfWeek>"
    )


async def _suggestions(call: Call, people: tuple[Asked, ...], asked: Suggesting, zone: Zone) -> str:
    start, end = _interval(asked.start, asked.end, zone)
    first = to_wall(start, zone).date()
    days = max(1, (to_wall(end, zone) - timedelta(seconds=1)).date().toordinal() - first.toordinal() + 1)
    current = calendar_reading.moment(asked.current, "CurrentMeetingTime", zone) if asked.current.strip() else None
    options = Options(
        asked.good, asked.by_day, asked.outside_work, asked.minutes, Quality(QUALITIES.index(asked.minimum)), current
    )
    attendees = [(one.address, _ROLES.get(one.kind, Role.REQUIRED)) for one in people]
    try:
        found = await call.services.availability.suggestions(
            call.principal, attendees, first, days, zone, options, (start, end)
        )
    except Refusal as refusal:
        if refusal.reason is not Reason.BAD_VALUE:
            raise
        raise EwsViolation("ErrorInvalidRequest", f"Suggestions cannot be made: {refusal.detail}.") from refusal
    rows = "".join(_day(one, zone) for one in found)
    array = f"<m:SuggestionDayResultArray>{rows}</m:SuggestionDayResultArray>"
    return f"<m:SuggestionsResponse>{_DONE}{array}</m:SuggestionsResponse>"


def _day(one: Day, zone: Zone) -> str:
    rows = "".join(_suggestion(each, zone) for each in one.suggestions)
    return (
        f"<t:SuggestionDayResult><t:Date>{one.day.isoformat()}T00:00:00</t:Date><t:DayQuality>{QUALITIES[one.quality]}"
        f"</t:DayQuality><t:SuggestionArray>{rows}</t:SuggestionArray></t:SuggestionDayResult>"
    )


def _suggestion(one: Suggestion, zone: Zone) -> str:
    conflicts = "".join(_conflict(busy) for busy in one.conflicts)
    return (
        f"<t:Suggestion><t:MeetingTime>{_local(one.start, zone)}</t:MeetingTime><t:IsWorkTime>"
        f"{'true' if one.work_time else 'false'}</t:IsWorkTime><t:SuggestionQuality>{QUALITIES[one.quality]}"
        f"</t:SuggestionQuality><t:AttendeeConflictDataArray>{conflicts}</t:AttendeeConflictDataArray></t:Suggestion>"
    )


def _conflict(busy: Busy | None) -> str:
    kind = "NoData" if busy is None else BUSY[busy]
    return f"<t:IndividualAttendeeConflictData><t:BusyType>{kind}</t:BusyType></t:IndividualAttendeeConflictData>"
