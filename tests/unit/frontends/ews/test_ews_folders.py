"""GetFolder, FindFolder, CreateFolder, UpdateFolder, DeleteFolder, MoveFolder, CopyFolder, EmptyFolder, SyncFolderHierarchy."""

from __future__ import annotations

import pytest

TOP = '<t:DistinguishedFolderId Id="msgfolderroot"/>'


def get(*refs: str, shape: str = "AllProperties", extra: str = "") -> str:
    return (
        f"<m:GetFolder><m:FolderShape><t:BaseShape>{shape}</t:BaseShape>{extra}</m:FolderShape>"
        f"<m:FolderIds>{''.join(refs)}</m:FolderIds></m:GetFolder>"
    )


def by_id(id_: str) -> str:
    return f'<t:FolderId Id="{id_}"/>'


def named(name: str) -> str:
    return f'<t:DistinguishedFolderId Id="{name}"/>'


@pytest.mark.conformance("MSOXWSFOLD_S04_TC04_GetInboxFolder")
async def test_the_inbox_with_all_properties(anna):
    reply = (await anna.ask(get(named("inbox")))).ok()
    assert reply.text("//t:DisplayName") == "Inbox"
    assert reply.text("//t:FolderClass") == "IPF.Note"
    assert reply.text("//t:DistinguishedFolderId") == "inbox"
    assert reply.version == "Exchange2013_SP1"


@pytest.mark.conformance(
    "MSOXWSFOLD_S04_TC01_GetCalendarFolder",
    "MSOXWSFOLD_S04_TC02_GetContactsFolder",
    "MSOXWSFOLD_S04_TC03_GetJournalFolder",
    "MSOXWSFOLD_S04_TC05_GetNotesFolder",
    "MSOXWSFOLD_S04_TC06_GetTasksFolder",
)
async def test_each_kind_of_folder_has_its_element(anna):
    kinds = {
        "calendar": ("CalendarFolder", "IPF.Appointment"),
        "contacts": ("ContactsFolder", "IPF.Contact"),
        "tasks": ("TasksFolder", "IPF.Task"),
        "notes": ("Folder", "IPF.StickyNote"),
        "journal": ("Folder", "IPF.Journal"),
    }
    reply = (await anna.ask(get(*map(named, kinds)))).ok()
    found = reply.all("//m:Folders/*")
    assert [one.tag.rpartition("}")[2] for one in found] == [element for element, _ in kinds.values()]
    assert reply.texts("//t:FolderClass") == [container for _, container in kinds.values()]


@pytest.mark.conformance("MSOXWSFOLD_S04_TC09_GetFolderIdOnly")
async def test_id_only_has_nothing_else(anna):
    reply = (await anna.ask(get(named("inbox"), shape="IdOnly"))).ok()
    assert [one.tag.rpartition("}")[2] for one in reply.all("//t:Folder/*")] == ["FolderId"]


async def test_every_distinguished_folder_is_found_or_told_to_be_missing(anna):
    from postern.protocols.ews.places import DISTINGUISHED

    names = sorted(DISTINGUISHED)
    reply = await anna.ask(get(*map(named, names), shape="Default"))
    codes = dict(zip(names, reply.codes, strict=True))
    for name in [
        "inbox",
        "drafts",
        "sentitems",
        "deleteditems",
        "outbox",
        "junkemail",
        "calendar",
        "contacts",
        "tasks",
        "notes",
        "journal",
        "msgfolderroot",
        "root",
        "archive",
        "conversationhistory",
        "quickcontacts",
        "recipientcache",
        "searchfolders",
        "recoverableitemsdeletions",
        "recoverableitemsroot",
        "syncissues",
        "conflicts",
        "localfailures",
        "serverfailures",
        "imcontactlist",
    ]:
        assert codes[name] == "NoError", name
    assert set(codes.values()) <= {"NoError", "ErrorFolderNotFound", "ErrorNoPublicFolderReplicaAvailable"}
    # what was made on demand is there from now on, and hidden from the tree that people see
    found = await anna.ask(
        '<m:FindFolder Traversal="Deep"><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape>'
        f"<m:ParentFolderIds>{TOP}</m:ParentFolderIds></m:FindFolder>"
    )
    shown = set(found.ok().texts("//t:DistinguishedFolderId"))
    assert {"inbox", "conversationhistory"} <= shown
    assert not {"syncissues", "recoverableitemsdeletions"} & shown


