"""What is done to a handful of items, row by row, is the same as what is done to a set."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest
from store_world import UNLIMITED, World, fill, item, message
from test_store_items import thing

from postern.model.ids import BlobRef, FolderId, MailboxId, Uid
from postern.model.items import FolderClass, ItemClass, NewAttachment, NewItem, Span, SpecialUse
from postern.model.refusal import Refusal
from postern.store.interface import FlagChange, Mailbox
from postern.store.sqlite import few_items
from postern.store.sqlite import mailbox as mailbox_module
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


async def test_few_deleted_ones_among_many_need_no_thread(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_module, "BULK_ITEMS", 10)
    uids = await fill(world, 30)
    threads: list[Path] = []
    own = Host.with_own_connection

    async def counted(host: Host, path: Path, work: Any) -> Any:
        threads.append(path)
        return await own(host, path, work)

    monkeypatch.setattr(Host, "with_own_connection", counted)
    await mailbox.set_flags(inbox, [(uids[3], uids[5])], FlagChange(add=8))
    assert list(await mailbox.expunge(inbox, None)) == uids[3:6]
    assert not threads
    await mailbox.set_flags(inbox, [(uids[8], uids[12])], FlagChange(add=8))
    monkeypatch.setattr(mailbox_module, "LOOKED_THROUGH", 20)
    assert list(await mailbox.expunge(inbox, None)) == uids[8:13]
    assert len(threads) == 1
