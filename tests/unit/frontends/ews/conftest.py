"""EWS over memory: the real application on a real store, journal and directory, without a socket.

Every answer that a test gets is held against Microsoft's schema first, where the schema is at hand.
"""

from __future__ import annotations

import asyncio
import shutil

import pytest
from ews_world import World


@pytest.fixture(scope="session")
def organisation(tmp_path_factory):
    """A data directory with three people, made once."""
    data = tmp_path_factory.mktemp("ews") / "data"

    async def make() -> None:
        world = World(data)
        await world.start()
        await world.close()

    asyncio.run(make())
    return data


@pytest.fixture
async def world(tmp_path, organisation):
    data = tmp_path / "data"
    shutil.copytree(organisation, data, ignore=shutil.ignore_patterns("reserve"))  # 16 MB that would really be written
    made = World(data)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
def anna(world):
    return world.client("anna")


@pytest.fixture
def boris(world):
    return world.client("boris")
