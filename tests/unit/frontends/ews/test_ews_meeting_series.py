"""Series of meetings: what is done with one occurrence comes to everybody's calendar (MS-OXWSMTGS 2.2.4.10)."""

from __future__ import annotations

import pytest
from ews_meetings import (
    DAILY,
    entry,
    get,
    key,
    master,
    meeting,
    message,
    messages,
    occurrence,
    of,
    recurrence,
    response,
)
from test_ews_calendar import delete, made
from test_ews_meeting_sending import moved, said
from test_ews_people import set_, update

ENDS = "<t:EndDateRecurrence><t:StartDate>2026-12-02</t:StartDate><t:EndDate>{}</t:EndDate></t:EndDateRecurrence>"
NEVER = "<t:NoEndRecurrence><t:StartDate>2026-12-02</t:StartDate></t:NoEndRecurrence>"
FOUR = (
    "<t:NumberedRecurrence><t:StartDate>2026-12-02</t:StartDate><t:NumberOfOccurrences>4</t:NumberOfOccurrences>"
    "</t:NumberedRecurrence>"
)
PATTERNS = [
    pytest.param(
        "<t:DailyRecurrence><t:Interval>2</t:Interval></t:DailyRecurrence>", FOUR, "2026-12-02",
        marks=pytest.mark.conformance("MSOXWSMTGS_S01_TC10_ModifyOccurrenceWithDailyPatternAndNumberedRange"),
    ),
    pytest.param(
        "<t:WeeklyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>Tuesday</t:DaysOfWeek>"
        "<t:FirstDayOfWeek>Sunday</t:FirstDayOfWeek></t:WeeklyRecurrence>",
        ENDS.format("2027-08-02"), "2026-12-08",
        marks=pytest.mark.conformance("MSOXWSMTGS_S01_TC11_ModifyOccurrenceWithWeeklyPatternAndEndDateRange"),
    ),
    pytest.param(
        "<t:AbsoluteMonthlyRecurrence><t:Interval>1</t:Interval><t:DayOfMonth>5</t:DayOfMonth>"
        "</t:AbsoluteMonthlyRecurrence>",
        NEVER, "2026-12-05",
        marks=pytest.mark.conformance("MSOXWSMTGS_S01_TC12_ModifyOccurrenceWithAbsoluteMonthlyPatternAndNoEndRange"),
    ),
    pytest.param(
        "<t:RelativeMonthlyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>Thursday</t:DaysOfWeek>"
        "<t:DayOfWeekIndex>First</t:DayOfWeekIndex></t:RelativeMonthlyRecurrence>",
        FOUR, "2026-12-03",
        marks=pytest.mark.conformance("MSOXWSMTGS_S01_TC13_ModifyOccurrenceWithRelativeMonthlyPatternAndNumberedRange"),
    ),
    pytest.param(
        "<t:AbsoluteYearlyRecurrence><t:DayOfMonth>5</t:DayOfMonth><t:Month>February</t:Month>"
        "</t:AbsoluteYearlyRecurrence>",
        ENDS.format("2034-12-02"), "2027-02-05",
        marks=pytest.mark.conformance("MSOXWSMTGS_S01_TC14_ModifyOccurrenceWithAbsoluteYearlyPatternAndEndDateRange"),
    ),
    pytest.param(
        "<t:RelativeYearlyRecurrence><t:DaysOfWeek>Wednesday</t:DaysOfWeek><t:DayOfWeekIndex>First</t:DayOfWeekIndex>"
        "<t:Month>January</t:Month></t:RelativeYearlyRecurrence>",
        NEVER, "2027-01-06",
        marks=pytest.mark.conformance("MSOXWSMTGS_S01_TC15_ModifyOccurrenceWithRelativeYearlyPatternAndNoEndRange"),
    ),
]  # fmt: skip
SAID = (
    "<t:Location>Room</t:Location><t:IsResponseRequested>false</t:IsResponseRequested>"
    "<t:ConferenceType>1</t:ConferenceType><t:LegacyFreeBusyStatus>OOF</t:LegacyFreeBusyStatus>"
    '<t:StartTimeZone Id="Greenwich Standard Time"/>'
)


