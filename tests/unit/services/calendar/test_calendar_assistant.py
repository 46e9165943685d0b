"""The calendar assistant: exactly once whenever a process ends, mail from elsewhere, and those who pretend."""

from __future__ import annotations

import asyncio
from contextlib import closing

import apsw
import msgspec
import pytest

from crash.organisation import PEER
from postern.convert.appointments import span_of, to_properties
from postern.model.calendar.appointment import Appointment, Attendee, Busy, Person, Response
from postern.model.calendar.zones import UTC_ZONE
from postern.model.envelope import Envelope, Recipient
from postern.model.items import SpecialUse
from postern.model.refusal import Reason
from postern.model.rights import ROLES
from postern.services.calendar import availability, imip
from postern.services.calendar.agenda import TO_ALL
from postern.services.calendar.availability import FreeBusy
from postern.services.calendar.booking import Automation, BookingPolicy
from postern.services.calendar.delegates import Delegate
from postern.services.calendar.freebusy import Detail
from postern.services.calendar.outgoing import Method, Outgoing
from postern.services.calendar.settings import load_settings, replace_delegates
from postern.services.item_access import Disposal
from postern.store.interface import FlagChange, ItemUpdate
from postern.store.sqlite.alone import Alone
from postern.store.sqlite.engine import SqliteStore
from unit.services.calendar.agenda_world import World, at

OUTSIDE = Person("outside@example.net", "Outside")
ANNA = Person("anna@example.org", "Anna")


@pytest.fixture
async def world(tmp_path):
    one = World(tmp_path)
    await one.open()
    await one.fill()
    yield one
    await one.close()
    await one.directory.close()


def theirs(**more):
    return Appointment(
        uid="from-outside@example.net",
        start=at(1, 9),
        end=at(1, 10),
        subject="Offer",
        organizer=OUTSIDE,
        attendees=(Attendee(ANNA, response=Response.NOT_RESPONDED),),
        stamp=at(1, 0),
        **more,
    )


def mail(method, item, sender=OUTSIDE, to=ANNA, response=Response.NONE):
    outgoing = Outgoing(method, item, (to,), response, sender=sender)
    return imip.compose(outgoing, at(1, 0), "1@example.net", "=_abcdefghijklmnopqrstuvwxyz")


async def accepted(world, content, recipients=("anna@example.org",), sender="outside@example.net"):
    """Delivered; the assistant has not begun."""
    envelope = Envelope(sender, tuple(Recipient(each) for each in recipients))
    routes = [await world.flow.check_recipient(each, None, PEER, 0) for each in recipients]
    await world.flow.submit(envelope, PEER, routes, content)
    await world.journal.all_applied()


async def test_what_a_delivery_set_off_is_done_after_a_restart_and_once(world):
    await accepted(world, mail(Method.REQUEST, theirs()))
    assert await world.meeting("anna", theirs().uid) is None
    await world.close()
    await world.open(epoch=2)
    for mailbox in await world.store.with_outbox():
        world.wake(mailbox)
    await world.settle()
    found = await world.meeting("anna", theirs().uid)
    assert (found.item.subject, found.item.busy) == ("Offer", Busy.TENTATIVE)
    assert await world.store.with_outbox() == []


@pytest.mark.parametrize("place", ["assistants.begun", "assistants.done", "assistants.settled"])
async def test_an_assistant_that_is_cut_off_begins_again(world, place, monkeypatch):
    """A room: it is booked once and answers once, wherever it was cut off."""
    from postern.services.assistants import runner

    anna = await world.agenda("anna")
    room = Person("room@example.org", "Room")
    item = Appointment(uid="", start=at(1, 9), end=at(1, 10), subject="Plan", attendees=(Attendee(room),))
    made = await anna.create(item, TO_ALL)
    await world.journal.all_applied()

    class Cut(BaseException):
        pass

    def cut(name):
        if name == place:
            raise Cut

    monkeypatch.setattr(runner.failpoints, "hit", cut)
    with pytest.raises(Cut):
        await world.runner.settle_all()
    monkeypatch.undo()
    await world.close()
    await world.open(epoch=2)
    for mailbox in await world.store.with_outbox():
        world.wake(mailbox)
    await world.settle()
    assert (await world.meeting("room", made.item.uid)).item.response is Response.ACCEPTED
    assert await world.mail("anna") == [("IPM.Schedule.Meeting.Resp.Pos", "Accepted: Plan")]
    assert (await world.meeting("anna", made.item.uid)).item.attendees[0].response is Response.ACCEPTED


