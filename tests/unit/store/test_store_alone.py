"""A look at a calendar whose file is closed: what it says, when it gives way, and that nobody is hindered by it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from store_world import MAILBOX, UNLIMITED, World, delivery

from postern.model.ids import NO_BLOB, FolderId
from postern.model.items import ItemClass, NewItem, Span, SpecialUse
from postern.model.properties import pack
from postern.model.refusal import Reason, Refusal
from postern.store.interface import FlagChange, Mailbox
from postern.store.sqlite.alone import Alone, Seen
from postern.store.sqlite.connection import wal_path
from postern.store.sqlite.schema import LAYOUT_VERSION

KIND = "calendar"
ALONE = Alone()


def file_of(data: Path) -> Path:
    return data / "mailboxes" / MAILBOX[:2] / f"{MAILBOX}.db"


def appointment(start: int) -> NewItem:
    return NewItem(
        NO_BLOB, 0, b"", 0, b"", b"", b"", b"", "", None, "",
        item_class=ItemClass.APPOINTMENT, properties=pack({}), span=Span(start, start + 10, b"x"),
    )  # fmt: skip


@pytest.fixture
async def calendar(mailbox: Mailbox) -> FolderId:
    folder = (await mailbox.special(SpecialUse.CALENDAR)).id
    await mailbox.add(folder, [appointment(n) for n in (0, 20, 90)])
    await mailbox.set_settings(KIND, {"zone": b"1", "hours": b"2"})
    await mailbox.set_settings("other", {"zone": b"3"})
    return folder


def looked(world: World, limit: int = 100) -> Seen | None:
    return ALONE.calendar(file_of(world.data), KIND, 5, 40, limit)


async def test_a_closed_file_tells_what_an_open_one_does(world: World, mailbox: Mailbox, calendar: FolderId) -> None:
    there = await mailbox.calendar(KIND, 5, 40)
    assert len(there.spans) == len(there.settings) == 2
    await world.store.close()
    before = file_of(world.data).read_bytes(), wal_path(file_of(world.data)).read_bytes()
    seen = looked(world)
    assert seen is not None and (seen.epoch, seen.slot, seen.look) == (1, 1, there)
    assert (file_of(world.data).read_bytes(), wal_path(file_of(world.data)).read_bytes()) == before
    store = world.reopen(1)
    assert await store.calendar(MAILBOX, KIND, 5, 40) == there
    assert store._host.open_files() == 0
    # the mailbox is in use from now on: its number is known, and it can be written
    here = await store.mailbox(MAILBOX)
    assert await here.change_number() == there.seen and store._host.open_files() == 0
    await here.set_settings(KIND, {"zone": None, "hours": None})
    assert world.bus.current(1) == there.seen + 1
    assert (await store.calendar(MAILBOX, KIND, 5, 40)).settings == []
    store._host.forget(store.path(MAILBOX))
    assert (await store.calendar(MAILBOX, KIND, 50, 200)).settings == [] and store._host.open_files() == 0


async def test_a_file_that_somebody_has_open_is_opened(world: World, mailbox: Mailbox, calendar: FolderId) -> None:
    assert looked(world) is None  # this process has
    await world.store.close()
    with closing(apsw.Connection(str(file_of(world.data)))) as db:
        db.execute("SELECT 1 FROM state").fetchall()
        assert looked(world) is None
        store = world.reopen(1)
        assert len((await store.calendar(MAILBOX, KIND, 5, 40)).spans) == 2
        assert store._host.open_files() == 1


async def test_many_spans_are_read_in_a_thread(world: World, mailbox: Mailbox, calendar: FolderId) -> None:
    await world.store.close()
    assert looked(world, limit=2) is None and looked(world, limit=3) is not None


async def test_a_new_epoch_is_begun_first(world: World, mailbox: Mailbox, calendar: FolderId) -> None:
    last = await mailbox.change_number()
    await world.store.close()
    world.bus.numbers.clear()
    store = world.reopen(2)
    assert (await store.calendar(MAILBOX, KIND, 5, 40)).seen > last + 1000  # over what may have been lost
    await store.close()
    seen = looked(world)
    assert seen is not None and seen.epoch == 2


async def test_what_is_no_mailbox_of_this_layout_is_left_to_who_opens_it(
    world: World, mailbox: Mailbox, calendar: FolderId
) -> None:
    await world.store.close()
    path = file_of(world.data)
    for change, back in (
        (f"PRAGMA user_version = {LAYOUT_VERSION - 1}", f"PRAGMA user_version = {LAYOUT_VERSION}"),
        ("PRAGMA application_id = 1", "PRAGMA application_id = 1347375956"),
        ("UPDATE state SET deleted = 1", "UPDATE state SET deleted = 0"),
    ):
        for statement, told in ((change, False), (back, True)):
            with closing(apsw.Connection(str(path))) as db:
                db.execute(statement).fetchall()
            assert (looked(world) is not None) is told, statement
    path.write_bytes(b"no database at all" * 1000)
    wal_path(path).unlink(missing_ok=True)
    assert looked(world) is None
    with pytest.raises(Refusal) as refused:
        await world.reopen(1).calendar(MAILBOX, KIND, 5, 40)
    assert refused.value.reason is Reason.CORRUPT
    path.unlink()
    assert looked(world) is None and not path.exists()
    with pytest.raises(Refusal) as refused:
        await world.reopen(1).calendar(MAILBOX, KIND, 5, 40)
    assert refused.value.reason is Reason.NO_SUCH_RECIPIENT


async def test_writers_of_other_workers_go_on_beside_looks(world: World, mailbox: Mailbox, calendar: FolderId) -> None:
    inbox = (await mailbox.special(SpecialUse.INBOX)).id
    await world.store.deliver([delivery(world.blobs, 1)])
    await world.store.close()
    stop, seen = threading.Event(), []

    def look() -> None:
        while not stop.is_set():
            seen.append(looked(world))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for turn in range(40):
            store = world.reopen(1)
            there = await store.mailbox(MAILBOX)
            await there.set_flags(inbox, [(0, 2**32)], FlagChange(**{"add" if turn % 2 else "remove": 4}))
            await there.special(SpecialUse.INBOX)
            await store.close()
            await asyncio.sleep(0.002)
    finally:
        stop.set()
        thread.join()
    numbers = [each.look.seen for each in seen if each is not None]
    assert numbers == sorted(numbers) and len(set(numbers)) > 1
    last = await world.reopen(1).calendar(MAILBOX, KIND, 5, 40)
    assert last.seen >= numbers[-1]


async def test_a_mailbox_that_is_being_made_can_be_looked_at(world: World) -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            looked(world)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(20):
            await world.store.create_mailbox(MAILBOX, 1, UNLIMITED)
            await world.store.delete_mailbox(MAILBOX)
    finally:
        stop.set()
        thread.join()
