"""The embedded directory's answers about addresses: what is this recipient, who logs in under this name."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any

from postern.directory.base import ACCOUNT_COLUMNS, ACCOUNTS, MAX_CACHED
from postern.directory.objects import Account, Alias, Contact, Domain, DomainKind, Group, Resolution, Via
from postern.directory.permissions import PermissionTables
from postern.model.addresses import normalise, normalise_domain, split
from postern.model.credentials import ScramCredentials
from postern.model.ids import AccountId, MailboxId
from postern.model.refusal import Refusal

_NOWHERE = Domain("", DomainKind.AUTHORITATIVE)
"""Domain of an address that cannot be parsed: an unknown recipient of ours, so that it is never relayed."""

CONTACTS = (
    "SELECT o.id, o.address, o.display_name, c.target, o.hidden, o.source FROM contacts c JOIN objects o USING (id)"
)

_ROLES = frozenset({"postmaster", "abuse"})


class Resolving(PermissionTables):
    """Reading."""

    async def resolve(self, address: str) -> Resolution:
        """What an address is; cached until the directory changes."""
        self._refresh()
        found = self._resolved.get(address)
        if found is None:
            if len(self._resolved) >= MAX_CACHED:
                self._resolved.clear()
            found = self._resolved[address] = self._resolve(address)
            if found.account is not None and found.account.mailbox is not None:
                self._by_mailbox[found.account.mailbox] = found.account  # who resolves mostly asks for rights next
        return found

    async def read_ahead(self, addresses: Sequence[str]) -> None:
        """Read accounts and the rights in their mailboxes together; what is asked of each next costs no look."""
        self._refresh()
        keys = []
        for address in addresses:
            if address not in self._resolved:
                with contextlib.suppress(Refusal):  # `resolve` says what is wrong with it
                    keys.append(normalise(address))
        if len(self._by_address) + len(keys) > MAX_CACHED:
            self._by_address.clear()
        owners = {}
        statement = f"{ACCOUNTS} WHERE o.address IN (SELECT value FROM json_each(?))"  # noqa: S608 - constants only
        for row in self._rows(statement, (json.dumps(keys),)):
            account = self._by_address[row[1]] = self._account_of(row)
            owners[account.id] = row[3]
        self._read_tables(owners)

    def _resolve(self, address: str) -> Resolution:
        try:
            key = normalise(address)
        except Refusal:
            return Resolution(address, _NOWHERE)
        local, name = split(key)
        accepted = self._accepted()
        if not name:
            # RFC 5321 4.5.1: <postmaster> without a domain must be accepted
            domain: Domain | None = next(iter(accepted.values()), _NOWHERE)
            return self._role(key, local, domain) or Resolution(key, _NOWHERE)
        domain = accepted.get(name)
        if domain is None:
            # the server's own letters come from there: DSNs, what rules could not do
            own = name == self._host_name and self._role(key, local, next(iter(accepted.values()), _NOWHERE))
            return own or Resolution(key, None)
        return (
            self._direct(key, key, domain, Via.EXACT)
            or self._plus(key, local, name, domain)
            or self._role(key, local, domain)
            or self._catch_all(key, domain)
            or Resolution(key, domain)
        )

    def _direct(self, asked: str, key: str, domain: Domain | None, via: Via, tag: str = "") -> Resolution | None:
        """An object or alias of that very address; an alias of one local object is looked through at once."""
        account = self._account_at(key)
        if account is not None:
            return Resolution(asked, domain, account=account, via=via, tag=tag)
        found = self._object_at(key)
        targets: tuple[str, ...] = ()
        if found is None:
            targets = self._alias_at(key)
            if not targets:
                return None
            found = self._object_at(targets[0]) if len(targets) == 1 else None
        through = Via.ALIAS if via is Via.EXACT and (found is None or found[2] != key) else via
        if found is None:
            return Resolution(asked, domain, targets=targets, via=through, tag=tag)
        number, kind, _ = found
        if kind == "account":
            return Resolution(asked, domain, account=self._account_numbered(number), via=through, tag=tag)
        if kind == "group":
            return Resolution(asked, domain, group=self._group_numbered(number), via=through, tag=tag)
        target = self._row("SELECT target FROM contacts WHERE id = ?", (number,))
        assert target is not None
        return Resolution(asked, domain, targets=(target[0],), via=through, tag=tag)

    def _plus(self, key: str, local: str, name: str, domain: Domain) -> Resolution | None:
        base, plus, tag = local.partition("+")
        if not plus or not base or local.startswith('"'):
            return None
        return self._direct(key, f"{base}@{name}", domain, Via.PLUS, tag)

    def _role(self, key: str, local: str, domain: Domain | None) -> Resolution | None:
        """Postmaster and abuse always arrive: at the setting, else at the first administrator, else the first user."""
        if local not in _ROLES:
            return None
        setting = self._row("SELECT value FROM meta WHERE key = 'postmaster'")
        if setting is not None:
            found = self._direct(key, setting[0], domain, Via.ROLE)
            return found or Resolution(key, domain, targets=(setting[0],), via=Via.ROLE)
        row = self._row(f"{ACCOUNTS} WHERE a.removed_at IS NULL ORDER BY a.admin DESC, a.kind <> 'user', o.id LIMIT 1")
        return Resolution(key, domain, account=self._account_of(row), via=Via.ROLE) if row else None

    def _catch_all(self, key: str, domain: Domain) -> Resolution | None:
        if not domain.catch_all:
            return None
        found = self._direct(key, domain.catch_all, domain, Via.CATCH_ALL)
        return found or Resolution(key, domain, targets=(domain.catch_all,), via=Via.CATCH_ALL)

    async def domain(self, name: str) -> Domain | None:
        """The accepted domain of that name."""
        self._refresh()
        try:
            return self._accepted().get(normalise_domain(name))
        except Refusal:
            return None

    async def login(self, name: str) -> Account | None:
        """The account someone logs in as: an address, an alias of one account, or a local part of the default domain.

        Shared and disabled accounts are found too; the service decides.
        """
        self._refresh()
        if name not in self._logins:
            if len(self._logins) >= MAX_CACHED:
                self._logins.clear()
            self._logins[name] = self._find_login(name)
        return self._logins[name]

    def _find_login(self, name: str) -> Account | None:
        row = self._row("SELECT object FROM login_names WHERE name = ?", (name,))
        if row is not None:
            return self._account_numbered(row[0])
        try:
            key = normalise(name)
        except Refusal:
            return None
        if "@" not in key:
            default = next(iter(self._accepted()), "")
            key = f"{key}@{default}"
        found = self._direct(key, key, None, Via.EXACT)
        return found.account if found else None

    async def account(self, account: AccountId) -> Account | None:
        """By number; cached."""
        self._refresh()
        if account not in self._by_number:
            if len(self._by_number) >= MAX_CACHED:
                self._by_number.clear()
            self._by_number[account] = self._account_numbered(account)
        return self._by_number[account]

    async def account_of(self, mailbox: MailboxId) -> Account | None:
        """Whose mailbox that is; cached."""
        self._refresh()
        if mailbox not in self._by_mailbox:
            if len(self._by_mailbox) >= MAX_CACHED:
                self._by_mailbox.clear()
            row = self._row(f"{ACCOUNTS} WHERE a.mailbox = ?", (mailbox,))
            self._by_mailbox[mailbox] = self._account_of(row) if row else None
        return self._by_mailbox[mailbox]

    async def password_hash(self, account: AccountId) -> str:
        """`{SCHEME}value`, empty if there is none; cached: HTTP asks with every request."""
        self._refresh()
        if account not in self._hashes:
            if len(self._hashes) >= MAX_CACHED:
                self._hashes.clear()
            row = self._row("SELECT password FROM credentials WHERE account = ?", (account,))
            self._hashes[account] = str(row[0]) if row else ""
        return self._hashes[account]

    async def derived_key(self, account: AccountId, kind: str) -> bytes | None:
        """What a mechanism keeps of a password."""
        row = self._row("SELECT value FROM derived_keys WHERE account = ? AND kind = ?", (account, kind))
        return bytes(row[0]) if row else None

    async def scram(self, account: AccountId) -> ScramCredentials | None:
        """SCRAM-SHA-256 keys."""
        row = self._row(
            "SELECT scram_salt, scram_iterations, scram_stored, scram_server FROM credentials"
            " WHERE account = ? AND scram_stored IS NOT NULL",
            (account,),
        )
        return ScramCredentials(*row) if row else None

    async def sample_hash(self) -> str:
        """A hash of the kind most accounts have, empty if nobody has one."""
        self._refresh()
        if ("sample",) not in self._rights:
            row = self._row(
                "SELECT password, count(*) AS n FROM credentials WHERE password <> ''"
                " GROUP BY substr(password, 1, instr(password, '}')) ORDER BY n DESC LIMIT 1"
            )
            self._rights["sample",] = row[0] if row else ""
        return str(self._rights["sample",])

    async def secret(self, name: str) -> bytes:
        """32 unpredictable octets of that name; made at first use."""
        row = self._row("SELECT value FROM secrets WHERE name = ?", (name,))
        if row is None:
            with self._writing():
                self._db.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, self._entropy.token(32)))
            row = self._row("SELECT value FROM secrets WHERE name = ?", (name,))
            assert row is not None
        return bytes(row[0])

    async def accounts(self) -> Sequence[Account]:
        """All, by address."""
        rows = self._rows(f"{ACCOUNTS} WHERE a.removed_at IS NULL ORDER BY o.address")
        return [self._account_of(row) for row in rows]

    async def disconnected(self) -> Sequence[tuple[Account, float]]:
        """Accounts that their source has no more, and since when."""
        rows = self._rows(
            f"SELECT {ACCOUNT_COLUMNS}, a.removed_at FROM accounts a JOIN objects o USING (id)"  # noqa: S608
            " WHERE a.removed_at IS NOT NULL ORDER BY o.address"
        )
        return [(self._account_of(row[:-1]), float(row[-1])) for row in rows]

    async def groups(self) -> Sequence[Group]:
        """All, by address."""
        rows = self._rows("SELECT id FROM objects WHERE kind = 'group' ORDER BY address")
        return [group for (number,) in rows if (group := self._group_numbered(number)) is not None]

    async def aliases(self) -> Sequence[Alias]:
        """All, by address: proxy addresses too."""
        rows = self._rows(
            "SELECT address, targets FROM aliases UNION ALL"
            " SELECT p.address, json_array(o.address) FROM proxies p JOIN objects o ON o.id = p.object ORDER BY 1"
        )
        return [Alias(address, tuple(json.loads(targets))) for address, targets in rows]

    async def contacts(self) -> Sequence[Contact]:
        """All, by address."""
        rows = self._rows(f"{CONTACTS} ORDER BY o.address")
        return [self._contact_of(row) for row in rows]

    def _contact_of(self, row: tuple[Any, ...]) -> Contact:
        number, address, name, target, hidden, source = row
        return Contact(AccountId(number), address, name, target, bool(hidden), self._source_name(source))

    async def domains(self) -> Sequence[Domain]:
        """All, the default domain first."""
        self._refresh()
        return list(self._accepted().values())
