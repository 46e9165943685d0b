"""An organisation with calendars in one process: its directory, mailboxes, mail flow and assistants."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from crash.organisation import PEER, UNLIMITED, CountingEntropy, MemoryBus, SilentTracker
from postern.directory.interface import Domain, NewAccount, RecipientKind
from postern.directory.sqlite import SqliteDirectory
from postern.model.envelope import Envelope, Recipient
from postern.model.items import Columns, SpecialUse
from postern.model.properties import unpack
from postern.net.clock import SystemClock, SystemEntropy
from postern.services.assistants.runner import OutboxRunner
from postern.services.calendar.agenda import Agendas
from postern.services.calendar.meeting_mail import SET_OFF
from postern.services.calendar.posting import Post
from postern.services.calendar.secretary import Secretary
from postern.services.calendar.settings import save_settings
from postern.services.calendar.shelf import Shelf
from postern.services.mailboxes import Mailboxes
from postern.services.mailflow import Mailflow
from postern.services.mailflow_settings import MailflowSettings
from postern.services.permissions import Permissions
from postern.services.principal import Principal
from postern.store.blobs import SegmentBlobs
from postern.store.journal.files import Files
from postern.store.journal.layout import allocate_journal, journal_directory
from postern.store.journal.writer import Journal
from postern.store.sqlite.claims import Claims
from postern.store.sqlite.engine import SqliteStore
from postern.transport.queue import QueueStore

PEOPLE = ("anna", "boris", "chen")


class World:
    """`close` and `open` are a restart."""

    def __init__(self, place):
        self.place = place
        self.clock = SystemClock()
        self.sent = []
        self.directory = SqliteDirectory(place / "directory.db", SystemEntropy(), self.clock)

    async def fill(self):
        await self.directory.put_domain(Domain("example.org"))
        new = [NewAccount(f"{name}@example.org", name.title(), quota=UNLIMITED) for name in PEOPLE]
        room = NewAccount("room@example.org", "Room", kind=RecipientKind.ROOM, quota=UNLIMITED)
        for account in await self.directory.create_accounts([*new, room]):
            await self.store.create_mailbox(account.mailbox, account.slot, UNLIMITED)

    async def open(self, epoch=1):
        journals = journal_directory(self.place)
        self.failures = []
        self.store = SqliteStore(self.place, SegmentBlobs(journals), MemoryBus(), self.clock, epoch, reserve_bytes=0)
        self.queue = QueueStore(self.place / "queue.db", self.clock, CountingEntropy())
        number = allocate_journal(journals, Files())
        self.journal = Journal(journals, number, self.clock, self.failures.append, files=Files())
        self.claims = Claims(self.place / "assistants.lock")
        self.runner = None
        self.flow = Mailflow(
            self.journal,
            self.store,
            self.directory,
            self.queue,
            SilentTracker(),
            self.clock,
            self.failures.append,
            MailflowSettings("mx.example.org", retry_s=0.02, mark_interval_s=3600.0, close_s=2.0, linger_s=0.002),
            assistants=self,
        )
        self.woken = []
        permissions = Permissions(self.directory)
        mailboxes = Mailboxes(self.store, MemoryBus(), permissions, self.flow, self.clock)
        post = Post(self.flow, self.directory, self.clock, SystemEntropy(), "example.org")
        self.shelf = Shelf()
        self.agendas = Agendas(mailboxes, self.store, self.directory, post, self.shelf, self.clock, SystemEntropy())
        self.runner = OutboxRunner(self.store, self.claims)
        self.runner.register(SET_OFF, Secretary(self.agendas).handle)
        self.flow.start()

    def wake(self, mailbox):
        self.woken.append(mailbox)
        self.runner.wake(mailbox)

    async def close(self):
        await self.flow.close()
        await self.queue.close()
        await self.store.close()
        self.claims.close()
        assert self.failures == []

    async def settle(self):
        """Until no mail is under way and no assistant has work."""
        for _round in range(20):
            await self.journal.drained()
            await asyncio.wait_for(self.journal.all_applied(), 60)
            if not self.runner._waiting:
                return
            await self.runner.settle_all()
        raise AssertionError("the assistants never end")

    async def principal(self, name):
        account = await self.directory.login(f"{name}@example.org")
        return Principal(account.id, account.address, account.mailbox, account.slot)

    async def agenda(self, name, owner=None):
        other = None if owner is None else (await self.principal(owner)).mailbox
        return await self.agendas.open(await self.principal(name), other)

    async def set(self, name, **values):
        await save_settings(await self.store.mailbox((await self.principal(name)).mailbox), **values)

    async def meeting(self, name, uid):
        """What somebody's calendar has of a UID; None: nothing."""
        found = await (await self.agenda(name)).find(uid)
        assert len(found) <= 1
        return found[0] if found else None

    async def mail(self, name, use=SpecialUse.INBOX):
        """Class and subject of the messages in a folder."""
        mailbox = await self.store.mailbox((await self.principal(name)).mailbox)
        folder = (await mailbox.special(use)).id
        found = []
        async for rows in mailbox.items(folder, Columns.SUBJECT | Columns.PROPERTIES):
            found += [(unpack(stored or b"").get("PidTagMessageClass", ""), subject) for subject, stored in rows]
        return found

    async def from_outside(self, content, recipients, sender="outside@example.net"):
        envelope = Envelope(sender, tuple(Recipient(each) for each in recipients))
        routes = [await self.flow.check_recipient(each, None, PEER, 0) for each in recipients]
        await self.flow.submit(envelope, PEER, routes, content)
        await self.settle()

    async def outgoing(self):
        """Contents of what left for elsewhere since the last call."""
        found = []
        while claims := await self.queue.claim("test", 100):
            for work in claims:
                found.append(work)
            break
        return found


def at(day, hour, minute=0):
    return datetime(2027, 2, day, hour, minute, tzinfo=UTC)
