"""The items an operation addresses, and the counters of the folders that it touches.

Set operations first read the addressed UIDs and put them into the connection's scratch table `picked`, as runs of
successive ones; everything else is then a few statements over the whole set, however many items there are. A run is
read as the table lies, which costs a third of a seek for each item.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

import apsw
import msgspec

from postern.model.ids import FolderId, Uid
from postern.model.items import SpecialUse
from postern.model.ranges import runs
from postern.model.refusal import Reason, Refusal
from postern.store.interface import Ranges
from postern.store.sqlite.connection import SCRATCH, rows
from postern.store.sqlite.txn import Txn

FEW_RANGES = 16
"""Up to this many ranges or runs are bound one by one, more as one JSON list."""
ALL_UIDS: Ranges = ((0, 2**32),)
DELETED_ONLY = "AND flags & 8"

_CHOOSE = (
    "SELECT json_group_array(uid), coalesce(sum(size), 0), coalesce(sum(flags & 1 = 0), 0),"
    " coalesce(sum(flags & 8 != 0), 0) FROM (SELECT uid, size, flags FROM {source} {only} ORDER BY uid)"
)
_ONE_RANGE = "items WHERE folder = ? AND uid BETWEEN ? AND ?"
_RANGE_LIST = "json_each(?) r CROSS JOIN items WHERE folder = ? AND uid BETWEEN r.value ->> 0 AND r.value ->> 1"
_RUN = "INSERT INTO picked VALUES (?, ?, ?)"
_RUN_LIST = "INSERT INTO picked SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)"
MANY_ITEMS = 500
_EDGES = (
    "SELECT (SELECT min(uid) FROM items WHERE folder = ?1), (SELECT max(uid) FROM items WHERE folder = ?1),"
    " messages, size_bytes, unseen, deleted FROM counters WHERE id = ?1"
)
_COUNT = "SELECT count(*) FROM items WHERE folder = ?"
_UIDS_OF_ALL = "SELECT json_group_array(uid) FROM (SELECT uid FROM items WHERE folder = ? ORDER BY uid)"
PICKED = "picked p CROSS JOIN items i WHERE i.folder = ? AND i.uid BETWEEN p.low AND p.high"
"""The picked items as a source of rows. Binding: their folder."""
_AMONG_PICKED = f"IN (SELECT i.uid FROM {PICKED})"
_NUMBERING = "SELECT uid_validity, uid_next - 1 FROM counters WHERE id = ? AND id != 0"
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


class Picked(NamedTuple):
    """Items that an operation addresses."""

    uids: array[int]
    """Ascending."""
    runs: list[tuple[int, int]]
    """The same as first and last of successive ones."""
    totals: Totals


def chosen(
    txn: Txn, folder: FolderId, ranges: Ranges | None, only: str = "", bindings: tuple[object, ...] = ()
) -> tuple[array[int], Totals]:
    """The existing UIDs in the ranges (ascending, disjoint; None: all) for which `only` holds, and their sums."""
    if ranges is None:
        ranges = ALL_UIDS
    if only in {"", DELETED_ONLY} and len(ranges) == 1:
        whole = _whole(txn, folder, *ranges[0], only_deleted=bool(only))
        if whole is not None:
            return whole
    if len(ranges) > FEW_RANGES:
        asked = [(_RANGE_LIST, (msgspec.json.encode(ranges).decode(), folder, *bindings))]
    else:
        asked = [(_ONE_RANGE, (folder, low, high, *bindings)) for low, high in ranges]
    uids = array("I")
    size = unseen = deleted = 0
    for source, bound in asked:
        ((text, *sums),) = txn.execute(_CHOOSE.format(source=source, only=only), bound).fetchall()
        uids.extend(_DECODE_NUMBERS.decode(text))
        size, unseen, deleted = size + sums[0], unseen + sums[1], deleted + sums[2]
    return uids, Totals(len(uids), size, unseen, deleted)


def _whole(txn: Txn, folder: FolderId, low: int, high: int, *, only_deleted: bool) -> tuple[array[int], Totals] | None:
    """What `chosen` finds if that is all of a large folder: its counters have the sums."""
    if high - low < MANY_ITEMS:
        return None
    for first, last, *sums in txn.execute(_EDGES, (folder,)).fetchall():
        totals = Totals(*sums)
        if first is None or first < low or last > high or totals.messages < MANY_ITEMS:
            return None  # before anything is counted: that takes longer the larger the folder is
        if only_deleted and totals.deleted != totals.messages:
            return None
        if last - first + 1 == totals.messages:
            ((count,),) = txn.execute(_COUNT, (folder,)).fetchall()
            return (uids_from(first, count), totals) if count == totals.messages else None
        uids = array("I", numbers(txn.db, _UIDS_OF_ALL, (folder,)))
        return (uids, totals) if len(uids) == totals.messages else None
    return None


def pick(
    txn: Txn, folder: FolderId, ranges: Ranges | None, only: str = "", bindings: tuple[object, ...] = ()
) -> Picked:
    """Fill `picked` with what `chosen` finds."""
    uids, totals = chosen(txn, folder, ranges, only, bindings)
    found = runs(uids)
    txn.execute(SCRATCH)
    txn.execute("DELETE FROM picked")
    rows_: list[tuple[int, int, int]] = []
    before = 0
    for low, high in found:
        rows_.append((low, high, before - low))
        before += high - low + 1
    if len(rows_) <= FEW_RANGES:
        for row in rows_:
            txn.execute(_RUN, row)
    else:
        txn.execute(_RUN_LIST, (msgspec.json.encode(rows_).decode(),))
    return Picked(uids, found, totals)


def on_each(txn: Txn, folder: FolderId, picked: Picked, sql: str, bindings: tuple[object, ...]) -> None:
    """Carry out a statement whose condition ends in the UIDs (`... AND uid`) on the picked ones of a folder."""
    if len(picked.runs) <= FEW_RANGES:
        for run in picked.runs:
            txn.execute(f"{sql} BETWEEN ? AND ?", (*bindings, *run))
    else:
        txn.execute(f"{sql} {_AMONG_PICKED}", (*bindings, folder))


def adjust(txn: Txn, folder: FolderId, delta: Totals, uid_next: int = 0) -> None:
    """Add to a folder's counters and move its change number up."""
    txn.execute(_ADJUST, (*delta, txn.change(), uid_next, folder))


