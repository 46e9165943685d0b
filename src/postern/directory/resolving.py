"""The embedded directory's answers about addresses: what is this recipient, who logs in under this name."""

from __future__ import annotations

from collections.abc import Sequence

from postern.directory.base import ACCOUNTS, MAX_CACHED, account_of_row
from postern.directory.interface import Account, Alias, Domain, DomainKind, Group, Resolution, Via
from postern.directory.permissions import PermissionTables
from postern.model.addresses import normalise, normalise_domain, split
from postern.model.credentials import ScramCredentials
from postern.model.ids import AccountId, MailboxId
from postern.model.refusal import Refusal

_NOWHERE = Domain("", DomainKind.AUTHORITATIVE)
"""Domain of an address that cannot be parsed: an unknown recipient of ours, so that it is never relayed."""

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
        return found

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
            return Resolution(key, None)
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
        group = self._group_at(key)
        if group is not None:
            return Resolution(asked, domain, group=group, via=via, tag=tag)
        targets = self._alias_at(key)
        if not targets:
            return None
        if via is Via.EXACT:
            via = Via.ALIAS
        if len(targets) == 1:
            account = self._account_at(targets[0])
            if account is not None:
                return Resolution(asked, domain, account=account, via=via, tag=tag)
            group = self._group_at(targets[0])
            if group is not None:
                return Resolution(asked, domain, group=group, via=via, tag=tag)
        return Resolution(asked, domain, targets=targets, via=via, tag=tag)

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
        row = self._row(f"{ACCOUNTS} ORDER BY a.admin DESC, a.shared, o.id LIMIT 1")
        return Resolution(key, domain, account=account_of_row(row), via=Via.ROLE) if row else None

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
        """By number."""
        row = self._row(f"{ACCOUNTS} WHERE o.id = ?", (account,))
        return account_of_row(row) if row else None

    async def account_of(self, mailbox: MailboxId) -> Account | None:
        """Whose mailbox that is; cached."""
        self._refresh()
        if mailbox not in self._by_mailbox:
            if len(self._by_mailbox) >= MAX_CACHED:
                self._by_mailbox.clear()
            row = self._row(f"{ACCOUNTS} WHERE a.mailbox = ?", (mailbox,))
            self._by_mailbox[mailbox] = account_of_row(row) if row else None
        return self._by_mailbox[mailbox]

    async def password_hash(self, account: AccountId) -> str:
        """`{SCHEME}value`, empty if there is none."""
        row = self._row("SELECT password FROM credentials WHERE account = ?", (account,))
        return str(row[0]) if row else ""

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
        return [account_of_row(row) for row in self._rows(f"{ACCOUNTS} ORDER BY o.address")]

    async def groups(self) -> Sequence[Group]:
        """All, by address."""
        rows = self._rows("SELECT address FROM objects WHERE kind = 'group' ORDER BY address")
        return [group for (address,) in rows if (group := self._group_at(address)) is not None]

    async def aliases(self) -> Sequence[Alias]:
        """All, by address."""
        rows = self._rows("SELECT address FROM aliases ORDER BY address")
        return [Alias(address, self._alias_at(address)) for (address,) in rows]

    async def domains(self) -> Sequence[Domain]:
        """All, the default domain first."""
        self._refresh()
        return list(self._accepted().values())
