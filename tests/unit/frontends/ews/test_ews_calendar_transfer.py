"""Calendar items and meeting messages copied, moved, and several at once; ids that are not what they are said to be."""

from __future__ import annotations

import pytest
from ews_meetings import (
    DAILY,
    END,
    START,
    entries,
    entry,
    get,
    item,
    master,
    meeting,
    message,
    messages,
    occurrence,
    of,
    recurrence,
    response,
    transfer,
)
from test_ews_calendar import create, delete, made
from test_ews_people import set_, update

OFF = ' SendMeetingCancellations="SendOnlyToAll"'
SERIES = meeting("s1", required=(), more=recurrence(DAILY))


@pytest.mark.parametrize(
    ("operation", "folder", "stays"),
    [
        pytest.param(
            "CopyItem", "drafts", True, marks=pytest.mark.conformance("MSOXWSMTGS_S03_TC01_CopySingleCalendar")
        ),
        pytest.param(
            "MoveItem", "inbox", False, marks=pytest.mark.conformance("MSOXWSMTGS_S04_TC01_MoveSingleCalendar")
        ),
    ],
)
async def test_an_appointment_goes_to_another_folder(anna, operation, folder, stays):
    one = await made(anna, meeting("u1", required=()))
    (await anna.ask(transfer(operation, folder, item(one[0])))).ok()
    assert (await entry(anna, "u1", folder)).text("//t:ItemClass") == "IPM.Appointment"
    assert len(await entries(anna, "u1")) == stays


@pytest.mark.parametrize(
    ("operation", "folder", "stays"),
    [
        pytest.param(
            "CopyItem", "drafts", True, marks=pytest.mark.conformance("MSOXWSMTGS_S03_TC03_CopyRecurringCalendar")
        ),
        pytest.param(
            "MoveItem", "inbox", False, marks=pytest.mark.conformance("MSOXWSMTGS_S04_TC03_MoveRecurringCalendar")
        ),
    ],
)
async def test_a_series_goes_by_the_id_of_an_occurrence(anna, operation, folder, stays):
    one = await made(anna, SERIES)
    third = of((await anna.ask(get(occurrence(one[0], 3)))).ok())
    (await anna.ask(transfer(operation, folder, master(third)))).ok()
    there = await entry(anna, "s1", folder)
    assert there.text("//t:CalendarItemType") == "RecurringMaster"
    assert there.text("//t:NumberedRecurrence/t:NumberOfOccurrences") == "4"
    assert len(await entries(anna, "s1")) == stays


@pytest.mark.conformance("MSOXWSMTGS_S03_TC02_CopySingleMeetingItem")
async def test_copies_of_a_meeting_and_of_its_messages(world, anna, boris):
    one = await made(anna, meeting("u1", optional=("anna",)), "SendOnlyToAll")
    (await anna.ask(transfer("CopyItem", "drafts", item(one[0])))).ok()
    assert (await entry(anna, "u1", "drafts")).text("//t:IsMeeting") == "true"
    await world.settled()
    request = of(await message(boris, "MeetingRequest"))
    (await boris.ask(transfer("CopyItem", "drafts", item(request)))).ok()
    assert (await message(boris, "MeetingRequest", "drafts")).text("//t:UID") == "u1"
    (await boris.ask(response("AcceptItem", request))).ok()
    await world.settled()
    answer = of(await message(anna, "MeetingResponse"))
    (await anna.ask(transfer("CopyItem", "drafts", item(answer)))).ok()
    assert (await message(anna, "MeetingResponse", "drafts")).text("//t:ResponseType") == "Accept"
    (await anna.ask(delete(one[0], OFF))).ok()
    await world.settled()
    off = of(await message(boris, "MeetingCancellation"))
    (await boris.ask(transfer("CopyItem", "drafts", item(off)))).ok()
    assert (await message(boris, "MeetingCancellation", "drafts")).text("//t:UID") == "u1"
    assert len(await messages(boris, "MeetingCancellation")) == 1


