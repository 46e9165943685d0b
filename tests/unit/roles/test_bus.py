"""The bus: the table is the truth, datagrams only wake."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
from pathlib import Path

import pytest

from postern.roles.bus import SharedBus


async def until(condition, timeout=2.0):
    for _ in range(int(timeout / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("did not happen in time")


@pytest.fixture
async def pair(tmp_path: Path):
    one, two = SharedBus(tmp_path / "bus", 0), SharedBus(tmp_path / "bus", 1)
    await one.start()
    await two.start()
    yield one, two
    one.close()
    two.close()


async def test_every_process_sees_and_is_woken(pair):
    one, two = pair
    woken = []
    one.subscribe(5, lambda: woken.append(("one", one.current(5))))
    two.subscribe(5, lambda: woken.append(("two", two.current(5))))
    two.subscribe(6, lambda: woken.append("wrong"))
    assert one.current(5) == 0
    one.publish(5, 42)
    assert two.current(5) == 42
    await until(lambda: len(woken) == 2)
    assert sorted(woken) == [("one", 42), ("two", 42)]


async def test_unsubscribing_stops_waking(pair):
    one, two = pair
    woken = []
    first = two.subscribe(5, lambda: woken.append(1))
    second = two.subscribe(5, lambda: woken.append(2))
    first()
    first()
    one.publish(5, 1)
    await until(lambda: woken)
    assert woken == [2]
    second()
    one.publish(5, 2)
    await asyncio.sleep(0.05)
    assert woken == [2]


async def test_numbers_never_fall(pair):
    one, two = pair
    one.publish(3, 9)
    two.publish(3, 4)
    assert one.current(3) == two.current(3) == 9


async def test_many_commits_wake_once_a_turn(pair):
    one, _ = pair
    woken = []
    one.subscribe(1, lambda: woken.append(one.current(1)))
    for number in range(1, 100):
        one.publish(1, number)
    await until(lambda: woken)
    await asyncio.sleep(0.02)
    assert woken == [99]


async def test_an_overflowing_queue_rescans(pair):
    one, two = pair
    woken = set()
    for slot in range(1, 2001):
        two.subscribe(slot, lambda slot=slot: woken.add(slot))
    for slot in range(1, 2001):  # without letting the loop run: more datagrams than a queue holds
        one.publish(slot, 7)
    await until(lambda: len(woken) == 2000)


async def test_the_table_grows_for_everybody(pair):
    one, two = pair
    assert two.current(200_000) == 0
    one.publish(200_000, 3)
    assert two.current(200_000) == 3
    woken = []
    two.subscribe(300_000, lambda: woken.append(1))
    one.publish(300_000, 1)
    await until(lambda: woken)


async def test_a_dead_process_disturbs_nobody(tmp_path: Path):
    dead, alive = SharedBus(tmp_path / "bus", 3), SharedBus(tmp_path / "bus", 4)
    await dead.start()
    dead.subscribe(2, lambda: None)
    asyncio.get_running_loop().remove_reader(dead._receiver)
    dead._receiver.close()
    alive.publish(2, 1)
    successor = SharedBus(tmp_path / "bus", 3)
    await successor.start()
    assert alive._words[2 * 2 + 1] == 0
    for bus in (alive, successor):
        bus.close()
    dead._receiver = None
    dead.close()


async def test_a_command_beside_the_server_wakes_it(tmp_path: Path):
    server = SharedBus(tmp_path / "bus", 0)
    await server.start()
    woken = []
    server.subscribe(0, lambda: woken.append(server.current(0)))
    command = SharedBus(tmp_path / "bus", None)
    command.publish(0, 8)
    await until(lambda: woken)
    assert woken == [8]
    SharedBus.clear(tmp_path / "bus")
    assert server.current(0) == command.current(0) == 0
    server.close()
    command.close()


def _publisher(path: str, count: int) -> None:
    bus = SharedBus(Path(path), None)
    for number in range(1, count + 1):
        bus.publish(1, number)
    bus.close()


async def test_racing_publishers_end_at_the_highest(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    counts = (3000, 5000, 4000)
    processes = [context.Process(target=_publisher, args=(str(tmp_path / "bus"), n)) for n in counts]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join)
    bus = SharedBus(tmp_path / "bus", None)
    assert bus.current(1) == max(counts)
    bus.close()


def test_foreign_datagrams_are_ignored(tmp_path: Path):
    async def run():
        bus = SharedBus(tmp_path / "bus", 0)
        await bus.start()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"??", bus._name % 0)
            stranger.sendto(b"\xff" * 8, bus._name % 0)
        await asyncio.sleep(0.02)
        bus.close()

    asyncio.run(run())


def test_the_table_has_its_blocks_from_the_beginning(tmp_path):
    """On a full disk the first touch of a page without a block kills a process (SIGBUS)."""
    bus = SharedBus(tmp_path / "bus", None)
    found = (tmp_path / "bus").stat()
    bus.close()
    assert found.st_blocks * 512 >= found.st_size
