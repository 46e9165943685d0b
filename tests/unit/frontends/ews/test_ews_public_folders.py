"""Public folders by EWS: the root, what one sees below it, and read state of each reader."""

from __future__ import annotations

import pytest

from postern.directory.interface import NewAccount, RecipientKind
from postern.model.items import Flag
from postern.model.rights import ROLES
from postern.protocols.ews.ids import read_item

ROOT = '<t:DistinguishedFolderId Id="publicfoldersroot"/>'
MESSAGE = b"From: x@example.net\r\nTo: board@example.org\r\nSubject: news %d\r\n\r\nhello\r\n"


@pytest.fixture
async def board(world):
    """Board with two messages, to which everybody may write, and Closed, which nobody sees."""
    directory, store = world.parts.directory, world.parts.store
    (account,) = await directory.create_accounts(
        [NewAccount("public-folders@example.org", "Public Folders", kind=RecipientKind.PUBLIC)]
    )
    await store.create_mailbox(account.mailbox, account.slot, account.quota)
    mailbox = await store.mailbox(account.mailbox)
    folder = (await mailbox.create_folder(None, "Board")).id
    await mailbox.create_folder(None, "Closed")
    await directory.set_folder_rights(account.mailbox, folder, "default", ROLES["author"])
    for number in (1, 2):
        await world.mailflow.append(account.mailbox, folder, MESSAGE % number, 0, (), None)
    return folder


def children() -> str:
    return (
        '<m:FindFolder Traversal="Shallow"><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>'
        f"<m:ParentFolderIds>{ROOT}</m:ParentFolderIds></m:FindFolder>"
    )


async def unread(client) -> tuple[str, str]:
    """The id of Board, and how many of its items are unread."""
    reply = (await client.ask(children())).ok()
    assert reply.texts("//t:DisplayName") == ["Board"]
    return reply.ids("FolderId")[0][0], reply.text("//t:UnreadCount")


async def listing(client, folder: str) -> dict[str, tuple[str, str]]:
    reply = await client.ask(
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>Default</t:BaseShape><t:AdditionalProperties>'
        '<t:FieldURI FieldURI="message:IsRead"/></t:AdditionalProperties></m:ItemShape>'
        f'<m:ParentFolderIds><t:FolderId Id="{folder}"/></m:ParentFolderIds></m:FindItem>'
    )
    found = {}
    for message in reply.ok().all("//t:Message"):
        values = {one.tag.rpartition("}")[2]: one for one in message}
        found[values["Subject"].text] = (values["ItemId"].get("Id"), values["IsRead"].text)
    return found


def mark(item: str, read: str) -> str:
    return (
        '<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly" SuppressReadReceipts="true">'
        f'<m:ItemChanges><t:ItemChange><t:ItemId Id="{item}"/><t:Updates><t:SetItemField>'
        f'<t:FieldURI FieldURI="message:IsRead"/><t:Message><t:IsRead>{read}</t:IsRead></t:Message>'
        "</t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
    )


async def mark_all(client, folder: str) -> None:
    reply = await client.ask(
        "<m:MarkAllItemsAsRead><m:ReadFlag>true</m:ReadFlag><m:SuppressReadReceipts>true</m:SuppressReadReceipts>"
        f'<m:FolderIds><t:FolderId Id="{folder}"/></m:FolderIds></m:MarkAllItemsAsRead>'
    )
    reply.ok()


async def test_there_are_none(anna):
    assert (await anna.ask(children())).codes == ["ErrorNoPublicFolderReplicaAvailable"]


async def test_what_one_has_read_is_unread_for_others(anna, boris, board):
    folder, count = await unread(anna)
    assert count == "2"
    items = await listing(anna, folder)
    assert {subject: read for subject, (_, read) in items.items()} == {"news 1": "false", "news 2": "false"}
    (await anna.ask(mark(items["news 1"][0], "true"))).ok()
    assert (await unread(anna))[1] == "1" and (await unread(boris))[1] == "2"
    assert {s: read for s, (_, read) in (await listing(anna, folder)).items()} == {"news 1": "true", "news 2": "false"}
    assert {s: read for s, (_, read) in (await listing(boris, folder)).items()} == {
        "news 1": "false",
        "news 2": "false",
    }
    (await anna.ask(mark(items["news 1"][0], "false"))).ok()
    assert (await unread(anna))[1] == "2"


async def test_all_at_once(anna, boris, board):
    folder, _ = await unread(boris)
    await mark_all(boris, folder)
    assert (await unread(boris))[1] == "0" and (await unread(anna))[1] == "2"


