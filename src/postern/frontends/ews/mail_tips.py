"""GetMailTips and GetServiceConfiguration (MS-OXWSMTIP 3.1.4.1, MS-OXWSCONFIG 3.1.4.1)."""

from __future__ import annotations

from postern.frontends.ews.call import Call
from postern.protocols.ews import responses
from postern.protocols.ews.message_facts import instant
from postern.protocols.ews.tip_requests import MAX_RECIPIENTS, GetMailTips, Recipient
from postern.protocols.soap.writing import attribute, text
from postern.services.mail_tips import COUNTED, LARGE_AUDIENCE, Away, Tips

_TIPS, _CONFIGURATION = "MailTipsResponseMessageType", "ServiceConfigurationResponseMessageType"
_BOOL = {True: "true", False: "false"}
_INT = (1 << 31) - 1


async def get_mail_tips(call: Call, request: GetMailTips) -> str:
    """GetMailTips."""

    async def one(recipient: Recipient) -> str:
        tips = await call.services.tips.of(recipient.address, request.sender)
        return f"<m:MailTips>{_recipient(recipient)}<t:PendingMailTips/>{_tips(tips, request.wanted)}</m:MailTips>"

    told = await call.each(_TIPS, request.recipients, one)
    listed = f"<m:ResponseMessages>{told}</m:ResponseMessages>" if told else ""
    return responses.alone(responses.success("GetMailTipsResponse", listed))


def _recipient(one: Recipient) -> str:
    name = f"<t:Name>{text(one.name)}</t:Name>" if one.name else ""
    address = f"<t:EmailAddress>{text(one.address)}</t:EmailAddress>" if one.address else ""
    routing = "<t:RoutingType>SMTP</t:RoutingType>"
    return f"<t:RecipientAddress>{name}{address}{routing}</t:RecipientAddress>"


def _tips(tips: Tips, wanted: frozenset[str]) -> str:
    rows = (
        ("OutOfOfficeMessage", "" if tips.away is None else _away(tips.away)),
        ("MailboxFullStatus", _row("MailboxFull", tips.full)),
        ("TotalMemberCount", _row("TotalMemberCount", tips.members)),
        ("ExternalMemberCount", _row("ExternalMemberCount", tips.outside_members)),
        ("MaxMessageSize", _row("MaxMessageSize", tips.max_message_bytes)),
        ("DeliveryRestriction", _row("DeliveryRestricted", tips.restricted)),
        # nobody's mail is held for approval here
        ("ModerationStatus", _row("IsModerated", False)),
        ("InvalidRecipient", _row("InvalidRecipient", tips.invalid)),
    )
    return "".join(made for name, made in rows if name in wanted)


def _row(name: str, value: bool | int | None) -> str:
    if value is None:
        return ""
    return f"<t:{name}>{_BOOL[value] if isinstance(value, bool) else min(value, _INT)}</t:{name}>"


def _away(away: Away) -> str:
    duration = ""
    if away.reply and away.ends_at:
        start, end = instant(away.starts_at), instant(away.ends_at)
        duration = f"<t:Duration><t:StartTime>{start}</t:StartTime><t:EndTime>{end}</t:EndTime></t:Duration>"
    body = f"<t:ReplyBody><t:Message>{text(away.reply)}</t:Message></t:ReplyBody>"
    return f"<t:OutOfOffice>{body}{duration}</t:OutOfOffice>"


async def get_service_configuration(call: Call, request: tuple[str, ...]) -> str:
    """GetServiceConfiguration: what this server does, and of what it does not do that it does not."""
    tips = call.services.tips
    inner = "".join(f'<t:Domain Name="{attribute(name)}"/>' for name in await tips.domains())
    domains = f"<t:InternalDomains>{inner}</t:InternalDomains>"
    known = {
        "MailTips": (
            "<m:MailTipsConfiguration><t:MailTipsEnabled>true</t:MailTipsEnabled>"
            f"<t:MaxRecipientsPerGetMailTipsRequest>{MAX_RECIPIENTS}</t:MaxRecipientsPerGetMailTipsRequest>"
            f"<t:MaxMessageSize>{min(tips.max_message_bytes, _INT)}</t:MaxMessageSize>"
            f"<t:LargeAudienceThreshold>{LARGE_AUDIENCE}</t:LargeAudienceThreshold>"
            f"<t:ShowExternalRecipientCount>true</t:ShowExternalRecipientCount>{domains}"
            f"<t:PolicyTipsEnabled>false</t:PolicyTipsEnabled><t:LargeAudienceCap>{COUNTED}</t:LargeAudienceCap>"
            "</m:MailTipsConfiguration>"
        ),
        "UnifiedMessagingConfiguration": (
            "<m:UnifiedMessagingConfiguration><t:UmEnabled>false</t:UmEnabled><t:PlayOnPhoneDialString/>"
            "<t:PlayOnPhoneEnabled>false</t:PlayOnPhoneEnabled></m:UnifiedMessagingConfiguration>"
        ),
        "ProtectionRules": (
            f'<m:ProtectionRulesConfiguration RefreshInterval="24"><t:Rules/>{domains}</m:ProtectionRulesConfiguration>'
        ),
        "PolicyNudges": "<m:PolicyNudgeRulesConfiguration/>",
    }
    told = ""
    for name in request:
        if name in known:
            told += responses.success(_CONFIGURATION, known[name])
        else:
            told += responses.error(_CONFIGURATION, "ErrorInvalidRequest", f"There is no {name} here.")
    whole = f"<m:ResponseMessages>{told}</m:ResponseMessages>"
    return responses.alone(responses.success("GetServiceConfigurationResponse", whole))
