"""Meeting messages as their readers get them, and what becomes of an answer (MS-OXWSMTGS 2.2.4.18 to 2.2.4.21)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ews_meetings import (
    DAILY,
    END,
    START,
    entries,
    entry,
    get,
    meeting,
    message,
    messages,
    occurrence,
    of,
    people,
    recurrence,
    response,
)
from test_ews_calendar import delete, made

from postern.model.calendar.appointment import Person
from postern.services.calendar.delegates import Delegate, Delivery

ONLINE = (
    "<t:ConferenceType>2</t:ConferenceType><t:AllowNewTimeProposal>true</t:AllowNewTimeProposal>"
    "<t:MeetingWorkspaceUrl>https://work.example.org/plan</t:MeetingWorkspaceUrl>"
    "<t:NetShowUrl>https://show.example.org/plan</t:NetShowUrl>"
)


@pytest.mark.conformance("MSOXWSMTGS_S01_TC02_CreateAndAcceptMeeting")
async def test_a_meeting_is_accepted_and_called_off(world, anna, boris):
    more = (
        "<t:IsAllDayEvent>true</t:IsAllDayEvent><t:LegacyFreeBusyStatus>Tentative</t:LegacyFreeBusyStatus>"
        "<t:ConferenceType>1</t:ConferenceType><t:IsResponseRequested>true</t:IsResponseRequested>"
    )
    item = await made(anna, meeting("u1", more=more, optional=("anna",)), "SendToAllAndSaveCopy")
    await world.settled()
    assert (await message(anna, "MeetingRequest", "sentitems")).text("//t:UID") == "u1"
    request = await message(boris, "MeetingRequest")
    assert request.text("//t:ItemClass") == "IPM.Schedule.Meeting.Request"
    assert request.text("//t:IntendedFreeBusyStatus") == "Tentative"
    assert request.text("//t:ConferenceType") == "1"
    assert request.text("//t:IsAllDayEvent") == "true"
    mine = await entry(boris, "u1")
    assert mine.text("//t:LegacyFreeBusyStatus") == "Tentative"
    assert request.one("//t:AssociatedCalendarItemId").get("Id") == of(mine)
    (await boris.ask(response("AcceptItem", of(request)))).ok()
    await world.settled()
    answer = await message(anna, "MeetingResponse")
    assert answer.text("//t:ItemClass") == "IPM.Schedule.Meeting.Resp.Pos"
    (await anna.ask(delete(item[0], ' SendMeetingCancellations="SendOnlyToAll"'))).ok()
    await world.settled()
    off = await message(boris, "MeetingCancellation")
    (await boris.ask(response("RemoveItem", of(off), disposition="SaveOnly"))).ok()
    assert not await entries(boris, "u1")
    assert not await messages(boris, "MeetingCancellation")
    assert not await messages(anna, "MeetingCancellation", "sentitems")


@pytest.mark.conformance("MSOXWSMTGS_S01_TC03_CreateRecurringMeetingAndDecline")
async def test_a_series_is_declined(world, anna, boris):
    item = await made(anna, meeting("u1", optional=("anna",), more=recurrence(DAILY)), "SendOnlyToAll")
    await world.settled()
    mine = (await anna.get(item[0])).ok()
    first, last = [(await anna.ask(get(occurrence(item[0], number)))).ok() for number in (1, 4)]
    assert mine.one("//t:FirstOccurrence/t:ItemId").get("Id") == of(first)
    assert mine.one("//t:LastOccurrence/t:ItemId").get("Id") == of(last)
    second = (await anna.ask(get(occurrence(item[0], 2)))).ok()
    (await anna.ask(delete(of(second), ' SendMeetingCancellations="SendOnlyToAll"'))).ok()
    await world.settled()
    request = await message(boris, "MeetingRequest")
    for edge, one in (("First", first), ("Last", last)):
        for name in ("Start", "End"):
            assert request.text(f"//t:{edge}Occurrence/t:{name}") == one.text(f"//t:CalendarItem/t:{name}")
    assert request.text("//t:CalendarItemType") == "RecurringMaster"
    assert request.text("//t:DailyRecurrence/t:Interval") == "1"
    (await boris.ask(response("DeclineItem", of(request)))).ok()
    await world.settled()
    assert not await entries(boris, "u1")
    answer = await message(anna, "MeetingResponse")
    assert answer.text("//t:ResponseType") == "Decline"
    about = answer.one("//t:AssociatedCalendarItemId").get("Id")
    assert about == item[0]
    (await anna.ask(response("CancelCalendarItem", about))).ok()
    await world.settled()
    assert (await message(boris, "MeetingCancellation")).text("//t:UID") == "u1"


@pytest.mark.conformance("MSOXWSMTGS_S01_TC04_CreateMeetingAndTentativelyAccept")
async def test_what_else_is_there_then_is_told(world, anna, boris):
    at_once = f"<t:Subject>Other</t:Subject><t:Start>{START}</t:Start><t:End>2026-11-02T09:30:00Z</t:End>"
    after = f"<t:Subject>Next</t:Subject><t:Start>{END}</t:Start><t:End>2026-11-02T11:00:00Z</t:End>"
    free = "<t:LegacyFreeBusyStatus>Free</t:LegacyFreeBusyStatus>"
    for inner in (at_once, after, at_once.replace("Other", "Idle") + free):
        await made(boris, inner)
    await made(anna, meeting("u1"), "SendOnlyToAll")
    await world.settled()
    request = await message(boris, "MeetingRequest")
    assert request.text("//t:ConflictingMeetingCount") == request.text("//t:AdjacentMeetingCount") == "1"
    assert request.texts("//t:ConflictingMeetings/t:CalendarItem/t:Subject") == ["Other"]
    assert request.texts("//t:AdjacentMeetings/t:CalendarItem/t:Subject") == ["Next"]
    named = '<t:AdditionalProperties><t:FieldURI FieldURI="calendar:ConflictingMeetings"/>'
    named += '<t:FieldURI FieldURI="calendar:AdjacentMeetingCount"/></t:AdditionalProperties>'
    mine = (await boris.get(of(await entry(boris, "u1")), shape="IdOnly", extra=named)).ok()
    assert mine.texts("//t:ConflictingMeetings/t:CalendarItem/t:Subject") == ["Other"]
    assert mine.text("//t:AdjacentMeetingCount") == "1"
    (await boris.ask(response("TentativelyAcceptItem", of(request)))).ok()
    await world.settled()
    assert (await message(anna, "MeetingResponse")).text("//t:ResponseType") == "Tentative"


@pytest.mark.conformance("MSOXWSMTGS_S01_TC08_CreateAndAcceptSingleMeeting")
async def test_all_that_is_told_of_a_meeting(world, anna, boris):
    await world.add_room()
    day = (world.parts.clock.now() + timedelta(days=7)).strftime("%Y-%m-%d")  # rooms decline what is past
    start, end = f"{day}T09:00:00Z", f"{day}T10:00:00Z"
    more = (
        "<t:Location>Room 1</t:Location><t:When>Monday morning</t:When><t:IsResponseRequested>true</t:IsResponseRequested>"
        f"<t:LegacyFreeBusyStatus>Busy</t:LegacyFreeBusyStatus>{ONLINE}"
    )
    inner = meeting("u1", start=start, end=end, optional=("anna",), rooms=("room",), more=more)
    item = await made(anna, inner, "SendOnlyToAll")
    got = (await anna.get(item[0])).ok()
    told = {
        "UID": "u1", "Start": start, "End": end, "IsAllDayEvent": "false", "LegacyFreeBusyStatus": "Busy",
        "Location": "Room 1", "When": "Monday morning", "IsMeeting": "true", "IsCancelled": "false",
        "IsRecurring": "false", "MeetingRequestWasSent": "true", "IsResponseRequested": "true",
        "MyResponseType": "Organizer", "CalendarItemType": "Single", "AppointmentState": "1", "ConferenceType": "2",
        "IsOnlineMeeting": "false", "MeetingWorkspaceUrl": "https://work.example.org/plan",
        "NetShowUrl": "https://show.example.org/plan", "StartWallClock": start[:-1],
        "EndWallClock": end[:-1], "IsOrganizer": "true",
    }  # fmt: skip
    assert {name: got.text(f"//t:CalendarItem/t:{name}") for name in told} == told
    for name, who in (
        ("Organizer", "anna"),
        ("RequiredAttendees", "boris"),
        ("OptionalAttendees", "anna"),
        ("Resources", "room"),
    ):
        assert got.text(f"//t:{name}//t:EmailAddress") == f"{who}@example.org"
    await world.settled()
    request = await message(boris, "MeetingRequest")
    asked = {
        "IsMeeting": "true", "IsCancelled": "false", "IsRecurring": "false", "MeetingRequestWasSent": "true",
        "CalendarItemType": "Single", "AppointmentState": "3", "MeetingRequestType": "NewMeetingRequest",
        "IntendedFreeBusyStatus": "Busy", "Start": start, "End": end, "Location": "Room 1", "IsAllDayEvent": "false",
        "IsResponseRequested": "true", "IsOnlineMeeting": "false", "ConferenceType": "2", "IsOutOfDate": "false",
        "MeetingWorkspaceUrl": "https://work.example.org/plan", "NetShowUrl": "https://show.example.org/plan",
        "IsOrganizer": "false", "StartWallClock": start[:-1], "EndWallClock": end[:-1],
        "IsDelegated": "false", "Duration": "PT1H", "AppointmentSequenceNumber": "0",
    }  # fmt: skip
    assert {name: request.text(f"//t:MeetingRequest/t:{name}") for name in asked} == asked
    assert request.text("//t:MeetingRequest/t:Organizer//t:EmailAddress") == "anna@example.org"
    assert "boris@example.org" in request.texts("//t:MeetingRequest/t:RequiredAttendees//t:EmailAddress")
    assert request.all("//t:ResponseObjects/t:ProposeNewTime")
    (await boris.ask(response("AcceptItem", of(request)))).ok()
    mine = await entry(boris, "u1")
    assert mine.text("//t:AppointmentReplyTime") and mine.text("//t:MyResponseType") == "Accept"
    assert mine.text("//t:LegacyFreeBusyStatus") == "Busy"
    await world.settled()
    answer = await message(anna, "MeetingResponse")
    given = {"ResponseType": "Accept", "Start": start, "End": end, "Location": "Room 1", "CalendarItemType": "Single"}
    assert {name: answer.text(f"//t:MeetingResponse/t:{name}") for name in given} == given
    got = (await anna.get(item[0])).ok()
    assert got.text("//t:RequiredAttendees/t:Attendee/t:ResponseType") == "Accept"
    assert got.text("//t:RequiredAttendees/t:Attendee/t:LastResponseTime")
    assert got.text("//t:Resources/t:Attendee/t:ResponseType") == "Accept"


@pytest.mark.conformance("MSOXWSMTGS_S01_TC09_CreateAndCancelMeeting")
async def test_a_meeting_is_declined_and_called_off(world, anna, boris):
    more = (
        "<t:Location>Room 1</t:Location><t:LegacyFreeBusyStatus>Free</t:LegacyFreeBusyStatus>"
        "<t:ConferenceType>0</t:ConferenceType><t:AllowNewTimeProposal>false</t:AllowNewTimeProposal>"
    )
    await made(anna, meeting("u1", end="2026-11-02T11:00:00Z", more=more), "SendOnlyToAll")
    await world.settled()
    assert (await entry(boris, "u1")).text("//t:LegacyFreeBusyStatus") == "Free"
    request = await message(boris, "MeetingRequest")
    asked = {
        "ConferenceType": "0", "IsOnlineMeeting": "false", "IntendedFreeBusyStatus": "Free", "Duration": "PT2H",
        "TimeZone": "UTC", "AppointmentSequenceNumber": "0", "AllowNewTimeProposal": "false",
    }  # fmt: skip
    assert {name: request.text(f"//t:MeetingRequest/t:{name}") for name in asked} == asked
    assert not request.all("//t:ResponseObjects/t:ProposeNewTime")
    (await boris.ask(response("DeclineItem", of(request)))).ok()
    await world.settled()
    answer = await message(anna, "MeetingResponse")
    assert answer.text("//t:ResponseType") == "Decline"
    about = answer.one("//t:AssociatedCalendarItemId").get("Id")
    (await anna.ask(response("CancelCalendarItem", about))).ok()
    await world.settled()
    off = await message(boris, "MeetingCancellation")
    told = {
        "ItemClass": "IPM.Schedule.Meeting.Canceled", "Start": START, "End": "2026-11-02T11:00:00Z",
        "Location": "Room 1", "CalendarItemType": "Single",
    }  # fmt: skip
    assert {name: off.text(f"//t:MeetingCancellation/t:{name}") for name in told} == told
    assert not await entries(anna, "u1")


@pytest.mark.conformance("MSOXWSMTGS_S01_TC22_MeetingRequestTypePrincipalWantsCopy")
async def test_whose_delegates_answer_is_only_informed(world, anna, boris):
    chen = world.client("chen")
    acting = Delegate(Person("chen@example.org", "Chen"))
    await world.calendar_settings("boris", delegates=(acting,), delivery=Delivery.DELEGATES_AND_SEND_INFORMATION_TO_ME)
    await made(anna, meeting("u1"), "SendOnlyToAll")
    await world.settled()
    assert (await message(boris, "MeetingRequest")).text("//t:MeetingRequestType") == "PrincipalWantsCopy"
    copy = await message(chen, "MeetingRequest")
    assert copy.text("//t:IsDelegated") == "true"
    assert copy.text("//t:ReceivedRepresenting//t:EmailAddress") == "boris@example.org"
    assert not await entries(chen, "u1")


@pytest.mark.conformance("MSOXWSMTGS_S01_TC23_CreateItemErrorMessageDispositionRequired")
async def test_an_answer_says_whether_it_is_sent(world, anna, boris):
    item = await made(anna, meeting("u1", optional=("anna",)), "SendOnlyToAll")
    await world.settled()
    request = of(await message(boris, "MeetingRequest"))
    for client, element, about in (
        (boris, "AcceptItem", request),
        (boris, "TentativelyAcceptItem", request),
        (boris, "DeclineItem", request),
        (anna, "CancelCalendarItem", item[0]),
    ):
        reply = await client.ask(response(element, about, disposition=""))
        assert reply.codes == ["ErrorMessageDispositionRequired"]
    assert (await entry(boris, "u1")).text("//t:MyResponseType") == "NoResponseReceived"


async def test_another_time_is_proposed_and_seen(world, anna, boris):
    """A counter proposal comes to the organizer as one, beside the time that the meeting has."""
    item = await made(anna, meeting("u1"), "SendOnlyToAll")
    await world.settled()
    request = of(await message(boris, "MeetingRequest"))
    other = "<t:ProposedStart>2026-11-03T09:00:00Z</t:ProposedStart><t:ProposedEnd>2026-11-03T10:00:00Z</t:ProposedEnd>"
    (await boris.ask(response("ProposeNewTime", request, other))).ok()
    await world.settled()
    answer = await message(anna, "MeetingResponse")
    told = {
        "ResponseType": "Tentative", "Start": START, "End": END, "ProposedStart": "2026-11-03T09:00:00Z",
        "ProposedEnd": "2026-11-03T10:00:00Z",
    }  # fmt: skip
    assert {name: answer.text(f"//t:MeetingResponse/t:{name}") for name in told} == told
    attendee = (await anna.get(item[0])).ok().one("//t:RequiredAttendees/t:Attendee")
    assert attendee.findtext("{*}ProposedStart") == "2026-11-03T09:00:00Z"


async def test_the_list_of_messages_has_their_times(world, anna, boris):
    await made(anna, meeting("u1", more=people("Resources", ()) + "<t:Location>Room 1</t:Location>"), "SendOnlyToAll")
    await world.settled()
    found = (await boris.find("inbox", "Default")).ok()
    assert (found.text("//t:MeetingRequest/t:Start"), found.text("//t:MeetingRequest/t:Location")) == (START, "Room 1")
    only = '<t:AdditionalProperties><t:FieldURI FieldURI="meeting:ResponseType"/></t:AdditionalProperties>'
    one = (await boris.get(found.ids()[0][0], shape="IdOnly", extra=only)).ok()
    assert one.text("//t:MeetingRequest/t:ResponseType") == "NoResponseReceived"
