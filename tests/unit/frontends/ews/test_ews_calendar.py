"""Calendar items: single ones, series and their occurrences, views, meetings and answers."""

from __future__ import annotations

import base64

import pytest
from test_ews_people import set_, update

NONE = ' SendMeetingInvitationsOrCancellations="SendToNone"'
ZONE = '<t:StartTimeZone Id="W. Europe Standard Time"/>'
TIMES = "<t:Start>2026-11-02T09:00:00+01:00</t:Start><t:End>2026-11-02T10:00:00+01:00</t:End>"
WEEKLY = (
    "<t:Recurrence><t:WeeklyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>Monday Wednesday</t:DaysOfWeek>"
    "<t:FirstDayOfWeek>Monday</t:FirstDayOfWeek></t:WeeklyRecurrence><t:NumberedRecurrence>"
    "<t:StartDate>2026-11-02</t:StartDate><t:NumberOfOccurrences>6</t:NumberOfOccurrences></t:NumberedRecurrence>"
    "</t:Recurrence>"
)
SERIES = f"<t:Subject>Status</t:Subject>{TIMES}{WEEKLY}{ZONE}"


def create(inner: str, mode: str = "SendToNone", folder: str = "calendar") -> str:
    said = f' SendMeetingInvitations="{mode}"' if mode else ""
    return (
        f'<m:CreateItem{said}><m:SavedItemFolderId><t:DistinguishedFolderId Id="{folder}"/></m:SavedItemFolderId>'
        f"<m:Items><t:CalendarItem>{inner}</t:CalendarItem></m:Items></m:CreateItem>"
    )


async def made(client, inner: str, mode: str = "SendToNone") -> tuple[str, str]:
    return (await client.ask(create(inner, mode))).ok().ids()[0]


def view(start: str, end: str, most: str = "", folder: str = "calendar") -> str:
    limit = f' MaxEntriesReturned="{most}"' if most else ""
    return (
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>AllProperties</t:BaseShape></m:ItemShape>'
        f'<m:CalendarView{limit} StartDate="{start}" EndDate="{end}"/><m:ParentFolderIds>'
        f'<t:DistinguishedFolderId Id="{folder}"/></m:ParentFolderIds></m:FindItem>'
    )


def occurrence(item: str, index: int) -> str:
    return (
        "<m:GetItem><m:ItemShape><t:BaseShape>AllProperties</t:BaseShape></m:ItemShape><m:ItemIds>"
        f'<t:OccurrenceItemId RecurringMasterId="{item}" InstanceIndex="{index}"/></m:ItemIds></m:GetItem>'
    )


def delete(item: str, more: str = ' SendMeetingCancellations="SendToNone"') -> str:
    return (
        f'<m:DeleteItem DeleteType="MoveToDeletedItems"{more}><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds>'
        "</m:DeleteItem>"
    )


