"""What a worker does now and then."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace

import pytest

from postern.roles import worker


@pytest.mark.parametrize(("index", "wanted"), [(0, True), (1, False)])
async def test_one_worker_sets_disk_space_aside_as_soon_as_there_is_room(monkeypatch, index, wanted):
    """At the start the disk may have been too full for it."""
    monkeypatch.setattr(worker, "UPKEEP_EVERY_S", 0.001)
    done = asyncio.Event()
    trims = 0

    async def set_room_aside() -> None:
        done.set()

    def trim() -> None:
        nonlocal trims
        trims += 1
        if trims == 3:
            ended.set()

    async def nothing(_parts: object) -> None:
        pass

    ended = asyncio.Event()
    one = worker.Worker.__new__(worker.Worker)
    one._index = index
    monkeypatch.setattr(one, "_replay_orphans", nothing, raising=False)
    parts = SimpleNamespace(blobs=SimpleNamespace(trim=trim), store=SimpleNamespace(set_room_aside=set_room_aside))
    task = asyncio.create_task(one._upkeep(parts))
    await asyncio.wait_for(ended.wait(), 60)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert done.is_set() is wanted
