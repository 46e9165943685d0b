"""SearchMailboxes: one query over mailboxes (MS-OXWSEDISC)."""

from __future__ import annotations

import pytest

from postern.model.items import SpecialUse
from postern.model.rights import FolderRight


def mail(number: int, subject: str) -> bytes:
    return (
        f"From: Boris <boris@example.org>\r\nTo: anna@example.org, chen@example.org\r\nSubject: {subject}\r\n"
        f"Message-ID: <{number}@x.example>\r\n\r\nSome words.\r\n"
    ).encode()


async def search(client, query, *boxes, kind="PreviewOnly", more="", scope="PrimaryOnly"):
    scopes = "".join(
        f"<t:MailboxSearchScope><t:Mailbox>{box}</t:Mailbox><t:SearchScope>{scope}</t:SearchScope>"
        "</t:MailboxSearchScope>"
        for box in boxes or ("anna@example.org",)
    )
    return await client.ask(
        f"<m:SearchMailboxes><m:SearchQueries><t:MailboxQuery><t:Query>{query}</t:Query><t:MailboxSearchScopes>{scopes}"
        f"</t:MailboxSearchScopes></t:MailboxQuery></m:SearchQueries><m:ResultType>{kind}</m:ResultType>{more}"
        "</m:SearchMailboxes>"
    )


@pytest.fixture
async def filled(anna):
    for number in range(7):
        await anna.deliver(mail(number, f"plan {number}"))
    await anna.deliver(mail(3, "plan 3"), SpecialUse.ARCHIVE)
    await anna.deliver(mail(20, "lunch"), SpecialUse.ARCHIVE)


async def test_all_folders_of_ones_own_mailbox(anna, filled):
    reply = (await search(anna, "plan")).ok()
    assert reply.text("//t:ItemCount") == "8" == reply.text("//t:PageItemCount")
    assert int(reply.text("//m:SearchMailboxesResult/t:Size")) == sum(
        int(one) for one in reply.texts("//t:SearchPreviewItem/t:Size")
    )
    first = reply.all("//t:SearchPreviewItem")[0]
    assert first.findtext("{*}Preview") == "Some words."
    assert [one.text for one in first.find("{*}ToRecipients")] == ["anna@example.org", "chen@example.org"]
    assert (await anna.get(first.find("{*}Id").get("Id"))).ok()
    assert len(set(reply.texts("//t:UniqueHash"))) == 7
    by_id = (await search(anna, "lunch", anna.principal.mailbox)).ok()
    assert by_id.texts("//t:Subject") == ["lunch"]


async def test_pages_in_both_directions(anna, filled):
    order = '<m:SortBy Order="Ascending"><t:FieldURI FieldURI="item:Subject"/></m:SortBy>'
    size = "<m:PageSize>3</m:PageSize>"
    seen: list[str] = []
    reference = ""
    for _ in range(4):
        after = f"<m:PageItemReference>{reference}</m:PageItemReference>" if reference else ""
        reply = (await search(anna, "plan", more=order + size + after)).ok()
        found = reply.texts("//t:SearchPreviewItem/t:Subject")
        seen += found
        if not found:
            break
        reference = reply.texts("//t:SortValue")[-1]
        last = reply
    assert seen == ["plan 0", "plan 1", "plan 2", "plan 3", "plan 3", "plan 4", "plan 5", "plan 6"]
    before = f"<m:PageItemReference>{last.texts('//t:SortValue')[0]}</m:PageItemReference>"
    reply = (await search(anna, "plan", more=f"{order}{size}{before}<m:PageDirection>Previous</m:PageDirection>")).ok()
    assert reply.texts("//t:SearchPreviewItem/t:Subject") == ["plan 3", "plan 3", "plan 4"]


async def test_duplicates_and_shapes(anna, filled):
    shape = (
        "<m:PreviewItemResponseShape><t:BaseShape>Compact</t:BaseShape><t:AdditionalProperties>"
        '<t:ExtendedFieldURI PropertyTag="0x0037" PropertyType="String"/></t:AdditionalProperties>'
        "</m:PreviewItemResponseShape>"
    )
    reply = (await search(anna, "plan", more=f"{shape}<m:Deduplication>true</m:Deduplication>")).ok()
    assert reply.text("//t:ItemCount") == "7"
    assert not reply.all("//t:Preview")
    assert sorted(reply.texts("//t:ExtendedProperty/t:Value")) == [f"plan {n}" for n in range(7)]


async def test_statistics(anna, filled):
    reply = (await search(anna, "plan", kind="StatisticsOnly")).ok()
    assert reply.texts("//t:ItemHits") == ["8"] and not reply.all("//t:SearchPreviewItem")
    assert reply.texts("//t:MailboxStat/t:ItemCount") == ["8"]


async def test_others_mailboxes_as_far_as_one_may_read(anna, boris, filled):
    refused = (await search(boris, "plan")).ok()
    assert refused.texts("//t:FailedMailbox/t:Mailbox") == ["anna@example.org"] and refused.text("//t:ItemCount") == "0"
    mailbox = await anna.world.parts.store.mailbox(anna.principal.mailbox)
    inbox = (await mailbox.special(SpecialUse.INBOX)).id
    await anna.world.services.mailboxes.set_folder_permission(
        mailbox.id, inbox, "boris@example.org", FolderRight.READ_ANY | FolderRight.VISIBLE
    )
    reply = (await search(boris, "plan", "anna@example.org", "boris@example.org", "nobody@example.org")).ok()
    assert reply.text("//t:ItemCount") == "7"
    assert reply.texts("//t:FailedMailbox/t:Mailbox") == ["nobody@example.org"]


async def test_what_cannot_be_searched(anna, filled):
    assert (await search(anna, "(plan")).codes == ["ErrorInvalidArgument"]
    order = '<m:SortBy Order="Ascending"><t:FieldURI FieldURI="message:From"/></m:SortBy>'
    assert (await search(anna, "plan", more=order)).codes == ["ErrorUnsupportedPathForSortGroup"]
    many = [f"user{n}@example.org" for n in range(101)]
    assert (await search(anna, "plan", *many)).codes == ["ErrorSearchTooManyMailboxes"]
    archive = (await search(anna, "plan", scope="ArchiveOnly")).ok()
    assert archive.texts("//t:IsArchive") == ["true"] and archive.text("//t:ItemCount") == "0"
