"""Full disks, damaged files, power cuts, many files: specific refusals, and nothing lost or numbered twice."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
from pathlib import Path

import pytest
from store_world import MAILBOX, OTHER, UNLIMITED, World, all_rows, delivery, fill, item, message

from postern.model.ids import DeliveryKey, FolderId, MailboxId
from postern.model.items import Columns, Flag, Quota, SpecialUse
from postern.model.refusal import Refusal
from postern.store.interface import Delivery, FlagChange, Mailbox
from postern.store.sqlite import host, transfer, upkeep
from postern.store.sqlite import mailbox as engine_mailbox
from postern.store.sqlite.connection import DurabilityLost, wal_path
from postern.store.sqlite.engine import SqliteStore
from postern.store.sqlite.reserve import Reserve

ALL = [(0, 2**32)]


def file_of(data: Path) -> Path:
    return data / "mailboxes" / MAILBOX[:2] / f"{MAILBOX}.db"


class PowerCuts:
    """Remembers a mailbox's files as of the last sync, and starts a store over what a power cut would leave."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self._world = world
        self._cuts = 0
        self.syncs = 0
        self.data = world.data
        self.disk = self._read()
        monkeypatch.setattr(engine_mailbox, "sync_wal", self._sync)
        # a checkpoint beside our reading would give us a disk that never was
        monkeypatch.setattr(host, "CHECKPOINT_PAGES", 1 << 40)

    def _read(self) -> dict[str, bytes]:
        path = file_of(self.data)
        return {p.name: p.read_bytes() for p in (path, wal_path(path)) if p.exists()}

    def _sync(self, path: Path) -> None:
        self.syncs += 1
        self.disk = self._read()

    def cut(self, epoch: int) -> SqliteStore:
        self._cuts += 1
        self.data = self._world.data / f"after{self._cuts}"
        path = file_of(self.data)
        path.parent.mkdir(parents=True)
        for name, data in self.disk.items():
            (path.parent / name).write_bytes(data)
        self._world.bus.numbers.clear()
        return SqliteStore(self.data, self._world.blobs, self._world.bus, self._world.clock, epoch)


async def modseqs(mailbox: Mailbox, inbox: FolderId) -> list[tuple[int, int]]:
    return [row async for rows in mailbox.items(inbox, Columns.UID | Columns.MODSEQ) for row in rows]


@pytest.mark.parametrize("burst", [1, 30, 3000])
async def test_numbers_never_repeat_after_power_cuts(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch, burst: int
) -> None:
    power = PowerCuts(world, monkeypatch)
    new = item(world.blobs, message(1))
    uids: set[int] = set()
    changes: set[int] = set()
    store, box = world.store, mailbox
    for epoch in range(2, 7):
        for n in range(4):
            placed = [p.uid for p in await box.add(inbox, [new] * burst)]
            assert not uids & set(placed)
            uids.update(placed)
            number = await box.change_number()
            assert number not in changes
            changes.add(number)
            if n % 2:
                await asyncio.sleep(0.01)
        top, last = number, placed[-1]
        assert (await box.folder(inbox)).uid_next == last + 1
        if epoch > 2:
            await store.close()
        store = power.cut(epoch)  # type: ignore[assignment]
        box = await store.mailbox(MAILBOX)
        assert await box.change_number() >= top
        assert (await box.folder(inbox)).uid_next > last
        # who saw commits that are lost now has to compare everything
        lost = set(placed) - set((await box.view(inbox)).uids)
        assert (await box.changes(inbox, top)).complete is not bool(lost)
    await store.close()


async def test_reservations_are_renewed_before_they_are_used_up(
    world: World, mailbox: Mailbox, inbox: FolderId
) -> None:
    new = item(world.blobs, message(1))
    for _ in range(12):
        placed = await mailbox.add(inbox, [new] * 1000)
    assert placed[-1].uid > 12_000
    await asyncio.gather(*(mailbox.add(inbox, [new] * 900) for _ in range(8)))
    for n in range(5000):
        await mailbox.set_flags(inbox, [(placed[0].uid, placed[0].uid)], FlagChange(add=n % 2, replace=True))
    assert (await mailbox.folder(inbox)).messages == 12_000 + 7200


