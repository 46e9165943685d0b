"""Kept views of large folders say what the file says, whatever has happened in between."""

from __future__ import annotations

import asyncio
import random
from contextlib import closing

import pytest
from store_world import MAILBOX, UNLIMITED, World, delivery

from postern.model.items import Flag, SpecialUse
from postern.store.interface import FlagChange
from postern.store.sqlite import mailbox as engine
from postern.store.sqlite import reading, snapshots, transfer, views
from postern.store.sqlite.connection import connect

ALL = [(1, 2**32)]


async def _prepared(world: World, monkeypatch):
    monkeypatch.setattr(engine, "MIN_MESSAGES", 5)
    monkeypatch.setattr(views, "MIN_MESSAGES", 5)
    await world.store.create_mailbox(MAILBOX, 1, UNLIMITED)
    await world.store.deliver([delivery(world.blobs, n) for n in range(40)])
    mailbox = await world.store.mailbox(MAILBOX)
    return mailbox, (await mailbox.special(SpecialUse.INBOX)).id, (await mailbox.special(SpecialUse.ARCHIVE)).id


async def test_kept_views_equal_the_file(world: World, monkeypatch) -> None:
    mailbox, inbox, archive = await _prepared(world, monkeypatch)
    chance = random.Random(7)
    next_delivery = 40
    for turn in range(150):
        uids = list((await mailbox.view(inbox, claim_recent=turn % 3 == 0)).uids)
        some = sorted(chance.sample(uids, min(len(uids), 3)))
        ranges = [(uid, uid) for uid in some]
        act = chance.choice(["deliver", "seen", "unseen", "move", "back", "expunge", "nothing"])
        if act == "deliver":
            await world.store.deliver([delivery(world.blobs, next_delivery)])
            next_delivery += 1
        elif act == "seen":
            await mailbox.set_flags(inbox, [(1, some[-1])] if turn % 2 else ranges, FlagChange(add=Flag.SEEN))
        elif act == "unseen":
            await mailbox.set_flags(inbox, ranges, FlagChange(remove=Flag.SEEN))
        elif act == "move":
            await mailbox.move(inbox, ranges, archive)
        elif act == "back":
            await mailbox.move(archive, ALL, inbox)
        elif act == "expunge" and len(uids) > 20:
            await mailbox.expunge(inbox, ranges, only_deleted=False)
        kept = await mailbox.view(inbox)
        fresh = await mailbox.consult(lambda db: reading.view(db, inbox))
        assert kept == fresh, (turn, act)


async def test_a_kept_view_is_not_what_a_session_changes(world: World, monkeypatch) -> None:
    mailbox, inbox, _ = await _prepared(world, monkeypatch)
    await mailbox.view(inbox)
    first = await mailbox.view(inbox)
    del first.uids[3:]
    assert len((await mailbox.view(inbox)).uids) == 40


async def test_the_cache_is_bounded(world: World, monkeypatch) -> None:
    mailbox, inbox, archive = await _prepared(world, monkeypatch)
    monkeypatch.setattr(views, "MAX_UIDS", 50)
    await mailbox.copy(inbox, ALL, archive)
    for folder in (inbox, archive, inbox, archive):
        await mailbox.view(folder)
    assert mailbox._host.views._total == 40
    assert len(mailbox._host.views._kept) == 1


async def test_claiming_through_a_kept_view(world: World, monkeypatch) -> None:
    mailbox, inbox, _ = await _prepared(world, monkeypatch)
    await mailbox.view(inbox, claim_recent=True)
    await world.store.deliver([delivery(world.blobs, 99)])
    first = await mailbox.view(inbox, claim_recent=True)
    second = await mailbox.view(inbox, claim_recent=True)
    assert first.folder.recent_from <= first.uids[-1] < second.folder.recent_from


async def _saving(world: World, monkeypatch, *, after: int = 1):
    """Rows of views are written for small folders too, after so many changes."""
    prepared = await _prepared(world, monkeypatch)
    monkeypatch.setattr(views, "SAVED_FROM", 5)
    monkeypatch.setattr(views, "SAVED_AFTER", after)
    return prepared


async def _written(mailbox) -> None:
    """What is done in the background is done."""
    while mailbox._host._tasks:
        await asyncio.gather(*mailbox._host._tasks)


def _never_read(monkeypatch) -> None:
    def view(*_: object) -> None:
        raise AssertionError("read anew")

    monkeypatch.setattr(reading, "view", view)