@pytest.mark.parametrize("place", ["secretary.keeping", "secretary.answered"])
async def test_an_answer_is_sent_once_if_the_calendar_was_not_written(world, place, monkeypatch):
    from postern.services.calendar import secretary

    anna = await world.agenda("anna")
    item = Appointment(
        uid="", start=at(1, 9), end=at(1, 10), subject="Plan", attendees=(Attendee(Person("room@example.org")),)
    )
    made = await anna.create(item, TO_ALL)
    await world.journal.all_applied()

    class Cut(BaseException):
        pass

    def cut(name):
        if name == place:
            raise Cut

    monkeypatch.setattr(secretary.failpoints, "hit", cut)
    with pytest.raises(Cut):
        await world.runner.settle_all()
    monkeypatch.undo()
    world.wake((await world.principal("room")).mailbox)
    await world.settle()
    assert (await world.meeting("room", made.item.uid)).item.response is Response.ACCEPTED
    assert len(await world.mail("anna")) == 1


async def test_a_meeting_from_outside_is_updated_and_called_off(world):
    await world.from_outside(mail(Method.REQUEST, theirs()), ["anna@example.org"])
    moved = msgspec.structs.replace(theirs(sequence=1), start=at(2, 9), end=at(2, 10), stamp=at(1, 1))
    await world.from_outside(mail(Method.REQUEST, moved), ["anna@example.org"])
    assert (await world.meeting("anna", moved.uid)).item.start == at(2, 9)
    await world.from_outside(mail(Method.REQUEST, theirs()), ["anna@example.org"])
    assert (await world.meeting("anna", moved.uid)).item.start == at(2, 9), "an older one comes late"
    await world.from_outside(mail(Method.CANCEL, msgspec.structs.replace(moved, sequence=2)), ["anna@example.org"])
    assert (await world.meeting("anna", moved.uid)).item.is_canceled
    kinds = [kind.removeprefix("IPM.Schedule.Meeting.") for kind, _ in await world.mail("anna")]
    assert kinds == ["Request", "Request", "Request", "Canceled"]


async def test_an_answer_from_outside_updates_the_organizer(world):
    anna = await world.agenda("anna")
    item = Appointment(uid="", start=at(1, 9), end=at(1, 10), subject="Plan", attendees=(Attendee(OUTSIDE),))
    made = await anna.create(item, TO_ALL)
    await world.settle()
    reply = msgspec.structs.replace(
        made.item, attendees=(Attendee(OUTSIDE, response=Response.ACCEPTED),), stamp=at(1, 5)
    )
    await world.from_outside(mail(Method.REPLY, reply, response=Response.ACCEPTED), ["anna@example.org"])
    assert (await world.meeting("anna", made.item.uid)).item.attendees[0].response is Response.ACCEPTED
    counter = msgspec.structs.replace(reply, start=at(1, 15), end=at(1, 16), stamp=at(1, 6))
    await world.from_outside(mail(Method.COUNTER, counter), ["anna@example.org"])
    assert (await world.meeting("anna", made.item.uid)).item.attendees[0].proposed_start == at(1, 15)


async def test_nobody_speaks_for_somebody_else(world):
    liar = Person("liar@example.net", "Liar")
    await world.from_outside(mail(Method.REQUEST, theirs()), ["anna@example.org"])
    called_off = msgspec.structs.replace(theirs(sequence=9), stamp=at(1, 9))
    await world.from_outside(mail(Method.CANCEL, called_off, liar), ["anna@example.org"], "liar@example.net")
    taken = msgspec.structs.replace(called_off, organizer=liar, start=at(3, 9), end=at(3, 10))
    await world.from_outside(mail(Method.REQUEST, taken, liar), ["anna@example.org"], "liar@example.net")
    kept = (await world.meeting("anna", theirs().uid)).item
    assert (kept.is_canceled, kept.start, kept.organizer) == (False, at(1, 9), OUTSIDE)
    anna = await world.agenda("anna")
    item = Appointment(uid="", start=at(1, 9), end=at(1, 10), subject="Plan", attendees=(Attendee(OUTSIDE),))
    made = await anna.create(item, TO_ALL)
    reply = msgspec.structs.replace(made.item, attendees=(Attendee(OUTSIDE, response=Response.DECLINED),))
    await world.from_outside(mail(Method.REPLY, reply, liar, response=Response.DECLINED), ["anna@example.org"])
    assert (await world.meeting("anna", made.item.uid)).item.attendees[0].response is Response.NOT_RESPONDED


