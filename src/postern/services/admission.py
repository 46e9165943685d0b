"""Who may send and who is there: the answers to MAIL FROM and RCPT TO."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postern.directory.interface import Directory, Resolution
from postern.model.envelope import Envelope
from postern.model.ids import MailboxId
from postern.model.items import Quota
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.services.authentication import Principal
from postern.services.permissions import Permissions
from postern.store.interface import Store
from postern.transport.categorizer import plain_delivery
from postern.transport.outcomes import AnyOutcome

_USAGE_KEPT_S = 2.0
_USAGE_KEPT_COUNT = 10_000


class Route(msgspec.Struct, frozen=True):
    """What RCPT found, to be handed back with the message."""

    resolution: Resolution


class _Usage(msgspec.Struct):
    until: float
    used_bytes: int
    """0 where nothing is limited."""
    quota: Quota


class Admission:
    """Checks at MAIL and RCPT. One per worker."""

    def __init__(self, directory: Directory, store: Store, clock: Clock) -> None:
        self._directory = directory
        self._store = store
        self._clock = clock
        self._permissions = Permissions(directory)
        self._usage: dict[MailboxId, _Usage] = {}

    async def check_sender(self, reverse_path: str, principal: Principal | None) -> None:
        """Whether somebody may write in that name. Raises Refusal(SENDER_NOT_ALLOWED, OVER_QUOTA)."""
        if principal is None:
            return
        # the null reverse-path is for receipts and bounces: it names nobody
        if reverse_path and not await self._permissions.may_send_as(principal, reverse_path):
            raise Refusal(Reason.SENDER_NOT_ALLOWED, f"{principal.address} may not send as {reverse_path}")
        if principal.mailbox is not None:
            usage = await self._usage_of(principal.mailbox)
            limit = None if usage is None else usage.quota.no_send_bytes
            if usage is not None and limit is not None and usage.used_bytes >= limit:
                raise Refusal(Reason.OVER_QUOTA, f"{principal.address} is over its sending limit")

    async def check_limits(self, principal: Principal, octets: int, recipients: int) -> None:
        """Whether the sender's policy allows such a message. Raises Refusal(TOO_LARGE, TOO_MANY)."""
        policy = await self._directory.policy_of(principal.account)
        if policy.max_message_bytes and octets > policy.max_message_bytes:
            raise Refusal(Reason.TOO_LARGE, f"policy {policy.name} allows {policy.max_message_bytes} octets")
        if policy.max_recipients and recipients > policy.max_recipients:
            raise Refusal(Reason.TOO_MANY, f"policy {policy.name} allows {policy.max_recipients} recipients")

    async def check_recipient(self, address: str, principal: Principal | None, size: int, *, may_relay: bool) -> Route:
        """Who that is. Raises Refusal(NO_SUCH_RECIPIENT, RELAY_DENIED, NOT_PERMITTED, OVER_QUOTA)."""
        found = await self._directory.resolve(address)
        account = found.account
        if account is not None:
            if account.mailbox is not None and (account.forward_keep or not account.forward_to):
                await self._check_quota(account.mailbox, size)
        elif found.group is not None:
            if found.group.authenticated_only and principal is None:
                raise Refusal(Reason.NOT_PERMITTED, f"{address} takes mail from authenticated senders only")
        elif not found.targets:
            if not found.relay:
                raise Refusal(Reason.NO_SUCH_RECIPIENT, address)
            if found.domain is None and principal is None and not may_relay:
                raise Refusal(Reason.RELAY_DENIED, address)
        return Route(found)

    def plain_outcomes(self, envelope: Envelope, routes: Sequence[Route]) -> list[AnyOutcome] | None:
        """Outcomes if every recipient is simply somebody's mailbox; None: the categorizer has to decide."""
        outcomes: list[AnyOutcome] = []
        mailboxes: set[MailboxId] = set()
        for recipient, route in zip(envelope.recipients, routes, strict=True):
            outcome = plain_delivery(recipient, route.resolution, envelope.reverse_path)
            if outcome is None:
                return None
            if outcome.mailbox not in mailboxes:
                mailboxes.add(outcome.mailbox)
                outcomes.append(outcome)
        return outcomes

    async def _check_quota(self, mailbox: MailboxId, size: int) -> None:
        usage = await self._usage_of(mailbox)
        if usage is None or usage.quota.no_receive_bytes is None:
            return
        if usage.used_bytes + size > usage.quota.no_receive_bytes:
            raise Refusal(Reason.OVER_QUOTA, f"mailbox {mailbox} is over its receiving limit")

    async def _usage_of(self, mailbox: MailboxId) -> _Usage | None:
        """What a mailbox holds, at most two seconds old; None if it does not answer now: delivery will find out."""
        now = self._clock.monotonic()
        usage = self._usage.get(mailbox)
        if usage is None or usage.until <= now:
            try:
                opened = await self._store.mailbox(mailbox)
                quota = await opened.quota()
                limited = quota.no_send_bytes is not None or quota.no_receive_bytes is not None
                usage = _Usage(now + _USAGE_KEPT_S, await opened.used_bytes() if limited else 0, quota)
            except Refusal:
                return None
            if len(self._usage) >= _USAGE_KEPT_COUNT:
                self._usage.clear()
            self._usage[mailbox] = usage
        return usage
