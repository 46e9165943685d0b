"""The contract's fixtures: every test here runs once an engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from postern.model.items import Quota, SpecialUse
from postern.store.interface import Mailbox, Store
from postern.store.sqlite.engine import SqliteStore

from .fakes import MAILBOX, ManualClock, MemoryBlobs, MemoryBus

UNLIMITED = Quota(None, None, None)


class World(NamedTuple):
    """A store with what it stands on; `reopen(epoch)` is a second process over the same data."""

    store: Store
    blobs: MemoryBlobs
    bus: MemoryBus
    clock: ManualClock
    data: Path
    reopen: Callable[[int], Store]


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
