"""Tasks: every pattern they recur by, their states, copies and several at once (MS-OXWSTASK 2.2.4, 3.1.4)."""

from __future__ import annotations

import pytest
from ews_meetings import item, transfer
from test_ews_people import create, made, set_, update

TIMES = (
    "<t:NumberedRecurrence><t:StartDate>2026-11-02</t:StartDate><t:NumberOfOccurrences>5</t:NumberOfOccurrences>"
    "</t:NumberedRecurrence>"
)
_INTERVAL = "<t:Interval>2</t:Interval>"
PATTERNS = [
    pytest.param(
        f"<t:MonthlyRegeneration>{_INTERVAL}</t:MonthlyRegeneration>",
        marks=pytest.mark.conformance("MSOXWSTASK_S01_TC03_VerifyMonthlyRegeneratingPatternType"),
    ),
    pytest.param(
        f"<t:WeeklyRegeneration>{_INTERVAL}</t:WeeklyRegeneration>",
        marks=pytest.mark.conformance("MSOXWSTASK_S01_TC04_VerifyWeeklyRegeneratingPatternType"),
    ),
    pytest.param(
        f"<t:YearlyRegeneration>{_INTERVAL}</t:YearlyRegeneration>",
        marks=pytest.mark.conformance("MSOXWSTASK_S01_TC05_VerifyYearlyRegeneratingPatternType"),
    ),
    pytest.param(
        "<t:RelativeYearlyRecurrence><t:DaysOfWeek>Weekday</t:DaysOfWeek><t:DayOfWeekIndex>Last</t:DayOfWeekIndex>"
        "<t:Month>March</t:Month></t:RelativeYearlyRecurrence>",
        marks=pytest.mark.conformance("MSOXWSTASK_S01_TC06_VerifyRelativeYearlyRecurrencePatternType"),
    ),
    pytest.param(
        "<t:AbsoluteYearlyRecurrence><t:DayOfMonth>8</t:DayOfMonth><t:Month>March</t:Month></t:AbsoluteYearlyRecurrence>",
        marks=pytest.mark.conformance("MSOXWSTASK_S01_TC07_VerifyAbsoluteYearlyRecurrencePatternType"),
    ),
    pytest.param(
        f"<t:RelativeMonthlyRecurrence>{_INTERVAL}<t:DaysOfWeek>Friday</t:DaysOfWeek>"
        "<t:DayOfWeekIndex>Second</t:DayOfWeekIndex></t:RelativeMonthlyRecurrence>",
        marks=pytest.mark.conformance("MSOXWSTASK_S01_TC08_VerifyRelativeMonthlyRecurrencePatternType"),
    ),
    pytest.param(
        f"<t:AbsoluteMonthlyRecurrence>{_INTERVAL}<t:DayOfMonth>8</t:DayOfMonth></t:AbsoluteMonthlyRecurrence>",
        marks=pytest.mark.conformance("MSOXWSTASK_S01_TC09_VerifyAbsoluteMonthlyRecurrencePatternType"),
    ),
    pytest.param(
        f"<t:WeeklyRecurrence>{_INTERVAL}<t:DaysOfWeek>Tuesday Friday</t:DaysOfWeek>"
        "<t:FirstDayOfWeek>Monday</t:FirstDayOfWeek></t:WeeklyRecurrence>",
        marks=pytest.mark.conformance("MSOXWSTASK_S01_TC10_VerifyWeeklyRecurrencePatternType"),
    ),
]


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_a_pattern_comes_back_and_moves_on(anna, pattern):
    due = "<t:DueDate>2026-11-02T00:00:00Z</t:DueDate>"
    inner = f"<t:Subject>Water</t:Subject>{due}<t:Recurrence>{pattern}{TIMES}</t:Recurrence>"
    one = await made(anna, "Task", inner)
    got = (await anna.get(one[0])).ok()
    assert pattern in got.raw.decode() and TIMES in got.raw.decode()
    assert got.text("//t:IsRecurring") == "true"
    done = set_("Task", "task:Status", "<t:Status>Completed</t:Status>")
    (await anna.ask(update(one, done))).ok()
    got = (await anna.get(one[0])).ok()
    assert got.text("//t:Status") == "NotStarted"
    assert got.text("//t:DueDate") > "2026-11-02T00:00:00Z"
    assert pattern in got.raw.decode()
    assert got.text("//t:NumberedRecurrence/t:NumberOfOccurrences") == "4"
    delete = f'<m:DeleteItem DeleteType="HardDelete" AffectedTaskOccurrences="AllOccurrences"><m:ItemIds>{item(one[0])}'
    (await anna.ask(f"{delete}</m:ItemIds></m:DeleteItem>")).ok()
    assert (await anna.get(one[0])).codes == ["ErrorItemNotFound"]


