"""A header field that is searched for again and again is looked for in a column: never with another answer."""

from __future__ import annotations

import random

import brute_force
import pytest
from store_world import MAILBOX, World, item
from test_header_fields import WANTED, letters

from postern.model.ids import NO_BLOB, FolderId
from postern.model.items import NewItem, SpecialUse
from postern.model.query import And, HasFlags, HeaderContains, Not, Or, Query, UidIn
from postern.store.interface import FlagChange, ItemUpdate, Mailbox, Rendering
from postern.store.sqlite.search import columns, header_fields
from postern.store.sqlite.search.columns import Columns

NAMES = ["from", "Subject", "to", "return-path"]


def kept(world: World) -> Columns:
    """The columns of the world's process."""
    found = world.store._host.searched.columns  # type: ignore[attr-defined]
    assert isinstance(found, Columns)
    return found


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many items' header blocks were read, each time."""
    found: list[int] = []
    blocks = header_fields.blocks

    def counting(db, folder, uids, **more):
        found.append(len(uids))
        return blocks(db, folder, uids, **more)

    monkeypatch.setattr(header_fields, "blocks", counting)
    return found


def plain(count: int, sender: str = "anna") -> list[bytes]:
    return [f"From: {sender}{n}@x\r\nSubject: {n} about\r\n\r\n".encode() for n in range(count)]


async def put(world: World, mailbox: Mailbox, folder: FolderId, letters: list[bytes]) -> list[int]:
    return [one.uid for one in await mailbox.add(folder, [item(world.blobs, one) for one in letters])]


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_answer_is_that_of_a_reading_of_all_messages_whatever_happens_in_between(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch, looks: list[int], seed: int
) -> None:
    monkeypatch.setattr(columns, "BLOCKS_AT_A_TIME", 23)
    randomly = random.Random(seed)
    new = letters(seed, 150)
    uids = await put(world, mailbox, inbox, new[:60])
    other = await world.reopen(1).mailbox(MAILBOX)  # another process
    elsewhere = (await mailbox.create_folder(None, "Elsewhere")).id
    queries: list[Query] = [HeaderContains(name, text) for name in NAMES for text in randomly.sample(WANTED, 3)]
    both = HeaderContains("from", "a"), HeaderContains("subject", "n")
    queries += [Or(both), And(both), And((HasFlags(8), *both)), And((Not(both[0]), both[1]))]
    queries += [And((UidIn(((uids[3], uids[40]),)), both[0]))]
    matched = 0
    for turn in range(6):
        writer = randomly.choice([mailbox, other])
        some = randomly.choice(uids)
        few = ((some, some + randomly.randint(0, 9)),)
        if turn % 6 == 1:
            uids += [one.uid for one in await writer.add(inbox, [item(world.blobs, new[60 + turn * 6])])]
        elif turn % 6 == 2:
            await writer.set_flags(inbox, few, FlagChange(add=8))
        elif turn % 6 == 3:
            await writer.move(inbox, few, elsewhere)
        elif turn % 6 == 4:
            uids += (await writer.copy(elsewhere, ((0, 2**32),), inbox)).placements
        elif turn % 6 == 5:
            await writer.expunge(inbox, few, only_deleted=False)
        for query in queries:
            found = list(await mailbox.search(inbox, query))
            assert found == await brute_force.search(mailbox, world.blobs, inbox, query), (turn, query)
            matched += len(found)
    assert matched > 100
    assert len(kept(world)._slots) >= 3 and kept(world).octets > 0


