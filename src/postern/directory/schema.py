"""Tables of the embedded directory (directory.db) and the steps from one layout to the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from postern.directory.wal import use_wal
from postern.model.refusal import Reason, Refusal

BUSY_TIMEOUT_MS = 3000
"""Writes are rare and short; readers never wait (WAL)."""

MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO meta VALUES ('next_slot', '1');
    CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE domains (
        position INTEGER PRIMARY KEY, -- the first one is the default domain
        name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, catch_all TEXT NOT NULL
    ) STRICT;
    CREATE TABLE objects (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL CHECK (kind IN ('account', 'group')),
        address TEXT NOT NULL UNIQUE,
        display_name TEXT NOT NULL
    ) STRICT;
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY REFERENCES objects ON DELETE CASCADE,
        mailbox TEXT NOT NULL UNIQUE,
        slot INTEGER NOT NULL UNIQUE,
        warn_bytes INTEGER, no_send_bytes INTEGER, no_receive_bytes INTEGER,
        enabled INTEGER NOT NULL, shared INTEGER NOT NULL, admin INTEGER NOT NULL,
        protocols TEXT NOT NULL,
        forward_to TEXT NOT NULL DEFAULT '', forward_keep INTEGER NOT NULL DEFAULT 1
    ) STRICT;
    CREATE TABLE credentials (
        account INTEGER PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
        password TEXT NOT NULL,
        scram_salt BLOB, scram_iterations INTEGER, scram_stored BLOB, scram_server BLOB
    ) STRICT;
    CREATE TABLE groups (
        id INTEGER PRIMARY KEY REFERENCES objects ON DELETE CASCADE,
        authenticated_only INTEGER NOT NULL, owner TEXT NOT NULL
    ) STRICT;
    CREATE TABLE members (
        grp INTEGER NOT NULL REFERENCES groups ON DELETE CASCADE,
        address TEXT NOT NULL,
        PRIMARY KEY (grp, address)
    ) STRICT;
    CREATE INDEX members_by_address ON members (address);
    CREATE TABLE aliases (address TEXT PRIMARY KEY, targets TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE mailbox_permissions (
        owner INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
        grantee INTEGER NOT NULL REFERENCES objects ON DELETE CASCADE,
        right_name TEXT NOT NULL,
        PRIMARY KEY (owner, grantee, right_name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE folder_permissions (
        owner INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
        folder INTEGER NOT NULL,
        grantee INTEGER NOT NULL,
        rights INTEGER NOT NULL,
        PRIMARY KEY (owner, folder, grantee)
    ) STRICT, WITHOUT ROWID;
    """,
)
"""Each brings the file from the layout with its index to the next; `PRAGMA user_version` holds the layout."""


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
        raise Refusal(Reason.TRY_LATER, f"{path}: {problem}") from problem


def connect(path: Path) -> apsw.Connection:
    """Open the file, make it or bring its layout up to date. Raises Refusal(READ_ONLY, CORRUPT, CONFLICT)."""
    with refusing(path):
        db = apsw.Connection(str(path))
        db.set_busy_timeout(BUSY_TIMEOUT_MS)
        use_wal(db)
        # a directory change is rare and must survive a power cut when the administrator's command returns
        db.pragma("synchronous", "full")
        db.pragma("foreign_keys", True)
        migrate(db, path)
        return db


def migrate(db: apsw.Connection, path: Path) -> None:
    """Apply the missing steps, in one transaction. Raises Refusal(CONFLICT) for a file of a newer Postern."""
    if int(db.pragma("user_version")) == len(MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        layout = int(db.pragma("user_version"))
        if layout > len(MIGRATIONS):
            raise Refusal(Reason.CONFLICT, f"{path} has layout {layout}, this Postern knows {len(MIGRATIONS)}")
        for step in MIGRATIONS[layout:]:
            db.execute(step)
        db.pragma("user_version", len(MIGRATIONS))
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
