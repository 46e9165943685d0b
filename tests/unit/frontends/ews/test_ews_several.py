"""Several messages in one request, and what is told of one beside its shape (MS-OXWSCORE 3.1.4, MS-OXWSMSG 3.1.4)."""

from __future__ import annotations

import base64

import pytest
from ews_world import associated_view
from test_ews_folders import by_id, named
from test_ews_folders import sync as sync_folders
from test_ews_following import sync as sync_items
from test_ews_messages import create, set_

from postern.model.ids import FolderId
from postern.model.items import SpecialUse

ELEMENTS = (
    "<t:Subject>{n}</t:Subject><t:Sensitivity>Private</t:Sensitivity>"
    '<t:Body BodyType="HTML">&lt;p&gt;text of {n}&lt;/p&gt;</t:Body>'
    "<t:Categories><t:String>Red</t:String></t:Categories><t:Importance>High</t:Importance>"
    "<t:ToRecipients><t:Mailbox><t:Name>Boris</t:Name><t:EmailAddress>boris@example.org</t:EmailAddress></t:Mailbox>"
    "</t:ToRecipients><t:CcRecipients><t:Mailbox><t:EmailAddress>anna@example.org</t:EmailAddress></t:Mailbox>"
    "</t:CcRecipients><t:BccRecipients><t:Mailbox><t:EmailAddress>anna@example.org</t:EmailAddress></t:Mailbox>"
    "</t:BccRecipients><t:IsReadReceiptRequested>true</t:IsReadReceiptRequested>"
    "<t:IsDeliveryReceiptRequested>false</t:IsDeliveryReceiptRequested>"
    "<t:From><t:Mailbox><t:EmailAddress>anna@example.org</t:EmailAddress></t:Mailbox></t:From>"
    "<t:IsRead>true</t:IsRead><t:IsResponseRequested>true</t:IsResponseRequested>"
    "<t:References>&lt;one@example.net&gt;</t:References><t:ReplyTo><t:Mailbox>"
    "<t:EmailAddress>boris@example.org</t:EmailAddress></t:Mailbox></t:ReplyTo>"
)


def listed(*ids: tuple[str, str]) -> str:
    return "<m:ItemIds>" + "".join(f'<t:ItemId Id="{one}" ChangeKey="{key}"/>' for one, key in ids) + "</m:ItemIds>"


@pytest.mark.conformance(
    "MSOXWSCORE_S04_TC01_CreateGetDeleteEmailItemSuccessfully",
    "MSOXWSCORE_S04_TC09_OperateMultipleEmailItemsSuccessfully",
    "MSOXWSMSG_S01_TC01_CreateGetDeleteMessageWithAllElementsExceptAboutDelegate",
    "MSOXWSMSG_S06_TC01_OperateMultipleMessages",
)
async def test_two_messages_are_made_changed_copied_moved_sent_and_deleted_together(world, anna, boris):
    two = "</t:Message><t:Message>".join(ELEMENTS.format(n=name) for name in ("first", "second"))
    made = (await anna.ask(create(two))).ok().ids()
    assert len(made) == 2
    got = (await anna.get(*(one for one, _ in made))).ok()
    assert got.texts("//t:Message/t:Subject") == ["first", "second"]
    for path, value in {
        "t:Sensitivity": "Private",
        "t:Importance": "High",
        "t:Categories/t:String": "Red",
        "t:ToRecipients/t:Mailbox/t:Name": "Boris",
        "t:CcRecipients/t:Mailbox/t:EmailAddress": "anna@example.org",
        "t:BccRecipients/t:Mailbox/t:EmailAddress": "anna@example.org",
        "t:ReplyTo/t:Mailbox/t:EmailAddress": "boris@example.org",
        "t:From/t:Mailbox/t:EmailAddress": "anna@example.org",
        "t:IsReadReceiptRequested": "true",
        "t:IsDeliveryReceiptRequested": "false",
        "t:IsResponseRequested": "true",
        "t:IsRead": "true",
        "t:References": "<one@example.net>",
    }.items():
        assert got.texts(f"//t:Message/{path}") == [value, value], path
    assert ["text of" in one for one in got.texts("//t:Body")] == [True, True]
    for field, count in (("message:IsResponseRequested", 2), ("item:IsSubmitted", 0)):
        asked = (
            f'<m:Restriction><t:IsEqualTo><t:FieldURI FieldURI="{field}"/><t:FieldURIOrConstant>'
            '<t:Constant Value="true"/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>'
        )
        assert len((await anna.find("drafts", more=asked)).ok().ids()) == count, field
    changes = "".join(
        f'<t:ItemChange><t:ItemId Id="{one}" ChangeKey="{key}"/><t:Updates>'
        f"{set_('item:Subject', f'<t:Subject>changed {number}</t:Subject>')}</t:Updates></t:ItemChange>"
        for number, (one, key) in enumerate(made)
    )
    changed = await anna.ask(
        '<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly"><m:ItemChanges>'
        f"{changes}</m:ItemChanges></m:UpdateItem>"
    )
    changed.ok()
    now = changed.ids()
    assert [one for one, _ in now] == [one for one, _ in made] and {key for _, key in now}.isdisjoint(
        k for _, k in made
    )
    target = f"<m:ToFolderId>{named('inbox')}</m:ToFolderId>"
    copies = (await anna.ask(f"<m:CopyItem>{target}{listed(*now)}</m:CopyItem>")).ok().ids()
    assert (await anna.get(*(one for one, _ in copies))).ok().texts("//t:Subject") == ["changed 0", "changed 1"]
    target = f"<m:ToFolderId>{named('deleteditems')}</m:ToFolderId>"
    moved = (await anna.ask(f"<m:MoveItem>{target}{listed(*copies)}</m:MoveItem>")).ok().ids()
    assert not (await anna.find()).ok().ids() and len((await anna.find("deleteditems")).ok().ids()) == 2
    sent = await anna.ask(f'<m:SendItem SaveItemToFolder="true">{listed(*now)}</m:SendItem>')
    assert sent.codes == ["NoError", "NoError"]
    await world.assisted()
    found = (await boris.find(shape="Default")).ok()
    assert sorted(found.texts("//t:Subject")) == ["changed 0", "changed 1"]
    assert len((await anna.find("sentitems")).ok().ids()) == 2 and not (await anna.find("drafts")).ok().ids()
    gone = await anna.ask(f'<m:DeleteItem DeleteType="HardDelete">{listed(*moved)}</m:DeleteItem>')
    assert gone.codes == ["NoError", "NoError"]
    assert (await anna.get(*(one for one, _ in moved))).codes == ["ErrorItemNotFound"] * 2


