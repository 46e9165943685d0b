"""Signing in as somebody and acting as another: SASL's authorization identity (RFC 4422 2)."""

from __future__ import annotations

from postern.directory.interface import Account, Directory
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.model.rights import MailboxRight
from postern.services.permissions import Permissions
from postern.services.principal import Principal, standing


class Acting:
    """One per worker."""

    def __init__(self, directory: Directory, permissions: Permissions, clock: Clock) -> None:
        self._directory = directory
        self._permissions = permissions
        self._clock = clock

    async def principal(self, account: Account, protocol: str, authzid: str) -> Principal:
        """Whose mailbox is opened, and as whom. Raises Refusal(NOT_PERMITTED, ACCOUNT_DISABLED, ACCOUNT_EXPIRED)."""
        opened = account
        if authzid and authzid != account.address:
            target = await self._directory.login(authzid)
            if target is None:
                raise Refusal(Reason.NOT_PERMITTED, f"{account.address} may not act as {authzid}: no such account")
            if target.id != account.id:
                held = await self._directory.recipient_rights(target.id, account.id)
                if MailboxRight.FULL_ACCESS not in held:
                    return await self.impersonate(account, target, protocol)
                opened = target
        return Principal(
            account.id, account.address, opened.mailbox, opened.slot, account.generation, account.expires_at
        )

    async def impersonate(self, actor: Account, target: Account, protocol: str) -> Principal:
        """As another account by that right. Raises Refusal(NOT_PERMITTED, ACCOUNT_DISABLED, ACCOUNT_EXPIRED)."""
        if not await self._permissions.may_impersonate(actor.id, target):
            raise Refusal(Reason.NOT_PERMITTED, f"{actor.address} has no full access to {target.address}")
        reason = standing(target, protocol, self._clock.timestamp())
        if reason is not None:
            raise Refusal(reason, f"{target.address} may not use {protocol}")
        ends = [at for at in (actor.expires_at, target.expires_at) if at is not None]
        return Principal(
            target.id,
            target.address,
            target.mailbox,
            target.slot,
            target.generation,
            min(ends, default=None),
            actor.id,
            actor.generation,
        )
