"""What each permission level lets somebody do in another one's calendar (MS-OXWSMTGS 2.2.5.4, 2.2.5.5)."""

from __future__ import annotations

import pytest
from ews_meetings import item, meeting
from test_ews_folders import by_id
from test_ews_people import set_, update

LEVELS = {
    # create, subfolders, read, edit and delete one's own; read, edit and delete those of others
    "Owner": (1, 1, 1, 1, 1, 1, 1, 1),
    "PublishingEditor": (1, 1, 1, 1, 1, 1, 1, 1),
    "Editor": (1, 0, 1, 1, 1, 1, 1, 1),
    "PublishingAuthor": (1, 1, 1, 1, 1, 1, 0, 0),
    "Author": (1, 0, 1, 1, 1, 1, 0, 0),
    "NoneditingAuthor": (1, 0, 1, 0, 1, 1, 0, 0),
    "Reviewer": (0, 0, 0, 0, 0, 1, 0, 0),
    "Contributor": (1, 0, 0, 0, 0, 0, 0, 0),
    "None": (0, 0, 0, 0, 0, 0, 0, 0),
    "Custom": (0, 0, 0, 0, 0, 0, 0, 0),
}
NOTHING = (
    "<t:CanCreateItems>false</t:CanCreateItems><t:CanCreateSubFolders>false</t:CanCreateSubFolders>"
    "<t:IsFolderOwner>false</t:IsFolderOwner><t:IsFolderVisible>false</t:IsFolderVisible>"
    "<t:IsFolderContact>false</t:IsFolderContact><t:EditItems>None</t:EditItems><t:DeleteItems>None</t:DeleteItems>"
)


def new_calendar(level: str, more: str = "", extra: str = "") -> str:
    row = (
        f"<t:CalendarPermission><t:UserId><t:PrimarySmtpAddress>boris@example.org</t:PrimarySmtpAddress></t:UserId>{more}"
        f"<t:CalendarPermissionLevel>{level}</t:CalendarPermissionLevel></t:CalendarPermission>"
    )
    return (
        '<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderId><m:Folders>'
        f"<t:CalendarFolder><t:DisplayName>Shared</t:DisplayName>{extra}<t:PermissionSet><t:CalendarPermissions>{row}"
        "</t:CalendarPermissions></t:PermissionSet></t:CalendarFolder></m:Folders></m:CreateFolder>"
    )


def create(folder: str, uid: str) -> str:
    body = '<t:Body BodyType="Text">words</t:Body><t:Location>Room</t:Location>'
    return (
        f'<m:CreateItem SendMeetingInvitations="SendToNone"><m:SavedItemFolderId>{by_id(folder)}</m:SavedItemFolderId>'
        f"<m:Items><t:CalendarItem>{meeting(uid, required=(), more=body)}</t:CalendarItem></m:Items></m:CreateItem>"
    )


async def allowed(client, folder: str, one: str) -> tuple[bool, bool, bool]:
    """Whether somebody may read, edit and delete an item; deleting comes last."""
    read = await client.get(one)
    change = set_("CalendarItem", "calendar:Location", "<t:Location>Hall</t:Location>")
    edit = await client.ask(
        update((one, ""), change, more=' SendMeetingInvitationsOrCancellations="SendToNone"').replace(
            ' ChangeKey=""', ""
        )
    )
    delete = await client.ask(
        '<m:DeleteItem DeleteType="HardDelete" SendMeetingCancellations="SendToNone">'
        f"<m:ItemIds>{item(one)}</m:ItemIds></m:DeleteItem>"
    )
    return tuple(each.codes == ["NoError"] for each in (read, edit, delete))


