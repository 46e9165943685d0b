"""May somebody do something: the one question every protocol asks before it acts for a principal.

`decide` is the one place that knows; `may` says yes or no, `explain` tells an administrator what led to it.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from postern.directory.interface import Account, Directory, RecipientKind
from postern.model.ids import AccountId, FolderId, MailboxId
from postern.model.rights import ADMIN_ROLES, ROLES, AdminRight, FolderRight, MailboxRight
from postern.services.principal import Principal

ALL_RIGHTS = ROLES["owner"]
FREEBUSY = FolderRight.FREEBUSY_SIMPLE | FolderRight.FREEBUSY_DETAILED
"""Rights that open no folder."""
PROTECTED = frozenset({AdminRight.MANAGE_RECIPIENTS, AdminRight.RESET_PASSWORDS, AdminRight.IMPERSONATE})
"""Rights that over an administrator only those have who may give roles: else they would be the way to any role."""


class FolderObject(NamedTuple):
    """A folder of somebody's mailbox."""

    mailbox: MailboxId
    folder: FolderId


class RecipientObject(NamedTuple):
    """An account, contact or group, by its number."""

    id: AccountId


class Organisation(Enum):
    """The organisation itself: settings, domains, connectors, roles."""

    WHOLE = "organisation"


Right = MailboxRight | FolderRight | AdminRight
Object = MailboxId | FolderObject | RecipientObject | Organisation
"""What a right is asked for: MailboxRight for mailboxes and recipients, FolderRight for folders and whole mailboxes,
AdminRight for all but folders."""


class Ground(Enum):
    """Why somebody may."""

    OWNER = "owner"
    FULL_ACCESS = "full_access"
    GRANTED = "granted"
    FOLDER = "folder"
    DEFAULT = "default"
    """What everybody who is signed in has (Outlook's Default)."""
    ANONYMOUS = "anonymous"
    ROLE = "role"


class Explanation(NamedTuple):
    """An answer with what led to it."""

    allowed: bool
    ground: Ground | None
    holder: str = ""
    """Address of the account or group that was given the right or role."""
    scope: str = ""
    """Of the role."""
    protected: bool = False
    """The role would do, but the object is an administrator."""


