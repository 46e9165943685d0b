"""Who is behind an address, and acting as somebody: what the web services ask of the directory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from postern.directory.interface import Directory
from postern.model.ids import MailboxId
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.services.acting import Acting
from postern.services.permissions import Permissions
from postern.services.principal import Principal

_MAX_MEMBERS = 10_000


class Owner(NamedTuple):
    """Whose a mailbox is."""

    address: str
    name: str


class Member(NamedTuple):
    """Of a group."""

    address: str
    name: str
    kind: str
    """`mailbox`, `group` or `contact`."""


class Identities:
    """One a worker."""

    def __init__(self, directory: Directory, permissions: Permissions, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._acting = Acting(directory, permissions, clock)

    async def mailbox_of(self, address: str) -> MailboxId:
        """The mailbox behind an address. Raises Refusal(NO_SUCH_RECIPIENT)."""
        found = await self._directory.resolve(address)
        if found.account is None or found.account.mailbox is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, address)
        return found.account.mailbox

    async def principal(self, mailbox: MailboxId) -> Principal | None:
        """Who a mailbox belongs to, for work that goes on without a sign-in; None: nobody who may use it now."""
        account = await self._directory.account_of(mailbox)
        if account is None or not account.enabled or account.mailbox is None:
            return None
        if account.expires_at is not None and account.expires_at <= self._clock.timestamp():
            return None
        return Principal(account.id, account.address, account.mailbox, account.slot, account.generation)

    async def owner(self, mailbox: MailboxId) -> Owner:
        """Raises Refusal(NO_SUCH_RECIPIENT)."""
        account = await self._directory.account_of(mailbox)
        if account is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, mailbox)
        return Owner(account.address, account.display_name or account.address)

    async def act_as(self, principal: Principal, name: str, protocol: str) -> Principal:
        """Impersonate (ApplicationImpersonation). `name`: an address or user principal name.

        Raises Refusal(NO_SUCH_RECIPIENT, NOT_PERMITTED, ACCOUNT_DISABLED, ACCOUNT_EXPIRED).
        """
        target = await self._directory.login(name)
        if target is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, name)
        account = await self._directory.account(principal.account)
        if account is None:
            raise Refusal(Reason.ACCOUNT_DISABLED, principal.address)
        if target.id == account.id:
            return principal
        return await self._acting.impersonate(account, target, protocol)

    async def password_expires_at(self, principal: Principal, address: str) -> float | None:
        """When one's own password has to be changed; None: never. Raises Refusal(NOT_PERMITTED) for others'."""
        account = await self._directory.account(principal.account)
        if address:
            found = await self._directory.resolve(address)
            if found.account is None:
                raise Refusal(Reason.NO_SUCH_RECIPIENT, address)
            if account is None or found.account.id != account.id:
                raise Refusal(Reason.NOT_PERMITTED, f"{principal.address} asks for the password of {address}")
        return None if account is None else account.password_expires_at

    async def members(self, address: str) -> Sequence[Member]:
        """Direct members of a group that the address book shows. Raises Refusal(NO_SUCH_RECIPIENT)."""
        found = await self._directory.resolve(address)
        if found.group is None or found.group.hidden:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, address)
        members: list[Member] = []
        for one in found.group.members[:_MAX_MEMBERS]:
            inside = await self._directory.resolve(one)
            if inside.account is not None:
                name = inside.account.display_name or inside.account.address
                members.append(Member(inside.account.address, name, "mailbox"))
            elif inside.group is not None:
                members.append(Member(inside.group.address, inside.group.display_name or one, "group"))
            else:
                members.append(Member(one, one, "contact"))
        return members
