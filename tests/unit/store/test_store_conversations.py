"""Conversations in the store: numbers kept by copies and moves, places found, old files brought up."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_world import MAILBOX, World, all_rows, item, message

from postern.model.ids import AccountId, FolderId, ItemId
from postern.model.items import Columns, SpecialUse
from postern.model.query import InConversation, Not
from postern.model.refusal import Reason, Refusal
from postern.store.interface import FlagChange, Mailbox
from postern.store.sqlite import conversations

EVERYTHING = [(0, 2**32)]


def reply(number: int, to: int, received: str = "") -> bytes:
    return f"References: <{to}@example.org>\r\n".encode() + message(number, subject=f"Re: message {to}{received}")


async def put(world: World, mailbox: Mailbox, *contents: bytes, use: SpecialUse = SpecialUse.INBOX) -> FolderId:
    folder = (await mailbox.special(use)).id
    await mailbox.add(folder, [item(world.blobs, content) for content in contents])
    return folder


async def numbers(mailbox: Mailbox, folder: FolderId) -> list[int]:
    return [row[0] for row in await all_rows(mailbox, folder, Columns.CONVERSATION)]


async def test_copies_and_moves_stay_in_their_conversation(world: World, mailbox: Mailbox) -> None:
    inbox = await put(world, mailbox, message(1), reply(2, 1), message(3))
    first, second, third = await numbers(mailbox, inbox)
    assert first == second != third
    archive = (await mailbox.special(SpecialUse.ARCHIVE)).id
    uids = [row[0] for row in await all_rows(mailbox, inbox, Columns.UID)]
    assert len(await mailbox.in_conversations([first])) == 2
    await mailbox.copy(inbox, [(uids[0], uids[0])], archive)
    await mailbox.move(inbox, [(uids[1], uids[1])], archive)
    found = await mailbox.in_conversations([first, 12345])
    assert [(number, folder) for number, folder, _ in found] == [(first, inbox), (first, archive), (first, archive)]
    assert await numbers(mailbox, archive) == [first, first]
    await mailbox.expunge(archive, EVERYTHING, only_deleted=False, purge=True)
    assert [folder for _, folder, _ in await mailbox.in_conversations([first])] == [inbox]
    await mailbox.purge_recoverable(0)  # tidies too
    assert [folder for _, folder, _ in await mailbox.in_conversations([first, third])] == [inbox, inbox]
    assert await mailbox.search(inbox, InConversation(first)) == [uids[0]]
    assert await mailbox.search(inbox, Not(InConversation(first))) == [uids[2]]


async def test_what_a_reader_has_read_of_them(world: World, mailbox: Mailbox) -> None:
    inbox = await put(world, mailbox, message(1), message(3), reply(2, 1))
    uids = [row[0] for row in await all_rows(mailbox, inbox, Columns.UID)]
    await mailbox.set_flags(inbox, [(uids[1], uids[1])], FlagChange(add=1))
    anna, boris = AccountId(7), AccountId(8)
    await mailbox.set_read_by(anna, inbox, [ItemId(uids[2])], True)
    archive = (await mailbox.special(SpecialUse.ARCHIVE)).id
    await mailbox.set_read_by(anna, archive, [ItemId(uids[0])], True)  # another folder's
    first, third = (await numbers(mailbox, inbox))[:2]

    async def unread(reader: AccountId | None = None) -> dict[int, int]:
        return {one.number: one.unread for one in await mailbox.conversations(inbox, reader)}

    assert await unread() == {first: 2, third: 0}
    assert await unread(anna) == {first: 1, third: 1}
    assert await unread(boris) == {first: 2, third: 1}
    await mailbox.set_read_by(anna, inbox, [ItemId(uids[2])], False)
    assert await unread(anna) == {first: 2, third: 1}


async def test_the_list_of_a_folder(world: World, mailbox: Mailbox) -> None:
    inbox = await put(world, mailbox, message(1), message(3), reply(2, 1))
    uids = [row[0] for row in await all_rows(mailbox, inbox, Columns.UID)]
    await mailbox.set_flags(inbox, [(uids[0], uids[0])], FlagChange(add=1 | 4))
    listed = await mailbox.conversations(inbox)
    by_number = {one.number: one for one in listed}
    first, other, _ = await numbers(mailbox, inbox)
    assert (by_number[first].messages, by_number[first].unread, by_number[first].flagged) == (2, 1, 1)
    assert (by_number[other].messages, by_number[other].unread, by_number[other].flagged) == (1, 1, 0)
    with pytest.raises(Refusal) as refused:
        await mailbox.conversations(FolderId(987654))
    assert refused.value.reason is Reason.NO_SUCH_FOLDER


async def test_items_of_an_older_layout_get_their_numbers_when_asked(world: World, mailbox: Mailbox) -> None:
    long = b"X-Long: " + b"x" * 20_000 + b"\r\n" + reply(4, 1)
    inbox = await put(world, mailbox, message(1), reply(2, 1), message(3), long)
    expected = await numbers(mailbox, inbox)
    assert expected[0] == expected[1] == expected[3]
    with apsw.Connection(str(world.store.path(MAILBOX))) as db:  # type: ignore[attr-defined]
        db.execute("UPDATE items SET conversation = 0; UPDATE state SET conversed = 0")
    again = await world.reopen(1).mailbox(MAILBOX)
    change = await again.change_number()
    assert await again.search(inbox, InConversation(expected[0]))
    assert await numbers(again, inbox) == expected
    assert await again.change_number() == change  # clients are told of nothing


async def test_many_come_in_slices(world: World, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "NOTED_AT_A_TIME", 3)
    inbox = await put(world, mailbox, message(1), *(reply(n, 1) for n in range(2, 9)))
    sent = await put(world, mailbox, *(reply(n, 1) for n in range(20, 24)), use=SpecialUse.SENT)
    (number,) = set(await numbers(mailbox, inbox))
    found = await mailbox.in_conversations([number])
    assert [folder for _, folder, _ in found] == [inbox] * 8 + [sent] * 4


async def test_a_full_disk_costs_a_scan(world: World, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = await put(world, mailbox, message(1), reply(2, 1))
    number, _ = await numbers(mailbox, inbox)

    async def full(*_: object, **__: object) -> None:
        raise Refusal(Reason.DISK_FULL, "full")

    monkeypatch.setattr(mailbox, "write", full)
    assert len(await mailbox.in_conversations([number])) == 2


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("acmfx"), st.integers(0, 9)), max_size=12))
async def test_places_are_what_a_reading_of_all_rows_says(
    world: World, mailbox: Mailbox, steps: list[tuple[str, int]]
) -> None:
    inbox, archive = [(await mailbox.special(use)).id for use in (SpecialUse.INBOX, SpecialUse.ARCHIVE)]
    for kind, n in steps:
        uids = [row[0] for row in await all_rows(mailbox, inbox, Columns.UID)]
        one = [(uids[n % len(uids)],) * 2] if uids else []
        if kind == "a" or not one:
            await put(world, mailbox, reply(100 + n, n % 3))
        elif kind == "c":
            await mailbox.copy(inbox, one, archive)
        elif kind == "m":
            await mailbox.move(inbox, one, archive)
        elif kind == "f":
            await mailbox.set_flags(inbox, one, FlagChange(add=1))
            await mailbox.in_conversations([1])
        else:
            await mailbox.expunge(inbox, one, only_deleted=False)
    expected: dict[int, list[tuple[int, int]]] = {}
    for folder in await mailbox.folders():
        for uid, number in await all_rows(mailbox, folder.id, Columns.UID | Columns.CONVERSATION):
            expected.setdefault(number, []).append((folder.id, uid))
    for number, places in expected.items():
        found = await mailbox.in_conversations([number])
        assert [(folder, uid) for _, folder, uid in found] == sorted(places)