async def test_what_is_durable_survives(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    power = PowerCuts(world, monkeypatch)
    await fill(world, 3)
    await asyncio.gather(*(mailbox.durable() for _ in range(20)))
    assert power.syncs <= 2, "callers share a sync"
    await mailbox.durable()
    assert power.syncs <= 2, "nothing was written since"
    await mailbox.add(inbox, [item(world.blobs, message(1))])
    store = power.cut(1)
    assert (await (await store.mailbox(MAILBOX)).folder(inbox)).messages == 3
    await store.close()


async def test_a_lost_flag_hands_its_item_back_to_the_commit_before(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen and never confirmed may be undone by a power cut; no later commit takes the number it had."""
    power = PowerCuts(world, monkeypatch)
    one, two = await mailbox.add(inbox, [item(world.blobs, message(n)) for n in (1, 2)])
    made = await mailbox.change_number()
    await mailbox.durable()
    flagged = await mailbox.set_flags(inbox, [(two.uid, two.uid)], FlagChange(add=Flag.FLAGGED))
    assert [row[1] for row in await modseqs(mailbox, inbox)] == [made, flagged.change_number]
    store = power.cut(2)
    box = await store.mailbox(MAILBOX)
    assert await modseqs(box, inbox) == [(one.uid, made), (two.uid, made)]
    again = await box.set_flags(inbox, [(one.uid, one.uid)], FlagChange(add=Flag.SEEN))
    assert again.change_number > flagged.change_number
    assert not (await box.changes(inbox, flagged.change_number)).complete, "who saw the flag must compare everything"
    await store.close()


async def test_a_failed_sync_is_never_retried(world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch) -> None:
    def fail(fd: int) -> None:
        raise OSError(5, "Input/output error")

    await fill(world, 1)
    monkeypatch.setattr(os, "fdatasync", fail)
    told: list[Exception] = []
    world.store.tell_when_lost(told.append)  # type: ignore[attr-defined]
    with pytest.raises(DurabilityLost):
        await mailbox.durable()
    monkeypatch.undo()
    with pytest.raises(DurabilityLost):
        await mailbox.durable()
    with pytest.raises(DurabilityLost):
        await mailbox.add(inbox, [item(world.blobs, message(1))])
    with pytest.raises(DurabilityLost):
        await world.store.sync_dirty()  # type: ignore[attr-defined]
    assert len(told) == 1  # the worker ends


async def test_sync_dirty(world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch) -> None:
    from postern.store.sqlite import engine

    synced: list[Path] = []
    monkeypatch.setattr(engine, "sync_wal", synced.append)
    await fill(world, 1)
    await world.store.sync_dirty()  # type: ignore[attr-defined]
    assert synced == [file_of(world.data)]
    await world.store.sync_dirty()  # type: ignore[attr-defined]
    assert len(synced) == 1


async def test_deleting_works_on_a_full_disk(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    uids = await fill(world, 300)
    db = world.store._host.database(file_of(world.data))  # type: ignore[attr-defined]
    pages = db.pragma("page_count")
    db.pragma("max_page_count", pages)
    assert world.store._host.reserve.ensure()  # type: ignore[attr-defined]
    big = [item(world.blobs, message(n, "x" * 100, "y" * 3000)) for n in range(50)]
    with pytest.raises(Refusal, match="disk_full"):
        await mailbox.add(inbox, big)
    (refused,) = await world.store.deliver([Delivery(MAILBOX, DeliveryKey(5, 5), big[0], uid=None)] * 1)
    assert refused.placement is not None or "disk_full" in str(refused.refusal)
    # moving to Recoverable Items would need pages: the items go for good instead
    gone = await mailbox.expunge(inbox, [(uids[0], uids[-1])], only_deleted=False)
    assert list(gone) == uids
    assert (world.data / "reserve").stat().st_blocks, "what is left is taken back before anybody else has it"
    db.pragma("max_page_count", 1 << 30)
    assert (await mailbox.folder(inbox)).messages <= 1
    assert (await mailbox.add(inbox, big))[0].uid > uids[-1]


async def test_what_comes_while_slices_go_stays(world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch) -> None:
    """A folder that is emptied on a full disk loses what was there, not what is delivered meanwhile."""
    uids = await fill(world, 7)
    later: list[int] = []

    async def empty_log(_: Path) -> None:
        (result,) = await world.store.deliver([delivery(world.blobs, 100 + len(later))])
        assert result.placement
        later.append(result.placement.uid)

    monkeypatch.setattr(world.store._host, "empty_log", empty_log)  # type: ignore[attr-defined]
    monkeypatch.setattr("postern.store.sqlite.mailbox.FULL_DISK_SLICE", 2)
    gone = await mailbox._expunge_in_slices(inbox, None, only_deleted=False)  # type: ignore[attr-defined]
    assert list(gone) == uids
    assert len(later) == 3
    assert (await mailbox.folder(inbox)).messages == 3


async def test_the_reserve_comes_and_goes(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve", 1 << 20)
    assert not reserve.release()
    assert reserve.ensure()
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 1 << 20
    assert reserve.release()
    assert (tmp_path / "reserve").stat().st_blocks == 0
    assert reserve.ensure()


def free(monkeypatch: pytest.MonkeyPatch, octets: int) -> None:
    real = os.statvfs

    def statvfs(path: Path) -> os.statvfs_result:
        told = list(real(path))
        told[1], told[4] = 4096, octets // 4096
        return os.statvfs_result(told)

    monkeypatch.setattr(os, "statvfs", statvfs)


async def test_the_reserve_grows_as_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk without plenty of room there is a smaller one: none was set aside, and nothing could be deleted."""
    reserve, path = Reserve(tmp_path / "reserve", 16 << 20), tmp_path / "reserve"
    free(monkeypatch, 100 << 10)
    assert not reserve.ensure()
    assert not path.exists()
    free(monkeypatch, 4 << 20)
    assert not reserve.ensure()
    assert path.stat().st_blocks * 512 == 2 << 20
    free(monkeypatch, 2 << 20)
    assert not reserve.ensure()
    assert path.stat().st_blocks * 512 == 2 << 20, "half of what it leaves"
    free(monkeypatch, 0)
    assert not reserve.ensure()
    free(monkeypatch, 30 << 20)
    assert reserve.ensure()
    assert path.stat().st_blocks * 512 == 16 << 20
    free(monkeypatch, 0)
    assert reserve.ensure()
    assert reserve.release()
    free(monkeypatch, 10 << 20)
    assert not reserve.take_back()
    assert path.stat().st_blocks * 512 == 10 << 20, "all that the deletion has left"
    assert reserve.release()
    free(monkeypatch, 40 << 20)
    assert not Reserve(path, 64 << 20).take_back()
    assert path.stat().st_blocks * 512 == 20 << 20, "of what was never given up half is enough"


@pytest.mark.parametrize("damage", ["rubbish", "empty", "newer", "middle"])
async def test_a_damaged_file_is_refused_alone(world: World, mailbox: Mailbox, inbox: FolderId, damage: str) -> None:
    await world.store.create_mailbox(OTHER, 2, UNLIMITED)
    await fill(world, 200)
    await world.store.close()
    path = file_of(world.data)
    upkeep.backfill(path)
    upkeep.restart_log(path)
    upkeep.backfill(path)
    data = bytearray(path.read_bytes())
    if damage == "rubbish":
        data[:] = b"not a mailbox" * 1000
    elif damage == "empty":
        data.clear()
    elif damage == "newer":
        data[60:64] = (99).to_bytes(4, "big")
    else:
        data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    for side in ("-wal", "-shm"):
        path.with_name(path.name + side).unlink(missing_ok=True)
    store = world.reopen(1)
    with pytest.raises(Refusal, match="corrupt"):
        box = await store.mailbox(MAILBOX)
        await box.view(inbox)
    results = await store.deliver([delivery(world.blobs, 900), delivery(world.blobs, 901, OTHER)])
    assert "corrupt" in str(results[0].refusal)
    assert results[1].placement is not None
    with pytest.raises(Refusal):
        await store.live([1])  # type: ignore[attr-defined]


async def test_a_newer_file_is_not_repaired(world: World, mailbox: Mailbox) -> None:
    await fill(world, 3)
    await world.store.close()
    path = file_of(world.data)
    upkeep.backfill(path)
    data = bytearray(path.read_bytes())
    data[60:64] = (99).to_bytes(4, "big")
    path.write_bytes(data)
    for side in ("-wal", "-shm"):
        path.with_name(path.name + side).unlink(missing_ok=True)
    store = world.reopen(1)
    with pytest.raises(Refusal, match=r"written by a newer Postern \(layout 99"):
        await store.repair(MAILBOX, lambda _segment, _record: None, lambda: False)  # type: ignore[attr-defined]
    assert path.read_bytes() == data
    data[60:64] = b"\xa5" * 4
    path.write_bytes(data)
    await store.repair(MAILBOX, lambda _segment, _record: None, lambda: False)  # type: ignore[attr-defined]
    assert len(await (await store.mailbox(MAILBOX)).folders()) > 5


async def test_a_read_only_file(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    uids = await fill(world, 2)
    world.store._host.database(file_of(world.data)).execute("PRAGMA query_only = 1")  # type: ignore[attr-defined]
    with pytest.raises(Refusal, match="read_only"):
        await mailbox.add(inbox, [item(world.blobs, message(1))])
    (result,) = await world.store.deliver([delivery(world.blobs, 9)])
    assert "read_only" in str(result.refusal)
    assert (await mailbox.view(inbox)).uids.tolist() == uids


async def test_creating(world: World, mailbox: Mailbox) -> None:
    with pytest.raises(Refusal, match="already_exists"):
        await world.store.create_mailbox(MAILBOX, 1, UNLIMITED)
    with pytest.raises(Refusal, match="bad_value"):
        await world.store.create_mailbox(MailboxId("../../../etc/passwd"), 1, UNLIMITED)
    with pytest.raises(Refusal, match="no_such_recipient"):
        await world.store.delete_mailbox(OTHER)


async def test_few_files_are_open_however_many_mailboxes(world: World) -> None:
    store = SqliteStore(world.data, world.blobs, world.bus, world.clock, 1, max_open=4)
    names = [MailboxId(f"{n:032x}") for n in range(12)]
    for n, name in enumerate(names):
        await store.create_mailbox(name, n + 1, Quota(None, None, None))
    for n in range(3):
        results = await store.deliver([delivery(world.blobs, n, name) for name in names])
        assert all(r.placement for r in results)
    assert store._host.open_files() <= 4
    for name in names:
        box = await store.mailbox(name)
        assert (await box.special(SpecialUse.INBOX)).messages == 3
        await box.durable()
    await store.close()


async def test_files_that_nobody_uses_are_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "LOOK_S", 0.03)
    monkeypatch.setattr(host, "CLOSED_TOGETHER", 2)
    names = [MailboxId(f"{n:032x}") for n in range(6)]
    store = SqliteStore(world.data, world.blobs, world.bus, world.clock, 1)
    for n, name in enumerate(names):
        await store.create_mailbox(name, n + 1, Quota(None, None, None))
    await store.deliver([delivery(world.blobs, 0, name) for name in names])
    boxes = [await store.mailbox(name) for name in names]
    while store._host.open_files() != 1:
        assert (await boxes[1].special(SpecialUse.INBOX)).messages == 1
        await asyncio.sleep(0.02)
    await store.deliver([delivery(world.blobs, 1, names[0])])
    assert [(await box.special(SpecialUse.INBOX)).messages for box in boxes] == [2, 1, 1, 1, 1, 1]
    while store._host.open_files():
        await asyncio.sleep(0.02)
    await store.close()


@pytest.mark.parametrize("many", [3, 64])
async def test_many_open_files_are_closed_sooner(world: World, monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    monkeypatch.setattr(host, "LOOK_S", 0.05)
    monkeypatch.setattr(host, "UNUSED_LOOKS", 1 << 30)
    monkeypatch.setattr(host, "MANY_OPEN", many)
    names = [MailboxId(f"{n:032x}") for n in range(6)]
    store = SqliteStore(world.data, world.blobs, world.bus, world.clock, 1)
    for n, name in enumerate(names):
        await store.create_mailbox(name, n + 1, Quota(None, None, None))
    await store.deliver([delivery(world.blobs, 0, name) for name in names])
    for _ in range(200):
        if store._host._looks >= 8 or not store._host.open_files():
            break
        await asyncio.sleep(0.02)
    assert store._host.open_files() == (0 if many < len(names) else len(names))
    await store.close()


async def test_memory_that_threads_have_freed_is_given_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MB in blocks between others that stay: the C library keeps them unless it is asked."""
    monkeypatch.setattr(host, "LOOK_S", 0.03)
    monkeypatch.setattr(host, "QUIET_USES", 0)
    asked: list[int] = []
    library = ctypes.CDLL(None)
    give_back = library.malloc_trim

    def trim(pad: int) -> int:
        asked.append(pad)
        return int(give_back(pad))

    monkeypatch.setattr(host, "_trim", trim)
    library.malloc.restype = ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    store = SqliteStore(world.data, world.blobs, world.bus, world.clock, 1)
    stay: list[int] = []

    def work() -> None:
        blocks = []
        for _ in range(1000):
            blocks.append(library.malloc(64 << 10))
            ctypes.memset(blocks[-1], 1, 64 << 10)
            # as large: a small one would come from what others freed elsewhere, and hold nothing apart
            stay.append(library.malloc(64 << 10))
        for block in blocks:
            library.free(block)

    before = resident_mb()
    await store._host.in_thread(work)
    held = resident_mb()
    async with asyncio.timeout(60):
        while not store._host._kept_memory:
            await asyncio.sleep(0.02)
    assert not asked, "not while there is much to do"
    monkeypatch.setattr(host, "QUIET_USES", 100)
    async with asyncio.timeout(60):
        while resident_mb() > max(held - 40, before + 24):
            await asyncio.sleep(0.05)
    async with asyncio.timeout(60):
        while store._host._looking is not None:  # nothing is open: nothing to look at
            await asyncio.sleep(0.05)
    assert 1 <= len(asked) <= 2
    for block in stay:
        library.free(block)
    await store.close()


def resident_mb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


async def test_the_log_is_checkpointed_off_the_loop(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    new = [item(world.blobs, message(n, subject="z" * 3000)) for n in range(100)]
    for _ in range(60):
        await mailbox.add(inbox, new)
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0.02)
        if not world.store._host._running:  # type: ignore[attr-defined]
            break
    for _ in range(3):
        await mailbox.add(inbox, new[:1])
    assert world.store._host._pages[file_of(world.data)] < host.CHECKPOINT_PAGES * 5, "never started anew"  # type: ignore[attr-defined]
    copy = world.data / "copy.db"
    shutil.copy(file_of(world.data), copy)
    assert copy.stat().st_size > 60 * 100 * 3000
    assert (await mailbox.folder(inbox)).messages == 6003


async def test_flags_while_somebody_writes(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    """A long transaction in a thread makes the loop's own wait, not fail."""
    await fill(world, 3000)
    (uid, *_), *_ = await all_rows(mailbox, inbox, Columns.UID)
    results = await asyncio.gather(
        mailbox.set_flags(inbox, ALL, FlagChange(add=Flag.SEEN)),
        mailbox.set_flags(inbox, [(uid, uid)], FlagChange(add=Flag.FLAGGED)),
        mailbox.add(inbox, [item(world.blobs, message(1))]),
    )
    assert len({r.change_number for r in results[:2]}) == 2  # type: ignore[union-attr]
    folder = await mailbox.folder(inbox)
    assert (folder.messages, folder.unseen <= 1) == (3001, True)


async def test_below_the_horizon_changes_are_incomplete(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = await fill(world, 30)
    then = await mailbox.change_number()
    numbers = []
    for uid in uids:
        await mailbox.expunge(inbox, [(uid, uid)], only_deleted=False)
        numbers.append(await mailbox.change_number())
    monkeypatch.setattr(transfer.prune_tombstones, "__defaults__", (10,))
    await mailbox.purge_recoverable(0)
    assert not (await mailbox.changes(inbox, then)).complete
    assert not (await mailbox.changes(inbox, numbers[18])).complete
    kept = await mailbox.changes(inbox, numbers[19])
    assert kept.complete
    assert list(kept.vanished) == uids[20:]
