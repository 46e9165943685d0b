"""Sets that are all of a folder: what is done with them is the same as with any other set."""

from __future__ import annotations

import pytest
from store_world import World, all_rows, fill

from postern.model.ids import FolderId
from postern.model.items import Columns, Flag, SpecialUse
from postern.store.interface import FlagChange, Mailbox
from postern.store.sqlite import few_items, selection

ALL = [(1, 2**32)]


async def _counted(mailbox: Mailbox, folder: FolderId) -> list[int]:
    """The folder's UIDs, once its counters have been found to say what its rows say."""
    rows = await all_rows(mailbox, folder, Columns.UID | Columns.FLAGS | Columns.SIZE)
    seen = await mailbox.folder(folder)
    assert (seen.messages, seen.size_bytes) == (len(rows), sum(size for _, _, size in rows))
    assert seen.unseen == sum(not flags & Flag.SEEN for _, flags, _ in rows)
    assert seen.deleted == sum(bool(flags & Flag.DELETED) for _, flags, _ in rows)
    return [uid for uid, _, _ in rows]


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize(("few", "many"), [(0, 3), (0, 10_000), (64, 10_000)])
async def test_whole_folders_are_copied_moved_stored_and_expunged(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch, gap: bool, few: int, many: int
) -> None:
    monkeypatch.setattr(few_items, "MOST", few)
    monkeypatch.setattr(selection, "MANY_ITEMS", many)
    uids = await fill(world, 12)
    archive = (await mailbox.special(SpecialUse.ARCHIVE)).id
    recoverable = (await mailbox.special(SpecialUse.RECOVERABLE)).id
    if gap:
        await mailbox.expunge(inbox, [(uids[5], uids[6])], only_deleted=False)
        del uids[5:7]
    await mailbox.set_flags(inbox, [(uids[0], uids[1])], FlagChange(add=Flag.SEEN))
    await mailbox.set_flags(inbox, [(uids[1], uids[2])], FlagChange(add=Flag.DELETED))
    copied = await mailbox.copy(inbox, ALL, archive)
    assert list(copied.sources) == uids == await _counted(mailbox, inbox)
    assert list(copied.placements) == await _counted(mailbox, archive)
    # what does not reach from the first to the last is no whole folder
    moved = await mailbox.move(archive, [(copied.placements[1], 2**32)], inbox)
    assert list(moved.sources) == list(copied.placements[1:])
    assert await _counted(mailbox, archive) == [copied.placements[0]]
    assert list(await mailbox.expunge(inbox, None)) == [*uids[1:3], *moved.placements[:2]]
    here = await _counted(mailbox, inbox)
    done = await mailbox.set_flags(inbox, ALL, FlagChange(add=Flag.DELETED))
    assert [item.uid for item in done.changed] == here == await _counted(mailbox, inbox)
    before = len(await _counted(mailbox, recoverable))
    assert list(await mailbox.expunge(inbox, None)) == here
    assert await _counted(mailbox, inbox) == []
    assert len(await _counted(mailbox, recoverable)) == before + len(here)
    assert await mailbox.used_bytes() == (await mailbox.folder(archive)).size_bytes


async def test_what_nobody_asks_for_is_not_told_but_done(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    await fill(world, 80)
    before = await mailbox.change_number()
    done = await mailbox.set_flags(inbox, ALL, FlagChange(add=Flag.DELETED, untold=True))
    assert (list(done.changed), list(done.failed), done.change_number, done.wrote) == ([], [], before + 1, True)
    assert await _counted(mailbox, inbox) and (await mailbox.folder(inbox)).deleted == 80
    found = await mailbox.changes(inbox, before)
    assert [(one.flags, one.modseq) for one in found.changed] == [(Flag.DELETED, before + 1)] * 80
