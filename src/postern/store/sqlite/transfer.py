"""COPY, MOVE, EXPUNGE and emptying Recoverable Items, of a handful of items or of whole sets."""

from __future__ import annotations

from collections.abc import Sequence

from postern.model.ids import ChangeNumber, FolderId, Uid
from postern.model.items import SpecialUse
from postern.model.ranges import runs
from postern.model.refusal import Reason, Refusal
from postern.store.interface import CopyResult, Ranges
from postern.store.sqlite.few_items import Few, few
from postern.store.sqlite.many_items import Many, many
from postern.store.sqlite.selection import (
    ALL_UIDS,
    DELETED_ONLY,
    adjust,
    chosen,
    expect_numbers,
    special_id,
    target_validity,
    uid_validity,
    uids_from,
)
from postern.store.sqlite.txn import Txn

Items = Few | Many


def _has_spans(txn: Txn, folder: FolderId) -> bool:
    return bool(txn.execute("SELECT 1 FROM spans WHERE folder = ? LIMIT 1", (folder,)).fetchall())


def addressed(txn: Txn, folder: FolderId, ranges: Ranges | None, only: str = "", *, renumbered: bool = True) -> Items:
    """The existing items in the ranges (ascending, disjoint; None: all) for which `only` holds.

    `renumbered`: they will get new UIDs; for many these have to be reserved before so much is read.
    Raises NeedsReservation, Refusal(NO_SUCH_FOLDER).
    """
    found = few(txn, folder, ALL_UIDS if ranges is None else ranges, only)
    if found is not None:
        if not found.items:
            uid_validity(txn.db, folder)
        return found
    if renumbered:
        expect_numbers(txn, folder, ranges, only_deleted=bool(only))
    return many(txn, folder, ranges, only)


def _place(txn: Txn, target: FolderId, items: Items, *, undelete: bool = False) -> int:
    """Give items new rows in the target; the first of their new UIDs."""
    moved = items.totals
    first = txn.take(moved.messages)
    items.place(txn, target, first, undelete=undelete)
    if _has_spans(txn, items.folder):
        items.place_spans(txn, target, first)
    gained = moved._replace(deleted=0) if undelete else moved
    adjust(txn, target, gained, first + moved.messages)
    return first


def leave(txn: Txn, items: Items) -> None:
    """Take items out of their folder and remember that they were there."""
    items.bury(txn, txn.change())
    items.remove(txn, spans=_has_spans(txn, items.folder))
    adjust(txn, items.folder, items.totals.negative())


def copy(txn: Txn, folder: FolderId, ranges: Ranges, target: FolderId) -> CopyResult:
    """Copy items; contents are shared. Raises Refusal(NO_SUCH_FOLDER, OVER_QUOTA)."""
    items = addressed(txn, folder, ranges)
    validity = target_validity(txn, target)
    copied = items.totals
    if not copied.messages:
        return CopyResult([], [], validity, txn.last)
    if txn.no_receive_bytes is not None and txn.used_bytes + copied.size_bytes > txn.no_receive_bytes:
        raise Refusal(Reason.OVER_QUOTA, f"{txn.used_bytes} + {copied.size_bytes} > {txn.no_receive_bytes} octets")
    txn.need_room(copied.messages)
    first = _place(txn, target, items)
    items.share(txn)
    txn.used_bytes += copied.size_bytes
    return CopyResult(items.uids, uids_from(first, copied.messages), validity, ChangeNumber(txn.changed))  # type: ignore[arg-type]


def move(txn: Txn, folder: FolderId, ranges: Ranges, target: FolderId, limit: int = 0) -> CopyResult:
    """Move items (also within one folder: they get new UIDs). Raises Refusal(NO_SUCH_FOLDER).

    `limit`: the first so many only.
    """
    if limit:
        ranges = runs(chosen(txn, folder, ranges)[0][:limit])
    items = addressed(txn, folder, ranges)
    validity = target_validity(txn, target)
    moved = items.totals
    if not moved.messages:
        return CopyResult([], [], validity, txn.last)
    first = _place(txn, target, items)
    leave(txn, items)
    recoverable = special_id(txn.db, SpecialUse.RECOVERABLE)
    if recoverable == folder != target:
        txn.used_bytes += moved.size_bytes
    elif recoverable == target != folder:
        txn.used_bytes -= moved.size_bytes
    return CopyResult(items.uids, uids_from(first, moved.messages), validity, ChangeNumber(txn.changed))  # type: ignore[arg-type]


def expunge(
    txn: Txn, folder: FolderId, ranges: Ranges | None, *, only_deleted: bool, purge: bool, limit: int = 0
) -> Sequence[Uid]:
    """Remove items into Recoverable Items; from there, associated ones, or with `purge` (a full disk), for good.

    `limit`: the first so many only.
    """
    recoverable = special_id(txn.db, SpecialUse.RECOVERABLE)
    for_good = purge or folder == recoverable or folder < 0
    only = DELETED_ONLY if only_deleted else ""
    if limit:
        ranges = runs(chosen(txn, folder, ranges, only)[0][:limit])
    items = addressed(txn, folder, ranges, only, renumbered=not for_good)
    if not items.uids:
        return []
    if for_good:
        items.drop_contents(txn)
    else:
        _place(txn, recoverable, items, undelete=True)
    leave(txn, items)
    if folder != recoverable:
        txn.used_bytes -= items.totals.size_bytes
    return items.uids  # type: ignore[return-value]


def purge_recoverable(txn: Txn, older_than: float, limit: int) -> int:
    """Remove up to `limit` recoverable items that were put there before `older_than`; how many."""
    folder = special_id(txn.db, SpecialUse.RECOVERABLE)
    found = txn.execute(
        "SELECT max(uid) FROM (SELECT uid FROM items WHERE folder = ? AND saved_at < ? ORDER BY uid LIMIT ?)",
        (folder, int(older_than), limit),
    ).fetchall()
    last = found[0][0]
    if last is None:
        return 0
    return len(expunge(txn, folder, ((0, last),), only_deleted=False, purge=True))


TOMBSTONES_KEPT = 50_000
"""Sessions that were away for longer than this many deletions compare all UIDs."""


def prune_tombstones(txn: Txn, keep: int = TOMBSTONES_KEPT) -> int:
    """Forget the oldest deletions and raise the horizon below which `changes` is incomplete; how many."""
    found = txn.execute("SELECT modseq FROM tombstones ORDER BY modseq DESC LIMIT 1 OFFSET ?", (keep,)).fetchall()
    if not found:
        return 0
    horizon = found[0][0]
    txn.execute("DELETE FROM tombstones WHERE modseq <= ?", (horizon,))
    count = txn.db.changes()
    txn.execute("DELETE FROM folders_gone WHERE changed <= ?", (horizon,))
    txn.execute("UPDATE state SET horizon = max(horizon, ?)", (horizon,))
    return count
