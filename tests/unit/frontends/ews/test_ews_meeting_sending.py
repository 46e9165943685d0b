"""Whom a new, changed or deleted meeting is told to, and where copies are kept (MS-OXWSMTGS 2.2.5.1, 2.2.5.7)."""

from __future__ import annotations

import pytest
from ews_meetings import entries, entry, key, meeting, message, messages, of, people, response
from test_ews_calendar import delete, made
from test_ews_people import set_, update


def moved(place: str) -> str:
    return set_("CalendarItem", "calendar:Location", f"<t:Location>{place}</t:Location>")


def said(mode: str) -> str:
    return f' SendMeetingInvitationsOrCancellations="{mode}"'


@pytest.mark.parametrize(
    ("mode", "sent", "kept"),
    [
        pytest.param(
            "SendOnlyToAll", True, False,
            marks=pytest.mark.conformance("MSOXWSMTGS_S01_TC05_CreateAndDeleteCalendarItemWithSendOnlyToAll"),
        ),
        pytest.param(
            "SendToAllAndSaveCopy", True, True,
            marks=pytest.mark.conformance("MSOXWSMTGS_S01_TC06_CreateAndDeleteCalendarItemWithSendToAllAndSaveCopy"),
        ),
        pytest.param(
            "SendToNone", False, False,
            marks=pytest.mark.conformance("MSOXWSMTGS_S01_TC07_CreateAndDeleteCalendarItemWithSendToNone"),
        ),
    ],
)  # fmt: skip
async def test_who_is_told_of_a_new_and_of_a_deleted_meeting(world, anna, boris, mode, sent, kept):
    item = await made(anna, meeting("u1", optional=("anna",)), mode)
    await world.settled()
    assert len(await entries(anna, "u1")) == 1
    assert bool(await messages(anna, "MeetingRequest", "sentitems")) is kept
    assert bool(await messages(boris, "MeetingRequest")) is sent
    assert bool(await entries(boris, "u1")) is sent
    (await anna.ask(delete(item[0], f' SendMeetingCancellations="{mode}"'))).ok()
    await world.settled()
    assert not await entries(anna, "u1")
    assert bool(await messages(anna, "MeetingCancellation", "sentitems")) is kept
    assert bool(await messages(boris, "MeetingCancellation")) is sent


@pytest.mark.parametrize(
    ("mode", "sent", "kept"),
    [
        pytest.param(
            "SendOnlyToAll", True, False,
            marks=pytest.mark.conformance("MSOXWSMTGS_S02_TC04_UpdateMeetingWithSendOnlyToAll"),
        ),
        pytest.param(
            "SendToAllAndSaveCopy", True, True,
            marks=pytest.mark.conformance("MSOXWSMTGS_S02_TC05_UpdateMeetingWithSendToAllAndSaveCopy"),
        ),
        pytest.param(
            "SendToNone", False, False,
            marks=pytest.mark.conformance("MSOXWSMTGS_S02_TC06_UpdateMeetingWithSendToNone"),
        ),
    ],
)  # fmt: skip
async def test_who_is_told_of_a_change(world, anna, boris, mode, sent, kept):
    item = await made(anna, meeting("u1", optional=("anna",)))
    (await anna.ask(update(item, moved("Hall"), more=said(mode)))).ok()
    await world.settled()
    assert (await anna.get(item[0])).ok().text("//t:CalendarItem/t:Location") == "Hall"
    told = [one.text("//t:MeetingRequest/t:Location") for one in await messages(boris, "MeetingRequest")]
    assert told == (["Hall"] if sent else [])
    copies = [one.text("//t:MeetingRequest/t:Location") for one in await messages(anna, "MeetingRequest", "sentitems")]
    assert copies == (["Hall"] if kept else [])


@pytest.mark.parametrize(
    ("mode", "kept"),
    [
        pytest.param(
            "SendOnlyToChanged", False,
            marks=pytest.mark.conformance("MSOXWSMTGS_S02_TC07_UpdateMeetingWithSendOnlyToChanged"),
        ),
        pytest.param(
            "SendToChangedAndSaveCopy", True,
            marks=pytest.mark.conformance("MSOXWSMTGS_S02_TC08_UpdateMeetingWithSendToChangedAndSaveCopy"),
        ),
    ],
)  # fmt: skip
async def test_only_who_is_added_or_removed_is_told(world, anna, boris, mode, kept):
    chen = world.client("chen")
    item = await made(anna, meeting("u1", required=("chen",)), "SendOnlyToAll")
    await world.settled()
    both = set_("CalendarItem", "calendar:RequiredAttendees", people("RequiredAttendees", ("chen", "boris")))
    done = (await anna.ask(update(item, both, more=said(mode)))).ok()
    await world.settled()
    named = (await anna.get(item[0])).ok().texts("//t:RequiredAttendees//t:EmailAddress")
    assert named == ["chen@example.org", "boris@example.org"]
    assert (await message(boris, "MeetingRequest")).text("//t:UID") == "u1"
    assert len(await messages(chen, "MeetingRequest")) == 1
    assert len(await messages(anna, "MeetingRequest", "sentitems")) == kept
    one = set_("CalendarItem", "calendar:RequiredAttendees", people("RequiredAttendees", ("boris",)))
    (await anna.ask(update(done.ids()[0], one, more=said(mode)))).ok()
    await world.settled()
    assert (await message(chen, "MeetingCancellation")).text("//t:UID") == "u1"
    assert len(await messages(boris, "MeetingRequest")) == 1


