"""What is done to a handful of items, row by row, is the same as what is done to a set."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_world import (
    MAILBOX,
    UNLIMITED,
    ManualClock,
    MemoryBlobs,
    MemoryBus,
    World,
    all_rows,
    fill,
    item,
    message,
)
from test_store_items import thing

from postern.model.ids import BlobRef, FolderId, MailboxId, Uid
from postern.model.items import Columns, FolderClass, ItemClass, NewAttachment, NewItem, Span, SpecialUse
from postern.model.refusal import Refusal
from postern.store.interface import FlagChange, Mailbox
from postern.store.sqlite import few_items
from postern.store.sqlite import mailbox as mailbox_module
from postern.store.sqlite.engine import SqliteStore
from postern.store.sqlite.host import Host

OPERATIONS = ("copy", "copy", "move", "flags", "flags", "expunge", "expunge some", "purge", "add")


def _appointment(number: int) -> NewItem:
    attached = (NewAttachment(BlobRef(1, number), number, b""),) if number % 2 else ()
    return thing(ItemClass.APPOINTMENT, {}, span=Span(number, number + 10, b"x"), attachments=attached)


def _tables(path: Path) -> dict[str, list[Any]]:
    """All that a mailbox file holds but its own name."""
    db = apsw.Connection(str(path))
    try:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        found = {name: sorted(db.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names}
        found["state"] = [[value for value in row if not isinstance(value, str)][:-1] for row in found["state"]]
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return found
    finally:
        db.close()


async def _do(mailbox: Mailbox, messages: list[NewItem], rng: Random, folders: list[FolderId]) -> Any:
    """One operation, the same for the same state of the generator; what it gave."""
    folder, target = rng.choice(folders), rng.choice(folders)
    low = rng.randrange(1, 150)
    ranges = [(Uid(low), Uid(low + rng.randrange(30))), (Uid(low + 40), Uid(low + 40 + rng.randrange(3)))]
    match rng.choice(OPERATIONS):
        case "copy":
            copied = await mailbox.copy(folder, ranges, target)
            return list(copied.sources), list(copied.placements), copied.change_number
        case "move":
            moved = await mailbox.move(folder, ranges, target)
            return list(moved.sources), list(moved.placements), moved.change_number
        case "flags":
            changed = await mailbox.set_flags(folder, ranges, FlagChange(add=rng.choice((1, 8, 9))))
            return list(changed.changed)
        case "expunge":
            return list(await mailbox.expunge(folder, None))
        case "expunge some":
            return list(await mailbox.expunge(folder, ranges, only_deleted=False))
        case "purge":
            return list(await mailbox.expunge(folder, ranges, only_deleted=False, purge=True))
        case _:
            if folder == folders[-1]:
                return await mailbox.add(folder, [_appointment(rng.randrange(50)) for _ in range(3)])
            return await mailbox.add(folder, rng.sample(messages, 4))


@pytest.mark.parametrize("seed", range(12))
async def test_both_ways_leave_the_same_mailbox(world: World, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(mailbox_module, "BULK_ITEMS", 10_000)
    messages = [item(world.blobs, message(n)) for n in range(60)]
    outcomes: list[list[Any]] = []
    files: list[dict[str, list[Any]]] = []
    for number, most in enumerate((0, 64)):
        name = MailboxId(f"0000000000000000000000000000000{number}")
        await world.store.create_mailbox(name, 1, UNLIMITED)
        mailbox = await world.store.mailbox(name)
        monkeypatch.setattr(few_items, "MOST", most)
        rng = Random(seed)
        calendar = (await mailbox.create_folder(None, "Meetings", FolderClass.CALENDAR)).id
        uses = (SpecialUse.INBOX, SpecialUse.ARCHIVE, SpecialUse.RECOVERABLE)
        folders = [*[(await mailbox.special(use)).id for use in uses], calendar]
        await mailbox.add(folders[0], messages)
        await mailbox.add(calendar, [_appointment(n) for n in range(20)])
        told: list[Any] = []
        for _ in range(60):
            try:
                told.append(await _do(mailbox, messages, rng, folders))
            except Refusal as refused:
                told.append(refused.reason)
        outcomes.append(told)
        files.append(_tables(mailbox.path))  # type: ignore[attr-defined]
    assert outcomes[0] == outcomes[1]
    assert files[0] == files[1]


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The file of each operation that was done in a thread."""
    done: list[Path] = []
    own = Host.with_own_connection

    async def counted(host: Host, path: Path, work: Any) -> Any:
        done.append(path)
        return await own(host, path, work)

    monkeypatch.setattr(Host, "with_own_connection", counted)
    return done


