"""Search folders (MS-OXWSSRCH 2.2.4.26), and pages that begin at a condition (2.2.4.28)."""

from __future__ import annotations

import pytest
from lxml import etree
from test_ews_bulk import export
from test_ews_folders import by_id, get, named
from test_ews_people import CONTACT
from test_ews_people import made as make_contact

from postern.frontends.ews import search_folders
from postern.frontends.imap.tree import FolderTree
from postern.model.items import FolderClass, SpecialUse
from postern.model.rights import MailboxRight
from postern.services.rules.placing import Folders

SUBJECT = '<t:FieldURI FieldURI="item:Subject"/>'


def contains(text: str, path: str = SUBJECT) -> str:
    return (
        f'<t:Contains ContainmentMode="Substring" ContainmentComparison="IgnoreCase">{path}'
        f'<t:Constant Value="{text}"/></t:Contains>'
    )


UNREAD = (
    '<t:IsEqualTo><t:FieldURI FieldURI="message:IsRead"/><t:FieldURIOrConstant><t:Constant Value="false"/>'
    "</t:FieldURIOrConstant></t:IsEqualTo>"
)


def parameters(condition: str, *folders: str, traversal: str = "Deep") -> str:
    how = f' Traversal="{traversal}"' if traversal else ""
    return (
        f"<t:SearchParameters{how}><t:Restriction>{condition}</t:Restriction>"
        f"<t:BaseFolderIds>{''.join(folders)}</t:BaseFolderIds></t:SearchParameters>"
    )


def create(asked: str, name: str = "Found", parent: str = named("searchfolders"), more: str = "") -> str:
    return (
        f"<m:CreateFolder><m:ParentFolderId>{parent}</m:ParentFolderId><m:Folders><t:SearchFolder>{more}"
        f"<t:DisplayName>{name}</t:DisplayName>{asked}</t:SearchFolder></m:Folders></m:CreateFolder>"
    )


async def made(client, *how: str, traversal: str = "Deep", **more: str) -> str:
    reply = (await client.ask(create(parameters(*how, traversal=traversal), **more))).ok()
    return reply.one("//t:SearchFolder/t:FolderId").get("Id")


def find(folder: str, more: str = "", shape: str = "Default", view: str = "", extra: str = "", query: str = "") -> str:
    return (
        f'<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>{shape}</t:BaseShape>{extra}</m:ItemShape>{view}'
        f"{more}<m:ParentFolderIds>{by_id(folder)}</m:ParentFolderIds>{query}</m:FindItem>"
    )


async def subjects(client, folder: str, *how: str, **more: str) -> list[str]:
    return (await client.ask(find(folder, *how, **more))).ok().texts("//t:Items/*/t:Subject")


async def mail(client, subject: str, use: SpecialUse = SpecialUse.INBOX, flags: int = 0, day: int = 1) -> None:
    date = f"Date: Mon, {day:02} Jun 2026 10:00:00 +0000\r\n"
    await client.deliver(f"Subject: {subject}\r\n{date}\r\nx\r\n".encode(), use, flags)


