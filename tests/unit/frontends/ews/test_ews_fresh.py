"""What is kept between requests is never stale: rights, items and folders that another worker changed, other shapes."""

from __future__ import annotations

import asyncio
import base64

import pytest

from postern.frontends.ews import loading
from postern.model.items import Flag, SpecialUse
from postern.model.rights import ROLES
from postern.protocols.ews import writers
from postern.protocols.ews.shapes import ItemShape
from postern.protocols.ews.versions import Version
from postern.roles.parts import Parts
from postern.services.mailboxes import FlagChange

MAIL = b"From: Out <out@example.net>\r\nTo: anna@example.org\r\nSubject: %b\r\nMessage-ID: <%b@x>\r\n\r\nText of %b\r\n"
MIME = "<t:IncludeMimeContent>true</t:IncludeMimeContent>"
SEEN = FlagChange(add=Flag.SEEN.value, add_keywords=("Blue",))


def fields(*names: str) -> str:
    inner = "".join(f'<t:FieldURI FieldURI="{name}"/>' for name in names)
    return f"<t:AdditionalProperties>{inner}</t:AdditionalProperties>"


@pytest.fixture
async def other(world):
    """Another worker over the same files."""
    parts = Parts.open(world.settings, "other", None, 0)
    await parts.store.start()
    yield parts
    await parts.close()


async def delivered(client, *names: bytes) -> list[str]:
    """Ids of messages of these names, in their order."""
    for name in names:
        await client.deliver(MAIL % (name, name, name))
    found = await client.find(extra=fields("item:Subject"))
    ids = dict(zip(found.texts("//t:Subject"), [id_ for id_, _ in found.ids()], strict=True))
    return [ids[name.decode()] for name in names]


async def test_a_right_that_another_worker_takes_ends_at_once(world, anna, boris, other):
    (one,) = await delivered(anna, b"One")
    mailbox = anna.principal.mailbox
    inbox = (await (await other.store.mailbox(mailbox)).special(SpecialUse.INBOX)).id
    for _ in range(2):
        await other.directory.set_folder_rights(mailbox, inbox, "boris@example.org", ROLES["reviewer"])
        await asyncio.sleep(0)
        for extra in (MIME, "", MIME):
            (await boris.get(one, shape="IdOnly", extra=extra)).ok()
        await other.directory.set_folder_rights(mailbox, inbox, "boris@example.org", None)
        await asyncio.sleep(0)  # requests come in turns of their own
        for extra in (MIME, ""):
            reply = await boris.get(one, shape="IdOnly", extra=extra)
            assert reply.codes[0] in ("ErrorItemNotFound", "ErrorAccessDenied"), reply.codes
            assert not reply.ids()
    (await anna.get(one, shape="IdOnly", extra=MIME)).ok()


async def test_what_another_session_changes_is_told_by_the_next_answer(anna, other):
    (one,) = await delivered(anna, b"One")
    asked = fields("message:IsRead", "item:Categories", "item:ParentFolderId")
    before = (await anna.get(one, shape="IdOnly", extra=asked)).ok()
    assert before.text("//t:IsRead") == "false"
    assert not before.all("//t:Categories")
    mailbox = await other.store.mailbox(anna.principal.mailbox)
    inbox = (await mailbox.special(SpecialUse.INBOX)).id
    await mailbox.set_flags(inbox, [(1, 1 << 31)], SEEN)
    after = (await anna.get(one, shape="IdOnly", extra=asked)).ok()
    assert after.text("//t:IsRead") == "true"
    assert after.texts("//t:Categories/t:String") == ["Blue"]
    assert after.ids()[0][1] != before.ids()[0][1]
    parents = [reply.one("//t:ParentFolderId").get("ChangeKey") for reply in (before, after)]
    assert parents[0] != parents[1]


