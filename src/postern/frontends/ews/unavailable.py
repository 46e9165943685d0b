"""What programs ask for that is not here: each is told so in the answer's own form (MS-OXWSCDATA 2.2.5.24).

A fault would do as well, but some programs show one to their user, or ask for the password again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from postern.frontends.ews.call import Call
from postern.protocols.ews import responses
from postern.protocols.ews.versions import Version


class Answer(NamedTuple):
    """One operation's."""

    code: str
    text: str
    since: Version
    listed: bool = False
    """The answer is a list with one message in it."""


_PHONE = "Nobody is called from here."
_APPS = "There are no add-ins here."
_HOLD = "There are no holds on mailboxes here."
_TEAM = "There are no site mailboxes here."
_SHARING = "The organisation is in no federation."
_10, _10SP1 = Version.EXCHANGE_2010, Version.EXCHANGE_2010_SP1
_13 = Version.EXCHANGE_2013

ANSWERS: dict[str, Answer] = {
    "PlayOnPhone": Answer("ErrorUnifiedMessagingServerNotFound", _PHONE, _10),
    "GetPhoneCallInformation": Answer("ErrorUnifiedMessagingServerNotFound", _PHONE, _10),
    "DisconnectPhoneCall": Answer("ErrorUnifiedMessagingServerNotFound", _PHONE, _10),
    "GetAppMarketplaceUrl": Answer("ErrorExtensionsNotAuthorized", _APPS, _13),
    "InstallApp": Answer("ErrorExtensionsNotAuthorized", _APPS, _13),
    "UninstallApp": Answer("ErrorExtensionNotFound", _APPS, _13),
    "DisableApp": Answer("ErrorExtensionNotFound", _APPS, _13),
    "GetClientAccessToken": Answer("ErrorInvalidClientAccessTokenRequest", _APPS, _13, listed=True),
    "GetHoldOnMailboxes": Answer("ErrorMailboxHoldNotFound", _HOLD, _13),
    "SetHoldOnMailboxes": Answer("ErrorAccessDenied", _HOLD, _13),
    "SetTeamMailbox": Answer("ErrorTeamMailboxNotFound", _TEAM, _13),
    "UnpinTeamMailbox": Answer("ErrorTeamMailboxNotFound", _TEAM, _13),
    "GetUnifiedGroupsSettings": Answer("ErrorInvalidOperation", "There are no unified groups here.", _13),
    "GetSharingMetadata": Answer("ErrorOrganizationNotFederated", _SHARING, _10),
    "GetSharingFolder": Answer("ErrorOrganizationNotFederated", _SHARING, _10),
    "RefreshSharingFolder": Answer("ErrorOrganizationNotFederated", _SHARING, _10),
}


def answering(operation: str) -> Callable[[Call, None], Awaitable[str]]:
    """Who answers an operation of the table."""
    row = ANSWERS[operation]

    async def answer(call: Call, request: None) -> str:
        if row.listed:
            message = responses.error(f"{operation}ResponseMessage", row.code, row.text)
            return responses.response(operation, message)
        return responses.alone(responses.error(f"{operation}Response", row.code, row.text))

    return answer
