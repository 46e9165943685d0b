"""The items an operation addresses, and the counters of the folders that it touches.

Set operations first put the addressed UIDs into the connection's scratch table `picked`; everything else is then a few
statements over the whole set, however many items there are.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

import apsw
import msgspec

from postern.model.ids import FolderId, Uid
from postern.model.items import SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.store.interface import Ranges
from postern.store.sqlite.connection import SCRATCH, rows
from postern.store.sqlite.txn import Txn

FEW_RANGES = 16
"""Up to this many ranges are bound one by one, more as one JSON list."""

_PICK_RANGE = (
    "INSERT INTO picked (uid) SELECT uid FROM items WHERE folder = ? AND uid BETWEEN ? AND ? {only} ORDER BY uid"
)
_PICK_LIST = (
    "INSERT INTO picked (uid) SELECT i.uid FROM json_each(?) r CROSS JOIN items i"
    " WHERE i.folder = ? AND i.uid BETWEEN r.value ->> 0 AND r.value ->> 1 {only} ORDER BY i.uid"
)
_DELETED_ONLY = "AND flags & 8"
_TOTALS = (
    "SELECT count(*), coalesce(sum(i.size), 0), coalesce(sum(i.flags & 1 = 0), 0), coalesce(sum(i.flags & 8 != 0), 0)"
    " FROM picked p CROSS JOIN items i WHERE i.folder = ? AND i.uid = p.uid"
)
_ADJUST = (
    "UPDATE counters SET messages = messages + ?, size_bytes = size_bytes + ?, unseen = unseen + ?,"
    " deleted = deleted + ?, changed = max(changed, ?), uid_next = max(uid_next, ?) WHERE id = ?"
)
_MAKE_ASSOCIATED = (
    "INSERT OR IGNORE INTO counters SELECT ?1, 0, ?2, 0, 0, 0, 0, uid_validity FROM counters WHERE id = -?1"
)
_DECODE_NUMBERS = msgspec.json.Decoder(list[int])


class Totals(NamedTuple):
    """What a set of items adds up to."""

    messages: int
    size_bytes: int
    unseen: int
    deleted: int

    def negative(self) -> Totals:
        """The change in a folder that loses them."""
        return Totals(-self.messages, -self.size_bytes, -self.unseen, -self.deleted)


def pick(txn: Txn, folder: FolderId, ranges: Ranges | None, *, only_deleted: bool = False) -> None:
    """Fill `picked` with the existing UIDs in the ranges (None: all), ascending."""
    only = _DELETED_ONLY if only_deleted else ""
    txn.execute(SCRATCH)
    txn.execute("DELETE FROM picked")
    if ranges is None:
        ranges = ((0, 2**32),)
    if len(ranges) <= FEW_RANGES:
        sql = _PICK_RANGE.format(only=only)
        for low, high in ranges:
            txn.execute(sql, (folder, low, high))
    else:
        txn.execute(_PICK_LIST.format(only=only), (msgspec.json.encode(ranges).decode(), folder))


def totals(txn: Txn, folder: FolderId) -> Totals:
    """Sums over the picked items."""
    return Totals(*txn.execute(_TOTALS, (folder,)).fetchall()[0])


def adjust(txn: Txn, folder: FolderId, delta: Totals, uid_next: int = 0) -> None:
    """Add to a folder's counters and move its change number up."""
    txn.execute(_ADJUST, (*delta, txn.change(), uid_next, folder))


def numbers(db: apsw.Connection, sql: str, bindings: tuple[object, ...] = ()) -> list[int]:
    """One column of integers, made into a list in C: `sql` selects `json_group_array(...)`.

    Row by row a thread would have to win the interpreter lock for each, which a busy event loop makes very slow.
    """
    ((text,),) = rows(db, sql, bindings)
    return _DECODE_NUMBERS.decode(text)


def picked_uids(txn: Txn) -> array[int]:
    """The picked UIDs, ascending."""
    return array("I", numbers(txn.db, "SELECT json_group_array(uid) FROM (SELECT uid FROM picked ORDER BY seq)"))


def special_id(db: apsw.Connection, use: SpecialUse) -> FolderId:
    """A distinguished folder's id. Raises Refusal(NO_SUCH_FOLDER)."""
    found = rows(db, "SELECT id FROM folders WHERE special = ? AND special != ''", (use.value,))
    if not found:
        raise Refusal(Reason.NO_SUCH_FOLDER, use.value)
    return FolderId(found[0][0])


def uid_validity(db: apsw.Connection, folder: FolderId) -> int:
    """A folder's UIDVALIDITY. Raises Refusal(NO_SUCH_FOLDER)."""
    found = rows(db, "SELECT uid_validity FROM counters WHERE id = ? AND id != 0", (folder,))
    if not found:
        raise Refusal(Reason.NO_SUCH_FOLDER, str(folder))
    return int(found[0][0])


def target_validity(txn: Txn, folder: FolderId) -> int:
    """UIDVALIDITY of a folder that gets items; that of associated items is made now. Raises Refusal(NO_SUCH_FOLDER)."""
    if folder < 0:
        txn.execute(_MAKE_ASSOCIATED, (folder, txn.next_id))
    return uid_validity(txn.db, folder)


def uids_from(first: int, count: int) -> array[int]:
    """Consecutive UIDs."""
    return array("I", range(first, first + count))


__all__ = [
    "Totals",
    "Uid",
    "adjust",
    "numbers",
    "pick",
    "picked_uids",
    "special_id",
    "target_validity",
    "totals",
    "uid_validity",
    "uids_from",
]
