"""PermissionSet: folders shared, and what guests may do then."""

from __future__ import annotations

import pytest
from test_ews_folders import by_id, get, named

LEVELS = ("Owner", "PublishingEditor", "Editor", "PublishingAuthor", "Author", "NoneditingAuthor", "Reviewer",
          "Contributor", "None")  # fmt: skip
ALL = '<t:AdditionalProperties><t:FieldURI FieldURI="folder:PermissionSet"/></t:AdditionalProperties>'


def share(folder: str, *rows: str, element: str = "Folder") -> str:
    kind = "CalendarPermissions" if element == "CalendarFolder" else "Permissions"
    return (
        f"<m:UpdateFolder><m:FolderChanges><t:FolderChange>{folder}<t:Updates><t:SetFolderField>"
        f'<t:FieldURI FieldURI="folder:PermissionSet"/><t:{element}><t:PermissionSet><t:{kind}>{"".join(rows)}'
        f"</t:{kind}></t:PermissionSet></t:{element}></t:SetFolderField></t:Updates></t:FolderChange>"
        "</m:FolderChanges></m:UpdateFolder>"
    )


def row(level: str, more: str = "", who: str = "boris@example.org") -> str:
    return (
        f"<t:Permission><t:UserId><t:PrimarySmtpAddress>{who}</t:PrimarySmtpAddress></t:UserId>{more}"
        f"<t:PermissionLevel>{level}</t:PermissionLevel></t:Permission>"
    )


@pytest.mark.conformance(
    "MSOXWSFOLD_S07_TC03_FolderPermissionOwnerLevel",
    "MSOXWSFOLD_S07_TC04_FolderPermissionPublishingEditorLevel",
    "MSOXWSFOLD_S07_TC05_FolderPermissionEditorLevel",
    "MSOXWSFOLD_S07_TC06_FolderPermissionPublishingAuthorLevel",
    "MSOXWSFOLD_S07_TC07_FolderPermissionAuthorLevel",
    "MSOXWSFOLD_S07_TC08_FolderPermissionNonEditingAuthorLevel",
    "MSOXWSFOLD_S07_TC09_FolderPermissionReviewerLevel",
    "MSOXWSFOLD_S07_TC10_FolderPermissionContributorLevel",
    "MSOXWSFOLD_S07_TC11_FolderPermissionNoneLevel",
    "MSOXWSFOLD_S07_TC16_FolderPermissionLevelContributor",
)
@pytest.mark.parametrize("level", LEVELS)
async def test_levels_are_kept(anna, level):
    (await anna.ask(share(named("inbox"), row(level)))).ok()
    reply = (await anna.ask(get(named("inbox"), shape="IdOnly", extra=ALL))).ok()
    found = reply.one("//t:Permission[t:UserId/t:PrimarySmtpAddress='boris@example.org']/t:PermissionLevel")
    assert found.text == level


FLAGS = ("CanCreateItems", "CanCreateSubFolders", "IsFolderOwner", "IsFolderVisible", "IsFolderContact")


@pytest.mark.conformance(
    "MSOXWSFOLD_S07_TC01_FolderPermissionCustomLevelAllPermissionEnabled",
    "MSOXWSFOLD_S07_TC02_FolderPermissionCustomLevelAllPermissionDisabled",
    "MSOXWSFOLD_S07_TC12_FolderPermissionWithOrWithoutAllSet",
    "MSOXWSFOLD_S07_TC13_FolderPermissionReadItemFullDetail",
    "MSOXWSFOLD_S07_TC14_FolderPermissionReadItemNone",
)
@pytest.mark.parametrize(("flag", "some", "read"), [("true", "All", "FullDetails"), ("false", "None", "None")])
async def test_custom_rights(anna, flag, some, read):
    more = "".join(f"<t:{name}>{flag}</t:{name}>" for name in FLAGS)
    more += f"<t:EditItems>{some}</t:EditItems><t:DeleteItems>{some}</t:DeleteItems><t:ReadItems>{read}</t:ReadItems>"
    (await anna.ask(share(named("inbox"), row("Custom", more)))).ok()
    reply = (await anna.ask(get(named("inbox"), shape="IdOnly", extra=ALL))).ok()
    found = reply.one("//t:Permission[t:UserId/t:PrimarySmtpAddress='boris@example.org']")
    said = {one.tag.rpartition("}")[2]: one.text for one in found}
    assert {name: said[name] for name in FLAGS} == dict.fromkeys(FLAGS, flag)
    assert (said["EditItems"], said["DeleteItems"], said["ReadItems"]) == (some, some, read)