@pytest.mark.conformance("MSOXWSMTGS_S04_TC02_MoveMeeting")
async def test_a_meeting_and_its_messages_work_where_they_were_moved(world, anna, boris):
    one = await made(anna, meeting("u1", optional=("anna",)), "SendOnlyToAll")
    moved = (await anna.ask(transfer("MoveItem", "inbox", item(one[0])))).ok().ids()[0][0]
    assert of(await entry(anna, "u1", "inbox")) == moved
    await world.settled()
    request = of(await message(boris, "MeetingRequest"))
    (await boris.ask(transfer("MoveItem", "calendar", item(request)))).ok()
    there = await message(boris, "MeetingRequest", "calendar")
    assert not await messages(boris, "MeetingRequest")
    (await boris.ask(response("AcceptItem", of(there)))).ok()
    assert (await entry(boris, "u1")).text("//t:MyResponseType") == "Accept"
    await world.settled()
    answer = of(await message(anna, "MeetingResponse"))
    (await anna.ask(transfer("MoveItem", "calendar", item(answer)))).ok()
    assert (await message(anna, "MeetingResponse", "calendar")).text("//t:UID") == "u1"
    (await anna.ask(delete(moved, OFF))).ok()
    await world.settled()
    off = of(await message(boris, "MeetingCancellation"))
    (await boris.ask(transfer("MoveItem", "calendar", item(off)))).ok()
    off = of(await message(boris, "MeetingCancellation", "calendar"))
    (await boris.ask(response("RemoveItem", off, disposition="SaveOnly"))).ok()
    assert not await entries(boris, "u1")


@pytest.mark.conformance("MSOXWSMTGS_S03_TC04_CopyItemErrorCalendarCannotMoveOrCopyOccurrence")
async def test_an_occurrence_is_not_copied(anna):
    one = await made(anna, SERIES)
    reply = await anna.ask(transfer("CopyItem", "drafts", occurrence(one[0], 2)))
    assert reply.codes == ["ErrorCalendarCannotMoveOrCopyOccurrence"]


NO_MASTER = "ErrorCalendarCannotUseIdForRecurringMasterId"
NO_OCCURRENCE = "ErrorCalendarCannotUseIdForOccurrenceId"


@pytest.mark.conformance(
    "MSOXWSMTGS_S01_TC25_CreateItemErrorCalendarCannotUseIdForRecurringMasterId",
    "MSOXWSMTGS_S01_TC30_GetItemErrorCalendarCannotUseIdForOccurrenceId",
    "MSOXWSMTGS_S01_TC31_DeleteItemErrorCalendarCannotUseIdForOccurrenceId",
    "MSOXWSMTGS_S03_TC05_CopyItemErrorCalendarCannotUseIdForRecurringMasterId",
    "MSOXWSMTGS_S04_TC05_MoveItemErrorCalendarCannotUseIdForOccurrenceId",
)
async def test_ids_of_the_other_kind(anna):
    """MS-OXWSMTGS 3.1.4: which of the two ids it is that does not say what it should."""
    single = (await made(anna, meeting("u1", required=())))[0]
    series = (await made(anna, SERIES))[0]
    second = of((await anna.ask(get(occurrence(series, 2)))).ok())
    delete_ = '<m:DeleteItem DeleteType="HardDelete" SendMeetingCancellations="SendToNone"><m:ItemIds>{}</m:ItemIds></m:DeleteItem>'
    for no_series in (single, second):
        wrong = occurrence(no_series, 1)
        for request in (get(wrong), delete_.format(wrong), transfer("CopyItem", "drafts", wrong)):
            assert (await anna.ask(request)).codes == [NO_MASTER]
    for no_occurrence in (single, series):
        wrong = master(no_occurrence)
        for request in (get(wrong), delete_.format(wrong), transfer("MoveItem", "inbox", wrong)):
            assert (await anna.ask(request)).codes == [NO_OCCURRENCE]
    assert len((await anna.find("calendar")).ok().ids()) == 2


