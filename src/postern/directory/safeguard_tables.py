"""The embedded directory's app passwords, one-time codes and access rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from postern.directory import app_passwords
from postern.directory.base import DirectoryFile
from postern.directory.objects import ALL_PROTOCOLS
from postern.directory.safeguards import (
    NO_SAFEGUARDS,
    AccessRule,
    AppPassword,
    Enrolment,
    RuleAction,
    Safeguards,
)
from postern.model.ids import AccountId
from postern.model.networks import Network, parse_network
from postern.model.refusal import Reason, Refusal

_APP_PASSWORD = (
    "SELECT id, name, digest, protocols, networks, created_at, expires_at, scram_stored, scram_server"  # noqa: S105
    " FROM app_passwords WHERE account = ? ORDER BY name"
)
MAX_RULES = 1000


class SafeguardTables(DirectoryFile):
    """What protects accounts besides their passwords."""

    async def safeguards(self, account: AccountId) -> Safeguards:
        """An account's, cached until the directory changes."""
        self._refresh()
        key = ("safeguards", account)
        if key not in self._rights:
            own = {row[2]: _app_password(row) for row in self._rows(_APP_PASSWORD, (account,))}
            totp = self._row("SELECT secret FROM totp WHERE account = ? AND confirmed_at IS NOT NULL", (account,))
            self._rights[key] = Safeguards(own, totp[0] if totp else b"") if own or totp else NO_SAFEGUARDS
        found: Safeguards = self._rights[key]
        return found

    # --- app passwords
    async def app_passwords(self, account: AccountId) -> Sequence[AppPassword]:
        """An account's, by name; expired ones too."""
        return sorted((await self.safeguards(account)).app_passwords.values(), key=lambda one: one.name)

    async def add_app_password(self, account: AccountId, new: AppPassword) -> AppPassword:
        """Add one, given with id 0. Raises Refusal(ALREADY_EXISTS, BAD_NAME, BAD_VALUE, TOO_MANY)."""
        if not new.name.strip() or len(new.name) > 100:
            raise Refusal(Reason.BAD_NAME, "an app password needs a name of at most 100 characters")
        _check_protocols(new.protocols)
        with self._writing():
            rows = self._rows("SELECT name FROM app_passwords WHERE account = ?", (account,))
            if (new.name,) in rows:
                raise Refusal(Reason.ALREADY_EXISTS, f"there is an app password {new.name}: remove it first")
            if len(rows) >= app_passwords.MAX_PER_ACCOUNT:
                raise Refusal(Reason.TOO_MANY, f"an account has {app_passwords.MAX_PER_ACCOUNT} app passwords at most")
            row = self._row(
                "INSERT INTO app_passwords (account, name, digest, protocols, networks, created_at, expires_at,"
                " scram_stored, scram_server) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (
                    account,
                    new.name,
                    new.digest,
                    " ".join(sorted(new.protocols)),
                    " ".join(map(str, new.networks)),
                    new.created_at,
                    new.expires_at,
                    new.scram_stored,
                    new.scram_server,
                ),
            )
        assert row is not None
        return next(one for one in await self.app_passwords(account) if one.id == row[0])

    async def remove_app_password(self, account: AccountId, name: str) -> None:
        """Remove one; sessions that it opened end. Raises Refusal(NO_SUCH_ITEM) with the names there are."""
        with self._writing():
            names = [found for (found,) in self._rows("SELECT name FROM app_passwords WHERE account = ?", (account,))]
            if name not in names:
                known = ", ".join(sorted(names)) or "there are none"
                raise Refusal(Reason.NO_SUCH_ITEM, f"no app password {name}; known: {known}")
            self._db.execute("DELETE FROM app_passwords WHERE account = ? AND name = ?", (account, name))
            self._touch(account, end=False)

    # --- one-time codes
    async def enrolment(self, account: AccountId) -> Enrolment | None:
        """An account's one-time codes."""
        row = self._row(
            "SELECT secret, created_at, confirmed_at,"
            " (SELECT count(*) FROM recovery_codes r WHERE r.account = t.account) FROM totp t WHERE account = ?",
            (account,),
        )
        return None if row is None else Enrolment(*row)

    async def begin_enrolment(self, account: AccountId, secret: bytes, at: float) -> None:
        """Keep a secret until its first code is given. Raises Refusal(ALREADY_EXISTS) if one is in use."""
        with self._writing():
            if self._row("SELECT 1 FROM totp WHERE account = ? AND confirmed_at IS NOT NULL", (account,)):
                raise Refusal(Reason.ALREADY_EXISTS, "one-time codes are in use already: remove them first")
            self._db.execute("INSERT OR REPLACE INTO totp VALUES (?, ?, ?, NULL)", (account, secret, at))

    async def confirm_enrolment(self, account: AccountId, secret: bytes, recovery: Sequence[bytes], at: float) -> None:
        """From now on codes are asked for; whatever was signed in before is over. Raises Refusal(CONFLICT)."""
        with self._writing():
            self._db.execute(
                "UPDATE totp SET confirmed_at = ? WHERE account = ? AND secret = ? AND confirmed_at IS NULL",
                (at, account, secret),
            )
            if not self._db.changes():
                raise Refusal(Reason.CONFLICT, "the enrolment was changed meanwhile: begin anew")
            self._put_recovery_codes(account, recovery)
            self._touch(account, end=True)

    async def put_recovery_codes(self, account: AccountId, recovery: Sequence[bytes]) -> None:
        """Replace the recovery codes, given as digests. Raises Refusal(NO_SUCH_ITEM)."""
        with self._writing():
            if not self._row("SELECT 1 FROM totp WHERE account = ? AND confirmed_at IS NOT NULL", (account,)):
                raise Refusal(Reason.NO_SUCH_ITEM, "the account has no one-time codes")
            self._put_recovery_codes(account, recovery)

    def _put_recovery_codes(self, account: AccountId, recovery: Sequence[bytes]) -> None:
        self._db.execute("DELETE FROM recovery_codes WHERE account = ?", (account,))
        self._db.executemany("INSERT INTO recovery_codes VALUES (?, ?)", [(account, digest) for digest in recovery])

    async def use_recovery_code(self, account: AccountId, digest: bytes) -> bool:
        """Use one up, durably; False if there is no such code."""
        if not self._row("SELECT 1 FROM recovery_codes WHERE account = ? AND digest = ?", (account, digest)):
            return False
        with self._writing():
            self._db.execute("DELETE FROM recovery_codes WHERE account = ? AND digest = ?", (account, digest))
            return self._db.changes() == 1

    async def remove_enrolment(self, account: AccountId) -> None:
        """Ask for no codes any more. Raises Refusal(NO_SUCH_ITEM)."""
        with self._writing():
            self._db.execute("DELETE FROM totp WHERE account = ?", (account,))
            if not self._db.changes():
                raise Refusal(Reason.NO_SUCH_ITEM, "the account has no one-time codes")

    # --- access rules
    async def access_rules(self) -> Sequence[AccessRule]:
        """In order. The same object until anything in the directory changes: what is made of it may be cached by it."""
        self._refresh()
        key = ("access rules",)
        if key not in self._rights:
            rows = self._rows(
                "SELECT r.name, r.action, r.protocols, r.networks, ifnull(o.address, r.group_address), r.grp"
                " FROM access_rules r LEFT JOIN objects o ON o.id = r.grp ORDER BY r.position"
            )
            self._rights[key] = list(map(_rule, rows))
        rules: Sequence[AccessRule] = self._rights[key]
        return rules

    async def put_access_rule(self, rule: AccessRule, before: str = "") -> None:
        """Make a rule, the last one or before another; one of that name is replaced where it stands.

        Open sessions are looked at again. Raises Refusal(BAD_NAME, BAD_VALUE, NO_SUCH_ITEM, NO_SUCH_RECIPIENT).
        """
        if not rule.name.strip() or len(rule.name) > 100:
            raise Refusal(Reason.BAD_NAME, "a rule needs a name of at most 100 characters")
        _check_protocols(rule.protocols)
        with self._writing():
            number, address = self._rule_group(rule.group)
            names = [name for (name,) in self._rows("SELECT name FROM access_rules ORDER BY position")]
            values = (
                rule.action.value,
                "" if rule.protocols == ALL_PROTOCOLS else " ".join(sorted(rule.protocols)),
                " ".join(map(str, rule.networks)),
                number,
                address,
            )
            if rule.name in names:
                self._db.execute(
                    "UPDATE access_rules SET action = ?, protocols = ?, networks = ?, grp = ?, group_address = ?"
                    " WHERE name = ?",
                    (*values, rule.name),
                )
            else:
                if len(names) >= MAX_RULES:
                    raise Refusal(Reason.TOO_MANY, f"there may be {MAX_RULES} rules at most")
                self._db.execute(
                    "INSERT INTO access_rules (position, name, action, protocols, networks, grp, group_address)"
                    " VALUES ((SELECT ifnull(max(position), 0) + 1 FROM access_rules), ?, ?, ?, ?, ?, ?)",
                    (rule.name, *values),
                )
                names.append(rule.name)
            if before:
                names.remove(rule.name)
                names.insert(_place(names, before), rule.name)
                self._order(names)
            self._next_generation("everybody")

    async def delete_access_rule(self, name: str) -> None:
        """Raises Refusal(NO_SUCH_ITEM) with the names there are."""
        with self._writing():
            names = [found for (found,) in self._rows("SELECT name FROM access_rules ORDER BY position")]
            _place(names, name)
            self._db.execute("DELETE FROM access_rules WHERE name = ?", (name,))
            self._next_generation("everybody")

    def _order(self, names: Sequence[str]) -> None:
        self._db.execute("UPDATE access_rules SET position = -position")
        for position, name in enumerate(names, 1):
            self._db.execute("UPDATE access_rules SET position = ? WHERE name = ?", (position, name))

    def _rule_group(self, address: str) -> tuple[AccountId | None, str]:
        if not address:
            return None, ""
        number = self._object_id(address)
        group = self._group_numbered(number)
        if group is None or group.filter:
            raise Refusal(Reason.BAD_VALUE, f"{address} is no group with listed members: rules are about those only")
        return number, group.address


def _check_protocols(protocols: frozenset[str]) -> None:
    if not protocols or protocols - ALL_PROTOCOLS:
        unknown = ", ".join(sorted(protocols - ALL_PROTOCOLS)) or "(none)"
        raise Refusal(Reason.BAD_VALUE, f"not a protocol: {unknown}; known: {', '.join(sorted(ALL_PROTOCOLS))}")


def _place(names: Sequence[str], name: str) -> int:
    if name not in names:
        known = ", ".join(names) or "there are none"
        raise Refusal(Reason.NO_SUCH_ITEM, f"no rule {name}; known: {known}")
    return names.index(name)


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(map(parse_network, text.split()))


def _app_password(row: tuple[Any, ...]) -> AppPassword:
    number, name, digest, protocols, networks, *rest = row
    return AppPassword(number, name, digest, frozenset(protocols.split()), _networks(networks), *rest)


def _rule(row: tuple[Any, ...]) -> AccessRule:
    name, action, protocols, networks, group, number = row
    chosen = frozenset(protocols.split()) if protocols else ALL_PROTOCOLS
    return AccessRule(name, RuleAction(action), chosen, _networks(networks), group, number)
