"""Who acts for the owner of a mailbox: delegates, what they may do in which folder, and who gets the meeting mail.

A delegate is three things at once: a name among the calendar's settings, rows in the tables of folders, and the right
to write on the owner's behalf (MS-OXODLGT 2.2). They are changed together here, rights first: a crash in between
leaves what the same request repairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from postern.directory.interface import Account, Directory
from postern.model.calendar.appointment import Person
from postern.model.ids import MailboxId
from postern.model.items import SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.model.rights import FolderRight, MailboxRight
from postern.services.calendar.delegates import Delegate, Delivery
from postern.services.calendar.settings import load_settings, replace_delegates, save_settings
from postern.services.delegate_access import DelegateAccess
from postern.services.item_access import ItemAccess
from postern.services.mailboxes import Mailboxes
from postern.services.principal import Principal
from postern.store.interface import Mailbox, Store

FOLDERS = (
    SpecialUse.CALENDAR,
    SpecialUse.TASKS,
    SpecialUse.INBOX,
    SpecialUse.CONTACTS,
    SpecialUse.NOTES,
    SpecialUse.JOURNAL,
)
"""Folders that delegates are given rights on."""
MAX_DELEGATES = 100


class Acting(NamedTuple):
    """A delegate as told."""

    address: str
    name: str
    rights: Mapping[SpecialUse, FolderRight]
    receives_copies: bool
    sees_private: bool


class Change(NamedTuple):
    """What is to be so. None, and folders that are not named: as it was, of a new one nothing."""

    rights: Mapping[SpecialUse, FolderRight]
    receives_copies: bool | None = None
    sees_private: bool | None = None


class Delegation:
    """One a worker."""

    def __init__(self, mailboxes: Mailboxes, store: Store, directory: Directory) -> None:
        self._mailboxes = mailboxes
        self._store = store
        self._directory = directory

    async def open(self, principal: Principal, owner: MailboxId) -> Delegates:
        """The delegates of a mailbox that the principal may do everything in. Raises Refusal(NOT_PERMITTED)."""
        items = await self._mailboxes.items(principal, owner)
        if isinstance(items.access, DelegateAccess):
            items.access.need_all()
        account = await self._directory.account_of(owner)
        if account is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, owner)
        return Delegates(self._mailboxes, self._directory, account, items, await self._store.mailbox(owner))

    async def sees_private(self, principal: Principal, items: ItemAccess) -> bool:
        """Whether private items of a mailbox are more than their times to a principal."""
        if not isinstance(items.access, DelegateAccess):
            return True
        settings = await load_settings(await self._store.mailbox(items.id))
        for one in settings.delegates:
            if one.sees_private:
                found = await self._directory.resolve(one.person.address)
                if found.account is not None and found.account.id == principal.account:
                    return True
        return False


class Delegates:
    """Of one mailbox."""

    def __init__(
        self, mailboxes: Mailboxes, directory: Directory, owner: Account, items: ItemAccess, mailbox: Mailbox
    ) -> None:
        self._mailboxes = mailboxes
        self._directory = directory
        self._owner = owner
        self._items = items
        self._mailbox = mailbox

    async def delivery(self) -> Delivery:
        """Who gets meeting mail."""
        return (await load_settings(self._mailbox)).delivery

    async def set_delivery(self, delivery: Delivery) -> None:
        """Durable on return."""
        await save_settings(self._mailbox, delivery=delivery)

    async def all(self) -> list[Acting]:
        """Those whose accounts are there."""
        found = []
        for one in (await load_settings(self._mailbox)).delegates:
            account = (await self._directory.resolve(one.person.address)).account
            if account is not None:
                found.append(await self._acting(account, one))
        return found

    async def _acting(self, account: Account, one: Delegate) -> Acting:
        rights = {}
        for use in FOLDERS:
            table = await self._mailboxes.folder_permissions(self._owner_mailbox, (await self._items.special(use)).id)
            rights[use] = table.get(account.address.lower(), FolderRight(0))
        return Acting(
            account.address, account.display_name or account.address, rights, one.receives_copies, one.sees_private
        )

    @property
    def _owner_mailbox(self) -> MailboxId:
        return self._items.id

    async def account(self, address: str) -> Account:
        """Who may become a delegate: somebody with an account. Raises Refusal(NO_SUCH_RECIPIENT, BAD_VALUE: owner)."""
        found = (await self._directory.resolve(address)).account if address else None
        if found is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, address)
        if found.id == self._owner.id:
            raise Refusal(Reason.BAD_VALUE, f"{address} is the owner")
        return found

    async def add(self, address: str, change: Change) -> Acting:
        """Make somebody a delegate; durable on return. Raises Refusal(ALREADY_EXISTS, TOO_MANY) and as `account`."""
        account = await self.account(address)
        one = Delegate(
            Person(account.address, account.display_name),
            change.receives_copies is True,
            change.sees_private is True,
        )

        async def added(known: Sequence[Delegate]) -> Sequence[Delegate]:
            if await self._find(known, account) is not None:
                raise Refusal(Reason.ALREADY_EXISTS, address)
            if len(known) >= MAX_DELEGATES:
                raise Refusal(Reason.TOO_MANY, f"a mailbox has {MAX_DELEGATES} delegates at most")
            return (*known, one)

        await added((await load_settings(self._mailbox)).delegates)
        rights = dict.fromkeys(FOLDERS, FolderRight(0)) | dict(change.rights)
        await self._grant(account, rights)
        await self._on_behalf(account, granted=True)
        await replace_delegates(self._mailbox, added)
        return await self._acting(account, one)

    async def update(self, address: str, change: Change) -> Acting:
        """Change what a delegate may; durable on return. Raises Refusal(NO_SUCH_ITEM: is none) and as `account`."""
        account, _ = await self._known(address)
        await self._grant(account, change.rights)

        async def updated(known: Sequence[Delegate]) -> Sequence[Delegate]:
            old = await self._among(known, account)
            one = Delegate(
                Person(account.address, account.display_name),
                old.receives_copies if change.receives_copies is None else change.receives_copies,
                old.sees_private if change.sees_private is None else change.sees_private,
            )
            return tuple(one if each is old else each for each in known)

        await replace_delegates(self._mailbox, updated)
        return await self.get(address)

    async def remove(self, address: str) -> None:
        """Take everything a delegate was given; durable on return. Raises as `update`."""
        account, _ = await self._known(address)
        await self._grant(account, dict.fromkeys(FOLDERS, FolderRight(0)))
        await self._on_behalf(account, granted=False)

        async def without(known: Sequence[Delegate]) -> Sequence[Delegate]:
            old = await self._among(known, account)
            return tuple(each for each in known if each is not old)

        await replace_delegates(self._mailbox, without)

    async def get(self, address: str) -> Acting:
        """One delegate. Raises as `update`."""
        return await self._acting(*await self._known(address))

    async def _known(self, address: str) -> tuple[Account, Delegate]:
        account = await self.account(address)
        return account, await self._among((await load_settings(self._mailbox)).delegates, account)

    async def _among(self, known: Sequence[Delegate], account: Account) -> Delegate:
        found = await self._find(known, account)
        if found is None:
            raise Refusal(Reason.NO_SUCH_ITEM, f"{account.address} is no delegate")
        return found

    async def _find(self, known: Sequence[Delegate], account: Account) -> Delegate | None:
        for one in known:
            found = (await self._directory.resolve(one.person.address)).account
            if found is not None and found.id == account.id:
                return one
        return None

    async def _grant(self, account: Account, rights: Mapping[SpecialUse, FolderRight]) -> None:
        for use, given in rights.items():
            folder = (await self._items.special(use)).id
            row = given or None
            await self._mailboxes.set_folder_permission(self._owner_mailbox, folder, account.address, row)

    async def _on_behalf(self, account: Account, *, granted: bool) -> None:
        right = MailboxRight.SEND_ON_BEHALF
        await self._directory.grant_on(self._owner.address, account.address, right, granted=granted)


__all__ = ["FOLDERS", "MAX_DELEGATES", "Acting", "Change", "Delegates", "Delegation", "Delivery"]
