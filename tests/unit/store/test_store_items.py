"""Items of every class: found by id, changed by property, copied, counted, and invisible where they must be."""

from __future__ import annotations

from typing import Any

import pytest
from store_world import MAILBOX, OTHER, UNLIMITED, World, all_rows, delivery, fill, item, message

from postern.model.ids import NO_BLOB, DeliveryKey, FolderId, ItemId, Uid
from postern.model.items import (
    FOREVER,
    Columns,
    Flag,
    FolderClass,
    ItemClass,
    NewAttachment,
    NewItem,
    Quota,
    Span,
    SpecialUse,
)
from postern.model.properties import pack, unpack
from postern.model.refusal import Reason, Refusal
from postern.store.interface import Delivery, FlagChange, ItemUpdate, Mailbox, Rendering, Replaced, associated

ALL = [(0, 2**32)]
WEEK = 7 * 86_400


def thing(item_class: ItemClass, properties: dict[str, Any], **more: Any) -> NewItem:
    fields: dict[str, Any] = {"prefix": b"Subject: x\r\n\r\n", "subject": "x", "header": b"", "sent_at": None, **more}
    return NewItem(
        blob=NO_BLOB,
        body_size=0,
        received_at=1_700_000_000,
        envelope=b"()",
        bodystructure=b"()",
        parts=b"",
        message_id="",
        item_class=item_class,
        properties=pack(properties),
        **fields,
    )


async def put(mailbox: Mailbox, use: SpecialUse, new: NewItem) -> tuple[FolderId, Uid, ItemId]:
    folder = (await mailbox.special(use)).id
    (placed,) = await mailbox.add(folder, [new])
    return folder, placed.uid, placed.item


async def row(mailbox: Mailbox, folder: FolderId, uid: Uid, columns: Columns) -> tuple[Any, ...]:
    (found,) = await all_rows(mailbox, folder, columns, ranges=[(uid, uid)])
    return found


async def refused(reason: Reason, attempt: Any) -> None:
    with pytest.raises(Refusal) as caught:
        await attempt
    assert caught.value.reason is reason


async def test_properties_change_in_place(mailbox: Mailbox) -> None:
    new = thing(ItemClass.CONTACT, {"PidTagDisplayName": "Anna", "PidTagGivenName": "A"})
    folder, uid, identity = await put(mailbox, SpecialUse.CONTACTS, new)
    columns = Columns.UID | Columns.ITEM_ID | Columns.CLASS | Columns.PROPERTIES | Columns.CHANGE_KEY | Columns.MODSEQ
    _, modseq, *_ = await row(mailbox, folder, uid, columns)
    done = await mailbox.update(
        folder, uid, ItemUpdate({"PidTagDisplayName": "Äнна"}, ("PidTagGivenName", "PidTagNickname")), modseq
    )
    assert done.change_key == modseq + 1
    after = await row(mailbox, folder, uid, columns)
    assert after[:3] == (uid, modseq + 1, identity)
    assert after[3] == ItemClass.CONTACT
    assert unpack(after[4]) == {"PidTagDisplayName": "Äнна"}
    assert after[5] == done.change_key
    await refused(Reason.CONFLICT, mailbox.update(folder, uid, ItemUpdate({"PidTagDisplayName": "B"}), modseq))
    same = await mailbox.update(folder, uid, ItemUpdate({"PidTagDisplayName": "Äнна"}))
    assert (same.change_key, await mailbox.change_number()) == (modseq + 1, modseq + 1)
    await refused(Reason.NO_SUCH_ITEM, mailbox.update(folder, Uid(uid + 1), ItemUpdate()))
    long = mailbox.update(folder, uid, ItemUpdate({"PidTagBody": "x" * (1 << 20)}))
    await refused(Reason.TOO_LARGE, long)


