"""Items by id, and what an asker does not know of a folder, page by page."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import msgspec

from postern.model.ids import ChangeNumber, FolderId, ItemId, Uid
from postern.model.items import SpecialUse
from postern.model.sync import ChangeKind, ItemChanges, ItemDelta, Phase, SyncPoint
from postern.store.sqlite import folders
from postern.store.sqlite.connection import rows
from postern.store.sqlite.schema import LATER
from postern.store.sqlite.selection import numbers, special_id, uid_validity

_ABOVE_ALL_UIDS = 2**32
_NEAR = (
    "SELECT r.value, i.uid FROM json_each(?1) r CROSS JOIN items i"
    " WHERE i.folder = ?2 AND i.uid = r.value AND i.item = r.value"
)
_NEAR_EDITED = (
    "SELECT r.value, i.uid FROM json_each(?1) r CROSS JOIN items i INDEXED BY items_edited"
    " WHERE i.folder = ?2 AND i.item = r.value AND i.item != i.uid"
)
_ALL_FOLDERS = "SELECT id FROM counters WHERE id != 0"
_DELTA = "item, uid, flags, max(created, altered)"
_PLACED = "CASE placed WHEN 0 THEN created ELSE placed END"
_CREATED = (
    f"SELECT {_DELTA} FROM items WHERE folder = ? AND uid >= ? AND uid < ? AND item = uid AND {_PLACED} <= ?"
    " ORDER BY uid {order} LIMIT ?"
)
_CREATED_EDITED = (
    f"SELECT {_DELTA} FROM items INDEXED BY items_edited WHERE folder = ? AND item >= ? AND item < ? AND item != uid"
    f" AND {_PLACED} <= ?"
    " ORDER BY item {order} LIMIT ?"
)
_CHANGED = (
    f"SELECT {_DELTA}, altered, {_PLACED}, modseq FROM items INDEXED BY items_changed"
    f" WHERE folder = ? AND (modseq, uid) > (?, ?) AND {LATER} AND {_PLACED} <= ? AND item < ?"
    " ORDER BY modseq, uid LIMIT ?"
)
"""What came with a new id and has not changed since is told as created.

Without an upper end: what changes again during the run is told at its new place, against what was known before."""
_DELETED = (
    "SELECT CASE item WHEN 0 THEN uid ELSE item END, uid, modseq FROM tombstones"
    " WHERE folder = ? AND (modseq, uid) > (?, ?) AND modseq <= ? AND item != -1"
    " AND CASE item WHEN 0 THEN uid ELSE item END < ? ORDER BY modseq, uid LIMIT ?"
)
_REMOVED = (
    "SELECT json_group_array(uid) FROM (SELECT i.uid FROM items i WHERE i.folder = ?"
    " AND EXISTS (SELECT 1 FROM tombstones t WHERE t.folder = ? AND t.modseq = i.created) ORDER BY i.uid)"
)
_encode = msgspec.json.Encoder().encode


def locate(db: apsw.Connection, items: Sequence[ItemId], near: FolderId | None) -> dict[ItemId, tuple[FolderId, Uid]]:
    """Where items are: a seek an item in the folder that is named, for the rest one more a folder."""
    found: dict[ItemId, tuple[FolderId, Uid]] = {}
    missing = set(items)
    if near is not None:
        _look(db, near, missing, found)
    if missing:
        for (folder,) in rows(db, _ALL_FOLDERS):
            if folder != near:
                _look(db, folder, missing, found)
            if not missing:
                break
    return found


def removed_from(db: apsw.Connection, folder: FolderId) -> list[Uid]:
    """Recoverable items that a folder lost: both happened in one commit. Raises Refusal(NO_SUCH_FOLDER)."""
    uid_validity(db, folder)
    recoverable = special_id(db, SpecialUse.RECOVERABLE)
    return [Uid(uid) for uid in numbers(db, _REMOVED, (recoverable, folder))]


def _look(
    db: apsw.Connection, folder: FolderId, missing: set[ItemId], found: dict[ItemId, tuple[FolderId, Uid]]
) -> None:
    wanted = _encode(list(missing)).decode()
    for sql in (_NEAR, _NEAR_EDITED):
        for item, uid in rows(db, sql, (wanted, folder)):
            found[item] = (folder, uid)
            missing.discard(item)


def page(db: apsw.Connection, folder: FolderId, point: SyncPoint, limit: int, *, newest_first: bool) -> ItemChanges:
    """The next page; runs inside the caller's transaction. Raises Refusal(NO_SUCH_FOLDER)."""
    folders.one(db, FolderId(abs(folder)))
    incarnation, last, horizon = folders.position(db)
    known = point.change
    if point.incarnation and (
        point.incarnation != incarnation
        or max(known, point.upto_change) > last
        or (known and known < horizon)
        or folders.in_gap(db, known)
        or folders.in_gap(db, point.upto_change)
    ):
        return ItemChanges((), point, False, False)
    if point.phase is Phase.DONE:
        point = _begin(db, folder, point, incarnation, last, newest_first=newest_first)
    changes: list[ItemDelta] = []
    while point.phase is not Phase.DONE:
        room = limit - len(changes)
        told, point = _phase(db, folder, point, room, newest_first=newest_first)
        changes += told
        if len(changes) >= limit and point.phase is not Phase.DONE:
            if _has_more(db, folder, point, newest_first):
                return ItemChanges(changes, point, True, True)
            point = _finished(point)
    return ItemChanges(changes, point, False, True)