@pytest.mark.parametrize("on_loop", [0, 300_000])
async def test_a_process_that_never_had_the_folder_takes_the_row(world: World, monkeypatch, on_loop: int) -> None:
    mailbox, inbox, archive = await _saving(world, monkeypatch)
    monkeypatch.setattr(engine, "SAVED_ON_LOOP", on_loop)
    ours = await mailbox.view(inbox)
    await _written(mailbox)
    # what others do after the row was written is part of the answer
    await mailbox.move(inbox, [(ours.uids[3], ours.uids[5])], archive)
    await mailbox.set_flags(inbox, [(ours.uids[0], ours.uids[1])], FlagChange(add=Flag.SEEN))
    await world.store.deliver([delivery(world.blobs, 99)])
    fresh = await mailbox.consult(lambda db: reading.view(db, inbox))
    theirs = await world.reopen(1).mailbox(MAILBOX)
    _never_read(monkeypatch)
    assert await theirs.view(inbox) == fresh
    assert fresh.first_unseen == ours.uids[2]
    assert len(fresh.uids) == 38


async def test_rows_of_views_equal_the_file(world: World, monkeypatch) -> None:
    mailbox, inbox, archive = await _saving(world, monkeypatch, after=3)
    chance = random.Random(11)
    next_delivery = 40
    for turn in range(60):
        uids = list((await mailbox.view(inbox)).uids)
        await _written(mailbox)
        some = [(uid, uid) for uid in sorted(chance.sample(uids, 2))]
        act = chance.choice(["deliver", "seen", "move", "expunge", "nothing"])
        if act == "deliver":
            await world.store.deliver([delivery(world.blobs, next_delivery)])
            next_delivery += 1
        elif act == "seen":
            await mailbox.set_flags(inbox, some, FlagChange(add=Flag.SEEN))
        elif act == "move":
            await mailbox.move(inbox, some, archive)
            await mailbox.move(archive, ALL, inbox)
        elif act == "expunge" and len(uids) > 20:
            await mailbox.expunge(inbox, some, only_deleted=False)
        other = world.reopen(1)
        theirs = await other.mailbox(MAILBOX)
        assert await theirs.view(inbox) == await mailbox.consult(lambda db: reading.view(db, inbox)), (turn, act)
        await other.close()


async def test_a_row_is_written_anew_after_changes(world: World, monkeypatch) -> None:
    mailbox, inbox, _ = await _saving(world, monkeypatch, after=3)

    async def count() -> int:
        await mailbox.view(inbox)
        await _written(mailbox)
        return len((await mailbox.consult(lambda db: views.saved(db, inbox))).uids) // 4

    assert await count() == 40
    await world.store.deliver([delivery(world.blobs, n) for n in (40, 41)])
    assert await count() == 40
    await world.store.deliver([delivery(world.blobs, 42)])
    assert await count() == 43


async def test_a_row_that_the_file_cannot_bring_up_to_date_is_not_used(world: World, monkeypatch) -> None:
    mailbox, inbox, _ = await _saving(world, monkeypatch)
    uids = (await mailbox.view(inbox)).uids
    await _written(mailbox)
    await mailbox.expunge(inbox, [(uids[4], uids[6])], only_deleted=False)
    await mailbox.write(lambda t: transfer.prune_tombstones(t, keep=0))
    theirs = await world.reopen(1).mailbox(MAILBOX)
    assert list((await theirs.view(inbox)).uids) == [*uids[:4], *uids[7:]]


async def test_a_folder_takes_its_row_with_it(world: World, monkeypatch) -> None:
    mailbox, inbox, _ = await _saving(world, monkeypatch)
    folder = (await mailbox.create_folder(None, "large")).id
    await mailbox.copy(inbox, ALL, folder)
    await mailbox.view(folder)
    await _written(mailbox)
    assert await mailbox.consult(lambda db: views.saved(db, folder)) is not None
    await mailbox.delete_folder(folder)
    assert await mailbox.consult(lambda db: views.saved(db, folder)) is None


async def test_a_restored_mailbox_has_no_rows_of_views(world: World, monkeypatch) -> None:
    mailbox, inbox, _ = await _saving(world, monkeypatch)
    await mailbox.view(inbox)
    await _written(mailbox)
    copy = world.data / "copy.db"
    snapshots.copy_file(mailbox.path, copy)
    snapshots.renew(copy, 1_700_000_001)
    with closing(connect(copy)) as db:
        assert views.saved(db, inbox) is None
        assert len(reading.view(db, inbox).uids) == 40
