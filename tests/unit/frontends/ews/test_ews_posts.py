"""Posts: made, read, found, answered, changed and removed (MS-OXWSPOST)."""

from __future__ import annotations

import pytest
from test_ews_messages import create, set_, update

POST = '<t:Subject>Notice</t:Subject><t:Body BodyType="Text">To whom it may concern</t:Body>'


async def made(client, inner: str = POST, folder: str = "") -> tuple[str, str]:
    reply = await client.ask(create(inner, "", folder, "PostItem"))
    assert len(reply.ok().all("//t:PostItem")) == 1
    return reply.ids()[0]


@pytest.mark.conformance(
    "MSOXWSCORE_S06_TC01_CreateGetDeletePostItemSuccessfully", "MSOXWSCORE_S06_TC04_UpdatePostItemSuccessfully"
)
async def test_a_post_is_made_read_changed_and_deleted(anna):
    item = await made(anna)
    got = (await anna.get(item[0])).ok()
    assert got.text("//t:PostItem/t:ItemClass") == "IPM.Post"
    assert got.text("//t:From//t:EmailAddress") == "anna@example.org" == got.text("//t:Sender//t:EmailAddress")
    assert got.text("//t:PostedTime") and got.text("//t:InternetMessageId") and got.text("//t:IsDraft") == "false"
    assert got.text("//t:ConversationTopic") == "Notice" and got.text("//t:Body") == "To whom it may concern"
    changed = (await anna.ask(update(item, set_("item:Subject", "<t:Subject>Other</t:Subject>")))).ok()
    got = (await anna.get(changed.ids()[0][0])).ok()
    assert got.text("//t:PostItem/t:Subject") == "Other"
    found = (await anna.find(shape="AllProperties")).ok()
    assert found.texts("//t:PostItem/t:Subject") == ["Other"]
    (
        await anna.ask(
            f'<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="{item[0]}"/></m:ItemIds></m:DeleteItem>'
        )
    ).ok()
    assert not (await anna.find()).ids()


@pytest.mark.conformance("MSOXWSCORE_S06_TC17_CreatePostItemWithInvalidItemClass")
async def test_the_class_of_a_post(anna):
    custom = await made(anna, f"<t:ItemClass>IPM.Post.Notice</t:ItemClass>{POST}")
    assert (await anna.get(custom[0])).text("//t:PostItem/t:ItemClass") == "IPM.Post.Notice"
    for wrong in ("IPM.Note", "IPM.Postal", "IPM.Contact"):
        reply = await anna.ask(create(f"<t:ItemClass>{wrong}</t:ItemClass>{POST}", "SaveOnly", "", "PostItem"))
        assert reply.codes == ["ErrorObjectTypeChanged"]
    posted = "<t:PostedTime>2026-01-01T00:00:00Z</t:PostedTime>"
    assert (await anna.ask(create(f"{POST}{posted}", "SaveOnly", "", "PostItem"))).codes[0].startswith("Error")


async def test_posts_lie_in_folders_and_are_answered_there(anna):
    folder = f'<t:FolderId Id="{await anna.folder("Board")}"/>'
    first = await made(anna, folder=folder)
    reply = await anna.ask(
        f'<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:PostReplyItem><t:ReferenceItemId Id="{first[0]}"/>'
        '<t:NewBodyContent BodyType="Text">I am concerned</t:NewBodyContent></t:PostReplyItem></m:Items></m:CreateItem>'
    )
    answer = reply.ok().ids()[0][0]
    got = (await anna.get(answer)).ok()
    before = (await anna.get(first[0])).ok()
    assert got.text("//t:PostItem/t:Subject") == "RE: Notice"
    assert got.text("//t:ParentFolderId") == before.text("//t:ParentFolderId")
    assert got.one("//t:ConversationId").get("Id") == before.one("//t:ConversationId").get("Id")
    assert got.text("//t:References") == before.text("//t:InternetMessageId")
    assert "I am concerned" in got.text("//t:Body") and "To whom" in got.text("//t:Body")
    assert [one.tag.rpartition("}")[2] for one in before.one("//t:ResponseObjects")] == [
        "PostReplyItem", "ReplyToItem", "ForwardItem",
    ]  # fmt: skip


@pytest.mark.conformance("MSOXWSCORE_S06_TC02_CopyPostItemSuccessfully", "MSOXWSCORE_S06_TC03_MovePostItemSuccessfully")
@pytest.mark.parametrize("operation", ["CopyItem", "MoveItem"])
async def test_posts_are_copied_and_moved(anna, operation):
    item = await made(anna)
    reply = await anna.ask(
        f'<m:{operation}><m:ToFolderId><t:DistinguishedFolderId Id="drafts"/></m:ToFolderId><m:ItemIds>'
        f'<t:ItemId Id="{item[0]}"/></m:ItemIds></m:{operation}>'
    )
    ((id_, _),) = reply.ok().ids()
    assert (await anna.get(id_)).text("//t:PostItem/t:Subject") == "Notice"
