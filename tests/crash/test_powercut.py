"""Power cuts at every kind of moment: in traffic, in replay, in garbage collection, in checkpoints."""

import asyncio
import logging
import os
import random
import shutil

import apsw
import pytest

from crash.model import Promises, Traffic
from crash.organisation import Worker
from crash.powercut import Disk, PowerCut, PowerCutFiles, PowerCutVFS, Syncs
from postern.store.journal.collect import Collector
from postern.store.journal.layout import journal_directory
from postern.store.journal.marks import orphans

CUTS = int(os.environ.get("POSTERN_POWER_CUTS", "1000"))
CHAIN = 25
"""Cuts that one data directory lives through."""
PARTS = 4
"""Data directories have nothing to do with each other: they are shared out to workers."""


@pytest.fixture
def vfs(monkeypatch):
    # tasks that a power cut interrupts have nobody to tell it to
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)
    vfs = PowerCutVFS()
    monkeypatch.setattr(os, "fsync", Syncs(vfs))
    monkeypatch.setattr(os, "fdatasync", Syncs(vfs))
    default = apsw.vfs_names()[0]
    apsw.set_default_vfs("powercut")
    yield vfs
    apsw.set_default_vfs(default)
    vfs.unregister()


async def live_one(root, target, vfs, promises, rng, epoch):
    """Start on what the last cut left, replay, check, work, until the power goes; whether it came to the check."""
    loop = asyncio.get_running_loop()
    dark = asyncio.Event()
    disk = Disk(root, rng, lambda: loop.call_soon_threadsafe(dark.set))
    disk.target = target
    disk.cut_at = rng.choice((rng.randint(1, 60), rng.randint(1, 400), rng.randint(100, 800)))
    vfs.disks = [disk]
    files = PowerCutFiles(disk)
    worker = None
    progress = []
    try:
        worker = Worker(root, epoch=epoch, files=files, segment_bytes=rng.choice((1 << 14, 1 << 16)))
        life = asyncio.create_task(work(worker, disk, promises, rng, progress))
        waiting = asyncio.create_task(dark.wait())
        await asyncio.wait((life, waiting), return_when=asyncio.FIRST_COMPLETED, timeout=20)
        alive = not disk.dead
        disk.cut()
        life.cancel()
        waiting.cancel()
        (outcome,) = await asyncio.gather(life, return_exceptions=True)
        if isinstance(outcome, AssertionError) or (alive and isinstance(outcome, BaseException)):
            raise outcome
    except PowerCut:
        pass
    finally:
        disk.cut()
        if worker is not None:
            await worker.die()
        vfs.disks = []
    return bool(progress)


async def work(worker, disk, promises, rng, progress):
    worker.flow.start()
    journals = journal_directory(worker.data)
    left = [journal for journal in orphans(journals) if journal != worker.journal.id]
    rng.shuffle(left)
    if rng.random() < 0.5:
        await asyncio.gather(*(worker.flow.replay(journal) for journal in left))
    else:
        for journal in left:
            await worker.flow.replay(journal)
    await worker.settled()
    await worker.drain_queue()
    await promises.check(worker)
    progress.append("checked")
    traffic = Traffic(worker, promises, rng, lambda: not disk.dead)
    collector = Collector(journals, [worker.store.live, worker.queue_live], worker.files, 0.01)
    while True:
        await traffic.run(rng.randint(1, 25))
        if rng.random() < 0.4:
            await worker.flow.advance_mark()
            await collector.collect()
        if rng.random() < 0.1:
            for path in worker.store.mailbox_paths():
                worker.store._host.checkpoint_soon(path)


@pytest.mark.crash
@pytest.mark.timeout(600)
@pytest.mark.slow(15)
@pytest.mark.parametrize("part", range(PARTS))
async def test_power_cuts_lose_nothing_and_double_nothing(vfs, room, part):
    seed = int(os.environ.get("POSTERN_SEED", "0")) or random.randrange(1 << 32)
    print(f"POSTERN_SEED={seed}")
    rng = random.Random(seed + part)
    cuts = CUTS * (part + 1) // PARTS - CUTS * part // PARTS
    checked = accepted = 0
    for chain in range(-(-cuts // CHAIN)):
        base = room / f"{chain}-0"
        first = Worker(base)
        await first.create()
        await first.close()
        promises = Promises()
        for cut in range(min(CHAIN, cuts - chain * CHAIN)):
            target = room / f"{chain}-{cut + 1}"
            target.mkdir()
            checked += await live_one(base, target, vfs, promises, rng, epoch=2 + cut)
            shutil.rmtree(base)
            base = target
        accepted += len(promises.accepted)
    assert accepted > cuts // 2, "too little got through to prove anything"
    assert checked > cuts * 0.3 - 10
