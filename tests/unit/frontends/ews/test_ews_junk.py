"""MarkAsJunk: the sender's next mail is junk too, until it is said not to be."""

from __future__ import annotations

from test_ews_delegates import change, user

MAIL = "From: Shop <{}>\nTo: anna@example.org\nSubject: Offer\n\nBuy\n"


def mark(item: str, junk: str = "true", move: str = "true") -> str:
    return (
        f'<m:MarkAsJunk IsJunk="{junk}" MoveItem="{move}"><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:MarkAsJunk>'
    )


async def count(client) -> tuple[int, int]:
    return len((await client.find("inbox")).ids()), len((await client.find("junkemail")).ids())


async def test_who_was_marked_is_blocked_and_unmarked_again(anna, world):
    await anna.mailed(MAIL.format("shop@example.net"))
    (item, _) = (await anna.find("inbox")).ids()[0]
    moved = (await anna.ask(mark(item))).ok()
    assert await count(anna) == (0, 1)
    await anna.mailed(MAIL.format("Shop@Example.net"), "bounce@example.net")
    await anna.mailed(MAIL.format("other@example.net"))
    assert await count(anna) == (1, 2)
    (await anna.ask(mark(moved.one("//m:MovedItemId").get("Id"), "false"))).ok()
    await anna.mailed(MAIL.format("shop@example.net"))
    assert await count(anna) == (3, 1)
    junk = await (await world.services.rules.open(anna.principal)).junk()
    assert junk is not None and junk.blocked_senders == ()


async def test_without_moving_the_sender_is_blocked_all_the_same(anna, world):
    await anna.mailed(MAIL.format("shop@example.net"))
    (item, _) = (await anna.find("inbox")).ids()[0]
    (await anna.ask(mark(item, move="false"))).ok()
    assert await count(anna) == (1, 0)
    book = await world.services.rules.open(anna.principal)
    assert (await book.junk()).blocked_senders == ("shop@example.net",)


async def test_oneself_is_not_blocked_and_saying_it_is_no_junk_switches_nothing_on(anna, world):
    book = await world.services.rules.open(anna.principal)
    await anna.mailed(MAIL.format("anna@example.org"))
    (item, _) = (await anna.find("inbox")).ids()[0]
    (await anna.ask(mark(item, "false", "false"))).ok()
    (await anna.ask(mark(item))).ok()
    assert await book.junk() is None


async def test_a_delegate_moves_and_changes_no_list(anna, boris, world):
    await anna.single(change("AddDelegate", user(Inbox="Editor")))
    junk = await world.parts.store.mailbox(anna.principal.mailbox)
    from postern.model.items import SpecialUse
    from postern.model.rights import ROLES

    folder = (await junk.special(SpecialUse.JUNK)).id
    await world.parts.directory.set_folder_rights(junk.id, folder, "boris@example.org", ROLES["editor"])
    await anna.mailed(MAIL.format("shop@example.net"))
    (item, _) = (await anna.find("inbox")).ids()[0]
    (await boris.ask(mark(item))).ok()
    assert await count(anna) == (0, 1)
    assert await (await world.services.rules.open(anna.principal)).junk() is None


async def test_a_full_list_loses_its_oldest(anna, world, monkeypatch):
    monkeypatch.setattr("postern.services.rules.rulebook.MAX_LIST", 2)
    book = await world.services.rules.open(anna.principal)
    await book.block(["a@x", "b@x"], blocked=True)
    await book.block(["c@x", "A@X"], blocked=True)
    assert (await book.junk()).blocked_senders == ("c@x", "a@x")
