"""Delegates by EWS: their folders, the meeting mail they get, private items, answers in the owner's name."""

from __future__ import annotations

import asyncio

import pytest
from test_ews_calendar import TIMES, ZONE, made
from test_ews_folders import get, named
from test_ews_hostile import fault
from test_ews_permissions import ALL

from postern.directory.interface import NewAccount
from postern.model.rights import MailboxRight

OWNER = "<m:Mailbox><t:EmailAddress>anna@example.org</t:EmailAddress></m:Mailbox>"
FOLDERS = ("Calendar", "Tasks", "Inbox", "Contacts", "Notes", "Journal")


def who(*names: str) -> str:
    return "".join(
        f"<t:UserId><t:PrimarySmtpAddress>{name}@example.org</t:PrimarySmtpAddress></t:UserId>" for name in names
    )


def user(name: str = "boris", copies: str = "", private: str = "", **levels: str) -> str:
    inner = "".join(
        f"<t:{folder}FolderPermissionLevel>{levels[folder]}</t:{folder}FolderPermissionLevel>"
        for folder in FOLDERS
        if folder in levels
    )
    permissions = f"<t:DelegatePermissions>{inner}</t:DelegatePermissions>" if inner else ""
    said = "".join(
        f"<t:{element}>{value}</t:{element}>"
        for element, value in (("ReceiveCopiesOfMeetingMessages", copies), ("ViewPrivateItems", private))
        if value
    )
    return f"<t:DelegateUser>{who(name)}{permissions}{said}</t:DelegateUser>"


def change(operation: str, *users: str, delivery: str = "") -> str:
    given = f"<m:DelegateUsers>{''.join(users)}</m:DelegateUsers>" if users else ""
    said = f"<m:DeliverMeetingRequests>{delivery}</m:DeliverMeetingRequests>" if delivery else ""
    return f"<m:{operation}>{OWNER}{given}{said}</m:{operation}>"


def asked(*names: str, permissions: str = "true", owner: str = OWNER) -> str:
    listed = f"<m:UserIds>{who(*names)}</m:UserIds>" if names else ""
    return f'<m:GetDelegate IncludePermissions="{permissions}">{owner}{listed}</m:GetDelegate>'


def removed(*names: str) -> str:
    return f"<m:RemoveDelegate>{OWNER}<m:UserIds>{who(*names)}</m:UserIds></m:RemoveDelegate>"


def codes(reply) -> list[str]:
    return reply.texts("//m:DelegateUserResponseMessageType/m:ResponseCode")


def levels(reply) -> dict[str, str]:
    return {
        one.tag.rpartition("}")[2].removesuffix("FolderPermissionLevel"): one.text
        for one in reply.all("//t:DelegatePermissions/*")
    }


async def test_nobody_has_delegates_at_first(anna):
    told = await anna.single(asked())
    assert codes(told) == [] and told.text("//m:DeliverMeetingRequests") == "DelegatesAndMe"


async def test_a_delegate_is_added_changed_and_removed(anna, boris, world):
    given = user(copies="true", Calendar="Editor", Inbox="Reviewer", Tasks="Author")
    added = await anna.single(change("AddDelegate", given, delivery="DelegatesOnly"))
    assert codes(added) == ["NoError"] and added.text("//t:DisplayName") == "Boris"
    told = await anna.single(asked())
    expected = dict.fromkeys(FOLDERS, "None") | {"Calendar": "Editor", "Inbox": "Reviewer", "Tasks": "Author"}
    assert levels(told) == expected and told.text("//m:DeliverMeetingRequests") == "DelegatesOnly"
    assert told.text("//t:ReceiveCopiesOfMeetingMessages") == "true" and told.text("//t:ViewPrivateItems") == "false"
    assert not (await anna.single(asked("boris", permissions="false"))).all("//t:DelegatePermissions")
    shown = (await anna.ask(get(named("inbox"), shape="IdOnly", extra=ALL))).ok()
    row = shown.one("//t:Permission[t:UserId/t:PrimarySmtpAddress='boris@example.org']/t:PermissionLevel")
    assert row.text == "Reviewer"
    permissions = world.services.delegation._mailboxes._permissions
    assert await permissions.may_send_on_behalf(boris.principal, "anna@example.org")

    await anna.single(change("UpdateDelegate", user(private="true", Inbox="None")))
    told = await anna.single(asked("boris"))
    assert levels(told) == expected | {"Inbox": "None"} and told.text("//t:ViewPrivateItems") == "true"
    assert told.text("//t:ReceiveCopiesOfMeetingMessages") == "true"
    await anna.single(change("UpdateDelegate", delivery="NoForward"))

    assert codes(await anna.single(removed("boris"))) == ["NoError"]
    told = await anna.single(asked())
    assert codes(told) == [] and told.text("//m:DeliverMeetingRequests") == "NoForward"
    assert not await permissions.may_send_on_behalf(boris.principal, "anna@example.org")
    shared = '<t:DistinguishedFolderId Id="calendar"><t:Mailbox><t:EmailAddress>anna@example.org</t:EmailAddress>'
    again = await boris.ask(get(f"{shared}</t:Mailbox></t:DistinguishedFolderId>"))
    assert again.codes == ["ErrorAccessDenied"]


