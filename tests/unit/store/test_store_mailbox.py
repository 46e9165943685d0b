"""Flags, copies, moves, expunging, folders, views and changes."""

from __future__ import annotations

import asyncio

import pytest
from store_world import MAILBOX, World, all_rows, fill, item, message

from postern.model.ids import ChangeNumber, FolderId
from postern.model.items import Columns, Flag, FolderClass, SpecialUse
from postern.model.refusal import Refusal
from postern.store.interface import FlagChange, Mailbox

ALL = [(0, 2**32)]


async def test_store_flags(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    uids = await fill(world, 5)
    before = await mailbox.change_number()
    result = await mailbox.set_flags(inbox, [(uids[1], uids[3])], FlagChange(add=Flag.SEEN | Flag.DELETED))
    assert [(c.uid, c.flags) for c in result.changed] == [(uid, 9) for uid in uids[1:4]]
    assert result.change_number == before + 1
    folder = await mailbox.folder(inbox)
    assert (folder.messages, folder.unseen, folder.deleted) == (5, 2, 3)
    same = await mailbox.set_flags(inbox, [(uids[1], uids[3])], FlagChange(add=Flag.SEEN))
    assert same.change_number == before + 1
    assert len(same.changed) == 3
    replaced = await mailbox.set_flags(inbox, ALL, FlagChange(add=Flag.FLAGGED, add_keywords=("$a",), replace=True))
    assert {c.flags for c in replaced.changed} == {4 | 1 << 8}
    taken = await mailbox.set_flags(inbox, ALL, FlagChange(remove=Flag.FLAGGED, remove_keywords=("$A", "$unknown")))
    assert {c.flags for c in taken.changed} == {0}
    assert (await mailbox.folder(inbox)).unseen == 5


@pytest.mark.parametrize("count", [3, 700])
async def test_unchanged_since(world: World, mailbox: Mailbox, inbox: FolderId, count: int) -> None:
    uids = await fill(world, count)
    then = await mailbox.change_number()
    await mailbox.set_flags(inbox, [(uids[0], uids[0])], FlagChange(add=Flag.SEEN))
    result = await mailbox.set_flags(inbox, ALL, FlagChange(add=Flag.FLAGGED), unchanged_since=then)
    assert list(result.failed) == [uids[0]]
    assert [c.uid for c in result.changed] == uids[1:]
    assert {c.flags for c in result.changed} == {4}


async def test_keywords_run_out(mailbox: Mailbox, inbox: FolderId) -> None:
    await mailbox.set_flags(inbox, ALL, FlagChange(add_keywords=tuple(f"k{n}" for n in range(55))))
    with pytest.raises(Refusal, match="too_many"):
        await mailbox.set_flags(inbox, ALL, FlagChange(add_keywords=("one more",)))
    assert sorted(await mailbox.keywords()) == list(range(8, 63))


@pytest.mark.parametrize("count", [4, 1500])
async def test_copy_move_expunge(world: World, mailbox: Mailbox, inbox: FolderId, count: int) -> None:
    uids = await fill(world, count)
    archive = (await mailbox.special(SpecialUse.ARCHIVE)).id
    await mailbox.set_flags(inbox, [(uids[0], uids[1])], FlagChange(add=Flag.SEEN))
    used = await mailbox.used_bytes()
    copied = await mailbox.copy(inbox, ALL, archive)
    assert list(copied.sources) == uids
    assert list(copied.placements) == sorted(set(copied.placements))
    assert min(copied.placements) > max(uids)
    assert copied.uid_validity == (await mailbox.folder(archive)).uid_validity
    assert await mailbox.used_bytes() == 2 * used
    columns = Columns.FLAGS | Columns.RECEIVED_AT | Columns.ENVELOPE | Columns.BLOB | Columns.PREFIX
    assert await all_rows(mailbox, archive, columns) == await all_rows(mailbox, inbox, columns)

    moved = await mailbox.move(archive, [(copied.placements[0], copied.placements[1])], inbox)
    assert list(moved.sources) == list(copied.placements[:2])
    assert await mailbox.used_bytes() == 2 * used
    assert (await mailbox.folder(archive)).messages == count - 2
    assert (await mailbox.folder(inbox)).messages == count + 2
    assert (await mailbox.folder(inbox)).unseen == count - 2

    await mailbox.set_flags(inbox, [(uids[0], uids[-1])], FlagChange(add=Flag.DELETED))
    assert list(await mailbox.expunge(inbox, [(uids[1], 2**32)])) == uids[1:]
    assert list(await mailbox.expunge(inbox, None)) == uids[:1]
    recoverable = await mailbox.special(SpecialUse.RECOVERABLE)
    assert (recoverable.messages, recoverable.deleted) == (count, 0)
    assert await mailbox.used_bytes() == used

    # contents live as long as anything refers to them
    world.clock.seconds += 1000
    assert await mailbox.purge_recoverable(world.clock.seconds) == count
    assert [row for row in await all_rows(mailbox, archive, Columns.UID | Columns.ENVELOPE)] != []
    assert await mailbox.read(inbox, moved.placements[0]) == (await mailbox.read(inbox, moved.placements[0]))
    assert len(await all_rows(mailbox, inbox, Columns.HEADER)) == 2
    await mailbox.expunge(inbox, None, only_deleted=False)
    await mailbox.expunge(archive, None, only_deleted=False)
    world.clock.seconds += 1000
    assert await mailbox.purge_recoverable(world.clock.seconds) == count
    assert await mailbox.used_bytes() == 0
    assert await world.store.live([1]) == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [40, 1200])
