"""Mail tips are what would happen to the mail; configurations say what there is and what not."""

from __future__ import annotations

import pytest
from test_ews_hostile import fault

from postern.model.items import Quota


def asked(*recipients: str, sender: str = "anna@example.org", wanted: str = "All") -> str:
    listed = "".join(f"<t:Mailbox><t:EmailAddress>{one}</t:EmailAddress></t:Mailbox>" for one in recipients)
    return (
        f"<m:GetMailTips><m:SendingAs><t:EmailAddress>{sender}</t:EmailAddress></m:SendingAs>"
        f"<m:Recipients>{listed}</m:Recipients><m:MailTipsRequested>{wanted}</m:MailTipsRequested></m:GetMailTips>"
    )


def tips(reply, number: int = 0) -> dict[str, str]:
    found = reply.all("//m:MailTips")[number]
    return {one.tag.rpartition("}")[2]: "".join(one.itertext()) for one in found}


async def away(client, audience: str = "Known", state: str = "Enabled", duration: str = "") -> None:
    await client.ask(
        "<m:SetUserOofSettingsRequest><t:Mailbox><t:Address>boris@example.org</t:Address></t:Mailbox>"
        f"<t:UserOofSettings><t:OofState>{state}</t:OofState><t:ExternalAudience>{audience}</t:ExternalAudience>"
        f"{duration}<t:InternalReply><t:Message>Ask Chen &amp; co</t:Message></t:InternalReply>"
        "<t:ExternalReply><t:Message>Away</t:Message></t:ExternalReply></t:UserOofSettings>"
        "</m:SetUserOofSettingsRequest>"
    )


async def test_of_somebody_with_a_mailbox_all_is_told(anna):
    told = tips(await anna.single(asked("boris@example.org")))
    assert told == {
        "RecipientAddress": "boris@example.orgSMTP",
        "PendingMailTips": "",
        "OutOfOffice": "",
        "MailboxFull": "false",
        "MaxMessageSize": str(50 << 20),
        "DeliveryRestricted": "false",
        "IsModerated": "false",
        "InvalidRecipient": "false",
    }


async def test_who_is_away_is_told_as_this_sender_would_be(anna, boris):
    await away(boris)
    for sender, reply in (
        ("anna@example.org", "Ask Chen & co"),
        ("outside@example.net", ""),
        ("boris@example.org", ""),
    ):
        assert tips(await anna.single(asked("boris@example.org", sender=sender)))["OutOfOffice"] == reply
    await boris.ask(
        "<m:CreateItem><m:Items><t:Contact><t:DisplayName>O</t:DisplayName><t:EmailAddresses>"
        '<t:Entry Key="EmailAddress1">outside@example.net</t:Entry></t:EmailAddresses></t:Contact></m:Items>'
        "</m:CreateItem>"
    )
    assert tips(await anna.single(asked("boris@example.org", sender="outside@example.net")))["OutOfOffice"] == "Away"
    await away(boris, "None")
    assert tips(await anna.single(asked("boris@example.org", sender="outside@example.net")))["OutOfOffice"] == ""


async def test_an_absence_that_is_not_yet_and_one_that_is_now(anna, boris):
    def lasting(start: str, end: str) -> str:
        return f"<t:Duration><t:StartTime>{start}</t:StartTime><t:EndTime>{end}</t:EndTime></t:Duration>"

    await away(boris, state="Scheduled", duration=lasting("2090-01-01T00:00:00Z", "2091-01-01T00:00:00Z"))
    assert tips(await anna.single(asked("boris@example.org")))["OutOfOffice"] == ""
    await away(boris, state="Scheduled", duration=lasting("2020-01-01T00:00:00Z", "2091-01-01T00:00:00Z"))
    told = await anna.single(asked("boris@example.org"))
    assert told.text("//t:OutOfOffice/t:ReplyBody/t:Message") == "Ask Chen & co"
    assert told.text("//t:OutOfOffice/t:Duration/t:EndTime") == "2091-01-01T00:00:00Z"


