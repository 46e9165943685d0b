"""Mailboxes as principals may use them: who gets which kind of access, and whose mailboxes somebody can open.

Re-exports the store's value types, because front ends reach the store through here.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from postern.model.ids import FolderId, MailboxId
from postern.model.items import (
    Changes,
    FolderView,
    Quota,
)
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.model.rights import FolderRight, MailboxRight
from postern.services.authentication import Principal
from postern.services.delegate_access import DelegateAccess
from postern.services.item_access import Disposal, ItemAccess
from postern.services.lifecycle import Sessions
from postern.services.mailbox_access import Appender, MailboxAccess
from postern.services.permissions import Permissions
from postern.services.public_folders import ReaderAppender, ReaderMailbox
from postern.services.subscriptions import VisitedMailbox
from postern.store.interface import (
    Bus,
    CopyResult,
    FlagChange,
    FlagResult,
    ItemUpdate,
    Mailbox,
    Ranges,
    Store,
)


class OtherMailbox(NamedTuple):
    """Somebody else's mailbox in which a principal has a right: an entry of the namespace of other users."""

    address: str
    mailbox: MailboxId


class Mailboxes:
    """One a worker."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        permissions: Permissions,
        mailflow: Appender,
        clock: Clock,
        sessions: Sessions | None = None,
    ) -> None:
        self._clock = clock
        self._sessions = sessions
        self._store = store
        self._bus = bus
        self._permissions = permissions
        self._mailflow = mailflow

    async def open(self, principal: Principal, owner: MailboxId | None = None) -> MailboxAccess:
        """A mailbox, by default the principal's own.

        Raises Refusal(NO_SUCH_RECIPIENT) for one that is not there, NOT_PERMITTED, and the store's.
        """
        return (await self._open(principal, owner))[0]

    async def _open(self, principal: Principal, owner: MailboxId | None) -> tuple[MailboxAccess, Mailbox]:
        """The access, and what it is to."""
        mailbox, slot, full = await self._reach(principal, owner)
        opened, mailflow = await self._opened(principal, mailbox)
        if full:
            if owner is not None and owner != principal.mailbox and self._sessions is not None:
                self._sessions.opened(principal, owner)
            whole = MailboxAccess(opened, self._store, self._bus, slot, mailflow)
            whole.own_read_state = mailflow is not self._mailflow
            whole.inherit = self._permissions.inherit
            return whole, opened
        access = DelegateAccess(opened, self._store, self._bus, slot, mailflow)
        access.principal, access.permissions = principal, self._permissions
        access.own_read_state = mailflow is not self._mailflow
        access.inherit = self._permissions.inherit
        return access, opened

    async def _opened(self, principal: Principal, mailbox: MailboxId) -> tuple[Mailbox, Appender]:
        """The mailbox, and what appends to it; another's and public folders as the principal sees them."""
        opened = await self._store.mailbox(mailbox)
        if mailbox == principal.mailbox:
            return opened, self._mailflow
        if not await self._permissions.is_public(mailbox):
            return cast(Mailbox, VisitedMailbox(opened, principal.account)), self._mailflow
        reader = ReaderMailbox(opened, principal.account)
        return cast(Mailbox, reader), ReaderAppender(self._mailflow, reader)

    async def check(self, principal: Principal) -> None:
        """Whether `open` would look for the principal's own mailbox: nothing is opened, which costs a sign-in the most.

        Raises Refusal(NO_SUCH_RECIPIENT, NOT_PERMITTED).
        """
        await self._reach(principal, None)

    async def _reach(self, principal: Principal, owner: MailboxId | None) -> tuple[MailboxId, int, bool]:
        """Which mailbox, its slot on the bus, and whether the principal has full access."""
        mailbox = principal.mailbox if owner is None else owner
        if mailbox is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, f"{principal.address} has no mailbox")
        full = await self._permissions.may(principal, MailboxRight.FULL_ACCESS, mailbox)
        slot = principal.slot
        if mailbox != principal.mailbox or not full:
            slot = await self._permissions.reach(principal, mailbox)
            if not slot:
                raise Refusal(Reason.NOT_PERMITTED, f"{principal.address} on {mailbox}")
        return mailbox, slot, full

    async def folder_rights(self, principal: Principal, mailbox: MailboxId, folder: FolderId) -> FolderRight:
        """All rights on a folder."""
        return await self._permissions.folder_rights(principal, mailbox, folder)

    async def folder_permissions(self, mailbox: MailboxId, folder: FolderId) -> dict[str, FolderRight]:
        """Rights of others on a folder, by address, `default` or `anonymous`: its own rows, else the mailbox's."""
        return await self._permissions.folder_table(mailbox, folder)

    async def set_folder_permission(
        self, mailbox: MailboxId, folder: FolderId, grantee: str, rights: FolderRight | None
    ) -> None:
        """Give rights on a folder, None takes them away. Whether the asker may is the caller's business.

        Raises Refusal for a grantee that there is not.
        """
        await self._permissions.set_folder_rights(mailbox, folder, grantee, rights)

    async def items(self, principal: Principal, owner: MailboxId | None = None) -> ItemAccess:
        """The items of a mailbox, by default the principal's own. Raises as `open`."""
        return ItemAccess(*await self._open(principal, owner), self._clock)

    async def full(self, principal: Principal) -> list[MailboxId]:
        """Mailboxes that a principal may do everything in, the own one first."""
        found = [] if principal.mailbox is None else [principal.mailbox]
        for other in await self.others(principal):
            if await self._permissions.may(principal, MailboxRight.FULL_ACCESS, other.mailbox):
                found.append(other.mailbox)
        return found

    async def others(self, principal: Principal) -> list[OtherMailbox]:
        """The other users' mailboxes that NAMESPACE and LIST show."""
        found = await self._permissions.mailboxes(principal)
        public = await self.public(principal)
        hidden = {principal.mailbox, public.mailbox if public is not None else None}
        return sorted(OtherMailbox(address, mailbox) for address, mailbox, _ in found if mailbox not in hidden)

    async def named(self, principal: Principal, address: str) -> OtherMailbox | None:
        """Another's mailbox by its address; None: there is none, or nothing in it for the principal.

        Folders that are open to everybody are found so, and not in `others`.
        """
        found = await self._permissions.named(principal, address)
        return None if found is None or found.mailbox is None else OtherMailbox(found.address, found.mailbox)

    async def public(self, principal: Principal) -> OtherMailbox | None:
        """The mailbox of public folders; None: there is none, or nothing in it for the principal."""
        found = await self._permissions.public(principal)
        return None if found is None or found.mailbox is None else OtherMailbox(found.address, found.mailbox)


__all__ = [
    "Changes",
    "CopyResult",
    "DelegateAccess",
    "Disposal",
    "FlagChange",
    "FlagResult",
    "FolderView",
    "ItemAccess",
    "ItemUpdate",
    "MailboxAccess",
    "Mailboxes",
    "OtherMailbox",
    "Quota",
    "Ranges",
]