async def test_the_read_flag_is_no_change_of_the_item(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    (uid,) = await fill(world, 1)
    key = (await row(mailbox, inbox, uid, Columns.CHANGE_KEY))[0]
    await mailbox.set_flags(inbox, ALL, FlagChange(add=Flag.SEEN))
    assert (await row(mailbox, inbox, uid, Columns.CHANGE_KEY))[0] == key
    await mailbox.update(inbox, uid, ItemUpdate(flags=FlagChange(remove=Flag.SEEN)), key)
    assert (await row(mailbox, inbox, uid, Columns.CHANGE_KEY))[0] == key
    await mailbox.set_flags(inbox, ALL, FlagChange(add=Flag.FLAGGED))
    assert (await row(mailbox, inbox, uid, Columns.CHANGE_KEY))[0] == await mailbox.change_number()
    many = await fill_more(world, 700)
    await mailbox.set_flags(inbox, ALL, FlagChange(add=Flag.SEEN))
    assert (await row(mailbox, inbox, many, Columns.CHANGE_KEY))[0] < await mailbox.change_number()
    await mailbox.set_flags(inbox, ALL, FlagChange(add_keywords=("$x",)))
    assert (await row(mailbox, inbox, many, Columns.CHANGE_KEY))[0] == await mailbox.change_number()


async def fill_more(world: World, count: int) -> Uid:
    results = await world.store.deliver([delivery(world.blobs, n, segment=9) for n in range(count)])
    assert results[-1].placement is not None
    return results[-1].placement.uid


async def test_a_copy_keeps_what_it_was(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    (uid,) = await fill(world, 1)
    archive = (await mailbox.special(SpecialUse.ARCHIVE)).id
    copied = await mailbox.copy(inbox, ALL, archive)
    origin = await row(mailbox, inbox, uid, Columns.ORIGIN)
    await mailbox.update(inbox, uid, ItemUpdate({"PidLidReminderSet": True}))
    wanted = Columns.PROPERTIES | Columns.ORIGIN | Columns.ENVELOPE | Columns.HEADER
    changed, kept = await row(mailbox, inbox, uid, wanted), await row(mailbox, archive, copied.placements[0], wanted)
    assert (unpack(changed[2]), kept[2]) == ({"PidLidReminderSet": True}, b"")
    assert (changed[:2], changed[3:]) == (kept[:2], kept[3:])
    assert changed[3:] == origin
    assert await mailbox.read(inbox, uid) == await mailbox.read(archive, copied.placements[0])
    moved = await mailbox.move(inbox, ALL, archive)
    assert (await row(mailbox, archive, moved.placements[0], Columns.ORIGIN)) == origin
    for folder in (archive, (await mailbox.special(SpecialUse.RECOVERABLE)).id):
        await mailbox.expunge(folder, None, only_deleted=False)
    assert await world.store.live([1]) == {}  # type: ignore[attr-defined]


async def test_a_new_body_keeps_the_id(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    first, second = await fill(world, 2)
    key = (await row(mailbox, inbox, first, Columns.CHANGE_KEY))[0]
    since = await mailbox.change_number()
    edit = Delivery(
        MAILBOX,
        DeliveryKey(3, 1),
        item(world.blobs, message(7, "Edited."), Flag.SEEN),
        replaces=Replaced(ItemId(first), key),
    )
    (done, again) = await world.store.deliver([edit, edit])
    assert done.placement is not None
    assert again.placement is None
    assert again.refusal is None
    assert done.placement.item == first
    uid = done.placement.uid
    assert uid > second
    assert await mailbox.locate([ItemId(first), ItemId(second), ItemId(uid)]) == {
        first: (inbox, uid),
        second: (inbox, second),
    }
    assert (await mailbox.read(inbox, uid)).endswith(b"Edited.\r\n")
    changes = await mailbox.changes(inbox, since)
    assert (changes.vanished, [c.uid for c in changes.changed]) == ([first], [uid])
    folder = await mailbox.folder(inbox)
    assert (folder.messages, folder.unseen) == (2, 1)
    assert await mailbox.used_bytes() == folder.size_bytes
    (stale,) = await world.store.deliver([edit._replace(key=DeliveryKey(3, 2))])
    assert isinstance(stale.refusal, Refusal)
    assert stale.refusal.reason is Reason.CONFLICT
    (late,) = await world.store.deliver([edit._replace(key=DeliveryKey(3, 3), replaces=Replaced(ItemId(uid)))])
    assert isinstance(late.refusal, Refusal)
    assert late.refusal.reason is Reason.NO_SUCH_ITEM


async def test_located_in_any_folder(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    uids = await fill(world, 3)
    archive = (await mailbox.special(SpecialUse.ARCHIVE)).id
    moved = await mailbox.move(inbox, [(uids[1], uids[1])], archive)
    ids = [ItemId(n) for n in (*uids, *moved.placements, 99_999)]
    for near in (None, inbox, archive, FolderId(12345)):
        assert await mailbox.locate(ids, near) == {
            uids[0]: (inbox, uids[0]),
            uids[2]: (inbox, uids[2]),
            moved.placements[0]: (archive, moved.placements[0]),
        }


async def test_what_is_kept_for_free_busy_is_never_older_than_its_item(mailbox: Mailbox) -> None:
    calendar = (await mailbox.special(SpecialUse.CALENDAR)).id
    new = thing(ItemClass.APPOINTMENT, {}, span=Span(0, 10, b"two"))
    first, second = [p.uid for p in await mailbox.add(calendar, [new, new])]

    async def kept(folder: FolderId = calendar) -> dict[int, tuple[int, int, bytes]]:
        return {uid: (start, end, busy) for uid, start, end, busy in await mailbox.spans(folder, 0, 100)}

    assert await kept() == {first: (0, 10, b"two"), second: (0, 10, b"two")}
    assert await mailbox.spans(calendar, 10, 100) == []
    await mailbox.update(calendar, first, ItemUpdate(set={"PidLidBusyStatus": 3}))
    assert (await kept())[first] == (0, 10, b"")
    await mailbox.update(calendar, first, ItemUpdate(set={"PidLidBusyStatus": 1}, span=Span(5, 15, b"one")))
    await mailbox.update(calendar, second, ItemUpdate(flags=FlagChange(add=1)))
    assert await kept() == {first: (5, 15, b"one"), second: (0, 10, b"two")}
    other = (await mailbox.create_folder(None, "Team", FolderClass.CALENDAR)).id
    (copied,) = (await mailbox.copy(calendar, [(first, first)], other)).placements
    assert await kept(other) == {copied: (5, 15, b"one")}
    (exported,) = await mailbox.export(other, [copied])
    assert exported.span == Span(5, 15, b"one")
    await refused(Reason.NO_SUCH_FOLDER, mailbox.spans(FolderId(12345), 0, 1))


async def test_a_look_at_the_calendar_has_spans_and_settings(mailbox: Mailbox) -> None:
    folder = (await mailbox.special(SpecialUse.CALENDAR)).id
    await mailbox.add(folder, [thing(ItemClass.APPOINTMENT, {}, span=Span(n, n + 10, b"x")) for n in (0, 20, 90)])
    await mailbox.set_settings("calendar", {"zone": b"1", "hours": b"2"})
    await mailbox.set_settings("other", {"zone": b"3"})
    look = await mailbox.calendar("calendar", 5, 40)
    assert (look.seen, look.folder) == (await mailbox.change_number(), folder)
    assert sorted(look.spans) == sorted(await mailbox.spans(folder, 5, 40)) and len(look.spans) == 2
    assert look.settings == await mailbox.settings("calendar") and len(look.settings) == 2


async def test_calendar_view(mailbox: Mailbox) -> None:
    calendar = (await mailbox.special(SpecialUse.CALENDAR)).id
    spans = [(0, 10), (10, 20), (15, 15), (5, FOREVER), (30, 40), None]
    placed = await mailbox.add(
        calendar, [thing(ItemClass.APPOINTMENT, {}, span=Span(*span) if span else None) for span in spans]
    )
    uids = [p.uid for p in placed]

    async def view(start: int, end: int) -> list[int]:
        return [uids.index(uid) for uid in await mailbox.overlapping(calendar, start, end)]

    assert await view(0, 10) == [0, 3]
    assert await view(10, 16) == [1, 2, 3]
    assert await view(16, 30) == [1, 3]
    await mailbox.update(calendar, uids[4], ItemUpdate(span=Span(16, 17)))
    await mailbox.update(calendar, uids[3], ItemUpdate(no_span=True))
    assert await view(16, 30) == [1, 4]
    other = await mailbox.create_folder(None, "Team", FolderClass.CALENDAR)
    moved = await mailbox.move(calendar, [(uids[1], uids[1])], other.id)
    assert await mailbox.overlapping(other.id, 0, 100) == list(moved.placements)
    assert await view(16, 30) == [4]
    await mailbox.expunge(calendar, None, only_deleted=False)
    assert await view(0, FOREVER) == []
    await refused(Reason.NO_SUCH_FOLDER, mailbox.overlapping(FolderId(12345), 0, 1))


async def test_attachments(world: World, mailbox: Mailbox) -> None:
    bodies = [world.blobs.put(b"x" * size, segment=5) for size in (10, 20, 30)]
    attached = [NewAttachment(ref, size, pack({"n": size})) for ref, size in zip(bodies, (10, 20, 30), strict=True)]
    new = thing(ItemClass.TASK, {}, attachments=tuple(attached[:2]))
    folder, uid, _ = await put(mailbox, SpecialUse.TASKS, new)
    assert await mailbox.used_bytes() == len(new.prefix) + 30
    first, second = await mailbox.attachments(folder, uid)
    assert (first[1:], second[1:]) == (tuple(attached[0]), tuple(attached[1]))
    copied = await mailbox.copy(folder, ALL, folder)
    done = await mailbox.update(folder, uid, ItemUpdate(attach=(attached[2],), detach=(first.id,)))
    assert [(a.id, a.blob) for a in await mailbox.attachments(folder, uid)] == [
        (second.id, bodies[1]),
        (done.attachments[0], bodies[2]),
    ]
    assert await mailbox.attachments(folder, copied.placements[0]) == [first, second]
    assert await mailbox.used_bytes() == 2 * len(new.prefix) + 50 + 30
    live = world.store.live  # type: ignore[attr-defined]
    assert await live([5]) == {5: {ref.record for ref in bodies}}
    await mailbox.expunge(folder, [(copied.placements[0], copied.placements[0])], only_deleted=False, purge=True)
    assert await live([5]) == {5: {bodies[1].record, bodies[2].record}}
    await mailbox.expunge(folder, None, only_deleted=False)
    recoverable = await mailbox.special(SpecialUse.RECOVERABLE)
    assert recoverable.messages == 1
    assert await mailbox.used_bytes() == 0
    assert await live([5]) == {5: {bodies[1].record, bodies[2].record}}
    await mailbox.expunge(recoverable.id, None, only_deleted=False)
    assert await live([5]) == {}
    many = thing(ItemClass.TASK, {}, attachments=tuple(attached[:1] * 1001))
    await refused(Reason.TOO_MANY, mailbox.add(folder, [many]))


async def test_associated_items_are_seen_by_nobody_else(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    await fill(world, 1)
    before = await mailbox.folder(inbox)
    hidden = associated(inbox)
    assert await all_rows(mailbox, hidden, Columns.UID) == []
    (placed,) = await mailbox.add(hidden, [thing(ItemClass.ASSOCIATED, {"PidTagMessageClass": "IPM.Configuration.X"})])
    after = await mailbox.folder(inbox)
    assert (after.messages, after.unseen, after.uid_next) == (before.messages, before.unseen, before.uid_next)
    assert len((await mailbox.view(inbox)).uids) == 1
    assert await mailbox.locate([placed.item]) == {placed.item: (hidden, placed.uid)}
    await mailbox.update(hidden, placed.uid, ItemUpdate({"PidTagRoamingDictionary": b"x"}))
    ((stored,),) = await all_rows(mailbox, hidden, Columns.PROPERTIES)
    assert unpack(stored)["PidTagRoamingDictionary"] == b"x"
    assert list(await mailbox.expunge(hidden, None, only_deleted=False)) == [placed.uid]
    assert (await mailbox.special(SpecialUse.RECOVERABLE)).messages == 0
    folder = await mailbox.create_folder(None, "Other")
    await mailbox.add(associated(folder.id), [thing(ItemClass.ASSOCIATED, {})])
    await mailbox.delete_folder(folder.id)
    assert await all_rows(mailbox, associated(folder.id), Columns.UID) == []
    await refused(Reason.NO_SUCH_FOLDER, mailbox.add(FolderId(-12345), [thing(ItemClass.ASSOCIATED, {})]))


async def test_the_quota_counts_properties(mailbox: Mailbox) -> None:
    folder, uid, _ = await put(mailbox, SpecialUse.NOTES, thing(ItemClass.NOTE, {}))
    used = await mailbox.used_bytes()
    await mailbox.set_quota(Quota(None, None, used + 100))
    await mailbox.update(folder, uid, ItemUpdate({"PidTagBody": "x" * 50}))
    assert used + 50 < await mailbox.used_bytes() < used + 100
    await refused(Reason.OVER_QUOTA, mailbox.update(folder, uid, ItemUpdate({"PidTagBody": "x" * 100})))
    await mailbox.update(folder, uid, ItemUpdate(delete=("PidTagBody",)))
    assert await mailbox.used_bytes() == used == (await mailbox.folder(folder)).size_bytes
    await refused(Reason.OVER_QUOTA, mailbox.add(folder, [thing(ItemClass.NOTE, {"PidTagBody": "x" * 100})]))


async def test_a_rendering_changes_only_what_has_no_mime(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    folder, uid, _ = await put(mailbox, SpecialUse.NOTES, thing(ItemClass.NOTE, {}))
    again = Rendering(b"Subject: new\r\n\r\n", b"(new)", b"()", b"", "new", 5)
    await mailbox.update(folder, uid, ItemUpdate(rendering=again))
    wanted = Columns.PREFIX | Columns.ENVELOPE | Columns.SUBJECT | Columns.SENT_AT | Columns.SIZE
    assert await row(mailbox, folder, uid, wanted) == (16, b"(new)", b"Subject: new\r\n\r\n", 5, "new")
    (mail,) = await fill(world, 1)
    await refused(Reason.BAD_VALUE, mailbox.update(inbox, Uid(mail), ItemUpdate(rendering=again)))


async def test_export_into_another_mailbox(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    (uid,) = await fill(world, 1)
    await mailbox.set_flags(inbox, ALL, FlagChange(add=Flag.SEEN, add_keywords=("$x",)))
    blob = world.blobs.put(b"x", segment=5)
    new = thing(
        ItemClass.APPOINTMENT, {"a": 1}, span=Span(1, 2), attachments=(NewAttachment(blob, 1, b""),), keywords=("$x",)
    )
    calendar, meeting, _ = await put(mailbox, SpecialUse.CALENDAR, new)
    await world.store.create_mailbox(OTHER, 2, UNLIMITED)
    other = await world.store.mailbox(OTHER)
    target = (await other.special(SpecialUse.INBOX)).id
    exported = [*await mailbox.export(inbox, [Uid(uid)]), *await mailbox.export(calendar, [meeting, Uid(77_777)])]
    placed = await other.add(target, exported)
    assert await other.read(target, placed[0].uid) == await mailbox.read(inbox, Uid(uid))
    assert [*await other.export(target, [p.uid for p in placed])] == exported
    assert exported[1] == new
    assert await other.overlapping(target, 0, 5) == [placed[1].uid]
    assert {name for name in (await other.keywords()).values()} == {"$x"}