@pytest.mark.parametrize(
    "level",
    [
        pytest.param("Owner", marks=pytest.mark.conformance("MSOXWSMTGS_S06_TC01_CalendarPermissionLevelOwner")),
        pytest.param("Author", marks=pytest.mark.conformance("MSOXWSMTGS_S06_TC02_CalendarPermissionLevelAuthor")),
        pytest.param(
            "Contributor", marks=pytest.mark.conformance("MSOXWSMTGS_S06_TC03_CalendarPermissionLevelContributor")
        ),
        pytest.param("Editor", marks=pytest.mark.conformance("MSOXWSMTGS_S06_TC04_CalendarPermissionLevelEditor")),
        pytest.param("None", marks=pytest.mark.conformance("MSOXWSMTGS_S06_TC05_CalendarPermissionLevelNone")),
        pytest.param("Reviewer", marks=pytest.mark.conformance("MSOXWSMTGS_S06_TC06_CalendarPermissionLevelReviewer")),
        pytest.param("Custom", marks=pytest.mark.conformance("MSOXWSMTGS_S06_TC07_CalendarPermissionLevelCustom")),
        pytest.param(
            "NoneditingAuthor",
            marks=pytest.mark.conformance("MSOXWSMTGS_S06_TC08_CalendarPermissionLevelNoneditingAuthor"),
        ),
        pytest.param(
            "PublishingAuthor",
            marks=pytest.mark.conformance("MSOXWSMTGS_S06_TC09_CalendarPermissionLevelPublishingAuthor"),
        ),
        pytest.param(
            "PublishingEditor",
            marks=pytest.mark.conformance("MSOXWSMTGS_S06_TC10_CalendarPermissionLevelPublishingEditor"),
        ),
    ],
)
async def test_what_a_level_allows(anna, boris, level):
    more = NOTHING if level == "Custom" else ""
    folder = (await anna.ask(new_calendar(level, more))).ok().one("//t:FolderId").get("Id")
    table = await anna.ask(
        "<m:GetFolder><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape><t:AdditionalProperties>"
        '<t:FieldURI FieldURI="folder:PermissionSet"/></t:AdditionalProperties></m:FolderShape>'
        f"<m:FolderIds>{by_id(folder)}</m:FolderIds></m:GetFolder>"
    )
    mine = table.ok().one("//t:CalendarPermission[t:UserId/t:PrimarySmtpAddress='boris@example.org']")
    assert mine.findtext("{*}CalendarPermissionLevel") == ("None" if level == "Custom" else level)
    hers = (await anna.ask(create(folder, "hers"))).ok().ids()[0][0]
    below = (
        f"<m:CreateFolder><m:ParentFolderId>{by_id(folder)}</m:ParentFolderId><m:Folders><t:CalendarFolder>"
        "<t:DisplayName>Below</t:DisplayName></t:CalendarFolder></m:Folders></m:CreateFolder>"
    )
    subfolder = (await boris.ask(below)).codes == ["NoError"]
    made = await boris.ask(create(folder, "his"))
    own = (False, False, False)
    if made.codes == ["NoError"]:
        own = await allowed(boris, folder, made.one("//t:CalendarItem/t:ItemId").get("Id"))
    others = await allowed(boris, folder, hers)
    assert tuple(map(int, (made.codes == ["NoError"], subfolder, *own, *others))) == LEVELS[level]


async def test_an_owner_is_shown_everything(anna, boris):
    folder = (await anna.ask(new_calendar("Owner"))).ok().one("//t:FolderId").get("Id")
    hers = (await anna.ask(create(folder, "hers"))).ok().ids()[0][0]
    got = (await boris.get(hers)).ok()
    told = {"Subject": "Plan", "Location": "Room", "LegacyFreeBusyStatus": "Busy", "Body": "words"}
    assert {name: got.text(f"//t:CalendarItem/t:{name}") for name in told} == told
    shown = await boris.ask(
        "<m:GetFolder><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape>"
        f"<m:FolderIds>{by_id(folder)}</m:FolderIds></m:GetFolder>"
    )
    assert shown.ok().text("//t:CalendarFolder/t:SharingEffectiveRights") == "FullDetails"


@pytest.mark.conformance("MSOXWSMTGS_S06_TC11_SharingEffectiveRightsIsReadOnly")
async def test_the_rights_in_force_follow_from_the_table(anna):
    extra = "<t:SharingEffectiveRights>FullDetails</t:SharingEffectiveRights>"
    assert (await anna.ask(new_calendar("Owner", extra=extra))).codes == ["ErrorInvalidPropertySet"]


async def test_ones_own_are_told_from_others_when_several_are_deleted(anna, boris):
    """Rights on one's own items do not reach to those of others that are named beside them."""
    folder = (await anna.ask(new_calendar("Author"))).ok().one("//t:FolderId").get("Id")
    hers = (await anna.ask(create(folder, "hers"))).ok().ids()[0][0]
    his = (await boris.ask(create(folder, "his"))).ok().ids()[0][0]
    both = (
        '<m:DeleteItem DeleteType="HardDelete" SendMeetingCancellations="SendToNone">'
        f"<m:ItemIds>{item(hers)}{item(his)}</m:ItemIds></m:DeleteItem>"
    )
    assert (await boris.ask(both)).codes == ["ErrorAccessDenied", "NoError"]
    (await anna.get(hers)).ok()
