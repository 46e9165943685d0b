"""The offline address book from a directory: generations, differences, and who may fetch what."""

from __future__ import annotations

import fcntl
import re

import pytest
from tests.unit.formats.mspack import Mspack

from postern.directory.interface import AccountChange, Details, Domain, NewAccount, Policy, RecipientKind
from postern.directory.sqlite import SqliteDirectory
from postern.formats.oab import details
from postern.model.refusal import Reason, Refusal
from postern.net.clock import SystemClock, SystemEntropy
from postern.services.address_book import AddressBook
from postern.services.offline_books import OfflineBooks
from postern.services.principal import Principal


class World:
    def __init__(self, place) -> None:
        self.directory = SqliteDirectory(place / "directory.db", SystemEntropy(), SystemClock())
        self.place = place / "oab"
        self.mspack = Mspack(place)
        self.renew()

    def renew(self) -> None:
        """As another process."""
        self.books = OfflineBooks(self.directory, AddressBook(self.directory, SystemClock()), self.place)

    async def fill(self) -> None:
        await self.directory.put_domain(Domain("example.org"))
        new = [NewAccount(f"p{number:03}@example.org", f"Person {number}") for number in range(60)]
        await self.directory.create_accounts([*new, NewAccount("room@example.org", "Room", kind=RecipientKind.ROOM)])
        await self.directory.change_account("p007@example.org", AccountChange(hidden=True))
        await self.directory.put_contact("zoe@example.net", display_name="Zoë")

    async def principal(self, name: str = "p000") -> Principal:
        account = await self.directory.login(f"{name}@example.org")
        return Principal(account.id, account.address, account.mailbox, account.slot)

    async def changed(self) -> dict[str, int]:
        return {made.name: made.sequence for made in await self.books.make() if made.changed}

    async def lists(self, name: str = "p000") -> dict[str, str]:
        """Markup of each list in somebody's manifest."""
        text = (await self.books.manifest(await self.principal(name))).decode()
        return {re.search(r'name="\\(.*?)"', one)[1]: one for one in re.findall(r"<OAL .*?</OAL>", text)}

    async def fetch(self, markup: str, element: str) -> list[bytes]:
        names = re.findall(rf"<{element} [^>]*>([^<]+)</{element}>", markup)
        return [await self.books.file(await self.principal(), name) for name in names]


@pytest.fixture
async def world(tmp_path):
    one = World(tmp_path)
    await one.fill()
    yield one
    await one.directory.close()


async def test_generations_differences_and_what_a_client_makes_of_them(world):
    everything = await world.changed()
    assert set(everything.values()) == {1}
    assert await world.changed() == {}, "nothing has changed"
    first = await world.lists()
    assert "<Diff" not in "".join(first.values())
    (packed,) = await world.fetch(first["Global Address List"], "Full")
    own = world.mspack.full(packed)
    assert b"p006@example.org" in own and b"zoe@example.net" in own
    assert b"p007@example.org" not in own, "hidden"
    assert len(details.split(own)) == 1 + 59 + 1 + 1
    assert own.count(b"/cn=Recipients/cn=") == 61

    await world.directory.set_details(
        "p010@example.org", Details(title="Chief", phone="+371 2", notes="Secret", home_phone="+371 3")
    )
    await world.directory.put_proxy("p010@example.org", "other@example.org")
    assert await world.changed() == {"Global Address List": 2, "All Users": 2}
    await world.directory.delete_account("p020@example.org")
    world.renew()
    assert await world.changed() == {"Global Address List": 3, "All Users": 3}
    third = (await world.lists())["Global Address List"]
    assert re.findall(r'<(Full|Diff) seq="(\d+)"', third) == [("Full", "3"), ("Diff", "2"), ("Diff", "3")]
    differences = await world.fetch(third, "Diff")
    for difference in differences:
        own = world.mspack.patched(difference, own)
    (packed,) = await world.fetch(third, "Full")
    assert world.mspack.full(packed) == own
    assert b"Chief" in own and b"+371 2" in own and b"p020@" not in own
    assert not any(hidden in own for hidden in (b"Secret", b"+371 3", b"other@example.org"))
    assert sum(map(len, differences)) < len(packed)
    templates = await world.fetch(third, "Template")
    assert len(templates) == 4 and len({world.mspack.full(one) for one in templates}) == 2, "two languages"


async def test_who_has_read_the_last_manifest_still_gets_its_files(world):
    await world.books.make()
    old = (await world.lists())["All Rooms"]
    for number in range(3):
        await world.directory.set_details("room@example.org", Details(office=f"Floor {number}"))
        await world.books.make()
        if number == 0:
            assert await world.fetch(old, "Full")
    with pytest.raises(Refusal) as caught:
        await world.fetch(old, "Full")
    assert caught.value.reason is Reason.NO_SUCH_ITEM
    assert len(list(world.place.rglob("*-data-*.lzx"))) < 20


async def test_a_policy_hides_lists_from_the_manifest_and_their_files(world):
    await world.books.make()
    every = await world.lists()
    await world.directory.put_policy(Policy("rooms", address_lists=("All Rooms",)))
    await world.directory.change_account("p001@example.org", AccountChange(policy="rooms"))
    assert list(await world.lists("p001")) == ["All Rooms"]
    name = re.search(r">([^<]+)</Full>", every["Global Address List"])[1]
    who = await world.principal("p001")
    with pytest.raises(Refusal):
        await world.books.file(who, name)
    assert await world.books.file(await world.principal(), name)


@pytest.mark.parametrize(
    "name", ["index.json", "../directory.db", "lock", "", "x.lzx", "{guid}-raw-1.oab", "{guid}-data-9.lzx"]
)
async def test_only_files_that_a_manifest_names_are_handed_out(world, name):
    await world.books.make()
    guid = re.search(r'id="([^"]+)"', (await world.lists())["All Users"])[1]
    with pytest.raises(Refusal):
        await world.books.file(await world.principal(), name.format(guid=guid))


async def test_before_anything_is_made_and_while_another_makes_it(world):
    assert await world.books.manifest(await world.principal()) is None
    world.place.mkdir()
    with (world.place / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Refusal) as caught:
            await world.books.make()
    assert caught.value.reason is Reason.IN_USE


@pytest.mark.parametrize("damage", ["index", "raw", "full"])
async def test_damaged_files_are_made_anew(world, damage):
    await world.books.make()
    for path in world.place.rglob({"index": "index.json", "raw": "*-raw-*", "full": "*-data-*"}[damage]):
        path.write_bytes(b"{") if damage == "index" else path.unlink()
    await world.directory.set_details("p010@example.org", Details(title="Chief"))
    await world.books.make()
    markup = (await world.lists())["Global Address List"]
    (packed,) = await world.fetch(markup, "Full")
    assert b"Chief" in world.mspack.full(packed)
    assert len(await world.fetch(markup, "Diff")) == (damage == "full")