async def test_an_imap_client_does_no_harm_to_the_calendar(world):
    await accepted(world, mail(Method.REQUEST, theirs()))
    mailbox = await world.store.mailbox((await world.principal("anna")).mailbox)
    inbox = (await mailbox.special(SpecialUse.INBOX)).id
    await mailbox.set_flags(inbox, [(1, 1 << 31)], FlagChange(add=8))
    await mailbox.expunge(inbox, None)
    await world.settle()
    assert (await world.meeting("anna", theirs().uid)).item.subject == "Offer"


async def test_delegates_get_copies_and_private_is_kept_from_them(world):
    delegate = Delegate(Person("chen@example.org", "Chen"))
    await world.set("anna", delegates=(delegate,))
    await world.from_outside(mail(Method.REQUEST, theirs()), ["anna@example.org"])
    assert [subject for _, subject in await world.mail("chen")] == ["Offer"]
    assert await world.meeting("chen", theirs().uid) is None, "it is not chen's meeting"
    await world.set("anna", booking=BookingPolicy(automation=Automation.NONE))
    again = msgspec.structs.replace(theirs(), uid="other@example.net")
    await world.from_outside(mail(Method.REQUEST, again), ["anna@example.org"])
    assert await world.meeting("anna", again.uid) is None


async def test_calendars_that_are_none_are_mere_mail(world):
    whole = mail(Method.REQUEST, theirs())
    for broken in (
        whole.replace(b"method=REQUEST", b"method=PUBLISH").replace(b"text/calendar", b"text/x-other"),
        b"From: a@b\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nBEGIN:V",
        b"Content-Type: text/calendar; method=REQUEST\r\n\r\n" + b"\0" * 5000,
        b"From: x@example.net\r\nContent-Type: text/calendar; method=\xff\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n!!",
    ):
        await world.from_outside(broken, ["anna@example.org"])
    mailbox = await world.store.mailbox((await world.principal("anna")).mailbox)
    assert [kind for kind, _ in await world.mail("anna")] == [""] * 4
    assert await mailbox.outbox() == []


async def test_free_busy_shows_what_each_calendar_allows(world):
    anna = await world.agenda("anna")
    await anna.create(Appointment(uid="", start=at(1, 9), end=at(1, 10), subject="Secret plan"))
    service = FreeBusy(world.store, world.directory)
    boris = await world.principal("boris")

    async def ask():
        window = at(1, 8), at(1, 12)
        return await service.ask(boris, ["anna@example.org", "nobody@example.org"], *window, 60)

    known, unknown = await ask()
    assert (known.detail, known.merged, known.blocks[0].details) == (Detail.TIMES, "0200", None)
    assert (unknown.refusal.reason, unknown.merged) == (Reason.NO_SUCH_RECIPIENT, "4444")
    mailbox = (await world.principal("anna")).mailbox
    await world.directory.set_folder_rights(mailbox, 0, "boris@example.org", ROLES["reviewer"])
    assert (await ask())[0].blocks[0].details.subject == "Secret plan"
    await anna.create(Appointment(uid="", start=at(1, 11), end=at(1, 12)))
    assert (await ask())[0].merged == "0202"
    await anna.delete((await anna.view(at(1, 9), at(1, 10)))[0].entry, Disposal.HARD)
    assert (await ask())[0].merged == "0002"
    await world.directory.set_folder_rights(mailbox, 0, "boris@example.org", None)
    await world.directory.set_folder_rights(mailbox, 0, "default", ROLES["none"])
    assert (await ask())[0].refusal.reason is Reason.NOT_PERMITTED


async def test_free_busy_follows_what_another_worker_writes(world):
    boris = await world.principal("boris")
    window = at(1, 8), at(1, 12)
    service = FreeBusy(world.store, world.directory)

    async def asked():
        return (await service.ask(boris, ["anna@example.org"], *window, 60))[0].merged

    assert await asked() == "0000"
    anna = await world.agenda("anna")
    entry = await anna.create(Appointment(uid="", start=at(1, 9), end=at(1, 10)))
    assert await asked() == "0200"
    other = SqliteStore(world.place, world.store.blobs, world.store._host.bus, world.clock, 1, reserve_bytes=0)
    mailbox = await other.mailbox((await world.principal("anna")).mailbox)
    moved = msgspec.structs.replace(entry.item, start=at(1, 10), end=at(1, 11))
    change = ItemUpdate(set=to_properties(moved), span=span_of(moved, UTC_ZONE))
    await mailbox.update(entry.folder, entry.uid, change)
    assert await asked() == "0020"
    await other.close()


