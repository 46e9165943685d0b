"""A meeting among two people, a delegate, a room and somebody elsewhere, through a real server and real SMTP.

Calendars are opened by the services, in this process, as a command beside the server does; what they send goes by SMTP
submission, the outsider's mail by plain SMTP, and the server's own assistants do the rest.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
import time
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings

from postern.directory.interface import NewAccount, RecipientKind
from postern.model.calendar.appointment import Appointment, Attendee, Person, Response, Role
from postern.model.calendar.recurrence import Kind, Pattern, Recurrence, Weekday
from postern.model.calendar.zones import Zone
from postern.model.rights import ROLES, MailboxRight
from postern.roles.context import open_organisation
from postern.services.calendar import imip
from postern.services.calendar.agenda import TO_ALL, Agendas
from postern.services.calendar.booking import BookingPolicy
from postern.services.calendar.delegates import Delegate
from postern.services.calendar.outgoing import Method, Outgoing
from postern.services.calendar.posting import Post
from postern.services.calendar.settings import save_settings
from postern.services.calendar.shelf import Shelf
from postern.services.mailboxes import Mailboxes
from postern.services.permissions import Permissions
from postern.services.principal import Principal

pytestmark = pytest.mark.integration

OUTSIDE = Person("outside@example.net", "Outside")
ANNA, BORIS, ROOM = (Person(f"{name}@example.org") for name in ("anna", "boris", "room"))
WAIT_S = 40


class BySmtp:
    """services.calendar.posting.Submitting over SMTP submission, and what creating an item without streams needs."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def check_sender(self, reverse_path, principal, peer) -> None:
        """The server will."""

    async def check_limits(self, principal, octets, recipients) -> None:
        """The server will."""

    async def check_author(self, content, principal):
        return content

    async def submit(self, envelope, peer, routes, content):
        await asyncio.to_thread(self._send, envelope, content)
        return ""

    def _send(self, envelope, content) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as smtp:
            smtp.starttls(context=context)
            smtp.login(envelope.reverse_path, PASSWORD)
            refused = smtp.sendmail(envelope.reverse_path, [each.address for each in envelope.recipients], content)
            assert refused == {}

    async def keep(self, mailbox, streams, use):
        assert not streams
        return await use([])


class People:
    """Everybody's calendars."""

    def __init__(self, parts, port: int) -> None:
        flow = BySmtp(port)
        self.parts = parts
        mailboxes = Mailboxes(parts.store, parts.bus, Permissions(parts.directory), flow, parts.clock)
        post = Post(flow, parts.directory, parts.clock, parts.entropy, "example.org")
        shelf = Shelf()
        self.agendas = Agendas(mailboxes, parts.store, parts.directory, post, shelf, parts.clock, parts.entropy)

    async def principal(self, name):
        account = await self.parts.directory.login(f"{name}@example.org")
        return Principal(account.id, account.address, account.mailbox, account.slot)

    async def agenda(self, name, owner=None):
        other = None if owner is None else (await self.principal(owner)).mailbox
        return await self.agendas.open(await self.principal(name), other)

    async def until(self, name, uid, right):
        """The meeting in somebody's calendar as soon as it is as it should be."""
        deadline = time.monotonic() + WAIT_S
        found = None
        while time.monotonic() < deadline:
            entries = await (await self.agenda(name)).find(uid)
            found = entries[0] if entries else None
            if right(found):
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"{name} has {found}")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = make_settings(tmp_path_factory.mktemp("data"))
    # the letters to somebody outside are still being tried at the end, as nobody answers about his domain
    settings = msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, stop_s=1))
    make_organisation(settings)

    async def room():
        async with open_organisation(settings) as parts:
            (account,) = await parts.directory.create_accounts(
                [NewAccount("room@example.org", "Room", kind=RecipientKind.ROOM)]
            )
            await parts.store.create_mailbox(account.mailbox, account.slot, account.quota)
            mailbox = await parts.store.mailbox(account.mailbox)
            await save_settings(mailbox, booking=BookingPolicy(booking_window_days=1000))

    asyncio.run(room())
    running = Running(settings)
    running.wait_ready()
    yield running
    assert running.stop() == 0


