"""Failed logins, counted by all processes together.

A small SQLite file without syncs: losing some minutes of counters in a power cut costs nothing, and a login that
succeeds writes nothing. The same wrong password counts once a window, so that a telephone with an old password does
not lock its owner out; only 16 bits of a keyed hash tell wrong passwords apart.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import apsw

from postern.directory.schema import refusing
from postern.directory.wal import use_wal

_BUSY_TIMEOUT_MS = 200


class FailureLog:
    """Counters by key, for example `address 192.0.2.1` or `account 7`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writes = 0
        try:
            self._open()
        except (apsw.CorruptError, apsw.NotADBError):
            path.unlink()
            with refusing(path):
                self._open()

    def _open(self) -> None:
        self._db = apsw.Connection(str(self._path))
        self._db.set_busy_timeout(_BUSY_TIMEOUT_MS)
        use_wal(self._db)
        self._db.pragma("synchronous", "off")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS failures (key TEXT, fingerprint INTEGER, at REAL NOT NULL,"
            " PRIMARY KEY (key, fingerprint)) WITHOUT ROWID;"
            "CREATE INDEX IF NOT EXISTS failures_by_time ON failures (at);"
        )

    def count(self, key: str, since: float) -> int:
        """Different failures of a key after a time (seconds since the epoch)."""
        row = self._db.execute("SELECT count(*) FROM failures WHERE key = ? AND at > ?", (key, since)).fetchone()
        return int(row[0]) if row else 0

    def add(self, keys: tuple[str, ...], fingerprint: int, at: float, window_s: float) -> None:
        """Note a failure under each key."""
        # a limit is not worth a failed login: when the file is busy or the disk full, this failure is not counted
        with contextlib.suppress(apsw.BusyError, apsw.FullError, apsw.ReadOnlyError):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for key in keys:
                    self._db.execute("INSERT OR REPLACE INTO failures VALUES (?, ?, ?)", (key, fingerprint, at))
                self._writes += 1
                if self._writes % 100 == 1:
                    self._db.execute("DELETE FROM failures WHERE at < ?", (at - window_s,))
                self._db.execute("COMMIT")
            except BaseException:
                if not self._db.get_autocommit():
                    self._db.execute("ROLLBACK")
                raise

    def clear(self, key: str) -> None:
        """Forget the failures of a key (an administrator unlocks an account)."""
        with refusing(self._path):
            self._db.execute("DELETE FROM failures WHERE key = ?", (key,))

    def close(self) -> None:
        """Release the file."""
        self._db.close()
