"""The layout of a mailbox file, its version and how older layouts are brought up.

One file a mailbox. `items` is narrow and clustered by (folder, uid), so that flags, UIDs and sizes of a folder are read
sequentially; what was rendered at delivery is in `contents`, written once and shared by all copies and moves of a
message. The number of further references to a content is in `shared` (absent: exactly one).

A commit costs about 6 us a page that it touches, so what every commit touches shares a page: `counters` has a row a
folder and row 0 for the mailbox itself (its change number, next free number and octets in use).
"""

from __future__ import annotations

import apsw

APPLICATION_ID = 0x504F5354
"""`POST`; tells file(1) and us what the file is."""

LAYOUT_VERSION = 1
"""`PRAGMA user_version` of a file written by this program."""

BLOCK = 4096
"""UIDs and change numbers reserved durably at a time."""

_LAYOUT_1 = """
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL,
    change_safe INTEGER NOT NULL,
    change_pending INTEGER NOT NULL,
    id_safe INTEGER NOT NULL,
    id_pending INTEGER NOT NULL,
    no_receive_bytes INTEGER,
    deleted INTEGER NOT NULL,
    horizon INTEGER NOT NULL,
    warn_bytes INTEGER,
    no_send_bytes INTEGER,
    slot INTEGER NOT NULL,
    mailbox TEXT NOT NULL
);
CREATE TABLE counters (
    id INTEGER PRIMARY KEY,
    changed INTEGER NOT NULL,
    uid_next INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    unseen INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    uid_validity INTEGER NOT NULL
);
CREATE TABLE folders (
    id INTEGER PRIMARY KEY,
    parent INTEGER,
    name TEXT NOT NULL,
    class TEXT NOT NULL,
    special TEXT NOT NULL,
    subscribed INTEGER NOT NULL,
    recent_from INTEGER NOT NULL
);
CREATE UNIQUE INDEX folders_name ON folders (coalesce(parent, 0), name);
CREATE UNIQUE INDEX folders_special ON folders (special) WHERE special != '';
CREATE TABLE items (
    folder INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    created INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    size INTEGER NOT NULL,
    saved_at INTEGER NOT NULL,
    item INTEGER NOT NULL,
    content INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    record INTEGER NOT NULL,
    PRIMARY KEY (folder, uid)
) WITHOUT ROWID;
CREATE INDEX items_changed ON items (folder, modseq);
CREATE TABLE contents (
    id INTEGER PRIMARY KEY,
    body_size INTEGER NOT NULL,
    sent_at INTEGER,
    class INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    bodystructure BLOB NOT NULL,
    prefix BLOB NOT NULL,
    parts BLOB NOT NULL,
    subject TEXT NOT NULL,
    message_id TEXT NOT NULL,
    properties BLOB NOT NULL,
    header BLOB
);
CREATE TABLE shared (content INTEGER PRIMARY KEY, others INTEGER NOT NULL);
CREATE TABLE tombstones (
    folder INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    PRIMARY KEY (folder, modseq, uid)
) WITHOUT ROWID;
CREATE TABLE applied (segment INTEGER NOT NULL, record INTEGER NOT NULL, PRIMARY KEY (segment, record)) WITHOUT ROWID;
CREATE TABLE keywords (bit INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE UNIQUE);
CREATE TABLE gaps (low INTEGER PRIMARY KEY, high INTEGER NOT NULL);
CREATE TABLE named_properties (id INTEGER PRIMARY KEY, property_set TEXT NOT NULL, name TEXT NOT NULL,
    UNIQUE (property_set, name));
CREATE TABLE migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL);
"""

_STEPS: tuple[str, ...] = (_LAYOUT_1,)
"""Step n brings a file from layout n to n + 1."""


class UnknownLayout(Exception):  # noqa: N818
    """The file is not a mailbox of ours, or was written by a newer Postern."""


def version_of(db: apsw.Connection) -> int:
    """Layout version of an open file. Raises UnknownLayout for somebody else's or a newer file."""
    version = int(db.pragma("user_version"))
    if version > LAYOUT_VERSION:
        raise UnknownLayout(f"layout {version} is newer than {LAYOUT_VERSION}")
    if version and db.pragma("application_id") != APPLICATION_ID:
        raise UnknownLayout("not a Postern mailbox")
    return version


def migrate(db: apsw.Connection, applied_at: int) -> None:
    """Bring the file to the present layout, in one transaction. `applied_at`: seconds since the epoch."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for version in range(version_of(db), LAYOUT_VERSION):
            db.execute(_STEPS[version])
            db.execute("INSERT INTO migrations VALUES (?, ?)", (version + 1, applied_at))
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {LAYOUT_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
