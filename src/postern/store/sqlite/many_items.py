"""Items in any number that COPY, MOVE and EXPUNGE work on: whole sets in a few statements over `selection.picked`."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from postern.model.ids import ChangeNumber, FolderId
from postern.store.interface import Ranges
from postern.store.sqlite.selection import PICKED, Picked, Totals, on_each, pick
from postern.store.sqlite.txn import Txn

_PLACE = (
    "INSERT INTO items"
    " (folder, uid, flags, modseq, created, received_at, size, saved_at, item, content, segment, record,"
    " conversation) SELECT ?, ? + p.shift + i.uid, {flags}, ?, ?, i.received_at, i.size, ?, ? + p.shift + i.uid,"
    f" i.content, i.segment, i.record, i.conversation FROM {PICKED} ORDER BY p.low, i.uid"
)
_PLACE_AS_IS = _PLACE.format(flags="i.flags")
_PLACE_UNDELETED = _PLACE.format(flags="i.flags & ~8")
_SHARE = f"INSERT INTO shared SELECT i.content, 1 FROM {PICKED} ON CONFLICT (content) DO UPDATE SET others = others + 1"
_BURY = f"INSERT INTO tombstones SELECT i.folder, ?, i.uid, CASE i.item WHEN i.uid THEN 0 ELSE i.item END FROM {PICKED}"
_SPAN = (
    "INSERT INTO spans (folder, uid, starts_at, ends_at, busy)"
    " SELECT ?, ? + p.shift + s.uid, s.starts_at, s.ends_at, s.busy"
    " FROM picked p CROSS JOIN spans s WHERE s.folder = ? AND s.uid BETWEEN p.low AND p.high"
)

_SCRATCH = "CREATE TEMP TABLE IF NOT EXISTS dropped (content INTEGER PRIMARY KEY, times INTEGER NOT NULL)"
_COUNT_DROPPED = f"INSERT INTO dropped SELECT i.content, count(*) FROM {PICKED} GROUP BY i.content"
_UNSHARED = (
    "SELECT d.content FROM dropped d LEFT JOIN shared s ON s.content = d.content WHERE coalesce(s.others, 0) < d.times"
)
_LESS_SHARED = (
    "UPDATE shared SET others = others - (SELECT times FROM dropped d WHERE d.content = shared.content)"
    " WHERE content IN (SELECT content FROM dropped)"
)


class Many(NamedTuple):
    """Items of one folder; the same methods as those of `few_items.Few`."""

    folder: FolderId
    picked: Picked

    @property
    def uids(self) -> array[int]:
        """Ascending."""
        return self.picked.uids

    @property
    def totals(self) -> Totals:
        """What they add up to."""
        return self.picked.totals

    def place(self, txn: Txn, target: FolderId, first: int, *, undelete: bool) -> None:
        """New rows in another place, with successive UIDs from `first` on."""
        change = txn.change()
        sql = _PLACE_UNDELETED if undelete else _PLACE_AS_IS
        txn.execute(sql, (target, first, change, change, txn.now, first, self.folder))

    def place_spans(self, txn: Txn, target: FolderId, first: int) -> None:
        """What calendars know of them, for the new rows as well."""
        txn.execute(_SPAN, (target, first, self.folder))

    def share(self, txn: Txn) -> None:
        """Count a further reference to each content."""
        txn.execute(_SHARE, (self.folder,))

    def bury(self, txn: Txn, change: ChangeNumber) -> None:
        """Remember that they were in the folder."""
        txn.execute(_BURY, (change, self.folder))

    def remove(self, txn: Txn, *, spans: bool) -> None:
        """Take their rows out of the folder."""
        if spans:
            on_each(txn, self.folder, self.picked, "DELETE FROM spans WHERE folder = ? AND uid", (self.folder,))
        on_each(txn, self.folder, self.picked, "DELETE FROM items WHERE folder = ? AND uid", (self.folder,))

    def drop_contents(self, txn: Txn) -> None:
        """Before they go for good: remove what nothing else refers to."""
        txn.execute(_SCRATCH)
        txn.execute("DELETE FROM dropped")
        txn.execute(_COUNT_DROPPED, (self.folder,))
        if txn.execute("SELECT 1 FROM attachments LIMIT 1").fetchall():
            txn.execute(f"DELETE FROM attachments WHERE content IN ({_UNSHARED})")
        txn.execute(f"DELETE FROM contents WHERE id IN ({_UNSHARED})")
        txn.execute(_LESS_SHARED)
        txn.execute("DELETE FROM shared WHERE others <= 0 AND content IN (SELECT content FROM dropped)")


def many(txn: Txn, folder: FolderId, ranges: Ranges | None, only: str = "") -> Many:
    """The existing items in the ranges (ascending, disjoint; None: all) for which `only` holds."""
    return Many(folder, pick(txn, folder, ranges, only))