@pytest.mark.conformance("MSOXWSMTGS_S01_TC01_CreateGetDeleteSingleCalendarItem")
async def test_an_appointment_is_made_read_changed_and_deleted(anna):
    inner = (
        '<t:Subject>Dentist</t:Subject><t:Body BodyType="HTML">&lt;p&gt;x</t:Body>'
        "<t:Categories><t:String>Red</t:String></t:Categories>"
        "<t:ReminderIsSet>true</t:ReminderIsSet><t:ReminderMinutesBeforeStart>30</t:ReminderMinutesBeforeStart>"
        f"<t:UID>my-own-uid</t:UID>{TIMES}<t:LegacyFreeBusyStatus>OOF</t:LegacyFreeBusyStatus>"
        f"<t:Location>Ring 1</t:Location>{ZONE}"
    )
    item = await made(anna, inner)
    got = (await anna.get(item[0])).ok()
    assert got.text("//t:UID") == "my-own-uid"
    assert (got.text("//t:Start"), got.text("//t:End")) == ("2026-11-02T08:00:00Z", "2026-11-02T09:00:00Z")
    assert got.text("//t:LegacyFreeBusyStatus") == "OOF"
    assert got.text("//t:ReminderMinutesBeforeStart") == "30"
    assert got.text("//t:CalendarItemType") == "Single"
    assert got.one("//t:StartTimeZone").get("Id") == "W. Europe Standard Time"
    assert got.text("//t:Duration") == "PT1H"
    assert got.texts("//t:Categories/t:String") == ["Red"]
    changes = (
        set_("CalendarItem", "calendar:Start", "<t:Start>2026-11-03T08:30:00Z</t:Start>"),
        set_("CalendarItem", "calendar:End", "<t:End>2026-11-03T09:00:00Z</t:End>"),
        set_("CalendarItem", "item:Subject", "<t:Subject>Doctor</t:Subject>"),
        set_("CalendarItem", "calendar:Location", "", "DeleteItemField"),
    )
    changed = (await anna.ask(update(item, *changes, more=NONE))).ok().ids()[0]
    assert changed[0] == item[0]
    assert changed[1] != item[1]
    got = (await anna.get(item[0])).ok()
    assert (got.text("//t:Start"), got.text("//t:Subject")) == ("2026-11-03T08:30:00Z", "Doctor")
    assert not got.all("//t:Location")
    assert got.text("//t:Body") == "<p>x"
    (await anna.ask(delete(item[0]))).ok()
    assert (await anna.get(item[0])).codes == ["ErrorItemNotFound"]


async def test_a_whole_day_lies_between_midnights(anna):
    inner = (
        "<t:Start>2026-11-02T10:00:00+01:00</t:Start><t:End>2026-11-02T11:00:00+01:00</t:End>"
        f"<t:IsAllDayEvent>true</t:IsAllDayEvent>{ZONE}"
    )
    got = (await anna.get((await made(anna, inner))[0])).ok()
    assert (got.text("//t:Start"), got.text("//t:End")) == ("2026-11-01T23:00:00Z", "2026-11-02T23:00:00Z")
    assert got.text("//t:LegacyFreeBusyStatus") == "Free"


async def test_a_series_and_its_occurrences(anna):
    item = await made(anna, SERIES)
    got = (await anna.get(item[0])).ok()
    assert got.text("//t:CalendarItemType") == "RecurringMaster"
    assert got.text("//t:WeeklyRecurrence/t:DaysOfWeek") == "Monday Wednesday"
    assert got.text("//t:LastOccurrence/t:Start") == "2026-11-18T08:00:00Z"
    second = (await anna.ask(occurrence(item[0], 2))).ok()
    assert second.text("//t:CalendarItemType") == "Occurrence"
    assert second.text("//t:Start") == "2026-11-04T08:00:00Z"
    id_ = second.one("//t:CalendarItem/t:ItemId")
    key = (id_.get("Id"), id_.get("ChangeKey"))
    change = set_("CalendarItem", "item:Subject", "<t:Subject>Moved</t:Subject>")
    moved = set_("CalendarItem", "calendar:Start", "<t:Start>2026-11-04T08:30:00Z</t:Start>")
    (await anna.ask(update(key, change, moved, more=NONE))).ok()
    third = (await anna.ask(occurrence(item[0], 3))).ok().one("//t:CalendarItem/t:ItemId").get("Id")
    (await anna.ask(delete(third))).ok()
    assert (await anna.ask(occurrence(item[0], 3))).codes == ["ErrorCalendarOccurrenceIsDeletedFromRecurrence"]
    got = (await anna.get(item[0])).ok()
    assert got.texts("//t:ModifiedOccurrences/t:Occurrence/t:Start") == ["2026-11-04T08:30:00Z"]
    assert got.texts("//t:ModifiedOccurrences/t:Occurrence/t:OriginalStart") == ["2026-11-04T08:00:00Z"]
    assert got.texts("//t:DeletedOccurrences/t:DeletedOccurrence/t:Start") == ["2026-11-09T08:00:00Z"]
    shown = (await anna.ask(view("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"))).ok()
    assert shown.texts("//t:CalendarItem/t:Subject") == ["Status", "Moved", "Status", "Status", "Status"]
    assert shown.texts("//t:CalendarItem/t:CalendarItemType")[:2] == ["Occurrence", "Exception"]
    master = (
        "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:ItemIds>"
        f'<t:RecurringMasterItemId OccurrenceId="{key[0]}"/></m:ItemIds></m:GetItem>'
    )
    assert (await anna.ask(master)).ok().ids()[0][0] == item[0]