async def test_what_it_finds_is_what_is_there_now(anna):
    below = await anna.folder("Below", named("inbox"))
    await mail(anna, "plan one")
    await mail(anna, "other")
    await mail(anna, "plan two", SpecialUse.DRAFTS)
    deep = await made(anna, contains("PLAN"), named("inbox"))
    flat = await made(anna, contains("PLAN"), named("inbox"), traversal="Shallow", name="Flat")
    both = await made(anna, contains("PLAN"), named("drafts"), named("inbox"), named("inbox"), name="Both")
    assert await subjects(anna, deep) == ["plan one"]
    assert sorted(await subjects(anna, both)) == ["plan one", "plan two"]
    await anna.save("<t:Subject>a plan below</t:Subject>", by_id(below))
    assert sorted(await subjects(anna, deep)) == ["a plan below", "plan one"]
    assert await subjects(anna, flat) == ["plan one"]
    everything = await made(anna, contains("plan"), named("msgfolderroot"), name="All")
    assert len(await subjects(anna, everything)) == 3
    top = await made(anna, contains("plan"), named("msgfolderroot"), traversal="Shallow", name="Top")
    assert await subjects(anna, top) == []
    # an item is the one in its own folder
    reply = (await anna.ask(find(flat, shape="AllProperties"))).ok()
    inbox = (await anna.ask(get(named("inbox")))).ok().one("//t:FolderId").get("Id")
    assert reply.one("//t:ParentFolderId").get("Id") == inbox
    ((item, _),) = reply.ids()
    assert (await anna.get(item)).ok().text("//t:Subject") == "plan one"
    # what is removed is not found, neither is a folder that is gone
    (
        await anna.ask(
            f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>{by_id(below)}</m:FolderIds></m:DeleteFolder>'
        )
    ).ok()
    assert await subjects(anna, deep) == ["plan one"]


async def test_it_is_told_with_its_parameters_and_counts(anna):
    await mail(anna, "plan one")
    await mail(anna, "plan two", flags=1)
    await mail(anna, "other")
    asked = (
        f"<t:And><t:Or>{contains('plan')}<t:Exists>{SUBJECT}</t:Exists></t:Or><t:Not><t:Excludes>"
        '<t:ExtendedFieldURI PropertyTag="0x0E07" PropertyType="Integer"/><t:Bitmask Value="0x40000"/></t:Excludes>'
        "</t:Not>"
        '<t:IsGreaterThan><t:FieldURI FieldURI="item:Size"/><t:FieldURIOrConstant><t:Constant Value="1 &lt; &quot;2"/>'
        "</t:FieldURIOrConstant></t:IsGreaterThan><t:IsEqualTo>"
        '<t:IndexedFieldURI FieldURI="item:InternetMessageHeader" FieldIndex="Subject"/><t:FieldURIOrConstant>'
        f"{SUBJECT}</t:FieldURIOrConstant></t:IsEqualTo></t:And>"
    )
    strange = await made(anna, asked, named("inbox"), name="Strange", traversal="")
    found = (await anna.ask(get(by_id(strange)))).ok()
    assert found.one("//t:SearchParameters").get("Traversal") == "Shallow"
    told = [one.tag.rpartition("}")[2] for one in found.one("//t:SearchParameters/t:Restriction").iter()][1:]
    sent = anna.envelope(asked)  # told as it was asked for, one after the other
    assert told == [one.tag.rpartition("}")[2] for one in etree.fromstring(sent).find("{*}Body").iter()][1:]
    assert found.one("//t:Excludes/t:Bitmask").get("Value") == str(0x40000)
    assert found.one("//t:IsGreaterThan//t:Constant").get("Value") == '1 < "2'

    folder = await made(anna, contains("plan"), named("inbox"))
    reply = (await anna.ask(get(by_id(folder)))).ok()
    assert reply.texts("//t:SearchFolder/t:FolderClass") == ["IPF.Note"]
    assert (reply.text("//t:TotalCount"), reply.text("//t:UnreadCount")) == ("2", "1")
    inbox = (await anna.ask(get(named("inbox")))).ok().one("//t:FolderId").get("Id")
    assert reply.one("//t:BaseFolderIds/t:FolderId").get("Id") == inbox
    only = '<t:AdditionalProperties><t:FieldURI FieldURI="folder:SearchParameters"/></t:AdditionalProperties>'
    assert (
        (await anna.ask(get(by_id(folder), shape="IdOnly", extra=only))).ok().all("//t:SearchParameters/t:Restriction")
    )
    assert not (await anna.ask(get(by_id(folder), shape="Default"))).ok().all("//t:SearchParameters")
    listed = await anna.ask(
        '<m:FindFolder Traversal="Shallow"><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape>'
        f"<m:ParentFolderIds>{named('searchfolders')}</m:ParentFolderIds></m:FindFolder>"
    )
    assert listed.ok().texts("//t:SearchFolder/t:DisplayName") == ["Strange", "Found"]
    assert listed.texts("//t:SearchFolder[t:DisplayName='Found']/t:TotalCount") == ["2"]


