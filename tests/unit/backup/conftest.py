"""An organisation at work, and a repository beside it."""

import pytest
from backup_world import World


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path)
    await world.start()
    yield world
    await world.stop()
