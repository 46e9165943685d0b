"""What the parts of the embedded directory share: the connection, transactions, row mapping and caches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import apsw
import msgspec

from postern.directory import filtering, schema
from postern.directory.objects import (
    ALL_PROTOCOLS,
    DEFAULT_POLICY,
    Account,
    Domain,
    DomainKind,
    Group,
    LifeChanges,
    Policy,
    RecipientKind,
    Resolution,
)
from postern.model import filters
from postern.model.addresses import normalise
from postern.model.ids import AccountId, MailboxId
from postern.model.items import Quota
from postern.model.ports import Clock, Entropy
from postern.model.refusal import Reason, Refusal

ACCOUNT_COLUMNS = (
    "o.id, o.address, o.display_name, a.mailbox, a.slot, a.warn_bytes, a.no_send_bytes, a.no_receive_bytes, "
    "a.enabled, a.kind, a.admin, a.blocked, a.forward_to, a.forward_keep, o.hidden, a.expires_at, a.generation, "
    "a.password_at, a.policy, o.source"
)
ACCOUNTS = f"SELECT {ACCOUNT_COLUMNS} FROM accounts a JOIN objects o USING (id)"  # noqa: S608 - constants only

MAX_CACHED = 50_000
"""Entries a cache may hold before it starts anew: a flood of unknown recipients must not eat the memory."""
MAX_LIFE_CHANGES = 10_000
"""Accounts named in one answer about life changes; beyond it is simply everybody."""


@lru_cache(maxsize=256)
def _protocols(blocked: str, by_policy: frozenset[str]) -> frozenset[str]:
    """What an account may sign in to: one set for all with the same, since each connection holds its account.

    `blocked`: the account's own column, words.
    """
    return ALL_PROTOCOLS.difference(blocked.split()) & by_policy


class DirectoryFile:
    """The connection of one process. Use it from one thread only."""

    def __init__(
        self,
        path: Path,
        entropy: Entropy,
        clock: Clock | None = None,
        tell: Callable[[int], None] | None = None,
        host_name: str = "",
    ) -> None:
        """`tell` is called after a commit in which the life of an account changed, with the new generation.

        `host_name`: this server's, at which postmaster and abuse are reached though it be no accepted domain.
        """
        self.path = path
        self._entropy = entropy
        self._clock = clock
        self._tell = tell
        self._host_name = host_name.lower().rstrip(".")
        self._ended = 0
        self._db = schema.connect(path)
        self._ask_version = self._db.cursor().execute  # a cursor of its own: it is asked for each recipient
        self._version = -1
        self._state = 0
        self._fresh = False
        self._resolved: dict[str, Resolution] = {}
        self._logins: dict[str, Account | None] = {}
        self._by_number: dict[int, Account | None] = {}
        self._by_mailbox: dict[str, Account | None] = {}
        self._by_address: dict[str, Account] = {}
        self._hashes: dict[int, str] = {}
        self._rights: dict[tuple[Any, ...], Any] = {}
        self._domains: dict[str, Domain] | None = None
        self._policies: dict[str, Policy] | None = None
        self._sources: dict[int, str] | None = None
        self._servers: tuple[Any, ...] | None = None

    async def close(self) -> None:
        """Release the file."""
        self._db.close()

    def _refresh(self) -> None:
        """Forget what was read if another process has written.

        Asked once in a turn of the event loop: nothing that anybody could have waited for happens within one.
        """
        if self._fresh:
            return
        try:
            version: Any = self._ask_version("PRAGMA data_version").fetchall()[0][0]
        except apsw.Error:
            with schema.refusing(self.path):
                raise
        if version != self._version:
            self._version = version
            self._forget()
        self._fresh = True
        asyncio.get_running_loop().call_soon(self._turn_ended)

    def _turn_ended(self) -> None:
        self._fresh = False

    async def state(self) -> int:
        """Another number whenever anything was written, by whichever process."""
        self._refresh()
        return self._state

    def _forget(self) -> None:
        self._state += 1
        self._resolved.clear()
        self._logins.clear()
        self._by_number.clear()
        self._by_mailbox.clear()
        self._by_address.clear()
        self._hashes.clear()
        self._rights.clear()
        self._domains = None
        self._policies = None
        self._sources = None
        self._servers = None

    def _rows(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with schema.refusing(self.path):
            return list(self._db.execute(sql, bindings))

    def _row(self, sql: str, bindings: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        with schema.refusing(self.path):
            row: tuple[Any, ...] | None = self._db.execute(sql, bindings).fetchone()
            return row

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; what this process had cached is gone afterwards, other processes notice themselves."""
        with schema.refusing(self.path):
            self._ended = 0
            self._db.execute("BEGIN IMMEDIATE")
            self._forget()
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if not self._db.get_autocommit():
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._forget()
        if self._ended and self._tell is not None:
            self._tell(self._ended)

    def _now(self) -> float | None:
        return None if self._clock is None else self._clock.timestamp()

    # --- life cycle: what open sessions and tokens have to know
    def _next_generation(self, which: str = "") -> int:
        row = self._row("UPDATE meta SET value = value + 1 WHERE key = 'generation' RETURNING value")
        assert row is not None
        self._ended = int(row[0])
        if which:
            self._db.execute("UPDATE meta SET value = ? WHERE key = ?", (str(self._ended), f"generation_{which}"))
        return self._ended

    def _touch(self, account: int, *, end: bool) -> None:
        """Have sessions of an account looked at again; `end`: whatever was signed in before is over."""
        generation = self._next_generation()
        self._db.execute("INSERT OR REPLACE INTO life VALUES (?, ?)", (account, generation))
        if end:
            self._db.execute("UPDATE accounts SET generation = ? WHERE id = ?", (generation, account))

    async def life_changes(self, since: int | None = None) -> LifeChanges:
        """What happened to accounts after a generation; None asks for nothing but the present number."""
        rows = self._rows("SELECT key, value FROM meta WHERE key GLOB 'generation*'")
        numbers = {key: int(value) for key, value in rows}
        now = numbers["generation"]
        if since is None or now == since:
            return LifeChanges(now, ())
        # what is looked up because of a change must not be older than the change, even within one turn of the loop
        self._fresh = False
        self._refresh()
        found = self._rows(
            "SELECT account FROM life WHERE generation > ? ORDER BY generation LIMIT ?", (since, MAX_LIFE_CHANGES + 1)
        )
        everybody = numbers["generation_everybody"] > since or len(found) > MAX_LIFE_CHANGES
        accounts = tuple(AccountId(number) for (number,) in found)
        return LifeChanges(now, accounts, numbers["generation_rights"] > since, everybody)

    # --- shared look-ups
    def _accepted(self) -> dict[str, Domain]:
        if self._domains is None:
            rows = self._rows("SELECT name, kind, catch_all FROM domains ORDER BY position")
            self._domains = {name: Domain(name, DomainKind(kind), catch) for name, kind, catch in rows}
        return self._domains

    def _known_policies(self) -> dict[str, Policy]:
        if self._policies is None:
            rows = self._rows("SELECT name, body FROM policies ORDER BY name")
            default = {DEFAULT_POLICY: Policy(DEFAULT_POLICY)}
            self._policies = default | {name: msgspec.json.decode(body, type=Policy) for name, body in rows}
        return self._policies

    def _policy(self, name: str) -> Policy:
        known = self._known_policies()
        return known.get(name) or known[DEFAULT_POLICY]

    def _source_name(self, number: int) -> str:
        if self._sources is None:
            self._sources = {0: "", **dict(self._rows("SELECT id, name FROM sources"))}
        return self._sources.get(number, "")

    def _account_of(self, row: tuple[Any, ...]) -> Account:
        """A row of ACCOUNTS."""
        policy = self._policy(row[18])
        max_age_s = policy.password_max_age_s
        return Account(
            id=AccountId(row[0]),
            address=row[1],
            display_name=row[2],
            mailbox=MailboxId(row[3]),
            slot=row[4],
            quota=Quota(row[5], row[6], row[7]),
            enabled=bool(row[8]),
            kind=RecipientKind(row[9]),
            admin=bool(row[10]),
            protocols=_protocols(row[11], policy.protocols),
            forward_to=tuple(row[12].split("\n")) if row[12] else (),
            forward_keep=bool(row[13]),
            hidden=bool(row[14]),
            expires_at=row[15],
            generation=row[16],
            password_at=row[17],
            password_expires_at=row[17] + max_age_s if max_age_s and row[17] is not None and not row[19] else None,
            policy=row[18],
            source=self._source_name(row[19]) if row[19] else "",
        )

    def _account_at(self, key: str) -> Account | None:
        known = self._by_address.get(key)
        if known is not None:
            return known
        row = self._row(f"{ACCOUNTS} WHERE o.address = ?", (key,))
        return self._account_of(row) if row else None

    def _account_numbered(self, number: int) -> Account | None:
        row = self._row(f"{ACCOUNTS} WHERE o.id = ?", (number,))
        return self._account_of(row) if row else None

    def _group_numbered(self, number: int) -> Group | None:
        row = self._row(
            "SELECT o.id, o.address, o.display_name, g.authenticated_only, g.owner, g.filter, o.hidden, o.source"
            " FROM groups g JOIN objects o USING (id) WHERE o.id = ?",
            (number,),
        )
        if row is None:
            return None
        number, address, name, internal, owner, wanted, hidden, source = row
        members = self._found_by(wanted) if wanted else self._listed(number)
        return Group(
            AccountId(number),
            address,
            name,
            members,
            bool(internal),
            owner,
            wanted,
            bool(hidden),
            self._source_name(source),
        )

    def _listed(self, group: int) -> tuple[str, ...]:
        return tuple(m for (m,) in self._rows("SELECT address FROM members WHERE grp = ? ORDER BY rowid", (group,)))

    def _found_by(self, wanted: str) -> tuple[str, ...]:
        """Members of a dynamic group: mailboxes and contacts, never groups, so that none can contain itself."""
        condition, bindings = filtering.compile_filter(filters.parse(wanted))
        rows = self._rows(
            f"SELECT address FROM ({filtering.BOOK}) book WHERE object_kind <> 'group' AND removed_at IS NULL"  # noqa: S608
            f" AND {condition} ORDER BY id",
            tuple(bindings),
        )
        return tuple(address for (address,) in rows)

    def _group_at(self, key: str) -> Group | None:
        row = self._row("SELECT id FROM objects WHERE address = ? AND kind = 'group'", (key,))
        return self._group_numbered(row[0]) if row else None

    def _alias_at(self, key: str) -> tuple[str, ...]:
        row = self._row("SELECT targets FROM aliases WHERE address = ?", (key,))
        return tuple(json.loads(row[0])) if row else ()

    def _object_at(self, key: str) -> tuple[int, str, str] | None:
        """Number, kind and primary address of what has an address, as its own or as a proxy."""
        row = self._row(
            "SELECT id, kind, address FROM objects WHERE address = ?1"
            " UNION ALL SELECT o.id, o.kind, o.address FROM proxies p JOIN objects o ON o.id = p.object"
            " WHERE p.address = ?1",
            (key,),
        )
        return (int(row[0]), str(row[1]), str(row[2])) if row else None

    def _object_id(self, address: str) -> AccountId:
        """Number of an account, contact or group, by any of its addresses. Raises Refusal(NO_SUCH_RECIPIENT)."""
        key = normalise(address)
        found = self._object_at(key)
        if found is None:
            targets = self._alias_at(key)
            found = self._object_at(targets[0]) if len(targets) == 1 else None
        if found is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such account, contact or group: {address}")
        return AccountId(found[0])

    def _owner_id(self, owner: MailboxId) -> int:
        row = self._row("SELECT id FROM accounts WHERE mailbox = ?", (owner,))
        if row is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such mailbox: {owner}")
        return int(row[0])
