"""The layout of a mailbox file, its version and how older layouts are brought up.

One file a mailbox. `items` is narrow and clustered by (folder, uid), so that flags, UIDs and sizes of a folder are read
sequentially; what was rendered at delivery is in `contents`, written once and shared by all copies and moves of a
message. The number of further references to a content is in `shared` (absent: exactly one).

A commit costs about 6 us a page that it touches, so what every commit touches shares a page: `counters` has a row a
folder and row 0 for the mailbox itself (its change number, next free number and octets in use).
"""

from __future__ import annotations

import apsw

from postern.store.sqlite.connection import once

APPLICATION_ID = 0x504F5354
"""`POST`; tells file(1) and us what the file is."""

LAYOUT_VERSION = 8
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

# Nothing here costs a delivery a page: new columns are empty at delivery, the index is partial.
_LAYOUT_2 = """
ALTER TABLE items ADD COLUMN altered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN placed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX items_edited ON items (folder, item) WHERE item != uid;
ALTER TABLE contents ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tombstones ADD COLUMN item INTEGER NOT NULL DEFAULT 0;
ALTER TABLE state ADD COLUMN incarnation INTEGER NOT NULL DEFAULT 1;
ALTER TABLE folders ADD COLUMN made INTEGER NOT NULL DEFAULT 0;
ALTER TABLE folders ADD COLUMN altered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE folders ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
ALTER TABLE folders ADD COLUMN properties BLOB NOT NULL DEFAULT x'';
UPDATE folders SET special = 'journal' WHERE name = 'Journal' AND parent IS NULL AND class = 'IPF.Journal';
CREATE TABLE folders_gone (changed INTEGER NOT NULL, folder INTEGER NOT NULL, PRIMARY KEY (changed, folder))
    WITHOUT ROWID;
CREATE TABLE attachments (
    content INTEGER NOT NULL,
    id INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    record INTEGER NOT NULL,
    size INTEGER NOT NULL,
    properties BLOB NOT NULL,
    PRIMARY KEY (content, id)
) WITHOUT ROWID;
CREATE TABLE spans (
    folder INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    PRIMARY KEY (folder, uid)
) WITHOUT ROWID;
CREATE INDEX spans_time ON spans (folder, ends_at, starts_at);
CREATE TABLE settings (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    changed INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE reads (
    reader INTEGER NOT NULL,
    folder INTEGER NOT NULL,
    item INTEGER NOT NULL,
    PRIMARY KEY (reader, folder, item)
) WITHOUT ROWID;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    segment INTEGER NOT NULL,
    record INTEGER NOT NULL,
    folder INTEGER NOT NULL,
    item INTEGER NOT NULL,
    at INTEGER NOT NULL,
    payload BLOB NOT NULL
);
"""

# What an entry of the outbox sends may be in no folder any more, or never was.
_LAYOUT_3 = """
ALTER TABLE outbox ADD COLUMN blob_segment INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN blob_record INTEGER NOT NULL DEFAULT 0;
"""

# The number costs a delivery eight octets of a row that it writes anyway; an index by it would cost a page, so places
# are noted when somebody asks (conversations.py). Rows of older layouts get theirs then too.
_LAYOUT_4 = """
ALTER TABLE items ADD COLUMN conversation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE state ADD COLUMN conversed INTEGER NOT NULL DEFAULT 1;
UPDATE state SET conversed = 0;
CREATE TABLE conversations (
    conversation INTEGER NOT NULL,
    folder INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    PRIMARY KEY (conversation, folder, uid)
) WITHOUT ROWID;
CREATE TABLE conversed (folder INTEGER PRIMARY KEY, upto INTEGER NOT NULL);
"""

# What free/busy needs of an item, beside its span; rows of older layouts say nothing until their item is changed.
_LAYOUT_5 = """
ALTER TABLE spans ADD COLUMN busy BLOB NOT NULL DEFAULT x'';
"""

# The UIDs of large folders, for processes that have not read them yet (views.py); worked out from `items`.
_LAYOUT_6 = """
CREATE TABLE views (
    folder INTEGER PRIMARY KEY,
    changed INTEGER NOT NULL,
    uid_validity INTEGER NOT NULL,
    first_unseen INTEGER,
    uids BLOB NOT NULL
);
"""

# Where a folder was before it was moved, and when that was; where a removed one was.
_LAYOUT_7 = """
ALTER TABLE folders ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;
ALTER TABLE folders ADD COLUMN former INTEGER;
ALTER TABLE folders_gone ADD COLUMN parent INTEGER;
"""

LATER = "(modseq != created OR placed != 0)"
"""Of an item: its place among the UIDs does not say when it last changed.

UIDs and change numbers grow together, so that what came into a folder after a change number and has not changed since
is the end of the folder. Everything else is in the index `items_changed`: what has changed, mail that was edited, and
what has a UID that was taken before its commit: ahead, or before a power cut (`placed` is its change number).
"""

# An index of what is LATER alone: to deliver, copy and move costs it nothing. What came back before there was `placed`
# for it is found by somebody with a higher UID who came earlier.
_LAYOUT_8 = f"""
DROP INDEX items_changed;
UPDATE items SET placed = created FROM (
    SELECT folder AS its_folder, uid AS its_uid, created AS came, min(created) OVER
        (PARTITION BY folder ORDER BY uid DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS others FROM items)
    WHERE others < came AND folder = its_folder AND uid = its_uid AND placed = 0;
CREATE INDEX items_changed ON items (folder, modseq) WHERE {LATER};
"""

_STEPS: tuple[str, ...] = (
    _LAYOUT_1,
    _LAYOUT_2,
    _LAYOUT_3,
    _LAYOUT_4,
    _LAYOUT_5,
    _LAYOUT_6,
    _LAYOUT_7,
    _LAYOUT_8,
)
"""Step n brings a file from layout n to n + 1."""


class UnknownLayout(Exception):  # noqa: N818
    """The file is not a mailbox of ours, or was written by a newer Postern."""


class NewerLayout(UnknownLayout):
    """The file was written by a newer Postern: nothing here may touch it."""


class OlderLayout(UnknownLayout):
    """The file was written by an older Postern: `migrate` brings it up."""


def version_of(db: apsw.Connection) -> int:
    """Layout version of an open file. Raises UnknownLayout for somebody else's, NewerLayout for a newer file."""
    (version,), (application,) = once(db, "PRAGMA user_version; PRAGMA application_id")
    if version and application != APPLICATION_ID:
        raise UnknownLayout("not a Postern mailbox")
    if version > LAYOUT_VERSION + 1000:
        raise UnknownLayout(f"a damaged header (layout {version})")
    if version > LAYOUT_VERSION:
        raise NewerLayout(f"written by a newer Postern (layout {version}, this one knows {LAYOUT_VERSION})")
    return int(version)


def check(db: apsw.Connection) -> None:
    """Raises UnknownLayout if the file is not of the present layout, OlderLayout if it can be brought up."""
    version = version_of(db)
    if 0 < version < LAYOUT_VERSION:
        raise OlderLayout(f"layout {version}")
    if version != LAYOUT_VERSION:
        raise UnknownLayout("an empty file")


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
