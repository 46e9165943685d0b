"""What an import has done so far: the way to go on where it was cut off, and not to bring anything twice.

One SQLite file for each pair of mailbox and source. Before a batch is put into its folder an *intent* says from which
UID on its messages will be; after it, each message has a row. A run that finds an intent was cut off in between: what
lies in the folder from that UID on is compared by digest before anything is put there once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from postern.migration.values import State

_LAYOUT = """
CREATE TABLE IF NOT EXISTS folders (key TEXT PRIMARY KEY, generation TEXT NOT NULL, folder INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS intents (folder INTEGER PRIMARY KEY, from_uid INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS done (
    source TEXT NOT NULL, key TEXT NOT NULL, folder INTEGER NOT NULL, uid INTEGER NOT NULL, digest BLOB NOT NULL,
    flags INTEGER NOT NULL, keywords TEXT NOT NULL, PRIMARY KEY (source, key)
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


class Done(NamedTuple):
    """A message that is in its mailbox."""

    key: str
    uid: int
    digest: bytes
    """SHA-256 of the content as it came from the source."""
    state: State
    """As the source had it when it was last looked at."""


class Ledger:
    """Blocking, and quick: it is used between batches."""

    def __init__(self, directory: Path, mailbox: str, source: str) -> None:
        """Open or make it. Raises OSError, apsw.Error."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = hashlib.sha256(f"{mailbox}\0{source}".encode()).hexdigest()[:32]
        self.path = directory / f"{name}.db"
        self._db = apsw.Connection(str(self.path))
        self._db.set_busy_timeout(1000)
        self._db.pragma("locking_mode", "exclusive")
        self._db.pragma("journal_mode", "wal")
        self._db.pragma("synchronous", "full")
        self._rows(_LAYOUT)

    def _rows(self, statement: str, values: Iterable[Any] = ()) -> list[Any]:
        return self._db.execute(statement, tuple(values)).fetchall()

    def folder(self, key: str) -> tuple[str, int] | None:
        """Generation and target folder's id of a source folder that was met before."""
        found = self._rows("SELECT generation, folder FROM folders WHERE key = ?", (key,))
        return (found[0][0], found[0][1]) if found else None

    def put_folder(self, key: str, generation: str, folder: int) -> None:
        """Remember where a source folder goes."""
        self._rows("INSERT OR REPLACE INTO folders VALUES (?, ?, ?)", (key, generation, folder))

    def forget(self, key: str) -> list[Done]:
        """A source folder has another generation: its keys mean nothing any more. What it had brought."""
        before = self.done(key)
        self._rows("DELETE FROM done WHERE source = ?", (key,))
        return before

    def done(self, key: str) -> list[Done]:
        """All messages of a source folder that are in the mailbox."""
        rows = self._rows("SELECT key, uid, digest, flags, keywords FROM done WHERE source = ?", (key,))
        return [Done(k, uid, digest, State(flags, tuple(words.split()))) for k, uid, digest, flags, words in rows]

    def intend(self, folder: int, from_uid: int) -> None:
        """A batch goes into a folder now; its UIDs will not be below. Durable on return."""
        self._rows("INSERT OR REPLACE INTO intents VALUES (?, ?)", (folder, from_uid))

    def intent(self, folder: int) -> int | None:
        """The UID from which on a run that was cut off may have left messages without rows."""
        found = self._rows("SELECT from_uid FROM intents WHERE folder = ?", (folder,))
        return int(found[0][0]) if found else None

    def finish(self, key: str, folder: int, messages: Iterable[Done]) -> None:
        """A batch is in its folder. Durable on return."""
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (key, one.key, folder, one.uid, one.digest, one.state.flags, " ".join(one.state.keywords))
                    for one in messages
                ],
            )
            self._rows("DELETE FROM intents WHERE folder = ?", (folder,))

    def restate(self, key: str, states: Iterable[tuple[str, State]]) -> None:
        """The source's flags have changed since."""
        self._db.executemany(
            "UPDATE done SET flags = ?, keywords = ? WHERE source = ? AND key = ?",
            [(state.flags, " ".join(state.keywords), key, one) for one, state in states],
        )

    def close(self) -> None:
        """Release the file."""
        self._db.close()
