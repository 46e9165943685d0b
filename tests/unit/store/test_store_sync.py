"""Followers of folders learn every change once, in pages, whatever happens between the pages."""

from __future__ import annotations

import random

import pytest
from store_world import MAILBOX, World, delivery, fill, item, message

from postern.model.ids import DeliveryKey, FolderId, ItemId, Uid
from postern.model.items import Flag, FolderClass, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.model.sync import START, ChangeKind, ItemDelta, SyncPoint
from postern.store.interface import Delivery, FlagChange, ItemUpdate, Mailbox, Replaced
from postern.store.sqlite import transfer

ALL = [(0, 2**32)]


class Follower:
    """A client: what it believes is in the folder, by item id, and what it was told."""

    def __init__(self, mailbox: Mailbox, folder: FolderId, limit: int, newest_first: bool) -> None:
        self.mailbox, self.folder, self.limit, self.newest_first = mailbox, folder, limit, newest_first
        self.point = START
        self.known: dict[ItemId, tuple[Uid, int, int]] = {}
        self.kinds: list[ChangeKind] = []

    async def page(self) -> bool:
        """Ask once; whether there is more. Every claim is checked against what the client has."""
        found = await self.mailbox.item_changes(
            self.folder, SyncPoint(*self.point), self.limit, newest_first=self.newest_first
        )
        assert found.complete
        assert len(found.changes) <= self.limit
        for change in found.changes:
            self._take(change)
        self.kinds += [change.kind for change in found.changes]
        self.point = found.point
        return found.more

    def _take(self, change: ItemDelta) -> None:
        if change.kind is ChangeKind.DELETED:
            self.known.pop(change.item, None)
            return
        assert (change.kind is ChangeKind.CREATED) == (change.item not in self.known), change
        if change.kind is ChangeKind.READ_CHANGED:
            uid, flags, key = self.known[change.item]
            assert (uid, key, flags | 1) == (change.uid, change.change_key, change.flags | 1)
        self.known[change.item] = (change.uid, change.flags, change.change_key)

    async def catch_up(self) -> None:
        while await self.page():
            pass


async def truth(mailbox: Mailbox, folder: FolderId) -> dict[ItemId, tuple[Uid, int, int]]:
    """What a newcomer is told."""
    newcomer = Follower(mailbox, folder, 512, newest_first=False)
    await newcomer.catch_up()
    return newcomer.known


@pytest.mark.parametrize("seed", range(8))
async def test_followers_end_where_the_folder_is(world: World, mailbox: Mailbox, inbox: FolderId, seed: int) -> None:
    rng = random.Random(seed)
    archive = (await mailbox.special(SpecialUse.ARCHIVE)).id
    followers = [Follower(mailbox, inbox, rng.randint(1, 5), newest_first=n % 2 == 0) for n in range(4)]
    for number in range(1, 121):
        there = [uid for uid, *_ in (await truth(mailbox, inbox)).values()]
        some = rng.choice(there) if there else Uid(0)
        act = rng.randint(0, 7)
        if act <= 1 or not there:
            batch = [delivery(world.blobs, number * 10 + n) for n in range(rng.randint(1, 4))]
            await world.store.deliver(batch)
        elif act == 2:
            await mailbox.set_flags(inbox, [(some, some)], FlagChange(add=Flag.SEEN))
        elif act == 3:
            await mailbox.set_flags(inbox, ALL, FlagChange(remove=Flag.SEEN, add=rng.choice((0, Flag.FLAGGED))))
        elif act == 4:
            await mailbox.update(inbox, some, ItemUpdate({"PidLidReminderSet": number}))
        elif act == 5:
            await mailbox.expunge(inbox, [(some, some)], only_deleted=False)
        elif act == 6:
            target = rng.choice((inbox, archive))
            await mailbox.move(inbox, [(some, some)], target)
        else:
            (item_id,) = [i for i, (uid, *_) in (await truth(mailbox, inbox)).items() if uid == some]
            edited = item(world.blobs, message(number))
            edit = Delivery(MAILBOX, DeliveryKey(8, number), edited, replaces=Replaced(item_id))
            (done,) = await world.store.deliver([edit])
            assert done.refusal is None
        for follower in followers:
            if rng.random() < 0.5:
                await follower.page()
    for follower in followers:
        await follower.catch_up()
        await follower.catch_up()
        assert follower.known == await truth(mailbox, inbox)


