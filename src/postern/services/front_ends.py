"""Servers of the organisation that act for users: a front end has signed the user in, the back end opens the mailbox.

Only a server that the directory marks as a front end may, and only after it has proved who it is by a certificate or
Kerberos. Where users come from and what they proved is the front end's to judge; the account's standing and the rules
for its protocols are asked here all the same, at the front end's address.
"""

from __future__ import annotations

from postern.directory.interface import Directory, Server
from postern.directory.safeguards import NO_SAFEGUARDS
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.services import attempts
from postern.services.access import Access
from postern.services.attempts import Proof
from postern.services.principal import Principal, standing
from postern.services.signin_log import SignInLog

PROTOCOLS = frozenset({"imap", "pop3", "smtp"})
"""By which a front end may act for users."""


class FrontEnds:
    """One per worker."""

    def __init__(self, directory: Directory, access: Access, clock: Clock, log: SignInLog | None) -> None:
        self._directory = directory
        self._access = access
        self._clock = clock
        self._log = log

    async def by_principal(self, principal: str) -> Server | None:
        """The server that signs in with Kerberos by that name."""
        return next((one for one in await self._directory.servers() if one.principal == principal), None)

    async def by_name(self, name: str) -> Server | None:
        """The server of that name."""
        return next((one for one in await self._directory.servers() if one.name == name), None)

    async def act(self, server: Server, protocol: str, user: str, peer_address: str) -> Principal:
        """Whom a server that has proved itself acts for. Raises Refusal; every outcome is in the log of sign-ins."""
        attempt = attempts.current(peer_address, protocol)
        try:
            principal = await self._act(server, protocol, user, peer_address)
        except Refusal as refusal:
            if self._log is not None:
                await self._log.refused(attempt, server.name, refusal.reason, "front-end", refusal.detail, server=True)
            raise
        if self._log is not None:
            self._log.accepted(attempt, server.name, "front-end", acting=principal.address)
        return principal

    async def _act(self, server: Server, protocol: str, user: str, peer_address: str) -> Principal:
        if not server.front_end:
            raise Refusal(Reason.NOT_PERMITTED, f"{server.name} may not act for users: it is no front end")
        if protocol not in PROTOCOLS:
            raise Refusal(Reason.NOT_PERMITTED, f"{server.name} may not act for users by {protocol}")
        if not user:
            raise Refusal(Reason.NOT_PERMITTED, f"{server.name} names nobody to act for")
        account = await self._directory.login(user)
        if account is None or account.shared:
            raise Refusal(Reason.NOT_PERMITTED, f"{server.name} acts for {user}, and nobody signs in as that")
        reason = standing(account, protocol, self._clock.timestamp())
        if reason is not None:
            raise Refusal(reason, f"{server.name} acts for {account.address}, who may not use {protocol}")
        bar = await self._access.bar(account, NO_SAFEGUARDS, protocol, peer_address, Proof.INDEPENDENT)
        if bar is not None:
            raise Refusal(Reason.NOT_PERMITTED, f"{server.name} acts for {account.address}: {bar.cause} {bar.detail}")
        return Principal(
            account.id,
            account.address,
            account.mailbox,
            account.slot,
            account.generation,
            account.expires_at,
            front_end=server.name,
        )
