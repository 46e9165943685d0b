"""The search file of a mailbox: `search/ab/<guid>.db`, attached to a connection of the mailbox's own as schema `s`.

What it holds was worked out from the mailbox and can be worked out again: it is never synced, and thrown away when it
is damaged, of another layout, or of another incarnation of the mailbox. If it cannot be written (a full disk, somebody
else writing for long) a search has one in memory.

Rows are found by content, so that flags, copies and moves cost nothing. `stamp` says which body the row was made of:
for mail the reference to it, for items without MIME (they change in place) the change number.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, cast

import apsw

from postern.model.collation import UNICODE_VERSION
from postern.store.sqlite.connection import connect, rows, wal_path

APPLICATION_ID = 0x504F5353
LAYOUT_VERSION = 4
PAGE_BYTES = 16384
BUSY_MS = 2000
CACHE_KIB = 4096
LOG_BYTES = 256 << 10
"""Whoever opens the file first reads the whole log: a longer one is emptied."""

STAMP = "CASE WHEN i.segment THEN (i.segment << 32) | i.record ELSE -i.altered - 1 END"
"""Of an item `i`."""
NO_DATE = -(2**62)

_LAYOUT = """
CREATE TABLE {s}.facts (id INTEGER PRIMARY KEY CHECK (id = 1), mailbox TEXT NOT NULL, incarnation INTEGER NOT NULL,
    unicode TEXT NOT NULL, batch INTEGER NOT NULL);
CREATE TABLE {s}.heads (
    content INTEGER PRIMARY KEY,
    stamp INTEGER NOT NULL,
    indexed INTEGER NOT NULL,
    wall_clock INTEGER NOT NULL,
    sent_at INTEGER,
    from_field BLOB NOT NULL,
    to_field BLOB NOT NULL,
    cc_field BLOB NOT NULL,
    bcc_field BLOB NOT NULL,
    subject_field BLOB NOT NULL,
    from_key BLOB NOT NULL,
    to_key BLOB NOT NULL,
    cc_key BLOB NOT NULL,
    subject_key BLOB NOT NULL,
    is_reply INTEGER NOT NULL,
    display_from BLOB NOT NULL,
    display_to BLOB NOT NULL,
    links TEXT NOT NULL
);
CREATE INDEX {s}.heads_to_index ON heads (content) WHERE indexed = 0;
CREATE TABLE {s}.headers (content INTEGER PRIMARY KEY, stamp INTEGER NOT NULL, text BLOB NOT NULL);
CREATE TABLE {s}.bodies (content INTEGER PRIMARY KEY, stamp INTEGER NOT NULL, fields BLOB NOT NULL, text BLOB NOT NULL);
CREATE TABLE {s}.to_read (content INTEGER PRIMARY KEY, stamp INTEGER NOT NULL);
CREATE TABLE {s}.attached (content INTEGER PRIMARY KEY, stamp INTEGER NOT NULL, indexed INTEGER NOT NULL,
    failed INTEGER NOT NULL, text BLOB NOT NULL);
CREATE INDEX {s}.attached_to_index ON attached (content) WHERE indexed = 0;
CREATE VIRTUAL TABLE {s}.trigrams USING fts5(text, content='', contentless_delete=1, detail=none,
    tokenize='trigram case_sensitive 1');
