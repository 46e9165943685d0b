"""services.rules.acquaintances: what is kept of contacts stays within its bound."""

from __future__ import annotations

import asyncio

from postern.model.properties import pack
from postern.services.rules.acquaintances import Acquaintances


class Book:
    """A mailbox with three contacts, which are read slowly."""

    id = "0011"

    async def items(self, folder, columns):
        for name in ("ann", "bob", "eve"):
            await asyncio.sleep(0)
            yield [(pack({"PidLidEmail1EmailAddress": f"{name}@example.net"}),)]


class Contacts:
    id, uid_validity, changed, messages = 7, 1, 5, 3


async def test_readers_at_once_are_counted_once():
    kept = Acquaintances(most=10)
    asked = [kept.knows(Book(), Contacts(), name) for name in ["Bob@example.net", "zoe@example.net"] * 10]
    assert await asyncio.gather(*asked) == [True, False] * 10
    assert kept._total == 4