async def test_sets_with_holes(world: World, mailbox: Mailbox, inbox: FolderId, count: int) -> None:
    """Every third message is gone, so that a set is many runs; each copy has to be of its own message."""
    uids = await fill(world, count)
    archive = (await mailbox.special(SpecialUse.ARCHIVE)).id
    there = Columns.ENVELOPE | Columns.BLOB | Columns.FLAGS | Columns.SIZE
    gone = uids[::3]
    await mailbox.set_flags(inbox, [(uid, uid) for uid in gone], FlagChange(add=Flag.DELETED))
    assert (await mailbox.folder(inbox)).deleted == len(gone)
    assert list(await mailbox.expunge(inbox, None)) == gone
    left = [uid for uid in uids if uid not in set(gone)]
    await mailbox.set_flags(inbox, [(uid, uid) for uid in left[::2]], FlagChange(add=Flag.SEEN, add_keywords=("$x",)))
    assert (await mailbox.folder(inbox)).unseen == len(left) // 2
    rows = await all_rows(mailbox, inbox, there)

    copied = await mailbox.copy(inbox, ALL, archive)
    assert list(copied.sources) == left
    assert list(copied.placements) == list(range(copied.placements[0], copied.placements[0] + len(left)))
    assert await all_rows(mailbox, archive, there) == rows
    folder = await mailbox.folder(archive)
    assert (folder.messages, folder.unseen, folder.deleted) == (len(left), len(left) // 2, 0)

    then = await mailbox.change_number()
    wanted = [(uid, uid) for uid in left[1::2]]
    moved = await mailbox.move(inbox, wanted, archive)
    assert list(moved.sources) == left[1::2]
    assert list((await mailbox.changes(inbox, then)).vanished) == left[1::2]
    assert [change.uid for change in (await mailbox.changes(archive, then)).changed] == list(moved.placements)
    assert await all_rows(mailbox, archive, there) == rows + rows[1::2]
    assert await all_rows(mailbox, inbox, there) == rows[::2]
    assert (await mailbox.folder(inbox)).unseen == 0
    changed = await mailbox.set_flags(inbox, ALL, FlagChange(remove=Flag.SEEN))
    assert [change.uid for change in changed.changed] == left[::2]
    assert (await mailbox.folder(inbox)).unseen == len(left[::2])
    assert await mailbox.changes(archive, changed.change_number - 1) == (changed.change_number, (), (), True)


async def test_more_copies_than_numbers_are_reserved(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    await fill(world, 1500)
    seen = [row[0] for row in await all_rows(mailbox, inbox, Columns.UID)]
    for _ in range(3):
        seen += (await mailbox.copy(inbox, ALL, inbox)).placements
    assert len(seen) == len(set(seen)) == 12_000
    assert [row[0] for row in await all_rows(mailbox, inbox, Columns.UID)] == seen


async def test_move_within_a_folder_gives_new_uids(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    uids = await fill(world, 3)
    moved = await mailbox.move(inbox, [(uids[0], uids[1])], inbox)
    assert [row[0] for row in await all_rows(mailbox, inbox, Columns.UID)] == [uids[2], *moved.placements]
    assert (await mailbox.folder(inbox)).messages == 3


async def test_purge_leaves_young_items(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    uids = await fill(world, 2)
    await mailbox.expunge(inbox, [(uids[0], uids[0])], only_deleted=False)
    world.clock.seconds += 100
    await mailbox.expunge(inbox, [(uids[1], uids[1])], only_deleted=False)
    assert await mailbox.purge_recoverable(world.clock.seconds - 50) == 1
    assert (await mailbox.special(SpecialUse.RECOVERABLE)).messages == 1


async def test_view_and_recent(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    uids = await fill(world, 3)
    await mailbox.set_flags(inbox, [(uids[0], uids[0])], FlagChange(add=Flag.SEEN, add_keywords=("$x",)))
    first = await mailbox.view(inbox, claim_recent=True)
    assert first.uids.typecode == "I"
    assert first.uids.tolist() == uids
    assert (first.first_unseen, first.keywords) == (uids[1], {8: "$x"})
    assert first.folder.uid_next == uids[-1] + 1
    assert [uid for uid in uids if uid >= first.folder.recent_from] == uids
    second = await mailbox.view(inbox)
    assert second.folder.recent_from == first.folder.uid_next
    empty = await mailbox.view((await mailbox.special(SpecialUse.SENT)).id)
    assert (len(empty.uids), empty.first_unseen) == (0, None)


async def test_changes(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    uids = await fill(world, 4)
    then = (await mailbox.view(inbox)).folder.changed
    assert await mailbox.changes(inbox, then) == (then, (), (), True)
    await mailbox.set_flags(inbox, [(uids[1], uids[1])], FlagChange(add=Flag.SEEN))
    await mailbox.expunge(inbox, [(uids[2], uids[2])], only_deleted=False)
    (added,) = await mailbox.add(inbox, [item(world.blobs, message(9))])
    found = await mailbox.changes(inbox, then)
    assert found.complete
    assert [(c.uid, c.flags, c.created > then) for c in found.changed] == [(uids[1], 1, False), (added.uid, 0, True)]
    assert list(found.vanished) == [uids[2]]
    assert found.upto == await mailbox.change_number()
    assert not (await mailbox.changes(inbox, ChangeNumber(found.upto + 1))).complete
    rows = await all_rows(mailbox, inbox, Columns.UID, changed_since=then)
    assert [row[0] for row in rows] == [uids[1], added.uid]
    rows = await all_rows(mailbox, inbox, Columns.UID, changed_since=then, ranges=[(added.uid, 2**32)])
    assert [row[0] for row in rows] == [added.uid]


async def test_many_ranges_and_chunks(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    uids = await fill(world, 4000)
    every_third = [(uid, uid) for uid in uids[::3]]
    rows = await all_rows(mailbox, inbox, Columns.UID | Columns.HEADER, ranges=every_third)
    assert [row[0] for row in rows] == uids[::3]
    changed = await mailbox.set_flags(inbox, every_third, FlagChange(add=Flag.SEEN))
    assert [c.uid for c in changed.changed] == uids[::3]
    assert [row[0] for row in await all_rows(mailbox, inbox, Columns.UID)] == uids
    assert len(await all_rows(mailbox, inbox, Columns.SIZE)) == 4000


async def test_folders(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    names = {f.special: f for f in await mailbox.folders()}
    assert names[SpecialUse.INBOX].name == "INBOX"
    assert names[SpecialUse.CALENDAR].folder_class is FolderClass.CALENDAR
    assert len({f.uid_validity for f in await mailbox.folders()}) == len(await mailbox.folders())
    work = await mailbox.create_folder(None, "Work")
    child = await mailbox.create_folder(work.id, "2023")
    for parent, name, reason in (
        (None, "Work", "already_exists"),
        (None, "inbox", "already_exists"),
        (None, "a/b", "bad_name"),
        (None, "", "bad_name"),
        (None, " a", "bad_name"),
        (None, "a\0", "bad_name"),
        (None, "x" * 300, "bad_name"),
        (FolderId(99999), "x", "no_such_folder"),
    ):
        with pytest.raises(Refusal, match=reason):
            await mailbox.create_folder(parent, name)
    assert (await mailbox.create_folder(work.id, "inbox")).name == "inbox"
    for folder, parent, reason in ((work.id, child.id, "bad_name"), (inbox, work.id, "not_permitted")):
        with pytest.raises(Refusal, match=reason):
            await mailbox.rename_folder(folder, parent, "elsewhere")
    for folder, reason in ((work.id, "has_children"), (inbox, "not_permitted"), (FolderId(99999), "no_such_folder")):
        with pytest.raises(Refusal, match=reason):
            await mailbox.delete_folder(folder)
    await mailbox.rename_folder(child.id, None, "Année")
    moved = await mailbox.folder(child.id)
    assert (moved.parent, moved.name, moved.uid_validity) == (None, "Année", child.uid_validity)
    await mailbox.subscribe(child.id, True)
    assert (await mailbox.folder(child.id)).subscribed
    uids = await fill(world, 2)
    await mailbox.move(inbox, ALL, child.id)
    await mailbox.delete_folder(child.id)
    assert (await mailbox.special(SpecialUse.RECOVERABLE)).messages == len(uids)
    again = await mailbox.create_folder(None, "Année")
    assert again.uid_validity > child.uid_validity
    for call in (mailbox.folder(child.id), mailbox.view(child.id), mailbox.copy(inbox, ALL, child.id)):
        with pytest.raises(Refusal, match="no_such_folder"):
            await call


async def test_two_processes_see_each_other(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    theirs = await world.reopen(1).mailbox(MAILBOX)
    uids = await fill(world, 2)
    assert (await theirs.view(inbox)).uids.tolist() == uids
    await asyncio.gather(
        *(theirs.set_flags(inbox, ALL, FlagChange(add=Flag.SEEN)) for _ in range(5)),
        *(mailbox.add(inbox, [item(world.blobs, message(n))]) for n in range(20)),
        *(theirs.add(inbox, [item(world.blobs, message(n))]) for n in range(20)),
    )
    view = await mailbox.view(inbox)
    assert len(view.uids) == 42
    assert view.folder.unseen <= 40
    assert await mailbox.change_number() == await theirs.change_number()


async def test_removed_mailbox(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    theirs = await world.reopen(1).mailbox(MAILBOX)
    since = await theirs.change_number()
    await world.store.delete_mailbox(MAILBOX)
    with pytest.raises(Refusal, match="no_such_recipient"):
        await theirs.add(inbox, [item(world.blobs, message(1))])
    with pytest.raises(Refusal, match="no_such_recipient"):
        await theirs.changes(inbox, since)
    with pytest.raises(Refusal, match="no_such_recipient"):
        await world.store.mailbox(MAILBOX)