def _begin(
    db: apsw.Connection, folder: FolderId, point: SyncPoint, incarnation: int, last: ChangeNumber, *, newest_first: bool
) -> SyncPoint:
    """A run up to now; none if nothing has happened in the folder."""
    ((next_item,),) = rows(db, "SELECT uid_next FROM counters WHERE id = 0")
    own = rows(db, "SELECT changed FROM counters WHERE id = ?", (folder,))
    if not own or (point.change and own[0][0] <= point.change):
        return SyncPoint(incarnation, last, next_item)
    return SyncPoint(
        incarnation,
        point.change,
        point.item,
        last,
        next_item,
        Phase.CREATED,
        next_item if newest_first else point.item,
    )


def _has_more(db: apsw.Connection, folder: FolderId, point: SyncPoint, newest_first: bool) -> bool:
    """Whether anything is left in this phase or a later one."""
    while point.phase is not Phase.DONE:
        told, point = _phase(db, folder, point, 1, newest_first=newest_first)
        if told:
            return True
    return False


def _phase(
    db: apsw.Connection, folder: FolderId, point: SyncPoint, room: int, *, newest_first: bool
) -> tuple[list[ItemDelta], SyncPoint]:
    """Up to `room` (at least 1) changes of one phase, and the point behind them: the next phase if there were fewer."""
    if point.phase is Phase.CREATED:
        told = _created(db, folder, point, room, newest_first=newest_first)
        if len(told) == room:
            return told, point._replace(first=told[-1].item + (not newest_first))
        if not point.change:  # who knew nothing has nothing to be changed or taken away
            return told, _finished(point)
        return told, point._replace(phase=Phase.CHANGED, first=point.change, second=_ABOVE_ALL_UIDS)
    window = (folder, point.first, point.second, point.upto_change, point.item, room)
    if point.phase is Phase.CHANGED:
        found = rows(db, _CHANGED, window)
        told = [
            ItemDelta(_kind(point.change, altered, placed), item, uid, flags, change_key)
            for item, uid, flags, change_key, altered, placed, _ in found
        ]
        after = point._replace(phase=Phase.DELETED, first=point.change, second=_ABOVE_ALL_UIDS)
    else:
        found = rows(db, _DELETED, window)
        told = [ItemDelta(ChangeKind.DELETED, item, uid, 0, modseq) for item, uid, modseq in found]
        after = _finished(point)
    if len(found) == room:
        return told, point._replace(first=found[-1][-1], second=found[-1][1])
    return told, after


def _finished(point: SyncPoint) -> SyncPoint:
    return SyncPoint(point.incarnation, point.upto_change, point.upto_item)


def _kind(known: int, altered: int, placed: int) -> ChangeKind:
    # an item below the known ids that came later was lost in a power cut and came back with its number
    if placed > known:
        return ChangeKind.CREATED
    return ChangeKind.UPDATED if altered > known else ChangeKind.READ_CHANGED


def _created(
    db: apsw.Connection, folder: FolderId, point: SyncPoint, room: int, *, newest_first: bool
) -> list[ItemDelta]:
    """Items with ids that the asker was never told, in the order of their ids."""
    low, high = (point.item, point.first) if newest_first else (point.first, point.upto_item)
    window = (folder, low, high, point.upto_change, room)
    order = "DESC" if newest_first else "ASC"
    found = rows(db, _CREATED.format(order=order), window)
    edited = rows(db, _CREATED_EDITED.format(order=order), window)
    if edited:
        found = sorted(found + edited, reverse=newest_first)[:room]
    return [ItemDelta(ChangeKind.CREATED, *row) for row in found]
