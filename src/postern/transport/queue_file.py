"""The queue's SQLite file: layout, transactions that never wait on the loop, and durability grouped in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import apsw

from postern.directory.wal import use_wal
from postern.model.refusal import Reason, Refusal

T = TypeVar("T")

LAYOUT = 2
_RUNNING = """
CREATE TABLE running(                 -- one row: transport.running_time
  id INTEGER PRIMARY KEY CHECK(id = 0),
  seconds REAL NOT NULL,              -- that the queue has been worked on
  seen_at REAL NOT NULL
) STRICT;
"""
_SCHEMA = f"""
CREATE TABLE message(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  segment INTEGER NOT NULL,           -- delivery key
  record INTEGER NOT NULL,
  queue_id TEXT NOT NULL,
  envelope BLOB NOT NULL,             -- msgpack model.envelope.Envelope
  blob_segment INTEGER NOT NULL,
  blob_record INTEGER NOT NULL,
  body_size INTEGER NOT NULL,
  prefix BLOB NOT NULL,
  received_at REAL NOT NULL,
  message_id TEXT NOT NULL,
  principal TEXT NOT NULL,
  came_at REAL,                       -- in running time; NULL: in a file of layout 1 that nobody has worked on since
  UNIQUE(segment, record)
) STRICT;
CREATE INDEX message_queue_id ON message(queue_id);
CREATE INDEX message_blob ON message(blob_segment, blob_record);
CREATE TABLE recipient(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  message INTEGER NOT NULL REFERENCES message(id) ON DELETE CASCADE,
  kind INTEGER NOT NULL,              -- transport.queue.Work
  address TEXT NOT NULL,
  notify TEXT NOT NULL,
  original TEXT NOT NULL,
  asked TEXT NOT NULL,
  reverse_path TEXT NOT NULL,
  target TEXT NOT NULL,               -- domain or mailbox
  attempts INTEGER NOT NULL DEFAULT 0,
  due_at REAL NOT NULL,               -- next attempt; while claimed: when the claim runs out
  claimed_by TEXT NOT NULL DEFAULT '',
  warned INTEGER NOT NULL DEFAULT 0,
  suspended INTEGER NOT NULL DEFAULT 0,
  status TEXT NOT NULL DEFAULT '',
  text TEXT NOT NULL DEFAULT '',
  remote TEXT NOT NULL DEFAULT '',
  last_attempt REAL
) STRICT;
CREATE INDEX recipient_due ON recipient(suspended, due_at);
CREATE INDEX recipient_message ON recipient(message);
CREATE TABLE outbox(                  -- reports that are owed
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  report BLOB NOT NULL,               -- msgpack transport.dsn.Report
  blob_segment INTEGER NOT NULL,
  blob_record INTEGER NOT NULL,
  due_at REAL NOT NULL,
  claimed_by TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE applied(                 -- what was ever put in from records that may be replayed
  segment INTEGER NOT NULL,
  record INTEGER NOT NULL,
  what TEXT NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY(segment, record, what)
) STRICT, WITHOUT ROWID;
{_RUNNING}
PRAGMA user_version = {LAYOUT};
"""
_STEPS = {1: f"ALTER TABLE message ADD COLUMN came_at REAL; {_RUNNING} PRAGMA user_version = 2;"}
"""From each older layout to the next."""

_BUSY_SECONDS = 30.0
_CHECKPOINT_BYTES = 4 << 20
_REASONS: tuple[tuple[type[apsw.Error], Reason], ...] = (
    (apsw.FullError, Reason.DISK_FULL),
    (apsw.ReadOnlyError, Reason.READ_ONLY),
    (apsw.CantOpenError, Reason.READ_ONLY),
    (apsw.PermissionsError, Reason.READ_ONLY),
    (apsw.CorruptError, Reason.CORRUPT),
    (apsw.NotADBError, Reason.CORRUPT),
    (apsw.IOError, Reason.DISK_FULL),
)


def refusal_of(problem: apsw.Error) -> Refusal:
    """SQLite's problem in our terms; anything unknown may pass by itself."""
    for kind, reason in _REASONS:
        if isinstance(problem, kind):
            return Refusal(reason, f"queue: {problem}")
    return Refusal(Reason.TRY_LATER, f"queue: {problem}")


class QueueFile:
    """One connection to the queue's file, for one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: apsw.Connection | None = None
        self._dirty = False
        self._sync: asyncio.Task[None] | None = None
        self._next_sync: asyncio.Task[None] | None = None

    def connection(self) -> apsw.Connection:
        """Open at first use, making the file if there is none. Raises apsw.Error."""
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = apsw.Connection(str(self._path))
            db.set_busy_timeout(200)
            use_wal(db)
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("PRAGMA foreign_keys=ON")
            db.wal_autocheckpoint(0)
            db.execute("BEGIN IMMEDIATE")
            if db.pragma("user_version") == 0:
                db.execute(_SCHEMA)
            while step := _STEPS.get(db.pragma("user_version")):
                db.execute(step)
            db.execute("COMMIT")
            layout = db.pragma("user_version")
            if layout != LAYOUT:
                db.close()
                raise Refusal(Reason.CORRUPT, f"{self._path} has layout {layout}, this version knows {LAYOUT}")
            # from here on busy is waited for on the loop, not in SQLite
            db.set_busy_timeout(0)
            self._db = db
        return self._db

    async def write(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run `work` in a write transaction; another process's transaction is waited for without blocking.

        Raises Refusal.
        """
        return await self._run(work, write=True)

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run `work` in a read transaction. Raises Refusal."""
        return await self._run(work, write=False)

    async def _run(self, work: Callable[[apsw.Connection], T], *, write: bool) -> T:
        pause, waited = 0.001, 0.0
        while True:
            try:
                db = self.connection()
                db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                try:
                    result = work(db)
                except BaseException:
                    with contextlib.suppress(apsw.Error):
                        db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
            except (apsw.BusyError, apsw.LockedError) as problem:
                if self._db is not None and self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if waited > _BUSY_SECONDS:
                    raise refusal_of(problem) from problem
                await asyncio.sleep(pause)
                waited += pause
                pause = min(pause * 2, 0.05)
                continue
            except apsw.Error as problem:
                if self._db is not None and self._db.in_transaction:
                    with contextlib.suppress(apsw.Error):
                        self._db.execute("ROLLBACK")
                raise refusal_of(problem) from problem
            if write:
                self._dirty = True
            return result

    async def durable(self) -> None:
        """Return when everything committed so far survives a power cut; callers share a sync. Raises OSError."""
        if self._sync is None:
            if not self._dirty:
                return
            self._dirty = False
            task = self._sync = asyncio.create_task(self._fsync())
        elif not self._dirty:
            task = self._sync
        else:
            # the running sync began before our commit: wait for the one after it
            if self._next_sync is None:
                self._next_sync = asyncio.create_task(self._fsync_after(self._sync))
            task = self._next_sync
        await asyncio.shield(task)

    async def _fsync_after(self, running: asyncio.Task[None]) -> None:
        with contextlib.suppress(OSError, apsw.Error):
            await asyncio.shield(running)
        self._sync, self._next_sync = self._next_sync, None
        await self._fsync()

    async def _fsync(self) -> None:
        self._dirty = False
        try:
            await asyncio.to_thread(_sync_wal, self._path)
        except OSError:
            self._dirty = True
            raise
        finally:
            if self._sync is asyncio.current_task():
                self._sync = None

    def close(self) -> None:
        """Release the file."""
        if self._db is not None:
            self._db.close()
            self._db = None


def _sync_wal(path: Path) -> None:
    """In a thread: sync what was committed, and move it into the file when it has become much."""
    try:
        wal = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fdatasync(wal)
        size = os.fstat(wal).st_size
    finally:
        os.close(wal)
    if size > _CHECKPOINT_BYTES:
        with contextlib.suppress(apsw.Error), contextlib.closing(apsw.Connection(str(path))) as db:
            db.set_busy_timeout(1000)
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
