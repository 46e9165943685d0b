"""SyncFolderItems for items of every kind (MS-OXWSSYNC 3.1.4.2)."""

from __future__ import annotations

import base64

import pytest
from ews_kinds import CONTACT, ITEM, LIST, MEETING, POST, TASK, body, creating, deleting, make, setting, updating
from test_ews_following import sync

_INVITED = (
    "<t:Subject>{}</t:Subject><t:RequiredAttendees><t:Attendee><t:Mailbox><t:EmailAddress>boris@example.org"
    "</t:EmailAddress></t:Mailbox></t:Attendee></t:RequiredAttendees>"
)

_ANSWER = """From: boris@example.org\r
To: anna@example.org\r
Subject: Accepted: plan\r
MIME-Version: 1.0\r
Content-Type: text/calendar; charset=utf-8; method=REPLY\r
\r
BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//x//y//EN\r
METHOD:REPLY\r
BEGIN:VEVENT\r
UID:nobody-knows-this-one\r
DTSTAMP:20261101T080000Z\r
DTSTART:20261102T080000Z\r
DTEND:20261102T090000Z\r
SUMMARY:plan\r
ORGANIZER:mailto:anna@example.org\r
ATTENDEE;PARTSTAT=ACCEPTED:mailto:boris@example.org\r
END:VEVENT\r
END:VCALENDAR\r
"""


class Following:
    """A folder that is followed by its sync state."""

    def __init__(self, client, folder: str) -> None:
        self.client = client
        self.folder = folder
        self.state = ""

    async def changes(self, shape: str = "AllProperties"):
        """What is new, as (change, element, subject)."""
        reply = (await self.client.ask(sync(self.state, folder=self.folder, shape=shape))).ok()
        self.state = reply.text("//m:SyncState")
        self.reply = reply
        found = []
        for one in reply.all("//m:Changes/*"):
            inner = one[0]
            subject = inner.findtext("{*}Subject")
            found.append((one.tag.rpartition("}")[2], inner.tag.rpartition("}")[2], subject))
        return found


@pytest.mark.parametrize("kind", [
    pytest.param(TASK, id="task", marks=pytest.mark.conformance("MSOXWSSYNC_S02_TC05_SyncFolderItems_TaskType")),
    pytest.param(CONTACT, id="contact", marks=pytest.mark.conformance(
        "MSOXWSSYNC_S02_TC06_SyncFolderItems_ContactItemType")),
    pytest.param(MEETING, id="meeting", marks=pytest.mark.conformance(
        "MSOXWSSYNC_S02_TC08_SyncFolderItems_CalendarItemType")),
    pytest.param(POST, id="post", marks=pytest.mark.conformance("MSOXWSSYNC_S02_TC07_SyncFolderItems_PostItemType")),
    pytest.param(LIST, id="list", marks=pytest.mark.conformance(
        "MSOXWSSYNC_S02_TC09_SyncFolderItems_DistributionListType")),
    pytest.param(ITEM, id="item", marks=pytest.mark.conformance("MSOXWSSYNC_S02_TC10_SyncFolderItems_ItemType")),
])  # fmt: skip
async def test_made_changed_and_deleted(anna, kind):
    folder = Following(anna, kind.folder)
    assert await folder.changes() == []
    made = await make(anna, kind, f"<t:Subject>one</t:Subject>{body('x')}")
    assert await folder.changes() == [("Create", kind.told, "one")]
    two = setting(kind, "item:Subject", "<t:Subject>two</t:Subject>")
    (await anna.ask(updating((made, two)))).ok()
    assert await folder.changes() == [("Update", kind.told, "two")]
    (await anna.ask(deleting(made[0]))).ok()
    assert await folder.changes() == [("Delete", "ItemId", None)]
    assert await folder.changes() == []


async def _of(client, folder: Following, element: str) -> None:
    """Read, changed and deleted as any message, once it is there."""
    ((id_, key),) = [(one.get("Id"), one.get("ChangeKey")) for one in folder.reply.all(f"//t:{element}/t:ItemId")]
    unread = client_read(folder)
    (await client.ask(updating(((id_, key), unread)))).ok()
    assert [one[0] for one in await folder.changes()] == ["ReadFlagChange"]
    (await client.ask(deleting(id_))).ok()
    assert await folder.changes() == [("Delete", "ItemId", None)]


def client_read(folder: Following) -> str:
    now = folder.reply.texts("//t:IsRead")[0]
    return setting(ITEM, "message:IsRead", f"<t:IsRead>{'false' if now == 'true' else 'true'}</t:IsRead>").replace(
        "t:Item>", "t:Message>"
    )


@pytest.mark.conformance("MSOXWSSYNC_S02_TC02_SyncFolderItems_MeetingRequestMessageType")
async def test_meeting_requests(world, anna, boris):
    sent, inbox = Following(anna, "sentitems"), Following(boris, "inbox")
    assert await sent.changes() == await inbox.changes() == []
    await make(anna, MEETING, _INVITED.format("plan"))
    await world.settled()
    assert await sent.changes() == [("Create", "MeetingRequest", "plan")]
    assert await inbox.changes() == [("Create", "MeetingRequest", "plan")]
    ((id_, key),) = sent.reply.ids()
    parent = sent.reply.one("//t:MeetingRequest/t:ParentFolderId").get("Id")
    new = setting(ITEM, "item:Subject", "<t:Subject>new</t:Subject>").replace("t:Item>", "t:MeetingRequest>")
    (await anna.ask(updating(((id_, key), new)))).ok()
    assert await sent.changes() == [("Update", "MeetingRequest", "new")]
    assert sent.reply.one("//t:MeetingRequest/t:ParentFolderId").get("Id") == parent
    await _of(anna, sent, "MeetingRequest")


@pytest.mark.conformance("MSOXWSSYNC_S02_TC03_SyncFolderItems_MeetingResponseMessageType")
async def test_meeting_responses(world, anna, boris):
    inbox = Following(anna, "inbox")
    assert await inbox.changes() == []
    mime = base64.b64encode(_ANSWER.encode()).decode()
    request = creating(f"<t:Message><t:MimeContent>{mime}</t:MimeContent></t:Message>").replace("SaveOnly", "SendOnly")
    (await boris.ask(request)).ok()
    await world.settled()
    ((change, element, subject),) = await inbox.changes()
    assert (change, element) == ("Create", "MeetingResponse") and subject.endswith("plan")
    await _of(anna, inbox, "MeetingResponse")


@pytest.mark.conformance("MSOXWSSYNC_S02_TC04_SyncFolderItems_MeetingCancellationMessageType")
async def test_meeting_cancellations(world, anna, boris):
    made, _ = await make(anna, MEETING, _INVITED.format("plan"))
    await world.settled()
    inbox = Following(boris, "inbox")
    await inbox.changes()
    cancel = deleting(made).replace('"SendToNone"', '"SendToAllAndSaveCopy"')
    (await anna.ask(cancel)).ok()
    await world.settled()
    ((change, element, subject),) = await inbox.changes()
    assert (change, element) == ("Create", "MeetingCancellation") and subject.endswith("plan")
    await _of(boris, inbox, "MeetingCancellation")