def from_outside(port, method, item, response, recipients):
    me = msgspec.structs.replace(item, attendees=(Attendee(OUTSIDE, response=response),))
    outgoing = Outgoing(method, me, (ANNA,), response, sender=OUTSIDE)
    content = imip.compose(outgoing, datetime.now(UTC), f"{time.time_ns()}@example.net", "=_abcdefghijklmnopqrstuvwxyz")
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as smtp:
        smtp.sendmail(OUTSIDE.address, recipients, content)


def answered(**wanted):
    def right(entry):
        got = {each.person.address.partition("@")[0]: each.response for each in entry.item.attendees}
        return all(got[name] is response for name, response in wanted.items())

    return right


def test_all_calendars_agree_and_the_organizer_sees_every_answer(server):
    ports = {path: listener.port for path, listener in server.settings.listen.items()}

    async def run():
        async with open_organisation(server.settings) as parts:
            await round_trip(People(parts, ports["submission"]), ports["smtp"])

    asyncio.run(run())


async def round_trip(people, port):
    anna = (await people.principal("anna")).mailbox
    directory = people.parts.directory
    await directory.set_folder_rights(anna, 0, "chen@example.org", ROLES["editor"])
    await directory.grant(anna, "chen@example.org", MailboxRight.SEND_ON_BEHALF)
    delegate = Delegate(Person("chen@example.org"))
    await save_settings(await people.parts.store.mailbox(anna), delegates=(delegate,))

    # the delegate invites in anna's name
    monday = date.today() + timedelta(days=7 - date.today().weekday())
    start = datetime.combine(monday, datetime.min.time(), UTC) + timedelta(hours=9)
    attendees = (Attendee(BORIS), Attendee(ROOM, Role.RESOURCE), Attendee(OUTSIDE))
    series = Appointment(
        uid="",
        start=start,
        end=start + timedelta(hours=1),
        zone=Zone("Etc/UTC"),
        subject="Plan",
        attendees=attendees,
        recurrence=Recurrence(Pattern(Kind.WEEKLY, days=Weekday.MONDAY), monday, count=4),
    )
    made = await (await people.agenda("chen", "anna")).create(series, TO_ALL)
    uid = made.item.uid

    # everybody answers, the outsider with another time
    theirs = await people.until("boris", uid, lambda entry: entry is not None)
    assert theirs.item.organizer.key == ANNA.key
    await (await people.agenda("boris")).respond(theirs, Response.ACCEPTED)
    later = msgspec.structs.replace(made.item, start=start + timedelta(hours=2), end=start + timedelta(hours=3))
    from_outside(port, Method.COUNTER, later, Response.TENTATIVE, ["anna@example.org"])
    accepted = {"boris": Response.ACCEPTED, "room": Response.ACCEPTED}
    mine = await people.until("anna", uid, answered(**accepted, outside=Response.TENTATIVE))
    proposal = next(each for each in mine.item.attendees if each.person.key == OUTSIDE.key)
    assert proposal.proposed_start == later.start

    # one occurrence moves; all the others stay
    day = monday + timedelta(days=7)
    moved_start = start + timedelta(days=8)
    single = msgspec.structs.replace(mine.item, start=moved_start, end=moved_start + timedelta(hours=1))
    await (await people.agenda("anna")).update_occurrence(mine, day, single, TO_ALL)
    window = start, start + timedelta(days=28)
    expected = [start, moved_start, start + timedelta(days=14), start + timedelta(days=21)]
    for name in ("anna", "boris", "room"):
        await people.until(name, uid, lambda entry: any(each.day == day for each in entry.item.modified))
        shown = await (await people.agenda(name)).view(*window)
        assert [each.start for each in shown] == expected, name
    here = msgspec.structs.replace(single, recurrence=None, instance_of=start + timedelta(days=7), sequence=1)
    from_outside(port, Method.REPLY, here, Response.DECLINED, ["anna@example.org"])

    def declined(entry):
        occurrence = next(each.item for each in entry.item.modified if each.day == day)
        return next(e for e in occurrence.attendees if e.person.key == OUTSIDE.key).response is Response.DECLINED

    mine = await people.until("anna", uid, declined)

    # called off
    await (await people.agenda("anna")).delete(mine, sending=TO_ALL)
    await people.until("boris", uid, lambda entry: entry.item.is_canceled)
    await people.until("room", uid, lambda entry: entry is None)
    await people.until("anna", uid, lambda entry: entry is None)