async def test_kinds_of_changes(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    uids = await fill(world, 4)
    follower = Follower(mailbox, inbox, 512, newest_first=True)
    await follower.catch_up()
    assert list(follower.known) == uids[::-1]
    follower.kinds.clear()
    assert not await follower.page()
    assert follower.kinds == []
    await mailbox.set_flags(inbox, [(uids[0], uids[0])], FlagChange(add=Flag.SEEN))
    await mailbox.set_flags(inbox, [(uids[1], uids[1])], FlagChange(add=Flag.SEEN | Flag.FLAGGED))
    await mailbox.expunge(inbox, [(uids[2], uids[2])], only_deleted=False)
    gone = await world.store.deliver([delivery(world.blobs, 50), delivery(world.blobs, 51)])
    assert gone[0].placement is not None
    await mailbox.expunge(inbox, [(gone[0].placement.uid,) * 2], only_deleted=False)
    await follower.catch_up()
    # what came and went in between is not told
    assert follower.kinds == [
        ChangeKind.CREATED,
        ChangeKind.READ_CHANGED,
        ChangeKind.UPDATED,
        ChangeKind.DELETED,
    ]


async def test_a_point_that_is_too_old_says_so(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    uids = await fill(world, 3)
    follower = Follower(mailbox, inbox, 512, newest_first=True)
    await follower.catch_up()
    await mailbox.expunge(inbox, [(uids[0], uids[0])], only_deleted=False)
    await mailbox.expunge(inbox, [(uids[1], uids[1])], only_deleted=False)
    await mailbox.write(lambda txn: transfer.prune_tombstones(txn, keep=1))  # type: ignore[attr-defined]
    found = await mailbox.item_changes(inbox, follower.point)
    assert (found.complete, found.changes) == (False, ())
    foreign = (await mailbox.item_changes(inbox, START)).point._replace(incarnation=77)
    assert not (await mailbox.item_changes(inbox, foreign)).complete
    assert (await mailbox.item_changes(inbox, START)).complete
    with pytest.raises(Refusal, match="no_such_folder"):
        await mailbox.item_changes(FolderId(12345), START)


async def test_numbers_lost_in_a_power_cut_are_not_believed(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    await fill(world, 1)
    point = (await mailbox.item_changes(inbox, START)).point
    ahead = point._replace(change=point.change + 3)
    again = await world.reopen(2).mailbox(MAILBOX)
    assert not (await again.item_changes(inbox, ahead)).complete
    assert (await again.item_changes(inbox, point)).complete


async def test_the_folders_themselves(world: World, mailbox: Mailbox) -> None:
    start = await mailbox.folder_changes(0)  # type: ignore[arg-type]
    assert len(start.created) == len(await mailbox.folders())
    one = await mailbox.create_folder(None, "One")
    two = await mailbox.create_folder(one.id, "Two", FolderClass.CONTACTS)
    await fill(world, 1)
    then = await mailbox.folder_changes(start.upto, start.incarnation)
    assert ([f.id for f in then.created], then.updated, then.deleted) == ([one.id, two.id], [], [])
    await mailbox.rename_folder(two.id, None, "Three")
    done = await mailbox.set_folder(one.id, {"PidTagComment": "x"})
    with pytest.raises(Refusal, match="conflict"):
        await mailbox.set_folder(one.id, {"PidTagComment": "y"}, unchanged_since=then.upto)
    assert (await mailbox.set_folder(one.id, {"PidTagComment": "x"})).altered == done.altered
    await fill_and_mark(world, mailbox)
    last = await mailbox.folder_changes(then.upto, then.incarnation)
    assert ([f.id for f in last.updated], last.created, last.deleted) == ([one.id, two.id], [], [])
    await mailbox.delete_folder(two.id)
    gone = await mailbox.folder_changes(last.upto, last.incarnation)
    assert (gone.deleted, gone.updated, gone.created) == ([(two.id, None)], [], [])
    assert not (await mailbox.folder_changes(last.upto, 99)).complete
    assert not (await mailbox.folder_changes(gone.upto + 50, gone.incarnation)).complete  # type: ignore[arg-type]


async def test_where_a_folder_was_before(world: World, mailbox: Mailbox) -> None:
    one = await mailbox.create_folder(None, "One")
    two = await mailbox.create_folder(one.id, "Two")
    await mailbox.create_folder(one.id, "Three")
    assert (two.moved, two.former) == (0, None)
    await mailbox.rename_folder(two.id, one.id, "Other")  # a new name is no move
    assert (await mailbox.folder(two.id)).moved == 0
    await mailbox.rename_folder(two.id, None, "Three")  # the name that one below its former parent has
    there = await mailbox.folder(two.id)
    assert (there.parent, there.former, there.moved) == (None, one.id, there.altered)
    await mailbox.rename_folder(two.id, None, "Four")
    again = await mailbox.folder(two.id)
    assert (again.moved, again.former) == (there.moved, one.id) and again.altered > again.moved
    await mailbox.rename_folder(two.id, one.id, "Four")
    mailbox = await world.reopen(1).mailbox(MAILBOX)
    back = await mailbox.folder(two.id)
    assert back.former is None and back.moved == back.altered
    point = await mailbox.folder_changes(0)  # type: ignore[arg-type]
    await mailbox.delete_folder(two.id)
    assert (await mailbox.folder_changes(point.upto, point.incarnation)).deleted == [(two.id, one.id)]


async def fill_and_mark(world: World, mailbox: Mailbox) -> None:
    await world.store.deliver([delivery(world.blobs, 90)])
    await mailbox.set_flags((await mailbox.special(SpecialUse.INBOX)).id, ALL, FlagChange(add=Flag.SEEN))


async def test_distinguished_folders_on_demand(mailbox: Mailbox) -> None:
    before = {folder.special for folder in await mailbox.folders()}
    mine = await mailbox.create_folder(None, "Conversation History")
    await mailbox.create_folder(None, "Favorites")
    for use in SpecialUse:
        if use is SpecialUse.NONE:
            with pytest.raises(Refusal) as caught:
                await mailbox.ensure_special(use)
            assert caught.value.reason is Reason.NO_SUCH_FOLDER
            continue
        made = await mailbox.ensure_special(use)
        assert made.special is use
        assert await mailbox.ensure_special(use) == made == await mailbox.special(use)
        assert not (made.hidden and use in before)
    assert (await mailbox.special(SpecialUse.CONVERSATION_HISTORY)).id == mine.id
    assert (await mailbox.special(SpecialUse.FAVORITES)).name == "Favorites 2"
    cache = await mailbox.special(SpecialUse.RECIPIENT_CACHE)
    assert (cache.folder_class, cache.hidden) == (FolderClass.CONTACTS, True)
    assert b"IPF.Contact.RecipientCache" in cache.properties