@pytest.mark.parametrize(("pattern", "range_", "first"), PATTERNS)
async def test_the_first_occurrence_is_moved_for_everybody(world, anna, boris, pattern, range_, first):
    item = await made(anna, meeting("u1", more=recurrence(pattern, range_) + SAID), "SendOnlyToAll")
    assert (await anna.get(item[0])).ok().text("//t:ConferenceType") == "1"
    await world.settled()
    request = await message(boris, "MeetingRequest")
    told = {"IsOrganizer": "false", "IntendedFreeBusyStatus": "OOF", "IsRecurring": "true",
            "CalendarItemType": "RecurringMaster"}  # fmt: skip
    assert {name: request.text(f"//t:MeetingRequest/t:{name}") for name in told} == told
    assert pattern in request.raw.decode()
    mine = await entry(boris, "u1")
    told = {
        "CalendarItemType": "RecurringMaster", "AllowNewTimeProposal": "true", "IsRecurring": "true",
        "IsResponseRequested": "false", "AppointmentState": "3", "StartTimeZoneId": "Greenwich Standard Time",
        "EndTimeZoneId": "Greenwich Standard Time", "IntendedFreeBusyStatus": "OOF",
    }  # fmt: skip
    assert {name: mine.text(f"//t:CalendarItem/t:{name}") for name in told} == told
    assert pattern in mine.raw.decode()
    one = (await boris.ask(get(occurrence(of(mine), 1)))).ok()
    assert one.text("//t:CalendarItemType") == "Occurrence"
    assert one.text("//t:CalendarItem/t:Start") == f"{first}T09:00:00Z"

    one = (await anna.ask(get(occurrence(item[0], 1)))).ok()
    changes = (
        moved("Hall"),
        set_("CalendarItem", "calendar:Start", f"<t:Start>{first}T07:00:00Z</t:Start>"),
        set_("CalendarItem", "calendar:End", f"<t:End>{first}T08:00:00Z</t:End>"),
    )
    known = key(one)
    for change in changes:
        known = (await anna.ask(update(known, change, more=said("SendOnlyToAll")))).ok().ids()[0]
    own = await entry(anna, "u1")
    changed = own.one("//t:ModifiedOccurrences/t:Occurrence")
    assert changed.find("{*}ItemId").get("Id") == own.one("//t:FirstOccurrence/t:ItemId").get("Id")
    assert [changed.findtext(f"{{*}}{name}") for name in ("Start", "End", "OriginalStart")] == [
        f"{first}T07:00:00Z", f"{first}T08:00:00Z", f"{first}T09:00:00Z",
    ]  # fmt: skip
    await world.settled()
    theirs = (await boris.ask(get(occurrence(of(await entry(boris, "u1")), 1)))).ok()
    told = {"CalendarItemType": "Exception", "Location": "Hall", "Start": f"{first}T07:00:00Z",
            "End": f"{first}T08:00:00Z"}  # fmt: skip
    assert {name: theirs.text(f"//t:CalendarItem/t:{name}") for name in told} == told


@pytest.mark.conformance("MSOXWSMTGS_S01_TC16_DeleteOccurrenceOfRecurringMeeting")
async def test_an_occurrence_is_deleted_and_then_all_of_them(world, anna, boris):
    item = await made(anna, meeting("u1", more=recurrence(DAILY)), "SendToAllAndSaveCopy")
    await world.settled()
    first = (await anna.ask(get(occurrence(item[0], 1)))).ok()
    (await anna.ask(delete(of(first), ' SendMeetingCancellations="SendToAllAndSaveCopy"'))).ok()
    own = await entry(anna, "u1")
    assert own.text("//t:DeletedOccurrences/t:DeletedOccurrence/t:Start") == first.text("//t:CalendarItem/t:Start")
    await world.settled()
    off = await message(boris, "MeetingCancellation")
    assert off.text("//t:RecurrenceId") == first.text("//t:CalendarItem/t:Start")
    assert off.text("//t:MeetingCancellation/t:CalendarItemType") == "Exception"
    theirs = (await boris.ask(get(occurrence(of(await entry(boris, "u1")), 1)))).ok()
    assert theirs.text("//t:IsCancelled") == "true"
    (await boris.ask(response("RemoveItem", of(off), disposition="SaveOnly"))).ok()
    mine = await entry(boris, "u1")
    assert mine.text("//t:DeletedOccurrences/t:DeletedOccurrence/t:Start") == first.text("//t:CalendarItem/t:Start")
    (await anna.ask(delete(of(own), ' SendMeetingCancellations="SendToAllAndSaveCopy"'))).ok()
    await world.settled()
    assert (await entry(boris, "u1")).text("//t:IsCancelled") == "true"
    assert len(await messages(anna, "MeetingCancellation", "sentitems")) == 2


