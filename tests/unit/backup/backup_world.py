"""A worker on a data directory, backups of it, and a second worker on what is restored."""

import asyncio
import contextlib

from crash.organisation import MAILBOXES, Worker, content, inventory
from postern.backup.repository import open_repository
from postern.backup.taking import Taking
from postern.backup.whole import Restoring
from postern.net.clock import SystemClock, SystemEntropy
from postern.services.replaying import Replayer
from postern.store.journal.layout import journal_directory
from postern.store.journal.marks import orphans

ENTROPY = SystemEntropy()


class World:
    def __init__(self, path, secret=None):
        self.path = path
        self.data = path / "data"
        self.secret = secret
        self.worker = None

    async def start(self):
        self.worker = Worker(self.data)
        await self.worker.create()
        self.worker.flow.start()

    async def stop(self):
        if self.worker is not None:
            await self.worker.close()

    def repository(self, make=False, name="repository"):
        return open_repository(self.path / name, ENTROPY, self.secret, make=make)

    def take(self, **options):
        repository = self.repository(make=True)
        with repository.locked(alone=True):
            return Taking(repository, self.data, SystemClock(), **options).run()

    def restore(self, name="restored", snapshot=None):
        repository = self.repository()
        with repository.locked(alone=False):
            snapshot = snapshot or repository.snapshots()[-1]
            return Restoring(repository, snapshot, self.path / name, 1_800_000_000).run()


@contextlib.asynccontextmanager
async def started(data, epoch=100):
    """What a start does after a crash: every journal that nobody owns is replayed."""
    worker = Worker(data, epoch=epoch)
    worker.flow.start()
    try:
        flow = worker.flow
        replayer = Replayer(
            worker.journal, worker.store, flow._applier, flow._marks, worker.clock, worker.failures.append
        )
        for journal in orphans(journal_directory(data)):
            await replayer.replay(journal)
        await worker.drain_queue()
        await worker.settled()
        yield worker
        assert worker.failures == []
    finally:
        await worker.close()


async def numbers(worker, address):
    """Numbers of the messages in an inbox, with repetitions; every body was read and compared."""
    return sorted(number for number, _, _ in (await inventory(worker, address)).values())


__all__ = ["MAILBOXES", "World", "asyncio", "content", "numbers", "started"]