@pytest.mark.conformance("MSOXWSTASK_S01_TC11_VerifyTaskDelegateStateType")
async def test_a_task_of_ones_own_is_delegated_to_nobody(anna):
    one = (await anna.get((await made(anna, "Task", "<t:Subject>x</t:Subject>"))[0])).ok()
    assert one.text("//t:DelegationState") == "NoMatch"
    assert one.text("//t:Owner") == "Anna"
    refused = await anna.ask(create("Task", "<t:DelegationState>Accepted</t:DelegationState>"))
    assert refused.codes == ["ErrorInvalidPropertySet"]


@pytest.mark.conformance("MSOXWSTASK_S01_TC12_VerifyTaskStatusType")
@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("NotStarted", "Not Started"),
        ("InProgress", "In Progress"),
        ("Completed", "Completed"),
        ("WaitingOnOthers", "Waiting on someone else"),
        ("Deferred", "Deferred"),
    ],
)
async def test_a_status_comes_back(anna, status, said):
    one = await made(anna, "Task", f"<t:Subject>x</t:Subject><t:Status>{status}</t:Status>")
    got = (await anna.get(one[0])).ok()
    assert (got.text("//t:Status"), got.text("//t:StatusDescription")) == (status, said)
    assert got.text("//t:IsComplete") == ("true" if status == "Completed" else "false")


@pytest.mark.conformance("MSOXWSTASK_S01_TC13_VerifyTaskPercentComplete")
@pytest.mark.parametrize(
    "said",
    [
        "<t:CompleteDate>2026-11-01T00:00:00Z</t:CompleteDate>",
        "<t:PercentComplete>100</t:PercentComplete>",
        "<t:Status>Completed</t:Status>",
    ],
)
async def test_three_ways_to_be_done_are_one(anna, said):
    got = (await anna.get((await made(anna, "Task", f"<t:Subject>x</t:Subject>{said}"))[0])).ok()
    assert (got.text("//t:Status"), got.text("//t:PercentComplete"), got.text("//t:IsComplete")) == (
        "Completed", "100", "true",
    )  # fmt: skip
    assert got.all("//t:CompleteDate")


@pytest.mark.parametrize(
    ("operation", "stays"),
    [
        pytest.param("CopyItem", 1, marks=pytest.mark.conformance("MSOXWSTASK_S03_TC01_VerifyCopyTaskItem")),
        pytest.param("MoveItem", 0, marks=pytest.mark.conformance("MSOXWSTASK_S04_TC01_VerifyMoveTaskItem")),
    ],
)
async def test_a_task_goes_to_another_folder(anna, operation, stays):
    one = await made(anna, "Task", "<t:Subject>Report</t:Subject><t:Mileage>7</t:Mileage>")
    there = (await anna.ask(transfer(operation, "deleteditems", item(one[0])))).ok().ids()[0][0]
    got = (await anna.get(there)).ok()
    assert (got.text("//t:Task/t:Subject"), got.text("//t:Mileage")) == ("Report", "7")
    assert len((await anna.find("tasks")).ok().ids()) == stays
    assert (await anna.get(one[0])).codes == ["NoError" if stays else "ErrorItemNotFound"]


@pytest.mark.conformance("MSOXWSTASK_S05_TC01_OperateMultipleTaskItems")
async def test_several_tasks_at_once(anna):
    both = create("Task", "<t:Subject>a</t:Subject>").replace(
        "</m:Items>", "<t:Task><t:Subject>b</t:Subject></t:Task></m:Items>"
    )
    ids = [each for each, _ in (await anna.ask(both)).ok().ids()]
    assert (await anna.get(*ids)).ok().texts("//t:Task/t:Subject") == ["a", "b"]
    change = set_("Task", "task:Companies", "<t:Companies><t:String>Acme</t:String></t:Companies>")
    changes = "".join(f"<t:ItemChange>{item(each)}<t:Updates>{change}</t:Updates></t:ItemChange>" for each in ids)
    request = (
        f'<m:UpdateItem ConflictResolution="AlwaysOverwrite"><m:ItemChanges>{changes}</m:ItemChanges></m:UpdateItem>'
    )
    assert (await anna.ask(request)).ok().codes == ["NoError"] * 2
    assert (await anna.get(*ids)).ok().texts("//t:Companies/t:String") == ["Acme", "Acme"]
    copies = (await anna.ask(transfer("CopyItem", "drafts", *map(item, ids)))).ok()
    moved = (await anna.ask(transfer("MoveItem", "deleteditems", *map(item, ids)))).ok()
    there = [each for each, _ in (*copies.ids(), *moved.ids())]
    assert (await anna.get(*there)).ok().texts("//t:Task/t:Subject") == ["a", "b"] * 2
    gone = (
        '<m:DeleteItem DeleteType="HardDelete" AffectedTaskOccurrences="AllOccurrences">'
        f"<m:ItemIds>{''.join(map(item, there))}</m:ItemIds></m:DeleteItem>"
    )
    assert (await anna.ask(gone)).ok().codes == ["NoError"] * 4


