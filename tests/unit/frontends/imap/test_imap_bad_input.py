"""What no client should send costs a clear answer and nothing else; long work says how far it is."""

from __future__ import annotations

import msgspec
import pytest
from imap_world import MESSAGE, World

from postern.model.refusal import Reason, Refusal
from postern.protocols.imap.commands.append import MAX_MESSAGES
from postern.protocols.imap.table import COMMANDS, Tls


async def test_a_set_of_100_000_elements_is_refused_and_the_session_lives(world: World) -> None:
    world.fill(3)
    client = await world.inbox()
    numbers = b",".join(b"%d" % n for n in range(1, 200_001, 2))
    assert b"BAD Command line too long" in await client.cmd(b"FETCH " + numbers + b" FLAGS")
    assert (await client.cmd(b"NOOP")).startswith(b"OK")


async def test_a_set_that_fills_the_line_is_carried_out(world: World) -> None:
    world.fill(3)
    client = await world.inbox()
    numbers = b",".join([b"1", b"3"] * 15_000)
    answer = await client.cmd(b"FETCH " + numbers + b" UID")
    assert answer.count(b"FETCH (UID") == 2 and b"\r\nOK" in answer
    backwards = b",".join(b"%d:%d" % (n + 3, n) for n in range(6000, 0, -1))
    assert b"OK FETCH" in await client.cmd(b"UID FETCH " + backwards[:60_000].rpartition(b",")[0] + b" FLAGS")


@pytest.mark.parametrize("opening", [b"(", b"NOT ", b"OR ALL "])
async def test_search_nested_1000_deep(world: World, opening: bytes) -> None:
    client = await world.inbox()
    assert (await client.cmd(b"SEARCH " + opening * 1000 + b"ALL" + b")" * 1000)).startswith(b"BAD")
    assert (await client.cmd(b"NOOP")).startswith(b"OK")


@pytest.mark.parametrize("size", [b"9" * 20, b"9" * 5000], ids=["20 digits", "5000 digits"])
async def test_nobody_waits_for_a_literal_of_more_than_64_bits(world: World, size: bytes) -> None:
    client = await world.inbox()
    answer = await client.raw(b"a SEARCH SUBJECT {" + size + b"+}\r\nb CREATE x\r\n", b"* BYE Literal too large\r\n")
    assert answer == b"a BAD Literal too large\r\n* BYE Literal too large\r\n"
    await client.task
    assert "x" not in {folder.name for folder in await world.mailbox.folders()}


async def test_a_folder_of_1000_levels(world: World) -> None:
    client = await world.login()
    assert b"BAD mailbox name over" in await client.cmd(b"CREATE " + b"/".join([b"a"] * 1000))
    assert b"NO [CANNOT]" in await client.cmd(b"CREATE " + b"/".join([b"a"] * 100))
    assert b"LIST" not in (await client.cmd(b'LIST "" a')).partition(b"OK")[0]


async def test_patterns_full_of_wildcards(world: World) -> None:
    client = await world.login()
    assert b"OK LIST" in await client.cmd(b'LIST "" ' + b"*%" * 400 + b"x")


async def test_too_many_messages_in_one_append(world: World) -> None:
    client = await world.login()
    one = b" {1+}\r\nx"
    answer = await client.cmd(b"APPEND INBOX" + one * (MAX_MESSAGES + 1))
    assert b"NO [LIMIT]" in answer
    assert world.mailbox.bodies == []


async def test_messages_together_share_the_limit(world: World) -> None:
    world.settings = msgspec.structs.replace(world.settings, append_bytes=1000)
    client = await world.login()
    answer = await client.cmd(b"APPEND INBOX" + b" {900+}\r\n%b" % (b"x" * 900) * 3)
    assert b"NO [TOOBIG]" in answer
    assert world.mailbox.bodies == []
    assert (await client.cmd(b"NOOP")).startswith(b"OK")


async def test_catenate_cannot_make_more_than_the_limit(world: World) -> None:
    world.settings = msgspec.structs.replace(world.settings, append_bytes=1000)
    key = world.mailbox.by_name("INBOX")
    uid = world.mailbox.deliver(key, b"x" * 600)
    client = await world.login()
    url = b'URL "/INBOX/;UID=%d"' % uid
    assert b"NO [TOOBIG]" in await client.cmd(b"APPEND INBOX CATENATE (" + b" ".join([url] * 50) + b")")
    assert len(world.mailbox.bodies) == 1


async def test_a_long_search_says_how_far_it_is(world: World) -> None:
    world.settings = msgspec.structs.replace(world.settings, progress_s=0.0)
    key = world.mailbox.by_name("INBOX")
    first = world.mailbox.deliver(key, MESSAGE)
    for uid in range(first + 1, first + 7100):  # the same message: only its number matters
        world.mailbox.messages[key][uid] = world.mailbox.messages[key][first]
    world.mailbox.next_id += 7100
    client = await world.inbox()
    answer = await client.cmd(b"SEARCH RETURN (COUNT) TEXT First")
    assert b'* OK [INPROGRESS ("t3" 5000 7100)]' in answer and b'* OK [INPROGRESS ("t3" 7100 7100)]' in answer
    assert b"COUNT 7100" in answer


async def test_a_capability_is_switched_off_for_one_account(world: World) -> None:
    world.settings = msgspec.structs.replace(world.settings, disabled_for={"ann@example.org": ("MOVE", "IDLE")})
    client = world.connect()
    assert b" MOVE" not in await client.until(b"* OK")
    answer = await client.cmd(b"LOGIN ann@example.org secret")
    assert b" MOVE" not in answer and b" IDLE" not in answer and b" NOTIFY" in answer
    assert b"BAD Unknown command" in await client.cmd(b"IDLE")
    assert b" IDLE" not in await client.cmd(b"CAPABILITY")


def test_every_command_says_what_it_is_from() -> None:
    assert all(row.reference.startswith("RFC ") for row in COMMANDS.values())
    assert {name for name, row in COMMANDS.items() if row.tls is Tls.PASSWORD} == {b"LOGIN", b"AUTHENTICATE"}


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (Reason.NO_SUCH_RECIPIENT, b"NO [NONEXISTENT] There is no account or group of that name"),
        (Reason.NOT_SUPPORTED, b"NO [CANNOT] Rights are given to people and static groups"),
    ],
)
async def test_rights_for_who_is_not_there_do_not_blame_the_folder(world: World, reason: Reason, told: bytes) -> None:
    async def refuse(*_arguments: object) -> None:
        raise Refusal(reason, "nobody@example.org")

    world.mailboxes.set_folder_permission = refuse  # type: ignore[attr-defined]
    client = await world.login()
    assert (await client.cmd(b"SETACL INBOX nobody lr")).strip() == told
    assert b"NO [NONEXISTENT] No such mailbox" in await client.cmd(b"SETACL Nowhere nobody lr")