async def test_another_question(anna):
    await mail(anna, "plan")
    await mail(anna, "other", SpecialUse.DRAFTS)
    folder = await made(anna, contains("plan"), named("inbox"))

    def update(element: str, target: str = folder) -> str:
        return (
            f"<m:UpdateFolder><m:FolderChanges><t:FolderChange>{by_id(target)}<t:Updates><t:SetFolderField>"
            f'<t:FieldURI FieldURI="folder:SearchParameters"/><t:SearchFolder>{element}</t:SearchFolder>'
            "</t:SetFolderField></t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>"
        )

    (await anna.ask(update(parameters(contains("other"), named("drafts"))))).ok()
    assert await subjects(anna, folder) == ["other"]
    ordinary = await anna.folder("Ordinary")
    assert (await anna.ask(update(parameters(contains("x"), named("inbox")), ordinary))).codes == [
        "ErrorInvalidPropertySet"
    ]
    (
        await anna.ask(
            f"<m:UpdateFolder><m:FolderChanges><t:FolderChange>{by_id(folder)}<t:Updates><t:SetFolderField>"
            '<t:FieldURI FieldURI="folder:DisplayName"/><t:SearchFolder><t:DisplayName>New</t:DisplayName>'
            "</t:SearchFolder></t:SetFolderField></t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>"
        )
    ).ok()
    assert await subjects(anna, folder) == ["other"]


async def test_restrictions_order_pages_groups_and_words_within_it(anna):
    for number, use in enumerate((SpecialUse.INBOX, SpecialUse.DRAFTS, SpecialUse.INBOX, SpecialUse.SENT)):
        await mail(anna, f"plan {number}", use, flags=number % 2)
    folder = await made(anna, contains("plan"), named("msgfolderroot"))
    assert sorted(await subjects(anna, folder)) == ["plan 0", "plan 1", "plan 2", "plan 3"]
    assert sorted(await subjects(anna, folder, f"<m:Restriction>{UNREAD}</m:Restriction>")) == ["plan 0", "plan 2"]
    order = f'<m:SortOrder><t:FieldOrder Order="Descending">{SUBJECT}</t:FieldOrder></m:SortOrder>'
    page = '<m:IndexedPageItemView MaxEntriesReturned="2" Offset="1" BasePoint="Beginning"/>'
    reply = (await anna.ask(find(folder, order, view=page))).ok()
    assert reply.texts("//t:Items/*/t:Subject") == ["plan 2", "plan 1"]
    root = reply.one("//m:RootFolder")
    assert (root.get("TotalItemsInView"), root.get("IndexedPagingOffset")) == ("4", "3")
    group = (
        '<m:GroupBy Order="Ascending"><t:FieldURI FieldURI="message:IsRead"/>'
        f'<t:AggregateOn Aggregate="Minimum">{SUBJECT}</t:AggregateOn></m:GroupBy>'
    )
    groups = (await anna.ask(find(folder, group))).ok().all("//t:GroupedItems")
    assert [sorted(one.text for one in each.iter("{*}Subject")) for each in groups] == [
        ["plan 0", "plan 2"],
        ["plan 1", "plan 3"],
    ]
    assert await subjects(anna, folder, query="<m:QueryString>subject:3</m:QueryString>") == ["plan 3"]


async def test_the_newest_of_all_folders_comes_first(anna, world):
    for number, use in enumerate((SpecialUse.INBOX, SpecialUse.DRAFTS, SpecialUse.INBOX)):
        await mail(anna, f"plan {number}", use)
    received = '<t:FieldURI FieldURI="item:DateTimeReceived"/>'
    folder = await made(anna, contains("plan"), named("drafts"), named("inbox"))
    extra = f"<t:AdditionalProperties>{received}</t:AdditionalProperties>"
    times = (await anna.ask(find(folder, extra=extra))).ok().texts("//t:DateTimeReceived")
    assert len(times) == 3 and times == sorted(times, reverse=True)


