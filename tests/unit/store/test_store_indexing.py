"""What the background indexes anew when something has happened: that, and not the mailbox."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import pytest
from store_world import MAILBOX, World, item, message

from postern.model.ids import FolderId
from postern.model.items import Flag
from postern.model.query import BodyContains
from postern.store.interface import FlagChange, Mailbox
from postern.store.sqlite.search import filling, indexing
from postern.store.sqlite.search.file import path_beside, throw_away


def _search_file(world: World) -> Path:
    return path_beside(world.data / "mailboxes" / MAILBOX[:2] / f"{MAILBOX}.db")


def _rows(world: World, table: str) -> set[int]:
    with closing(apsw.Connection(str(_search_file(world)))) as db:
        return {content for (content,) in db.execute(f"SELECT content FROM {table}")}


@pytest.fixture
async def indexed(world: World, mailbox: Mailbox, inbox: FolderId) -> list[int]:
    """UIDs of ten messages that are indexed."""
    placed = await mailbox.add(inbox, [item(world.blobs, message(n, f"needle{n}")) for n in range(10)])
    await mailbox.search(inbox, BodyContains("needle"))
    assert await world.store.index_mailbox(MAILBOX) == 10
    return [one.uid for one in placed]


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows whenever a whole mailbox is looked at."""
    looks: list[int] = []
    real = indexing._fill_all

    async def noted(session: object) -> None:
        looks.append(1)
        await real(session)  # type: ignore[arg-type]

    monkeypatch.setattr(indexing, "_fill_all", noted)
    return looks


async def test_what_has_come_is_indexed_without_a_look_at_the_rest(
    world: World, mailbox: Mailbox, inbox: FolderId, indexed: list[int], whole: list[int]
) -> None:
    archive = (await mailbox.create_folder(None, "Elsewhere")).id
    await mailbox.add(inbox, [item(world.blobs, message(20, "more"))])
    await mailbox.add(archive, [item(world.blobs, message(21, "elsewhere")), item(world.blobs, message(22, "there"))])
    assert await world.store.index_mailbox(MAILBOX) == 3
    assert not whole
    for table in ("heads", "headers", "bodies"):
        assert len(_rows(world, table)) == 13, table


async def test_more_than_a_slice_that_has_come_or_changed(
    world: World,
    mailbox: Mailbox,
    inbox: FolderId,
    indexed: list[int],
    whole: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(indexing, "ITEMS_AT_A_TIME", 3)
    placed = await mailbox.add(inbox, [item(world.blobs, message(n, f"news{n}")) for n in range(30, 41)])
    for one in (placed[1], placed[4], placed[9]):  # in the index of changes, too
        await mailbox.set_flags(inbox, [(one.uid, one.uid)], FlagChange(add=Flag.SEEN))
    assert await world.store.index_mailbox(MAILBOX) == 11
    # whose rows are missing though the item is old, and which has changed since
    await mailbox.set_flags(inbox, [(indexed[0], indexed[7])], FlagChange(add=Flag.SEEN))
    with closing(apsw.Connection(str(_search_file(world)))) as db:
        db.execute("DELETE FROM bodies")
    asked: list[int] = []
    real = filling.without_body

    def noted(db: apsw.Connection, folder: int, uids: list[int]) -> list[filling.Missing]:
        asked.extend(uids)
        return real(db, folder, uids)

    monkeypatch.setattr(filling, "without_body", noted)
    await world.store.index_mailbox(MAILBOX)
    assert sorted(asked) == indexed[:8]
    assert len(_rows(world, "bodies")) == 8
    assert not whole


async def test_nothing_new_reads_nothing(
    world: World,
    mailbox: Mailbox,
    inbox: FolderId,
    indexed: list[int],
    whole: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("nothing is missing")

    monkeypatch.setattr(filling, "without_body", never)
    monkeypatch.setattr(filling, "fill_from_rows", never)
    for add in (Flag.SEEN, Flag.FLAGGED):
        await mailbox.set_flags(inbox, [(indexed[0], indexed[5])], FlagChange(add=add))
        assert await world.store.index_mailbox(MAILBOX) == 0
    await mailbox.copy(inbox, [(indexed[0], indexed[9])], inbox)
    assert await world.store.index_mailbox(MAILBOX) == 0
    assert not whole


async def test_what_another_process_has_put_in_is_indexed(
    world: World, mailbox: Mailbox, inbox: FolderId, indexed: list[int], whole: list[int]
) -> None:
    other = world.reopen(1)
    await (await other.mailbox(MAILBOX)).add(inbox, [item(world.blobs, message(50, "by another"))])
    assert await world.store.index_mailbox(MAILBOX) == 1
    assert not whole


async def test_a_search_file_that_was_made_anew_is_filled_whole(
    world: World, mailbox: Mailbox, inbox: FolderId, indexed: list[int], whole: list[int]
) -> None:
    throw_away(_search_file(world))
    await mailbox.search(inbox, BodyContains("needle3"))  # makes it, and fills it a little
    await mailbox.set_flags(inbox, [(indexed[0], indexed[0])], FlagChange(add=Flag.SEEN))
    assert await world.store.index_mailbox(MAILBOX) == 10
    assert whole
    # and by somebody else, who has indexed some of it
    del whole[:]
    throw_away(_search_file(world))
    other = world.reopen(1)
    await (await other.mailbox(MAILBOX)).search(inbox, BodyContains("needle3"))
    with closing(apsw.Connection(str(_search_file(world)))) as db:
        db.execute("UPDATE facts SET batch = batch + 7")
        db.execute("DELETE FROM heads")
    await world.store.index_mailbox(MAILBOX)
    assert whole
    assert len(_rows(world, "heads")) == 10


async def test_after_a_failure_everything_is_looked_at(
    world: World,
    mailbox: Mailbox,
    inbox: FolderId,
    indexed: list[int],
    whole: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await mailbox.add(inbox, [item(world.blobs, message(60, "new"))])

    def fails(*_: object, **__: object) -> None:
        raise ValueError("in the middle")

    with monkeypatch.context() as patched:
        patched.setattr(filling, "without_body", fails)
        with pytest.raises(ValueError, match="in the middle"):
            await world.store.index_mailbox(MAILBOX)
    assert await world.store.index_mailbox(MAILBOX) == 1
    assert whole