async def several(anna) -> list[str]:
    both = create(meeting("u1", required=())).replace(
        "</m:Items>", f"<t:CalendarItem>{meeting('u2', required=())}</t:CalendarItem></m:Items>"
    )
    return [each for each, _ in (await anna.ask(both)).ok().ids()]


@pytest.mark.conformance("MSOXWSMTGS_S05_TC01_GetMultipleCalendarItems")
async def test_several_are_got_and_deleted(anna):
    ids = await several(anna)
    got = (await anna.ask(get(*map(item, ids)))).ok()
    assert got.texts("//t:CalendarItem/t:UID") == ["u1", "u2"]
    gone = (
        '<m:DeleteItem DeleteType="HardDelete" SendMeetingCancellations="SendToNone">'
        f"<m:ItemIds>{''.join(map(item, ids))}</m:ItemIds></m:DeleteItem>"
    )
    assert (await anna.ask(gone)).ok().codes == ["NoError", "NoError"]
    assert not (await anna.find("calendar")).ok().ids()


@pytest.mark.conformance("MSOXWSMTGS_S05_TC02_UpdateMultipleCalendarItems")
async def test_several_are_changed(anna):
    ids = await several(anna)
    place = set_("CalendarItem", "calendar:Location", "<t:Location>Hall</t:Location>")
    changes = "".join(f"<t:ItemChange>{item(each)}<t:Updates>{place}</t:Updates></t:ItemChange>" for each in ids)
    request = (
        '<m:UpdateItem ConflictResolution="AlwaysOverwrite" SendMeetingInvitationsOrCancellations="SendToNone">'
        f"<m:ItemChanges>{changes}</m:ItemChanges></m:UpdateItem>"
    )
    assert (await anna.ask(request)).ok().codes == ["NoError", "NoError"]
    assert (await anna.ask(get(*map(item, ids)))).ok().texts("//t:CalendarItem/t:Location") == ["Hall", "Hall"]


@pytest.mark.parametrize(
    ("operation", "folder", "stay"),
    [
        pytest.param(
            "CopyItem", "drafts", 2, marks=pytest.mark.conformance("MSOXWSMTGS_S05_TC03_CopyMultipleCalendarItems")
        ),
        pytest.param(
            "MoveItem", "inbox", 0, marks=pytest.mark.conformance("MSOXWSMTGS_S05_TC04_MoveMultipleCalendarItems")
        ),
    ],
)
async def test_several_go_to_another_folder(anna, operation, folder, stay):
    ids = await several(anna)
    (await anna.ask(transfer(operation, folder, *map(item, ids)))).ok()
    there = (await anna.find(folder, "AllProperties")).ok()
    assert sorted(there.texts("//t:CalendarItem/t:UID")) == ["u1", "u2"]
    assert len((await anna.find("calendar")).ok().ids()) == stay