PRAGMA {s}.application_id = {application};
PRAGMA {s}.user_version = {version};
"""

UNUSABLE = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.PermissionsError,
)
"""Errors of a file that may be good at another time."""
DAMAGED = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError, apsw.SQLError, apsw.ConstraintError)


def path_beside(mailbox_file: Path) -> Path:
    """Where the search file of a mailbox file is."""
    return mailbox_file.parents[2] / "search" / mailbox_file.parent.name / mailbox_file.name


def throw_away(path: Path) -> None:
    """Remove a search file. Never raises OSError: the next search will try again."""
    for victim in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        with contextlib.suppress(OSError):
            victim.unlink(missing_ok=True)


def open_beside(mailbox_file: Path, *, private: bool = False) -> apsw.Connection:
    """A connection to a mailbox with its search file attached, made if need be; with `private` one in memory.

    Blocks. Raises apsw.Error for the mailbox; trouble with the search file leads to one in memory.
    """
    db = connect(mailbox_file, busy_ms=BUSY_MS)
    try:
        # all cells of a large page are looked at each time it is taken up: half of what reading a text costs. The
        # mailbox is only read here, and a search file that is damaged is made anew
        db.execute("PRAGMA cell_size_check = OFF")
        db.create_scalar_function("has_field", cast("Any", has_field), 3, deterministic=True)
        if not private:
            private = not _attach(db, path_beside(mailbox_file))
        if private:
            db.execute("ATTACH ':memory:' AS s")
            _fill(db, "s", *_identity(db))
    except BaseException:
        db.close()
        raise
    return db


def is_private(db: apsw.Connection) -> bool:
    """Whether the attached file is in memory."""
    return not db.db_filename("s")


def has_long_log(db: apsw.Connection) -> bool:
    """Whether `shorten` is worth its while."""
    path = db.db_filename("s")
    try:
        return bool(path) and wal_path(Path(path)).stat().st_size > LOG_BYTES
    except OSError:
        return False


def shorten(db: apsw.Connection) -> None:
    """Move a long log into the file; nobody is waited for, then it waits for the next one."""
    if not has_long_log(db):
        return
    with contextlib.suppress(apsw.Error, OSError):
        db.set_busy_timeout(0)
        db.wal_checkpoint("s", apsw.SQLITE_CHECKPOINT_TRUNCATE)
    db.set_busy_timeout(BUSY_MS)


def close(db: apsw.Connection) -> None:
    """Close, and move a long log into the file first."""
    try:
        shorten(db)
    finally:
        db.close()


def _attach(db: apsw.Connection, path: Path) -> bool:
    """Whether a good file is attached."""
    for _ in range(2):
        try:
            if not path.exists():
                _make(path, *_identity(db))
            db.execute("ATTACH ? AS s", (str(path),))
            # nothing in it needs to survive a power cut, and WAL keeps it whole without a sync a commit
            db.execute(
                f"PRAGMA s.synchronous = NORMAL; PRAGMA s.cache_size = -{CACHE_KIB}; PRAGMA s.mmap_size = {1 << 30}"
            ).fetchall()
            if fits(db):
                return True
            broken = True
        except DAMAGED:
            broken = True
        except (*UNUSABLE, OSError):
            broken = False
        _detach(db)
        if not broken:
            return False
        throw_away(path)
    return False


def _detach(db: apsw.Connection) -> None:
    with contextlib.suppress(apsw.Error):
        db.execute("DETACH s")


def _identity(db: apsw.Connection) -> tuple[str, int]:
    ((mailbox, incarnation),) = rows(db, "SELECT mailbox, incarnation FROM main.state")
    return mailbox, incarnation


def _make(path: Path, mailbox: str, incarnation: int) -> None:
    """Make a file, on a connection of its own: a lock on the mailbox is not wanted. Others may be doing so too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    db = apsw.Connection(str(path))
    try:
        db.set_busy_timeout(BUSY_MS)
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = WAL").fetchall()
        db.execute("PRAGMA synchronous = NORMAL")
        _fill(db, "main", mailbox, incarnation)
    finally:
        db.close()


def _fill(db: apsw.Connection, schema: str, mailbox: str, incarnation: int) -> None:
    db.execute("BEGIN" if schema == "s" else "BEGIN IMMEDIATE")
    try:
        if rows(db, f"PRAGMA {schema}.user_version") == [(0,)]:
            db.execute(_LAYOUT.format(s=schema, application=APPLICATION_ID, version=LAYOUT_VERSION))
            db.execute(f"INSERT INTO {schema}.facts VALUES (1, ?, ?, ?, 1)", (mailbox, incarnation, UNICODE_VERSION))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def fits(db: apsw.Connection) -> bool:
    """Whether the attached file is of this layout and belongs to the mailbox as it is. Raises apsw.Error."""
    if rows(db, "PRAGMA s.user_version") != [(LAYOUT_VERSION,)]:
        return False
    if rows(db, "PRAGMA s.application_id") != [(APPLICATION_ID,)]:
        return False
    return bool(
        rows(
            db,
            "SELECT 1 FROM s.facts f, main.state m WHERE f.mailbox = m.mailbox AND f.incarnation = m.incarnation"
            " AND f.unicode = ?",
            (UNICODE_VERSION,),
        )
    )


def has_field(header: bytes, start: bytes, text: bytes) -> bool:
    """Whether a field has the folded text, in the form of `headers.text`; it begins with `start`: LF, name, colon."""
    at = header.find(start)
    while at >= 0:
        end = header.find(b"\n", at + 1)
        if text in header[at + len(start) : end if end >= 0 else None]:
            return True
        at = header.find(start, at + 1)
    return False