@pytest.mark.conformance("MSOXWSFOLD_S01_TC01_CreateDeleteFolder", "MSOXWSFOLD_S01_TC05_DeleteFolderHardDelete")
async def test_a_folder_comes_and_goes(anna):
    made = await anna.folder("Projects", named("inbox"))
    reply = (await anna.ask(get(by_id(made)))).ok()
    assert reply.text("//t:DisplayName") == "Projects"
    inbox = (await anna.ask(get(named("inbox")))).ok()
    assert reply.one("//t:ParentFolderId").get("Id") == inbox.one("//t:FolderId").get("Id")
    assert inbox.text("//t:ChildFolderCount") == "1"
    gone = await anna.ask(
        f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>{by_id(made)}</m:FolderIds></m:DeleteFolder>'
    )
    gone.ok()
    assert (await anna.ask(get(by_id(made)))).codes == ["ErrorFolderNotFound"]


@pytest.mark.conformance("MSOXWSFOLD_S01_TC02_CreateExistFolder")
async def test_a_name_is_taken_once(anna):
    await anna.folder("Twice")
    reply = await anna.ask(
        f"<m:CreateFolder><m:ParentFolderId>{TOP}</m:ParentFolderId><m:Folders><t:Folder><t:DisplayName>Twice"
        "</t:DisplayName></t:Folder><t:Folder><t:DisplayName>Once</t:DisplayName></t:Folder></m:Folders>"
        "</m:CreateFolder>"
    )
    assert reply.codes == ["ErrorFolderExists", "NoError"]


@pytest.mark.conformance("MSOXWSFOLD_S01_TC03_DeleteDefaultFolder")
async def test_distinguished_folders_stay(anna):
    reply = await anna.ask(
        '<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds><t:DistinguishedFolderId Id="inbox"/>'
        '<t:DistinguishedFolderId Id="msgfolderroot"/></m:FolderIds></m:DeleteFolder>'
    )
    assert reply.codes == ["ErrorDeleteDistinguishedFolder"] * 2


@pytest.mark.conformance("MSOXWSFOLD_S01_TC06_DeleteFolderMoveToDeleteItems", "MSOXWSFOLD_S01_TC16_SoftDeleteFolder")
@pytest.mark.parametrize(("kind", "kept"), [("MoveToDeletedItems", True), ("SoftDelete", False)])
async def test_where_removed_folders_go(anna, kind, kept):
    made = await anna.folder("Old")
    inside = await anna.folder("Inside", by_id(made))
    (
        await anna.ask(f'<m:DeleteFolder DeleteType="{kind}"><m:FolderIds>{by_id(made)}</m:FolderIds></m:DeleteFolder>')
    ).ok()
    reply = await anna.ask(get(by_id(made), by_id(inside)))
    if not kept:
        assert reply.codes == ["ErrorFolderNotFound"] * 2
        return
    trash = (await anna.ask(get(named("deleteditems"), shape="IdOnly"))).ids("FolderId")[0][0]
    assert reply.ok().all("//t:ParentFolderId")[0].get("Id") == trash
    # a second one of that name finds its place too, and from there it goes for good
    again = await anna.folder("Old")
    for _ in range(2):
        body = f"<m:FolderIds>{by_id(again)}</m:FolderIds></m:DeleteFolder>"
        (await anna.ask(f'<m:DeleteFolder DeleteType="MoveToDeletedItems">{body}')).ok()
    assert (await anna.ask(get(by_id(again)))).codes == ["ErrorFolderNotFound"]


