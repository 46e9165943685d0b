"""EWS over memory: the real application on a real store, journal and directory, without a socket.

Every answer that a test gets is held against Microsoft's schema first, where the schema is at hand.
"""

from __future__ import annotations

import pytest
from ews_world import World


@pytest.fixture
async def world(tmp_path):
    made = World(tmp_path)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
def anna(world):
    return world.client("anna")


@pytest.fixture
def boris(world):
    return world.client("boris")