async def test_few_deleted_ones_among_many_need_no_thread(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch, threads: list[Path]
) -> None:
    monkeypatch.setattr(mailbox_module, "BULK_ITEMS", 10)
    uids = await fill(world, 30)
    await mailbox.set_flags(inbox, [(uids[3], uids[5])], FlagChange(add=8))
    assert list(await mailbox.expunge(inbox, None)) == uids[3:6]
    came = await mailbox.add(inbox, [item(world.blobs, message(n), flags=8) for n in range(3)])
    assert list(await mailbox.expunge(inbox, None)) == [placed.uid for placed in came]
    assert not threads
    monkeypatch.setattr(mailbox_module, "LOOKED_THROUGH", 20)
    came = await mailbox.add(inbox, [item(world.blobs, message(n), flags=8) for n in range(3)])
    assert list(await mailbox.expunge(inbox, None)) == [placed.uid for placed in came]
    assert len(threads) == 1


async def test_what_was_marked_last_is_expunged_at_once_from_any_folder(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch, threads: list[Path]
) -> None:
    monkeypatch.setattr(mailbox_module, "BULK_ITEMS", 10)
    monkeypatch.setattr(mailbox_module, "LOOKED_THROUGH", 20)
    uids = await fill(world, 60)
    assert list(await mailbox.expunge(inbox, None)) == []
    await mailbox.set_flags(inbox, [(uids[3], uids[5]), (uids[9], uids[9])], FlagChange(add=8))
    assert list(await mailbox.expunge(inbox, [(uids[4], 2**32)])) == [uids[4], uids[5], uids[9]]
    assert list(await mailbox.expunge(inbox, None)) == [uids[3]]
    assert not threads
    # of what was marked before much else was changed the end of the index does not tell
    await mailbox.set_flags(inbox, [(uids[10], uids[10])], FlagChange(add=8))
    await mailbox.set_flags(inbox, [(uids[11], uids[40])], FlagChange(add=1))
    threads.clear()
    assert list(await mailbox.expunge(inbox, None)) == [uids[10]]
    assert len(threads) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 39), st.integers(1, 30), st.sampled_from((1, 8)), st.booleans()),
        min_size=1,
        max_size=9,
    ),
    st.sets(st.integers(0, 39), max_size=3),
)
def test_what_was_marked_lately_is_all_or_not_told(
    steps: list[tuple[int, int, int, bool]], deleted_before: set[int]
) -> None:
    async def run(data: Path) -> None:
        blobs = MemoryBlobs()
        store = SqliteStore(data, blobs, MemoryBus(), ManualClock(), 1)
        await store.create_mailbox(MAILBOX, 1, UNLIMITED)
        mailbox = await store.mailbox(MAILBOX)
        inbox = (await mailbox.special(SpecialUse.INBOX)).id
        new = [item(blobs, message(n), flags=8 * (n in deleted_before)) for n in range(40)]
        uids = [placed.uid for placed in await mailbox.add(inbox, new)]
        for start, count, bit, add in steps:
            some = uids[start : start + count]
            change = FlagChange(add=bit) if add else FlagChange(remove=bit)
            await mailbox.set_flags(inbox, [(some[0], some[-1])], change)
        expected = [row for row in await all_rows(mailbox, inbox, Columns.UID | Columns.FLAGS) if row[1] & 8]
        db = apsw.Connection(str(mailbox.path))  # type: ignore[attr-defined]
        found = few_items.marked_lately(db, inbox)
        db.close()
        assert found is None or [row[:2] for row in found] == expected
        gone = await mailbox.expunge(inbox, None)
        assert list(gone) == [uid for uid, _ in expected]
        await store.close()

    with tempfile.TemporaryDirectory() as data:
        asyncio.run(run(Path(data)))