@pytest.mark.conformance(
    "MSOXWSFOLD_S01_TC09_CreateDeleteMultipleFolders",
    "MSOXWSFOLD_S01_TC11_CreateDeleteCalendarFolder",
    "MSOXWSFOLD_S01_TC12_CreateDeleteTasksFolder",
    "MSOXWSFOLD_S01_TC13_CreateDeleteContactsFolder",
)
async def test_folders_of_all_kinds_at_once(anna):
    kinds = ("Folder", "CalendarFolder", "ContactsFolder", "TasksFolder")
    inner = "".join(f"<t:{kind}><t:DisplayName>My {kind}</t:DisplayName></t:{kind}>" for kind in kinds)
    made = await anna.ask(
        f"<m:CreateFolder><m:ParentFolderId>{TOP}</m:ParentFolderId><m:Folders>{inner}</m:Folders></m:CreateFolder>"
    )
    ids = [one for one, _ in made.ok().ids("FolderId")]
    assert [one.tag.rpartition("}")[2] for one in made.all("//m:Folders/*")] == list(kinds)
    refs = "".join(map(by_id, ids))
    (await anna.ask(f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>{refs}</m:FolderIds></m:DeleteFolder>')).ok()


@pytest.mark.conformance("MSOXWSFOLD_S01_TC14_CreateFolderWithReadOnlyElements")
@pytest.mark.parametrize("name", ["TotalCount", "ChildFolderCount", "UnreadCount"])
async def test_counts_cannot_be_set(anna, name):
    reply = await anna.ask(
        f"<m:CreateFolder><m:ParentFolderId>{TOP}</m:ParentFolderId><m:Folders><t:Folder><t:DisplayName>x"
        f"</t:DisplayName><t:{name}>5</t:{name}></t:Folder></m:Folders></m:CreateFolder>"
    )
    assert reply.codes == ["ErrorInvalidPropertySet"]


@pytest.mark.conformance("MSOXWSFOLD_S01_TC15_GetFolderFailed")
async def test_ids_that_lead_nowhere(anna, boris):
    others = (await boris.ask(get(named("inbox"), shape="IdOnly"))).ids("FolderId")[0][0]
    made = await anna.folder("Gone")
    body = f"<m:FolderIds>{by_id(made)}</m:FolderIds></m:DeleteFolder>"
    (await anna.ask(f'<m:DeleteFolder DeleteType="HardDelete">{body}')).ok()
    bad_key = f'<t:FolderId Id="{others}" ChangeKey="nonsense"/>'
    reply = await anna.ask(get(by_id(others), by_id(made), by_id("AAMkAD"), by_id(""), bad_key, named("inbox")))
    assert reply.codes == [
        "ErrorAccessDenied",
        "ErrorFolderNotFound",
        "ErrorInvalidIdMalformed",
        "ErrorInvalidIdEmpty",
        "ErrorInvalidChangeKey",
        "NoError",
    ]


@pytest.mark.conformance("MSOXWSFOLD_S02_TC01_CopyFolder", "MSOXWSFOLD_S02_TC02_CopyMultipleFolders")
async def test_a_copy_has_what_was_in_it(anna):
    await anna.save("<t:Subject>one</t:Subject>")
    made = await anna.folder("Deep", named("drafts"))
    await anna.save("<t:Subject>two</t:Subject>", by_id(made))
    reply = await anna.ask(
        f"<m:CopyFolder><m:ToFolderId>{named('inbox')}</m:ToFolderId><m:FolderIds>{named('drafts')}{by_id(made)}"
        "</m:FolderIds></m:CopyFolder>"
    )
    copies = [one for one, _ in reply.ok().ids("FolderId")]
    found = (await anna.ask(get(*map(by_id, copies)))).ok()
    assert found.texts("//t:DisplayName") == ["Drafts", "Deep"]
    assert found.texts("//t:TotalCount") == ["1", "1"]
    assert found.texts("//t:ChildFolderCount") == ["1", "0"]


@pytest.mark.conformance("MSOXWSFOLD_S02_TC04_CopyFolderFailed", "MSOXWSFOLD_S03_TC03_MoveFolderFailed")
@pytest.mark.parametrize("operation", ["CopyFolder", "MoveFolder"])
async def test_folders_do_not_go_into_themselves_or_nowhere(anna, operation):
    made = await anna.folder("Outer")
    inside = await anna.folder("Inner", by_id(made))
    for target, code in ((inside, "ErrorMoveCopyFailed"), (made, "ErrorMoveCopyFailed")):
        reply = await anna.ask(
            f"<m:{operation}><m:ToFolderId>{by_id(target)}</m:ToFolderId><m:FolderIds>{by_id(made)}</m:FolderIds>"
            f"</m:{operation}>"
        )
        assert reply.codes == [code]
    gone = by_id(made.replace(made[-6:-2], "AAAA"))
    reply = await anna.ask(
        f"<m:{operation}><m:ToFolderId>{gone}</m:ToFolderId><m:FolderIds>{by_id(made)}</m:FolderIds></m:{operation}>"
    )
    assert reply.codes == ["ErrorInvalidIdMalformed"]


@pytest.mark.conformance("MSOXWSFOLD_S03_TC01_FolderPropertiesAfterMoved", "MSOXWSFOLD_S03_TC02_MoveMultipleFolders")
async def test_moved_folders_keep_ids_and_content(anna):
    made = await anna.folder("Outer", named("drafts"))
    inside = await anna.folder("Inner", by_id(made))
    other = await anna.folder("Other", named("drafts"))
    await anna.save("<t:Subject>one</t:Subject>", by_id(inside))
    reply = await anna.ask(
        f"<m:MoveFolder><m:ToFolderId>{named('inbox')}</m:ToFolderId><m:FolderIds>{by_id(made)}{by_id(other)}"
        f"{named('sentitems')}</m:FolderIds></m:MoveFolder>"
    )
    assert reply.codes == ["NoError", "NoError", "ErrorMoveDistinguishedFolder"]
    assert [one for one, _ in reply.ids("FolderId")] == [made, other]
    found = (await anna.ask(get(by_id(made), by_id(inside)))).ok()
    inbox = (await anna.ask(get(named("inbox"), shape="IdOnly"))).ids("FolderId")[0][0]
    assert [one.get("Id") for one in found.all("//t:ParentFolderId")] == [inbox, made]
    assert found.texts("//t:TotalCount") == ["0", "1"]


@pytest.mark.conformance("MSOXWSFOLD_S04_TC07_UnReadCount")
async def test_unread_mail_is_counted(anna):
    before = int((await anna.ask(get(named("inbox")))).text("//t:UnreadCount"))
    await anna.deliver(b"From: x@example.net\r\nSubject: hello\r\n\r\nhello\r\n")
    assert int((await anna.ask(get(named("inbox")))).text("//t:UnreadCount")) == before + 1


@pytest.mark.conformance("MSOXWSFOLD_S04_TC08_GetExtendedProperty")
async def test_extended_properties_of_a_folder(anna):
    extra = (
        '<t:AdditionalProperties><t:ExtendedFieldURI PropertyTag="0x3613" PropertyType="String"/>'
        '<t:ExtendedFieldURI PropertyTag="0x3601" PropertyType="Integer"/>'
        '<t:ExtendedFieldURI PropertyTag="0x10F4" PropertyType="Boolean"/></t:AdditionalProperties>'
    )
    reply = (await anna.ask(get(named("inbox"), shape="IdOnly", extra=extra))).ok()
    assert reply.texts("//t:ExtendedProperty/t:Value") == ["IPF.Note", "1", "false"]


@pytest.mark.conformance(
    "MSOXWSFOLD_S05_TC01_EmptyFolder",
    "MSOXWSFOLD_S05_TC02_EmptyFolderWithoutDeletingSubFolder",
    "MSOXWSFOLD_S05_TC03_EmptyFolderMoveToDeletedItems",
    "MSOXWSFOLD_S05_TC05_SoftEmptyFolder",
)
@pytest.mark.parametrize("kind", ["HardDelete", "SoftDelete", "MoveToDeletedItems"])
@pytest.mark.parametrize("subfolders", ["true", "false"])
async def test_emptying(anna, kind, subfolders):
    made = await anna.folder("Full")
    inside = await anna.folder("Inside", by_id(made))
    await anna.save("<t:Subject>one</t:Subject>", by_id(made))
    await anna.save("<t:Subject>two</t:Subject>", by_id(inside))
    reply = await anna.ask(
        f'<m:EmptyFolder DeleteType="{kind}" DeleteSubFolders="{subfolders}"><m:FolderIds>{by_id(made)}</m:FolderIds>'
        "</m:EmptyFolder>"
    )
    reply.ok()
    found = (await anna.ask(get(by_id(made)))).ok()
    assert (found.text("//t:TotalCount"), found.text("//t:ChildFolderCount")) == ("0", "01"[subfolders == "false"])
    trash = (await anna.ask(get(named("deleteditems")))).ok()
    assert trash.text("//t:TotalCount") == ("1" if kind == "MoveToDeletedItems" else "0")


def renamed(id_: str, name: str, element: str = "SetFolderField") -> str:
    return (
        f"<m:UpdateFolder><m:FolderChanges><t:FolderChange>{by_id(id_)}<t:Updates><t:{element}>"
        f'<t:FieldURI FieldURI="folder:DisplayName"/><t:Folder><t:DisplayName>{name}</t:DisplayName></t:Folder>'
        f"</t:{element}></t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>"
    )


@pytest.mark.conformance("MSOXWSFOLD_S06_TC01_UpdateFolder")
async def test_renaming(anna):
    made = await anna.folder("Before")
    (await anna.ask(renamed(made, "After"))).ok()
    assert (await anna.ask(get(by_id(made)))).text("//t:DisplayName") == "After"


@pytest.mark.conformance(
    "MSOXWSFOLD_S06_TC02_UpdateFolderWithAppendToFolderFieldType",
    "MSOXWSFOLD_S06_TC04_UpdateFolderWithDeleteFolderFieldType",
    "MSOXWSFOLD_S06_TC05_UpdateFolderWithMultipleProperties",
    "MSOXWSFOLD_S06_TC06_UpdateDistinguishedFolder",
    "MSOXWSFOLD_S06_TC07_UpdateFolderFailed",
)
async def test_changes_that_make_no_sense(anna):
    made = await anna.folder("Steady")
    assert (await anna.ask(renamed(made, "More", "AppendToFolderField"))).codes == ["ErrorInvalidPropertyAppend"]
    delete = (
        f"<m:UpdateFolder><m:FolderChanges><t:FolderChange>{by_id(made)}<t:Updates><t:DeleteFolderField>"
        '<t:FieldURI FieldURI="folder:DisplayName"/></t:DeleteFolderField></t:Updates></t:FolderChange>'
        "</m:FolderChanges></m:UpdateFolder>"
    )
    assert (await anna.ask(delete)).codes == ["ErrorInvalidPropertyDelete"]
    two = renamed(made, "x").replace("</t:DisplayName>", "</t:DisplayName><t:TotalCount>1</t:TotalCount>")
    assert (await anna.ask(two)).codes == ["ErrorIncorrectUpdatePropertyCount"]
    other = renamed(made, "x").replace("t:DisplayName", "t:FolderClass")
    assert (await anna.ask(other)).codes == ["ErrorUpdatePropertyMismatch"]
    inbox = (await anna.ask(get(named("inbox"), shape="IdOnly"))).ids("FolderId")[0][0]
    assert (await anna.ask(renamed(inbox, "Mine"))).codes == ["ErrorFolderSaveFailed"]


@pytest.mark.conformance("MSOXWSFOLD_S06_TC03_UpdateMultipleFolders")
async def test_several_renamed_at_once(anna):
    ids = [await anna.folder(name) for name in ("A", "B", "C")]
    changes = "".join(
        renamed(one, f"{name}{name}").partition("<m:FolderChanges>")[2].partition("</m:FolderChanges>")[0]
        for one, name in zip(ids, "ABC", strict=True)
    )
    (await anna.ask(f"<m:UpdateFolder><m:FolderChanges>{changes}</m:FolderChanges></m:UpdateFolder>")).ok()
    assert (await anna.ask(get(*map(by_id, ids)))).texts("//t:DisplayName") == ["AA", "BB", "CC"]


async def test_finding_folders_in_pages_and_by_name(anna):
    for number in range(5):
        await anna.folder(f"Box {number}")

    def find(view: str = "", restriction: str = "", traversal: str = "Shallow") -> str:
        return (
            f'<m:FindFolder Traversal="{traversal}"><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>'
            f"{view}{restriction}<m:ParentFolderIds>{TOP}</m:ParentFolderIds></m:FindFolder>"
        )

    only = (
        '<m:Restriction><t:And><t:Contains ContainmentMode="Prefixed" ContainmentComparison="IgnoreCase">'
        '<t:FieldURI FieldURI="folder:DisplayName"/><t:Constant Value="box"/></t:Contains><t:IsLessThan>'
        '<t:FieldURI FieldURI="folder:DisplayName"/><t:FieldURIOrConstant><t:Constant Value="Box 4"/>'
        "</t:FieldURIOrConstant></t:IsLessThan></t:And></m:Restriction>"
    )
    reply = (await anna.ask(find(restriction=only))).ok()
    assert reply.texts("//t:DisplayName") == ["Box 0", "Box 1", "Box 2", "Box 3"]
    page = '<m:IndexedPageFolderView MaxEntriesReturned="2" Offset="1" BasePoint="Beginning"/>'
    reply = (await anna.ask(find(page, only))).ok()
    root = reply.one("//m:RootFolder")
    assert reply.texts("//t:DisplayName") == ["Box 1", "Box 2"]
    assert root.get("IndexedPagingOffset") == "3" and root.get("TotalItemsInView") == "4"
    assert root.get("IncludesLastItemInRange") == "false"
    half = '<m:FractionalPageFolderView MaxEntriesReturned="10" Numerator="1" Denominator="2"/>'
    reply = (await anna.ask(find(half, only))).ok()
    assert reply.texts("//t:DisplayName") == ["Box 2", "Box 3"]
    assert reply.one("//m:RootFolder").get("NumeratorOffset") == "4"
    bad = '<m:IndexedPageFolderView MaxEntriesReturned="-1" Offset="1" BasePoint="Beginning"/>'
    assert (await anna.ask(find(bad))).codes == ["ErrorInvalidPagingMaxRows"]


def sync(state: str = "", folder: str = "") -> str:
    given = f"<m:SyncState>{state}</m:SyncState>" if state else ""
    where = f"<m:SyncFolderId>{folder}</m:SyncFolderId>" if folder else ""
    return (
        "<m:SyncFolderHierarchy><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape>"
        f"{where}{given}</m:SyncFolderHierarchy>"
    )


@pytest.mark.conformance(
    "MSOXWSSYNC_S01_TC01_SyncFolderHierarchy_InboxFolder",
    "MSOXWSSYNC_S01_TC02_SyncFolderHierarchy_CalendarFolder",
    "MSOXWSSYNC_S01_TC03_SyncFolderHierarchy_ContactsFolder",
    "MSOXWSSYNC_S01_TC04_SyncFolderHierarchy_TasksFolder",
)
@pytest.mark.parametrize("parent", ["inbox", "calendar", "contacts", "tasks", "msgfolderroot"])
async def test_following_the_tree(anna, parent):
    first = (await anna.ask(sync(folder=named(parent)))).ok()
    state = first.text("//m:SyncState")
    kept = await anna.folder("Kept", named(parent))
    gone = await anna.folder("Gone", named(parent))
    second = (await anna.ask(sync(state, named(parent)))).ok()
    created = {one.text for one in second.all("//t:Create//t:DisplayName")}
    assert created == {"Kept", "Gone"} and not second.all("//m:Changes/t:Delete")
    (await anna.ask(renamed(kept, "Renamed"))).ok()
    body = f"<m:FolderIds>{by_id(gone)}</m:FolderIds></m:DeleteFolder>"
    (await anna.ask(f'<m:DeleteFolder DeleteType="HardDelete">{body}')).ok()
    third = (await anna.ask(sync(second.text("//m:SyncState"), named(parent)))).ok()
    assert third.texts("//t:Update//t:DisplayName") == ["Renamed"]
    assert [one.get("Id") for one in third.all("//m:Changes/t:Delete/t:FolderId")] == [gone]
    last = (await anna.ask(sync(third.text("//m:SyncState"), named(parent)))).ok()
    assert not last.all("//m:Changes/*")


async def test_a_state_of_nothing_or_of_another_folder(anna):
    state = (await anna.ask(sync(folder=named("inbox")))).text("//m:SyncState")
    for bad in ("x", "AAAA", state):
        reply = await anna.ask(sync(bad, named("drafts")))
        assert reply.codes == ["ErrorInvalidSyncStateData"]
        # exchangelib reads these before it looks at the code
        assert (reply.text("//m:SyncState"), reply.text("//m:IncludesLastFolderInRange")) == ("", "true")


async def test_old_versions_see_no_new_elements(anna):
    anna.version = "Exchange2007_SP1"
    reply = (await anna.ask(get(named("inbox")))).ok()
    assert not reply.all("//t:DistinguishedFolderId")
    assert (await anna.ask('<m:EmptyFolder DeleteType="HardDelete" DeleteSubFolders="false"><m:FolderIds>'
                           f"{named('inbox')}</m:FolderIds></m:EmptyFolder>")).codes == ["ErrorInvalidOperation"]  # fmt: skip


def custom(value: str, kind: str = "String") -> str:
    return (
        '<t:ExtendedProperty><t:ExtendedFieldURI PropertySetId="00020329-0000-0000-C000-000000000046" '
        f'PropertyName="colour" PropertyType="{kind}"/>{value}</t:ExtendedProperty>'
    )


COLOUR = custom("").partition("<t:ExtendedProperty>")[2].removesuffix("</t:ExtendedProperty>")


async def colours(client, folder: str) -> list[str]:
    extra = f"<t:AdditionalProperties>{COLOUR}</t:AdditionalProperties>"
    reply = await client.ask(
        f"<m:GetFolder><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape>{extra}</m:FolderShape><m:FolderIds>"
        f'<t:FolderId Id="{folder}"/></m:FolderIds></m:GetFolder>'
    )
    return reply.ok().texts("//t:ExtendedProperty/t:Value")


def change_folder(folder: str, inner: str) -> str:
    return (
        f'<m:UpdateFolder><m:FolderChanges><t:FolderChange><t:FolderId Id="{folder}"/><t:Updates>{inner}</t:Updates>'
        "</t:FolderChange></m:FolderChanges></m:UpdateFolder>"
    )


def create_folder(inner: str, element: str = "Folder") -> str:
    return (
        f"<m:CreateFolder><m:ParentFolderId>{named('msgfolderroot')}</m:ParentFolderId><m:Folders><t:{element}>{inner}"
        f"</t:{element}></m:Folders></m:CreateFolder>"
    )


async def test_folders_keep_extended_properties(anna, world):
    red = custom("<t:Value>red</t:Value>")
    made = await anna.ask(create_folder(f"<t:DisplayName>Wine</t:DisplayName>{red}"))
    folder = made.ok().one("//t:FolderId").get("Id")
    assert await colours(anna, folder) == ["red"]
    state = (await anna.ask(SYNC.format(""))).ok().text("//m:SyncState")
    blue = custom("<t:Value>blue</t:Value>")
    set_ = f"<t:SetFolderField>{COLOUR}<t:Folder>{blue}</t:Folder></t:SetFolderField>"
    (await anna.ask(change_folder(folder, set_))).ok()
    assert await colours(anna, folder) == ["blue"]
    told = (await anna.ask(SYNC.format(f"<m:SyncState>{state}</m:SyncState>"))).ok()
    assert [one.get("Id") for one in told.all("//t:Update//t:FolderId")] == [folder]
    restriction = (
        f'<m:Restriction><t:IsEqualTo>{COLOUR}<t:FieldURIOrConstant><t:Constant Value="BLUE"/>'
        "</t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>"
    )
    found = await anna.ask(
        '<m:FindFolder Traversal="Deep"><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>'
        f"{restriction}<m:ParentFolderIds>{named('msgfolderroot')}</m:ParentFolderIds></m:FindFolder>"
    )
    assert [one.get("Id") for one in found.ok().all("//t:FolderId")] == [folder]
    (await anna.ask(change_folder(folder, f"<t:DeleteFolderField>{COLOUR}</t:DeleteFolderField>"))).ok()
    assert await colours(anna, folder) == []
    count = '<t:ExtendedFieldURI PropertyTag="0x3602" PropertyType="Integer"/>'
    many = f"<t:ExtendedProperty>{count}<t:Value>7</t:Value></t:ExtendedProperty>"
    wrong = f"<t:SetFolderField>{count}<t:Folder>{many}</t:Folder></t:SetFolderField>"
    assert (await anna.ask(change_folder(folder, wrong))).codes == ["ErrorInvalidPropertySet"]
    mismatch = f"<t:SetFolderField>{COLOUR}<t:Folder>{many}</t:Folder></t:SetFolderField>"
    assert (await anna.ask(change_folder(folder, mismatch))).codes == ["ErrorUpdatePropertyMismatch"]
    kept = custom("<t:Value>nothing</t:Value>", "Integer")
    assert (await anna.ask(create_folder(f"<t:DisplayName>Bad</t:DisplayName>{kept}"))).codes == [
        "ErrorInvalidExtendedPropertyValue"
    ]


SYNC = (
    "<m:SyncFolderHierarchy><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>{}</m:SyncFolderHierarchy>"
)


async def test_folders_keep_their_class(anna):
    async def class_of(folder: str) -> str:
        reply = await anna.ask(
            "<m:GetFolder><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape><m:FolderIds>"
            f'<t:FolderId Id="{folder}"/></m:FolderIds></m:GetFolder>'
        )
        return reply.ok().text("//t:FolderClass")

    for number, (said, element) in enumerate(
        [("IPF.Note.Invoices", "Folder"), ("IPF.Own", "Folder"), ("IPF.Contact.Company", "ContactsFolder")]
    ):
        inner = f"<t:FolderClass>{said}</t:FolderClass><t:DisplayName>own {number}</t:DisplayName>"
        made = (await anna.ask(create_folder(inner, element))).ok()
        folder = made.one("//t:FolderId").get("Id")
        assert await class_of(folder) == said
    inner = "<t:FolderClass>IPF.Note.Old</t:FolderClass><t:DisplayName>plain</t:DisplayName>"
    folder = (await anna.ask(create_folder(inner))).ok().one("//t:FolderId").get("Id")

    def to(said: str) -> str:
        return change_folder(
            folder,
            '<t:SetFolderField><t:FieldURI FieldURI="folder:FolderClass"/><t:Folder>'
            f"<t:FolderClass>{said}</t:FolderClass></t:Folder></t:SetFolderField>",
        )

    (await anna.ask(to("IPF.Note.New"))).ok()
    assert await class_of(folder) == "IPF.Note.New"
    (await anna.ask(to("IPF.Note"))).ok()
    assert await class_of(folder) == "IPF.Note"
    assert (await anna.ask(to("IPF.Appointment"))).codes == ["ErrorNoFolderClassOverride"]
    fits = create_folder("<t:FolderClass>IPF.Note</t:FolderClass><t:DisplayName>no</t:DisplayName>", "CalendarFolder")
    assert (await anna.ask(fits)).codes == ["ErrorNoFolderClassOverride"]


def find_folders(folder: str, traversal: str) -> str:
    return (
        f'<m:FindFolder Traversal="{traversal}"><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape>'
        f"<m:ParentFolderIds>{named(folder)}</m:ParentFolderIds></m:FindFolder>"
    )


async def test_the_root_has_the_top_of_the_store_below_it(anna):
    """As programs go down a path from it: root / Top of Information Store / Inbox."""
    (await anna.ask(get(named("searchfolders")))).ok()  # made when it is asked for
    shallow = (await anna.ask(find_folders("root", "Shallow"))).ok()
    names = shallow.texts("//t:Folders/*/t:DisplayName")
    assert "Top of Information Store" in names and "Finder" in names and "Inbox" not in names
    root = (await anna.ask(get(named("root")))).ok()
    assert {one.get("Id") for one in shallow.all("//t:ParentFolderId")} == {root.one("//t:FolderId").get("Id")}
    assert root.text("//t:ChildFolderCount") == str(len(names))
    deep = (await anna.ask(find_folders("root", "Deep"))).ok().texts("//t:Folders/*/t:DisplayName")
    assert {"Top of Information Store", "Finder", "Inbox"} < set(deep) and len(deep) == len(set(deep))
    top = (await anna.ask(find_folders("msgfolderroot", "Shallow"))).ok().texts("//t:Folders/*/t:DisplayName")
    assert "Inbox" in top and not {"Top of Information Store", "Finder"} & set(top)
    told = (await anna.ask(sync(folder=named("root")))).ok()
    assert sorted(told.texts("//t:Create/*/t:DisplayName")) == sorted(deep)
    again = (await anna.ask(sync(told.text("//m:SyncState"), named("root")))).ok()
    assert not again.all("//m:Changes/*")
