"""Room lists are the groups of nothing but rooms."""

from __future__ import annotations

import pytest
from test_ews_hostile import fault

from postern.directory.interface import AccountChange, NewAccount, RecipientKind

LISTS = "<m:GetRoomLists/>"


def rooms(address: str) -> str:
    return f"<m:GetRooms><m:RoomList><t:EmailAddress>{address}</t:EmailAddress></m:RoomList></m:GetRooms>"


@pytest.fixture
async def building(world):
    directory = world.parts.directory
    await directory.create_accounts(
        [
            NewAccount(f"{name}@example.org", display_name=name.capitalize(), kind=kind)
            for name, kind in (
                ("oak", RecipientKind.ROOM),
                ("elm", RecipientKind.ROOM),
                ("beamer", RecipientKind.EQUIPMENT),
            )
        ]
    )
    for name, members in (
        ("house", ("oak@example.org", "elm@example.org")),
        ("mixed", ("oak@example.org", "boris@example.org")),
        ("things", ("beamer@example.org",)),
        ("empty", ()),
    ):
        await directory.put_group(f"{name}@example.org", display_name=name.capitalize())
        await directory.set_members(f"{name}@example.org", add=members)


async def test_lists_and_their_rooms(anna, building):
    told = await anna.single(LISTS)
    assert told.texts("//t:Address/t:EmailAddress") == ["house@example.org"]
    assert told.text("//t:Address/t:MailboxType") == "PublicDL"
    inside = await anna.single(rooms("house@example.org"))
    assert inside.texts("//t:Room/t:Id/t:Name") == ["Elm", "Oak"]
    assert set(inside.texts("//t:Room/t:Id/t:MailboxType")) == {"Mailbox"}


@pytest.mark.parametrize("address", ["mixed@example.org", "boris@example.org", "nobody@example.org", ""])
async def test_what_is_no_list_of_rooms(anna, building, address):
    asked = rooms(address) if address else rooms("x").replace("<t:EmailAddress>x</t:EmailAddress>", "")
    reply = await anna.ask(asked)
    assert reply.text("//m:ResponseCode") == "ErrorNameResolutionNoResults"


async def test_hidden_ones_are_not_shown(anna, building, world):
    await world.parts.directory.change_account("oak@example.org", AccountChange(hidden=True))
    inside = await anna.single(rooms("house@example.org"))
    assert inside.texts("//t:Room/t:Id/t:Name") == ["Elm"]
    await world.parts.directory.put_group("house@example.org", hidden=True)
    assert not (await anna.single(LISTS)).all("//t:Address")
    assert (await anna.ask(rooms("house@example.org"))).text("//m:ResponseCode") == "ErrorNameResolutionNoResults"


async def test_before_2010_there_are_none(anna):
    anna.version = "Exchange2007_SP1"
    assert await fault(anna, anna.envelope(LISTS)) == "ErrorInvalidOperation"