@pytest.mark.parametrize(
    "pattern",
    [
        "<t:DailyRecurrence><t:Interval>3</t:Interval></t:DailyRecurrence>",
        "<t:AbsoluteMonthlyRecurrence><t:Interval>1</t:Interval><t:DayOfMonth>31</t:DayOfMonth>"
        "</t:AbsoluteMonthlyRecurrence>",
        "<t:RelativeMonthlyRecurrence><t:Interval>2</t:Interval><t:DaysOfWeek>Weekday</t:DaysOfWeek>"
        "<t:DayOfWeekIndex>Last</t:DayOfWeekIndex></t:RelativeMonthlyRecurrence>",
        "<t:AbsoluteYearlyRecurrence><t:DayOfMonth>29</t:DayOfMonth><t:Month>February</t:Month>"
        "</t:AbsoluteYearlyRecurrence>",
        "<t:RelativeYearlyRecurrence><t:DaysOfWeek>Sunday</t:DaysOfWeek><t:DayOfWeekIndex>First</t:DayOfWeekIndex>"
        "<t:Month>May</t:Month></t:RelativeYearlyRecurrence>",
    ],
)
async def test_every_pattern_comes_back_as_it_went(anna, pattern):
    ends = "<t:EndDateRecurrence><t:StartDate>2026-11-02</t:StartDate><t:EndDate>2040-01-01</t:EndDate></t:EndDateRecurrence>"
    item = await made(anna, f"{TIMES}<t:Recurrence>{pattern}{ends}</t:Recurrence>{ZONE}")
    raw = (await anna.get(item[0])).ok().raw.decode()
    assert pattern in raw
    assert "<t:EndDate>2040-01-01</t:EndDate>" in raw


CUSTOM = (
    '<t:StartTimeZone Id="Ours" Name="Ours"><t:Periods><t:Period Bias="-PT1H30M" Name="Standard" Id="s"/>'
    '<t:Period Bias="-PT2H30M" Name="Daylight" Id="d"/></t:Periods><t:TransitionsGroups><t:TransitionsGroup Id="0">'
    '<t:RecurringDayTransition><t:To Kind="Period">d</t:To><t:TimeOffset>PT2H</t:TimeOffset><t:Month>3</t:Month>'
    "<t:DayOfWeek>Sunday</t:DayOfWeek><t:Occurrence>-1</t:Occurrence></t:RecurringDayTransition>"
    '<t:RecurringDayTransition><t:To Kind="Period">s</t:To><t:TimeOffset>PT3H</t:TimeOffset><t:Month>10</t:Month>'
    "<t:DayOfWeek>Sunday</t:DayOfWeek><t:Occurrence>-1</t:Occurrence></t:RecurringDayTransition>"
    '</t:TransitionsGroup></t:TransitionsGroups><t:Transitions><t:Transition><t:To Kind="Group">0</t:To>'
    "</t:Transition></t:Transitions></t:StartTimeZone>"
)


async def test_a_zone_of_a_clients_own_making(anna):
    inner = f"<t:Start>2026-07-01T09:00:00</t:Start><t:End>2026-07-01T10:00:00</t:End>{CUSTOM}"
    got = (await anna.get((await made(anna, inner))[0])).ok()
    assert got.text("//t:Start") == "2026-07-01T06:30:00Z"
    assert got.one("//t:StartTimeZone").get("Id") == "Ours"
    assert got.texts("//t:StartTimeZone//t:RecurringDayTransition/t:Month") == ["3", "10"]