@pytest.mark.conformance(
    "MSOXWSMSG_S01_TC08_GetMessageWithBodyTypeAndAdditionProperties",
    "MSOXWSCORE_S04_TC10_GetEmailItemWithItemResponseShapeType",
)
async def test_a_shape_says_what_is_told_of_a_message(anna):
    item, _ = await anna.save(ELEMENTS.format(n="one"))

    async def told(base: str, options: str = "", *paths: str) -> list[str]:
        more = "".join(f'<t:FieldURI FieldURI="{path}"/>' for path in paths)
        extra = options + (f"<t:AdditionalProperties>{more}</t:AdditionalProperties>" if more else "")
        (found,) = (await anna.get(item, shape=base, extra=extra)).ok().all("//t:Message")
        return [one.tag.rpartition("}")[2] for one in found]

    assert await told("IdOnly") == ["ItemId"]
    assert await told("IdOnly", "", "message:ToRecipients", "item:Subject") == ["ItemId", "Subject", "ToRecipients"]
    assert await told("IdOnly", "<t:IncludeMimeContent>true</t:IncludeMimeContent>") == ["MimeContent", "ItemId"]
    assert "MimeContent" not in await told("AllProperties", "<t:IncludeMimeContent>false</t:IncludeMimeContent>")
    for wanted, kind, text in (("Text", "Text", "text of one"), ("HTML", "HTML", "<p>text of one</p>"),
                               ("Best", "HTML", "<p>text of one</p>")):  # fmt: skip
        extra = (
            f"<t:BodyType>{wanted}</t:BodyType><t:AdditionalProperties>"
            '<t:FieldURI FieldURI="item:Body"/></t:AdditionalProperties>'
        )
        body = (await anna.get(item, shape="IdOnly", extra=extra)).ok().one("//t:Body")
        assert body.get("BodyType") == kind and text in body.text and ("<" in body.text) is (kind == "HTML")
    mime = (
        (await anna.get(item, extra="<t:IncludeMimeContent>true</t:IncludeMimeContent>")).ok().text("//t:MimeContent")
    )
    assert b"Subject: one\r\n" in base64.b64decode(mime)


FIVE = {
    "Folder": "inbox",
    "CalendarFolder": "calendar",
    "ContactsFolder": "contacts",
    "TasksFolder": "tasks",
    "SearchFolder": "searchfolders",
}


async def one_more(client, element: str, parent: str) -> str:
    search = ""
    if element == "SearchFolder":
        search = (
            '<t:SearchParameters Traversal="Deep"><t:Restriction><t:Exists><t:FieldURI FieldURI="item:Subject"/></t:Exists>'
            f"</t:Restriction><t:BaseFolderIds>{named('inbox')}</t:BaseFolderIds></t:SearchParameters>"
        )
    reply = await client.ask(
        f"<m:CreateFolder><m:ParentFolderId>{named(parent)}</m:ParentFolderId><m:Folders><t:{element}>"
        f"<t:DisplayName>New</t:DisplayName>{search}</t:{element}></m:Folders></m:CreateFolder>"
    )
    return reply.ok().one("//t:FolderId").get("Id")


