"""Copies of SQLite files while they are in use, and what has to change in a mailbox that comes back from one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import apsw

from postern.store.sqlite import schema
from postern.store.sqlite.connection import connect, rows, wal_path
from postern.store.sqlite.schema import BLOCK, migrate

BUSY_MS = 10_000
JUMP = 1 << 20
"""Numbers left out at a restore: ids that were given after the backup are not given to other items."""
_MAX_UID = 2**32 - 1


class MailboxFacts(NamedTuple):
    """Of a copy."""

    change: int
    references: dict[int, set[int]]
    """Records by segment that items and attachments refer to."""


def looks(path: Path) -> tuple[int, ...]:
    """How a file and its log look: every commit changes it. Raises FileNotFoundError."""
    facts = path.stat()
    try:
        log = wal_path(path).stat()
    except FileNotFoundError:
        return facts.st_ino, facts.st_size, facts.st_mtime_ns
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, log.st_size, log.st_mtime_ns


def copy_file(path: Path, copy: Path) -> None:
    """Copy a database at one moment, beside readers and writers, in one file. Raises apsw.Error.

    In one step: a copy in several begins anew whenever somebody writes.
    """
    copy.unlink(missing_ok=True)
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as source:
        source.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        source.set_busy_timeout(BUSY_MS)
        with closing(apsw.Connection(str(copy))) as target:
            target.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE")
            with target.backup("main", source, "main") as running:
                running.step(-1)
    for rest in ("-wal", "-shm", "-journal"):
        copy.with_name(copy.name + rest).unlink(missing_ok=True)


def open_copy(copy: Path) -> apsw.Connection:
    """A copy that nobody writes, without making files beside it."""
    return apsw.Connection(
        f"file:{copy}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, statementcachesize=8
    )


def mailbox_facts(copy: Path) -> MailboxFacts:
    """What a copy of a mailbox says. Raises apsw.Error."""
    with closing(open_copy(copy)) as db:
        ((change,),) = rows(db, "SELECT changed FROM counters WHERE id = 0")
        tables = ["items"] + (["attachments"] if schema.version_of(db) > 1 else [])
        references: dict[int, set[int]] = {}
        for table in tables:
            for segment, record in db.execute(f"SELECT segment, record FROM {table} WHERE segment != 0"):
                references.setdefault(segment, set()).add(record)
    return MailboxFacts(int(change), references)


def renew(path: Path, now: int) -> None:
    """Make a mailbox out of a backup one that clients do not take for the one they knew. Durable on return.

    New UIDVALIDITYs, a new incarnation, numbers above everything that may have been given since the backup: whoever
    followed it begins anew. `now`: seconds since the epoch. Raises apsw.Error, UnknownLayout.
    """
    with closing(connect(path, busy_ms=BUSY_MS)) as db:
        rows(db, "PRAGMA journal_mode = WAL")
        migrate(db, now)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        try:
            _renew(db, now)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _renew(db: apsw.Connection, now: int) -> None:
    ((changed, next_id, validity),) = rows(db, "SELECT changed, uid_next, uid_validity FROM counters WHERE id = 0")
    ((change_top, id_top),) = rows(
        db, "SELECT max(change_safe, change_pending), max(id_safe, id_pending) FROM state WHERE id = 1"
    )
    validity = max(validity, now & 0x7FFFFFFF)
    folders = [folder for (folder,) in rows(db, "SELECT id FROM counters WHERE id > 0 ORDER BY id")]
    for number, folder in enumerate(folders, 1):
        db.execute("UPDATE counters SET uid_validity = ? WHERE id IN (?, ?)", (validity + number, folder, -folder))
    db.execute("DELETE FROM views")
    change = max(changed, change_top) + 1
    next_id = min(max(next_id - 1, id_top) + 1 + JUMP, _MAX_UID - BLOCK)
    db.execute("INSERT OR REPLACE INTO gaps VALUES (?, ?)", (changed, change))
    db.execute("UPDATE counters SET uid_next = ?", (next_id,))
    db.execute("UPDATE counters SET changed = ?, uid_validity = ? WHERE id = 0", (change, validity + len(folders)))
    db.execute(
        "UPDATE state SET incarnation = max(incarnation + 1, ?1), deleted = 0, change_safe = ?2, change_pending = ?2,"
        " id_safe = ?3, id_pending = ?3",
        (now, change + BLOCK, next_id + BLOCK),
    )
