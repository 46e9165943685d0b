"""Opening the embedded directory (directory.db) and bringing it to the present layout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from postern.directory.layouts import MIGRATIONS
from postern.directory.wal import use_wal
from postern.model.refusal import Reason, Refusal

BUSY_TIMEOUT_MS = 3000
"""Writes are rare and short; readers never wait (WAL)."""
_INDEX_BYTES = 32 * 1024
"""What a log's shared index takes at least, beside which even reading needs nothing."""


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn the engine's failures into refusals."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as problem:
        raise Refusal(Reason.TRY_LATER, f"{path} is busy") from problem
    except apsw.FullError as problem:
        raise Refusal(Reason.DISK_FULL, f"no space left for {path}") from problem
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError) as problem:
        raise Refusal(Reason.READ_ONLY, f"cannot write {path}: {problem}") from problem
    except (apsw.CorruptError, apsw.NotADBError) as problem:
        raise Refusal(Reason.CORRUPT, f"{path} is damaged: {problem}") from problem
    except apsw.IOError as problem:
        if _is_full(path):  # the shared index of a log could not be made: SQLite does not say why
            raise Refusal(Reason.DISK_FULL, f"no space left for {path}") from problem
        raise Refusal(Reason.TRY_LATER, f"{path}: {problem}") from problem


def _is_full(path: Path) -> bool:
    try:
        space = os.statvfs(path.parent)
    except OSError:
        return False
    return space.f_bavail * space.f_frsize < _INDEX_BYTES


def connect(path: Path) -> apsw.Connection:
    """Open the file, make it or bring its layout up to date. Raises Refusal(READ_ONLY, CORRUPT, CONFLICT)."""
    with refusing(path):
        db = apsw.Connection(str(path))
        db.set_busy_timeout(BUSY_TIMEOUT_MS)
        use_wal(db)
        # a directory change is rare and must survive a power cut when the administrator's command returns
        db.pragma("synchronous", "full")
        # steps rebuild tables: their references are only followed afterwards
        db.pragma("foreign_keys", False)
        migrate(db, path)
        db.pragma("foreign_keys", True)
        # SQLite's own comparison knows the case of ASCII letters only
        db.create_scalar_function("casefold", _casefold, 1, deterministic=True)
        return db


def _casefold(*values: apsw.SQLiteValue) -> apsw.SQLiteValue:
    (value,) = values
    return value.casefold() if isinstance(value, str) else value


def migrate(db: apsw.Connection, path: Path) -> None:
    """Apply the missing steps, in one transaction, after a copy beside the file (`directory.db.layout-1`).

    Raises Refusal(CONFLICT) for a file of a newer Postern.
    """
    layout = int(db.pragma("user_version"))
    if layout == len(MIGRATIONS):
        return
    if 0 < layout < len(MIGRATIONS):
        _copy(db, path.with_name(f"{path.name}.layout-{layout}"))
    db.execute("BEGIN IMMEDIATE")
    try:
        layout = int(db.pragma("user_version"))
        if layout > len(MIGRATIONS):
            raise Refusal(Reason.CONFLICT, f"{path} has layout {layout}, this Postern knows {len(MIGRATIONS)}")
        for step in MIGRATIONS[layout:]:
            db.execute(step)
        broken = db.execute("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            raise Refusal(Reason.CORRUPT, f"{path}: table {broken[0]} has rows that belong to nothing")
        db.pragma("user_version", len(MIGRATIONS))
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _copy(db: apsw.Connection, target: Path) -> None:
    """A copy that appears whole or not at all."""
    unfinished = target.with_name(f"{target.name}.{os.getpid()}")
    copy = apsw.Connection(str(unfinished))
    try:
        with copy.backup("main", db, "main") as backup:
            backup.step()
    finally:
        copy.close()
    unfinished.chmod(0o600)
    unfinished.replace(target)