@pytest.mark.conformance("MSOXWSMTGS_S01_TC17_UpdateAndDeleteoccurrenceOfRecurringMeeting")
async def test_an_update_tells_which_occurrences_are_changed_and_gone(world, anna, boris):
    item = await made(anna, meeting("u1", more=recurrence(DAILY)), "SendOnlyToAll")
    await world.settled()
    (await boris.ask(response("AcceptItem", of(await message(boris, "MeetingRequest"))))).ok()
    await world.settled()
    answered = await message(boris, "MeetingRequest", "deleteditems")
    assert answered.text("//t:IsOutOfDate") == "false"
    gone = (
        '<m:DeleteItem DeleteType="HardDelete" SendMeetingCancellations="SendOnlyToAll">'
        f"<m:ItemIds>{occurrence(item[0], 1)}</m:ItemIds></m:DeleteItem>"
    )
    (await anna.ask(gone)).ok()
    second = key((await anna.ask(get(occurrence(item[0], 2)))).ok())
    (await anna.ask(update(second, moved("Hall"), more=said("SendToAllAndSaveCopy")))).ok()
    (await anna.ask(update(key(await entry(anna, "u1")), moved("Attic"), more=said("SendToAllAndSaveCopy")))).ok()
    await world.settled()
    request = await message(boris, "MeetingRequest")
    assert request.text("//t:MeetingRequest/t:Location") == "Attic"
    assert request.texts("//t:ModifiedOccurrences/t:Occurrence/t:OriginalStart") == ["2026-11-03T09:00:00Z"]
    assert request.texts("//t:DeletedOccurrences/t:DeletedOccurrence/t:Start") == ["2026-11-02T09:00:00Z"]
    assert (await message(boris, "MeetingRequest", "deleteditems")).text("//t:IsOutOfDate") == "true"


@pytest.mark.conformance("MSOXWSMTGS_S02_TC03_UpdateRecurringCalendar")
async def test_one_occurrence_is_declined(world, anna, boris):
    item = await made(anna, meeting("u1", optional=("anna",), more=recurrence(DAILY)), "SendOnlyToAll")
    await world.settled()
    first = key((await anna.ask(get(occurrence(item[0], 1)))).ok())
    (await anna.ask(update(first, moved("Hall"), more=said("SendOnlyToAll")))).ok()
    await world.settled()
    mine = of(await entry(boris, "u1"))
    theirs = (await boris.ask(get(occurrence(mine, 1)))).ok()
    assert theirs.text("//t:CalendarItem/t:Location") == "Hall"
    request = await message(boris, "MeetingRequest")
    assert request.text("//t:RecurrenceId") == "2026-11-02T09:00:00Z"
    (await boris.ask(response("DeclineItem", of(theirs)))).ok()
    await world.settled()
    answer = await message(anna, "MeetingResponse")
    told = {"ResponseType": "Decline", "IsOrganizer": "true", "RecurrenceId": "2026-11-02T09:00:00Z"}
    assert {name: answer.text(f"//t:MeetingResponse/t:{name}") for name in told} == told
    assert answer.text("//t:Recurrence/t:DailyRecurrence/t:Interval") == "1"
    assert (await boris.ask(get(occurrence(mine, 1)))).codes == ["ErrorCalendarOccurrenceIsDeletedFromRecurrence"]
    assert (await boris.ask(get(occurrence(mine, 2)))).ok().text("//t:MyResponseType") == "NoResponseReceived"
    own = (await anna.ask(get(occurrence(item[0], 1)))).ok()
    assert own.text("//t:RequiredAttendees/t:Attendee/t:ResponseType") == "Decline"
    assert of((await anna.ask(get(master(of(own))))).ok()) == item[0]


async def test_a_request_for_one_occurrence_is_answered_for_that_one(world, anna, boris):
    """Accepting an update of one occurrence by its message leaves the others unanswered."""
    item = await made(anna, meeting("u1", more=recurrence(DAILY)), "SendOnlyToAll")
    await world.settled()
    second = key((await anna.ask(get(occurrence(item[0], 2)))).ok())
    (await anna.ask(update(second, moved("Hall"), more=said("SendOnlyToAll")))).ok()
    await world.settled()
    (await boris.ask(response("AcceptItem", of(await message(boris, "MeetingRequest"))))).ok()
    mine = of(await entry(boris, "u1"))
    told = [(await boris.ask(get(occurrence(mine, each)))).ok().text("//t:MyResponseType") for each in (1, 2, 3)]
    assert told == ["NoResponseReceived", "Accept", "NoResponseReceived"]
