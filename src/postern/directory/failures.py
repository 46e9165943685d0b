"""Failed sign-ins and what follows from them, shared by all processes: counters, locks, familiar networks, used codes.

A small SQLite file without syncs: losing some minutes of counters in a power cut costs nothing, and a sign-in that
succeeds writes next to nothing. The same wrong password counts once a window, so that a telephone with an old password
does not lock its owner out; only 16 bits of a keyed hash tell wrong passwords apart. One thing is synced: which
one-time codes are used up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import apsw

from postern.directory.schema import refusing
from postern.directory.wal import use_wal
from postern.model.ids import AccountId

_BUSY_TIMEOUT_MS = 200
_LAYOUT = """
    CREATE TABLE IF NOT EXISTS failures (
        key TEXT, fingerprint INTEGER, at REAL NOT NULL, PRIMARY KEY (key, fingerprint)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS failures_by_time ON failures (at);
    CREATE TABLE IF NOT EXISTS locks (key TEXT PRIMARY KEY, at REAL, until REAL, times INTEGER) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS familiar (
        account INTEGER, network TEXT, at REAL, PRIMARY KEY (account, network)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS codes (account INTEGER PRIMARY KEY, step INTEGER);
    CREATE TABLE IF NOT EXISTS uses (app_password INTEGER PRIMARY KEY, at REAL, address TEXT);
"""
FAMILIAR_S = 30 * 86400.0
"""How long a network stays familiar to an account after a sign-in from it."""


AHEAD_S = 300.0
"""What was noted further ahead was noted while the clock was wrong: it locks nobody out until that time comes."""


class LockTimes(NamedTuple):
    """How long things last, in seconds."""

    window_s: float = 900.0
    """Failures older than this do not count."""
    lock_s: float = 900.0
    """The first lock; each further one is twice as long."""
    lock_max_s: float = 14_400.0
    memory_s: float = 86_400.0
    """After so long without a lock the next one is a first one again."""


class Lock(NamedTuple):
    """A key that is refused for a while."""

    key: str
    """`address 192.0.2.1`, `account anna@example.org`, `account anna@example.org from 192.0.2.1`, `code ...`."""
    at: float
    until: float
    times: int
    """How often in a row."""


class Use(NamedTuple):
    """When an app password was last used, and from where."""

    at: float
    address: str


class FailureLog:
    """One per process."""

    def __init__(self, path: Path) -> None:
        """Raises Refusal."""
        self._path = path
        self._writes = 0
        with refusing(path):
            try:
                self._open()
            except (apsw.CorruptError, apsw.NotADBError):
                path.unlink()
                self._open()

    def _open(self) -> None:
        self._db = apsw.Connection(str(self._path))
        self._db.set_busy_timeout(_BUSY_TIMEOUT_MS)
        use_wal(self._db)
        self._db.pragma("synchronous", "off")
        self._db.execute(_LAYOUT)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if not self._db.get_autocommit():
                self._db.execute("ROLLBACK")
            raise

    # --- counters and locks
    def count(self, key: str, since: float, window_s: float) -> int:
        """Different failures of a key in a window's time after a moment (seconds since the epoch)."""
        sql = "SELECT count(*) FROM failures WHERE key = ? AND at > ? AND at < ?"
        row = self._db.execute(sql, (key, since, since + window_s + AHEAD_S)).fetchone()
        return int(row[0]) if row else 0

    def add(self, limits: Mapping[str, int], fingerprint: int, at: float, times: LockTimes) -> int:
        """Note a failure under each key; one that reaches its limit (0: none) is locked and counts from 0 again.

        Returns the largest count.
        """
        largest = 0
        # a limit is not worth a failed login: when the file is busy or the disk full, this failure is not counted
        with contextlib.suppress(apsw.BusyError, apsw.FullError, apsw.ReadOnlyError), self._writing():
            for key, limit in limits.items():
                self._db.execute("INSERT OR REPLACE INTO failures VALUES (?, ?, ?)", (key, fingerprint, at))
                count = self.count(key, at - times.window_s, times.window_s)
                largest = max(largest, count)
                if limit and count >= limit:
                    self._lock(key, at, times)
            self._writes += 1
            if self._writes % 100 == 1:
                ahead = at + AHEAD_S
                self._db.execute("DELETE FROM failures WHERE at < ? OR at > ?", (at - times.window_s, ahead))
                self._db.execute("DELETE FROM locks WHERE until < ? OR at > ?", (at - times.memory_s, ahead))
                self._db.execute("DELETE FROM familiar WHERE at < ?", (at - FAMILIAR_S,))
        return largest

    def _lock(self, key: str, at: float, times: LockTimes) -> None:
        row = self._db.execute("SELECT until, times FROM locks WHERE key = ?", (key,)).fetchone()
        before = 0
        if row is not None and at - times.memory_s < row[0] < at + times.lock_max_s + AHEAD_S:
            before = row[1]
        length_s = min(times.lock_s * 2 ** min(before, 16), times.lock_max_s)
        self._db.execute("INSERT OR REPLACE INTO locks VALUES (?, ?, ?, ?)", (key, at, at + length_s, before + 1))
        self._db.execute("DELETE FROM failures WHERE key = ?", (key,))

    def locked(self, keys: Sequence[str], at: float) -> list[Lock]:
        """Which of some keys are locked at a time."""
        marks = ",".join("?" * len(keys))
        sql = f"SELECT key, at, until, times FROM locks WHERE key IN ({marks}) AND until > ? AND at < ?"  # noqa: S608 - marks only
        return [Lock(*row) for row in self._db.execute(sql, (*keys, at, at + AHEAD_S))]

    def locks(self, at: float) -> list[Lock]:
        """All that are locked at a time, the longest first."""
        sql = "SELECT key, at, until, times FROM locks WHERE until > ? AND at < ? ORDER BY until DESC"
        return [Lock(*row) for row in self._db.execute(sql, (at, at + AHEAD_S))]

    def clear(self, key: str) -> int:
        """Forget failures and locks of a key, and of a key `... from ...` under it; how many locks there were."""
        under = f"{key} from "
        with refusing(self._path), self._writing():
            fits = "WHERE key = ?1 OR substr(key, 1, ?3) = ?2"
            self._db.execute(f"DELETE FROM failures {fits}", (key, under, len(under)))  # noqa: S608 - constant
            self._db.execute(f"DELETE FROM locks {fits}", (key, under, len(under)))  # noqa: S608 - constant
            return self._db.changes()

    # --- where people usually are
    def remember(self, account: AccountId, network: str, at: float) -> None:
        """An account was signed in to from a network."""
        with contextlib.suppress(apsw.BusyError, apsw.FullError, apsw.ReadOnlyError):
            self._db.execute("INSERT OR REPLACE INTO familiar VALUES (?, ?, ?)", (account, network, at))

    def familiar(self, account: AccountId, network: str, at: float) -> bool:
        """Whether an account was signed in to from a network within FAMILIAR_S."""
        sql = "SELECT 1 FROM familiar WHERE account = ? AND network = ? AND at > ?"
        return self._db.execute(sql, (account, network, at - FAMILIAR_S)).fetchone() is not None

    # --- what may be used once
    def use_code(self, account: AccountId, step: int) -> bool:
        """Use up a one-time code and all before it; False if it is used up already.

        Durable when it returns: a power cut brings no code back. Raises Refusal(TRY_LATER, DISK_FULL).
        """
        with refusing(self._path):
            self._db.pragma("synchronous", "full")
            try:
                self._db.execute(
                    "INSERT INTO codes VALUES (?1, ?2) ON CONFLICT (account) DO UPDATE SET step = ?2 WHERE step < ?2",
                    (account, step),
                )
                return self._db.changes() == 1
            finally:
                self._db.pragma("synchronous", "off")

    # --- when app passwords were used
    def used(self, app_password: int, at: float, address: str) -> None:
        """Note the last use."""
        with contextlib.suppress(apsw.BusyError, apsw.FullError, apsw.ReadOnlyError):
            self._db.execute("INSERT OR REPLACE INTO uses VALUES (?, ?, ?)", (app_password, at, address))

    def last_use(self, app_password: int) -> Use | None:
        """When, and from where."""
        row = self._db.execute("SELECT at, address FROM uses WHERE app_password = ?", (app_password,)).fetchone()
        return None if row is None else Use(*row)

    def close(self) -> None:
        """Release the file."""
        self._db.close()
