"""The contract's fixtures: every test here runs once an engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_world import MAILBOX, UNLIMITED, ManualClock, MemoryBlobs, MemoryBus, World

from postern.model.items import SpecialUse
from postern.store.interface import Mailbox, Store
from postern.store.sqlite.engine import SqliteStore


@pytest.fixture(params=["sqlite"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    blobs, bus, clock = MemoryBlobs(), MemoryBus(), ManualClock()
    stores: list[Store] = []

    def reopen(epoch: int) -> Store:
        store = SqliteStore(tmp_path, blobs, bus, clock, epoch, reserve_bytes=1 << 20)
        stores.append(store)
        return store

    yield World(reopen(1), blobs, bus, clock, tmp_path, reopen)
    for store in stores:
        await store.close()


@pytest.fixture
async def mailbox(world: World) -> Mailbox:
    await world.store.create_mailbox(MAILBOX, 1, UNLIMITED)
    return await world.store.mailbox(MAILBOX)


@pytest.fixture
async def inbox(mailbox: Mailbox) -> int:
    return (await mailbox.special(SpecialUse.INBOX)).id
