"""What belongs to a mailbox and is no item: settings of every kind, and what each reader of a folder has read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import apsw

from postern.model.ids import AccountId, ChangeNumber, FolderId, ItemId
from postern.model.refusal import Reason, Refusal
from postern.model.sync import Setting
from postern.store.sqlite.connection import rows
from postern.store.sqlite.selection import uid_validity
from postern.store.sqlite.txn import Txn

MAX_VALUE_BYTES = 4 << 20
MAX_VALUES = 10_000
"""Of one kind."""
MAX_NAME_LENGTH = 500


def settings(db: apsw.Connection, kind: str) -> list[Setting]:
    """All values of a kind, by name."""
    found = rows(db, "SELECT name, value, changed FROM settings WHERE kind = ? ORDER BY name", (kind,))
    return [Setting(*row) for row in found]


def set_settings(
    txn: Txn, kind: str, values: Mapping[str, bytes | None], unchanged_since: ChangeNumber | None
) -> ChangeNumber:
    """Set and remove values. Raises Refusal(CONFLICT, TOO_LARGE, TOO_MANY, BAD_NAME)."""
    for name, value in values.items():
        if not name or len(name) > MAX_NAME_LENGTH:
            raise Refusal(Reason.BAD_NAME, f"{kind}: {len(name)} characters")
        if value is not None and len(value) > MAX_VALUE_BYTES:
            raise Refusal(Reason.TOO_LARGE, f"{kind}/{name}: {len(value)} octets")
        found = txn.execute("SELECT changed, value FROM settings WHERE kind = ? AND name = ?", (kind, name)).fetchall()
        if found and unchanged_since is not None and found[0][0] > unchanged_since:
            raise Refusal(Reason.CONFLICT, f"{kind}/{name} changed at {found[0][0]}")
        if value is None:
            if found:
                txn.change()
                txn.execute("DELETE FROM settings WHERE kind = ? AND name = ?", (kind, name))
        elif not found or found[0][1] != value:
            txn.execute("INSERT OR REPLACE INTO settings VALUES (?, ?, ?, ?)", (kind, name, txn.change(), value))
    ((count,),) = txn.execute("SELECT count(*) FROM settings WHERE kind = ?", (kind,)).fetchall()
    if count > MAX_VALUES:
        raise Refusal(Reason.TOO_MANY, f"{count} values of {kind}")
    return ChangeNumber(txn.changed or txn.last)


def read_by(db: apsw.Connection, reader: AccountId, folder: FolderId, between: tuple[int, int]) -> frozenset[ItemId]:
    """What a reader has read. Raises Refusal(NO_SUCH_FOLDER)."""
    uid_validity(db, folder)
    statement = "SELECT item FROM reads WHERE reader = ? AND folder = ? AND item BETWEEN ? AND ?"
    return frozenset(row[0] for row in rows(db, statement, (reader, folder, *between)))


def read_counts(db: apsw.Connection, reader: AccountId) -> dict[FolderId, int]:
    """How many items of each folder a reader has read; marks of items that are gone do not count."""
    statement = (
        "SELECT r.folder, count(*) FROM reads r WHERE r.reader = ? AND"
        " (EXISTS (SELECT 1 FROM items i WHERE i.folder = r.folder AND i.uid = r.item)"
        " OR EXISTS (SELECT 1 FROM items i WHERE i.folder = r.folder AND i.item = r.item AND i.item != i.uid))"
        " GROUP BY r.folder"
    )
    return {FolderId(folder): number for folder, number in rows(db, statement, (reader,))}


def set_read_by(txn: Txn, reader: AccountId, folder: FolderId, items: Sequence[ItemId], read: bool) -> None:
    """Mark items for one reader. Raises Refusal(NO_SUCH_FOLDER)."""
    uid_validity(txn.db, folder)
    txn.change()  # the reader's other sessions are told
    marks = [(reader, folder, item) for item in items]
    if read:
        txn.executemany("INSERT OR IGNORE INTO reads VALUES (?, ?, ?)", marks)
    else:
        txn.executemany("DELETE FROM reads WHERE reader = ? AND folder = ? AND item = ?", marks)


def forget_reads(txn: Txn) -> int:
    """Remove marks of items that are not there any more; how many."""
    txn.execute(
        "DELETE FROM reads WHERE"
        " NOT EXISTS (SELECT 1 FROM items i WHERE i.folder = reads.folder AND i.uid = reads.item)"
        " AND NOT EXISTS"
        " (SELECT 1 FROM items i WHERE i.folder = reads.folder AND i.item = reads.item AND i.item != i.uid)"
    )
    return txn.db.changes()