@pytest.mark.conformance("MSOXWSFOLD_S07_TC15_FolderPermissionLevelNotCustom")
async def test_tables_that_contradict_themselves(anna):
    custom = row("Reviewer", "<t:CanCreateItems>true</t:CanCreateItems>")
    assert (await anna.ask(share(named("inbox"), custom))).codes == ["ErrorInvalidPermissionSettings"]
    twice = share(named("inbox"), row("Reviewer"), row("Author"))
    assert (await anna.ask(twice)).codes == ["ErrorDuplicateUserIdsSpecified"]
    nobody = share(named("inbox"), row("Reviewer", who="nobody@example.org"))
    assert (await anna.ask(nobody)).codes == ["ErrorNonExistentMailbox"]


async def test_a_reviewer_reads_and_changes_nothing(anna, boris):
    await anna.deliver(b"From: x@example.net\r\nSubject: secret\r\n\r\nhello\r\n")
    box = '<t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>anna@example.org</t:EmailAddress>'
    box += "</t:Mailbox></t:DistinguishedFolderId>"
    assert (await boris.ask(get(box))).codes == ["ErrorAccessDenied"]
    (await anna.ask(share(named("inbox"), row("Reviewer")))).ok()
    reply = (await boris.ask(get(box))).ok()
    rights = {one.tag.rpartition("}")[2]: one.text for one in reply.one("//t:EffectiveRights")}
    assert rights["Read"] == "true" and rights["Modify"] == rights["Delete"] == rights["CreateContents"] == "false"
    found = await boris.ask(
        f'<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape>'
        f"<m:ParentFolderIds>{box}</m:ParentFolderIds></m:FindItem>"
    )
    (item,) = found.ok().ids()
    assert found.text("//t:Subject") == "secret"
    delete = f'<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="{item[0]}"/></m:ItemIds></m:DeleteItem>'
    assert (await boris.ask(delete)).codes == ["ErrorAccessDenied"]
    made = f"<m:CreateFolder><m:ParentFolderId>{by_id(reply.ids('FolderId')[0][0])}</m:ParentFolderId><m:Folders>"
    made += "<t:Folder><t:DisplayName>x</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
    assert (await boris.ask(made)).codes == ["ErrorAccessDenied"]
    (await anna.ask(share(named("inbox")))).ok()
    assert (await boris.get(item[0])).codes in (["ErrorAccessDenied"], ["ErrorItemNotFound"])


async def test_a_new_folder_is_open_to_whom_its_parent_is(anna, boris):
    """Whoever makes it, and not what is made elsewhere; what changes above later changes nothing below."""

    def make(parent: str, name: str) -> str:
        return (
            f"<m:CreateFolder><m:ParentFolderId>{parent}</m:ParentFolderId><m:Folders><t:Folder>"
            f"<t:DisplayName>{name}</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
        )

    more = "<t:CanCreateSubFolders>true</t:CanCreateSubFolders><t:IsFolderVisible>true</t:IsFolderVisible>"
    more += "<t:ReadItems>FullDetails</t:ReadItems>"
    (await anna.ask(share(named("inbox"), row("Custom", more)))).ok()
    box = (
        '<t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>anna@example.org</t:EmailAddress></t:Mailbox>'
        "</t:DistinguishedFolderId>"
    )
    his = (await boris.ask(make(box, "His"))).ok().one("//t:FolderId").get("Id")
    deep = (await boris.ask(make(by_id(his), "Deep"))).ok().one("//t:FolderId").get("Id")
    hers = (await anna.ask(make(named("inbox"), "Hers"))).ok().one("//t:FolderId").get("Id")
    elsewhere = (await anna.ask(make(named("msgfolderroot"), "Elsewhere"))).ok().one("//t:FolderId").get("Id")
    for folder in (his, deep, hers):
        assert (await boris.ask(get(by_id(folder)))).ok().one("//t:FolderId").get("Id") == folder
    assert (await boris.ask(get(by_id(elsewhere)))).codes != ["NoError"]
    (await anna.ask(share(named("inbox")))).ok()
    (await boris.ask(get(by_id(hers)))).ok()