async def test_a_full_mailbox(anna, boris, world):
    mailbox = await world.parts.store.mailbox(boris.principal.mailbox)
    await boris.deliver(b"Subject: x\r\n\r\ny\r\n")
    used = await mailbox.used_bytes()
    await mailbox.set_quota(Quota(None, None, used + 1))
    assert tips(await anna.single(asked("boris@example.org")))["MailboxFull"] == "false"
    await mailbox.set_quota(Quota(None, None, used))
    assert tips(await anna.single(asked("boris@example.org")))["MailboxFull"] == "true"


async def test_groups_count_everybody_once(anna, world):
    directory = world.parts.directory
    await directory.put_group("inner@example.org", display_name="Inner")
    await directory.set_members("inner@example.org", add=("boris@example.org", "o@example.net", "all@example.org"))
    await directory.put_group("all@example.org", authenticated_only=True)
    await directory.put_contact("p@example.net", display_name="P")
    await directory.set_members(
        "all@example.org", add=("anna@example.org", "boris@example.org", "inner@example.org", "p@example.net")
    )
    told = tips(await anna.single(asked("all@example.org")))
    assert (told["TotalMemberCount"], told["ExternalMemberCount"]) == ("4", "2")
    assert told["DeliveryRestricted"] == "false" and "OutOfOffice" not in told and "MailboxFull" not in told
    outside = tips(await anna.single(asked("all@example.org", sender="o@example.net")))
    assert outside["DeliveryRestricted"] == "true"


async def test_who_is_elsewhere_and_who_is_not_there(anna):
    reply = await anna.single(asked("nobody@example.org", "o@example.net", "rubbish", "boris@example.org"))
    assert [tips(reply, number)["InvalidRecipient"] for number in range(4)] == ["true", "false", "true", "false"]
    assert "MailboxFull" not in tips(reply, 1)
    assert reply.texts("//m:MailTipsResponseMessageType/m:ResponseCode") == ["NoError"] * 4


async def test_only_what_was_asked_for(anna):
    told = tips(await anna.single(asked("boris@example.org", wanted="MailboxFullStatus InvalidRecipient")))
    assert set(told) == {"RecipientAddress", "PendingMailTips", "MailboxFull", "InvalidRecipient"}
    assert await fault(anna, anna.envelope(asked(wanted="Gossip"))) == "ErrorSchemaValidation"
    many = asked(*["boris@example.org"] * 51)
    assert await fault(anna, anna.envelope(many)) == "ErrorInvalidRequest"


@pytest.mark.parametrize(
    ("name", "code", "element"),
    [
        ("MailTips", "NoError", "MailTipsConfiguration"),
        ("UnifiedMessagingConfiguration", "NoError", "UnifiedMessagingConfiguration"),
        ("ProtectionRules", "NoError", "ProtectionRulesConfiguration"),
        ("PolicyNudges", "NoError", "PolicyNudgeRulesConfiguration"),
        ("SharePointURLs", "ErrorInvalidRequest", ""),
        ("OfficeIntegrationConfiguration", "ErrorInvalidRequest", ""),
    ],
)
async def test_configurations(anna, name, code, element):
    body = f"<m:RequestedConfiguration><m:ConfigurationName>{name}</m:ConfigurationName></m:RequestedConfiguration>"
    told = await anna.single(f"<m:GetServiceConfiguration>{body}</m:GetServiceConfiguration>")
    assert told.text("//m:ServiceConfigurationResponseMessageType/m:ResponseCode") == code
    found = told.all("//m:ServiceConfigurationResponseMessageType/*[last()]")
    assert not element or found[0].tag.endswith(f"}}{element}")
    if name == "MailTips":
        assert told.text("//t:MailTipsEnabled") == "true"
        assert [one.get("Name") for one in told.all("//t:Domain")] == ["example.org"]
