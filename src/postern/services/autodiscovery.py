"""What a signed-in client may learn of an address, in whatever form it asks (POX, SOAP, profile)."""

from __future__ import annotations

from postern.directory.interface import Account, Directory, Via
from postern.model.published import (
    Alternative,
    PublishedPerson,
    Redirection,
    by_legacy_dn,
    dashed,
    legacy_dn,
)
from postern.model.refusal import Refusal
from postern.services.principal import Principal

MAX_ALTERNATIVES = 100
"""Each is a mailbox that the client opens and keeps a copy of."""


class Autodiscovery:
    """One per worker."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def find(self, principal: Principal, address: str) -> PublishedPerson | Redirection | None:
        """What an address is for somebody: a mailbox, another address to ask with, or nothing.

        Whoever is hidden from the address book is known to themselves and to those who have rights in the mailbox; for
        all others the answer is the same as for an address that does not exist.
        """
        resolution = await self._directory.resolve(address)
        if resolution.via in (Via.CATCH_ALL, Via.ROLE):
            return None  # mail has somewhere to go, and still there is no such mailbox
        if resolution.account is not None:
            return await self._account(principal, resolution.account)
        if resolution.group is None and len(resolution.targets) == 1 and resolution.domain is not None:
            return Redirection(resolution.targets[0])
        return None

    async def by_legacy_dn(self, principal: Principal, name: str) -> PublishedPerson | Redirection | None:
        """The same by the name that MAPI has for it."""
        number = by_legacy_dn(name)
        account = await self._directory.account(number) if number is not None else None
        return None if account is None else await self._account(principal, account)

    async def ours(self, domain: str) -> bool:
        """Whether a domain is an accepted one."""
        try:
            return bool(domain) and await self._directory.domain(domain) is not None
        except Refusal:
            return False

    async def _account(self, principal: Principal, account: Account) -> PublishedPerson | None:
        if account.mailbox is None:
            return None
        own = account.id == principal.account
        if account.hidden and not own:
            reachable = await self._directory.reachable(principal.account)
            if all(account.id != other.id for other in reachable):
                return None
        alternatives = await self._directory.automapped(account.id) if own else ()
        secret = await self._directory.secret("deployment")
        return PublishedPerson(
            address=account.address,
            display_name=account.display_name,
            legacy_dn=legacy_dn(account.id),
            mailbox=dashed(account.mailbox),
            deployment=dashed(secret[:16].hex()),
            alternatives=tuple(
                Alternative(other.address, other.display_name) for other in alternatives[:MAX_ALTERNATIVES]
            ),
        )
