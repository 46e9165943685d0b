"""GetMailTips and GetServiceConfiguration: what programs ask before somebody writes (MS-OXWSMTIP, MS-OXWSCONFIG)."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews.places import limited
from postern.protocols.ews.reading import child, children, choice, need, some, text, text_of
from postern.protocols.ews.violation import EwsViolation

TIPS = (
    "All",
    "OutOfOfficeMessage",
    "MailboxFullStatus",
    "CustomMailTip",
    "ExternalMemberCount",
    "TotalMemberCount",
    "MaxMessageSize",
    "DeliveryRestriction",
    "ModerationStatus",
    "InvalidRecipient",
    "Scope",
    "RecipientSuggestions",
    "PreferAccessibleContent",
)
CONFIGURATIONS = (
    "MailTips",
    "UnifiedMessagingConfiguration",
    "ProtectionRules",
    "PolicyNudges",
    "SharePointURLs",
    "OfficeIntegrationConfiguration",
)
MAX_RECIPIENTS = 50
"""Of one request; told as MaxRecipientsPerGetMailTipsRequest."""


class Recipient(msgspec.Struct, frozen=True):
    """Somebody who may be written to."""

    name: str
    address: str


class GetMailTips(msgspec.Struct, frozen=True):
    """GetMailTips (MS-OXWSMTIP 3.1.4.1)."""

    sender: str
    recipients: tuple[Recipient, ...]
    wanted: frozenset[str]
    """Without All: it is all of them."""


def get_mail_tips(element: Element) -> GetMailTips:
    """Raises EwsViolation, as the other."""
    listed = limited(list(children(need(element, "Recipients"))))
    if len(listed) > MAX_RECIPIENTS:
        raise EwsViolation("ErrorInvalidRequest", f"One request may ask about {MAX_RECIPIENTS} recipients at most.")
    # exchangelib does not say which: that is all of them
    words = text_of(element, "MailTipsRequested", "All").split()
    wanted = frozenset(choice(one, TIPS, "MailTipsRequested") for one in words)
    return GetMailTips(
        text_of(need(element, "SendingAs"), "EmailAddress").strip(),
        tuple(Recipient(text_of(one, "Name"), text_of(one, "EmailAddress").strip()) for _, one in listed),
        frozenset(TIPS[1:]) if "All" in wanted else wanted,
    )


def get_service_configuration(element: Element) -> tuple[str, ...]:
    """GetServiceConfiguration (MS-OXWSCONFIG 3.1.4.1): the configurations asked for, in their order."""
    child(element, "ActingAs")  # they are the same for everybody
    found = limited(some(element, "RequestedConfiguration"))
    names = [choice(one, CONFIGURATIONS, "ConfigurationName") for _, named in found for one in text(named).split()]
    return tuple(dict.fromkeys(names))
