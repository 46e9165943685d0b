"""Series by their ids: occurrences, masters, ranges; reminders, icons and other times (MS-OXWSCORE 2.2.4.26, 2.2.4.35)."""

from __future__ import annotations

import pytest
from ews_kinds import MEETING, TASK, creating, deleting, get, getting, item, make, path, setting, updating

DAILY = (
    "<t:Recurrence><t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence><t:NumberedRecurrence>"
    "<t:StartDate>2026-11-02</t:StartDate><t:NumberOfOccurrences>5</t:NumberOfOccurrences></t:NumberedRecurrence>"
    "</t:Recurrence>"
)
SERIES = (
    "<t:Subject>daily</t:Subject><t:Start>2026-11-02T09:00:00Z</t:Start><t:End>2026-11-02T09:30:00Z</t:End>"
    f'{DAILY}<t:StartTimeZone Id="UTC"/>'
)


def range_of(**attributes: object) -> str:
    written = " ".join(
        f'{name}="{str(value).lower() if isinstance(value, bool) else value}"' for name, value in attributes.items()
    )
    return f"<t:Range {written}/>"


def ranges(series: tuple[str, str], *inner: str) -> str:
    id_, key = series
    return (
        f'<t:RecurringMasterItemIdRanges Id="{id_}" ChangeKey="{key}"><t:Ranges>{"".join(inner)}</t:Ranges>'
        "</t:RecurringMasterItemIdRanges>"
    )


async def occurrences(client, series: str) -> list[str]:
    """Ids of the first and the last."""
    reply = (await get(client, series)).ok()
    return [reply.one(f"//t:{name}Occurrence/t:ItemId").get("Id") for name in ("First", "Last")]


@pytest.mark.conformance("MSOXWSCORE_S05_TC17_GetMeetingItemWithFourItemIdTypesSuccessfully")
async def test_an_occurrence_and_its_master(anna):
    series, key = await make(anna, MEETING, SERIES)
    first, _ = await occurrences(anna, series)
    one = f'<t:OccurrenceItemId RecurringMasterId="{series}" ChangeKey="{key}" InstanceIndex="1"/>'
    reply = (await anna.ask(getting(one))).ok()
    assert (reply.ids()[0][0], reply.text("//t:CalendarItemType")) == (first, "Occurrence")
    master = f'<t:RecurringMasterItemId OccurrenceId="{first}" ChangeKey="{key}"/>'
    reply = (await anna.ask(getting(master))).ok()
    assert (reply.ids()[0][0], reply.text("//t:CalendarItemType")) == (series, "RecurringMaster")
    reply = (await anna.ask(getting(ranges((series, key), range_of(Count=2))))).ok()
    assert reply.texts("//m:Items/t:CalendarItem/t:CalendarItemType") == ["RecurringMaster", "Occurrence", "Occurrence"]
    reply = (await anna.ask(getting(ranges((series, key))))).ok()
    assert reply.texts("//m:Items/t:CalendarItem/t:CalendarItemType") == ["RecurringMaster"]


@pytest.mark.conformance("MSOXWSCORE_S05_TC18_DeleteMeetingItemWithThreeItemIdTypesSuccessfully")
@pytest.mark.parametrize("by", ["ItemId", "RecurringMasterItemId", "OccurrenceItemId"])
async def test_a_series_deleted_by_each_kind_of_id(anna, by):
    series, key = await make(anna, MEETING, SERIES)
    first, last = await occurrences(anna, series)
    named = {
        "ItemId": f'<t:ItemId Id="{series}"/>',
        "RecurringMasterItemId": f'<t:RecurringMasterItemId OccurrenceId="{last}"/>',
        "OccurrenceItemId": f'<t:OccurrenceItemId RecurringMasterId="{series}" ChangeKey="{key}" InstanceIndex="1"/>',
    }[by]
    (await anna.ask(deleting("x").replace('<t:ItemId Id="x"/>', named))).ok()
    reply = await get(anna, series)
    if by != "OccurrenceItemId":
        assert reply.codes == ["ErrorItemNotFound"]
        return
    assert len(reply.ok().all("//t:DeletedOccurrences/t:DeletedOccurrence")) == 1
    assert (await get(anna, first)).codes == ["ErrorCalendarOccurrenceIsDeletedFromRecurrence"]


