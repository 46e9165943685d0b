"""Deliveries: applied once, counted, refused alone."""

from __future__ import annotations

import pytest
from store_world import MAILBOX, OTHER, UNLIMITED, World, all_rows, delivery, item, message

from postern.model.ids import DeliveryKey, FolderId, Uid
from postern.model.items import Columns, Quota, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.store.interface import Delivery, Mailbox


async def test_delivered_item_is_what_was_rendered(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    sent = delivery(world.blobs, 7)
    (result,) = await world.store.deliver([sent])
    assert result.refusal is None
    assert result.placement is not None
    assert result.placement.folder == inbox
    every = Columns(0)
    for column in Columns:
        every |= column
    ((uid, flags, modseq, received, size, envelope, structure, header, parts, prefix, *rest),) = await all_rows(
        mailbox, inbox, every
    )
    segment, record, body_size, item_id, sent_at, subject, saved_at, *more = rest
    new = sent.item
    assert (uid, item_id) == (result.placement.uid, result.placement.item)
    assert (flags, received, size) == (0, new.received_at, new.body_size + len(new.prefix))
    assert (envelope, structure, header, parts, prefix) == (
        new.envelope,
        new.bodystructure,
        new.header,
        new.parts,
        new.prefix,
    )
    assert (segment, record, body_size) == (*new.blob, new.body_size)
    assert (sent_at, subject, saved_at) == (new.sent_at, "message 7", int(world.clock.timestamp()))
    assert modseq == (await mailbox.folder(inbox)).changed
    assert more == [0, b"", modseq, uid, "7@example.org", new.conversation]
    assert await mailbox.read(inbox, uid) == new.prefix + message(7)


async def test_a_key_is_applied_once_alone_and_in_batches(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    batch = [delivery(world.blobs, n) for n in (1, 2, 2, 3)]
    first = await world.store.deliver(batch)
    assert [r.placement is not None for r in first] == [True, True, False, True]
    again = await world.store.deliver(batch)
    assert [r.placement for r in again] == [None] * 4
    assert [r.refusal for r in again] == [None] * 4
    assert (await mailbox.folder(inbox)).messages == 3


async def test_a_key_of_a_message_that_was_deleted_stays_applied(
    world: World, mailbox: Mailbox, inbox: FolderId
) -> None:
    sent = delivery(world.blobs, 1)
    await world.store.deliver([sent])
    await mailbox.expunge(inbox, None, only_deleted=False)
    (again,) = await world.store.deliver([sent])
    assert again.placement is None
    assert (await mailbox.folder(inbox)).messages == 0


async def test_keys_of_retired_segments_are_forgotten(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    await world.store.deliver([delivery(world.blobs, 1, segment=1), delivery(world.blobs, 2, segment=2)])
    await world.store.forget_applied([1])  # type: ignore[attr-defined]
    results = await world.store.deliver([delivery(world.blobs, 1, segment=1), delivery(world.blobs, 2, segment=2)])
    assert [r.placement is not None for r in results] == [True, False]


async def test_an_unknown_mailbox_fails_alone(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    results = await world.store.deliver([delivery(world.blobs, 1, OTHER), delivery(world.blobs, 2)])
    assert isinstance(results[0].refusal, Refusal)
    assert results[0].refusal.reason is Reason.NO_SUCH_RECIPIENT
    assert results[1].placement is not None


async def test_quota_refuses_what_does_not_fit(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    one, two, small = (delivery(world.blobs, n) for n in (1, 2, 3))
    size = one.item.body_size + len(one.item.prefix)
    await mailbox.set_quota(Quota(None, None, size + 10))
    results = await world.store.deliver([one, two])
    assert results[0].placement is not None
    assert isinstance(results[1].refusal, Refusal)
    assert results[1].refusal.reason is Reason.OVER_QUOTA
    assert await mailbox.used_bytes() == size
    with pytest.raises(Refusal, match="over_quota"):
        await mailbox.add(inbox, [small.item])
    with pytest.raises(Refusal, match="over_quota"):
        await mailbox.copy(inbox, [(0, 2**32)], inbox)
    forced = Delivery(MAILBOX, DeliveryKey(9, 9), small.item, ignore_quota=True)
    assert (await world.store.deliver([forced]))[0].placement is not None
    # an item that was applied before is not refused again
    assert (await world.store.deliver([one]))[0].refusal is None
    await mailbox.expunge(inbox, None, only_deleted=False)
    assert await mailbox.used_bytes() == 0
    assert (await world.store.deliver([two]))[0].placement is not None
    assert await mailbox.quota() == Quota(None, None, size + 10)


async def test_what_supersedes_another_needs_room_for_what_it_is_larger_by(
    world: World, mailbox: Mailbox, inbox: FolderId
) -> None:
    drafts = (await mailbox.special(SpecialUse.DRAFTS)).id
    (first,) = await world.store.deliver([delivery(world.blobs, 1)])
    assert first.placement is not None
    old = (inbox, first.placement.uid)
    size = await mailbox.used_bytes()
    await mailbox.set_quota(Quota(None, None, size + 10))
    longer = Delivery(MAILBOX, DeliveryKey(3, 1), item(world.blobs, message(2, "x" * size)), drafts, supersedes=old)
    (refused,) = await world.store.deliver([longer])
    assert isinstance(refused.refusal, Refusal)
    assert refused.refusal.reason is Reason.OVER_QUOTA
    assert [(await mailbox.folder(one)).messages for one in (inbox, drafts)] == [1, 0]
    new = Delivery(MAILBOX, DeliveryKey(3, 2), item(world.blobs, message(2)), drafts, supersedes=old)
    again, late = new._replace(key=DeliveryKey(3, 2)), new._replace(key=DeliveryKey(3, 3))
    done, twice, gone = await world.store.deliver([new, again, late])
    assert done.placement is not None
    assert done.placement.folder == drafts
    assert done.placement.item == done.placement.uid  # another message has another EMAILID
    assert (twice.placement, twice.refusal) == (None, None)
    assert isinstance(gone.refusal, Refusal)
    assert gone.refusal.reason is Reason.NO_SUCH_ITEM
    recoverable = (await mailbox.special(SpecialUse.RECOVERABLE)).id
    assert [(await mailbox.folder(one)).messages for one in (inbox, drafts, recoverable)] == [0, 1, 1]
    assert await mailbox.used_bytes() == (await mailbox.folder(drafts)).size_bytes
    # a client was told that it is there: it has to be, whatever has become of the other one and of the quota
    told = late._replace(key=DeliveryKey(3, 4), uid=Uid(done.placement.uid + 5), ignore_quota=True)
    (promised,) = await world.store.deliver([told])
    assert promised.placement is not None


async def test_what_supersedes_another_does_not_count_beside_it(world: World, mailbox: Mailbox) -> None:
    (first,) = await world.store.deliver([delivery(world.blobs, 1)])
    assert first.placement is not None
    old = (first.placement.folder, first.placement.uid)
    world.store._host.max_items = 1  # type: ignore[attr-defined]
    new = Delivery(MAILBOX, DeliveryKey(3, 1), item(world.blobs, message(2)), supersedes=old)
    (done,) = await world.store.deliver([new])
    assert done.placement is not None
    assert await mailbox.used_items() == 1


async def test_folder_flags_and_told_uid(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    drafts = (await mailbox.special(SpecialUse.DRAFTS)).id
    new = item(world.blobs, message(1), flags=1, keywords=("$Work",))
    (first,) = await world.store.deliver([Delivery(MAILBOX, DeliveryKey(3, 1), new, folder=drafts)])
    assert first.placement is not None
    await mailbox.expunge(drafts, None, only_deleted=False)
    gone = await mailbox.create_folder(None, "Gone")
    await mailbox.delete_folder(gone.id)
    (fallback,) = await world.store.deliver([Delivery(MAILBOX, DeliveryKey(3, 2), new, folder=gone.id)])
    assert fallback.placement is not None
    assert fallback.placement.folder == inbox
    (told,) = await world.store.deliver([Delivery(MAILBOX, DeliveryKey(3, 3), new, uid=Uid(4000))])
    assert told.placement is not None
    ((_, flags),) = await all_rows(
        mailbox, inbox, Columns.UID | Columns.FLAGS, ranges=[(fallback.placement.uid, fallback.placement.uid)]
    )
    assert flags & 1
    assert {name for bit, name in (await mailbox.keywords()).items() if flags >> bit & 1} == {"$Work"}


async def test_a_large_batch_over_mailboxes_keeps_order_and_publishes(
    world: World, mailbox: Mailbox, inbox: FolderId
) -> None:
    await world.store.create_mailbox(OTHER, 2, UNLIMITED)
    other = await world.store.mailbox(OTHER)
    world.bus.published.clear()
    batch = [delivery(world.blobs, n, MAILBOX if n % 2 else OTHER) for n in range(1000)]
    results = await world.store.deliver(batch)
    for mine, box in ((1, mailbox), (0, other)):
        uids = [r.placement.uid for n, r in enumerate(results) if n % 2 == mine and r.placement]
        assert len(uids) == 500
        assert uids == sorted(set(uids))
        folder = (await box.special(SpecialUse.INBOX)).id
        subjects = [s async for rows in box.items(folder, Columns.SUBJECT) for (s,) in rows]
        assert subjects == [f"message {n}" for n in range(1000) if n % 2 == mine]
    assert {slot for slot, _ in world.bus.published} == {1, 2}
    assert await mailbox.change_number() == (await mailbox.folder(inbox)).changed