RECURRENCE = (
    "<t:Recurrence>{}<t:NoEndRecurrence><t:StartDate>2026-11-02</t:StartDate></t:NoEndRecurrence></t:Recurrence>"
)


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        (f'{TIMES}<t:StartTimeZone Id="Mars/Olympus"/>', "ErrorCalendarInvalidTimeZone"),
        (
            "<t:Start>2026-11-02T09:00:00Z</t:Start><t:End>2026-11-02T08:00:00Z</t:End>",
            "ErrorCalendarEndDateIsEarlierThanStartDate",
        ),
        (
            "<t:Start>2026-11-02T09:00:00Z</t:Start><t:End>2046-11-02T08:00:00Z</t:End>",
            "ErrorCalendarDurationIsTooLong",
        ),
        ("<t:Start>0001-01-01T00:00:00Z</t:Start><t:End>0001-01-01T01:00:00Z</t:End>", "ErrorCalendarOutOfRange"),
        ("<t:Start>9999-12-31T23:00:00Z</t:Start><t:End>9999-12-31T23:30:00Z</t:End>", "ErrorCalendarOutOfRange"),
        (f"<t:IsOnlineMeeting>true</t:IsOnlineMeeting>{TIMES}", "ErrorInvalidPropertySet"),
        (f"<t:IsMeeting>true</t:IsMeeting>{TIMES}", "ErrorInvalidPropertySet"),
        (f"<t:GivenName>x</t:GivenName>{TIMES}", "ErrorInvalidPropertyRequest"),
        (
            TIMES + RECURRENCE.format("<t:DailyRecurrence><t:Interval>0</t:Interval></t:DailyRecurrence>"),
            "ErrorCalendarInvalidRecurrence",
        ),
        (
            TIMES
            + RECURRENCE.format(
                "<t:AbsoluteMonthlyRecurrence><t:Interval>1</t:Interval><t:DayOfMonth>40</t:DayOfMonth>"
                "</t:AbsoluteMonthlyRecurrence>"
            ),
            "ErrorCalendarInvalidRecurrence",
        ),
    ],
)
async def test_what_makes_no_calendar_item_is_refused_alone(anna, inner, code):
    body = create(inner).replace("</m:Items>", f"<t:CalendarItem>{TIMES}</t:CalendarItem></m:Items>")
    assert (await anna.ask(body)).codes == [code, "NoError"]


@pytest.mark.conformance(
    "MSOXWSMTGS_S01_TC21_DeleteItemErrorSendMeetingCancellationsRequired",
    "MSOXWSMTGS_S04_TC04_MoveItemErrorCalendarCannotMoveOrCopyOccurrence",
)
async def test_what_has_to_be_said_and_where(anna):
    item = await made(anna, SERIES)
    first = (await anna.ask(occurrence(item[0], 1))).ok().one("//t:CalendarItem/t:ItemId").get("Id")
    move = (
        '<m:MoveItem><m:ToFolderId><t:DistinguishedFolderId Id="deleteditems"/></m:ToFolderId><m:ItemIds>'
        f'<t:ItemId Id="{first}"/></m:ItemIds></m:MoveItem>'
    )
    assert (await anna.ask(move)).codes == ["ErrorCalendarCannotMoveOrCopyOccurrence"]
    assert (await anna.ask(create(TIMES, ""))).codes == ["ErrorSendMeetingInvitationsRequired"]
    folder = await anna.ask(create(TIMES, folder="inbox"))
    assert folder.codes == ["ErrorCannotCreateCalendarItemInNonCalendarFolder"]
    change = set_("CalendarItem", "item:Subject", "<t:Subject>x</t:Subject>")
    assert (await anna.ask(update(item, change))).codes == ["ErrorSendMeetingInvitationsOrCancellationsRequired"]
    assert (await anna.ask(delete(item[0], ""))).codes == ["ErrorSendMeetingCancellationsRequired"]
    for index in (0, 7):
        reply = await anna.ask(occurrence(item[0], index))
        assert reply.codes == ["ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange"]
    single = await made(anna, TIMES)
    assert (await anna.ask(occurrence(single[0], 1))).codes == ["ErrorCalendarCannotUseIdForRecurringMasterId"]


