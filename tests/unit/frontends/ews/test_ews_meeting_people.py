"""Meetings with more than two people in them: delegates who act for somebody, and requests that are passed on."""

from __future__ import annotations

import pytest
from ews_meetings import (
    DAILY,
    entries,
    entry,
    get,
    key,
    meeting,
    message,
    messages,
    occurrence,
    of,
    recurrence,
    response,
)
from test_ews_calendar import made
from test_ews_folders import named
from test_ews_meeting_sending import moved, said
from test_ews_people import update
from test_ews_permissions import share

from postern.model.calendar.appointment import Person
from postern.model.rights import MailboxRight
from postern.services.calendar.delegates import Delegate, Delivery

EDITOR = (
    "<t:CalendarPermission><t:UserId><t:PrimarySmtpAddress>chen@example.org</t:PrimarySmtpAddress></t:UserId>"
    "<t:CalendarPermissionLevel>Editor</t:CalendarPermissionLevel></t:CalendarPermission>"
)


@pytest.fixture
async def chen(world, boris):
    """Boris's delegate: copies of what concerns his meetings, his calendar, mail on his behalf."""
    acting = Delegate(Person("chen@example.org", "Chen"))
    await world.calendar_settings("boris", delegates=(acting,), delivery=Delivery.DELEGATES_AND_ME)
    (await boris.ask(share(named("calendar"), EDITOR, element="CalendarFolder"))).ok()
    await world.parts.directory.grant(boris.principal.mailbox, "chen@example.org", MailboxRight.SEND_ON_BEHALF)
    return world.client("chen")


async def test_a_delegate_accepts_for_the_principal(world, anna, boris, chen):
    item = await made(anna, meeting("u1"), "SendOnlyToAll")
    await world.settled()
    copy = await message(chen, "MeetingRequest")
    his = await entry(boris, "u1")
    assert copy.one("//t:AssociatedCalendarItemId").get("Id") == of(his)
    assert copy.text("//t:MeetingRequest/t:ResponseType") == "NoResponseReceived"
    done = (await chen.ask(response("AcceptItem", of(copy), disposition="SendAndSaveCopy"))).ok()
    assert done.ids()[0][0] == of(his)
    assert (await entry(boris, "u1")).text("//t:MyResponseType") == "Accept"
    assert not await entries(chen, "u1")
    assert not await messages(chen, "MeetingRequest")
    assert (await message(chen, "MeetingResponse", "sentitems")).text("//t:UID") == "u1"
    await world.settled()
    answer = await message(anna, "MeetingResponse")
    assert answer.text("//t:MeetingResponse/t:From//t:EmailAddress") == "boris@example.org"
    assert answer.text("//t:MeetingResponse/t:Sender//t:EmailAddress") == "chen@example.org"
    attendee = (await anna.get(item[0])).ok().one("//t:RequiredAttendees/t:Attendee")
    assert attendee.findtext("{*}Mailbox/{*}EmailAddress") == "boris@example.org"
    assert attendee.findtext("{*}ResponseType") == "Accept"


async def test_a_delegate_organizes_for_the_principal(world, anna, boris, chen):
    """Sent on behalf of the principal; answers come to the principal's calendar, and copies of them to the delegate."""
    his = '<t:DistinguishedFolderId Id="calendar"><t:Mailbox><t:EmailAddress>boris@example.org</t:EmailAddress>'
    make = (
        f'<m:CreateItem SendMeetingInvitations="SendToAllAndSaveCopy"><m:SavedItemFolderId>{his}</t:Mailbox>'
        "</t:DistinguishedFolderId></m:SavedItemFolderId>"
        f"<m:Items><t:CalendarItem>{meeting('u1', required=('anna',))}</t:CalendarItem></m:Items></m:CreateItem>"
    )
    (await chen.ask(make)).ok()
    await world.settled()
    request = await message(anna, "MeetingRequest")
    assert request.text("//t:MeetingRequest/t:Organizer//t:EmailAddress") == "boris@example.org"
    assert request.text("//t:MeetingRequest/t:From//t:EmailAddress") == "boris@example.org"
    assert request.text("//t:MeetingRequest/t:Sender//t:EmailAddress") == "chen@example.org"
    assert (await message(chen, "MeetingRequest", "sentitems")).text("//t:UID") == "u1"
    (await anna.ask(response("AcceptItem", of(request)))).ok()
    await world.settled()
    own = await entry(boris, "u1")
    assert own.text("//t:RequiredAttendees/t:Attendee/t:ResponseType") == "Accept"
    assert own.text("//t:MyResponseType") == "Organizer"
    assert (await message(boris, "MeetingResponse")).text("//t:ResponseType") == "Accept"
    copy = await message(chen, "MeetingResponse")
    assert (copy.text("//t:IsDelegated"), copy.text("//t:ResponseType")) == ("true", "Accept")
    assert copy.one("//t:AssociatedCalendarItemId").get("Id") == of(own)
    (await chen.ask(response("CancelCalendarItem", of(own)))).ok()
    await world.settled()
    assert (await entry(anna, "u1")).text("//t:IsCancelled") == "true"


async def test_who_may_not_send_for_the_principal_answers_nothing(world, anna, boris, chen):
    await made(anna, meeting("u1"), "SendOnlyToAll")
    await world.settled()
    copy = of(await message(chen, "MeetingRequest"))
    right = MailboxRight.SEND_ON_BEHALF
    await world.parts.directory.grant(boris.principal.mailbox, "chen@example.org", right, granted=False)
    assert (await chen.ask(response("AcceptItem", copy))).codes == ["ErrorSendAsDenied"]
    assert (await entry(boris, "u1")).text("//t:MyResponseType") == "NoResponseReceived"
    (await boris.ask(share(named("calendar"), element="CalendarFolder"))).ok()
    assert (await chen.ask(response("AcceptItem", copy, disposition="SaveOnly"))).codes == ["ErrorItemNotFound"]
    assert not await entries(chen, "u1")


