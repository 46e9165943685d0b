"""Commands within all limits over a mailbox of thousands of folders: what one asks for holds up nobody else."""

from __future__ import annotations

import asyncio
import time

import pytest
from imap_world import World

FOLDERS = 4000
SECONDS = 1.5
"""Of CPU on a slow machine; each of these took several times as long."""


def name(number: int) -> str:
    return f"f{number:04}"


@pytest.fixture
async def client():
    world = World()
    for number in range(FOLDERS):
        world.mailbox._make(None, name(number) + "a" * (number % 40))
    client = await world.login()
    yield client
    await client.close()


async def cost(client, command: bytes) -> tuple[float, bytes]:
    began = time.process_time()
    answer = await client.cmd(command)
    return time.process_time() - began, answer


async def test_many_patterns_take_one_pass_over_each_name(client):
    patterns = " ".join(f'"*{"a*" * 60}{number}"' for number in range(60))
    spent, answer = await cost(client, f'LIST "" ({patterns} INBOX)'.encode())
    assert spent < SECONDS
    assert b"OK LIST" in answer
    assert b'"INBOX"' in answer


async def test_others_have_their_turn_while_names_are_matched(client):
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    await client.cmd(b'LIST "" nothing')
    listed = turns
    await client.cmd(b'LSUB "" nothing')
    task.cancel()
    assert min(listed, turns - listed) > FOLDERS // 100


async def test_what_is_below_is_looked_for_once(client):
    spent, answer = await cost(client, b'LIST (SUBSCRIBED RECURSIVEMATCH) "" *')
    assert spent < SECONDS
    assert answer.count(b"\r\n* LIST") < 10  # nobody has subscribed to them


async def test_a_folder_is_found_among_names_without_going_through_them(client):
    names = " ".join(f"x{number}" for number in range(1000))
    groups = " ".join(f"({kind} ({names}) (MessageNew MessageExpunge))" for kind in ("subtree", "mailboxes") * 4)
    spent, answer = await cost(client, f"NOTIFY SET {groups}".encode())
    assert b"OK NOTIFY" in answer
    assert spent < SECONDS
    spent, _ = await cost(client, b"CREATE another")
    assert spent < SECONDS
    sources = " ".join(f"subtree ({names})" for _ in range(8))
    spent, answer = await cost(client, f"ESEARCH IN ({sources}) ALL".encode())
    assert b"OK" in answer
    assert spent < SECONDS
