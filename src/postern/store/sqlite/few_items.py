"""A handful of items that COPY, MOVE and EXPUNGE work on: their rows are read once and written one by one.

The scratch table of `selection`, which makes thousands cheap, takes longer than all of that.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import apsw

from postern.model.ids import ChangeNumber, FolderId, Uid
from postern.model.items import Flag
from postern.store.interface import Ranges
from postern.store.sqlite.connection import rows
from postern.store.sqlite.schema import LATER
from postern.store.sqlite.selection import DELETED_ONLY, FEW_RANGES, Totals
from postern.store.sqlite.txn import Txn

MOST = 64
"""Items; more are a set."""

NARROW = 500
"""UIDs. Ranges that span no more are looked through; wider ones are not if what is \\Deleted was marked lately."""

_COLUMNS = "uid, flags, received_at, size, item, content, segment, record, conversation"
_ROWS = f"SELECT {_COLUMNS} FROM items WHERE folder = ? AND uid BETWEEN ? AND ? {{only}} ORDER BY uid LIMIT ?"
_COUNTED_DELETED = "SELECT deleted FROM counters WHERE id = ? AND id != 0"
_CHANGED_LAST = (
    f"SELECT {_COLUMNS} FROM (SELECT {_COLUMNS} FROM items INDEXED BY items_changed WHERE folder = ? AND {LATER}"
    f" ORDER BY modseq DESC LIMIT ?) WHERE TRUE {DELETED_ONLY} ORDER BY uid"
)
_PLACE = (
    "INSERT INTO items"
    " (folder, uid, flags, modseq, created, received_at, size, saved_at, item, content, segment, record, conversation)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_SHARE = "INSERT INTO shared VALUES (?, 1) ON CONFLICT (content) DO UPDATE SET others = others + 1"
_BURY = "INSERT INTO tombstones VALUES (?, ?, ?, ?)"
_REMOVE = "DELETE FROM items WHERE folder = ? AND uid = ?"
_SPAN = (
    "INSERT INTO spans (folder, uid, starts_at, ends_at, busy)"
    " SELECT ?, ?, starts_at, ends_at, busy FROM spans WHERE folder = ? AND uid = ?"
)
_REMOVE_SPAN = "DELETE FROM spans WHERE folder = ? AND uid = ?"


class Item(NamedTuple):
    """What is read of an item's row."""

    uid: Uid
    flags: int
    received_at: int
    size: int
    item: int
    content: int
    segment: int
    record: int
    conversation: int


class Few(NamedTuple):
    """Items of one folder; the same methods as those of `many_items.Many`."""

    folder: FolderId
    items: list[Item]
    """By UID."""
    uids: list[Uid]
    totals: Totals

    def place(self, txn: Txn, target: FolderId, first: int, *, undelete: bool) -> None:
        """New rows in another place, with successive UIDs from `first` on."""
        change, now = txn.change(), txn.now
        mask = ~Flag.DELETED.value if undelete else -1
        txn.executemany(
            _PLACE,
            [
                (target, new, item.flags & mask, change, change, item.received_at, item.size, now, new, *item[5:])
                for new, item in enumerate(self.items, first)
            ],
        )

    def place_spans(self, txn: Txn, target: FolderId, first: int) -> None:
        """What calendars know of them, for the new rows as well."""
        txn.executemany(_SPAN, [(target, new, self.folder, uid) for new, uid in enumerate(self.uids, first)])

    def share(self, txn: Txn) -> None:
        """Count a further reference to each content."""
        txn.executemany(_SHARE, [(item.content,) for item in self.items])

    def bury(self, txn: Txn, change: ChangeNumber) -> None:
        """Remember that they were in the folder."""
        txn.executemany(
            _BURY, [(self.folder, change, item.uid, 0 if item.item == item.uid else item.item) for item in self.items]
        )

    def remove(self, txn: Txn, *, spans: bool) -> None:
        """Take their rows out of the folder."""
        places = [(self.folder, uid) for uid in self.uids]
        if spans:
            txn.executemany(_REMOVE_SPAN, places)
        txn.executemany(_REMOVE, places)

    def drop_contents(self, txn: Txn) -> None:
        """Before they go for good: remove what nothing else refers to."""
        for content, times in Counter(item.content for item in self.items).items():
            found: list[Any] = txn.execute("SELECT others FROM shared WHERE content = ?", (content,)).fetchall()
            others = found[0][0] if found else 0
            if others < times:
                txn.execute("DELETE FROM attachments WHERE content = ?", (content,))
                txn.execute("DELETE FROM contents WHERE id = ?", (content,))
            if others > times:
                txn.execute("UPDATE shared SET others = ? WHERE content = ?", (others - times, content))
            elif found:
                txn.execute("DELETE FROM shared WHERE content = ?", (content,))


def marked_lately(db: apsw.Connection, folder: FolderId) -> list[Any] | None:
    """Rows of all that is \\Deleted in a folder, if that is little and among what was changed last, else None.

    So it mostly is: who expunges has just marked what is to go. A folder of any size costs the same.
    """
    for (deleted,) in rows(db, _COUNTED_DELETED, (folder,)):
        if deleted <= MOST:
            found = rows(db, _CHANGED_LAST, (folder, 2 * deleted + 16)) if deleted else []
            return found if len(found) == deleted else None
    return None


def few(txn: Txn, folder: FolderId, ranges: Ranges, only: str = "") -> Few | None:
    """The existing items in the ranges (ascending, disjoint) for which `only` holds; None if they are many."""
    if len(ranges) > FEW_RANGES:
        return None
    if only == DELETED_ONLY and sum(high - low + 1 for low, high in ranges) > NARROW:
        marked = marked_lately(txn.db, folder)
        if marked is not None:
            return _few(folder, [row for row in marked if any(low <= row[0] <= high for low, high in ranges)])
    sql = _ROWS.format(only=only)
    found: list[Any] = []
    for low, high in ranges:
        found += txn.execute(sql, (folder, low, high, MOST + 1)).fetchall()
        if len(found) > MOST:
            return None
    return _few(folder, found)


def _few(folder: FolderId, found: list[Any]) -> Few:
    items = [Item(*row) for row in found]
    size = unseen = deleted = 0
    for item in items:
        size += item.size
        unseen += ~item.flags & Flag.SEEN.value
        deleted += bool(item.flags & Flag.DELETED.value)
    return Few(folder, items, [item.uid for item in items], Totals(len(items), size, unseen, deleted))