ALL = (
    "<t:Subject>Report</t:Subject><t:ActualWork>30</t:ActualWork><t:BillingInformation>b</t:BillingInformation>"
    "<t:Companies><t:String>A</t:String><t:String>B</t:String></t:Companies>"
    "<t:CompleteDate>2026-10-31T00:00:00Z</t:CompleteDate>"
    "<t:Contacts><t:String>C</t:String><t:String>D</t:String></t:Contacts><t:DueDate>2026-11-05T00:00:00Z</t:DueDate>"
    "<t:Mileage>7</t:Mileage><t:StartDate>2026-11-02T00:00:00Z</t:StartDate><t:Status>Completed</t:Status>"
    "<t:TotalWork>60</t:TotalWork>"
)


@pytest.mark.parametrize(
    "inner",
    [
        pytest.param("", marks=pytest.mark.conformance("MSOXWSTASK_S06_TC01_OperateTaskItemWithoutOptionalElements")),
        pytest.param(ALL, marks=pytest.mark.conformance("MSOXWSTASK_S06_TC02_OperateTaskItemWithOptionalElements")),
    ],
)
async def test_a_task_with_everything_and_with_nothing(anna, inner):
    one = await made(anna, "Task", inner)
    got = (await anna.get(one[0])).ok()
    told = {"ActualWork": "30", "BillingInformation": "b", "DueDate": "2026-11-05T00:00:00Z", "Mileage": "7",
            "StartDate": "2026-11-02T00:00:00Z", "Status": "Completed", "TotalWork": "60",
            "CompleteDate": "2026-10-31T00:00:00Z"}  # fmt: skip
    assert {name: got.text(f"//t:Task/t:{name}") for name in told if inner} == (told if inner else {})
    assert got.texts("//t:Companies/t:String") == (["A", "B"] if inner else [])
    assert got.texts("//t:Contacts/t:String") == (["C", "D"] if inner else [])
    assert got.text("//t:ChangeCount") == "1"
    change = set_("Task", "task:Companies", "<t:Companies><t:String>Z</t:String></t:Companies>")
    (await anna.ask(update(one, change))).ok()
    got = (await anna.get(one[0])).ok()
    assert (got.texts("//t:Companies/t:String"), got.text("//t:ChangeCount")) == (["Z"], "2")
    copy = (await anna.ask(transfer("CopyItem", "tasks", item(one[0])))).ok().ids()[0][0]
    moved = (await anna.ask(transfer("MoveItem", "deleteditems", item(one[0])))).ok().ids()[0][0]
    assert (await anna.get(copy, moved)).ok().texts("//t:Companies/t:String") == ["Z", "Z"]
    gone = (
        '<m:DeleteItem DeleteType="HardDelete" AffectedTaskOccurrences="AllOccurrences">'
        f"<m:ItemIds>{item(copy)}{item(moved)}</m:ItemIds></m:DeleteItem>"
    )
    (await anna.ask(gone)).ok()


@pytest.mark.conformance("MSOXWSTASK_S06_TC03_OperateTaskItemWithIsCompleteElement")
async def test_what_is_done_is_complete(anna):
    for status, complete in (("Completed", "true"), ("InProgress", "false")):
        one = await made(anna, "Task", f"<t:Subject>x</t:Subject><t:Status>{status}</t:Status>")
        assert (await anna.get(one[0])).ok().text("//t:IsComplete") == complete


@pytest.mark.conformance("MSOXWSTASK_S06_TC04_OperateTaskItemWithIsRecurringElement")
async def test_what_has_a_pattern_is_recurring(anna):
    daily = f"<t:Recurrence><t:DailyRecurrence>{_INTERVAL}</t:DailyRecurrence>{TIMES}</t:Recurrence>"
    for more, recurring in ((daily, "true"), ("", "false")):
        one = await made(anna, "Task", f"<t:Subject>x</t:Subject>{more}")
        assert (await anna.get(one[0])).ok().text("//t:IsRecurring") == recurring
