"""The embedded directory's policies and administrators."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postern.directory import filtering
from postern.directory.objects import ALL_PROTOCOLS, DEFAULT_POLICY, Policy, RoleAssignment
from postern.directory.permissions import GRANTEES, PermissionTables
from postern.model import filters
from postern.model.ids import AccountId
from postern.model.refusal import Reason, Refusal
from postern.model.rights import ADMIN_ROLES, AdminRight, AdminRole


class AdministrationTables(PermissionTables):
    """Who administers what, and what limits accounts have."""

    # --- policies
    async def policies(self) -> Sequence[Policy]:
        """All, by name."""
        self._refresh()
        return list(self._known_policies().values())

    async def policy_of(self, account: AccountId) -> Policy:
        """The policy that an account has."""
        self._refresh()
        row = self._row("SELECT policy FROM accounts WHERE id = ?", (account,))
        return self._policy(row[0] if row else "")

    async def put_policy(self, policy: Policy) -> None:
        """Make or replace a policy."""
        if not policy.name.strip():
            raise Refusal(Reason.BAD_NAME, "a policy needs a name")
        if policy.protocols - ALL_PROTOCOLS:
            unknown = ", ".join(sorted(policy.protocols - ALL_PROTOCOLS))
            raise Refusal(Reason.BAD_VALUE, f"not a protocol: {unknown}; known: {', '.join(sorted(ALL_PROTOCOLS))}")
        if not 0 <= policy.password_classes <= 4:
            raise Refusal(Reason.BAD_VALUE, "a password has 0 to 4 kinds of characters")
        with self._writing():
            body = msgspec.json.encode(policy).decode()
            self._db.execute("INSERT OR REPLACE INTO policies VALUES (?, ?)", (policy.name, body))
            self._next_generation("everybody")

    async def delete_policy(self, name: str) -> None:
        """Remove one; its accounts have the default one."""
        if name == DEFAULT_POLICY:
            raise Refusal(Reason.CONFLICT, "the default policy stays: accounts without another one have it")
        with self._writing():
            self._check_policy(name)
            self._db.execute("DELETE FROM policies WHERE name = ?", (name,))
            self._db.execute("UPDATE accounts SET policy = '' WHERE policy = ?", (name,))
            self._next_generation("everybody")

    def _check_policy(self, name: str) -> str:
        """Raises Refusal(NO_SUCH_RECIPIENT) with the policies that there are."""
        known = self._known_policies()
        if name and name not in known:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such policy: {name}; known: {', '.join(known)}")
        return name

    async def old_hashes(self, account: AccountId, count: int) -> Sequence[str]:
        """The last hashes of an account, the present one first."""
        rows = self._rows(
            "SELECT password FROM (SELECT password, 0 AS number FROM credentials WHERE account = ?1 AND password <> ''"
            " UNION ALL SELECT password, number FROM password_history WHERE account = ?1)"
            " ORDER BY number = 0 DESC, number DESC LIMIT ?2",
            (account, count),
        )
        return [hashed for (hashed,) in rows]

    # --- roles
    async def role_assignments(self) -> Sequence[RoleAssignment]:
        """All, by role and address."""
        rows = self._rows(
            "SELECT r.role, r.grantee, o.address, r.scope FROM role_assignments r JOIN objects o ON o.id = r.grantee"
            " ORDER BY r.role, o.address, r.scope"
        )
        return [RoleAssignment(AdminRole(role), AccountId(who), address, scope) for role, who, address, scope in rows]

    async def admin_rights(self, account: AccountId, on: AccountId | None = None) -> frozenset[AdminRight]:
        """What an administrator may do to a recipient; None: to the organisation itself."""
        self._refresh()
        key = ("admin", account, on)
        if key not in self._rights:
            held: set[AdminRight] = set()
            for role, scope in self._roles_of(account):
                if not scope or (on is not None and self._covers(scope, on)):
                    held |= ADMIN_ROLES[role]
            self._rights[key] = frozenset(held)
        rights: frozenset[AdminRight] = self._rights[key]
        return rights

    async def covers(self, scope: str, on: AccountId) -> bool:
        """Whether a role's scope has a recipient in it."""
        return self._covers(scope, on)

    async def holds_role(self, account: AccountId) -> bool:
        """Whether somebody is an administrator of any kind."""
        self._refresh()
        return bool(self._roles_of(account))

    def _roles_of(self, account: int) -> list[tuple[AdminRole, str]]:
        key = ("roles", account)
        if key not in self._rights:
            rows = self._rows(
                f"{GRANTEES} SELECT role, scope FROM role_assignments WHERE grantee IN (SELECT id FROM held)",  # noqa: S608
                (account,),
            )
            self._rights[key] = [(AdminRole(role), scope) for role, scope in rows]
        roles: list[tuple[AdminRole, str]] = self._rights[key]
        return roles

    def _covers(self, scope: str, number: int) -> bool:
        condition, bindings = filtering.compile_filter(filters.parse(scope))
        sql = f"SELECT 1 FROM ({filtering.BOOK}) book WHERE id = ? AND {condition}"  # noqa: S608 - bindings apart
        return self._row(sql, (number, *bindings)) is not None

    async def assign_role(self, role: AdminRole, grantee: str, *, scope: str = "", assigned: bool = True) -> None:
        """Give or take a role."""
        text = filters.render(filtering.check(filters.parse(scope))) if scope else ""
        if text and role is AdminRole.ORGANISATION:
            raise Refusal(Reason.BAD_VALUE, "the organisation role covers all: it has no scope")
        with self._writing():
            number = self._grantee_id(grantee)
            if assigned:
                self._db.execute("INSERT OR IGNORE INTO role_assignments VALUES (?, ?, ?)", (role.value, number, text))
            else:
                self._withdraw(role, number, text, grantee)
            if role is AdminRole.ORGANISATION:
                self._db.execute("UPDATE accounts SET admin = ? WHERE id = ?", (int(assigned), number))

    def _withdraw(self, role: AdminRole, number: int, scope: str, grantee: str) -> None:
        self._db.execute(
            "DELETE FROM role_assignments WHERE role = ? AND grantee = ? AND scope = ?", (role.value, number, scope)
        )
        if not self._db.changes():
            raise Refusal(Reason.NO_SUCH_RECIPIENT, f"{grantee} does not have the role {role.value} with that scope")
        if role is AdminRole.ORGANISATION:
            self._check_somebody_left()
        self._touch(number, end=False)
        self._next_generation("rights")

    def _check_somebody_left(self) -> None:
        """Raises Refusal(CONFLICT) if nobody could administer any more."""
        if not self._row("SELECT 1 FROM role_assignments WHERE role = 'organisation' LIMIT 1"):
            raise Refusal(Reason.CONFLICT, "nobody would be left with the organisation role: give it to another first")