WEEKLY = (
    "<t:WeeklyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>{}</t:DaysOfWeek>"
    "<t:FirstDayOfWeek>Sunday</t:FirstDayOfWeek></t:WeeklyRecurrence>"
)


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        pytest.param(
            meeting("u1", end="2032-11-02T09:00:00Z"), "ErrorCalendarDurationIsTooLong",
            marks=pytest.mark.conformance("MSOXWSMTGS_S01_TC18_CreateItemErrorCalendarDurationIsTooLong"),
        ),
        pytest.param(
            meeting("u1", start=END, end=START), "ErrorCalendarEndDateIsEarlierThanStartDate",
            marks=pytest.mark.conformance("MSOXWSMTGS_S01_TC19_CreateItemErrorCalendarEndDateIsEarlierThanStartDate"),
        ),
        pytest.param(
            meeting("u1", more=recurrence(WEEKLY.format("Weekday"))), "ErrorCalendarInvalidDayForWeeklyRecurrence",
            marks=pytest.mark.conformance("MSOXWSMTGS_S01_TC20_CreateItemErrorCalendarInvalidDayForWeeklyRecurrence"),
        ),
        (meeting("u1", more=recurrence(WEEKLY.format("Random"))), "ErrorCalendarInvalidDayForWeeklyRecurrence"),
        pytest.param(
            meeting("u1", more="<t:IsOnlineMeeting>false</t:IsOnlineMeeting>"), "ErrorInvalidPropertySet",
            marks=pytest.mark.conformance("MSOXWSMTGS_S01_TC24_IsOnlineMeetingIsReadOnly"),
        ),
    ],
)  # fmt: skip
async def test_what_is_not_made_into_a_meeting(anna, inner, code):
    assert (await anna.ask(create(inner))).codes == [code]
    assert not (await anna.find("calendar")).ok().ids()


@pytest.mark.parametrize(
    ("end", "code"),
    [
        pytest.param(
            "2032-11-02T09:00:00Z", "ErrorCalendarDurationIsTooLong",
            marks=pytest.mark.conformance("MSOXWSMTGS_S02_TC12_UpdateItemErrorCalendarDurationIsTooLong"),
        ),
        pytest.param(
            "2026-11-02T08:00:00Z", "ErrorCalendarEndDateIsEarlierThanStartDate",
            marks=pytest.mark.conformance("MSOXWSMTGS_S02_TC13_UpdateMeetingErrorCalendarEndDateIsEarlierThanStartDate"),
        ),
    ],
)  # fmt: skip
async def test_what_a_meeting_is_not_changed_to(anna, end, code):
    one = await made(anna, meeting("u1"))
    change = set_("CalendarItem", "calendar:End", f"<t:End>{end}</t:End>")
    reply = await anna.ask(update(one, change, more=' SendMeetingInvitationsOrCancellations="SendToNone"'))
    assert reply.codes == [code]
    assert (await anna.get(one[0])).ok().text("//t:CalendarItem/t:End") == END


@pytest.mark.conformance("MSOXWSMTGS_S02_TC11_UpdateItemErrorMessageDispositionRequired")
async def test_a_message_says_what_is_to_become_of_it(anna):
    make = (
        '<m:CreateItem{}><m:SavedItemFolderId><t:DistinguishedFolderId Id="drafts"/></m:SavedItemFolderId><m:Items>'
        "<t:Message><t:Subject>x</t:Subject></t:Message></m:Items></m:CreateItem>"
    )
    assert (await anna.ask(make.format(""))).codes == ["ErrorMessageDispositionRequired"]
    one = (await anna.ask(make.format(' MessageDisposition="SaveOnly"'))).ok().ids()[0]
    change = set_("Message", "item:Subject", "<t:Subject>y</t:Subject>")
    unsaid = update(one, change).replace(' MessageDisposition="SaveOnly"', "")
    assert (await anna.ask(unsaid)).codes == ["ErrorMessageDispositionRequired"]
    assert (await anna.get(one[0])).ok().text("//t:Subject") == "x"
    (await anna.ask(update(one, change))).ok()


async def test_an_item_without_times_is_in_the_next_half_hour(anna, world):
    one = (await anna.get((await made(anna, "<t:Subject>Soon</t:Subject>"))[0])).ok()
    now = world.parts.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    assert one.text("//t:CalendarItem/t:Start") >= now[:13]
    assert one.text("//t:CalendarItem/t:Start")[14:] in ("00:00Z", "30:00Z")
    assert one.text("//t:CalendarItem/t:Duration") == "PT30M"
    later = (await anna.get((await made(anna, f"<t:Start>{START}</t:Start>"))[0])).ok()
    assert later.text("//t:CalendarItem/t:End") == "2026-11-02T09:30:00Z"
