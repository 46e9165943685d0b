"""services.public_folders: each reader's own \\Seen over one mailbox, in every call that shows or changes flags."""

from __future__ import annotations

import pytest
from store_world import MAILBOX, OTHER, UNLIMITED, World, delivery

from postern.model.ids import AccountId
from postern.model.items import Columns, Flag
from postern.model.query import All, And, HasFlags, Not, Or
from postern.model.refusal import Reason, Refusal
from postern.services.public_folders import ReaderAppender, ReaderMailbox, is_own, public_folders
from postern.store.interface import FlagChange, ItemUpdate

SEEN, FLAGGED = Flag.SEEN.value, Flag.FLAGGED.value
BOTH = Columns.UID | Columns.FLAGS


class Board:
    """A public folder with five items, and two readers."""

    def __init__(self, mailbox, folder) -> None:
        self.mailbox, self.folder = mailbox, folder
        self.ann, self.bob = (ReaderMailbox(mailbox, AccountId(number)) for number in (1, 2))

    async def flags(self, reader, columns=BOTH):
        return {row[0]: row[1] async for rows in reader.items(self.folder, columns) for row in rows}

    async def seen(self, reader):
        return [uid for uid, flags in (await self.flags(reader)).items() if flags & SEEN]


@pytest.fixture
async def board(world: World):
    await world.store.create_mailbox(MAILBOX, 1, UNLIMITED)
    mailbox = await world.store.mailbox(MAILBOX)
    folder = (await mailbox.create_folder(None, "Board")).id
    await world.store.deliver([delivery(world.blobs, n)._replace(folder=folder) for n in range(5)])
    return Board(mailbox, folder)


def one(uid):
    return [(uid, uid)]


async def test_seen_is_each_readers_own(board):
    uids = list(await board.flags(board.ann))
    result = await board.ann.set_flags(board.folder, one(uids[1]), FlagChange(add=SEEN))
    assert [(item.uid, item.flags & SEEN) for item in result.changed] == [(uids[1], SEEN)]
    assert await board.seen(board.ann) == [uids[1]] and await board.seen(board.bob) == []
    assert (await board.ann.folder(board.folder)).unseen == 4 and (await board.bob.folder(board.folder)).unseen == 5
    await board.bob.set_flags(board.folder, [(uids[0], uids[4])], FlagChange(add=SEEN | FLAGGED))
    assert await board.seen(board.bob) == uids and await board.seen(board.ann) == [uids[1]]
    assert all(flags & FLAGGED for flags in (await board.flags(board.ann)).values()), "the other flags are everybody's"
    await board.bob.set_flags(board.folder, one(uids[0]), FlagChange(add=FLAGGED, replace=True))
    assert await board.seen(board.bob) == uids[1:]
    await board.bob.set_flags(board.folder, one(uids[1]), FlagChange(remove=SEEN))
    assert await board.seen(board.bob) == uids[2:] and await board.seen(board.ann) == [uids[1]]


async def test_rows_keep_their_columns(board):
    uid = next(iter(await board.flags(board.ann)))
    await board.ann.set_flags(board.folder, one(uid), FlagChange(add=SEEN))
    for columns in (BOTH, Columns.FLAGS, BOTH | Columns.BLOB | Columns.ITEM_ID | Columns.SUBJECT, BOTH | Columns.BLOB):
        plain = [row async for rows in board.mailbox.items(board.folder, columns, one(uid)) for row in rows]
        shown = [row async for rows in board.ann.items(board.folder, columns, one(uid)) for row in rows]
        at = 1 if columns & Columns.UID else 0
        assert [(*row[:at], row[at] | SEEN, *row[at + 1 :]) for row in plain] == shown, columns
    unasked = [row async for rows in board.ann.items(board.folder, Columns.UID, one(uid)) for row in rows]
    assert unasked == [(uid,)]


async def test_searching_means_the_reader(board):
    uids = list(await board.flags(board.ann))
    await board.ann.set_flags(board.folder, one(uids[2]), FlagChange(add=SEEN | FLAGGED))
    seen = HasFlags(SEEN)
    for query, found in (
        (seen, [uids[2]]),
        (Not(seen), [uids[0], uids[1], uids[3], uids[4]]),
        (And((seen, HasFlags(FLAGGED))), [uids[2]]),
        (HasFlags(SEEN | FLAGGED), [uids[2]]),
        (Or((seen, Not(All()))), [uids[2]]),
        (HasFlags(FLAGGED), [uids[2]]),
    ):
        assert list(await board.ann.search(board.folder, query)) == found, query
    assert list(await board.bob.search(board.folder, seen)) == []
    assert list(await board.ann.search(board.folder, seen, one(uids[0]))) == []


async def test_views_and_changes(board):
    uids = list(await board.flags(board.ann))
    since = await board.mailbox.change_number()
    await board.ann.set_flags(board.folder, one(uids[0]), FlagChange(add=SEEN))
    assert (await board.ann.view(board.folder)).first_unseen == uids[1]
    assert (await board.bob.view(board.folder)).first_unseen == uids[0]
    await board.bob.set_flags(board.folder, [(uids[0], uids[1])], FlagChange(add=FLAGGED))
    told = await board.ann.changes(board.folder, since)
    assert [(item.uid, item.flags & (SEEN | FLAGGED)) for item in told.changed] == [
        (uids[0], SEEN | FLAGGED),
        (uids[1], FLAGGED),
    ]


