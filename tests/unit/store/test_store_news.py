"""What has changed since a number: by the end of the folder, and by the index of what its UIDs do not tell."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from store_world import MAILBOX, World, all_rows, fill, item, message

from postern.model.ids import ChangeNumber, DeliveryKey, FolderId, ItemId, Uid
from postern.model.items import Columns, Flag
from postern.model.query import HasFlags
from postern.store.interface import Delivery, FlagChange, Mailbox, Replaced, Store
from postern.store.sqlite import conversations, reading
from postern.store.sqlite.schema import LATER, LAYOUT_VERSION

ALL = ((0, 2**32),)


def file_of(world: World) -> Path:
    return world.store.path(MAILBOX)  # type: ignore[attr-defined, no-any-return]


async def agrees(mailbox: Mailbox, folder: FolderId) -> None:
    """What `changes` and `items` say of every change number is what the rows say."""
    rows = await all_rows(mailbox, folder, Columns.UID | Columns.FLAGS | Columns.MODSEQ)
    upto = await mailbox.change_number()
    for since in sorted({0, upto}.union(*({modseq - 1, modseq} for _, _, modseq in rows))):
        found = await mailbox.changes(folder, ChangeNumber(since))
        news = [row for row in rows if row[2] > since]
        assert [(one.uid, one.flags, one.modseq) for one in found.changed] == news, since
        asked = all_rows(mailbox, folder, Columns.UID, changed_since=ChangeNumber(since))
        assert [uid for (uid,) in await asked] == [row[0] for row in news], since


@pytest.mark.parametrize("count", [reading.FEW, reading.FEW + 1])
async def test_few_and_many_changes_are_told_alike(world: World, mailbox: Mailbox, inbox: FolderId, count: int) -> None:
    await fill(world, count * 2)
    uids = [uid for (uid,) in await all_rows(mailbox, inbox, Columns.UID)]
    before = await mailbox.change_number()
    await mailbox.set_flags(inbox, ((uids[0], uids[count - 1]),), FlagChange(add=Flag.FLAGGED.value))
    await agrees(mailbox, inbox)
    changed = await mailbox.changes(inbox, before)
    assert [one.uid for one in changed.changed] == uids[:count]
    assert not changed.vanished
    before = await mailbox.change_number()
    await mailbox.expunge(inbox, ((uids[count], uids[-1]),), only_deleted=False)
    gone = await mailbox.changes(inbox, before)
    assert list(gone.vanished) == uids[count:]
    assert not gone.changed
    assert gone.complete


async def test_commands_of_a_mailbox_compile_no_statement_again(
    world: World, mailbox: Mailbox, inbox: FolderId
) -> None:
    """Searches of other ranges are no other statements either."""
    await fill(world, 20)
    db = world.store._host.database(file_of(world))  # type: ignore[attr-defined]
    compiled: list[int] = []
    for turn in range(4):
        uids = [uid for (uid,) in await all_rows(mailbox, inbox, Columns.UID)]
        before = await mailbox.change_number()
        for uid in uids[:6]:
            change = FlagChange(add=Flag.FLAGGED.value) if turn % 2 else FlagChange(remove=Flag.FLAGGED.value)
            await mailbox.set_flags(inbox, ((uid, uid),), change)
            await mailbox.search(inbox, HasFlags(Flag.FLAGGED.value), ((uid, uids[-1]),))
        await mailbox.copy(inbox, ((uids[0], uids[0]), (uids[2], uids[2])), inbox)
        await mailbox.expunge(inbox, ((uids[1], uids[1]),), only_deleted=False)
        await mailbox.changes(inbox, before)
        await all_rows(mailbox, inbox, Columns.UID | Columns.ENVELOPE)
        compiled.append(db.cache_stats()["misses"])
    assert compiled[1:] == [compiled[1]] * 3


async def places_agree(mailbox: Mailbox, folders: list[FolderId]) -> None:
    """What is noted of conversations is what the rows say."""
    there = {
        (number, folder, uid)
        for folder in folders
        for uid, number in await all_rows(mailbox, folder, Columns.UID | Columns.CONVERSATION)
    }
    found = await mailbox.in_conversations(sorted({number for number, _, _ in there}))
    assert {tuple(place) for place in found if place[1] in folders} == there


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_happens_the_changes_are_those_that_the_rows_say(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(conversations, "NOTED_AT_A_TIME", 3)
    randomly = random.Random(seed)
    elsewhere = (await mailbox.create_folder(None, "Elsewhere")).id
    keys = iter(range(10_000))
    back: list[int] = []

    async def put(**more: object) -> None:
        some = [
            Delivery(MAILBOX, DeliveryKey(2, next(keys)), item(world.blobs, message(randomly.randint(0, 9))), **more)  # type: ignore[arg-type]
            for _ in range(1 if more else randomly.randint(1, 4))
        ]
        await store.deliver(some)

    store = world.store
    epoch = 1
    for turn in range(60):
        uids = [uid for (uid,) in await all_rows(mailbox, inbox, Columns.UID)] or [0]
        some = randomly.choice(uids)
        few = ((some, some + randomly.randint(0, 3)),)
        what = turn % 10
        if what in {0, 4}:
            await put()
        elif what in {1, 5}:
            await mailbox.set_flags(inbox, few, FlagChange(add=randomly.choice([1, 4, 8]), remove=2))
        elif what == 2:
            await mailbox.copy(inbox, few, randomly.choice([inbox, elsewhere]))
        elif what == 3:
            await mailbox.move(inbox, few, elsewhere)
        elif what == 6:
            await mailbox.move(elsewhere, ALL, inbox)
        elif what == 7 and uids != [0]:
            ((identity,),) = await all_rows(mailbox, inbox, Columns.ITEM_ID, ranges=[(some, some)])
            await put(replaces=Replaced(ItemId(identity)))
        elif what == 8:
            epoch += 1  # a power cut: UIDs that were promised come back below those that were given since
            lost = (await mailbox.folder(inbox)).uid_next
            await store.close()
            store = world.reopen(epoch)
            mailbox = await store.mailbox(MAILBOX)
            await put()
            back.append(lost + 50 + len(back))
        elif back:
            await put(uid=Uid(back.pop()))
        await agrees(mailbox, inbox)
        if turn % 7 == 5:
            await places_agree(mailbox, [inbox, elsewhere])
    await places_agree(mailbox, [inbox, elsewhere])
    with closing(apsw.Connection(str(file_of(world)))) as db:
        assert db.execute("SELECT count(*) > 3 FROM items WHERE placed != 0").fetchall() == [(1,)]
    await agrees(mailbox, elsewhere)
    await store.close()


async def test_what_came_back_in_an_older_layout_is_found(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    async def put(number: int, store: Store, uid: int | None = None) -> None:
        told = None if uid is None else Uid(uid)
        await store.deliver([Delivery(MAILBOX, DeliveryKey(2, number), item(world.blobs, message(number)), uid=told)])

    for number in range(3):
        await put(number, world.store)
    lost = (await mailbox.folder(inbox)).uid_next + 7
    await world.store.close()
    store = world.reopen(2)
    for number in range(3, 6):
        await put(number, store)
    await put(6, store, lost)
    await store.close()
    with closing(apsw.Connection(str(file_of(world)))) as db:
        before = db.execute("SELECT uid FROM items WHERE placed != 0").fetchall()
        assert before == [(lost,)]
        db.execute("UPDATE items SET placed = 0; DROP INDEX items_changed; DELETE FROM migrations WHERE version > 7")
        db.execute("CREATE INDEX items_changed ON items (folder, modseq); PRAGMA user_version = 7")
    store = world.reopen(2)
    mailbox = await store.mailbox(MAILBOX)
    await agrees(mailbox, inbox)
    with closing(apsw.Connection(str(file_of(world)))) as db:
        assert db.execute("SELECT uid FROM items WHERE placed != 0").fetchall() == before
        assert db.execute("PRAGMA user_version").fetchall() == [(LAYOUT_VERSION,)]


async def test_the_index_has_nothing_of_what_only_came(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    before = await mailbox.change_number()
    uids = [one.uid for one in await mailbox.add(inbox, [item(world.blobs, message(n)) for n in range(20)])]
    elsewhere = (await mailbox.create_folder(None, "Elsewhere")).id
    await mailbox.copy(inbox, ALL, elsewhere)
    await mailbox.set_flags(inbox, ((uids[3], uids[4]),), FlagChange(add=1))
    with closing(apsw.Connection(str(file_of(world)))) as db:
        held = "SELECT count(*) FROM items INDEXED BY items_changed WHERE folder != 0 AND " + LATER
        assert db.execute(held).fetchall() == [(2,)]
        assert db.execute("SELECT count(*) FROM items").fetchall() == [(40,)]
        edges = [reading.edge(db, inbox, upto) for upto in (0, before, before + 1, before + 9)]
    assert edges == [uids[0] - 1, uids[0] - 1, uids[-1], uids[-1]]