@pytest.mark.conformance("MSOXWSCORE_S05_TC22_VerifyCompareOriginalStartTime")
async def test_ranges_by_where_occurrences_are_and_were(anna):
    """The master comes first, then what begins in the range."""
    series = await make(anna, MEETING, SERIES)
    first, _ = await occurrences(anna, series[0])
    one = (await get(anna, first, shape="IdOnly")).ok().ids()[0]
    later = setting(MEETING, "calendar:Start", "<t:Start>2026-11-02T09:20:00Z</t:Start>")
    (await anna.ask(updating((one, later)))).ok()
    window = {"Start": "2026-11-02T09:10:00Z", "End": "2026-11-07T09:00:00Z", "Count": 5}
    for original, days in ((True, [3, 4, 5, 6]), (False, [2, 3, 4, 5, 6])):
        asked = getting(ranges(series, range_of(**window, CompareOriginalStartTime=original)))
        reply = (await anna.ask(asked)).ok()
        assert reply.texts("//t:CalendarItem/t:CalendarItemType")[0] == "RecurringMaster"
        assert [int(at[8:10]) for at in reply.texts("//t:CalendarItem/t:Start")[1:]] == days


async def test_ranges_that_are_none(anna):
    series = await make(anna, MEETING, SERIES)
    for wrong in (
        range_of(Start="yesterday"),
        range_of(End="2026-13-01T00:00:00Z"),
        range_of(Count="-1"),
        range_of(CompareOriginalStartTime="perhaps"),
    ):
        assert (await anna.ask(getting(ranges(series, wrong)))).codes == ["ErrorSchemaValidation"], wrong


async def test_ranges_have_an_end(anna):
    """A series without end is told as far as an answer goes."""
    endless = SERIES.replace("NumberedRecurrence", "NoEndRecurrence").replace(
        "<t:NumberOfOccurrences>5</t:NumberOfOccurrences>", ""
    )
    series = await make(anna, MEETING, endless)
    reply = (await anna.ask(getting(ranges(series, range_of(Start="9000-01-01T00:00:00Z", Count=3)), "IdOnly"))).ok()
    assert len(reply.all("//t:CalendarItem")) == 4
    assert (await anna.ask(getting(ranges(series, range_of()), "IdOnly"))).codes == ["ErrorExceededFindCountLimit"]


@pytest.mark.conformance(
    "MSOXWSCORE_S07_TC16_GetTaskItemWithTwoItemIdTypesSuccessfully",
    "MSOXWSCORE_S07_TC17_GetTaskItemWithIconIndexSuccessfully",
)
async def test_a_task_that_recurs(anna):
    task = await make(anna, TASK, f"<t:Subject>water</t:Subject>{DAILY}")
    reply = (await get(anna, task[0], paths=path("item:IconIndex"))).ok()
    assert reply.text("//t:IconIndex") == "TaskRecur" and reply.text("//t:IsRecurring") == "true"
    whole = range_of(Start="2026-11-02T00:00:00Z", End="2026-11-07T00:00:00Z", CompareOriginalStartTime=True)
    assert (await anna.ask(getting(ranges(task, whole)))).ok().ids()[0][0] == task[0]
    single = await make(anna, TASK, "<t:Subject>once</t:Subject>")
    assert (await get(anna, single[0], paths=path("item:IconIndex"))).ok().text("//t:IconIndex") == "TaskItem"


@pytest.mark.conformance("MSOXWSCORE_S05_TC19_VerifyItemWithReminderIsSet")
async def test_with_a_reminder_and_without(anna):
    both = "".join(item(MEETING, f"<t:ReminderIsSet>{one}</t:ReminderIsSet>") for one in ("true", "false"))
    made = (await anna.ask(creating(both))).ok().ids()
    reply = (await get(anna, *(one for one, _ in made))).ok()
    assert reply.texts("//t:CalendarItem/t:ReminderIsSet") == ["true", "false"]


@pytest.mark.conformance("MSOXWSCORE_S05_TC21_ResponseObjectsProposeNewTime")
async def test_another_time_can_be_proposed(world, anna, boris):
    """Since Exchange 2013 SP1."""
    who = (
        "<t:Subject>plan</t:Subject><t:RequiredAttendees><t:Attendee><t:Mailbox><t:EmailAddress>boris@example.org"
        "</t:EmailAddress></t:Mailbox></t:Attendee></t:RequiredAttendees>"
    )
    await make(anna, MEETING, who)
    await world.settled()
    ((request, _),) = (await boris.find("inbox")).ok().ids()
    for version, there in (("Exchange2013_SP1", True), ("Exchange2010", False)):
        boris.version = version
        reply = (await get(boris, request)).ok()
        offered = [one.tag.rpartition("}")[2] for one in reply.all("//t:MeetingRequest/t:ResponseObjects/*")]
        assert ("ProposeNewTime" in offered) is there and offered[:3] == [
            "AcceptItem", "TentativelyAcceptItem", "DeclineItem"
        ]  # fmt: skip
