"""Settings, read state for each reader, the outbox; and files that an older Postern wrote."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import apsw
import pytest
from store_world import MAILBOX, UNLIMITED, MemoryBlobs, World, all_rows, delivery, fill, message

from postern.model.ids import AccountId, ChangeNumber, FolderId, ItemId
from postern.model.items import Columns, SpecialUse
from postern.model.refusal import Refusal
from postern.model.sync import START, SetOff
from postern.store.interface import FlagChange, Mailbox
from postern.store.sqlite.outbox import KEYS_KEPT_DAYS, OUTBOX_SEGMENT
from postern.store.sqlite.schema import LAYOUT_VERSION

OLD_FILE = Path(__file__).parents[2] / "data" / "mailboxes" / "layout-1.db.gz"


async def test_settings(mailbox: Mailbox) -> None:
    assert await mailbox.settings("rules") == []
    first = await mailbox.set_settings("rules", {"a": b"1", "b": b"2"})
    second = await mailbox.set_settings("rules", {"b": b"3", "c": b"4"})
    assert await mailbox.settings("rules") == [("a", b"1", first), ("b", b"3", second), ("c", b"4", second)]
    assert await mailbox.set_settings("rules", {"a": b"1", "none": None}) == second
    with pytest.raises(Refusal, match="conflict"):
        await mailbox.set_settings("rules", {"a": b"9", "b": None}, unchanged_since=first)
    assert await mailbox.set_settings("rules", {"a": b"9"}, unchanged_since=first) == second + 1
    await mailbox.set_settings("rules", {"a": None, "b": None})
    assert [setting.key for setting in await mailbox.settings("rules")] == ["c"]
    for name, value, reason in (
        ("", b"", "bad_name"),
        ("x" * 501, b"", "bad_name"),
        ("x", bytes(5 << 20), "too_large"),
    ):
        with pytest.raises(Refusal, match=reason):
            await mailbox.set_settings("rules", {name: value})
    with pytest.raises(Refusal, match="too_many"):
        await mailbox.set_settings("rules", {str(n): b"" for n in range(10_001)})


async def test_each_reader_has_read_something_else(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    items = [ItemId(uid) for uid in await fill(world, 3)]
    anna, boris = AccountId(1), AccountId(2)
    await mailbox.set_read_by(anna, inbox, items[:2], True)
    await mailbox.set_read_by(boris, inbox, items, True)
    await mailbox.set_read_by(boris, inbox, items[:1], False)
    assert await mailbox.read_by(anna, inbox) == set(items[:2])
    assert await mailbox.read_by(boris, inbox) == set(items[1:])
    assert (await mailbox.folder(inbox)).unseen == 3
    await mailbox.expunge(inbox, [(items[1], items[1])], only_deleted=False)
    await mailbox.purge_recoverable(0)
    assert await mailbox.read_by(anna, inbox) == {items[0]}


async def test_the_outbox_is_filled_once_and_emptied(world: World, mailbox: Mailbox) -> None:
    sets_off = (SetOff("oof"), SetOff("rules", b"forward"))
    batch = [delivery(world.blobs, n)._replace(sets_off=sets_off) for n in range(2)]
    await world.store.deliver(batch)
    await world.store.deliver(batch)
    entries = await mailbox.outbox()
    assert [(e.kind, e.payload) for e in entries] == [("oof", b""), ("rules", b"forward")] * 2
    assert len({e.key for e in entries}) == 4
    assert (await mailbox.locate([entries[0].item], entries[0].folder)).keys() == {entries[0].item}
    assert [e.id for e in await mailbox.outbox(1)] == [entries[0].id]
    await mailbox.settle([entries[0].id, entries[2].id, 99])
    assert [e.id for e in await mailbox.outbox()] == [entries[1].id, entries[3].id]


async def test_a_replay_on_a_lost_commit_gives_the_same_keys(world: World, mailbox: Mailbox) -> None:
    one = delivery(world.blobs, 1)._replace(sets_off=(SetOff("oof"),))
    await world.store.deliver([one])
    (entry,) = await mailbox.outbox()
    path = world.store.path(MAILBOX)  # type: ignore[attr-defined]
    await world.store.close()
    path.unlink()
    for left in path.parent.glob(path.name + "-*"):
        left.unlink()
    store = world.reopen(2)
    await store.create_mailbox(MAILBOX, 1, UNLIMITED)
    await store.deliver([one])
    (again,) = await (await store.mailbox(MAILBOX)).outbox()
    assert again.key == entry.key


async def test_keys_of_old_work_are_forgotten(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    day = int(world.clock.timestamp()) // 86_400
    answer = delivery(world.blobs, 1)
    answer = answer._replace(key=answer.key._replace(segment=OUTBOX_SEGMENT + day))
    await world.store.deliver([answer])
    world.clock.seconds += (KEYS_KEPT_DAYS - 1) * 86_400
    await mailbox.purge_recoverable(0)
    await world.store.deliver([answer])
    assert (await mailbox.folder(inbox)).messages == 1
    world.clock.seconds += 2 * 86_400
    await mailbox.purge_recoverable(0)
    await world.store.deliver([answer])
    assert (await mailbox.folder(inbox)).messages == 2


# --- files of layout 1: six messages; the third copied, the fourth moved to Archive, the fifth expunged


def restore_old(world: World) -> None:
    path = world.store.path(MAILBOX)  # type: ignore[attr-defined]
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.decompress(OLD_FILE.read_bytes()))
    blobs: MemoryBlobs = world.blobs
    for number in range(6):
        blobs.put(message(number))


@pytest.mark.parametrize("epoch", [1, 2])
async def test_a_file_of_layout_1_is_brought_up(world: World, epoch: int) -> None:
    restore_old(world)
    store = world.store if epoch == 1 else world.reopen(2)
    mailbox = await store.mailbox(MAILBOX)
    inbox, archive = [(await mailbox.special(use)).id for use in (SpecialUse.INBOX, SpecialUse.ARCHIVE)]
    assert (await mailbox.special(SpecialUse.JOURNAL)).name == "Journal"
    rows = await all_rows(mailbox, inbox, Columns.UID | Columns.FLAGS | Columns.ITEM_ID | Columns.SUBJECT)
    assert [row[3] for row in rows] == ["message 0", "message 1", "message 2", "message 5"]
    assert [row[1] for row in rows] == [257, 257, 0, 0]
    for uid, *_ in rows:
        assert await mailbox.read(inbox, uid)
    assert len(await all_rows(mailbox, archive, Columns.UID)) == 2
    assert [c.item for c in (await mailbox.item_changes(inbox, START)).changes] == [row[2] for row in rows]
    assert (await mailbox.locate([ItemId(rows[1][2])])).keys() == {rows[1][2]}
    (projects,) = [f for f in (await mailbox.folder_changes(ChangeNumber(0))).created if f.name == "Projects"]
    assert (projects.moved, projects.former) == (0, None)
    await mailbox.rename_folder(projects.id, archive, "Projects")
    assert (await mailbox.folder(projects.id)).former == projects.parent
    await store.deliver([delivery(world.blobs, 60)])
    await mailbox.set_flags(inbox, [(0, 2**32)], FlagChange(add=1))
    assert (await mailbox.folder(inbox)).messages == 5


async def test_a_file_of_layout_1_that_another_process_has_locked_is_brought_up_all_the_same(world: World) -> None:
    restore_old(world)
    other = apsw.Connection(str(world.store.path(MAILBOX)))  # type: ignore[attr-defined]
    # as whoever recovers the log that a crash has left
    other.execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT").fetchall()
    asyncio.get_running_loop().call_later(0.05, other.close)
    mailbox = await world.store.mailbox(MAILBOX)
    assert (await mailbox.special(SpecialUse.JOURNAL)).name == "Journal"


async def test_collection_asks_files_of_layout_1(world: World) -> None:
    restore_old(world)
    live = await world.store.live([1])  # type: ignore[attr-defined]
    assert live == {1: set(range(6))}
    assert LAYOUT_VERSION > 1
