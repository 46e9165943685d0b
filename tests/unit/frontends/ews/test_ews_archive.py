"""ArchiveItem, searchable mailboxes, and soft answers to what is not here."""

from __future__ import annotations

import pytest
from test_ews_hostile import fault
from test_ews_people import CONTACT, made

from postern.frontends.ews.unavailable import ANSWERS
from postern.model.rights import MailboxRight


def archive(source: str, *items: str) -> str:
    listed = "".join(f'<t:ItemId Id="{one}"/>' for one in items)
    return (
        f"<m:ArchiveItem><m:ArchiveSourceFolderId>{source}</m:ArchiveSourceFolderId>"
        f"<m:ItemIds>{listed}</m:ItemIds></m:ArchiveItem>"
    )


INBOX = '<t:DistinguishedFolderId Id="inbox"/>'


async def tree(client) -> dict[str, str]:
    reply = await client.ask(
        '<m:FindFolder Traversal="Deep"><m:FolderShape><t:BaseShape>Default</t:BaseShape><t:AdditionalProperties>'
        '<t:FieldURI FieldURI="folder:ParentFolderId"/></t:AdditionalProperties></m:FolderShape><m:ParentFolderIds>'
        '<t:DistinguishedFolderId Id="archive"/></m:ParentFolderIds></m:FindFolder>'
    )
    return {one.findtext("{*}DisplayName"): one.findtext("{*}TotalCount") for one in reply.ok().all("//t:Folders/*")}


async def test_items_go_below_the_archive_into_folders_of_the_same_names(anna):
    await anna.deliver(b"Subject: a\r\n\r\nx\r\n")
    await anna.deliver(b"Subject: b\r\n\r\nx\r\n")
    first, second = (one for one, _ in (await anna.find("inbox")).ids())
    moved = (await anna.ask(archive(INBOX, first))).ok()
    assert await tree(anna) == {"INBOX": "1"} or await tree(anna) == {"Inbox": "1"}
    (item, _) = moved.ids()[0]
    assert (await anna.get(item)).ok().text("//t:Subject") in ("a", "b")
    (await anna.ask(archive(INBOX, second))).ok()
    assert list((await tree(anna)).values()) == ["2"]
    assert not (await anna.find("inbox")).ids()
    project = await anna.folder("Project", INBOX)
    item, _ = await anna.save("<t:Subject>c</t:Subject>", f'<t:FolderId Id="{project}"/>')
    (await anna.ask(archive(f'<t:FolderId Id="{project}"/>', item))).ok()
    assert (await tree(anna))["Project"] == "1"
    contact = await made(anna, "Contact", CONTACT, "contacts")
    (await anna.ask(archive('<t:DistinguishedFolderId Id="contacts"/>', contact[0]))).ok()
    assert (await tree(anna))["Contacts"] == "1"


async def test_what_is_not_archived(anna, boris):
    await anna.deliver(b"Subject: a\r\n\r\nx\r\n")
    ((item, _),) = (await anna.find("inbox")).ids()
    drafts = '<t:DistinguishedFolderId Id="drafts"/>'
    assert (await anna.ask(archive(drafts, item))).codes == ["ErrorItemNotFound"]
    assert (await anna.ask(archive(INBOX, "rubbish"))).codes == ["ErrorInvalidIdMalformed"]
    assert (await boris.ask(archive(INBOX, item))).codes in (["ErrorItemNotFound"], ["ErrorAccessDenied"])
    moved = (await anna.ask(archive(INBOX, item))).ok()
    inside = (await anna.get(moved.ids()[0][0], extra="")).ok().one("//t:ParentFolderId").get("Id")
    again = await anna.ask(archive(f'<t:FolderId Id="{inside}"/>', moved.ids()[0][0]))
    assert again.codes == ["ErrorMoveCopyFailed"]
    anna.version = "Exchange2010_SP2"
    assert await fault(anna, anna.envelope(archive(INBOX, item))) == "ErrorInvalidOperation"


def searchable(wanted: str = "") -> str:
    words = f"<m:SearchFilter>{wanted}</m:SearchFilter>" if wanted else ""
    return (
        f"<m:GetSearchableMailboxes>{words}<m:ExpandGroupMembership>false</m:ExpandGroupMembership>"
        "</m:GetSearchableMailboxes>"
    )


async def test_mailboxes_that_can_be_searched(anna, boris, world):
    assert (await anna.single(searchable())).texts("//t:PrimarySmtpAddress") == ["anna@example.org"]
    await world.parts.directory.grant(boris.principal.mailbox, "anna@example.org", MailboxRight.FULL_ACCESS)
    found = await anna.single(searchable())
    assert found.texts("//t:PrimarySmtpAddress") == ["anna@example.org", "boris@example.org"]
    assert (await anna.single(searchable("bor*"))).texts("//t:DisplayName") == ["Boris"]
    assert not (await anna.single(searchable("chen"))).all("//t:SearchableMailbox")


async def test_there_are_no_tags_and_no_add_ins(anna):
    await anna.single("<m:GetUserRetentionPolicyTags/>")
    told = await anna.single(
        "<m:GetAppManifests><m:ApiVersionSupported>1.1</m:ApiVersionSupported></m:GetAppManifests>"
    )
    assert len(told.all("//m:Apps")) == 1
    anna.version = "Exchange2013"
    assert len((await anna.single("<m:GetAppManifests/>")).all("//m:Manifests")) == 1


@pytest.mark.parametrize("name", sorted(ANSWERS))
async def test_what_is_not_here_is_a_soft_no(anna, name):
    reply = await anna.ask(f"<m:{name}/>")
    assert reply.status == 200
    assert reply.texts("//m:ResponseCode") == [ANSWERS[name].code]
