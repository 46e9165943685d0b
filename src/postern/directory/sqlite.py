"""The embedded directory: one SQLite file (directory.db) in the data directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from postern.directory.objects import (
    ALL_PROTOCOLS,
    MAILBOX_KINDS,
    Account,
    AccountChange,
    Domain,
    NewAccount,
    RecipientKind,
)
from postern.directory.safeguard_tables import SafeguardTables
from postern.directory.servers import ServerTables
from postern.directory.sources import SourceTables
from postern.model.addresses import check, normalise, normalise_domain
from postern.model.credentials import ScramCredentials
from postern.model.ids import AccountId
from postern.model.refusal import Reason, Refusal

T = TypeVar("T")

MAX_HISTORY = 24
"""Old hashes kept, whatever policies ask for."""


class SqliteDirectory(SafeguardTables, SourceTables, ServerTables):
    """Implements `directory.interface.Directory`; this class has accounts and domains, its bases the rest."""

    # --- accounts
    async def create_accounts(self, new: Sequence[NewAccount]) -> Sequence[Account]:
        """Make accounts in one commit, all or none."""
        made: list[str] = []
        with self._writing():
            for account in new:
                key = self._free_address(account.address)
                number = self._insert_account(key, account)
                self._put_credentials(number, account.password_hash, account.scram)
                made.append(key)
        return [self._existing(key) for key in made]

    async def change_account(self, address: str, change: AccountChange) -> Account:
        """Change one account; a new address leaves the old one as an alias."""
        with self._writing():
            old = self._existing(address)
            key = old.address
            if old.source and _mirrored_fields(change, old):
                raise Refusal(Reason.CONFLICT, f"{key} comes from {old.source}: change it there")
            if change.address is not None and normalise(change.address) != key:
                key = self._rename(old, change.address)
            self._store_change(old, change)
        return self._existing(key)

    def _store_change(self, old: Account, change: AccountChange) -> None:
        quota = old.quota if change.quota is None else change.quota
        targets = old.forward_to if change.forward_to is None else tuple(check(t) for t in change.forward_to)
        kind = _kept(change.kind, old.kind)
        if kind not in MAILBOX_KINDS:
            raise Refusal(Reason.BAD_VALUE, f"a mailbox is {', '.join(k.value for k in MAILBOX_KINDS)}")
        expires_at = old.expires_at if change.expires_at is None else (change.expires_at or None)
        enabled, admin = _kept(change.enabled, old.enabled), _kept(change.admin, old.admin)
        self._db.execute(
            "UPDATE accounts SET warn_bytes = ?, no_send_bytes = ?, no_receive_bytes = ?, enabled = ?, kind = ?,"
            " admin = ?, forward_to = ?, forward_keep = ?, expires_at = ?, policy = ? WHERE id = ?",
            (
                *quota[:3],
                int(enabled),
                kind.value,
                int(admin),
                "\n".join(targets),
                int(_kept(change.forward_keep, old.forward_keep)),
                expires_at,
                self._check_policy(_kept(change.policy, old.policy)),
                old.id,
            ),
        )
        if change.protocols is not None:
            blocked = " ".join(sorted(ALL_PROTOCOLS - change.protocols))
            self._db.execute("UPDATE accounts SET blocked = ? WHERE id = ?", (blocked, old.id))
        if change.display_name is not None:
            self._db.execute("UPDATE objects SET display_name = ? WHERE id = ?", (change.display_name, old.id))
        if change.hidden is not None:
            self._db.execute("UPDATE objects SET hidden = ? WHERE id = ?", (int(change.hidden), old.id))
        if admin != old.admin:
            self._set_admin(old.id, admin)
        ended = (old.enabled and not enabled) or (kind is not old.kind and kind is not RecipientKind.USER)
        if ended or change.protocols is not None or change.policy is not None or expires_at != old.expires_at:
            self._touch(old.id, end=ended)

    def _rename(self, old: Account, address: str) -> str:
        """Give an account a new primary address; the old one stays a proxy address."""
        own = check(address)
        self._db.execute("DELETE FROM proxies WHERE address = ? AND object = ?", (own, old.id))
        if self._alias_at(own) == (old.address,):
            self._db.execute("DELETE FROM aliases WHERE address = ?", (own,))
        key = self._free_address(address)
        self._rename_object(old.id, old.address, key)
        return key

    async def set_password(self, account: AccountId, password_hash: str, scram: ScramCredentials | None) -> None:
        """Replace the credentials; whatever was signed in before is over."""
        with self._writing():
            row = self._row("SELECT o.source FROM accounts a JOIN objects o USING (id) WHERE a.id = ?", (account,))
            if row is None:
                raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such account: {account}")
            self._check_own(account)
            self._db.execute(
                "INSERT INTO password_history SELECT account, (SELECT ifnull(max(number), 0) + 1 FROM password_history"
                " WHERE account = ?1), password FROM credentials WHERE account = ?1 AND password <> ''",
                (account,),
            )
            self._db.execute(
                "DELETE FROM password_history WHERE account = ?1 AND number <= (SELECT max(number) FROM"
                " password_history WHERE account = ?1) - ?2",
                (account, MAX_HISTORY),
            )
            self._put_credentials(account, password_hash, scram)
            self._touch(account, end=True)

    async def upgrade_password(
        self, account: AccountId, old_hash: str, password_hash: str, scram: ScramCredentials
    ) -> None:
        """Store the same password otherwise."""
        with self._writing():
            self._db.execute(
                "UPDATE credentials SET password = ?, scram_salt = ?, scram_iterations = ?, scram_stored = ?,"
                " scram_server = ? WHERE account = ? AND password = ?",
                (
                    password_hash,
                    scram.salt,
                    scram.iterations,
                    scram.stored_key,
                    scram.server_key,
                    account,
                    old_hash,
                ),
            )

    async def put_derived_keys(self, account: AccountId, keys: Mapping[str, bytes]) -> None:
        """Keep keys of the present password, by kind."""
        with self._writing():
            self._check_own(account)
            self._db.executemany(
                "INSERT OR REPLACE INTO derived_keys VALUES (?, ?, ?)",
                [(account, kind, value) for kind, value in keys.items()],
            )

    async def drop_derived_key(self, account: AccountId, kind: str) -> None:
        """Forget a key of a kind."""
        with self._writing():
            self._db.execute("DELETE FROM derived_keys WHERE account = ? AND kind = ?", (account, kind))

    async def delete_account(self, address: str) -> Account:
        """Remove an account with its aliases, memberships and permissions."""
        with self._writing():
            account = self._existing(address)
            if not self._row("SELECT 1 FROM accounts WHERE id = ? AND removed_at IS NOT NULL", (account.id,)):
                self._check_own(account.id)
            self._touch(account.id, end=True)
            self._delete_object(account.id, account.address)
        return account

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
                "SELECT address FROM (SELECT address FROM objects UNION SELECT address FROM aliases"
                " UNION SELECT address FROM proxies) WHERE substr(address, -length(?1)) = ?1 LIMIT 1",
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


def _kept(new: T | None, old: T) -> T:
    return old if new is None else new


def _mirrored_fields(change: AccountChange, old: Account) -> bool:
    """Whether a change touches what a source decides; limits and forwarding of a mirrored account are ours."""
    decided = (
        (change.address, old.address),
        (change.display_name, old.display_name),
        (change.enabled, old.enabled),
        (change.kind, old.kind),
        (change.hidden, old.hidden),
        (change.expires_at, old.expires_at),
    )
    return any(new is not None and new != present for new, present in decided)
