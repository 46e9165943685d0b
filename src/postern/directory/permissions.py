"""The embedded directory's permission tables: who may do what in whose mailbox."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from postern.directory.base import ACCOUNTS, MAX_CACHED, DirectoryFile
from postern.directory.objects import (
    ANONYMOUS_MEMBER,
    DEFAULT_MEMBER,
    Account,
    FolderPermission,
    MailboxPermission,
    RecipientKind,
)
from postern.model.ids import AccountId, MailboxId
from postern.model.refusal import Reason, Refusal
from postern.model.rights import FolderRight, MailboxRight

# the account itself and every group it is in, however deep; UNION stops at loops
GRANTEES = """
WITH RECURSIVE held(id) AS (
    SELECT ?1
    UNION
    SELECT m.grp FROM held h JOIN objects o ON o.id = h.id JOIN members m ON m.address = o.address
    UNION
    SELECT m.grp FROM held h JOIN proxies p ON p.object = h.id JOIN members m ON m.address = p.address
)
"""


class PermissionTables(DirectoryFile):
    """Reading and changing permissions."""

    async def mailbox_rights(self, owner: MailboxId, account: AccountId) -> frozenset[MailboxRight]:
        """What was granted to an account, also by way of its groups."""
        self._refresh()
        held = self._held(account)
        return frozenset(right for grantee, right in self._grants(owner) if grantee in held)

    async def folder_rights(self, owner: MailboxId, account: AccountId) -> Mapping[int, FolderRight]:
        """Folder -> rights; a row of one's own or of a group wins over Default, as MS-OXCPERM 3.2.5.1 has it."""
        self._refresh()
        held = self._held(account)
        named: dict[int, FolderRight] = {}
        default: dict[int, FolderRight] = {}
        for row in self._table(owner):
            folder, grantee, rights = row.folder, row.grantee, row.rights
            if grantee == DEFAULT_MEMBER or grantee in held:
                table = default if grantee == DEFAULT_MEMBER else named
                table[folder] = table.get(folder, FolderRight(0)) | rights
        return default | named

    def _held(self, account: AccountId) -> frozenset[int]:
        """The account and its groups; cached, as are both tables: who looks at many mailboxes asks about each."""
        key = ("held", account)
        if key not in self._rights:
            rows = self._rows(f"{GRANTEES} SELECT id FROM held", (account,))  # noqa: S608
            self._remember(key, frozenset(number for (number,) in rows))
        found: frozenset[int] = self._rights[key]
        return found

    def _grants(self, owner: MailboxId) -> Sequence[tuple[int, MailboxRight]]:
        key = ("grants", owner)
        if key not in self._rights:
            rows = self._rows(
                "SELECT p.grantee, p.right_name FROM accounts a JOIN recipient_permissions p ON p.owner = a.id"
                " WHERE a.mailbox = ?",
                (owner,),
            )
            self._remember(key, [(grantee, MailboxRight(name)) for grantee, name in rows])
        found: Sequence[tuple[int, MailboxRight]] = self._rights[key]
        return found

    def _table(self, owner: MailboxId) -> Sequence[FolderPermission]:
        key = ("table", owner)
        if key not in self._rights:
            rows = self._rows(
                "SELECT p.folder, p.grantee, o.address, p.rights FROM accounts a"
                " JOIN folder_permissions p ON p.owner = a.id LEFT JOIN objects o ON o.id = p.grantee"
                " WHERE a.mailbox = ? ORDER BY p.folder, o.address",
                (owner,),
            )
            self._remember(key, [_permission(*row) for row in rows])
        found: Sequence[FolderPermission] = self._rights[key]
        return found

    def _read_tables(self, owners: Mapping[AccountId, MailboxId]) -> None:
        """`_grants` and `_table` of some accounts' mailboxes, together."""
        among = (json.dumps(list(owners)),)
        grants: dict[AccountId, list[tuple[int, MailboxRight]]] = {owner: [] for owner in owners}
        tables: dict[AccountId, list[FolderPermission]] = {owner: [] for owner in owners}
        for owner, grantee, name in self._rows(
            "SELECT owner, grantee, right_name FROM recipient_permissions"
            " WHERE owner IN (SELECT value FROM json_each(?))",
            among,
        ):
            grants[owner].append((grantee, MailboxRight(name)))
        for owner, *row in self._rows(
            "SELECT p.owner, p.folder, p.grantee, o.address, p.rights FROM folder_permissions p"
            " LEFT JOIN objects o ON o.id = p.grantee WHERE p.owner IN (SELECT value FROM json_each(?))"
            " ORDER BY p.folder, o.address",
            among,
        ):
            tables[owner].append(_permission(*row))
        for owner, mailbox in owners.items():
            self._remember(("grants", mailbox), grants[owner])
            self._remember(("table", mailbox), tables[owner])

    def _remember(self, key: tuple[object, ...], value: object) -> None:
        if len(self._rights) >= MAX_CACHED:
            self._rights.clear()
        self._rights[key] = value

    async def reachable(self, account: AccountId) -> Sequence[Account]:
        """Other accounts in whose mailboxes an account has FULL_ACCESS or any folder right of its own."""
        self._refresh()
        rows = self._rows(
            f"{GRANTEES} {ACCOUNTS} WHERE o.id <> ?1 AND (o.id IN (SELECT owner FROM recipient_permissions"  # noqa: S608
            "   WHERE right_name = ?2 AND grantee IN (SELECT id FROM held))"
            " OR o.id IN (SELECT owner FROM folder_permissions"
            "   WHERE rights <> 0 AND grantee IN (SELECT id FROM held))) ORDER BY o.address",
            (account, MailboxRight.FULL_ACCESS.value),
        )
        return [self._account_of(row) for row in rows]

    async def public_folders(self) -> Account | None:
        """The mailbox of public folders; the first, should there be several."""
        self._refresh()
        rows = self._rows(f"{ACCOUNTS} WHERE a.kind = ? ORDER BY o.id LIMIT 1", (RecipientKind.PUBLIC.value,))
        return self._account_of(rows[0]) if rows else None

    async def automapped(self, account: AccountId) -> Sequence[Account]:
        """Mailboxes that an account itself (none of its groups) has FULL_ACCESS to, unless automapping was refused."""
        rows = self._rows(
            f"{ACCOUNTS} WHERE o.id IN (SELECT owner FROM recipient_permissions"  # noqa: S608
            " WHERE right_name = ? AND grantee = ? AND automapping) AND o.id <> ?2 ORDER BY o.address",
            (MailboxRight.FULL_ACCESS.value, account),
        )
        return [self._account_of(row) for row in rows]

    async def mailbox_permissions(self, owner: MailboxId) -> Sequence[MailboxPermission]:
        """The table as granted."""
        return self._granted_on(self._owner_id(owner))

    def _granted_on(self, owner: int) -> list[MailboxPermission]:
        rows = self._rows(
            "SELECT p.grantee, o.address, p.right_name FROM recipient_permissions p JOIN objects o ON o.id = p.grantee"
            " WHERE p.owner = ? ORDER BY o.address, p.right_name",
            (owner,),
        )
        return [MailboxPermission(AccountId(g), address, MailboxRight(name)) for g, address, name in rows]

    async def folder_permissions(self, owner: MailboxId) -> Sequence[FolderPermission]:
        """The table as granted. Raises Refusal(NO_SUCH_RECIPIENT)."""
        self._refresh()
        table = self._table(owner)
        if not table and self._by_mailbox.get(owner) is None:
            self._owner_id(owner)
        return list(table)

    async def recipient_rights(self, on: AccountId, account: AccountId) -> frozenset[MailboxRight]:
        """What was granted to an account on a group or account, also by way of its groups."""
        self._refresh()
        key = ("recipient", on, account)
        if key not in self._rights:
            rows = self._rows(
                f"{GRANTEES} SELECT DISTINCT right_name FROM recipient_permissions"  # noqa: S608
                " WHERE owner = ?2 AND grantee IN (SELECT id FROM held)",
                (account, on),
            )
            self._rights[key] = frozenset(MailboxRight(name) for (name,) in rows)
        rights: frozenset[MailboxRight] = self._rights[key]
        return rights

    async def recipient_permissions(self, on: AccountId) -> Sequence[MailboxPermission]:
        """The table of a recipient as granted."""
        return self._granted_on(on)

    async def groups_of(self, account: AccountId) -> Mapping[AccountId, str]:
        """Every static group it is in, however deep: number -> address."""
        self._refresh()
        key = ("groups", account)
        if key not in self._rights:
            rows = self._rows(
                f"{GRANTEES} SELECT o.id, o.address FROM held h JOIN objects o USING (id) WHERE o.id <> ?1",  # noqa: S608
                (account,),
            )
            self._rights[key] = {AccountId(number): address for number, address in rows}
        groups: Mapping[AccountId, str] = self._rights[key]
        return groups

    async def grant(self, owner: MailboxId, grantee: str, right: MailboxRight, *, granted: bool = True) -> None:
        """Give or take a right on a mailbox. Raises Refusal(NO_SUCH_RECIPIENT)."""
        with self._writing():
            self._grant(self._owner_id(owner), grantee, right, granted=granted)

    async def grant_on(
        self, address: str, grantee: str, right: MailboxRight, *, granted: bool = True, automapping: bool = True
    ) -> None:
        """The same on whatever has an address. Raises Refusal(NO_SUCH_RECIPIENT, BAD_VALUE)."""
        with self._writing():
            owner = self._object_id(address)
            row = self._row("SELECT kind FROM objects WHERE id = ?", (owner,))
            if right is MailboxRight.FULL_ACCESS and row is not None and row[0] != "account":
                raise Refusal(Reason.BAD_VALUE, f"{address} has no mailbox: full-access is for mailboxes")
            self._grant(owner, grantee, right, granted=granted, automapping=automapping)

    def _grant(self, owner: int, grantee: str, right: MailboxRight, *, granted: bool, automapping: bool = True) -> None:
        row = (owner, self._grantee_id(grantee), right.value)
        if granted:
            self._db.execute("INSERT OR REPLACE INTO recipient_permissions VALUES (?, ?, ?, ?)", (*row, automapping))
            return
        self._db.execute("DELETE FROM recipient_permissions WHERE owner = ? AND grantee = ? AND right_name = ?", row)
        self._next_generation("rights")

    def _grantee_id(self, address: str) -> AccountId:
        """Raises Refusal(NOT_SUPPORTED) for a dynamic group: who is in it changes with every change of a person."""
        number = self._object_id(address)
        if self._row("SELECT 1 FROM groups WHERE id = ? AND filter <> ''", (number,)):
            raise Refusal(Reason.NOT_SUPPORTED, f"{address} is a dynamic group: rights are given to static ones")
        return number

    async def inherit_folder_rights(self, owner: MailboxId, parent: int, folder: int) -> None:
        """Give a new folder the rows that its parent has. Raises Refusal(NO_SUCH_RECIPIENT)."""
        if not any(row.folder == parent for row in await self.folder_permissions(owner)):
            return
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO folder_permissions (owner, folder, grantee, rights)"
                " SELECT owner, ?, grantee, rights FROM folder_permissions WHERE owner = ? AND folder = ?",
                (folder, self._owner_id(owner), parent),
            )
            self._next_generation("rights")

    async def set_folder_rights(self, owner: MailboxId, folder: int, grantee: str, rights: FolderRight | None) -> None:
        """Set a row; None removes it. Raises Refusal(NO_SUCH_RECIPIENT)."""
        with self._writing():
            special = {"default": DEFAULT_MEMBER, "anonymous": ANONYMOUS_MEMBER}
            member = special[grantee] if grantee in special else self._grantee_id(grantee)
            place = (self._owner_id(owner), folder, member)
            if rights is None:
                self._db.execute("DELETE FROM folder_permissions WHERE owner = ? AND folder = ? AND grantee = ?", place)
            else:
                self._db.execute("INSERT OR REPLACE INTO folder_permissions VALUES (?, ?, ?, ?)", (*place, int(rights)))
            self._next_generation("rights")


def _permission(folder: int, grantee: int, address: str | None, rights: int) -> FolderPermission:
    return FolderPermission(folder, AccountId(grantee), address or _special(grantee), FolderRight(rights))


def _special(grantee: int) -> str:
    return "default" if grantee == DEFAULT_MEMBER else "anonymous"
