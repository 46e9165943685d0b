"""Whatever happens to items, `live` names exactly the bodies and attachments that something still refers to."""

from __future__ import annotations

import random

import pytest
from store_world import World, all_rows, delivery
from test_store_items import thing

from postern.model.ids import BlobRef
from postern.model.items import Columns, ItemClass, NewAttachment
from postern.store.interface import ItemUpdate, Mailbox, associated


async def referred(mailbox: Mailbox, segments: set[int]) -> dict[int, set[int]]:
    """By reading every item of every folder."""
    found: dict[int, set[int]] = {}
    for folder in await mailbox.folders():
        for part in (folder.id, associated(folder.id)):
            for uid, *ref in await all_rows(mailbox, part, Columns.UID | Columns.BLOB):
                refs = [BlobRef(*ref), *(a.blob for a in await mailbox.attachments(part, uid))]
                for segment, record in refs:
                    if segment in segments:
                        found.setdefault(segment, set()).add(record)
    return found


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_that_is_referred_to_is_dead(world: World, mailbox: Mailbox, seed: int) -> None:
    rng = random.Random(seed)
    tops = [folder.id for folder in (await mailbox.folders())[:4]]
    places = [*tops, associated(tops[0])]

    def stream() -> NewAttachment:
        return NewAttachment(world.blobs.put(b"x", segment=5), 1, b"")

    for number in range(50):
        folder, target = rng.choice(places), rng.choice(places)
        there = [uid for uid, *_ in await all_rows(mailbox, folder, Columns.UID)]
        act = rng.randint(0, 6)
        if act == 0:
            await world.store.deliver([delivery(world.blobs, number, segment=6)])
        elif act == 1 or not there:
            attached = tuple(stream() for _ in range(rng.randint(0, 3)))
            await mailbox.add(folder, [thing(ItemClass.TASK, {"n": number}, attachments=attached)])
        else:
            uid = rng.choice(there)
            ranges = [(uid, uid + rng.randint(0, 20))]
            if act == 2:
                await mailbox.copy(folder, ranges, target)
            elif act == 3:
                await mailbox.move(folder, ranges, target)
            elif act == 4:
                await mailbox.expunge(folder, ranges, only_deleted=False, purge=rng.random() < 0.5)
            elif act == 5:
                gone = tuple(a.id for a in await mailbox.attachments(folder, uid))[:1]
                await mailbox.update(folder, uid, ItemUpdate({"n": -number}, attach=(stream(),), detach=gone))
            else:
                world.clock.seconds += 10
                await mailbox.purge_recoverable(world.clock.seconds - 30)
        assert await world.store.live([5, 6]) == await referred(mailbox, {5, 6})  # type: ignore[attr-defined]
    used = sum(f.size_bytes for f in await mailbox.folders() if f.special.value != "recoverable")
    hidden = [row[0] for row in await all_rows(mailbox, places[-1], Columns.SIZE)]
    assert await mailbox.used_bytes() == used + sum(hidden)