async def test_contacts_can_be_searched_too(anna):
    await make_contact(anna, "Contact", CONTACT)
    folder = await made(anna, '<t:Exists><t:FieldURI FieldURI="contacts:Surname"/></t:Exists>', named("msgfolderroot"))
    reply = (await anna.ask(find(folder, shape="IdOnly"))).ok()
    assert [one.tag.rpartition("}")[2] for one in reply.all("//t:Items/*")] == ["Contact"]


async def test_nothing_goes_into_it(anna):
    item, _ = await anna.save("<t:Subject>plan</t:Subject>")
    folder = await made(anna, contains("plan"), named("drafts"))
    refused = ["ErrorInvalidFolderTypeForOperation"]
    for operation in ("MoveItem", "CopyItem"):
        body = f'<m:ToFolderId>{by_id(folder)}</m:ToFolderId><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds>'
        assert (await anna.ask(f"<m:{operation}>{body}</m:{operation}>")).codes == refused
    assert (
        await anna.ask(
            f'<m:CreateItem MessageDisposition="SaveOnly"><m:SavedItemFolderId>{by_id(folder)}</m:SavedItemFolderId>'
            "<m:Items><t:Message><t:Subject>x</t:Subject></t:Message></m:Items></m:CreateItem>"
        )
    ).codes == refused
    data = (await anna.ask(export(item))).ok().text("//m:Data")
    assert (
        await anna.ask(
            f'<m:UploadItems><m:Items><t:Item CreateAction="CreateNew">'
            f'<t:ParentFolderId Id="{folder}"/><t:Data>{data}</t:Data></t:Item></m:Items></m:UploadItems>'
        )
    ).codes == refused
    assert (
        await anna.ask(
            "<m:CreateFolder><m:ParentFolderId>"
            f"{by_id(folder)}</m:ParentFolderId><m:Folders><t:Folder><t:DisplayName>x</t:DisplayName></t:Folder>"
            "</m:Folders></m:CreateFolder>"
        )
    ).codes == refused
    other = await anna.folder("Other")
    move = f"<m:ToFolderId>{by_id(folder)}</m:ToFolderId><m:FolderIds>{by_id(other)}</m:FolderIds>"
    assert (await anna.ask(f"<m:MoveFolder>{move}</m:MoveFolder>")).codes == refused
    assert (
        await anna.ask(
            f'<m:EmptyFolder DeleteType="HardDelete" DeleteSubFolders="false"><m:FolderIds>{by_id(folder)}'
            "</m:FolderIds></m:EmptyFolder>"
        )
    ).codes == ["ErrorCannotEmptyFolder"]
    assert await subjects(anna, folder) == ["plan"]


async def test_no_other_protocol_has_it(anna, world):
    """Mail programs would put mail into it."""
    await made(anna, contains("plan"), named("inbox"), parent=named("msgfolderroot"))
    mailbox = await world.parts.store.mailbox(anna.principal.mailbox)
    (found,) = [one for one in await mailbox.folders() if one.name == "Found"]
    assert found.folder_class is FolderClass.ROOT and found.id not in FolderTree(await mailbox.folders()).by_id
    assert Folders(await mailbox.folders()).named("Found") is None


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (parameters("<t:Exists/>", named("inbox")), "ErrorSchemaValidation"),
        (parameters(contains("x")), "ErrorSchemaValidation"),
        (parameters(contains("x"), named("inbox"), traversal="Up"), "ErrorSchemaValidation"),
        (parameters(contains("x"), by_id("AAAA")), "ErrorInvalidIdMalformed"),
        (parameters(contains("x", '<t:FieldURI FieldURI="item:MimeContent"/>'), named("inbox")),
         "ErrorUnsupportedPathForQuery"),
        (parameters(contains("x", '<t:FieldURI FieldURI="folder:DisplayName"/>'), named("inbox")),
         "ErrorInvalidPropertyRequest"),
        (parameters("<t:Not>" * 40 + contains("x") + "</t:Not>" * 40, named("inbox")), "ErrorRestrictionTooComplex"),
        (parameters(contains("x"), '<t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>boris@example.org'
                    "</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>"), "ErrorAccessDenied"),
    ],
    ids=["nothing", "nowhere", "upwards", "no id", "MIME", "a folder's", "deep", "another's"],
)  # fmt: skip
async def test_questions_that_are_none(anna, asked, code):
    assert (await anna.ask(create(asked))).codes == [code]
    assert not (await anna.ask(find_folders())).ok().all("//t:Folders/*")


