"""GetSearchableMailboxes, GetUserRetentionPolicyTags, GetAppManifests (MS-OXWSEDISC, MS-OXWSURPT, MS-OXWSCEXT)."""

from __future__ import annotations

import uuid

from postern.frontends.ews.call import Call
from postern.model.ids import MailboxId
from postern.protocols.ews import responses
from postern.protocols.ews.archive_requests import GetSearchableMailboxes
from postern.protocols.ews.versions import Version
from postern.protocols.soap.writing import text


async def get_searchable_mailboxes(call: Call, request: GetSearchableMailboxes) -> str:
    """GetSearchableMailboxes: one's own, and those that one has full access to."""

    async def one(asked: GetSearchableMailboxes) -> str:
        wanted = asked.filter.strip("*").casefold()
        rows = []
        for mailbox in await call.services.mailboxes.full(call.principal):
            owner = await call.services.identities.owner(mailbox)
            if not wanted or any(each.casefold().startswith(wanted) for each in (owner.address, owner.name)):
                rows.append(_row(mailbox, owner.address, owner.name))
        return f"<m:SearchableMailboxes>{''.join(rows)}</m:SearchableMailboxes>"

    empty = "<m:SearchableMailboxes/>"
    return responses.alone(await call.each("GetSearchableMailboxesResponse", [request], one, empty=empty))


def _row(mailbox: MailboxId, address: str, name: str) -> str:
    guid = str(uuid.UUID(mailbox))
    return (
        f"<t:SearchableMailbox><t:Guid>{guid}</t:Guid><t:PrimarySmtpAddress>{text(address)}</t:PrimarySmtpAddress>"
        "<t:IsExternalMailbox>false</t:IsExternalMailbox><t:ExternalEmailAddress/>"
        f"<t:DisplayName>{text(name)}</t:DisplayName><t:IsMembershipGroup>false</t:IsMembershipGroup>"
        f"<t:ReferenceId>{mailbox}</t:ReferenceId></t:SearchableMailbox>"
    )


async def get_user_retention_policy_tags(call: Call, request: None) -> str:
    """GetUserRetentionPolicyTags: there are none."""
    tags = "<m:RetentionPolicyTags/>"
    return responses.alone(responses.success("GetUserRetentionPolicyTagsResponse", tags))


async def get_app_manifests(call: Call, request: None) -> str:
    """GetAppManifests: no add-ins are installed."""
    listed = "<m:Apps/>" if call.version >= Version.EXCHANGE_2013_SP1 else "<m:Manifests/>"
    return responses.alone(responses.success("GetAppManifestsResponse", listed))