async def test_other_rights_are_told_as_custom_and_custom_cannot_be_given(anna, world):
    await anna.single(change("AddDelegate", user(Calendar="Editor")))
    inbox = await world.parts.store.mailbox(anna.principal.mailbox)
    folder = next(one.id for one in await inbox.folders() if one.name == "Tasks")
    from postern.model.rights import FolderRight

    await world.parts.directory.set_folder_rights(inbox.id, folder, "boris@example.org", FolderRight.CREATE)
    assert levels(await anna.single(asked()))["Tasks"] == "Custom"
    reply = await anna.single(change("UpdateDelegate", user(Calendar="Custom")))
    assert codes(reply) == ["ErrorDelegateValidationFailed"]


async def test_each_mistake_has_its_code_and_the_others_are_done(anna):
    given = (user("boris"), user("anna"), user("nobody"), user("boris"), user("chen"))
    reply = await anna.single(change("AddDelegate", *given))
    assert codes(reply) == [
        "NoError", "ErrorDelegateCannotAddOwner", "ErrorDelegateNoUser", "ErrorDelegateAlreadyExists", "NoError",
    ]  # fmt: skip
    assert codes(await anna.single(removed("chen", "chen"))) == ["NoError", "ErrorNotDelegate"]
    assert codes(await anna.single(change("UpdateDelegate", user("chen")))) == ["ErrorNotDelegate"]
    assert codes(await anna.single(asked("boris", "chen"))) == ["NoError", "ErrorNotDelegate"]
    sid = f"<m:RemoveDelegate>{OWNER}<m:UserIds><t:UserId><t:SID>S-1-5-21</t:SID></t:UserId></m:UserIds></m:RemoveDelegate>"
    assert codes(await anna.single(sid)) == ["ErrorDelegateNoUser"]


async def test_only_who_may_do_everything_names_delegates(anna, boris, world):
    bodies = (asked(), change("AddDelegate", user("boris")), removed("boris"))
    await anna.single(change("AddDelegate", user("boris", Calendar="Editor", Inbox="Editor")))
    for body in bodies:
        reply = await boris.ask(body)
        assert reply.text("m:ResponseCode") == "ErrorAccessDenied"
    await world.parts.directory.grant(anna.principal.mailbox, "boris@example.org", MailboxRight.FULL_ACCESS)
    assert codes(await boris.single(asked())) == ["NoError"]
    nobody = await anna.ask(asked(owner=OWNER.replace("anna", "nobody")))
    assert nobody.text("m:ResponseCode") == "ErrorNonExistentMailbox"


async def test_requests_that_are_none(anna):
    assert await fault(anna, anna.envelope(change("AddDelegate"))) == "ErrorSchemaValidation"
    wrong = change("AddDelegate", user(Calendar="Owner"))
    assert await fault(anna, anna.envelope(wrong)) == "ErrorSchemaValidation"
    anna.version = "Exchange2007"
    assert await fault(anna, anna.envelope(asked())) == "ErrorInvalidOperation"


MEETING = (
    f"<t:Subject>Budget</t:Subject>{{more}}{TIMES}<t:RequiredAttendees><t:Attendee><t:Mailbox>"
    "<t:EmailAddress>anna@example.org</t:EmailAddress></t:Mailbox></t:Attendee></t:RequiredAttendees>" + ZONE
)


async def invited(world, more: str = "") -> None:
    await made(world.client("chen"), MEETING.format(more=more), "SendToAllAndSaveCopy")
    await world.assisted()


async def requests(client, folder: str = "inbox"):
    return (await client.find(folder, "AllProperties")).all("//t:MeetingRequest")


def said(item, name: str) -> str:
    return item.findtext(f"{{*}}{name}")


@pytest.mark.conformance("MSOXWSMTGS_S01_TC22_MeetingRequestTypePrincipalWantsCopy")
@pytest.mark.parametrize(
    ("delivery", "own", "kind"),
    [
        ("DelegatesOnly", 0, ""),
        ("DelegatesAndMe", 1, "NewMeetingRequest"),
        ("DelegatesAndSendInformationToMe", 1, "PrincipalWantsCopy"),
        ("NoForward", 1, "NewMeetingRequest"),
    ],
)
async def test_meeting_mail_goes_where_it_is_to_go(world, anna, boris, delivery, own, kind):
    await anna.single(change("AddDelegate", user(copies="true", Calendar="Editor"), delivery=delivery))
    await invited(world)
    mine = await requests(anna)
    assert [said(one, "MeetingRequestType") for one in mine] == [kind] * own
    assert all(said(one, "IsDelegated") == "false" for one in mine)
    theirs = await requests(boris)
    assert len(theirs) == (delivery != "NoForward")
    for one in theirs:
        assert said(one, "IsDelegated") == "true"
        assert one.findtext("{*}ReceivedRepresenting/{*}Mailbox/{*}EmailAddress") == "anna@example.org"
    # the calendar is the owner's, whoever reads the mail
    assert len((await anna.find("calendar")).ids()) == 1 and not (await boris.find("calendar")).ids()


