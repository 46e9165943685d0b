"""GetReminders and PerformReminderAction: what rings, what is put off, what is dismissed (MS-OXWSMTGS 3.1.4)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from ews_meetings import entry, meeting, occurrence, of, recurrence
from test_ews_calendar import NONE, made
from test_ews_hostile import fault
from test_ews_people import made as made_thing
from test_ews_people import set_, update

SET = "<t:ReminderIsSet>true</t:ReminderIsSet><t:ReminderMinutesBeforeStart>30</t:ReminderMinutesBeforeStart>"


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def reminders(begin: str = "", end: str = "", kind: str = "", most: str = "") -> str:
    rows = (("BeginTime", begin), ("EndTime", end), ("MaxItems", most), ("ReminderType", kind))
    inner = "".join(f"<m:{name}>{value}</m:{name}>" for name, value in rows if value)
    return f"<m:GetReminders>{inner}</m:GetReminders>"


def action(kind: str, *ids: str, until: str = "") -> str:
    later = f"<t:NewReminderTime>{until}</t:NewReminderTime>" if until else ""
    rows = "".join(
        f'<t:ReminderItemAction><t:ActionType>{kind}</t:ActionType><t:ItemId Id="{one}"/>{later}</t:ReminderItemAction>'
        for one in ids
    )
    return f"<m:PerformReminderAction><m:ReminderItemActions>{rows}</m:ReminderItemActions></m:PerformReminderAction>"


WINDOW = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")


@pytest.mark.conformance("MSOXWSMTGS_S01_TC27_CreateSingleCalendarItemWithReminders")
async def test_an_appointment_rings(anna):
    one = await made(anna, meeting("u1", required=(), more=f"{SET}<t:Location>Room</t:Location>"))
    await made(anna, meeting("u2", required=(), more="<t:ReminderIsSet>false</t:ReminderIsSet>"))
    reply = await anna.ask(reminders(*WINDOW))
    assert reply.body.get("ResponseClass") == "Success"
    told = {
        "Subject": "Plan", "Location": "Room", "ReminderTime": "2026-11-02T08:30:00Z",
        "StartDate": "2026-11-02T09:00:00Z", "EndDate": "2026-11-02T10:00:00Z", "ReminderGroup": "Calendar", "UID": "u1",
    }  # fmt: skip
    assert {name: reply.text(f"//t:Reminder/t:{name}") for name in told} == told
    assert reply.one("//t:Reminder/t:ItemId").get("Id") == one[0]
    assert not reply.all("//t:RecurringMasterItemId")


@pytest.mark.conformance("MSOXWSMTGS_S01_TC28_CreateRecurringCalendarItemWithReminders")
async def test_a_series_rings_each_time(anna):
    daily = recurrence("<t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence>")
    series = await made(anna, meeting("u1", required=(), more=SET + daily))
    reply = await anna.ask(reminders(*WINDOW))
    times = [f"2026-11-0{day}T08:30:00Z" for day in (2, 3, 4, 5)]
    assert reply.texts("//t:Reminder/t:ReminderTime") == times
    assert {one.get("Id") for one in reply.all("//t:RecurringMasterItemId")} == {series[0]}
    ids = [one.get("Id") for one in reply.all("//t:Reminder/t:ItemId")]
    assert len(set(ids)) == 4 and series[0] not in ids
    (await anna.ask(action("Dismiss", ids[1]))).text("//m:ResponseCode")
    assert (await anna.ask(reminders(*WINDOW))).texts("//t:Reminder/t:ReminderTime") == times[2:]
    assert (await anna.ask(reminders(*WINDOW, most="1"))).texts("//t:Reminder/t:ReminderTime") == times[2:3]
    last = (await anna.ask(reminders(*WINDOW))).all("//t:Reminder/t:ItemId")[-1].get("Id")
    await anna.ask(action("Dismiss", last))
    assert not (await anna.ask(reminders(*WINDOW))).all("//t:Reminder")


@pytest.mark.conformance("MSOXWSMTGS_S01_TC29_CreateTaskItemWithReminders")
async def test_a_task_rings(anna):
    due = "<t:ReminderDueBy>2026-11-02T08:00:00Z</t:ReminderDueBy><t:ReminderIsSet>true</t:ReminderIsSet>"
    task = await made_thing(
        anna, "Task", f"<t:Subject>Report</t:Subject>{due}<t:DueDate>2026-11-03T00:00:00Z</t:DueDate>"
    )
    await made_thing(anna, "Task", "<t:Subject>Quiet</t:Subject>")
    reply = await anna.ask(reminders(*WINDOW))
    told = {"Subject": "Report", "ReminderTime": "2026-11-02T08:00:00Z", "ReminderGroup": "Task"}
    assert {name: reply.text(f"//t:Reminder/t:{name}") for name in told} == told
    await anna.ask(action("Snooze", task[0], until="2026-11-04T08:00:00Z"))
    assert (await anna.ask(reminders(*WINDOW))).text("//t:ReminderTime") == "2026-11-04T08:00:00Z"
    again = set_("Task", "item:ReminderDueBy", "<t:ReminderDueBy>2026-11-05T08:00:00Z</t:ReminderDueBy>")
    (await anna.ask(update(task, again))).ok()
    assert (await anna.ask(reminders(*WINDOW))).text("//t:ReminderTime") == "2026-11-05T08:00:00Z"
    await anna.ask(action("Dismiss", task[0]))
    assert not (await anna.ask(reminders(*WINDOW))).all("//t:Reminder")


@pytest.mark.conformance("MSOXWSMTGS_S01_TC35_CreateSingleCalendarItemWithPerformReminderAction")
async def test_a_reminder_is_put_off_and_dismissed(anna):
    one = await made(anna, meeting("u1", required=(), more=SET))
    reply = await anna.ask(action("Snooze", one[0], until="2026-11-02T08:55:00Z"))
    assert reply.body.get("ResponseClass") == "Success"
    assert reply.one("//m:UpdatedItemIds/t:ItemId").get("Id") == one[0]
    assert (await anna.ask(reminders(*WINDOW))).text("//t:ReminderTime") == "2026-11-02T08:55:00Z"
    moved = set_("CalendarItem", "calendar:Start", "<t:Start>2026-11-02T09:30:00Z</t:Start>")
    (await anna.ask(update((one[0], reply.one("//t:ItemId").get("ChangeKey")), moved, more=NONE))).ok()
    assert (await anna.ask(reminders(*WINDOW))).text("//t:ReminderTime") == "2026-11-02T09:00:00Z"
    await anna.ask(action("Dismiss", one[0]))
    assert not (await anna.ask(reminders(*WINDOW))).all("//t:Reminder")
    assert (await entry(anna, "u1")).text("//t:ReminderIsSet") == "false"


async def test_old_and_current_reminders(anna, world):
    now = world.parts.clock.now()
    for uid, begins, ends in (("over", -120, -60), ("on", -30, 60), ("later", 60, 120)):
        times = {"start": stamp(now + timedelta(minutes=begins)), "end": stamp(now + timedelta(minutes=ends))}
        await made(anna, meeting(uid, required=(), more=SET, **times))
    day = (stamp(now - timedelta(days=1)), stamp(now + timedelta(days=1)))
    for kind, uids in (("", ["over", "on", "later"]), ("Old", ["over"]), ("Current", ["over", "on", "later"])):
        assert (await anna.ask(reminders(*day, kind=kind))).texts("//t:Reminder/t:UID") == uids
    since = stamp(now - timedelta(minutes=10))
    assert (await anna.ask(reminders(since, day[1], "All"))).texts("//t:Reminder/t:UID") == ["later"]
    assert (await anna.ask(reminders(since, day[1], "Current"))).texts("//t:Reminder/t:UID") == ["on", "later"]
    assert (await anna.ask(reminders())).texts("//t:Reminder/t:UID") == ["over", "on", "later"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (reminders(WINDOW[1], WINDOW[0]), "ErrorInvalidTimeInterval"),
        (reminders(kind="New"), "ErrorSchemaValidation"),
        (reminders(most="201"), "ErrorSchemaValidation"),
        (action("Forget", "x"), "ErrorSchemaValidation"),
        (action("Snooze", "x"), "ErrorSchemaValidation"),
        (action("Dismiss", "x"), "ErrorInvalidIdMalformed"),
    ],
)
async def test_what_is_no_reminder(anna, body, code):
    assert await fault(anna, anna.envelope(body)) == code


async def test_others_reminders_are_not_touched(anna, boris):
    one = await made(anna, meeting("u1", required=(), more=SET))
    mine = await made(boris, meeting("u2", required=(), more=SET))
    assert await fault(boris, boris.envelope(action("Dismiss", one[0]))) in ("ErrorAccessDenied", "ErrorItemNotFound")
    reply = await boris.ask(action("Dismiss", one[0], mine[0]))
    assert [each.get("Id") for each in reply.all("//m:UpdatedItemIds/t:ItemId")] == [mine[0]]
    assert (await anna.ask(reminders(*WINDOW))).texts("//t:Reminder/t:UID") == ["u1"]


async def test_a_task_is_no_series(anna):
    task = await made_thing(anna, "Task", "<t:Subject>x</t:Subject>")
    get = (
        "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"
        f"<m:ItemIds>{occurrence(task[0], 1)}</m:ItemIds></m:GetItem>"
    )
    assert (await anna.ask(get)).codes == ["ErrorCalendarCannotUseIdForRecurringMasterId"]
    assert of((await anna.get(task[0])).ok()) == task[0]
