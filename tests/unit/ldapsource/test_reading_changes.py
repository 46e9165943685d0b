"""What has changed in Active Directory by its numbers, while it goes on changing."""

from __future__ import annotations

import uuid

import pytest

from postern.ldapsource.active_directory import ActiveDirectory
from postern.ldapsource.ad_mapping import AdMapping
from postern.ldapsource.reading import Completing, Memory
from postern.ldapsource.settings import SourceSettings, State
from postern.protocols.ldap.filters import Compare
from postern.protocols.ldap.operations import SearchEntry

ANNA, BORIS = uuid.UUID(int=1), uuid.UUID(int=2)


class Controller:
    """Answers what is newer than a number; after each answer comes the next of `happening`."""

    def __init__(self, numbers, happening):
        self.numbers = dict(numbers)
        self.fitting = set(numbers)
        self.happening = iter(happening)

    async def pages(self, request, size, controls):
        terms = request.filter.terms
        since = next(int(one.value) for one in terms if isinstance(one, Compare) and one.attribute == "uSNChanged")
        found = [one for one, number in self.numbers.items() if number >= since]
        if Compare("isDeleted", "=", b"TRUE") in terms:
            found = []
        elif request.attributes != ("objectGUID",):
            found = [one for one in found if one in self.fitting]
        yield [self.entry(one) for one in found]
        next(self.happening, lambda _: None)(self)

    def entry(self, one):
        name = f"u{one.int}".encode()
        facts = {
            "objectGUID": (one.bytes_le,), "objectClass": (b"person", b"user"), "sAMAccountName": (name,),
            "mail": (name + b"@example.org",), "userAccountControl": (b"512",),
        }  # fmt: skip
        return SearchEntry(f"CN={name.decode()},DC=example,DC=org", facts)

    async def answers(self, request, controls):
        """No tombstones."""
        for nothing in ():
            yield nothing

    async def fetch(self, requests):
        """Nobody names anybody."""
        assert not requests
        return []


async def read(controller):
    """Who is taken in, and who is taken for gone."""
    settings = SourceSettings(domain="example.org", dirsync=False)
    state = State(usn={"controller": 10}, full_at=1000.0, swept_at=1000.0)
    memory = Memory(state, frozenset(str(one) for one in (ANNA, BORIS)), 1001.0)
    completing = Completing(controller, settings, AdMapping([], now=1001.0))
    top = "DC=example,DC=org"
    reader = ActiveDirectory(controller, completing, memory, top, top, ("controller", 20, "dc1"))
    taken, gone = set(), set()
    async for batch in reader.batches():
        taken.update(entry.anchor for entry in batch.entries)
        gone.update(batch.removed)
    return taken, gone


def signs_in(who):
    """Their entry has a new number, and fits as before."""
    return lambda controller: controller.numbers.update({who: 25})


def nothing(controller):
    """Happens."""


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_who_signs_in_between_two_questions_is_not_gone(after):
    taken, gone = await read(Controller({ANNA: 15, BORIS: 5}, [*[nothing] * after, signs_in(BORIS)]))
    assert str(ANNA) in taken
    assert gone == set()


@pytest.mark.parametrize("during", [False, True])
async def test_who_fits_no_more_is_gone(during):
    def leaves(controller):
        controller.fitting.discard(ANNA)
        controller.numbers[ANNA] = 26

    controller = Controller({ANNA: 15, BORIS: 5}, [leaves] if during else [])
    if not during:
        leaves(controller)
    assert await read(controller) == (set(), {str(ANNA)})