def find_folders() -> str:
    return (
        '<m:FindFolder Traversal="Deep"><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>'
        f"<m:ParentFolderIds>{named('searchfolders')}</m:ParentFolderIds></m:FindFolder>"
    )


async def test_search_folders_are_no_base_of_others_and_wait_for_their_question(anna):
    one = await made(anna, contains("x"), named("inbox"))
    assert (await anna.ask(create(parameters(contains("y"), by_id(one)), "Two"))).codes == [
        "ErrorCannotSpecifySearchFolderAsSourceFolder"
    ]
    empty = (await anna.ask(create("", "Three"))).ok().one("//t:FolderId").get("Id")
    assert (await anna.ask(find(empty))).codes == ["ErrorSearchFolderNotInitialized"]
    assert (await anna.ask(get(by_id(empty)))).ok().text("//t:TotalCount") == "0"
    ordinary = create(parameters(contains("x"), named("inbox")), "Four").replace("SearchFolder>", "Folder>")
    assert (await anna.ask(ordinary)).codes == ["ErrorInvalidPropertySet"]


async def test_it_goes_and_is_copied(anna):
    await mail(anna, "plan")
    folder = await made(anna, contains("plan"), named("inbox"))
    target = f"<m:ToFolderId>{named('msgfolderroot')}</m:ToFolderId><m:FolderIds>{by_id(folder)}</m:FolderIds>"
    copied = (await anna.ask(f"<m:CopyFolder>{target}</m:CopyFolder>")).ok().one("//t:FolderId").get("Id")
    assert await subjects(anna, copied) == ["plan"]
    (await anna.ask(f"<m:MoveFolder>{target.replace(named('msgfolderroot'), named('drafts'))}</m:MoveFolder>")).ok()
    assert await subjects(anna, folder) == ["plan"]
    (
        await anna.ask(
            f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>{by_id(folder)}</m:FolderIds></m:DeleteFolder>'
        )
    ).ok()
    assert (await anna.ask(find(folder))).codes == ["ErrorFolderNotFound"]
    assert len(await subjects(anna, copied)) == 1


async def test_there_are_so_many_and_no_more(anna, monkeypatch):
    monkeypatch.setattr(search_folders, "MAX_SEARCHES", 2)
    one = await made(anna, contains("plan"), named("inbox"))
    await made(anna, contains("plan"), named("inbox"), name="Two")
    asked = parameters(contains("x"), named("inbox"))
    assert (await anna.ask(create(asked, "Three"))).codes == ["ErrorDataSizeLimitExceeded"]
    target = f"<m:ToFolderId>{named('drafts')}</m:ToFolderId><m:FolderIds>{by_id(one)}</m:FolderIds>"
    assert (await anna.ask(f"<m:CopyFolder>{target}</m:CopyFolder>")).codes == ["ErrorDataSizeLimitExceeded"]


