"""Sessions over memory."""

from __future__ import annotations

import pytest
from imap_world import MESSAGE, World


@pytest.fixture
async def world():
    made = World()
    yield made
    for client in made.clients:
        await client.close()


@pytest.fixture
def message() -> bytes:
    return MESSAGE