def numbers(db: apsw.Connection, sql: str, bindings: tuple[object, ...] = ()) -> list[int]:
    """One column of integers, made into a list in C: `sql` selects `json_group_array(...)`.

    Row by row a thread would have to win the interpreter lock for each, which a busy event loop makes very slow.
    """
    ((text,),) = rows(db, sql, bindings)
    return _DECODE_NUMBERS.decode(text)


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


def numbering(txn: Txn, folder: FolderId) -> tuple[int, int]:
    """A folder's UIDVALIDITY and the highest UID that any of its items has or had. Raises Refusal(NO_SUCH_FOLDER)."""
    found = txn.execute(_NUMBERING, (folder,)).fetchall()
    if not found:
        raise Refusal(Reason.NO_SUCH_FOLDER, str(folder))
    validity, last = found[0]
    return validity, last


def expect_numbers(txn: Txn, folder: FolderId, ranges: Ranges | None, *, only_deleted: bool = False) -> None:
    """Have as many numbers reserved as items may get new ones: before a large set is read, not after.

    Raises NeedsReservation, Refusal(NO_SUCH_FOLDER).
    """
    found = rows(txn.db, "SELECT messages, deleted FROM counters WHERE id = ? AND id != 0", (folder,))
    if not found:
        raise Refusal(Reason.NO_SUCH_FOLDER, str(folder))
    most = int(found[0][1 if only_deleted else 0])
    txn.expect(most if ranges is None else min(most, sum(high - low + 1 for low, high in ranges)))


def target_validity(txn: Txn, folder: FolderId) -> int:
    """UIDVALIDITY of a folder that gets items; that of associated items is made now. Raises Refusal(NO_SUCH_FOLDER)."""
    if folder < 0:
        txn.execute(_MAKE_ASSOCIATED, (folder, txn.next_id))
    return uid_validity(txn.db, folder)


def uids_from(first: int, count: int) -> array[int]:
    """Consecutive UIDs."""
    return array("I", range(first, first + count))


__all__ = [
    "ALL_UIDS",
    "DELETED_ONLY",
    "PICKED",
    "Picked",
    "Totals",
    "Uid",
    "adjust",
    "chosen",
    "expect_numbers",
    "numbering",
    "numbers",
    "on_each",
    "pick",
    "special_id",
    "target_validity",
    "uid_validity",
    "uids_from",
]
