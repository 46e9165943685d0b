"""May somebody do something: the one question every protocol asks before it acts for a principal."""

from __future__ import annotations

from typing import NamedTuple

from postern.directory.interface import Directory
from postern.model.ids import FolderId, MailboxId
from postern.model.rights import ROLES, FolderRight, MailboxRight
from postern.services.authentication import Principal

ALL_RIGHTS = ROLES["owner"]


class FolderObject(NamedTuple):
    """A folder of somebody's mailbox."""

    mailbox: MailboxId
    folder: FolderId


Object = MailboxId | FolderObject
"""What a right is asked for."""


class Permissions:
    """One per worker; cheap: the directory caches."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def may(self, principal: Principal | None, right: MailboxRight | FolderRight, on: Object) -> bool:
        """Whether a principal (None: anonymous) has a right on a mailbox or folder.

        Owners have every right on their own mailbox. FULL_ACCESS opens every folder but does not allow sending.
        """
        mailbox = on.mailbox if isinstance(on, FolderObject) else on
        if isinstance(right, MailboxRight):
            if principal is None:
                return False
            owner = await self._directory.account_of(mailbox)
            if owner is not None and owner.id == principal.account:
                return True
            return right in await self._directory.mailbox_rights(mailbox, principal.account)
        folder = on.folder if isinstance(on, FolderObject) else FolderId(0)
        held = await self.folder_rights(principal, mailbox, folder)
        return held & right == right

    async def folder_rights(self, principal: Principal | None, mailbox: MailboxId, folder: FolderId) -> FolderRight:
        """All rights on a folder, for MYRIGHTS and the like."""
        if principal is None:
            return await self._anonymous(mailbox, folder)
        owner = await self._directory.account_of(mailbox)
        if owner is not None and owner.id == principal.account:
            return ALL_RIGHTS
        if MailboxRight.FULL_ACCESS in await self._directory.mailbox_rights(mailbox, principal.account):
            return ALL_RIGHTS
        table = await self._directory.folder_rights(mailbox, principal.account)
        return table.get(folder, table.get(0, FolderRight(0)))

    async def _anonymous(self, mailbox: MailboxId, folder: FolderId) -> FolderRight:
        rows = {
            row.folder: row.rights
            for row in await self._directory.folder_permissions(mailbox)
            if row.address == "anonymous"
        }
        return rows.get(folder, rows.get(0, FolderRight(0)))

    async def may_send_as(self, principal: Principal, address: str) -> bool:
        """Whether a principal may use an address as sender (reverse-path, From).

        Its own address, aliases and plus-addresses, and those of objects on which it has SEND_AS.
        """
        found = await self._directory.resolve(address)
        if found.account is not None:
            if found.via.value in {"role", "catch_all"}:
                return False
            if found.account.id == principal.account:
                return True
            mailbox = found.account.mailbox
            return mailbox is not None and await self.may(principal, MailboxRight.SEND_AS, mailbox)
        if found.targets:
            # an alias of several: each of them may write in its name
            for target in found.targets:
                own = await self._directory.resolve(target)
                if own.account is not None and own.account.id == principal.account:
                    return True
        return False

    async def mailboxes(self, principal: Principal) -> list[tuple[str, MailboxId, int]]:
        """Address, mailbox and bus slot of others' mailboxes in which a principal has any right."""
        reachable = await self._directory.reachable(principal.account)
        return [(a.address, a.mailbox, a.slot) for a in reachable if a.mailbox is not None]
