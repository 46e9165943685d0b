"""The embedded directory's permission tables: who may do what in whose mailbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from postern.directory.base import ACCOUNTS, DirectoryFile, account_of_row
from postern.directory.interface import (
    ANONYMOUS_MEMBER,
    DEFAULT_MEMBER,
    Account,
    FolderPermission,
    MailboxPermission,
)
from postern.model.ids import AccountId, MailboxId
from postern.model.rights import FolderRight, MailboxRight

# the account itself and every group it is in, however deep; UNION stops at loops
_GRANTEES = """
WITH RECURSIVE held(id) AS (
    SELECT ?1
    UNION
    SELECT m.grp FROM held h JOIN objects o ON o.id = h.id JOIN members m ON m.address = o.address
)
"""


class PermissionTables(DirectoryFile):
    """Reading and changing permissions."""

    async def mailbox_rights(self, owner: MailboxId, account: AccountId) -> frozenset[MailboxRight]:
        """What was granted to an account, also by way of its groups."""
        self._refresh()
        key = ("mailbox", owner, account)
        if key not in self._rights:
            rows = self._rows(
                f"{_GRANTEES} SELECT DISTINCT p.right_name FROM mailbox_permissions p"  # noqa: S608
                " JOIN accounts a ON a.id = p.owner WHERE a.mailbox = ?2 AND p.grantee IN (SELECT id FROM held)",
                (account, owner),
            )
            self._rights[key] = frozenset(MailboxRight(name) for (name,) in rows)
        rights: frozenset[MailboxRight] = self._rights[key]
        return rights

    async def folder_rights(self, owner: MailboxId, account: AccountId) -> Mapping[int, FolderRight]:
        """Folder -> rights; a row of one's own or of a group wins over Default, as MS-OXCPERM 3.2.5.1 has it."""
        self._refresh()
        key = ("folder", owner, account)
        if key not in self._rights:
            rows = self._rows(
                f"{_GRANTEES} SELECT p.folder, p.grantee, p.rights FROM folder_permissions p"  # noqa: S608
                " JOIN accounts a ON a.id = p.owner"
                " WHERE a.mailbox = ?2 AND (p.grantee = ?3 OR p.grantee IN (SELECT id FROM held))",
                (account, owner, DEFAULT_MEMBER),
            )
            named: dict[int, FolderRight] = {}
            default: dict[int, FolderRight] = {}
            for folder, grantee, rights in rows:
                table = default if grantee == DEFAULT_MEMBER else named
                table[folder] = table.get(folder, FolderRight(0)) | FolderRight(rights)
            self._rights[key] = default | named
        found: Mapping[int, FolderRight] = self._rights[key]
        return found

    async def reachable(self, account: AccountId) -> Sequence[Account]:
        """Other accounts in whose mailboxes an account has FULL_ACCESS or any folder right of its own."""
        self._refresh()
        rows = self._rows(
            f"{_GRANTEES} {ACCOUNTS} WHERE o.id <> ?1 AND (o.id IN (SELECT owner FROM mailbox_permissions"  # noqa: S608
            "   WHERE right_name = ?2 AND grantee IN (SELECT id FROM held))"
            " OR o.id IN (SELECT owner FROM folder_permissions"
            "   WHERE rights <> 0 AND grantee IN (SELECT id FROM held))) ORDER BY o.address",
            (account, MailboxRight.FULL_ACCESS.value),
        )
        return [account_of_row(row) for row in rows]

    async def mailbox_permissions(self, owner: MailboxId) -> Sequence[MailboxPermission]:
        """The table as granted."""
        rows = self._rows(
            "SELECT p.grantee, o.address, p.right_name FROM mailbox_permissions p JOIN objects o ON o.id = p.grantee"
            " WHERE p.owner = ? ORDER BY o.address, p.right_name",
            (self._owner_id(owner),),
        )
        return [MailboxPermission(AccountId(g), address, MailboxRight(name)) for g, address, name in rows]

    async def folder_permissions(self, owner: MailboxId) -> Sequence[FolderPermission]:
        """The table as granted."""
        rows = self._rows(
            "SELECT p.folder, p.grantee, o.address, p.rights FROM folder_permissions p"
            " LEFT JOIN objects o ON o.id = p.grantee WHERE p.owner = ? ORDER BY p.folder, o.address",
            (self._owner_id(owner),),
        )
        return [
            FolderPermission(folder, AccountId(grantee), address or _special(grantee), FolderRight(rights))
            for folder, grantee, address, rights in rows
        ]

    async def grant(self, owner: MailboxId, grantee: str, right: MailboxRight, *, granted: bool = True) -> None:
        """Give or take a right on a mailbox. Raises Refusal(NO_SUCH_RECIPIENT)."""
        with self._writing():
            row = (self._owner_id(owner), self._object_id(grantee), right.value)
            if granted:
                self._db.execute("INSERT OR IGNORE INTO mailbox_permissions VALUES (?, ?, ?)", row)
            else:
                self._db.execute(
                    "DELETE FROM mailbox_permissions WHERE owner = ? AND grantee = ? AND right_name = ?", row
                )

    async def set_folder_rights(self, owner: MailboxId, folder: int, grantee: str, rights: FolderRight | None) -> None:
        """Set a row; None removes it. Raises Refusal(NO_SUCH_RECIPIENT)."""
        with self._writing():
            special = {"default": DEFAULT_MEMBER, "anonymous": ANONYMOUS_MEMBER}
            member = special[grantee] if grantee in special else self._object_id(grantee)
            place = (self._owner_id(owner), folder, member)
            if rights is None:
                self._db.execute("DELETE FROM folder_permissions WHERE owner = ? AND folder = ? AND grantee = ?", place)
            else:
                self._db.execute("INSERT OR REPLACE INTO folder_permissions VALUES (?, ?, ?, ?)", (*place, int(rights)))


def _special(grantee: int) -> str:
    return "default" if grantee == DEFAULT_MEMBER else "anonymous"