@pytest.mark.parametrize(
    ("start", "end", "folder", "code"),
    [
        ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", "inbox", "ErrorCalendarFolderIsInvalidForCalendarView"),
        ("2026-12-01T00:00:00Z", "2026-11-01T00:00:00Z", "calendar", "ErrorCalendarEndDateIsEarlierThanStartDate"),
        ("2026-12-01T00:00:00Z", "2036-11-01T00:00:00Z", "calendar", "ErrorCalendarViewRangeTooBig"),
        ("0001-01-01T00:00:00Z", "0001-11-01T00:00:00Z", "calendar", "ErrorCalendarOutOfRange"),
    ],
)
async def test_views_that_are_none(anna, start, end, folder, code):
    assert (await anna.ask(view(start, end, folder=folder))).codes == [code]


async def test_a_view_tells_whether_it_is_whole(anna):
    await made(anna, SERIES)
    shown = (await anna.ask(view("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", "2"))).ok()
    assert len(shown.ids()) == 2
    assert shown.one("//m:RootFolder").get("IncludesLastItemInRange") == "false"


async def test_attachments_of_an_appointment(anna):
    item = await made(anna, TIMES)
    reply = await anna.ask(
        f'<m:CreateAttachment><m:ParentItemId Id="{item[0]}"/><m:Attachments><t:FileAttachment><t:Name>a.txt</t:Name>'
        "<t:Content>YWI=</t:Content></t:FileAttachment><t:ItemAttachment><t:Name>m</t:Name><t:Message>"
        "<t:Subject>Within</t:Subject></t:Message></t:ItemAttachment></m:Attachments></m:CreateAttachment>"
    )
    ids = [one.get("Id") for one in reply.ok().all("//t:AttachmentId")]
    got = (await anna.get(item[0])).ok()
    assert got.texts("//t:Attachments/*/t:Name") == ["a.txt", "m"]
    read = await anna.ask(
        f'<m:GetAttachment><m:AttachmentIds><t:AttachmentId Id="{ids[1]}"/></m:AttachmentIds></m:GetAttachment>'
    )
    assert read.ok().text("//t:ItemAttachment/t:Message/t:Subject") == "Within"


MEETING = (
    f"<t:Subject>Plan</t:Subject>{TIMES}<t:RequiredAttendees><t:Attendee><t:Mailbox>"
    "<t:EmailAddress>boris@example.org</t:EmailAddress></t:Mailbox></t:Attendee></t:RequiredAttendees>"
)


async def test_a_meeting_is_sent_and_called_off(world, anna, boris):
    item = await made(anna, MEETING, "SendToAllAndSaveCopy")
    await world.settled()
    got = (await anna.get(item[0])).ok()
    assert (got.text("//t:IsMeeting"), got.text("//t:MyResponseType")) == ("true", "Organizer")
    assert got.text("//t:Organizer//t:EmailAddress") == "anna@example.org"
    assert got.text("//t:RequiredAttendees//t:EmailAddress") == "boris@example.org"
    invited = (await boris.find("inbox", "Default")).ok()
    assert invited.texts("//t:MeetingRequest/t:Subject") == ["Plan"]
    request = (await boris.get(invited.ids()[0][0])).ok()
    assert request.text("//t:Start") == "2026-11-02T08:00:00Z"
    assert request.text("//t:UID") == got.text("//t:UID")
    assert request.all("//t:ResponseObjects/t:AcceptItem")
    assert len((await anna.find("sentitems")).ok().ids()) == 1
    accept = (
        '<m:CreateItem MessageDisposition="SendOnly"><m:Items><t:{0}><t:ReferenceItemId Id="'
        + item[0]
        + '"/></t:{0}></m:Items></m:CreateItem>'
    )
    assert (await anna.ask(accept.format("AcceptItem"))).codes == ["ErrorCalendarIsOrganizerForAccept"]
    assert (await anna.ask(accept.format("DeclineItem"))).codes == ["ErrorCalendarIsOrganizerForDecline"]
    (await anna.ask(accept.format("CancelCalendarItem"))).ok()
    await world.settled()
    assert len((await boris.find()).ok().ids()) == 2
    assert (await anna.get(item[0])).codes == ["ErrorItemNotFound"]