async def test_a_store_of_seen_alone_changes_no_item(board):
    uids = list(await board.flags(board.ann))
    before = {row async for rows in board.mailbox.items(board.folder, Columns.UID | Columns.MODSEQ) for row in rows}
    top = max(modseq for _, modseq in before)
    result = await board.ann.set_flags(board.folder, [(uids[0], uids[4])], FlagChange(add=SEEN), unchanged_since=top)
    assert len(result.changed) == 5 and not result.failed and not result.wrote
    after = {row async for rows in board.mailbox.items(board.folder, Columns.UID | Columns.MODSEQ) for row in rows}
    assert before == after
    late = await board.ann.set_flags(board.folder, [(uids[0], uids[4])], FlagChange(remove=SEEN), unchanged_since=1)
    assert len(late.failed) == 5 and await board.seen(board.ann) == uids


async def test_read_state_goes_along(board, world):
    uids = list(await board.flags(board.ann))
    other = (await board.mailbox.create_folder(None, "Other")).id
    await board.ann.set_flags(board.folder, [(uids[0], uids[1])], FlagChange(add=SEEN))
    copied = await board.ann.copy(board.folder, [(uids[1], uids[2])], other)
    moved = await board.ann.move(board.folder, one(uids[0]), other)
    shown = {row[0]: row[1] & SEEN async for rows in board.ann.items(other, BOTH) for row in rows}
    assert shown == {copied.placements[0]: SEEN, copied.placements[1]: 0, moved.placements[0]: SEEN}
    (exported,) = await board.ann.export(board.folder, [uids[1]])
    assert exported.flags & SEEN
    (unread,) = await board.bob.export(board.folder, [uids[1]])
    assert not unread.flags & SEEN
    (placed,) = await board.bob.add(other, [exported])
    shown = {row[0]: row[1] & SEEN async for rows in board.bob.items(other, BOTH) for row in rows}
    assert shown[placed.uid] == SEEN and not any(flags for uid, flags in shown.items() if uid != placed.uid)
    counts = {one.name: one.unseen for one in await board.ann.folders()}
    assert counts == {"Board": 3, "Other": 2}


async def test_updates_of_items(board):
    uid = next(iter(await board.flags(board.ann)))
    await board.ann.update(board.folder, uid, ItemUpdate(flags=FlagChange(add=SEEN)))
    assert await board.seen(board.ann) == [uid] and await board.seen(board.bob) == []
    await board.ann.update(board.folder, uid, ItemUpdate(flags=FlagChange(add=FLAGGED, remove=SEEN)))
    assert await board.seen(board.ann) == [] and (await board.flags(board.bob))[uid] & FLAGGED


async def test_appending_as_seen(board):
    class Appending:
        async def append(self, mailbox, folder, content, flags, keywords, received_at, beside):
            assert not flags & SEEN
            (found,) = [
                row async for rows in board.mailbox.items(folder, Columns.UID | Columns.ITEM_ID) for row in rows
            ][-1:]
            from postern.model.items import Placement

            return Placement(folder, 1, found[0], found[1])

    placed = await ReaderAppender(Appending(), board.ann).append(MAILBOX, board.folder, b"x", SEEN, (), None)
    assert await board.seen(board.ann) == [placed.uid] and await board.seen(board.bob) == []


async def test_only_folders_that_somebody_made_are_public(board):
    inside = await board.mailbox.create_folder(board.folder, "Inside")
    names = [one.name for one in public_folders(await board.mailbox.folders())]
    assert names == ["Board", "Inside"] and inside.parent == board.folder
    assert [one.name for one in await board.bob.folders()] == ["Board", "Inside"]


async def test_subscriptions_are_ones_own(board):
    await board.ann.subscribe(board.folder, True)
    assert [one.subscribed for one in await board.ann.folders()] == [True]
    assert [one.subscribed for one in await board.bob.folders()] == [False]
    await board.ann.subscribe(board.folder, False)
    assert [one.subscribed for one in await board.ann.folders()] == [False]


def test_what_is_ones_own():
    assert is_own(FlagChange(add=SEEN)) and is_own(FlagChange(remove=SEEN))
    assert not is_own(None) and not is_own(FlagChange(add=SEEN | FLAGGED)) and not is_own(FlagChange(replace=True))
    assert not is_own(FlagChange(add=SEEN, add_keywords=("x",)))


async def test_a_limit_of_items(world):
    await world.store.create_mailbox(OTHER, 2, UNLIMITED)
    world.store._host.max_items = 3
    mailbox = await world.store.mailbox(OTHER)
    assert (await mailbox.quota()).max_items == 3
    batch = [delivery(world.blobs, n)._replace(mailbox=OTHER) for n in range(5)]
    results = await world.store.deliver(batch)
    assert [r.refusal.reason if r.refusal else None for r in results] == [None] * 3 + [Reason.OVER_QUOTA] * 2
    assert await mailbox.used_items() == 3
    again = await world.store.deliver(batch[:1])
    assert again[0].refusal is None, "what is there already is no new item"
    inbox = results[0].placement.folder
    with pytest.raises(Refusal, match=r"3 \+ 3 > 3"):
        await mailbox.copy(inbox, [(0, 2**32)], inbox)
    await mailbox.expunge(inbox, [(0, 2**32)], only_deleted=False)
    assert await mailbox.used_items() == 0, "recoverable items do not count"
    assert (await world.store.deliver(batch[3:4]))[0].refusal is None