async def test_an_answer_that_still_holds_opens_no_file(world, monkeypatch):
    boris = await world.principal("boris")
    anna = await world.agenda("anna")
    await anna.create(Appointment(uid="", start=at(1, 9), end=at(1, 10)))
    await anna.create(Appointment(uid="", start=at(3, 9), end=at(3, 10)))
    await world.store.close()
    numbers = world.store._host.bus.numbers
    numbers.clear()  # a server that has just started
    store = SqliteStore(world.place, world.store.blobs, world.store._host.bus, world.clock, 1, reserve_bytes=0)
    service = FreeBusy(store, world.directory)
    looks = []
    closed = Alone.calendar
    monkeypatch.setattr(Alone, "calendar", lambda *asked: looks.append(closed(*asked)) or looks[-1])

    async def asked(day=1):
        return (await service.ask(boris, ["anna@example.org"], at(day, 8), at(day, 12), 60))[0].merged

    assert await asked() == "0200" and len(looks) == 1
    assert await asked() == "0200" and await asked(3) == "0200" and len(looks) == 1  # days beyond are known too
    other = SqliteStore(world.place, store.blobs, store._host.bus, world.clock, 1, reserve_bytes=0)
    mailbox = (await world.principal("anna")).mailbox
    there = await other.mailbox(mailbox)
    look = await there.calendar("calendar", 0, 1 << 40)
    await there.expunge(look.folder, [(row[0], row[0]) for row in look.spans], only_deleted=False)
    other._host.forget(other.path(mailbox))
    assert await asked(3) == "0000" and await asked() == "0000" and len(looks) == 2
    assert await asked(20) == "0000" and len(looks) == 3
    assert None not in looks and store._host.open_files() == 0
    await other.close()
    await store.close()


async def test_spans_are_remembered_within_a_limit(world, monkeypatch):
    boris = await world.principal("boris")
    for name in ("anna", "boris"):
        for day in (1, 2, 3):
            await (await world.agenda(name)).create(Appointment(uid="", start=at(day, 9), end=at(day, 10)))
    monkeypatch.setattr(availability, "_KEPT_SPANS", 5)
    service = FreeBusy(world.store, world.directory)

    async def asked(*names, day=1):
        found = await service.ask(boris, [f"{name}@example.org" for name in names], at(day, 8), at(day, 12), 60)
        return [each.merged for each in found]

    assert await asked("anna", "boris") == ["0200", "0200"]
    assert [(len(known.spans), service._kept_spans) for known in service._facts.values()] == [(3, 3)]
    monkeypatch.setattr(availability, "_MANY_SPANS", 2)
    service = FreeBusy(world.store, world.directory)
    assert await asked("anna", "boris") == ["0200", "0200"] and service._kept_spans == 0
    assert await asked("boris", "anna", day=2) == ["0200", "0200"] and len(service._facts) == 2


async def test_items_of_which_nothing_is_kept_are_read(world):
    boris = await world.principal("boris")
    anna = await world.agenda("anna")
    await anna.create(Appointment(uid="", start=at(1, 9), end=at(1, 10)))
    await anna.create(Appointment(uid="", start=at(1, 11), end=at(1, 12)))
    with closing(apsw.Connection(str(world.store.path((await world.principal("anna")).mailbox)))) as db:
        db.execute("UPDATE spans SET busy = x'' WHERE uid = (SELECT min(uid) FROM spans)")
    service = FreeBusy(world.store, world.directory)
    assert (await service.ask(boris, ["anna@example.org"], at(1, 8), at(1, 12), 60))[0].merged == "0202"


async def test_no_delegate_is_lost_among_workers_that_add_at_once(world):
    stores = [
        SqliteStore(world.place, world.store.blobs, world.store._host.bus, world.clock, 1, reserve_bytes=0)
        for _worker in range(3)
    ]
    guid = (await world.principal("anna")).mailbox
    mailboxes = [await store.mailbox(guid) for store in stores]

    async def add(mailbox, name):
        async def added(known):
            await asyncio.sleep(0)  # as looking names up in the directory does
            return (*known, Delegate(Person(f"{name}@example.org")))

        await replace_delegates(mailbox, added)

    await asyncio.gather(*(add(mailboxes[n % 3], f"d{n}") for n in range(12)))
    found = (await load_settings(mailboxes[0])).delegates
    assert sorted(one.person.address for one in found) == sorted(f"d{n}@example.org" for n in range(12))
    for store in stores:
        await store.close()
