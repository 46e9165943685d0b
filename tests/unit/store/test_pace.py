"""When the loop syncs by itself: on a disk that has shown to be fast, and no more from its first slow sync on."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from store_world import World, fill, item, message

from postern.model.ids import FolderId
from postern.model.items import Flag
from postern.store.interface import FlagChange, Mailbox
from postern.store.journal.files import Files, JournalFailedError
from postern.store.journal.layout import allocate_journal
from postern.store.journal.records import Kind
from postern.store.journal.writer import Journal
from postern.store.pace import AFTER_SLOW_S, FAST_S, SHOWN, SLOW_S, Pace
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


def shown(disk: Disk) -> Pace:
    pace = Pace(disk.now)
    for _ in range(SHOWN):
        pace.sync(disk.sync)
    assert pace.fast
    return pace


def test_a_disk_is_fast_when_enough_syncs_in_a_row_were() -> None:
    disk = Disk()
    pace = Pace(disk.now)
    for _ in range(SHOWN - 1):
        pace.sync(disk.sync)
    disk.takes = FAST_S * 1.1
    pace.sync(disk.sync)
    assert not pace.fast
    disk.takes = FAST_S / 2
    for _ in range(SHOWN - 1):
        pace.sync(disk.sync)
    assert not pace.fast
    pace.sync(disk.sync)
    assert pace.fast


def test_one_slow_sync_ends_it_for_a_while() -> None:
    disk = Disk()
    pace = shown(disk)
    disk.takes = SLOW_S * 1.1
    pace.sync(disk.sync)
    assert not pace.fast
    ended, disk.takes = disk.time, FAST_S / 10
    while not pace.fast:
        pace.sync(disk.sync)
        disk.time += 0.01
    assert disk.time - ended > AFTER_SLOW_S


def test_a_disk_that_becomes_a_little_slower_is_noticed() -> None:
    disk = Disk()
    pace = shown(disk)
    disk.takes = SLOW_S * 0.9
    for _ in range(4):
        pace.sync(disk.sync)
    assert not pace.fast


def test_a_failed_sync_shows_nothing() -> None:
    disk = Disk()
    pace = Pace(disk.now)
    disk.broken = True
    for _ in range(SHOWN * 2):
        with pytest.raises(OSError, match="sync"):
            pace.sync(disk.sync)
    assert not pace.fast


# --- the journal


class FilesOnDisk(Files):
    def __init__(self, disk: Disk) -> None:
        self.disk = disk

    def sync(self, descriptor: int) -> None:
        self.disk.sync()


class FixedClock:
    def now(self) -> datetime:
        return datetime.fromtimestamp(1_700_000_000, UTC)

    def timestamp(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        return 0.0


def journal_on(path: Path, disk: Disk, failures: list[OSError]) -> Journal:
    number = allocate_journal(path)
    return Journal(path, number, FixedClock(), failures.append, files=FilesOnDisk(disk), pace=Pace(disk.now))


async def threads_of(journal: Journal, disk: Disk, count: int) -> list[str]:
    """Which threads synced so many records that come one after the other."""
    disk.threads.clear()
    for _ in range(count):
        await journal.append(Kind.APPEND, b"", b"body")
    return disk.threads


async def test_a_journal_on_a_fast_disk_syncs_in_the_loop(tmp_path: Path) -> None:
    disk = Disk()
    journal = journal_on(tmp_path, disk, [])
    assert HERE not in (await threads_of(journal, disk, SHOWN))[-SHOWN:]
    assert set(await threads_of(journal, disk, 10)) == {HERE}
    before = journal.syncs
    await asyncio.gather(*(journal.append(Kind.APPEND, b"", b"body") for _ in range(100)))
    assert journal.syncs - before <= 2
    disk.takes = SLOW_S * 2
    assert (await threads_of(journal, disk, 10)).count(HERE) == 1
    disk.takes, disk.time = FAST_S / 2, disk.time + AFTER_SLOW_S
    assert (await threads_of(journal, disk, SHOWN + 10)).count(HERE) == 10
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
    world.store._host.pace = Pace(disk.now)  # type: ignore[attr-defined]
    monkeypatch.setattr(engine_mailbox, "sync_wal", disk.sync)
    return disk


async def test_a_log_on_a_fast_disk_is_synced_in_the_loop(
    world: World, mailbox: Mailbox, inbox: FolderId, disk: Disk
) -> None:
    uids = await fill(world, 2)
    for turn in range(SHOWN + 5):
        await change(mailbox, inbox, uids, turn)
        await mailbox.durable()
        await mailbox.durable()  # nothing has come
    assert disk.threads.count(HERE) == 5
    assert len(disk.threads) == SHOWN + 5
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