class Permissions:
    """One per worker; cheap: the directory caches."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def may(self, principal: Principal | None, right: Right, on: Object) -> bool:
        """Whether a principal (None: anonymous) has a right on an object.

        Owners have every right on their own mailbox. FULL_ACCESS opens every folder but does not allow sending.
        """
        return await self.decide(principal, right, on) is not None

    async def decide(self, principal: Principal | None, right: Right, on: Object) -> Ground | None:
        """The ground on which a principal has a right; None: it has not."""
        if isinstance(right, AdminRight):
            return None if principal is None else await self._decide_role(principal, right, on)
        if isinstance(right, MailboxRight):
            return None if principal is None else await self._decide_mailbox(principal, right, on)
        if isinstance(on, RecipientObject | Organisation):
            return None
        mailbox, folder = on if isinstance(on, FolderObject) else (on, FolderId(0))
        held, ground = await self._folder(principal, mailbox, folder)
        return ground if held & right == right else None

    async def _decide_mailbox(self, principal: Principal, right: MailboxRight, on: Object) -> Ground | None:
        if isinstance(on, RecipientObject):
            if on.id == principal.account:
                return Ground.OWNER
            held = await self._directory.recipient_rights(on.id, principal.account)
            return Ground.GRANTED if right in held else None
        if isinstance(on, FolderObject | Organisation):
            return None
        owner = await self._directory.account_of(on)
        if owner is not None and owner.id == principal.account:
            return Ground.OWNER
        return Ground.GRANTED if right in await self._directory.mailbox_rights(on, principal.account) else None

    async def _decide_role(self, principal: Principal, right: AdminRight, on: Object) -> Ground | None:
        number = await self._number(on)
        if isinstance(on, FolderObject) or (number is None and on is not Organisation.WHOLE):
            return None
        if right not in await self._directory.admin_rights(principal.account, number):
            return None
        return None if await self._protected(principal.account, right, number) else Ground.ROLE

    async def _number(self, on: Object) -> AccountId | None:
        if isinstance(on, RecipientObject):
            return on.id
        if isinstance(on, str):
            owner = await self._directory.account_of(on)
            return None if owner is None else owner.id
        return None

    async def _protected(self, account: AccountId, right: AdminRight, on: AccountId | None) -> bool:
        if on is None or on == account or right not in PROTECTED or not await self._directory.holds_role(on):
            return False
        return AdminRight.MANAGE_ROLES not in await self._directory.admin_rights(account)

    async def may_impersonate(self, actor: AccountId, target: Account) -> bool:
        """Whether somebody may act as another account (ApplicationImpersonation)."""
        held = await self._directory.admin_rights(actor, target.id)
        if AdminRight.IMPERSONATE not in held:
            return False
        return not await self._protected(actor, AdminRight.IMPERSONATE, target.id)

    # --- folders
    async def folder_rights(self, principal: Principal | None, mailbox: MailboxId, folder: FolderId) -> FolderRight:
        """All rights on a folder, for MYRIGHTS and the like."""
        return (await self._folder(principal, mailbox, folder))[0]

    async def _folder(
        self, principal: Principal | None, mailbox: MailboxId, folder: FolderId
    ) -> tuple[FolderRight, Ground]:
        if principal is None:
            return await self._anonymous(mailbox, folder), Ground.ANONYMOUS
        owner = await self._directory.account_of(mailbox)
        if owner is not None and owner.id == principal.account:
            return ALL_RIGHTS, Ground.OWNER
        if MailboxRight.FULL_ACCESS in await self._directory.mailbox_rights(mailbox, principal.account):
            return ALL_RIGHTS, Ground.FULL_ACCESS
        table = await self._directory.folder_rights(mailbox, principal.account)
        return table.get(folder, table.get(0, FolderRight(0))), Ground.FOLDER

    async def folder_table(self, mailbox: MailboxId, folder: FolderId) -> dict[str, FolderRight]:
        """Rights on a folder by address, `default` or `anonymous`: its own rows, else those of the mailbox."""
        rows = await self._directory.folder_permissions(mailbox)
        table = {row.address: row.rights for row in rows if row.folder == 0}
        return table | {row.address: row.rights for row in rows if row.folder == folder}

    async def set_folder_rights(
        self, mailbox: MailboxId, folder: FolderId, grantee: str, rights: FolderRight | None
    ) -> None:
        """Set a row, None removes it; a right that the mailbox's default gives is taken back by a row without it."""
        if rights is None and any(
            row.folder == 0 and row.address == grantee.lower()
            for row in await self._directory.folder_permissions(mailbox)
        ):
            rights = FolderRight(0)
        await self._directory.set_folder_rights(mailbox, folder, grantee, rights)

    async def inherit(self, mailbox: MailboxId, parent: FolderId, folder: FolderId) -> None:
        """A new folder is open to whom its parent is (as in Exchange; RFC 4314 3 leaves it to the server)."""
        await self._directory.inherit_folder_rights(mailbox, parent, folder)

    async def _anonymous(self, mailbox: MailboxId, folder: FolderId) -> FolderRight:
        rows = {
            row.folder: row.rights
            for row in await self._directory.folder_permissions(mailbox)
            if row.address == "anonymous"
        }
        return rows.get(folder, rows.get(0, FolderRight(0)))

    # --- sending
    async def may_send_as(self, principal: Principal, address: str) -> bool:
        """Whether a principal may use an address as sender (reverse-path, From).

        Its own address, aliases and plus-addresses, and those of objects on which it has SEND_AS.
        """
        return await self._may_send(principal, address, MailboxRight.SEND_AS)

    async def may_send_on_behalf(self, principal: Principal, address: str) -> bool:
        """Whether a principal may write in the name of an address if Sender says who it is."""
        return await self._may_send(principal, address, MailboxRight.SEND_ON_BEHALF)

    async def _may_send(self, principal: Principal, address: str, right: MailboxRight) -> bool:
        found = await self._directory.resolve(address)
        if found.via.value in {"role", "catch_all"}:
            return False
        if found.account is not None:
            return await self.may(principal, right, RecipientObject(found.account.id))
        if found.group is not None:
            return await self.may(principal, right, RecipientObject(found.group.id))
        # an alias of several: each of them may write in its name
        for target in found.targets:
            own = await self._directory.resolve(target)
            if own.account is not None and own.account.id == principal.account:
                return True
        return False

    # --- other mailboxes
    async def mailboxes(self, principal: Principal) -> list[tuple[str, MailboxId, int]]:
        """Address, mailbox and bus slot of others' mailboxes in which a principal has any right."""
        reachable = await self._directory.reachable(principal.account)
        return [(a.address, a.mailbox, a.slot) for a in reachable if a.mailbox is not None]

    async def public(self, principal: Principal) -> Account | None:
        """The mailbox of public folders, if the principal has any right in it."""
        account = await self._directory.public_folders()
        if account is None or account.mailbox is None or not await self.reach(principal, account.mailbox):
            return None
        return account

    async def reach(self, principal: Principal, mailbox: MailboxId) -> int:
        """Bus slot of another's mailbox in which a principal has any right, be it everybody's; 0: none."""
        account = await self._directory.account_of(mailbox)
        if account is None:
            return 0
        if MailboxRight.FULL_ACCESS in await self._directory.mailbox_rights(mailbox, principal.account):
            return account.slot
        held = await self._directory.folder_rights(mailbox, principal.account)
        return account.slot if any(rights & ~FREEBUSY for rights in held.values()) else 0

    async def named(self, principal: Principal, address: str) -> Account | None:
        """The account behind an address in whose mailbox a principal has any right."""
        account = (await self._directory.resolve(address)).account
        if account is None or account.mailbox is None or not await self.reach(principal, account.mailbox):
            return None
        return account

    async def is_public(self, mailbox: MailboxId) -> bool:
        """Whether a mailbox holds public folders."""
        account = await self._directory.account_of(mailbox)
        return account is not None and account.kind is RecipientKind.PUBLIC

    # --- explaining
    async def explain(self, principal: Principal | None, right: Right, on: Object) -> Explanation:
        """What `may` answers, and by whose grant."""
        ground = await self.decide(principal, right, on)
        if principal is None:
            return Explanation(ground is not None, ground)
        holders = {principal.account: principal.address, **await self._directory.groups_of(principal.account)}
        if isinstance(right, AdminRight):
            return await self._explain_role(principal, right, on, ground, holders)
        holder = ""
        if ground is Ground.GRANTED or ground is Ground.FULL_ACCESS:
            wanted = right if isinstance(right, MailboxRight) else MailboxRight.FULL_ACCESS
            number = await self._number(on.mailbox if isinstance(on, FolderObject) else on)
            rows = await self._directory.recipient_permissions(number) if number is not None else ()
            holder = next((row.address for row in rows if row.right is wanted and row.grantee in holders), "")
        elif ground is Ground.FOLDER:
            assert isinstance(right, FolderRight)
            mailbox, folder = on if isinstance(on, FolderObject) else (MailboxId(str(on)), FolderId(0))
            table = await self._directory.folder_permissions(mailbox)
            places = [row for row in table if row.folder == folder] or [row for row in table if row.folder == 0]
            named = [row.address for row in places if row.grantee in holders and row.rights & right]
            if not named:
                ground = Ground.DEFAULT
            holder = ", ".join(named)
        return Explanation(ground is not None, ground, holder)

    async def _explain_role(
        self, principal: Principal, right: AdminRight, on: Object, ground: Ground | None, holders: dict[AccountId, str]
    ) -> Explanation:
        number = await self._number(on)
        protected = ground is None and await self._protected(principal.account, right, number)
        protected = protected and right in await self._directory.admin_rights(principal.account, number)
        for row in await self._directory.role_assignments():
            if ground is None or row.grantee not in holders or right not in ADMIN_ROLES[row.role]:
                continue
            if not row.scope or (number is not None and await self._directory.covers(row.scope, number)):
                return Explanation(True, ground, f"{row.role.value}: {row.address}", row.scope)
        return Explanation(ground is not None, ground, protected=protected)
