"""When the loop syncs by itself: on a disk that is fast, and for a while no more from a slow sync on."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest
from store_world import ManualClock, World, fill, item, message

from postern.model.ids import FolderId
from postern.model.items import Flag
from postern.store.interface import FlagChange, Mailbox
from postern.store.journal.files import Files, JournalFailedError
from postern.store.journal.layout import allocate_journal
from postern.store.journal.records import Kind
from postern.store.journal.writer import Journal
from postern.store.pace import FAST_S, LONGEST_PAUSE_S, PAUSE_S, SHOWN, SLOW_S, Pace, Processor
from postern.store.sqlite import mailbox as engine_mailbox
from postern.store.sqlite.connection import DurabilityLost
from postern.store.sqlite.host import SYNC_HERE_PAGES


class Disk:
    """Its syncs take as long as it is told; so does the time that `Pace` sees."""

    def __init__(self) -> None:
        self.time = 100.0
        self.takes = FAST_S / 2
        self.threads: list[str] = []
        self.broken = False

    def now(self) -> float:
        return self.time

    def sync(self, *_: object) -> None:
        self.threads.append(threading.current_thread().name)
        self.time += self.takes
        if self.broken:
            raise OSError(errno.EIO, "sync")


HERE = threading.current_thread().name


def without_waits() -> float:
    return 0.0


def fast_until_slow(disk: Disk, pace: Pace, limit: int = 1000) -> int:
    """How many syncs the loop makes until it leaves them to a thread."""
    for count in range(limit):
        if not pace.fast:
            return count
        pace.sync(disk.sync)
    return limit


def test_a_loop_syncs_while_the_disk_is_fast() -> None:
    disk = Disk()
    assert fast_until_slow(disk, Pace(disk.now, without_waits)) == 1000


def test_one_slow_sync_ends_it_for_a_moment() -> None:
    disk = Disk()
    pace = Pace(disk.now, without_waits)
    for _ in range(SHOWN):
        pace.sync(disk.sync)
    disk.takes = SLOW_S * 1.1
    assert fast_until_slow(disk, pace) == 1
    disk.time += PAUSE_S * 0.9
    assert not pace.fast
    disk.time += PAUSE_S * 0.2
    disk.takes = FAST_S / 2
    assert fast_until_slow(disk, pace, 100) == 100


def test_a_disk_that_becomes_a_little_slower_is_noticed() -> None:
    disk = Disk()
    pace = Pace(disk.now, without_waits)
    for _ in range(SHOWN):
        pace.sync(disk.sync)
    disk.takes = FAST_S * 1.5
    assert 1 < fast_until_slow(disk, pace) < 15


def test_a_slow_disk_holds_the_loop_up_seldom() -> None:
    disk = Disk()
    pace = Pace(disk.now, without_waits)
    disk.takes = SLOW_S * 3
    began = disk.time
    held = 0
    while disk.time < began + 3600.0:
        held += fast_until_slow(disk, pace)
        disk.time += 0.05
    assert held < 12 + 3600 / LONGEST_PAUSE_S
    disk.takes = FAST_S / 2  # and it is seen that it is fast again
    disk.time += LONGEST_PAUSE_S
    assert fast_until_slow(disk, pace) == 1000


def test_waiting_for_a_processor_is_not_the_disks_time() -> None:
    disk = Disk()
    waited = [0.0]

    def beside_others() -> None:
        disk.sync()
        disk.time += SLOW_S
        waited[0] += SLOW_S

    pace = Pace(disk.now, lambda: waited[0])
    for _ in range(100):
        pace.sync(beside_others)
    assert pace.fast


def test_on_a_fast_disk_nobody_asks_how_long_a_thread_waited() -> None:
    disk = Disk()
    asked: list[float] = []

    def waited() -> float:
        asked.append(disk.time)
        return 5.0 * len(asked)  # much between two looks

    pace = Pace(disk.now, waited)
    assert fast_until_slow(disk, pace, SHOWN * 4) == SHOWN * 4
    assert len(asked) == SHOWN
    # what was waited since may have been in this sync; of the next one it is known
    waits = [0.0]
    pace = Pace(disk.now, lambda: waits[0])
    assert fast_until_slow(disk, pace, SHOWN * 4) == SHOWN * 4
    waits[0] += 5.0
    disk.takes = SLOW_S * 2
    assert fast_until_slow(disk, pace) == 2


def test_how_long_a_thread_waited_for_a_processor() -> None:
    processor = Processor()
    before = processor.waited()
    assert 0.0 <= before <= processor.waited()


def test_where_waiting_is_not_known_it_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> int:
        raise FileNotFoundError

    monkeypatch.setattr(os, "open", missing)
    processor = Processor()
    assert processor.waited() == processor.waited() == 0.0


def test_a_failed_sync_is_the_callers() -> None:
    disk = Disk()
    pace = Pace(disk.now, without_waits)
    disk.broken = True
    with pytest.raises(OSError, match="sync"):
        pace.sync(disk.sync)


# --- the journal


class FilesOnDisk(Files):
    def __init__(self, disk: Disk) -> None:
        self.disk = disk

    def sync(self, descriptor: int) -> None:
        self.disk.sync()


def journal_on(path: Path, disk: Disk, failures: list[OSError]) -> Journal:
    number = allocate_journal(path)
    return Journal(
        path, number, ManualClock(), failures.append, files=FilesOnDisk(disk), pace=Pace(disk.now, without_waits)
    )


async def threads_of(journal: Journal, disk: Disk, count: int) -> list[str]:
    """Which threads synced so many records that come one after the other."""
    disk.threads.clear()
    for _ in range(count):
        await journal.append(Kind.APPEND, b"", b"body")
    return disk.threads


async def test_a_journal_on_a_fast_disk_syncs_in_the_loop(tmp_path: Path) -> None:
    disk = Disk()
    journal = journal_on(tmp_path, disk, [])
    assert set((await threads_of(journal, disk, SHOWN + 1))[1:]) == {HERE}  # the first makes the file
    before = journal.syncs
    await asyncio.gather(*(journal.append(Kind.APPEND, b"", b"body") for _ in range(100)))
    assert journal.syncs - before <= 2
    disk.takes = SLOW_S * 2
    assert (await threads_of(journal, disk, 10)).count(HERE) == 1
    disk.takes, disk.time = FAST_S / 2, disk.time + PAUSE_S
    assert (await threads_of(journal, disk, 10)).count(HERE) == 10
    disk.threads.clear()
    await asyncio.gather(*(journal.append(Kind.APPEND, b"", b"x" * 200_000) for _ in range(4)))
    assert HERE not in disk.threads  # what is much to write is written and synced in the thread
    await asyncio.gather(*(journal.append(kind, b"", b"body") for kind in (Kind.APPEND, Kind.ACCEPT)))
    assert HERE not in disk.threads  # and so is mail
    await journal.close()


async def test_a_sync_that_fails_in_the_loop_ends_the_journal(tmp_path: Path) -> None:
    disk, failures = Disk(), list[OSError]()
    journal = journal_on(tmp_path, disk, failures)
    await threads_of(journal, disk, SHOWN)
    disk.broken = True
    with pytest.raises(JournalFailedError):
        await journal.append(Kind.APPEND, b"", b"lost")
    assert disk.threads[-1] == HERE
    disk.broken = False
    with pytest.raises(JournalFailedError):
        await journal.append(Kind.ACCEPT, b"", b"later")
    assert len(failures) == 1
    await journal.abandon()


# --- mailboxes' logs


async def change(mailbox: Mailbox, inbox: FolderId, uids: list[int], turn: int) -> None:
    flags = int(Flag.FLAGGED)
    flag = FlagChange(add=flags) if turn % 2 else FlagChange(remove=flags)
    await mailbox.set_flags(inbox, [(uids[0], uids[-1])], flag)


@pytest.fixture
def disk(world: World, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    world.store._host.pace = Pace(disk.now, without_waits)  # type: ignore[attr-defined]
    monkeypatch.setattr(engine_mailbox, "sync_wal", disk.sync)
    return disk


async def test_a_log_on_a_fast_disk_is_synced_in_the_loop(
    world: World, mailbox: Mailbox, inbox: FolderId, disk: Disk
) -> None:
    uids = await fill(world, 2)
    for turn in range(10):
        await change(mailbox, inbox, uids, turn)
        await mailbox.durable()
        await mailbox.durable()  # nothing has come
    assert disk.threads == [HERE] * 10
    # much that was never synced is not waited for in the loop
    while world.store._host._pages[world.store.path(mailbox.id)] < SYNC_HERE_PAGES * 2:  # type: ignore[attr-defined]
        await mailbox.add(inbox, [item(world.blobs, message(1))] * 20)
    disk.threads.clear()
    await mailbox.durable()
    assert HERE not in disk.threads
    await change(mailbox, inbox, uids, SHOWN)
    await mailbox.durable()
    assert disk.threads[-1] == HERE


async def test_a_log_whose_sync_fails_in_the_loop_is_lost(
    world: World, mailbox: Mailbox, inbox: FolderId, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = await fill(world, 2)
    for turn in range(SHOWN):
        await change(mailbox, inbox, uids, turn)
        await mailbox.durable()
    monkeypatch.undo()
    await change(mailbox, inbox, uids, SHOWN)
    told: list[Exception] = []
    world.store.tell_when_lost(told.append)  # type: ignore[attr-defined]

    def fail(_: int) -> None:
        assert threading.current_thread().name == HERE
        raise OSError(errno.EIO, "sync")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fail)
        with pytest.raises(DurabilityLost):
            await mailbox.durable()
    with pytest.raises(DurabilityLost):
        await mailbox.durable()
    with pytest.raises(DurabilityLost):
        await change(mailbox, inbox, uids, 1)
    assert len(told) == 1
