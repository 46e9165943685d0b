"""Turning mirrored entries into accounts, contacts and groups."""

from __future__ import annotations

from postern.directory.mirrored import SourceEntry
from postern.directory.objects import ALL_PROTOCOLS, Account, Details, NewAccount, RecipientKind
from postern.directory.recipients import RecipientTables
from postern.model.addresses import check, normalise, split
from postern.model.credentials import ScramCredentials
from postern.model.ids import AccountId, MailboxId
from postern.model.refusal import Reason, Refusal

REMOVED_DOMAIN = "removed.invalid"
"""Domain of the addresses of accounts that their source has no more (RFC 2606: never anybody's)."""
UNADDRESSED_DOMAIN = "unaddressed.invalid"
"""The same for groups without an address."""


_MEMBER = (
    "SELECT o.address FROM mirrored_members x JOIN mirrored m ON m.source = x.source AND m.{key} = x.member"
    " JOIN objects o ON o.id = m.object LEFT JOIN accounts a ON a.id = o.id"
    " WHERE x.source = ?1 AND x.grp = ?2 AND a.removed_at IS NULL"
)
_MEMBERS = (
    f"{_MEMBER.format(key='anchor')} UNION {_MEMBER.format(key='dn')}"  # noqa: S608 - constants only
    " UNION SELECT member FROM mirrored_members WHERE source = ?1 AND grp = ?2"
    " AND instr(member, '@') AND NOT instr(member, '=')"
)


