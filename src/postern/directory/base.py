"""What the parts of the embedded directory share: the connection, transactions, row mapping and caches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postern.directory import schema
from postern.directory.interface import Account, Domain, DomainKind, Group, Resolution
from postern.model.addresses import normalise
from postern.model.ids import AccountId, MailboxId
from postern.model.items import Quota
from postern.model.ports import Entropy
from postern.model.refusal import Reason, Refusal

ACCOUNT_COLUMNS = (
    "o.id, o.address, o.display_name, a.mailbox, a.slot, a.warn_bytes, a.no_send_bytes, a.no_receive_bytes, "
    "a.enabled, a.shared, a.admin, a.protocols, a.forward_to, a.forward_keep"
)
ACCOUNTS = f"SELECT {ACCOUNT_COLUMNS} FROM accounts a JOIN objects o USING (id)"  # noqa: S608 - constants only

MAX_CACHED = 50_000
"""Entries a cache may hold before it starts anew: a flood of unknown recipients must not eat the memory."""


def account_of_row(row: tuple[Any, ...]) -> Account:
    """A row of ACCOUNTS."""
    return Account(
        id=AccountId(row[0]),
        address=row[1],
        display_name=row[2],
        mailbox=MailboxId(row[3]),
        slot=row[4],
        quota=Quota(row[5], row[6], row[7]),
        enabled=bool(row[8]),
        shared=bool(row[9]),
        admin=bool(row[10]),
        protocols=frozenset(row[11].split()),
        forward_to=tuple(row[12].split("\n")) if row[12] else (),
        forward_keep=bool(row[13]),
    )


class DirectoryFile:
    """The connection of one process. Use it from one thread only."""

    def __init__(self, path: Path, entropy: Entropy) -> None:
        self.path = path
        self._entropy = entropy
        self._db = schema.connect(path)
        self._version = -1
        self._fresh = False
        self._resolved: dict[str, Resolution] = {}
        self._logins: dict[str, Account | None] = {}
        self._by_mailbox: dict[str, Account | None] = {}
        self._rights: dict[tuple[Any, ...], Any] = {}
        self._domains: dict[str, Domain] | None = None

    async def close(self) -> None:
        """Release the file."""
        self._db.close()

    def _refresh(self) -> None:
        """Forget what was read if another process has written.

        Asked once in a turn of the event loop: nothing that anybody could have waited for happens within one.
        """
        if self._fresh:
            return
        with schema.refusing(self.path):
            (version,) = self._db.execute("PRAGMA data_version").fetchone() or (-1,)
        if version != self._version:
            self._version = version
            self._forget()
        self._fresh = True
        asyncio.get_running_loop().call_soon(self._turn_ended)

    def _turn_ended(self) -> None:
        self._fresh = False

    def _forget(self) -> None:
        self._resolved.clear()
        self._logins.clear()
        self._by_mailbox.clear()
        self._rights.clear()
        self._domains = None

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
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if not self._db.get_autocommit():
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._forget()

    # --- shared look-ups
    def _accepted(self) -> dict[str, Domain]:
        if self._domains is None:
            rows = self._rows("SELECT name, kind, catch_all FROM domains ORDER BY position")
            self._domains = {name: Domain(name, DomainKind(kind), catch) for name, kind, catch in rows}
        return self._domains

    def _account_at(self, key: str) -> Account | None:
        row = self._row(f"{ACCOUNTS} WHERE o.address = ?", (key,))
        return account_of_row(row) if row else None

    def _group_at(self, key: str) -> Group | None:
        row = self._row(
            "SELECT o.id, o.address, o.display_name, g.authenticated_only, g.owner"
            " FROM groups g JOIN objects o USING (id) WHERE o.address = ?",
            (key,),
        )
        if row is None:
            return None
        members = self._rows("SELECT address FROM members WHERE grp = ? ORDER BY rowid", (row[0],))
        return Group(AccountId(row[0]), row[1], row[2], tuple(m[0] for m in members), bool(row[3]), row[4])

    def _alias_at(self, key: str) -> tuple[str, ...]:
        row = self._row("SELECT targets FROM aliases WHERE address = ?", (key,))
        return tuple(json.loads(row[0])) if row else ()

    def _object_id(self, address: str) -> AccountId:
        """Number of an account or group, by its address or a simple alias. Raises Refusal(NO_SUCH_RECIPIENT)."""
        key = normalise(address)
        for _ in range(2):
            row = self._row("SELECT id FROM objects WHERE address = ?", (key,))
            if row:
                return AccountId(row[0])
            targets = self._alias_at(key)
            if len(targets) != 1:
                break
            key = targets[0]
        raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such account or group: {address}")

    def _owner_id(self, owner: MailboxId) -> int:
        row = self._row("SELECT id FROM accounts WHERE mailbox = ?", (owner,))
        if row is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such mailbox: {owner}")
        return int(row[0])
