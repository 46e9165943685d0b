"""Opening a mailbox file, and what SQLite's errors mean to the layers above."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import apsw

from postern.model.refusal import Reason, Refusal

MMAP_BYTES = 1 << 30
CACHE_KIB = 1024
PAGES_AT_ONCE = 10
"""A file's cache takes room for so many pages at its first one, as a delivery needs; SQLite's own choice is 20."""
SLOT_BYTES, SLOTS = 512, 90
"""46 KB a connection; SQLite's own choice is 1200 and 40."""
LOG_KEPT_BYTES = 1 << 20
"""What a log keeps of its blocks when it starts anew: rewriting them is cheap, but there are many mailboxes."""
STATEMENTS = 512
"""Uses of statements, not statements, that a compiled one is kept for: apsw puts each use into the next of so many
places and throws away what was there. A mailbox's commands take 3 to 27 uses each of some 60 statements, so that with
64 places nearly every command compiled one anew. To look through 512 takes 0.15 us more."""
SCRATCH = (
    "CREATE TEMP TABLE IF NOT EXISTS picked (low INTEGER PRIMARY KEY, high INTEGER NOT NULL, shift INTEGER NOT NULL)"
)
"""Where set operations keep the runs of UIDs that they work on; in memory, one a connection."""


class DurabilityLost(SystemError):  # noqa: N818 - the condition, not a kind of mistake
    """A sync failed. What was written since the last one may be gone, and asking again would hide it.

    Not an answer but the end of this process: it must stop, so that the journal is replayed over what is really on
    disk.
    """


def configure() -> None:
    """Once in a process that has not used SQLite yet: it keeps no account of its memory, which nobody reads.

    That is a lock and a sum at each allocation, 5 to 10 % of what opening a file costs. And each connection
    has many small slots for its allocations instead of few large ones: what a statement is compiled to then lies
    together, and leaves fewer holes among other things when the file is closed.
    """
    apsw.shutdown()
    apsw.config(apsw.SQLITE_CONFIG_MEMSTATUS, False)
    apsw.config(apsw.SQLITE_CONFIG_LOOKASIDE, SLOT_BYTES, SLOTS)
    apsw.initialize()


def connect(path: Path, *, create: bool = False, busy_ms: int = 0) -> apsw.Connection:
    """Open a mailbox file for reading and writing. Raises apsw.Error.

    Closing never checkpoints: an eviction from the cache of open files must not cost two flushes.
    """
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    db = apsw.Connection(str(path), flags=flags, statementcachesize=STATEMENTS)
    try:
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        # else a statement whose value might decide about a partial index is compiled anew for each value: 16 us each
        db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        db.set_busy_timeout(busy_ms)
        if create:
            db.execute("PRAGMA page_size = 4096")
            db.execute("PRAGMA journal_mode = WAL").fetchall()
        db.execute(
            f"PRAGMA synchronous = NORMAL; PRAGMA mmap_size = {MMAP_BYTES}; PRAGMA cache_size = {PAGES_AT_ONCE};"
            f"PRAGMA journal_size_limit = {LOG_KEPT_BYTES}; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON",
            can_cache=False,
        ).fetchall()
        # the schema was read before the first of these could be heeded: its room for 20 pages goes, and comes anew
        db.release_memory()
        once(db, f"PRAGMA user_version; PRAGMA cache_size = -{CACHE_KIB}")
        db.wal_autocheckpoint(0)
    except BaseException:
        db.close()
        raise
    return db


def rows(db: apsw.Connection, sql: str, bindings: tuple[object, ...] = ()) -> list[Any]:
    """All rows at once, so that no read transaction outlives the call."""
    return db.execute(sql, bindings).fetchall()


def once(db: apsw.Connection, sql: str, bindings: tuple[object, ...] = ()) -> list[Any]:
    """As `rows`, a statement that this connection hardly runs again: kept compiled it would take 2 to 20 KB."""
    return db.execute(sql, bindings, can_cache=False).fetchall()


def wal_path(path: Path) -> Path:
    """The write-ahead log beside a mailbox file."""
    return path.with_name(path.name + "-wal")


def sync_wal(path: Path) -> None:
    """Make every commit of the file survive a power cut. Raises DurabilityLost. Blocks.

    A commit is either still in the log, which is synced here, or a checkpoint has moved it into the file, and
    checkpoints sync the file before the log may be reused. So a log that was restarted or is gone needs no more care.
    """
    log = f"{path}-wal"
    try:
        fd = os.open(log, os.O_RDONLY)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DurabilityLost(f"{log}: {error}") from error
    try:
        os.fdatasync(fd)
    except OSError as error:
        raise DurabilityLost(f"{log}: {error}") from error
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """Make names in a directory survive a power cut. Raises DurabilityLost."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        raise DurabilityLost(f"{path}: {error}") from error
    finally:
        os.close(fd)


def refusal(error: Exception, path: Path) -> Exception:
    """What an engine's error is called above. A failed sync inside SQLite ends the process like our own."""
    detail = f"{path.name}: {error}"
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return Refusal(Reason.TRY_LATER, detail)
    if isinstance(error, apsw.FullError):
        return Refusal(Reason.DISK_FULL, detail)
    if isinstance(error, apsw.ReadOnlyError | apsw.PermissionsError):
        return Refusal(Reason.READ_ONLY, detail)
    if isinstance(error, apsw.CantOpenError):
        if not path.exists():
            return Refusal(Reason.NO_SUCH_RECIPIENT, detail)
        return Refusal(Reason.TRY_LATER if os.access(path.parent, os.W_OK) else Reason.READ_ONLY, detail)
    if isinstance(error, apsw.CorruptError | apsw.NotADBError | apsw.FormatError):
        return Refusal(Reason.CORRUPT, detail)
    if isinstance(error, apsw.IOError):
        extended = getattr(error, "extendedresult", 0)
        if extended in {apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC}:
            return DurabilityLost(detail)
        if extended in {apsw.SQLITE_IOERR_SHMSIZE, apsw.SQLITE_IOERR_SHMOPEN}:
            return Refusal(Reason.DISK_FULL, detail)
        return Refusal(Reason.CORRUPT, detail)
    return error
