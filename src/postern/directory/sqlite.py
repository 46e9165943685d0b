"""The embedded directory: one SQLite file (directory.db) in the data directory."""

from __future__ import annotations

import json
from collections.abc import Sequence

from postern.directory.interface import Account, AccountChange, Alias, Domain, Group, NewAccount
from postern.directory.resolving import Resolving
from postern.model.addresses import check, normalise, normalise_domain, split
from postern.model.credentials import ScramCredentials
from postern.model.ids import AccountId, MailboxId
from postern.model.refusal import Reason, Refusal


class SqliteDirectory(Resolving):
    """Implements `directory.interface.Directory`; this class has the writing, its bases the reading."""

    # --- accounts
    async def create_accounts(self, new: Sequence[NewAccount]) -> Sequence[Account]:
        """Make accounts in one commit, all or none."""
        made: list[str] = []
        with self._writing():
            for account in new:
                key = self._free_address(account.address)
                self._insert(key, account)
                made.append(key)
        return [self._existing(key) for key in made]

    def _free_address(self, address: str) -> str:
        """Key form of an address that nothing has yet and whose domain is ours."""
        key = check(address)
        domain = split(key)[1]
        if not self._row("SELECT 1 FROM domains WHERE name = ?", (domain,)):
            raise Refusal(Reason.BAD_NAME, f"{domain} is not an accepted domain of this organisation")
        if self._row("SELECT 1 FROM objects WHERE address = ?1 UNION SELECT 1 FROM aliases WHERE address = ?1", (key,)):
            raise Refusal(Reason.ALREADY_EXISTS, f"{key} is taken")
        return key

    def _insert(self, key: str, new: NewAccount) -> None:
        slot = self._row("UPDATE meta SET value = value + 1 WHERE key = 'next_slot' RETURNING value - 1")
        assert slot is not None
        mailbox = new.mailbox or MailboxId(self._entropy.token(16).hex())
        if self._row("SELECT 1 FROM accounts WHERE mailbox = ?", (mailbox,)):
            raise Refusal(Reason.ALREADY_EXISTS, f"mailbox {mailbox} belongs to another account")
        number = self._new_object("account", key, new.display_name or split(key)[0])
        self._db.execute(
            "INSERT INTO accounts (id, mailbox, slot, warn_bytes, no_send_bytes, no_receive_bytes,"
            " enabled, shared, admin, protocols) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?)",
            (
                number,
                mailbox,
                int(slot[0]),
                *new.quota,
                int(new.shared),
                int(new.admin),
                " ".join(sorted(new.protocols)),
            ),
        )
        self._put_credentials(number, new.password_hash, new.scram)

    def _new_object(self, kind: str, key: str, display_name: str) -> AccountId:
        row = self._row(
            "INSERT INTO objects (kind, address, display_name) VALUES (?, ?, ?) RETURNING id", (kind, key, display_name)
        )
        assert row is not None
        return AccountId(row[0])

    def _put_credentials(self, account: AccountId, password_hash: str, scram: ScramCredentials | None) -> None:
        keys = (scram.salt, scram.iterations, scram.stored_key, scram.server_key) if scram else (None,) * 4
        self._db.execute(
            "INSERT OR REPLACE INTO credentials VALUES (?, ?, ?, ?, ?, ?)", (account, password_hash, *keys)
        )

    def _existing(self, address: str) -> Account:
        account = self._account_at(normalise(address))
        if account is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such mailbox: {address}")
        return account

    async def change_account(self, address: str, change: AccountChange) -> Account:
        """Change one account; a new address leaves the old one as an alias."""
        with self._writing():
            old = self._existing(address)
            key = old.address
            if change.address is not None and normalise(change.address) != key:
                key = self._rename(old, change.address)
            quota = old.quota if change.quota is None else change.quota
            protocols = old.protocols if change.protocols is None else change.protocols
            targets = old.forward_to if change.forward_to is None else tuple(check(t) for t in change.forward_to)
            self._db.execute(
                "UPDATE accounts SET warn_bytes = ?, no_send_bytes = ?, no_receive_bytes = ?, enabled = ?, admin = ?,"
                " protocols = ?, forward_to = ?, forward_keep = ? WHERE id = ?",
                (
                    *quota,
                    int(old.enabled if change.enabled is None else change.enabled),
                    int(old.admin if change.admin is None else change.admin),
                    " ".join(sorted(protocols)),
                    "\n".join(targets),
                    int(old.forward_keep if change.forward_keep is None else change.forward_keep),
                    old.id,
                ),
            )
            if change.display_name is not None:
                self._db.execute("UPDATE objects SET display_name = ? WHERE id = ?", (change.display_name, old.id))
        return self._existing(key)

    def _rename(self, old: Account, address: str) -> str:
        """Give an account a new primary address. What pointed to the old one (groups) points to the new one."""
        own_alias = check(address)
        if self._alias_at(own_alias) == (old.address,):
            self._db.execute("DELETE FROM aliases WHERE address = ?", (own_alias,))
        key = self._free_address(address)
        self._db.execute("UPDATE objects SET address = ? WHERE id = ?", (key, old.id))
        self._db.execute("UPDATE OR REPLACE members SET address = ? WHERE address = ?", (key, old.address))
        for name, targets in self._rows("SELECT address, targets FROM aliases"):
            listed = json.loads(targets)
            if old.address in listed:
                renamed = [key if target == old.address else target for target in listed]
                self._db.execute("UPDATE aliases SET targets = ? WHERE address = ?", (json.dumps(renamed), name))
        self._db.execute("INSERT INTO aliases VALUES (?, ?)", (old.address, json.dumps([key])))
        return key

    async def set_password(self, account: AccountId, password_hash: str, scram: ScramCredentials | None) -> None:
        """Replace the credentials."""
        with self._writing():
            if not self._row("SELECT 1 FROM accounts WHERE id = ?", (account,)):
                raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such account: {account}")
            self._put_credentials(account, password_hash, scram)

    async def delete_account(self, address: str) -> Account:
        """Remove an account with its aliases, memberships and permissions."""
        with self._writing():
            account = self._existing(address)
            self._delete_object(account.id, account.address)
        return account

    def _delete_object(self, number: AccountId, key: str) -> None:
        self._db.execute("DELETE FROM folder_permissions WHERE grantee = ?", (number,))
        self._db.execute("DELETE FROM members WHERE address = ?", (key,))
        for alias, targets in self._rows("SELECT address, targets FROM aliases"):
            listed = json.loads(targets)
            if key not in listed:
                continue
            left = [target for target in listed if target != key]
            if left:
                self._db.execute("UPDATE aliases SET targets = ? WHERE address = ?", (json.dumps(left), alias))
            else:
                self._db.execute("DELETE FROM aliases WHERE address = ?", (alias,))
                self._db.execute("DELETE FROM members WHERE address = ?", (alias,))
        self._db.execute("DELETE FROM objects WHERE id = ?", (number,))

    # --- domains
    async def put_domain(self, domain: Domain) -> None:
        """Make or replace an accepted domain; the first one made is the default domain."""
        name = normalise_domain(domain.name)
        if name.startswith("["):
            raise Refusal(Reason.BAD_NAME, f"not a domain name: {domain.name}")
        catch_all = check(domain.catch_all) if domain.catch_all else ""
        with self._writing():
            self._db.execute(
                "INSERT INTO domains (name, kind, catch_all) VALUES (?1, ?2, ?3)"
                " ON CONFLICT (name) DO UPDATE SET kind = ?2, catch_all = ?3",
                (name, domain.kind.value, catch_all),
            )

    async def delete_domain(self, name: str) -> None:
        """Raises CONFLICT while recipients use it."""
        key = normalise_domain(name)
        with self._writing():
            row = self._row(
                "SELECT address FROM (SELECT address FROM objects UNION SELECT address FROM aliases)"
                " WHERE substr(address, -length(?1)) = ?1 LIMIT 1",
                ("@" + key,),
            )
            if row:
                raise Refusal(Reason.CONFLICT, f"{key} is still used, for example by {row[0]}")
            self._db.execute("DELETE FROM domains WHERE name = ?", (key,))
            if not self._db.changes():
                raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such domain: {name}")

    async def set_postmaster(self, address: str) -> None:
        """Where mail for postmaster and abuse goes in domains without such recipients."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('postmaster', ?)", (check(address),))

    # --- aliases
    async def put_alias(self, alias: Alias) -> None:
        """Make or replace an alias."""
        targets = list(dict.fromkeys(check(target) for target in alias.targets))
        if not targets:
            raise Refusal(Reason.BAD_VALUE, "an alias needs at least one target")
        with self._writing():
            key = check(alias.address)
            if not self._alias_at(key):
                key = self._free_address(alias.address)
            if key in targets:
                raise Refusal(Reason.LOOP, f"{key} would be an alias of itself")
            self._db.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?)", (key, json.dumps(targets)))

    async def delete_alias(self, address: str) -> None:
        """Remove an alias."""
        with self._writing():
            self._db.execute("DELETE FROM aliases WHERE address = ?", (normalise(address),))
            if not self._db.changes():
                raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such alias: {address}")

    # --- groups
    async def put_group(
        self,
        address: str,
        *,
        display_name: str | None = None,
        authenticated_only: bool | None = None,
        owner: str | None = None,
    ) -> Group:
        """Make a group, or change one."""
        key = check(address)
        with self._writing():
            group = self._group_at(key)
            if group is None:
                number = self._new_object("group", self._free_address(address), display_name or split(key)[0])
                self._db.execute("INSERT INTO groups VALUES (?, 0, '')", (number,))
            else:
                number = group.id
            if display_name is not None:
                self._db.execute("UPDATE objects SET display_name = ? WHERE id = ?", (display_name, number))
            if authenticated_only is not None:
                self._db.execute(
                    "UPDATE groups SET authenticated_only = ? WHERE id = ?", (int(authenticated_only), number)
                )
            if owner is not None:
                self._db.execute("UPDATE groups SET owner = ? WHERE id = ?", (check(owner) if owner else "", number))
        return self._existing_group(key)

    def _existing_group(self, address: str) -> Group:
        group = self._group_at(normalise(address))
        if group is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such group: {address}")
        return group

    async def set_members(self, address: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Group:
        """Change who is in a group."""
        with self._writing():
            group = self._existing_group(address)
            for member in remove:
                self._db.execute("DELETE FROM members WHERE grp = ? AND address = ?", (group.id, normalise(member)))
            for member in add:
                key = check(member)
                if key == group.address:
                    raise Refusal(Reason.LOOP, f"{key} would be a member of itself")
                self._db.execute("INSERT OR IGNORE INTO members VALUES (?, ?)", (group.id, key))
        return self._existing_group(address)

    async def delete_group(self, address: str) -> None:
        """Remove a group with its aliases, memberships and permissions."""
        with self._writing():
            group = self._existing_group(address)
            self._delete_object(group.id, group.address)
