"""Web sessions that were ended before their time, known to all processes.

A session lives in its cookie; only what must not count any more is written down, until it would have ended by itself.
Sign-outs are rare: the whole table is in memory and read again when another process has written.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from postern.directory.schema import BUSY_TIMEOUT_MS, refusing
from postern.directory.wal import use_wal

_LAYOUT = (
    "CREATE TABLE IF NOT EXISTS ended (session BLOB PRIMARY KEY, until REAL NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS ended_before (account INTEGER PRIMARY KEY, at REAL NOT NULL, until REAL NOT NULL)"
    " STRICT"
)


class Endings:
    """The file, as one process sees it."""

    def __init__(self, path: Path) -> None:
        """Raises Refusal."""
        self._path = path
        self._version = -1
        self._ended: set[bytes] = set()
        self._before: dict[int, float] = {}
        with refusing(path):
            self._db = self._connect()

    def _connect(self) -> apsw.Connection:
        db = apsw.Connection(str(self._path))
        db.set_busy_timeout(BUSY_TIMEOUT_MS)
        use_wal(db)
        # somebody who has signed out at a public computer is signed out after a power cut too
        db.pragma("synchronous", "full")
        db.execute(_LAYOUT)
        return db

    def is_ended(self, session: bytes, account: int, begun_at: float) -> bool:
        """Whether a session was ended, by itself or with all of its account's. Times in seconds since the epoch."""
        self._read()
        return session in self._ended or begun_at <= self._before.get(account, 0.0)

    def all_ended_at(self, account: int) -> float:
        """When all sessions of an account were ended last, in seconds since the epoch; 0 for never."""
        self._read()
        return self._before.get(account, 0.0)

    def _read(self) -> None:
        with refusing(self._path):
            (version,) = self._db.execute("PRAGMA data_version").fetchone() or (0,)
            if version != self._version:
                self._ended = {bytes(row[0]) for row in self._db.execute("SELECT session FROM ended")}
                self._before = dict(self._db.execute("SELECT account, at FROM ended_before"))
                self._version = version

    def end(self, session: bytes, now: float, until: float) -> None:
        """End one. Waits for the disk: call it in a thread."""
        self._write("INSERT OR REPLACE INTO ended VALUES (?, ?)", (session, until), now)

    def end_all(self, account: int, now: float, until: float) -> None:
        """End all that an account has now. Waits for the disk: call it in a thread."""
        self._write("INSERT OR REPLACE INTO ended_before VALUES (?, ?, ?)", (account, now, until), now)

    def _write(self, sql: str, row: tuple[bytes | float, ...], now: float) -> None:
        # by a connection of its own: the other one belongs to the loop, and notices as it does with other processes
        with refusing(self._path):
            db = self._connect()
            try:
                db.execute("BEGIN IMMEDIATE")
                db.execute(sql, row)
                db.execute("DELETE FROM ended WHERE until < ?", (now,))
                db.execute("DELETE FROM ended_before WHERE until < ?", (now,))
                db.execute("COMMIT")
            finally:
                db.close()

    def close(self) -> None:
        """Release the file."""
        self._db.close()