class Projection(RecipientTables):
    """Accounts as both the administrator and a source make them."""

    def _insert_account(self, key: str, new: NewAccount, source: int = 0) -> AccountId:
        slot = self._row("UPDATE meta SET value = value + 1 WHERE key = 'next_slot' RETURNING value - 1")
        assert slot is not None
        mailbox = new.mailbox or MailboxId(self._entropy.token(16).hex())
        if self._row("SELECT 1 FROM accounts WHERE mailbox = ?", (mailbox,)):
            raise Refusal(Reason.ALREADY_EXISTS, f"mailbox {mailbox} belongs to another account")
        number = self._new_object("account", key, new.display_name or split(key)[0], source)
        blocked = " ".join(sorted(ALL_PROTOCOLS - new.protocols))
        self._db.execute(
            "INSERT INTO accounts (id, mailbox, slot, warn_bytes, no_send_bytes, no_receive_bytes,"
            " enabled, kind, admin, blocked, policy) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?)",
            (
                number,
                mailbox,
                int(slot[0]),
                *new.quota[:3],
                new.kind.value,
                int(new.admin),
                blocked,
                self._check_policy(new.policy),
            ),
        )
        if new.admin:
            self._set_admin(number, True)
        return number

    def _set_admin(self, number: int, admin: bool) -> None:
        """The flag and the role are one."""
        if admin:
            self._db.execute("INSERT OR IGNORE INTO role_assignments VALUES ('organisation', ?, '')", (number,))
            return
        self._db.execute("DELETE FROM role_assignments WHERE role = 'organisation' AND grantee = ?", (number,))
        self._touch(number, end=False)
        self._next_generation("rights")

    def _put_credentials(self, account: AccountId, password_hash: str, scram: ScramCredentials | None) -> None:
        keys = (scram.salt, scram.iterations, scram.stored_key, scram.server_key) if scram else (None,) * 4
        self._db.execute(
            "INSERT OR REPLACE INTO credentials VALUES (?, ?, ?, ?, ?, ?)", (account, password_hash, *keys)
        )
        # what was derived from the password before is a password still
        self._db.execute("DELETE FROM derived_keys WHERE account = ?", (account,))
        self._db.execute("UPDATE accounts SET password_at = ? WHERE id = ?", (self._now(), account))

    def _existing(self, address: str) -> Account:
        found = self._object_at(normalise(address))
        account = self._account_numbered(found[0]) if found and found[1] == "account" else None
        if account is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such mailbox: {address}")
        return account

    # --- entries of a source
    def _project(
        self, source: int, entry: SourceEntry, before: SourceEntry | None, number: int | None
    ) -> tuple[int | None, tuple[str, ...]]:
        """Make or change what an entry stands for: its number (None: it could not be), and the addresses refused."""
        refused: list[str] = []
        if number is not None and before is not None and _family(before.kind) != _family(entry.kind):
            self._detach(number, entry.anchor)
            number = None
        key = self._claimed(source, entry, number, refused)
        if number is None:
            if not key:
                return None, tuple(refused)
            number = self._adopted(source, entry, key) or self._made(source, entry, key)
            before = None
        elif key:
            self._moved(number, key)
        self._update(number, entry, before)
        self._project_addresses(source, number, entry, before, refused)
        return number, tuple(refused)

    def _claimed(self, source: int, entry: SourceEntry, number: int | None, refused: list[str]) -> str:
        """The primary address, if it can be had; else empty."""
        if not entry.address:
            return f"{_token(entry.anchor)}@{UNADDRESSED_DOMAIN}" if entry.kind is RecipientKind.GROUP else ""
        try:
            key = check(entry.address)
        except Refusal:
            refused.append(entry.address)
            return ""
        if self._may_have(source, number, key, adopting=number is None and entry.kind is not RecipientKind.CONTACT):
            return key
        refused.append(key)
        return ""

    def _may_have(self, source: int, number: int | None, key: str, *, adopting: bool = False) -> bool:
        """Whether an object may have an address; takes it away from sources of lower precedence."""
        if self._alias_at(key):
            return False
        holder = self._object_at(key)
        if holder is None or holder[0] == number:
            return True
        row = self._row("SELECT source FROM objects WHERE id = ?", (holder[0],))
        held_by = int(row[0]) if row else 0
        if held_by == 0:
            return adopting and holder[1] == "account" and holder[2] == key and self._adopts(source)
        if self._rank(source) >= self._rank(held_by):
            return False
        if holder[2] == key:
            self._disconnect(holder[0], f"displaced-{holder[0]}")
        else:
            self._db.execute("DELETE FROM proxies WHERE address = ?", (key,))
        self._db.execute(
            "UPDATE mirrored SET refused = trim(refused || char(10) || ?1, char(10)), digest = x'' WHERE object = ?2",
            (key, holder[0]),
        )
        return True

    def _rank(self, source: int) -> tuple[int, int]:
        row = self._row("SELECT precedence FROM sources WHERE id = ?", (source,))
        return (int(row[0]) if row else 0, source)

    def _adopts(self, source: int) -> bool:
        row = self._row("SELECT adopt FROM sources WHERE id = ?", (source,))
        return bool(row and row[0])

    def _adopted(self, source: int, entry: SourceEntry, key: str) -> int | None:
        """An account of our own becomes the entry's, with its mailbox; its password is the source's from now on."""
        holder = self._object_at(key)
        if holder is None or holder[1] != "account" or _family(entry.kind) != "account":
            return None
        self._db.execute("UPDATE objects SET source = ? WHERE id = ?", (source, holder[0]))
        self._db.execute("DELETE FROM credentials WHERE account = ?", (holder[0],))
        self._db.execute("DELETE FROM password_history WHERE account = ?", (holder[0],))
        self._touch(holder[0], end=True)
        return holder[0]

    def _made(self, source: int, entry: SourceEntry, key: str) -> int:
        name = entry.display_name or split(key)[0]
        family = _family(entry.kind)
        if family == "account":
            known = entry.mailbox is not None and self._row(
                "SELECT 1 FROM accounts WHERE mailbox = ?", (entry.mailbox,)
            )
            new = NewAccount(key, name, kind=entry.kind, mailbox=None if known else entry.mailbox)
            return self._insert_account(key, new, source)
        number = self._new_object(family, key, name, source)
        if family == "contact":
            self._db.execute("INSERT INTO contacts VALUES (?, ?)", (number, key))
        else:
            self._db.execute("INSERT INTO groups (id, authenticated_only, owner) VALUES (?, 0, '')", (number,))
        return number

    def _moved(self, number: int, key: str) -> None:
        """A renamed entry keeps its object, and with it the mailbox; the old address stays as another one."""
        row = self._row("SELECT address FROM objects WHERE id = ?", (number,))
        assert row is not None
        if row[0] == key:
            return
        self._db.execute("DELETE FROM proxies WHERE address = ? AND object = ?", (key, number))
        self._rename_object(number, row[0], key, keep=not row[0].endswith(".invalid"))

    def _update(self, number: int, entry: SourceEntry, before: SourceEntry | None) -> None:
        hidden = entry.hidden or not entry.address
        self._db.execute(
            "UPDATE objects SET display_name = ?, hidden = ? WHERE id = ?",
            (entry.display_name or split(entry.address)[0], int(hidden), number),
        )
        if before is None or before.details != entry.details:
            if entry.details == Details():
                self._db.execute("DELETE FROM details WHERE id = ?", (number,))
            else:
                self._put_details(number, entry.details)
        self._put_photo(number, entry.photo)
        family = _family(entry.kind)
        if family == "contact":
            target = check(entry.target or entry.address)
            self._db.execute("UPDATE contacts SET target = ? WHERE id = ?", (target, number))
        elif family == "account":
            self._update_account(number, entry, before)

    def _update_account(self, number: int, entry: SourceEntry, before: SourceEntry | None) -> None:
        self._db.execute(
            "UPDATE accounts SET enabled = ?, expires_at = ?, password_at = ?, kind = ?,"
            " removed_at = NULL WHERE id = ?",
            (int(entry.enabled), entry.expires_at, entry.password_at, entry.kind.value, number),
        )
        if before is None or (before.forward_to, before.forward_keep) != (entry.forward_to, entry.forward_keep):
            targets = "\n".join(check(target) for target in entry.forward_to)
            if before is not None or targets:
                self._db.execute(
                    "UPDATE accounts SET forward_to = ?, forward_keep = ? WHERE id = ?",
                    (targets, int(entry.forward_keep), number),
                )
        if before is None or before.login_names != entry.login_names:
            self._db.execute("DELETE FROM login_names WHERE object = ?", (number,))
            for name in entry.login_names:
                # two forests may have the same short name: the first one to come has it
                self._db.execute("INSERT OR IGNORE INTO login_names VALUES (?, ?)", (name, number))
        if before is not None:
            ended = (before.enabled and not entry.enabled) or before.password_at != entry.password_at
            if ended or before.expires_at != entry.expires_at or before.kind is not entry.kind:
                self._touch(number, end=ended)

    def _project_addresses(
        self, source: int, number: int, entry: SourceEntry, before: SourceEntry | None, refused: list[str]
    ) -> None:
        """Proxy addresses: what the source gave and gives no more goes, what somebody added here stays."""
        wanted = set()
        for proxy in entry.proxies:
            try:
                wanted.add(check(proxy))
            except Refusal:
                refused.append(proxy)
        for proxy in before.proxies if before is not None else ():
            if proxy.lower() not in wanted:
                self._db.execute("DELETE FROM proxies WHERE address = ? AND object = ?", (proxy.lower(), number))
        for key in sorted(wanted):
            holder = self._object_at(key)
            if holder is not None and holder[0] == number:
                continue
            if self._may_have(source, number, key):
                self._db.execute("INSERT INTO proxies VALUES (?, ?)", (key, number))
            else:
                refused.append(key)

    # --- what is gone
    def _remove(self, source: int, anchor: str) -> int:
        """An entry that its source has no more: 1 if anything came of it."""
        row = self._row("SELECT object FROM mirrored WHERE source = ? AND anchor = ?", (source, anchor))
        if row is None or row[0] is None:
            self._db.execute("DELETE FROM mirrored WHERE source = ? AND anchor = ?", (source, anchor))
            return 0
        if self._row("SELECT 1 FROM accounts WHERE id = ? AND removed_at IS NOT NULL", (row[0],)):
            return 0
        if self._detach(row[0], anchor):
            self._db.execute("DELETE FROM mirrored WHERE source = ? AND anchor = ?", (source, anchor))
        else:
            # kept, so that an entry that is restored in its source finds its mailbox again
            self._db.execute(
                "UPDATE mirrored SET digest = x'', refused = '' WHERE source = ? AND anchor = ?", (source, anchor)
            )
        return 1

    def _detach(self, number: int, anchor: str) -> bool:
        """Remove a contact or group (True); disconnect an account, whose mailbox is kept (False)."""
        row = self._row("SELECT kind, address FROM objects WHERE id = ?", (number,))
        assert row is not None
        if row[0] != "account":
            self._delete_object(AccountId(number), row[1])
            return True
        self._disconnect(number, _token(anchor))
        return False

    def _disconnect(self, number: int, token: str) -> None:
        """Nobody signs in and no mail comes; mailbox, details and rights stay."""
        row = self._row("SELECT address FROM objects WHERE id = ?", (number,))
        assert row is not None
        self._db.execute("DELETE FROM proxies WHERE object = ?", (number,))
        self._db.execute("DELETE FROM login_names WHERE object = ?", (number,))
        self._rename_object(number, row[0], f"{token}@{REMOVED_DOMAIN}", keep=False)
        self._db.execute("DELETE FROM members WHERE address = ?", (f"{token}@{REMOVED_DOMAIN}",))
        self._db.execute("UPDATE accounts SET enabled = 0, removed_at = ? WHERE id = ?", (self._now() or 0.0, number))
        self._touch(number, end=True)
        self._next_generation("rights")

    # --- members
    def _resolve_members(self, source: int, groups: set[str]) -> None:
        """Give mirrored groups the addresses of the members that are known by now."""
        for anchor in sorted(groups):
            row = self._row("SELECT object FROM mirrored WHERE source = ? AND anchor = ?", (source, anchor))
            if row is None or row[0] is None:
                continue
            number = int(row[0])
            found = self._rows(_MEMBERS, (source, anchor))
            now = {address.lower() for (address,) in found}
            old = set(self._listed(number))
            self._db.executemany("INSERT INTO members VALUES (?, ?)", [(number, key) for key in sorted(now - old)])
            for key in old - now:
                self._db.execute("DELETE FROM members WHERE grp = ? AND address = ?", (number, key))
            if old - now:
                self._next_generation("rights")


def _family(kind: RecipientKind) -> str:
    """The kind of object that has it."""
    return {RecipientKind.CONTACT: "contact", RecipientKind.GROUP: "group"}.get(kind, "account")


def _token(anchor: str) -> str:
    """An anchor as a local part."""
    return (
        "".join(char for char in anchor.lower() if char.isascii() and (char.isalnum() or char == "-"))[:64] or "entry"
    )