async def test_it_is_made_at_the_second_search_and_only_news_are_looked_at_then(
    world: World, mailbox: Mailbox, inbox: FolderId, looks: list[int]
) -> None:
    uids = await put(world, mailbox, inbox, plain(40))
    query = HeaderContains("From", "ANNA1")
    matching = [uid for n, uid in enumerate(uids) if str(n).startswith("1")]
    assert list(await mailbox.search(inbox, query)) == matching
    assert kept(world).octets == 0, "a search that comes once"
    assert list(await mailbox.search(inbox, query)) == matching
    assert kept(world).octets > 0
    looks.clear()
    assert list(await mailbox.search(inbox, query)) == matching
    assert list(await mailbox.search(inbox, HeaderContains("from", "nowhere"))) == []
    assert list(await mailbox.search(inbox, And((HasFlags(1), query)))) == []
    assert not any(looks)
    (new,) = await put(world, mailbox, inbox, plain(1, "anna1"))
    assert list(await mailbox.search(inbox, query)) == [*matching, new]
    assert sum(looks) <= 2
    assert list(await mailbox.search(inbox, HeaderContains("subject", "about"))) == [*uids, new], "another field"


async def test_after_many_changes_it_is_made_anew(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch, looks: list[int]
) -> None:
    monkeypatch.setattr(columns, "MIN_NEWS", 3)
    uids = await put(world, mailbox, inbox, plain(40))
    query = HeaderContains("from", "anna")
    for _ in range(3):
        assert list(await mailbox.search(inbox, query)) == uids
    await mailbox.set_flags(inbox, ((uids[0], uids[-1]),), FlagChange(add=1))
    for _ in range(3):
        assert list(await mailbox.search(inbox, query)) == uids
    looks.clear()
    assert list(await mailbox.search(inbox, query)) == uids
    assert not any(looks)


async def test_an_item_that_changes_in_place_is_seen_as_it_is_now(
    world: World, mailbox: Mailbox, looks: list[int]
) -> None:
    folder = (await mailbox.special(SpecialUse.CONTACTS)).id

    def rendering(subject: str) -> Rendering:
        return Rendering(f"Subject: {subject}\r\n\r\n".encode(), b"NIL", b"NIL", b"", subject, None)

    first = rendering("anna")._asdict()
    made = [NewItem(blob=NO_BLOB, body_size=0, received_at=1, header=b"", message_id="", **first) for _ in range(3)]
    uids = [one.uid for one in await mailbox.add(folder, made)]
    for _ in range(3):
        assert list(await mailbox.search(folder, HeaderContains("subject", "anna"))) == uids
    other = await world.reopen(1).mailbox(MAILBOX)
    await other.update(folder, uids[1], ItemUpdate({"PidTagDisplayName": "b"}, rendering=rendering("boris")))
    assert list(await mailbox.search(folder, HeaderContains("subject", "anna"))) == [uids[0], uids[2]]
    assert list(await mailbox.search(folder, HeaderContains("subject", "boris"))) == [uids[1]]


async def test_they_are_bounded_and_what_nobody_uses_goes(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = await put(world, mailbox, inbox, plain(40))
    for name in ("from", "subject"):
        for _ in range(2):
            await mailbox.search(inbox, HeaderContains(name, "a"))
    both = kept(world).octets
    monkeypatch.setattr(columns, "MAX_BYTES", both - 1)
    for _ in range(2):
        await mailbox.search(inbox, HeaderContains("return-path", "a"))
    assert 0 < kept(world).octets < both
    tries: list[bytes] = []
    read = columns.read

    def counting(db, folder, name):
        tries.append(name)
        return read(db, folder, name)

    monkeypatch.setattr(columns, "read", counting)
    monkeypatch.setattr(columns, "MAX_COLUMN_BYTES", 10)
    for _ in range(5):
        assert list(await mailbox.search(inbox, HeaderContains("from", "anna"))) == uids
    assert tries == [b"from"], "what is too large is not read again and again"
    before = kept(world).octets
    kept(world).forget_unused()
    assert kept(world).octets == before
    await mailbox.search(inbox, HeaderContains("return-path", "a"))
    kept(world).forget_unused()
    assert 0 < kept(world).octets <= before
    kept(world).forget_unused()
    assert kept(world).octets == 0 and not kept(world)._slots
    monkeypatch.setattr(columns, "MAX_NOTES", 5)
    for number in range(12):
        await mailbox.search(inbox, HeaderContains(f"x-{number}", "a"))
    assert len(kept(world)._slots) == 5
