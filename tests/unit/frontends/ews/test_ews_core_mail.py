"""Mail: SOAP headers on every operation, and read receipts (MS-OXWSCORE 3.1.4)."""

from __future__ import annotations

import base64

import pytest
from ews_kinds import MESSAGE, creating, deleting, found_in, get, item, make, marking, setting, transferring, updating

from postern.model.rights import AdminRole

_MAIL = (
    "<t:Subject>{}</t:Subject><t:ToRecipients><t:Mailbox><t:EmailAddress>boris@example.org</t:EmailAddress></t:Mailbox>"
    "</t:ToRecipients>"
)
_ASKED = "<t:IsReadReceiptRequested>true</t:IsReadReceiptRequested>"
_READ = setting(MESSAGE, "message:IsRead", "<t:IsRead>true</t:IsRead>")


@pytest.mark.conformance("MSOXWSCORE_S04_TC20_VerifyOperationsWithSOAPHeaderSuccessful")
async def test_soap_headers_go_with_every_operation(world, anna, boris):
    """ExchangeImpersonation, MailboxCulture, RequestServerVersion and TimeZoneContext (MS-OXWSCORE 3.1.4.2.1.1)."""
    await world.parts.directory.assign_role(AdminRole.IMPERSONATION, "chen@example.org")
    chen = world.client("chen")
    headers = (
        "<t:ExchangeImpersonation><t:ConnectingSID><t:PrimarySmtpAddress>anna@example.org</t:PrimarySmtpAddress>"
        "</t:ConnectingSID></t:ExchangeImpersonation><t:MailboxCulture>en-US</t:MailboxCulture>"
    )
    zoned = f'{headers}<t:TimeZoneContext><t:TimeZoneDefinition Id="UTC"/></t:TimeZoneContext>'
    made = (await chen.ask(creating(item(MESSAGE, _MAIL.format("x"))), zoned)).ok().ids()[0]
    renamed = setting(MESSAGE, "item:Subject", "<t:Subject>y</t:Subject>")
    (await chen.ask(updating((made, renamed)), zoned)).ok()
    ((moved, _),) = (await chen.ask(transferring("MoveItem", "inbox", made[0]), headers)).ok().ids()
    (await chen.ask(marking("inbox", read=False), headers)).ok()
    request = (
        "<m:GetItem><m:ItemShape><t:BaseShape>AllProperties</t:BaseShape></m:ItemShape>"
        f'<m:ItemIds><t:ItemId Id="{moved}"/></m:ItemIds></m:GetItem>'
    )
    reply = (await chen.ask(request, zoned)).ok()
    assert (reply.text("//t:Message/t:Subject"), reply.text("//t:IsRead")) == ("y", "false")
    ((copy, key),) = (await chen.ask(transferring("CopyItem", "drafts", moved), headers)).ok().ids()
    send = (
        f'<m:SendItem SaveItemToFolder="false"><m:ItemIds><t:ItemId Id="{copy}" ChangeKey="{key}"/></m:ItemIds>'
        "</m:SendItem>"
    )
    (await chen.ask(send, headers)).ok()
    (await chen.ask(deleting(moved), headers)).ok()
    await world.settled()
    assert await found_in(boris, "inbox") == ["y"]
    assert await found_in(anna, "inbox") == await found_in(chen, "drafts") == []


async def arrived(world, anna, boris, subject: str, more: str = _ASKED) -> tuple[str, str]:
    """A message from Anna in Boris' inbox."""
    request = creating(item(MESSAGE, _MAIL.format(subject) + more)).replace("SaveOnly", "SendOnly")
    (await anna.ask(request)).ok()
    await world.settled()
    return (await boris.find("inbox")).ok().ids()[0]


@pytest.mark.conformance("MSOXWSCORE_S04_TC25_UpdateItemWithSuppressReadReceipts")
@pytest.mark.parametrize(("wish", "told"), [
    (' SuppressReadReceipts="true"', []), (' SuppressReadReceipts="false"', ["Read: plan"]), ("", []),
])  # fmt: skip
async def test_a_receipt_for_what_was_read(world, anna, boris, wish, told):
    """Only a client that says so has one sent: its user has to agree (RFC 8098 2.1)."""
    made = await arrived(world, anna, boris, "plan")
    (await boris.ask(updating((made, _READ), more=wish))).ok()
    await world.settled()
    assert await found_in(anna, "inbox") == told
    if not told:
        return
    unread = setting(MESSAGE, "message:IsRead", "<t:IsRead>false</t:IsRead>")
    for change in (unread, _READ):  # once only
        made = (await get(boris, made[0], shape="IdOnly")).ok().ids()[0]
        (await boris.ask(updating((made, change), more=wish))).ok()
    await world.settled()
    ((receipt, _),) = (await anna.find("inbox")).ok().ids()
    reply = (await get(anna, receipt, options="<t:IncludeMimeContent>true</t:IncludeMimeContent>")).ok()
    mime = base64.b64decode(reply.text("//t:MimeContent")).decode()
    assert "report-type=disposition-notification" in mime and "Final-Recipient: rfc822; boris@example.org" in mime
    assert "Disposition: manual-action/MDN-sent-automatically; displayed" in mime
    assert mime.startswith("Return-Path: <>\r\n")


@pytest.mark.conformance("MSOXWSCORE_S04_TC24_DeleteItemWithSuppressReadReceipts")
@pytest.mark.parametrize(("wish", "told"), [
    (' SuppressReadReceipts="true"', []), (' SuppressReadReceipts="false"', ["Not read: plan"]), ("", []),
])  # fmt: skip
async def test_a_receipt_for_what_was_deleted_unread(world, anna, boris, wish, told):
    made, _ = await arrived(world, anna, boris, "plan")
    (await boris.ask(deleting(made, more=wish))).ok()
    await world.settled()
    assert await found_in(anna, "inbox") == told and await found_in(boris, "inbox") == []


async def test_no_receipt_where_none_was_asked_for_or_it_would_go_elsewhere(world, anna, boris):
    """RFC 8098 2.1: to the return path or not at all."""
    quiet = ' SuppressReadReceipts="false"'
    made = await arrived(world, anna, boris, "plain", "")
    (await boris.ask(updating((made, _READ), more=quiet))).ok()
    await boris.deliver(
        b"Return-Path: <mallory@example.net>\r\nFrom: anna@example.org\r\nSubject: trap\r\n"
        b"Disposition-Notification-To: <anna@example.org>\r\n\r\nx\r\n"
    )
    trap = (await boris.find("inbox")).ok().ids()
    for one in trap:
        fresh = (await get(boris, one[0], shape="IdOnly")).ok().ids()[0]
        (await boris.ask(updating((fresh, _READ), more=quiet))).ok()
    await world.settled()
    assert await found_in(anna, "inbox") == []


async def test_a_draft_of_ones_own_has_no_receipt(world, anna):
    made = await make(anna, MESSAGE, _MAIL.format("draft") + _ASKED)
    (await anna.ask(deleting(made[0], more=' SuppressReadReceipts="false"'))).ok()
    await world.settled()
    assert await found_in(anna, "inbox") == []
