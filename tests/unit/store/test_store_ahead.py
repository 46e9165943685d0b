"""UIDs that are taken for messages to come: given to nobody else, in order, and the same after a power cut."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest
from store_world import MAILBOX, World, all_rows, item, message

from postern.model.ids import ChangeNumber, DeliveryKey, FolderId, Uid
from postern.model.items import Columns, Quota, SpecialUse
from postern.model.refusal import Refusal
from postern.model.sync import ChangeKind, SyncPoint
from postern.store.interface import Ahead, Delivered, Delivery, Mailbox, Store
from postern.store.sqlite import host
from postern.store.sqlite import mailbox as engine_mailbox
from postern.store.sqlite.connection import wal_path
from postern.store.sqlite.engine import SqliteStore

SUBJECT = Columns.UID | Columns.SUBJECT


def appended(world: World, number: int, folder: FolderId, ahead: Ahead | None = None, **more: object) -> Delivery:
    new = item(world.blobs, message(number))
    return Delivery(MAILBOX, DeliveryKey(1, number), new, folder, ahead=ahead, takes_ahead=True, **more)  # type: ignore[arg-type]


async def place(store: Store, delivery: Delivery) -> tuple[Uid, Ahead]:
    (result,) = await store.deliver([delivery])
    assert result.placement is not None
    assert result.ahead is not None
    return result.placement.uid, result.ahead


def reopened(world: World, epoch: int) -> SqliteStore:
    """As a further start sees the mailboxes."""
    world.bus.numbers.clear()
    return SqliteStore(world.data, world.blobs, world.bus, world.clock, epoch)


async def test_the_next_message_gets_the_uid_taken_for_it(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    uid, ahead = await place(world.store, appended(world, 1, inbox))
    for number in range(2, 6):
        assert ahead.uid == uid + 1
        uid, ahead = await place(world.store, appended(world, number, inbox, ahead))
    assert [row[0] for row in await all_rows(mailbox, inbox, Columns.UID)] == list(range(uid - 4, uid + 1))
    assert (await mailbox.folder(inbox)).uid_next == uid + 1


async def test_a_batch_takes_as_many_above_all_it_gives(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    first = await world.store.deliver([appended(world, n, inbox) for n in range(4)])
    uids = [result.placement.uid for result in first if result.placement]
    aheads = [result.ahead for result in first if result.ahead]
    assert [ahead.uid for ahead in aheads] == [uids[-1] + n for n in range(1, 5)]
    second = await world.store.deliver([appended(world, 10 + n, inbox, ahead) for n, ahead in enumerate(aheads)])
    assert [result.placement.uid for result in second if result.placement] == [ahead.uid for ahead in aheads]


@pytest.mark.parametrize("between", ["delivery", "copy", "append elsewhere"])
async def test_a_uid_below_one_that_was_seen_is_given_no_more(
    world: World, mailbox: Mailbox, inbox: FolderId, between: str
) -> None:
    uid, ahead = await place(world.store, appended(world, 1, inbox))
    if between == "delivery":
        await world.store.deliver([appended(world, 2, inbox)])
    elif between == "copy":
        await mailbox.copy(inbox, [(uid, uid)], inbox)
    else:
        drafts = (await mailbox.special(SpecialUse.DRAFTS)).id
        await world.store.deliver([appended(world, 2, drafts)])
        uid, _ = await place(world.store, appended(world, 3, inbox, ahead))
        assert uid == ahead.uid  # UIDs ascend in each folder
        return
    top = (await mailbox.folder(inbox)).uid_next
    late, _ = await place(world.store, appended(world, 3, inbox, ahead))
    assert late >= top > ahead.uid
    await world.store.deliver([appended(world, n, inbox) for n in range(4, 40)])
    assert ahead.uid not in [row[0] for row in await all_rows(mailbox, inbox, Columns.UID)]


async def test_the_uid_holds_in_its_folder_alone(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    """A folder that is gone: INBOX has it, under a UID of INBOX's order."""
    made = await mailbox.create_folder(None, "Made")
    _, ahead = await place(world.store, appended(world, 1, made.id))
    await world.store.deliver([appended(world, 2, inbox)])
    await mailbox.delete_folder(made.id)
    (result,) = await world.store.deliver([appended(world, 3, made.id, ahead)])
    assert result.placement is not None
    assert result.placement.folder == inbox
    assert result.placement.uid > ahead.uid


