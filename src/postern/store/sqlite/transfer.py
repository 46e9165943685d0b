"""COPY, MOVE, EXPUNGE and emptying Recoverable Items: whole sets in a few statements."""

from __future__ import annotations

from collections.abc import Sequence

from postern.model.ids import ChangeNumber, FolderId, Uid
from postern.model.items import SpecialUse
from postern.model.ranges import runs
from postern.model.refusal import Reason, Refusal
from postern.store.interface import CopyResult, Ranges
from postern.store.sqlite.selection import (
    DELETED_ONLY,
    PICKED,
    Picked,
    adjust,
    chosen,
    expect_numbers,
    on_each,
    pick,
    special_id,
    target_validity,
    uid_validity,
    uids_from,
)
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


def _has_spans(txn: Txn, folder: FolderId) -> bool:
    return bool(txn.execute("SELECT 1 FROM spans WHERE folder = ? LIMIT 1", (folder,)).fetchall())


def _place(txn: Txn, folder: FolderId, target: FolderId, picked: Picked, *, undelete: bool = False) -> int:
    """Give the picked items new rows in the target; the first of their new UIDs."""
    moved = picked.totals
    first = txn.take(moved.messages)
    change = txn.change()
    txn.execute(
        _PLACE_UNDELETED if undelete else _PLACE_AS_IS,
        (target, first, change, change, txn.now, first, folder),
    )
    if _has_spans(txn, folder):
        txn.execute(_SPAN, (target, first, folder))
    gained = moved._replace(deleted=0) if undelete else moved
    adjust(txn, target, gained, first + moved.messages)
    return first


def leave(txn: Txn, folder: FolderId, picked: Picked) -> None:
    """Take the picked items out of their folder and remember that they were there."""
    txn.execute(_BURY, (txn.change(), folder))
    if _has_spans(txn, folder):
        on_each(txn, folder, picked, "DELETE FROM spans WHERE folder = ? AND uid", (folder,))
    on_each(txn, folder, picked, "DELETE FROM items WHERE folder = ? AND uid", (folder,))
    adjust(txn, folder, picked.totals.negative())


def drop_contents(txn: Txn, folder: FolderId) -> None:
    """Before the picked items go for good: remove what nothing else refers to."""
    txn.execute(_SCRATCH)
    txn.execute("DELETE FROM dropped")
    txn.execute(_COUNT_DROPPED, (folder,))
    if txn.execute("SELECT 1 FROM attachments LIMIT 1").fetchall():
        txn.execute(f"DELETE FROM attachments WHERE content IN ({_UNSHARED})")
    txn.execute(f"DELETE FROM contents WHERE id IN ({_UNSHARED})")
    txn.execute(_LESS_SHARED)
    txn.execute("DELETE FROM shared WHERE others <= 0 AND content IN (SELECT content FROM dropped)")


def copy(txn: Txn, folder: FolderId, ranges: Ranges, target: FolderId) -> CopyResult:
    """Copy items; contents are shared. Raises Refusal(NO_SUCH_FOLDER, OVER_QUOTA)."""
    expect_numbers(txn, folder, ranges)
    validity = target_validity(txn, target)
    picked = pick(txn, folder, ranges)
    copied = picked.totals
    if not copied.messages:
        return CopyResult([], [], validity, txn.last)
    if txn.no_receive_bytes is not None and txn.used_bytes + copied.size_bytes > txn.no_receive_bytes:
        raise Refusal(Reason.OVER_QUOTA, f"{txn.used_bytes} + {copied.size_bytes} > {txn.no_receive_bytes} octets")
    txn.need_room(copied.messages)
    first = _place(txn, folder, target, picked)
    txn.execute(_SHARE, (folder,))
    txn.used_bytes += copied.size_bytes
    return CopyResult(picked.uids, uids_from(first, copied.messages), validity, ChangeNumber(txn.changed))  # type: ignore[arg-type]


def move(txn: Txn, folder: FolderId, ranges: Ranges, target: FolderId, limit: int = 0) -> CopyResult:
    """Move items (also within one folder: they get new UIDs). Raises Refusal(NO_SUCH_FOLDER).

    `limit`: the first so many only.
    """
    if limit:
        ranges = runs(chosen(txn, folder, ranges)[0][:limit])
    expect_numbers(txn, folder, ranges)
    validity = target_validity(txn, target)
    picked = pick(txn, folder, ranges)
    moved = picked.totals
    if not moved.messages:
        return CopyResult([], [], validity, txn.last)
    first = _place(txn, folder, target, picked)
    leave(txn, folder, picked)
    recoverable = special_id(txn.db, SpecialUse.RECOVERABLE)
    if recoverable == folder != target:
        txn.used_bytes += moved.size_bytes
    elif recoverable == target != folder:
        txn.used_bytes -= moved.size_bytes
    return CopyResult(picked.uids, uids_from(first, moved.messages), validity, ChangeNumber(txn.changed))  # type: ignore[arg-type]


def expunge(
    txn: Txn, folder: FolderId, ranges: Ranges | None, *, only_deleted: bool, purge: bool, limit: int = 0
) -> Sequence[Uid]:
    """Remove items into Recoverable Items; from there, associated ones, or with `purge` (a full disk), for good.

    `limit`: the first so many only.
    """
    uid_validity(txn.db, folder)
    recoverable = special_id(txn.db, SpecialUse.RECOVERABLE)
    for_good = purge or folder == recoverable or folder < 0
    if not for_good:
        expect_numbers(txn, folder, ranges, only_deleted=only_deleted)
    only = DELETED_ONLY if only_deleted else ""
    if limit:
        ranges = runs(chosen(txn, folder, ranges, only)[0][:limit])
    picked = pick(txn, folder, ranges, only)
    if not picked.uids:
        return []
    if for_good:
        drop_contents(txn, folder)
    else:
        _place(txn, folder, recoverable, picked, undelete=True)
    leave(txn, folder, picked)
    if folder != recoverable:
        txn.used_bytes -= picked.totals.size_bytes
    return picked.uids  # type: ignore[return-value]


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