BERLIN = (
    "<t:TimeZone><t:Bias>-60</t:Bias><t:StandardTime><t:Bias>0</t:Bias><t:Time>03:00:00</t:Time><t:DayOrder>5</t:DayOrder>"
    "<t:Month>10</t:Month><t:DayOfWeek>Sunday</t:DayOfWeek></t:StandardTime><t:DaylightTime><t:Bias>-60</t:Bias>"
    "<t:Time>02:00:00</t:Time><t:DayOrder>5</t:DayOrder><t:Month>3</t:Month><t:DayOfWeek>Sunday</t:DayOfWeek>"
    "</t:DaylightTime></t:TimeZone>"
)
FREE_BUSY = (
    "<t:FreeBusyViewOptions><t:TimeWindow><t:StartTime>2026-11-02T00:00:00</t:StartTime><t:EndTime>{}</t:EndTime>"
    "</t:TimeWindow><t:MergedFreeBusyIntervalInMinutes>60</t:MergedFreeBusyIntervalInMinutes>"
    "<t:RequestedView>DetailedMerged</t:RequestedView></t:FreeBusyViewOptions>"
)


def availability(*people: str, end: str = "2026-11-03T00:00:00", more: str = "") -> str:
    rows = "".join(
        f"<t:MailboxData><t:Email><t:Address>{one}</t:Address></t:Email><t:AttendeeType>Required</t:AttendeeType>"
        "</t:MailboxData>"
        for one in people
    )
    return (
        f"<m:GetUserAvailabilityRequest>{BERLIN}<m:MailboxDataArray>{rows}</m:MailboxDataArray>{FREE_BUSY.format(end)}"
        f"{more}</m:GetUserAvailabilityRequest>"
    )


async def test_who_is_free_when_and_times_to_meet(anna, boris):
    await made(anna, f"<t:Subject>Secret</t:Subject>{TIMES}")
    own = await anna.ask(availability("anna@example.org", "nobody@example.org"))
    assert own.texts("//m:ResponseMessage/m:ResponseCode") == ["NoError", "ErrorMailRecipientNotFound"]
    assert own.text("//t:MergedFreeBusy") == "0" * 9 + "2" + "0" * 14
    assert own.text("//t:CalendarEvent/t:StartTime") == "2026-11-02T09:00:00"
    assert own.text("//t:CalendarEventDetails/t:Subject") == "Secret"
    suggesting = (
        "<t:SuggestionsViewOptions><t:MaximumResultsByDay>3</t:MaximumResultsByDay><t:MeetingDurationInMinutes>60"
        "</t:MeetingDurationInMinutes><t:DetailedSuggestionsWindow><t:StartTime>2026-11-02T00:00:00</t:StartTime>"
        "<t:EndTime>2026-11-03T00:00:00</t:EndTime></t:DetailedSuggestionsWindow></t:SuggestionsViewOptions>"
    )
    others = await boris.ask(availability("anna@example.org", more=suggesting))
    assert others.text("//t:MergedFreeBusy") == "0" * 9 + "2" + "0" * 14
    assert not others.all("//t:CalendarEventDetails")
    assert "Secret" not in others.raw.decode()
    assert len(others.all("//t:Suggestion")) == 3
    assert "2026-11-02T09:00:00" not in others.texts("//t:Suggestion/t:MeetingTime")


@pytest.mark.parametrize(
    ("end", "code"),
    [("2026-11-01T00:00:00", "ErrorInvalidTimeInterval"), ("2027-11-03T00:00:00", "ErrorTimeIntervalTooBig")],
)
async def test_windows_that_nobody_answers_for(anna, end, code):
    assert (await anna.ask(availability("anna@example.org", end=end))).codes == [code]


def mime_of(reply) -> str:
    return base64.b64decode(reply.all("//t:MimeContent")[0].text).decode()


