"""Kept views of large folders say what the file says, whatever has happened in between."""

from __future__ import annotations

import random

from store_world import MAILBOX, UNLIMITED, World, delivery

from postern.model.items import Flag, SpecialUse
from postern.store.interface import FlagChange
from postern.store.sqlite import mailbox as engine
from postern.store.sqlite import reading, views

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
