"""GetReminders and PerformReminderAction (MS-OXWSMTGS 3.1.4.5, 3.1.4.7): of the default calendar and the tasks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from postern.frontends.ews import codes, places, thing_making
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import ItemPlace
from postern.model import properties
from postern.model.ids import FolderId, ItemId
from postern.model.items import Columns, ItemClass, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import ids, responses
from postern.protocols.ews.calendar_xml import at
from postern.protocols.ews.ids import ItemKey
from postern.protocols.ews.names import DECLARED
from postern.protocols.ews.reminder_requests import GetReminders, PerformReminderAction, ReminderAction
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import text
from postern.services.calendar import reminders
from postern.services.calendar.reminders import Ring
from postern.services.mailboxes import ItemUpdate

USUAL = timedelta(days=31)
"""On either side of now, where no times are named."""
_COLUMNS = Columns.ITEM_ID | Columns.CLASS | Columns.PROPERTIES | Columns.CHANGE_KEY


async def get_reminders(call: Call, request: GetReminders) -> str:
    """GetReminders. Current has also what rang before the window if it is not over; Old has what is over alone."""
    now = call.services.clock.now()
    begin, end = request.begin or now - USUAL, request.end or now + USUAL
    if end < begin:
        raise EwsViolation("ErrorInvalidTimeInterval", "EndTime is before BeginTime.")
    box = await call.box()
    agenda = await call.agenda(box)
    folder = await agenda.entries.calendar()
    since = begin - USUAL if request.kind == "Current" else begin
    rings = await agenda.rings(since, end)
    if request.kind == "Current":
        rings = [each for each in rings if each.at >= begin or each.end > now]
    if request.kind == "Old":
        rings = [each for each in rings if each.end <= now]
    rows = [(each, folder, "Calendar") for each in rings]
    tasks = await _tasks(box, begin, end)
    rows += [(each, tasks.folder, "Task") for each in tasks.rings]
    rows.sort(key=lambda each: each[0].at)
    rows = rows[: request.limit]
    keys = tasks.keys | await _keys(box, folder, [each.item for each, _, group in rows if group == "Calendar"])
    shown = "".join(_reminder(box, where, each, group, keys) for each, where, group in rows)
    answer = responses.success("GetRemindersResponse", f"<m:Reminders>{shown}</m:Reminders>")
    return answer.replace("<m:GetRemindersResponse ", f"<m:GetRemindersResponse {DECLARED} ", 1)


class _Tasks(NamedTuple):
    rings: list[Ring]
    folder: FolderId
    keys: dict[int, int]
    """Item -> change key."""


async def _tasks(box: Box, begin: datetime, end: datetime) -> _Tasks:
    try:
        folder = (await box.by_use(SpecialUse.TASKS)).id
    except Refusal as refusal:
        if refusal.reason is not Reason.NO_SUCH_FOLDER:
            raise
        return _Tasks([], FolderId(0), {})
    found = _Tasks([], folder, {})
    async for rows in box.access.items(folder, _COLUMNS):
        for item, kind, stored, change in rows:
            ring = reminders.of_task(properties.unpack(stored or b""), item, begin, end)
            if kind == ItemClass.TASK and ring is not None:
                found.rings.append(ring)
                found.keys[int(item)] = change
    return found


async def _keys(box: Box, folder: FolderId, items: Sequence[ItemId]) -> dict[int, int]:
    found = await box.items.get(list(dict.fromkeys(items)), Columns.CHANGE_KEY, folder)
    return {int(item): row[-1] for item, (_, row) in found.items()}


def _reminder(box: Box, folder: FolderId, each: Ring, group: str, keys: dict[int, int]) -> str:
    change = ids.item_change(keys.get(int(each.item), 0))

    def named(element: str, day: int) -> str:
        key = ids.item_id(ItemKey(box.id, folder, each.item, day))
        return f'<t:{element} Id="{key}" ChangeKey="{change}"/>'

    place = f"<t:Location>{text(each.location)}</t:Location>" if each.location else ""
    master = named("RecurringMasterItemId", 0) if each.day is not None else ""
    return (
        f"<t:Reminder><t:Subject>{text(each.subject)}</t:Subject>{place}<t:ReminderTime>{at(each.at)}</t:ReminderTime>"
        f"<t:StartDate>{at(each.start)}</t:StartDate><t:EndDate>{at(each.end)}</t:EndDate>"
        f"{named('ItemId', 0 if each.day is None else each.day.toordinal())}{master}"
        f"<t:ReminderGroup>{group}</t:ReminderGroup><t:UID>{text(each.uid)}</t:UID></t:Reminder>"
    )


async def perform_reminder_action(call: Call, request: PerformReminderAction) -> str:
    """PerformReminderAction: those that can be done are done; an error is told if none can."""
    done = []
    failed: EwsViolation | None = None
    for action in request.actions:
        try:
            done.append(await _perform(call, action))
        except EwsViolation as violation:
            failed = failed or violation
        except Refusal as refusal:
            code = codes.of(refusal)
            failed = failed or EwsViolation(code.code, code.text)
    if not done:
        raise failed or EwsViolation("ErrorItemNotFound", "There is no such reminder.")
    answer = responses.success("PerformReminderActionResponse", f"<m:UpdatedItemIds>{''.join(done)}</m:UpdatedItemIds>")
    return answer.replace("<m:PerformReminderActionResponse ", f"<m:PerformReminderActionResponse {DECLARED} ", 1)


async def _perform(call: Call, action: ReminderAction) -> str:
    place = await places.item(call, action.item, occurrences=True)
    kind = await thing_making.class_of(place)
    if kind is ItemClass.TASK:
        change = ItemUpdate({reminders.SIGNAL: action.until} if action.until is not None else {reminders.SET: False})
        await place.box.items.update(place.folder, place.uid, change)
    elif kind is ItemClass.APPOINTMENT:
        await _appointment(call, place, action.until)
    else:
        raise EwsViolation("ErrorInvalidOperation", "Only appointments and tasks have reminders here.")
    place.box.wrote(folders=True)
    (row,) = await place.box.rows(place.folder, Columns.CHANGE_KEY, [place.uid])
    key = ids.item_id(
        ItemKey(place.box.id, place.folder, place.item, place.day.toordinal() if place.day is not None else 0)
    )
    return f'<t:ItemId Id="{key}" ChangeKey="{ids.item_change(row[0])}"/>'


async def _appointment(call: Call, place: ItemPlace, until: datetime | None) -> None:
    agenda = await call.agenda(place.box)
    entry = await agenda.entries.one(place.item, place.folder)
    start = entry.item.start if place.day is None else agenda.occurrence(entry, place.day).start
    if until is None:
        await agenda.keep(entry, reminders.dismissed(entry.item, start, agenda.zone))
    else:
        await agenda.keep(entry, reminders.put_off(entry.item, start, until.replace(microsecond=0), agenda.zone))