async def test_who_may_read_a_folder_and_not_another(anna, boris, world):
    """What somebody else may not read, a search folder does not show."""
    await mail(anna, "plan one")
    folder = await made(anna, contains("plan"), named("msgfolderroot"), parent=named("msgfolderroot"))
    assert (await boris.ask(find(folder))).codes != ["NoError"]
    await world.parts.directory.grant(anna.principal.mailbox, "boris@example.org", MailboxRight.FULL_ACCESS)
    assert await subjects(boris, folder) == ["plan one"]


@pytest.mark.conformance("MSOXWSSYNC_S01_TC05_SyncFolderHierarchy_SearchFolder")
async def test_the_hierarchy_tells_of_it(anna):
    await mail(anna, "plan")
    begin = "<m:SyncFolderHierarchy><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape>"
    end = "</m:SyncFolderHierarchy>"
    where = f"<m:SyncFolderId>{named('searchfolders')}</m:SyncFolderId>"
    state = (await anna.ask(f"{begin}{where}{end}")).ok().text("//m:SyncState")
    folder = await made(anna, contains("plan"), named("inbox"))
    told = (await anna.ask(f"{begin}{where}<m:SyncState>{state}</m:SyncState>{end}")).ok()
    assert told.one("//t:Create/t:SearchFolder/t:FolderId").get("Id") == folder
    assert told.one("//t:SearchParameters").get("Traversal") == "Deep" and told.text("//t:TotalCount") == "1"
    state = told.text("//m:SyncState")
    assert not (await anna.ask(f"{begin}{where}<m:SyncState>{state}</m:SyncState>{end}")).ok().all("//m:Changes/*")


# --- pages that begin at a condition


def seek(condition: str, base: str = "Beginning", limit: int = 2) -> str:
    return (
        f'<m:SeekToConditionPageItemView MaxEntriesReturned="{limit}" BasePoint="{base}"><t:Condition>{condition}'
        "</t:Condition></m:SeekToConditionPageItemView>"
    )


ORDER = f'<m:SortOrder><t:FieldOrder Order="Ascending">{SUBJECT}</t:FieldOrder></m:SortOrder>'


async def test_a_page_begins_at_a_condition(anna):
    for number in range(6):
        await mail(anna, f"mail {number}", flags=number % 2)

    async def page(view: str, more: str = "") -> tuple[list[str], str, str]:
        reply = (await anna.find(shape="Default", more=f"{view}{more}{ORDER}")).ok()
        root = reply.one("//m:RootFolder")
        shown = [one.rpartition(" ")[2] for one in reply.texts("//t:Subject")]
        return shown, root.get("IndexedPagingOffset"), root.get("IncludesLastItemInRange")

    assert await page(seek(contains("mail 3"))) == (["3", "4"], "5", "false")
    assert await page(seek(contains("mail 3"), limit=10)) == (["3", "4", "5"], "6", "true")
    assert await page(seek(UNREAD)) == (["0", "1"], "2", "false")
    assert await page(seek(contains("nothing"))) == ([], "6", "true")
    # from the end: the last that fits, and what is before it
    assert (await page(seek(UNREAD, "End")))[0] == ["3", "4"]
    assert (await page(seek(contains("mail 1"), "End", 10))) == (["0", "1"], "6", "true")
    # within what a restriction leaves
    left = f"<m:Restriction>{UNREAD}</m:Restriction>"
    assert (await page(seek(contains("mail 2")), left))[0] == ["2", "4"]
    assert (await anna.find(more=seek(UNREAD, limit=0))).codes == ["ErrorInvalidPagingMaxRows"]
    unknown = contains("x", '<t:FieldURI FieldURI="folder:DisplayName"/>')
    assert (await anna.find(more=seek(unknown))).codes == ["ErrorInvalidPropertyRequest"]


async def test_a_condition_in_the_order_of_arrival(anna):
    for number in range(4):
        await mail(anna, f"mail {number}")
    reply = (await anna.find(shape="Default", more=seek(contains("mail 2")))).ok()
    assert reply.texts("//t:Subject") == ["mail 2", "mail 1"]