@pytest.mark.conformance("MSOXWSSYNC_S03_TC02_SyncFolderHierarchy_WithAllOptionalElements")
@pytest.mark.parametrize(("element", "parent"), FIVE.items())
async def test_folders_of_five_kinds_are_followed(anna, element, parent):
    state = (await anna.ask(sync_folders(folder=named(parent)))).ok().text("//m:SyncState")
    made = await one_more(anna, element, parent)
    told = (await anna.ask(sync_folders(state, named(parent)))).ok()
    assert told.one(f"//t:Create/t:{element}/t:FolderId").get("Id") == made and len(told.all("//m:Changes/*")) == 1
    state = told.text("//m:SyncState")
    (
        await anna.ask(
            f"<m:UpdateFolder><m:FolderChanges><t:FolderChange>{by_id(made)}<t:Updates><t:SetFolderField>"
            f'<t:FieldURI FieldURI="folder:DisplayName"/><t:{element}><t:DisplayName>Other</t:DisplayName></t:{element}>'
            "</t:SetFolderField></t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>"
        )
    ).ok()
    told = (await anna.ask(sync_folders(state, named(parent)))).ok()
    assert told.texts(f"//t:Update/t:{element}/t:DisplayName") == ["Other"]
    state = told.text("//m:SyncState")
    (
        await anna.ask(
            f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>{by_id(made)}</m:FolderIds></m:DeleteFolder>'
        )
    ).ok()
    told = (await anna.ask(sync_folders(state, named(parent)))).ok()
    assert [one.get("Id") for one in told.all("//m:Changes/t:Delete/t:FolderId")] == [made]


@pytest.mark.conformance("MSOXWSSYNC_S03_TC01_SyncFolderHierarchy_WithoutOptionalElements")
async def test_the_tree_is_followed_without_naming_a_folder(anna):
    made = {element: await one_more(anna, element, parent) for element, parent in FIVE.items()}
    ask = "<m:SyncFolderHierarchy><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape></m:SyncFolderHierarchy>"
    told = (await anna.ask(ask)).ok()
    for element, folder in made.items():
        seen = [one.get("Id") for one in told.all(f"//t:Create/t:{element}/t:FolderId")]
        assert (folder in seen) is (element != "SearchFolder")  # those are not below the top of the store


@pytest.mark.conformance("MSOXWSSYNC_S04_TC02_SyncFolderItems_WithAllOptionalElements")
async def test_items_are_followed_with_all_that_can_be_said(anna):
    await anna.save("<t:Subject>known</t:Subject>")
    state = (await anna.ask(sync_items(folder="drafts"))).ok().text("//m:SyncState")
    names = ("one", "two", "three")
    made = {name: (await anna.save(f"<t:Subject>{name}</t:Subject>"))[0] for name in names}
    more = f'<m:Ignore><t:ItemId Id="{made["two"]}"/></m:Ignore>'
    told = (await anna.ask(sync_items(state, folder="drafts", more=more, shape="Default"))).ok()
    assert sorted(told.texts("//t:Create/*/t:Subject")) == ["one", "three"]
    assert told.text("//m:IncludesLastItemInRange") == "true"
    # associated items come with the scope that names them, whatever the page, and go again
    mailbox = await anna.world.parts.store.mailbox(anna.principal.mailbox)
    drafts = (await mailbox.special(SpecialUse.DRAFTS)).id
    await mailbox.add(FolderId(-drafts), [associated_view()])
    scope, names_ = "<m:SyncScope>NormalAndAssociatedItems</m:SyncScope>", []
    now, last, whole = state, "false", 0
    while last == "false":
        page = (await anna.ask(sync_items(now, 2, folder="drafts", more=more, scope=scope, shape="Default"))).ok()
        names_ += page.texts("//t:Create/*/t:Subject")
        now, last, whole = page.text("//m:SyncState"), page.text("//m:IncludesLastItemInRange"), whole + 1
    assert sorted(names_) == ["one", "three", "view"] and whole > 1
    assert not (await anna.ask(sync_items(now, folder="drafts", scope=scope))).ok().all("//m:Changes/*")
    found = await anna.ask(
        '<m:FindItem Traversal="Associated"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
        f"<m:ParentFolderIds>{named('drafts')}</m:ParentFolderIds></m:FindItem>"
    )
    ((view, key),) = found.ok().ids()
    (await anna.ask(f'<m:DeleteItem DeleteType="HardDelete">{listed((view, key))}</m:DeleteItem>')).ok()
    told = (await anna.ask(sync_items(now, folder="drafts", scope=scope))).ok()
    assert [one.get("Id") for one in told.all("//m:Changes/t:Delete/t:ItemId")] == [view]
    first = (await anna.ask(sync_items(state, 1, folder="drafts", shape="Default"))).ok()
    assert len(first.all("//m:Changes/*")) == 1 and first.text("//m:IncludesLastItemInRange") == "false"