@pytest.mark.conformance("MSOXWSMTGS_S02_TC01_UpdateSingleCalendarItem")
async def test_an_item_becomes_a_meeting_that_is_called_off(world, anna, boris):
    elsewhere = "<t:LegacyFreeBusyStatus>WorkingElsewhere</t:LegacyFreeBusyStatus>"
    item = await made(anna, meeting("u1", more=elsewhere))
    got = (await anna.get(item[0])).ok()
    assert got.text("//t:CalendarItem/t:LegacyFreeBusyStatus") == "WorkingElsewhere"
    assert got.one("//t:StartTimeZone").get("Id") == got.one("//t:EndTimeZone").get("Id") == "UTC"
    done = (await anna.ask(update(item, moved("Hall"), more=said("SendOnlyToAll")))).ok()
    await world.settled()
    request = await message(boris, "MeetingRequest")
    told = {"IntendedFreeBusyStatus": "WorkingElsewhere", "IsOrganizer": "false", "StartTimeZoneId": "UTC",
            "EndTimeZoneId": "UTC", "Location": "Hall"}  # fmt: skip
    assert {name: request.text(f"//t:MeetingRequest/t:{name}") for name in told} == told
    assert request.all("//t:StartTimeZone") and request.all("//t:EndTimeZone")
    (await anna.ask(response("CancelCalendarItem", done.ids()[0][0]))).ok()
    await world.settled()
    mine = await entry(boris, "u1")
    assert (mine.text("//t:AppointmentState"), mine.text("//t:IsCancelled")) == ("7", "true")


@pytest.mark.conformance("MSOXWSMTGS_S02_TC02_UpdateSingleMeeting")
async def test_the_invitation_says_what_was_changed_before_it(world, anna, boris):
    item = await made(anna, meeting("u1", optional=("anna",), more="<t:Location>Room</t:Location>"))
    (await anna.ask(update(item, moved("Hall"), more=said("SendOnlyToAll")))).ok()
    await world.settled()
    assert (await message(boris, "MeetingRequest")).text("//t:MeetingRequest/t:Location") == "Hall"
    assert (await entry(boris, "u1")).text("//t:CalendarItem/t:Location") == "Hall"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(
            "", "FullUpdate", marks=pytest.mark.conformance("MSOXWSMTGS_S02_TC09_MeetingRequestTypeFullUpdate")
        ),
        pytest.param(
            "AcceptItem", "InformationalUpdate",
            marks=pytest.mark.conformance("MSOXWSMTGS_S02_TC10_MeetingRequestTypeInformationalUpdate"),
        ),
        ("TentativelyAcceptItem", "InformationalUpdate"),
    ],
)  # fmt: skip
async def test_an_update_asks_who_has_not_answered(world, anna, boris, answer, kind):
    await made(anna, meeting("u1", more="<t:Location>Room</t:Location>"), "SendOnlyToAll")
    await world.settled()
    first = await message(boris, "MeetingRequest")
    assert first.text("//t:MeetingRequestType") == "NewMeetingRequest"
    if answer:
        (await boris.ask(response(answer, of(first)))).ok()
        await world.settled()
    (await anna.ask(update(key(await entry(anna, "u1")), moved("Hall"), more=said("SendOnlyToAll")))).ok()
    await world.settled()
    second = await message(boris, "MeetingRequest")
    assert second.text("//t:MeetingRequest/t:Location") == "Hall"
    assert second.text("//t:MeetingRequestType") == kind
    later = set_("CalendarItem", "calendar:End", "<t:End>2026-11-02T12:00:00Z</t:End>")
    (await anna.ask(update(key(await entry(anna, "u1")), later, more=said("SendOnlyToAll")))).ok()
    await world.settled()
    third = await message(boris, "MeetingRequest")
    assert third.text("//t:MeetingRequestType") == "FullUpdate"
    assert (await boris.get(of(second))).ok().text("//t:IsOutOfDate") == "true"
    assert third.text("//t:IsOutOfDate") == "false"
