"""Items of every class through the service: durable, by permissions, and never lost on the way to another mailbox."""

import pytest

from crash.organisation import MAILBOXES, TickingClock, Worker, content
from postern.model.ids import AccountId, ItemId
from postern.model.items import Columns, Flag, FolderClass, ItemClass, Span, SpecialUse
from postern.model.properties import unpack
from postern.model.refusal import Reason, Refusal
from postern.model.rights import ROLES, FolderRight
from postern.model.sync import START
from postern.services.delegate_access import DelegateAccess
from postern.services.item_access import Disposal, ItemAccess, NewThing, Stream, render
from postern.services.mailbox_access import MailboxAccess
from postern.services.principal import Principal
from postern.store.interface import ItemUpdate, associated
from postern.store.journal.collect import Collector
from postern.store.journal.layout import journal_directory

ANNA, BORIS, _ = MAILBOXES
CLOCK = TickingClock()


class Rights:
    """Permissions: the same role in every folder."""

    def __init__(self, role):
        self.role = role

    async def folder_rights(self, principal, mailbox, folder):
        return ROLES.get(self.role, FolderRight(0))


@pytest.fixture
async def worker(tmp_path):
    worker = Worker(tmp_path)
    await worker.create()
    worker.flow.start()
    yield worker
    if worker.flow is not None:
        await worker.close()
    assert worker.failures == []


async def opened(worker, address, role=None):
    mailbox = await worker.store.mailbox(MAILBOXES[address])
    kind = MailboxAccess if role is None else DelegateAccess
    access = kind(mailbox, worker.store, None, 1, worker.flow)
    if role is not None:
        access.permissions = Rights(role)
        access.principal = Principal(AccountId(9), "chen@example.org", None, 0)
    return ItemAccess(access, mailbox, CLOCK)


def meeting(subject="Обед"):
    streams = [Stream(b"agenda" * 100, {"PidTagAttachLongFilename": "a.txt"}), Stream(b"map", {})]
    return NewThing(
        ItemClass.APPOINTMENT, subject, {"PidLidLocation": "Room"}, span=Span(100, 200), attachments=streams
    )


async def test_an_item_with_attachments_outlives_a_restart_and_collection(worker, tmp_path):
    items = await opened(worker, ANNA)
    calendar = (await items.special(SpecialUse.CALENDAR)).id
    placed = await items.create(calendar, meeting())
    done = await items.update(calendar, placed.uid, ItemUpdate({"PidLidLocation": "Hall"}), attach=[Stream(b"new", {})])
    await worker.close()
    worker.flow = None
    again = Worker(tmp_path, epoch=2)
    again.flow.start()
    await Collector(journal_directory(tmp_path), [again.store.live, again.queue_live], dead_share=0).collect()
    items = await opened(again, ANNA)
    ((folder, row),) = (await items.get([placed.item], Columns.PROPERTIES | Columns.CLASS)).values()
    assert (folder, row[1], unpack(row[2])) == (calendar, ItemClass.APPOINTMENT, {"PidLidLocation": "Hall"})
    attached = await items.attachments(calendar, placed.uid)
    assert [await items.access.read_body(a.blob) for a in attached] == [b"agenda" * 100, b"map", b"new"]
    assert attached[2].id == done.attachments[0]
    assert await items.overlapping(calendar, 150, 160) == [placed.uid]
    await again.close()
    assert again.failures == []


async def test_what_is_refused_leaves_no_work(worker):
    items = await opened(worker, ANNA)
    calendar = (await items.special(SpecialUse.CALENDAR)).id
    placed = await items.create(calendar, meeting())
    for attempt in (
        items.update(calendar, placed.uid, ItemUpdate(), unchanged_since=0, attach=[Stream(b"x", {})]),
        items.create(99_999, meeting()),
        items.create(calendar, NewThing(ItemClass.NOTE, "", {"x": object()})),
        items.create(calendar, NewThing(ItemClass.NOTE, "", {"x": 1 << 80}, attachments=[Stream(b"x", {})])),
    ):
        with pytest.raises(Refusal):
            await attempt
    assert worker.journal.outstanding == 0


async def test_a_calendar_item_in_a_mail_folder_is_a_message_to_imap(worker):
    items = await opened(worker, ANNA)
    calendar = (await items.special(SpecialUse.CALENDAR)).id
    placed = await items.create(calendar, meeting())
    assert list(await items.delete(calendar, [placed.uid], Disposal.TO_DELETED_ITEMS)) == [placed.uid]
    trash = await items.special(SpecialUse.TRASH)
    assert (trash.messages, trash.unseen) == (1, 0)
    (change,) = (await items.changes(trash.id, START)).changes
    whole = await items.access.read(trash.id, change.uid)
    assert whole == render("Обед", None).prefix
    assert whole.startswith(b"Subject: =?utf-8?")
    assert await items.access.read_bodies([(0, 0)]) == [b""]


