"""Calendars of mailboxes: views, meetings between people, a room and a delegate, all through the mail between them."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest

from postern.model.calendar.appointment import Appointment, Attendee, Busy, Person, Response, Role, Sensitivity
from postern.model.calendar.recurrence import Kind, Pattern, Recurrence, Weekday
from postern.model.calendar.zones import Zone
from postern.model.items import SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.model.rights import ROLES, MailboxRight
from postern.services.calendar.agenda import TO_ALL, TO_ALL_AND_SAVE
from unit.services.calendar.agenda_world import World, at

BERLIN = Zone("Europe/Berlin")


@pytest.fixture
async def world(tmp_path):
    one = World(tmp_path)
    await one.open()
    await one.fill()
    yield one
    await one.close()
    await one.directory.close()


def person(name):
    return Person(f"{name}@example.org", name.title())


def invited(*names, start=None, **more):
    begins = start or at(1, 9)
    return Appointment(
        uid="",
        start=begins,
        end=begins + timedelta(hours=1),
        zone=BERLIN,
        subject="Plan",
        location="Hall",
        attendees=tuple(Attendee(person(name), Role.RESOURCE if name == "room" else Role.REQUIRED) for name in names),
        **more,
    )


def weekly(*names, count=4):
    pattern = Pattern(Kind.WEEKLY, days=Weekday.MONDAY)
    return msgspec.structs.replace(invited(*names), recurrence=Recurrence(pattern, date(2027, 2, 1), count=count))


def answers(entry):
    return {each.person.address.partition("@")[0]: each.response for each in entry.item.attendees}


async def test_a_view_shows_single_items_and_occurrences(world):
    agenda = await world.agenda("anna")
    single = await agenda.create(invited(start=at(2, 12)))
    series = await agenda.create(weekly())
    shown = await agenda.view(at(1, 0), at(9, 0))
    assert [(each.entry.id, each.day) for each in shown] == [
        (series.id, date(2027, 2, 1)),
        (single.id, None),
        (series.id, date(2027, 2, 8)),
    ]
    changed = await agenda.update_occurrence(
        series, date(2027, 2, 8), msgspec.structs.replace(series.item, start=at(8, 15), end=at(8, 16), subject="Later")
    )
    shown = await agenda.view(at(8, 0), at(9, 0))
    assert [(each.start, each.item.subject) for each in shown] == [(at(8, 15), "Later")]
    assert agenda.occurrence_number(changed, 2).item.subject == "Later"
    gone = await agenda.delete_occurrence(changed, date(2027, 2, 15))
    with pytest.raises(Refusal):
        agenda.occurrence(gone, date(2027, 2, 15))
    with pytest.raises(Refusal) as caught:
        await agenda.update(series, series.item)
    assert caught.value.reason is Reason.CONFLICT
    assert [each.day for each in await agenda.view(at(1, 0), at(28, 0))][-1] == date(2027, 2, 22)


async def test_a_meeting_from_invitation_to_cancellation(world):
    anna = await world.agenda("anna")
    made = await anna.create(invited("boris", "room"), TO_ALL_AND_SAVE)
    uid = made.item.uid
    await world.settle()
    assert await world.mail("boris") == [("IPM.Schedule.Meeting.Request", "Plan")]
    assert await world.mail("anna", SpecialUse.SENT) == [("IPM.Schedule.Meeting.Request", "Plan")]
    theirs = await world.meeting("boris", uid)
    assert (theirs.item.busy, theirs.item.response, theirs.item.subject) == (
        Busy.TENTATIVE,
        Response.NOT_RESPONDED,
        "Plan",
    )
    booked = await world.meeting("room", uid)
    assert (booked.item.response, booked.item.subject) == (Response.ACCEPTED, "Anna")
    assert answers(await world.meeting("anna", uid)) == {"boris": Response.NOT_RESPONDED, "room": Response.ACCEPTED}

    boris = await world.agenda("boris")
    await boris.respond(theirs, Response.TENTATIVE, comment="Later?", proposed=(at(1, 11), at(1, 12)))
    await world.settle()
    assert ("IPM.Schedule.Meeting.Resp.Tent", "New Time Proposed: Plan") in await world.mail("anna")
    mine = await world.meeting("anna", uid)
    assert mine.item.attendees[0].proposed_start == at(1, 11)

    await anna.accept_proposal(mine, person("boris"))
    await world.settle()
    for name in ("anna", "boris", "room"):
        assert (await world.meeting(name, uid)).item.start == at(1, 11)
    assert (await world.meeting("boris", uid)).item.response is Response.NOT_RESPONDED
    await boris.respond(await world.meeting("boris", uid), Response.ACCEPTED)
    await world.settle()
    assert answers(await world.meeting("anna", uid)) == {"boris": Response.ACCEPTED, "room": Response.ACCEPTED}

    await anna.delete(await world.meeting("anna", uid), sending=TO_ALL)
    await world.settle()
    assert await world.meeting("anna", uid) is None
    assert await world.meeting("room", uid) is None
    left = await world.meeting("boris", uid)
    assert left.item.is_canceled
    assert left.item.busy is Busy.FREE


async def test_one_occurrence_is_moved_and_one_called_off(world):
    anna = await world.agenda("anna")
    made = await anna.create(weekly("boris"), TO_ALL)
    await world.settle()
    boris = await world.agenda("boris")
    await boris.respond(await world.meeting("boris", made.item.uid), Response.ACCEPTED)
    await world.settle()
    mine = await world.meeting("anna", made.item.uid)
    moved = msgspec.structs.replace(mine.item, start=at(9, 14), end=at(9, 15))
    mine = await anna.update_occurrence(mine, date(2027, 2, 8), moved, TO_ALL)
    await world.settle()
    mine = await world.meeting("anna", made.item.uid)
    await anna.delete_occurrence(mine, date(2027, 2, 15), TO_ALL)
    await world.settle()
    shown = await boris.view(at(1, 0), at(28, 0))
    assert [(each.start, each.item.is_canceled) for each in shown] == [
        (at(1, 9), False),
        (at(9, 14), False),
        (at(15, 9), True),
        (at(22, 9), False),
    ]
    theirs = await world.meeting("boris", made.item.uid)
    await boris.respond(theirs, Response.DECLINED, day=date(2027, 2, 8))
    await world.settle()
    mine = await world.meeting("anna", made.item.uid)
    single = anna.occurrence(mine, date(2027, 2, 8))
    assert single.item.attendees[0].response is Response.DECLINED
    assert answers(mine) == {"boris": Response.ACCEPTED}


async def test_a_room_declines_what_is_taken_with_its_reason(world):
    anna, chen = await world.agenda("anna"), await world.agenda("chen")
    await anna.create(invited("room"), TO_ALL)
    await world.settle()
    second = await chen.create(invited("room", start=at(1, 9, 30)), TO_ALL)
    await world.settle()
    assert answers(await world.meeting("chen", second.item.uid)) == {"room": Response.DECLINED}
    assert await world.meeting("room", second.item.uid) is None
    assert await world.mail("chen") == [("IPM.Schedule.Meeting.Resp.Neg", "Declined: Plan")]


async def test_delegates_write_in_the_owners_name_and_see_nothing_private(world):
    await world.directory.set_folder_rights(
        (await world.principal("anna")).mailbox, 0, "chen@example.org", ROLES["editor"]
    )
    anna = await world.agenda("anna")
    await anna.create(invited(start=at(3, 9), sensitivity=Sensitivity.PRIVATE))
    chen = await world.agenda("chen", "anna")
    (shown,) = await chen.view(at(3, 0), at(4, 0))
    assert (shown.item.subject, shown.entry.properties.get("PidTagSubject")) == ("", None)
    with pytest.raises(Refusal) as caught:
        await chen.create(invited("boris"), TO_ALL)
    assert caught.value.reason is Reason.SENDER_NOT_ALLOWED
    assert len(await anna.view(at(1, 0), at(2, 0))) == 0, "nothing is made that can not be told"
    await world.directory.grant(
        (await world.principal("anna")).mailbox, "chen@example.org", MailboxRight.SEND_ON_BEHALF
    )
    made = await chen.create(invited("boris"), TO_ALL)
    await world.settle()
    theirs = await world.meeting("boris", made.item.uid)
    assert theirs.item.organizer == person("anna")
    await (await world.agenda("boris")).respond(theirs, Response.ACCEPTED)
    await world.settle()
    assert answers(await world.meeting("anna", made.item.uid)) == {"boris": Response.ACCEPTED}


async def test_what_no_calendar_can_hold_is_refused(world):
    agenda = await world.agenda("anna")
    for broken in (
        msgspec.structs.replace(invited(), end=at(1, 8)),
        msgspec.structs.replace(invited(), end=at(1, 8).replace(year=2040)),
        msgspec.structs.replace(weekly(), recurrence=Recurrence(Pattern(Kind.DAILY, 0), date(2027, 2, 1))),
    ):
        with pytest.raises(Refusal) as caught:
            await agenda.create(broken)
        assert caught.value.reason is Reason.BAD_VALUE
    assert await world.mail("anna", SpecialUse.CALENDAR) == []