async def test_who_receives_no_copies_gets_none(world, anna, boris):
    await anna.single(change("AddDelegate", user(copies="false", Calendar="Editor"), delivery="DelegatesOnly"))
    await invited(world)
    assert len(await requests(anna)) == 1 and not await requests(boris)


@pytest.mark.parametrize(("private", "copies"), [("false", 0), ("true", 1)])
async def test_private_meetings_go_to_who_may_see_them(world, anna, boris, private, copies):
    given = user(copies="true", private=private, Calendar="Editor")
    await anna.single(change("AddDelegate", given, delivery="DelegatesOnly"))
    await invited(world, "<t:Sensitivity>Private</t:Sensitivity>")
    assert len(await requests(boris)) == copies and len(await requests(anna)) == 1 - copies


async def test_a_delegate_answers_for_the_owner(world, anna, boris):
    await anna.single(change("AddDelegate", user(copies="true", Calendar="Editor"), delivery="DelegatesOnly"))
    await invited(world)
    (request,) = await requests(boris)
    reference = f'<t:ReferenceItemId Id="{request.find("{*}ItemId").get("Id")}"/>'
    accept = f"<m:Items><t:AcceptItem>{reference}</t:AcceptItem></m:Items>"
    done = (await boris.ask(f'<m:CreateItem MessageDisposition="SendOnly">{accept}</m:CreateItem>')).ok()
    await world.assisted()
    item, _ = done.ids()[0]
    (mine,) = (await anna.find("calendar")).ids()
    assert item == mine[0]
    assert (await anna.get(item)).text("//t:MyResponseType") == "Accept"
    chen = world.client("chen")
    (meeting,) = (await chen.find("calendar")).ids()
    assert (await chen.get(meeting[0])).text("//t:Attendee/t:ResponseType") == "Accept"
    assert not await requests(boris) and len(await requests(boris, "deleteditems")) == 1


SHARED = (
    '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>AllProperties</t:BaseShape></m:ItemShape>'
    '<m:ParentFolderIds><t:DistinguishedFolderId Id="{}"><t:Mailbox><t:EmailAddress>anna@example.org'
    "</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId></m:ParentFolderIds></m:FindItem>"
)


@pytest.mark.parametrize("private", ["false", "true"])
async def test_private_items_are_seen_by_who_may(anna, boris, private):
    hidden = "<t:Sensitivity>Private</t:Sensitivity>"
    await made(anna, f"<t:Subject>Doctor</t:Subject>{hidden}{TIMES}<t:Location>Clinic</t:Location>{ZONE}")
    await anna.ask(
        '<m:CreateItem><m:SavedItemFolderId><t:DistinguishedFolderId Id="tasks"/></m:SavedItemFolderId><m:Items>'
        f"<t:Task><t:Subject>Gift</t:Subject>{hidden}</t:Task></m:Items></m:CreateItem>"
    )
    await anna.single(change("AddDelegate", user(private=private, Calendar="Reviewer", Tasks="Reviewer")))
    seen = private == "true"
    appointments = (await boris.ask(SHARED.format("calendar"))).ok()
    tasks = (await boris.ask(SHARED.format("tasks"))).ok()
    assert [one.text for one in appointments.all("//t:Location")] == ["Clinic"] * seen
    assert ("Doctor" in appointments.raw.decode(), "Gift" in tasks.raw.decode()) == (seen, seen)
    (item, _) = appointments.ids()[0]
    got = (await boris.get(item)).ok()
    assert ("Clinic" in got.raw.decode()) is seen
    assert got.text("//t:EffectiveRights/t:ViewPrivateItems") == private
    await anna.single(removed("boris"))
    assert (await boris.get(item)).codes == ["ErrorAccessDenied"]


async def test_delegates_added_at_once_are_all_there(anna, world):
    names = [f"helper{number}" for number in range(6)]
    await world.parts.directory.create_accounts([NewAccount(f"{name}@example.org", name) for name in names])
    told = await asyncio.gather(*(anna.single(change("AddDelegate", user(name))) for name in names))
    assert [codes(one) for one in told] == [["NoError"]] * 6
    assert len(codes(await anna.single(asked()))) == 6