async def test_a_message_is_edited_under_its_id(worker):
    items = await opened(worker, ANNA)
    drafts = (await items.special(SpecialUse.DRAFTS)).id
    made = await items.create_message(drafts, content(1), Flag.DRAFT, ("$x",), 1000, {"PidLidReminderSet": True})
    after = await items.replace_message(made.item, content(2))
    assert (after.item, after.folder) == (made.item, drafts)
    assert after.uid != made.uid
    assert await items.access.read(drafts, after.uid) == content(2)
    wanted = Columns.PROPERTIES | Columns.FLAGS | Columns.RECEIVED_AT
    ((_, row),) = (await items.get([made.item], wanted, drafts)).values()
    assert (row[1] & 0xFF, row[2], unpack(row[3])) == (Flag.DRAFT, 1000, {"PidLidReminderSet": True})
    with pytest.raises(Refusal) as caught:
        await items.replace_message(made.item, content(3), unchanged_since=1)
    assert caught.value.reason is Reason.CONFLICT
    with pytest.raises(Refusal) as caught:
        await items.replace_message(ItemId(99_999), content(3))
    assert caught.value.reason is Reason.NO_SUCH_ITEM


async def test_moved_into_another_mailbox(worker):
    mine, other = await opened(worker, ANNA), await opened(worker, BORIS)
    calendar = (await mine.special(SpecialUse.CALENDAR)).id
    target = (await other.special(SpecialUse.CALENDAR)).id
    one, two = await mine.create(calendar, meeting("one")), await mine.create(calendar, meeting("two"))
    copied = await mine.copy(calendar, [one.uid], target, other)
    moved = await mine.move(calendar, [one.uid, two.uid, 77_777], target, other)
    assert moved.keys() == {one.uid, two.uid}
    assert copied.keys() == {one.uid}
    assert (await mine.special(SpecialUse.CALENDAR)).messages == 0
    assert (await other.special(SpecialUse.CALENDAR)).messages == 3
    attached = await other.attachments(target, moved[two.uid].uid)
    assert await other.access.read_body(attached[0].blob) == b"agenda" * 100
    within = await other.move(target, [moved[two.uid].uid], (await other.special(SpecialUse.NOTES)).id)
    assert len(within) == 1


@pytest.mark.parametrize(
    ("role", "may_read", "may_create", "may_change"),
    [
        ("none", False, False, False),
        ("contributor", False, True, False),
        ("reviewer", True, False, False),
        ("author", True, True, False),
        ("editor", True, True, True),
    ],
)
async def test_by_folder_permissions(worker, role, may_read, may_create, may_change):
    mine, theirs = await opened(worker, ANNA), await opened(worker, ANNA, role)
    calendar = (await mine.special(SpecialUse.CALENDAR)).id
    placed = await mine.create(calendar, meeting())

    async def allowed(attempt):
        try:
            await attempt
        except Refusal as refused:
            assert refused.reason in {Reason.NOT_PERMITTED, Reason.NO_SUCH_FOLDER, Reason.NO_SUCH_ITEM}
            return False
        return True

    assert bool(await theirs.locate([placed.item])) is may_read
    assert bool(await theirs.get([placed.item], Columns.PROPERTIES)) is may_read
    assert await allowed(theirs.changes(calendar, START)) is may_read
    assert await allowed(theirs.attachments(calendar, placed.uid)) is may_read
    assert await allowed(theirs.overlapping(calendar, 0, 1)) is may_read
    assert await allowed(theirs.create(calendar, meeting())) is may_create
    assert await allowed(theirs.create(associated(calendar), meeting())) is may_create
    assert await allowed(theirs.update(calendar, placed.uid, ItemUpdate({"a": 1}))) is may_change
    assert not await allowed(theirs.set_folder(calendar, {"a": 1}))
    assert not await allowed(theirs.set_folder(calendar, {}, folder_class=FolderClass.MAIL))
    with pytest.raises(Refusal, match="not_permitted"):
        await theirs.settings("rules")
    with pytest.raises(Refusal, match="not_permitted"):
        await theirs.set_settings("rules", {})
    assert await allowed(theirs.move(calendar, [placed.uid], calendar)) is may_change
    assert await allowed(theirs.delete(calendar, [placed.uid], Disposal.HARD)) is may_change
    await mine.durable()


async def test_folders_one_may_not_see_are_not_told(worker):
    mine, theirs = await opened(worker, ANNA), await opened(worker, ANNA, "none")
    every = await mine.folder_changes(0)
    assert len(every.created) > 10
    assert (await theirs.folder_changes(0)).created == []
    assert (await mine.special(SpecialUse.RECIPIENT_CACHE)).hidden
    with pytest.raises(Refusal, match="not_permitted"):
        await theirs.special(SpecialUse.QUICK_CONTACTS)
    await mine.set_settings("oof", {"state": b"x"})
    assert [s.key for s in await mine.settings("oof")] == ["state"]
