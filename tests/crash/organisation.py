"""A small organisation on a data directory: mailboxes, a group, people elsewhere, and one or more workers."""

import asyncio
import contextlib
from datetime import UTC, datetime
from pathlib import Path

import apsw

from postern.directory.interface import Account, Domain, Group, Resolution
from postern.model.envelope import Envelope, Peer, Recipient
from postern.model.ids import AccountId, MailboxId
from postern.model.items import Columns, Quota, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.model.transfer import Fate, LocalCopy, Result
from postern.services.copies import CopyDelivery
from postern.services.mailflow import Mailflow
from postern.services.mailflow_settings import MailflowSettings
from postern.store.blobs import SegmentBlobs
from postern.store.journal.files import Files
from postern.store.journal.layout import allocate_journal, journal_directory
from postern.store.journal.writer import Journal
from postern.store.sqlite.engine import SqliteStore
from postern.transport.queue import QueueStore
from postern.transport.queue_rows import Work

UNLIMITED = Quota(None, None, None)
DOMAIN = Domain("example.org")
USERS = ("anna", "boris", "chen")
MAILBOXES = {f"{name}@example.org": MailboxId(f"{number + 1:032x}") for number, name in enumerate(USERS)}
PEER = Peer("192.0.2.1", 4711, "127.0.0.1", 25, "smtp", helo="client.example.net", protocol="ESMTP")


class TickingClock:
    """Time goes on by itself, a little at each look."""

    seconds = 1_700_000_000.0

    def now(self):
        return datetime.fromtimestamp(self.timestamp(), UTC)

    def timestamp(self):
        TickingClock.seconds += 0.001  # one time for all
        return TickingClock.seconds

    def monotonic(self):
        return self.timestamp()


class CountingEntropy:
    count = 0

    def token(self, size_bytes):
        self.count += 1
        return self.count.to_bytes(size_bytes, "big")

    def below(self, limit):
        self.count += 1
        return self.count % limit


class Addresses:
    """The directory as far as mail flow asks it: three accounts and a group whose members may change."""

    def __init__(self):
        self.accounts = {
            address: Account(AccountId(number), address, "", mailbox, number, UNLIMITED)
            for number, (address, mailbox) in enumerate(MAILBOXES.items(), 1)
        }
        self.members = ("anna@example.org", "boris@example.org")

    async def resolve(self, address):
        if address.endswith("@example.org"):
            if address == "all@example.org":
                group = Group(AccountId(99), address, "", self.members)
                return Resolution(address, DOMAIN, group=group)
            return Resolution(address, DOMAIN, account=self.accounts.get(address))
        return Resolution(address, None)


class SilentTracker:
    def __init__(self):
        self.events = []

    def record(self, event, queue_id, **details):
        self.events.append((event, queue_id, details))


class MemoryBus:
    def __init__(self):
        self.numbers = {}

    def subscribe(self, slot, wake):
        return lambda: None

    def publish(self, slot, change_number):
        self.numbers[slot] = max(change_number, self.numbers.get(slot, 0))

    def current(self, slot):
        return self.numbers.get(slot, 0)


class Worker:
    """One worker's mail flow and what it stands on."""

    def __init__(self, data: Path, *, epoch=1, files=None, bus=None, directory=None, segment_bytes=1 << 16, **settings):
        self.failures = []
        self.deferred = []
        self.data = data
        self.bus = bus or MemoryBus()
        self.clock = TickingClock()
        self.files = files or Files()
        journals = journal_directory(data)
        self.directory = directory or Addresses()
        self.tracker = SilentTracker()
        self.blobs = SegmentBlobs(journals)
        self.store = SqliteStore(data, self.blobs, self.bus, self.clock, epoch, reserve_bytes=0)
        self.queue = QueueStore(data / "queue.db", self.clock, CountingEntropy())
        number = allocate_journal(journals, self.files)
        self.journal = Journal(
            journals, number, self.clock, self.failures.append, files=self.files, segment_bytes=segment_bytes
        )
        options = {"retry_s": 0.02, "mark_interval_s": 3600.0, "close_s": 2.0, "linger_s": 0.002, **settings}
        self.flow = Mailflow(
            self.journal,
            self.store,
            self.directory,
            self.queue,
            self.tracker,
            self.clock,
            self.failures.append,
            MailflowSettings("mx.example.org", **options),
        )

    async def create(self):
        for number, mailbox in enumerate(MAILBOXES.values(), 1):
            await self.store.create_mailbox(mailbox, number, UNLIMITED)
        await self.queue.length()

    async def submit(self, number, recipients, sender="sender@example.net", size=200, notify=""):
        envelope = Envelope(sender, tuple(Recipient(address, notify) for address in recipients))
        routes = [await self.flow.check_recipient(a, None, PEER, 0, may_relay=True) for a in recipients]
        return await self.flow.submit(envelope, PEER, routes, content(number, size))

    async def queue_live(self, segments):
        return {segment: await self.queue.live(segment) for segment in segments}

    async def drain_queue(self):
        """Deliver the copies that a mailbox could not take at once: the queue runner's part."""
        while claims := await self.queue.claim("test", 100):
            for claim in claims:
                results = {}
                for waiting in claim.recipients:
                    if waiting.work is not Work.MAILBOX:
                        await self.queue.put_back([waiting.id], 1e6)
                        continue
                    copy = LocalCopy(
                        claim.queue_id,
                        claim.key,
                        MailboxId(waiting.target),
                        waiting.recipient,
                        waiting.reverse_path,
                        claim.content,
                        claim.received_at,
                    )
                    await CopyDelivery(self.store).deliver(copy)
                    results[waiting.id] = Result(Fate.DELIVERED, "2.0.0")
                if results:
                    await self.queue.settle(claim, results)
                    self.deferred.append(claim.queue_id)

    async def settled(self):
        await asyncio.wait_for(self.journal.all_applied(), 60)

    async def die(self):
        """Like a killed process, as far as one can within one: nothing more is written, files are let go."""
        await self.flow._applier.stop()
        await self.journal.abandon()
        await self.store.close()
        with contextlib.suppress(apsw.Error):
            await self.queue.close()
        self.blobs.close()

    async def close(self):
        await self.flow.close()
        await self.store.close()
        await self.queue.close()
        self.blobs.close()


def content(number, size=200):
    head = f"From: sender@example.net\r\nSubject: message {number}\r\nMessage-ID: <{number}@example.net>\r\n\r\n"
    return head.encode() + (b"%08d\r\n" % number) * (size // 10)


async def inventory(worker, address, use=SpecialUse.INBOX, *, bodies=True):
    """UID -> (number, flags, MODSEQ) of everything in a folder; with `bodies` each body is read and compared."""
    mailbox = await worker.store.mailbox(MAILBOXES[address])
    folder = await mailbox.special(use)
    found = {}
    async for rows in mailbox.items(folder.id, Columns.UID | Columns.FLAGS | Columns.MODSEQ | Columns.SUBJECT):
        for uid, flags, modseq, subject in rows:
            number = int(subject.split()[1])
            assert uid not in found
            found[uid] = (number, flags, modseq)
            if not bodies:
                continue
            try:
                whole = await mailbox.read(folder.id, uid)
            except Refusal as refusal:
                if refusal.reason is not Reason.NO_SUCH_ITEM:
                    raise
                del found[uid]  # another session has just expunged it
                continue
            start = whole.index(content(number, 0))
            assert whole[start:] == content(number, len(whole) - start - len(content(number, 0)))
    return found
