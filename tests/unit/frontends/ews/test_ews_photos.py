"""GetUserPhoto: Evolution asks for a picture of everybody it shows."""

from __future__ import annotations

import base64

import pytest
from test_ews_hostile import fault

from postern.directory.interface import AccountChange

JPEG = b"\xff\xd8\xff\xe0 a picture"


def asked(address: str, size: str = "HR96x96") -> str:
    return f"<m:GetUserPhoto><m:Email>{address}</m:Email><m:SizeRequested>{size}</m:SizeRequested></m:GetUserPhoto>"


async def test_a_picture_is_given(anna, world):
    await world.parts.directory.set_photo("boris@example.org", JPEG)
    for size in ("HR48x48", "HR96x96", "HR1920xN"):
        reply = await anna.ask(asked("boris@example.org", size))
        assert reply.body.get("ResponseClass") == "Success"
        assert reply.text("//m:HasChanged") == "true"
        assert base64.b64decode(reply.text("//m:PictureData")) == JPEG


@pytest.mark.parametrize("address", ["chen@example.org", "nobody@example.org", "", "boris@example.org"])
async def test_nobody_no_picture_and_hidden_are_one_answer(anna, world, address):
    await world.parts.directory.set_photo("boris@example.org", JPEG)
    await world.parts.directory.change_account("boris@example.org", AccountChange(hidden=True))
    reply = await anna.ask(asked(address))
    assert reply.status == 200
    assert reply.body.get("ResponseClass") == "Error"
    assert reply.text("//m:ResponseCode") == "ErrorItemNotFound"
    assert not reply.all("//m:PictureData")


async def test_a_size_that_is_none_and_an_old_version_are_refused(anna):
    assert await fault(anna, anna.envelope(asked("boris@example.org", "HR1x1"))) == "ErrorSchemaValidation"
    anna.version = "Exchange2010_SP2"
    assert await fault(anna, anna.envelope(asked("boris@example.org"))) == "ErrorInvalidOperation"