async def test_mime_content_is_icalendar(anna):
    """Evolution shows nothing else of a calendar."""
    item, _ = await made(anna, SERIES)
    mime = "<t:IncludeMimeContent>true</t:IncludeMimeContent>"
    whole = (await anna.ask(occurrence(item, 2).replace("</t:BaseShape>", f"</t:BaseShape>{mime}"))).ok()
    event = mime_of(whole)
    assert event.count("BEGIN:VEVENT") == 1 and "RECURRENCE-ID;TZID=" in event and ":20261104T090000" in event
    moved = whole.ids()[0]
    other = set_("CalendarItem", "item:Subject", "<t:Subject>Other</t:Subject>")
    (await anna.ask(update(moved, other, more=NONE))).ok()
    got = await anna.ask(
        f"<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{mime}</m:ItemShape><m:ItemIds>"
        f'<t:ItemId Id="{item}"/></m:ItemIds></m:GetItem>'
    )
    series = mime_of(got.ok())
    first, second = series.split("BEGIN:VEVENT")[1:]
    assert "RRULE:FREQ=WEEKLY" in first and "SUMMARY:Status" in first
    assert "SUMMARY:Other" in second and "RECURRENCE-ID" in second


async def test_ids_alone_of_an_occurrence(anna):
    item, _ = await made(anna, SERIES)
    (found,) = (await anna.ask(occurrence(item, 2).replace("AllProperties", "IdOnly"))).ok().ids()
    assert found[0] != item


FILE = "<t:FileAttachment><t:Name>{}</t:Name><t:Content>{}</t:Content></t:FileAttachment>"
BORIS = (
    "<t:RequiredAttendees><t:Attendee><t:Mailbox><t:EmailAddress>boris@example.org</t:EmailAddress></t:Mailbox>"
    "</t:Attendee></t:RequiredAttendees>"
)


async def attached_to_last(client) -> list[str]:
    """Names of what is attached to the newest message; its calendar part has none."""
    await client.world.settled()
    (newest, _), *_ = (await client.find()).ids()
    return sorted(name for name in (await client.get(newest)).ok().texts("//t:Attachments/*/t:Name") if name)


async def test_attachments_go_out_with_an_invitation_and_with_its_update(anna, boris):
    inner = (
        f"<t:Subject>Plan</t:Subject><t:Attachments>{FILE.format('agenda.txt', 'AQID')}</t:Attachments>{TIMES}{BORIS}"
    )
    item = await made(anna, inner, "SendToAllAndSaveCopy")
    assert await attached_to_last(boris) == ["agenda.txt"]
    assert (await anna.get(item[0])).ok().texts("//t:FileAttachment/t:Name") == ["agenda.txt"]
    added = (
        f'<m:CreateAttachment><m:ParentItemId Id="{item[0]}"/><m:Attachments>{FILE.format("map.png", "AQID")}'
        "<t:ItemAttachment><t:Name>note</t:Name><t:Message><t:Subject>note</t:Subject></t:Message></t:ItemAttachment>"
        "</m:Attachments></m:CreateAttachment>"
    )
    (await anna.ask(added)).ok()
    change = set_("CalendarItem", "calendar:Location", "<t:Location>Riga</t:Location>")
    all_ = ' SendMeetingInvitationsOrCancellations="SendToAllAndSaveCopy"'
    item = (await anna.ask(update(item, change, more=all_))).ok().ids()[0]
    assert await attached_to_last(boris) == ["agenda.txt", "map.png", "note"]
    files = f"<t:Attachments>{FILE.format('menu.txt', 'AQID')}</t:Attachments>"
    more = set_("CalendarItem", "item:Attachments", files)
    (await anna.ask(update(item, more, more=all_))).ok()
    assert await attached_to_last(boris) == ["agenda.txt", "map.png", "menu.txt", "note"]
    kept = (await anna.get(item[0])).ok().texts("//t:Attachments/*/t:Name")
    assert sorted(kept) == ["agenda.txt", "map.png", "menu.txt", "note"]
    assert len((await anna.get(item[0])).ok().all("//t:ItemAttachment")) == 1