def forward(item: str, *to: str, disposition: str = "SendAndSaveCopy", comment: str = "") -> str:
    rows = "".join(f"<t:Mailbox><t:EmailAddress>{one}@example.org</t:EmailAddress></t:Mailbox>" for one in to)
    people = f"<t:ToRecipients>{rows}</t:ToRecipients>" if to else ""
    new = f'<t:NewBodyContent BodyType="Text">{comment}</t:NewBodyContent>' if comment else ""
    return (
        f'<m:CreateItem MessageDisposition="{disposition}"><m:Items><t:ForwardItem>{people}'
        f'<t:ReferenceItemId Id="{item}"/>{new}</t:ForwardItem></m:Items></m:CreateItem>'
    )


@pytest.mark.parametrize("what", ["message", "item"])
async def test_a_request_is_passed_on(world, anna, boris, what):
    chen = world.client("chen")
    item = await made(anna, meeting("u1"), "SendOnlyToAll")
    await world.settled()
    which = await message(boris, "MeetingRequest") if what == "message" else await entry(boris, "u1")
    (await boris.ask(forward(of(which), "chen", comment="Come too"))).ok()
    await world.settled()
    request = await message(chen, "MeetingRequest")
    told = {"Subject": "FW: Plan", "UID": "u1", "MeetingRequestType": "NewMeetingRequest"}
    assert {name: request.text(f"//t:MeetingRequest/t:{name}") for name in told} == told
    assert request.text("//t:MeetingRequest/t:Organizer//t:EmailAddress") == "anna@example.org"
    assert request.text("//t:MeetingRequest/t:From//t:EmailAddress") == "boris@example.org"
    assert "Come too" in request.text("//t:MeetingRequest/t:Body")
    assert not await entries(chen, "u1"), "it is not from its organizer, and nobody has agreed yet"
    notice = (await anna.find("inbox", "Default")).ok()
    assert notice.texts("//t:Message/t:Subject") == ["Meeting Forward Notification: Plan"]
    assert "chen@example.org" in (await anna.get(notice.ids()[0][0])).ok().text("//t:Body")
    assert len(await messages(boris, "MeetingRequest", "sentitems")) == 1
    (await chen.ask(response("AcceptItem", of(request)))).ok()
    assert (await entry(chen, "u1")).text("//t:MyResponseType") == "Accept"
    await world.settled()
    got = (await anna.get(item[0])).ok()
    assert got.text("//t:OptionalAttendees/t:Attendee/t:Mailbox/t:EmailAddress") == "chen@example.org"
    assert got.text("//t:OptionalAttendees/t:Attendee/t:ResponseType") == "Accept"
    (await anna.ask(update(key(got), moved("Hall"), more=said("SendOnlyToAll")))).ok()
    await world.settled()
    assert (await entry(chen, "u1")).text("//t:CalendarItem/t:Location") == "Hall"


async def test_one_occurrence_is_passed_on(world, anna, boris):
    chen = world.client("chen")
    await made(anna, meeting("u1", more=recurrence(DAILY)), "SendOnlyToAll")
    await world.settled()
    third = of((await boris.ask(get(occurrence(of(await entry(boris, "u1")), 3)))).ok())
    (await boris.ask(forward(third, "chen"))).ok()
    await world.settled()
    request = await message(chen, "MeetingRequest")
    assert request.text("//t:RecurrenceId") == request.text("//t:MeetingRequest/t:Start") == "2026-11-04T09:00:00Z"
    assert not request.all("//t:Recurrence")
    (await chen.ask(response("AcceptItem", of(request)))).ok()
    mine = await entry(chen, "u1")
    assert mine.text("//t:CalendarItem/t:Start") == "2026-11-04T09:00:00Z"
    assert mine.text("//t:MyResponseType") == "Accept"


async def test_the_organizer_who_forwards_invites(world, anna, boris):
    chen = world.client("chen")
    item = await made(anna, meeting("u1"), "SendOnlyToAll")
    (await anna.ask(forward(item[0], "chen"))).ok()
    await world.settled()
    assert (await entry(chen, "u1")).text("//t:MyResponseType") == "NoResponseReceived"
    got = (await anna.get(item[0])).ok()
    assert got.text("//t:OptionalAttendees//t:EmailAddress") == "chen@example.org"
    assert len(await messages(boris, "MeetingRequest")) == 1
    assert not (await anna.find("inbox")).ok().ids()
    assert len(await messages(anna, "MeetingRequest", "sentitems")) == 1


async def test_what_is_not_passed_on(world, anna, boris):
    await made(anna, meeting("u1"), "SendOnlyToAll")
    await world.settled()
    request = of(await message(boris, "MeetingRequest"))
    assert (await boris.ask(forward(request))).codes == ["ErrorInvalidRecipients"]
    draft = (await boris.ask(forward(request, "chen", disposition="SaveOnly"))).ok()
    assert (await boris.get(draft.ids()[0][0])).ok().text("//t:Subject") == "FW: Plan"
    plain = await made(boris, meeting("u2", required=(), subject="Alone"))
    (await boris.ask(forward(plain[0], "chen"))).ok()
    await world.settled()
    sent = (await world.client("chen").find("inbox", "Default")).ok()
    assert sent.texts("//t:Message/t:Subject") == ["FW: Alone"]