@pytest.mark.parametrize("extra", [MIME, ""])
async def test_a_folder_that_another_session_removes_takes_its_items_along(anna, other, extra):
    kept, moved, gone = await delivered(anna, b"Kept", b"Moved", b"Gone")
    await anna.folder("Short")
    mailbox = await other.store.mailbox(anna.principal.mailbox)
    inbox = (await mailbox.special(SpecialUse.INBOX)).id
    (short,) = [one.id for one in await mailbox.folders() if one.name == "Short"]
    uids = [row[0] async for rows in mailbox.items(inbox, loading.Columns.UID) for row in rows]
    done = await mailbox.move(inbox, [(uids[1], uids[1])], short)
    there = loading.ItemIds(mailbox.id, short).of(done.placements[0])
    assert (await anna.get(moved, kept, there, shape="IdOnly", extra=extra)).codes == [
        "ErrorItemNotFound", "NoError", "NoError",
    ]  # fmt: skip
    assert (await anna.get(there, shape="IdOnly", extra=extra)).codes == ["NoError"]
    await mailbox.delete_folder(short)
    await mailbox.expunge(inbox, [(uids[2], uids[2])], only_deleted=False)
    for wanted in ((there,), (gone,), (there, gone)):
        assert set((await anna.get(*wanted, shape="IdOnly", extra=extra)).codes) == {"ErrorItemNotFound"}
    assert (await anna.get(there, kept, gone, shape="IdOnly", extra=extra)).codes == [
        "ErrorItemNotFound", "NoError", "ErrorItemNotFound",
    ]  # fmt: skip


async def test_mail_that_was_edited_is_found_by_its_id(anna):
    first, second = await delivered(anna, b"First", b"Second")
    key = (await anna.get(first)).ids()[0][1]
    change = (
        f'<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly"><m:ItemChanges>'
        f'<t:ItemChange><t:ItemId Id="{first}" ChangeKey="{key}"/><t:Updates><t:SetItemField>'
        '<t:FieldURI FieldURI="item:Body"/><t:Message><t:Body BodyType="Text">Quite another</t:Body></t:Message>'
        "</t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
    )
    (await anna.ask(change)).ok()
    for wanted in ((first,), (first, second), (second, first)):
        reply = (await anna.get(*wanted, shape="IdOnly", extra=MIME)).ok()
        assert [id_ for id_, _ in reply.ids()] == list(wanted)
        told = dict(zip(wanted, map(base64.b64decode, reply.texts("//t:MimeContent")), strict=True))
        assert b"Quite another" in told[first]
        if second in told:
            assert b"Text of Second" in told[second]


async def test_mime_alone_is_what_it_is_among_others(anna):
    (one,) = await delivered(anna, b"One")
    alone = (await anna.get(one, shape="IdOnly", extra=MIME)).ok()
    among = (await anna.get(one, extra=MIME)).ok()
    assert alone.text("//t:MimeContent") == among.text("//t:MimeContent")
    assert among.text("//t:HasAttachments") == "false"
    assert (await anna.get(one, shape="Default", extra=MIME)).ok().text("//t:Subject") == "One"


async def test_shapes_are_told_apart(anna):
    (one,) = await delivered(anna, b"One")
    for _ in range(2):
        for version in ("Exchange2007", "Exchange2013_SP1"):
            anna.version = version
            for name in ("Subject", "DateTimeReceived", "Size"):
                reply = (await anna.get(one, shape="IdOnly", extra=fields(f"item:{name}"))).ok()
                assert [child.tag.rpartition("}")[2] for child in reply.one("//t:Message")] == ["ItemId", name]
            told = (await anna.get(one)).ok()
            assert bool(told.all("//t:Flag")) == (version != "Exchange2007")


def test_a_shape_that_is_kept_is_small():
    writers._kept.cache_clear()
    small = ItemShape("IdOnly", (writers.Field("item:Subject"),))
    assert writers.writer_of(small, Version.EXCHANGE_2013) is writers.writer_of(small, Version.EXCHANGE_2013)
    large = ItemShape("IdOnly", tuple(writers.Field(f"item:{n:0>100}") for n in range(50)))
    assert writers.writer_of(large, Version.EXCHANGE_2013) is not writers.writer_of(large, Version.EXCHANGE_2013)
    assert writers._kept.cache_info().currsize == 1


async def test_bodies_that_are_read_together_stay_apart(anna, monkeypatch):
    monkeypatch.setattr(loading, "_BODIES", 3)
    monkeypatch.setattr(loading, "_BODIES_BYTES", 200)
    names = [b"n%03d" % n + b"x" * (n * 29 % 150) for n in range(12)]
    ids = await delivered(anna, *names)
    reply = (await anna.get(*ids, shape="IdOnly", extra=MIME)).ok()
    assert [base64.b64decode(one) for one in reply.texts("//t:MimeContent")] == [
        MAIL % (name, name, name) for name in names
    ]