async def test_the_root_and_what_is_not_public(anna, board):
    reply = await anna.ask(
        f"<m:GetFolder><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape><m:FolderIds>{ROOT}"
        "</m:FolderIds></m:GetFolder>"
    )
    assert reply.ok().text("//t:DisplayName") == "Public Folders" and reply.text("//t:ChildFolderCount") == "1"
    made = f"<m:CreateFolder><m:ParentFolderId>{ROOT}</m:ParentFolderId><m:Folders><t:Folder>"
    made += "<t:DisplayName>Mine</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
    assert (await anna.ask(made)).codes == ["ErrorAccessDenied"]


async def test_who_may_write_posts_and_may_not_change_what_others_see(anna, boris, board):
    folder, _ = await unread(anna)
    where = f'<t:FolderId Id="{folder}"/>'
    item, _key = await anna.save("<t:Subject>posted</t:Subject>", where)
    assert "posted" in await listing(boris, folder)
    flag = (
        '<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly"><m:ItemChanges><t:ItemChange>'
        f'<t:ItemId Id="{item}"/><t:Updates><t:SetItemField><t:FieldURI FieldURI="item:Categories"/><t:Message>'
        "<t:Categories><t:String>red</t:String></t:Categories></t:Message></t:SetItemField></t:Updates>"
        "</t:ItemChange></m:ItemChanges></m:UpdateItem>"
    )
    assert (await boris.ask(flag)).codes == ["ErrorAccessDenied"]


async def test_conversations_are_as_unread_as_their_reader_left_them(world, anna, boris, board):
    public = await world.parts.directory.resolve("public-folders@example.org")
    thread = MESSAGE.replace(b"Subject: news %d", b"Subject: Re: plan\r\nReferences: <1@x.example>")
    for _ in range(2):
        await world.mailflow.append(public.account.mailbox, board, thread, Flag.SEEN, (), None)
    folder, _ = await unread(anna)
    where = f'<m:ParentFolderId><t:FolderId Id="{folder}"/></m:ParentFolderId>'
    order = (
        '<m:SortOrder><t:FieldOrder Order="Descending"><t:FieldURI FieldURI="conversation:UnreadCount"/>'
        "</t:FieldOrder></m:SortOrder>"
    )

    async def found(client, attributes: str = "") -> list[tuple[str, str]]:
        reply = await client.single(f"<m:FindConversation{attributes}>{order}{where}</m:FindConversation>")
        rows = reply.all("//t:Conversation")
        return [(one.findtext("{*}ConversationTopic"), one.findtext("{*}UnreadCount")) for one in rows]

    async def read(client) -> list[str]:
        reply = await client.single(f"<m:FindConversation>{where}</m:FindConversation>")
        (id_,) = reply.all("//t:Conversation[t:ConversationTopic='plan']/t:ConversationId")
        reply = await client.ask(
            "<m:GetConversationItems><m:ItemShape><t:BaseShape>Default</t:BaseShape><t:AdditionalProperties>"
            '<t:FieldURI FieldURI="message:IsRead"/></t:AdditionalProperties></m:ItemShape><m:Conversations>'
            f'<t:Conversation><t:ConversationId Id="{id_.get("Id")}"/></t:Conversation></m:Conversations>'
            "</m:GetConversationItems>"
        )
        return sorted(reply.ok().texts("//t:IsRead"))

    assert (await found(anna))[0] == ("plan", "2")
    assert await read(anna) == ["false", "false"]
    await mark_all(anna, folder)
    await world.mailflow.append(public.account.mailbox, board, thread, Flag.SEEN, (), None)
    assert await found(anna, ' ViewFilter="Unread"') == [("plan", "1")]
    assert (await found(boris))[0] == ("plan", "3")
    assert len(await found(boris, ' ViewFilter="Unread"')) == 3
    assert await read(anna) == ["false", "true", "true"]
    assert await read(boris) == ["false"] * 3


@pytest.mark.conformance("MSOXWSCORE_S04_TC23_VerifyPublicFolderItem")
async def test_an_item_is_made_in_a_public_folder(world, anna, boris, board):
    """Its id is one of the public folders' mailbox, and means the same for everybody (MS-OXWSITEMID 2.1)."""
    folder, _ = await unread(anna)
    made, _ = await anna.save("<t:Subject>mine</t:Subject>", f'<t:FolderId Id="{folder}"/>')
    public = await world.parts.directory.resolve("public-folders@example.org")
    key = read_item(made)
    assert (key.mailbox, key.folder) == (public.account.mailbox, board)
    reply = (await boris.get(made)).ok()
    assert reply.text("//t:Message/t:Subject") == "mine"
    assert reply.one("//t:ParentFolderId").get("Id") == folder