async def test_a_refused_message_leaves_its_uid_unused(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    _, ahead = await place(world.store, appended(world, 1, inbox))
    await mailbox.set_quota(Quota(None, None, 10))
    (refused,) = await world.store.deliver([appended(world, 2, inbox, ahead)])
    assert isinstance(refused.refusal, Refusal)
    assert refused.ahead is None
    await mailbox.set_quota(Quota(None, None, None))
    uid, _ = await place(world.store, appended(world, 3, inbox))
    assert uid > ahead.uid


async def test_no_uid_is_taken_that_would_have_to_be_reserved(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    await world.store.deliver([appended(world, 1, inbox)])
    db = world.store._host.database(world.store.path(MAILBOX))  # type: ignore[attr-defined]
    db.execute("UPDATE state SET id_safe = (SELECT uid_next FROM counters WHERE id = 0)")
    (result,) = await world.store.deliver([appended(world, 2, inbox)])
    assert result.placement is not None
    assert result.ahead is None


async def test_without_a_power_cut_what_was_not_committed_was_not_told(
    world: World, mailbox: Mailbox, inbox: FolderId
) -> None:
    """A worker was killed between its record and its commit; the others went on."""
    _, ahead = await place(world.store, appended(world, 1, inbox))
    other, _ = await place(world.store, appended(world, 2, inbox))
    uid, _ = await place(world.store, appended(world, 3, inbox, ahead, replayed=True))
    assert uid > other


async def test_what_a_power_cut_has_undone_comes_back_under_its_uid(
    world: World, mailbox: Mailbox, inbox: FolderId
) -> None:
    """Also where the mailbox is full by now: a client was told that the message is there."""
    _, ahead = await place(world.store, appended(world, 1, inbox))
    await mailbox.set_quota(Quota(None, None, await mailbox.used_bytes()))
    await world.store.close()
    again = reopened(world, 2)  # the commit that gave the UID is not there any more
    (result,) = await again.deliver([appended(world, 2, inbox, ahead, replayed=True)])
    assert result.placement is not None
    assert result.placement.uid == ahead.uid
    (once_more,) = await again.deliver([appended(world, 2, inbox, ahead, replayed=True)])
    assert (once_more.placement, once_more.refusal) == (None, None)
    await again.close()


@pytest.mark.parametrize("gone", [False, True])
async def test_what_others_were_seen_before_was_not_told(
    world: World, mailbox: Mailbox, inbox: FolderId, gone: bool
) -> None:
    """Commits are lost from the last one back: one with a higher UID is there, so this UID was never given."""
    _, ahead = await place(world.store, appended(world, 1, inbox))
    other, _ = await place(world.store, appended(world, 2, inbox))
    if gone:
        await mailbox.expunge(inbox, [(other, other)], only_deleted=False)
        await mailbox.purge_recoverable(2e9)
    await world.store.close()
    again = reopened(world, 2)
    uid, _ = await place(again, appended(world, 3, inbox, ahead, replayed=True))
    assert uid > other
    await again.close()


async def test_a_uid_named_by_a_second_record_counts(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    _, ahead = await place(world.store, appended(world, 1, inbox))
    await world.store.close()
    again = reopened(world, 2)
    box = await again.mailbox(MAILBOX)
    told = Uid(ahead.uid + 5)
    assert told < (await box.folder(inbox)).uid_next
    uid, _ = await place(again, appended(world, 2, inbox, ahead, replayed=True, uid=told))
    assert uid == told
    await again.close()


# --- two workers, deliveries and power cuts, against a model


class Record(NamedTuple):
    """An APPEND record that is in a journal."""

    number: int
    ahead: Ahead | None


class Story:
    """What workers did with one folder, what was told, and what was seen there."""

    def __init__(self, world: World, inbox: FolderId, rng: random.Random) -> None:
        self.world, self.inbox, self.rng = world, inbox, rng
        self.epoch, self.next = 1, 0
        self.workers = [SqliteStore(world.data, world.blobs, world.bus, world.clock, 1) for _ in range(2)]
        self.kept: list[list[Ahead]] = [[], []]
        self.open: list[list[Record]] = [[], []]
        """Records whose commit has not come yet, by worker."""
        self.journals: list[list[tuple[Record, Uid | None]]] = [[], []]
        """All records, with the UID of a second record."""
        self.told: dict[int, Uid] = {}
        self.seen: dict[Uid, int] = {}
        self.top = 0
        self.point, self.items = SyncPoint(), set[int]()
        self.since, self.uids = ChangeNumber(0), set[int]()
        self.synced = 0
        """How much of the log a power cut leaves."""

    def record(self, worker: int) -> None:
        kept = self.kept[worker]
        self.next += 1
        record = Record(self.next, kept.pop(0) if kept and self.rng.random() < 0.9 else None)
        self.open[worker].append(record)
        self.journals[worker].append((record, None))

    async def commit(self, worker: int) -> None:
        """Place some records, in any order; answer some."""
        waiting = self.open[worker]
        batch = [waiting.pop(self.rng.randrange(len(waiting))) for _ in range(self.rng.randint(0, len(waiting)))]
        if not batch:
            return
        deliveries = [appended(self.world, record.number, self.inbox, record.ahead) for record in batch]
        for record, result in zip(batch, await self.workers[worker].deliver(deliveries), strict=True):
            self.settle(worker, record, result)
        await self.look(worker)

    def settle(self, worker: int, record: Record, result: Delivered) -> None:
        assert result.placement is not None
        uid = result.placement.uid
        if result.ahead is not None:
            self.kept[worker] = [one for one in self.kept[worker] if one.uid > uid] + [result.ahead]
        if record.ahead is None or uid != record.ahead.uid:
            if self.rng.random() < 0.4:
                return  # the power goes before the second record is there
            journal = self.journals[worker]
            journal[journal.index((record, None))] = (record, uid)
        self.told[record.number] = uid

    async def deliver(self, worker: int) -> None:
        self.next += 1
        await self.workers[worker].deliver(
            [Delivery(MAILBOX, DeliveryKey(2, self.next), item(self.world.blobs, message(self.next)), self.inbox)]
        )
        await self.look(worker)

    async def look(self, worker: int, *, after_a_cut: bool = False) -> None:
        box = await self.workers[worker].mailbox(MAILBOX)
        found = {uid: int(subject.split()[1]) for uid, subject in await all_rows(box, self.inbox, SUBJECT)}
        for uid, number in found.items():
            assert self.seen.get(uid, number) == number, f"UID {uid} was message {self.seen[uid]}, now it is {number}"
            if uid not in self.seen and not after_a_cut:
                assert uid > self.top, f"UID {uid} of message {number} appears below {self.top}"
            self.seen[uid] = number
        self.top = max([self.top, *found])
        await self.follow(box, set(found))

    async def follow(self, box: Mailbox, there: set[Uid]) -> None:
        """Those who ask for what is new know all that is there: ids follow items, UIDs the folder."""
        more = True
        while more:
            page = await box.item_changes(self.inbox, self.point, 3)
            if not page.complete:
                self.point, self.items = SyncPoint(), set()
                continue
            for one in page.changes:
                if one.kind is ChangeKind.DELETED:
                    self.items.discard(one.item)
                else:
                    self.items.add(one.item)
            self.point, more = page.point, page.more
        assert self.items == there
        changes = await box.changes(self.inbox, self.since)
        if changes.complete:
            self.uids = (self.uids | {one.uid for one in changes.changed}) - set(changes.vanished)
        else:
            self.uids = set(there)
        self.since = changes.upto
        assert self.uids == there

    async def start_anew(self, *, cut: bool) -> None:
        """Every process dies, with or without the power; all journals are replayed."""
        for store in self.workers:
            await store.close()
        path = self.workers[0].path(MAILBOX)
        if cut:
            self.lose_commits(path)
        survived = self.numbers(path)
        self.world.bus.numbers.clear()
        self.epoch += 1
        self.workers = [
            SqliteStore(self.world.data, self.world.blobs, self.world.bus, self.world.clock, self.epoch)
            for _ in range(2)
        ]
        self.kept, self.open = [[], []], [[], []]
        order = [0, 1]
        self.rng.shuffle(order)
        top = max(survived.values(), default=0)
        for journal in order:
            for record, assigned in self.journals[journal]:
                (result,) = await self.workers[0].deliver(
                    [appended(self.world, record.number, self.inbox, record.ahead, replayed=True, uid=assigned)]
                )
                if result.placement is None or record.number in self.told:
                    continue
                # nobody was told: it comes after all that was there
                assert result.placement.uid > top
        await (await self.workers[0].mailbox(MAILBOX)).durable()
        self.journals = [[], []]
        await self.look(0, after_a_cut=True)
        now = self.numbers(path)
        for number, uid in self.told.items():
            assert now.get(number) == uid, f"message {number} was told as UID {uid}, now it is {now.get(number)}"
        assert len(now) == len(set(now.values()))

    def numbers(self, path: Path) -> dict[int, Uid]:
        db = apsw.Connection(str(path))
        try:
            found = db.execute(
                "SELECT c.subject, i.uid FROM items i JOIN contents c ON c.id = i.content WHERE i.folder = ?",
                (self.inbox,),
            ).fetchall()
        finally:
            db.close()
        return {int(subject.split()[1]): uid for subject, uid in found}

    def lose_commits(self, path: Path) -> None:
        """What a power cut leaves of a log: all that was synced, and a part of the rest from its beginning."""
        log = wal_path(path)
        data = log.read_bytes()
        frame = struct.unpack(">I", data[8:12])[0] + 24
        kept = self.rng.randint((self.synced - 32) // frame, (len(data) - 32) // frame)
        log.write_bytes(data[: 32 + kept * frame])
        path.with_name(path.name + "-shm").unlink(missing_ok=True)


@pytest.mark.parametrize("seed", range(int(os.environ.get("POSTERN_AHEAD_STORIES", "5"))))
async def test_what_was_told_stays_and_uids_ascend(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(host, "CHECKPOINT_PAGES", 1 << 40)  # a log that begins anew could not be cut
    path = world.store.path(MAILBOX)  # type: ignore[attr-defined]
    story = Story(world, inbox, random.Random(seed))

    def synced(_: Path) -> None:
        story.synced = wal_path(path).stat().st_size

    monkeypatch.setattr(engine_mailbox, "sync_wal", synced)
    await world.store.close()
    synced(path)
    for _ in range(4):
        for _ in range(story.rng.randint(2, 40)):
            worker = story.rng.randint(0, 1)
            what = story.rng.random()
            if what < 0.5:
                story.record(worker)
            elif what < 0.85:
                await story.commit(worker)
            elif what < 0.95:
                await story.deliver(worker)
            else:
                await (await story.workers[worker].mailbox(MAILBOX)).durable()
        await story.start_anew(cut=story.rng.random() < 0.8)
    for store in story.workers:
        await store.close()
    assert story.told
