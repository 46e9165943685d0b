"""Searches that are allowed and meant to be slow."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from store_world import World, fill, item

from postern.model.ids import FolderId, Uid
from postern.model.items import Flag
from postern.model.query import (
    And,
    BodyContains,
    HasFlags,
    HasKeyword,
    HeaderContains,
    Not,
    Or,
    Query,
    SizeAbove,
    UidIn,
)
from postern.model.refusal import Refusal
from postern.store.interface import FlagChange, Mailbox
from postern.store.sqlite.search import running

MESSAGES = 2400
SECONDS = 0.8
"""Of CPU on a slow machine; each of these took several times as long."""


async def cost(mailbox: Mailbox, inbox: FolderId, query: Query) -> tuple[float, list[Uid]]:
    began = time.process_time()
    found = await mailbox.search(inbox, query)
    return time.process_time() - began, list(found)


async def test_many_ranges_cost_no_product(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    """Each of a thousand numbers of a set had the whole set looked up again."""
    uids = await fill(world, MESSAGES)
    some = tuple((uid, uid) for uid in uids[::2])
    rest = uids[1::2]
    spent, found = await cost(mailbox, inbox, UidIn(some))
    assert found == uids[::2]
    assert spent < SECONDS
    spent, found = await cost(mailbox, inbox, And((UidIn(some), Not(UidIn(some[10:])), UidIn(some[5:]))))
    assert found == uids[::2][5:10]
    assert spent < SECONDS
    spent, found = await cost(mailbox, inbox, Not(Or(tuple(UidIn(some[at : at + 12]) for at in range(1200)))))
    assert found == rest
    assert spent < SECONDS


async def test_a_field_of_many_lines_is_passed_once(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    """Each line that has the text led back over all others to the name of the field, which is another one."""
    folded = b"X-Folded:" + b"\r\n a" * 4000 + b"\r\nSubject: a\r\n\r\n"
    await mailbox.add(inbox, [item(world.blobs, folded) for _ in range(4)])
    spent, found = await cost(mailbox, inbox, HeaderContains("subject", "a"))
    assert len(found) == 4
    assert spent < SECONDS
    assert not (await cost(mailbox, inbox, HeaderContains("x-fold", "a")))[1]


async def test_long_conditions_leave_the_loop_alone(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch
) -> None:
    uids = await fill(world, 20)
    asked = []
    original = running.with_session

    async def counted(*arguments):
        asked.append(1)
        return await original(*arguments)

    monkeypatch.setattr(running, "with_session", counted)
    assert list(await mailbox.search(inbox, And((SizeAbove(1), Not(HasFlags(Flag.SEEN.value)))))) == uids
    assert not asked
    long = And((SizeAbove(1), *(Not(HasKeyword(f"none{number}")) for number in range(1000))))
    assert list(await mailbox.search(inbox, long)) == uids
    assert asked


async def test_syncs_do_not_wait_for_searches(world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch) -> None:
    """Four searches of one user took the four threads, and nobody's change was answered until they were through."""
    await fill(world, 20)
    hold, entered = threading.Event(), threading.Event()
    original = running.Scan.step

    def held(*arguments, **named):
        entered.set()
        assert hold.wait(60)
        return original(*arguments, **named)

    monkeypatch.setattr(running.Scan, "step", held)
    searches = [asyncio.create_task(mailbox.search(inbox, BodyContains("hello"))) for _ in range(8)]
    while not entered.is_set():
        await asyncio.sleep(0.01)
    try:
        await mailbox.set_flags(inbox, [(1, 2**32)], FlagChange(add=Flag.SEEN))
        async with asyncio.timeout(60):
            await mailbox.durable()
    finally:
        hold.set()
    assert [len(found) for found in await asyncio.gather(*searches)] == [20] * 8


async def test_many_texts_in_many_items_are_refused(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch
) -> None:
    """200 texts in 100 000 items are minutes of a processor; a few texts, or a few items, are searched."""
    uids = await fill(world, 60)
    monkeypatch.setattr(running, "MAX_COMPARED", 1500)
    many = Or((*(BodyContains(f"x{number}") for number in range(49)), BodyContains("hello")))
    with pytest.raises(Refusal, match=r"too_many: 50 texts may be looked for in 30 items at most"):
        await mailbox.search(inbox, many)
    assert list(await mailbox.search(inbox, And((many, UidIn(((uids[0], uids[29]),)))))) == uids[:30]
    assert list(await mailbox.search(inbox, Or((*many.of[:19], many.of[49])))) == uids
