"""Where items came from and went to: told from the one commit in which one folder lost what another one got.

A move leaves tombstones and new rows under the same change number, in the same order; a copy leaves new rows alone.
Nothing is kept for it, so only what is still as it was left can be paired: of a set that was moved and then moved on
in part, nothing is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import apsw
import msgspec

from postern.model.ids import ChangeNumber, FolderId, ItemId, Uid
from postern.model.sync import Came, Went
from postern.store.sqlite import reading
from postern.store.sqlite.connection import rows

_OTHERS_WORK = (
    "SELECT uid, created, content FROM items WHERE folder = ? AND uid IN (SELECT value FROM json_each(?))"
    " AND content != uid AND item = uid"
)
"""What a delivery puts in is numbered as its content."""
_FOLDERS = "SELECT id FROM counters WHERE id > 0"
_ARRIVED = (
    "SELECT uid, item, max(created, altered) FROM items WHERE folder = ?1 AND uid > ?2 AND created = ?3 AND uid <"
    " coalesce((SELECT uid FROM items WHERE folder = ?1 AND uid > ?2 AND created > ?3 AND placed = 0"
    " ORDER BY uid LIMIT 1), 1 << 32) ORDER BY uid"
)
_LEFT = (
    "SELECT uid, CASE item WHEN 0 THEN uid ELSE item END FROM tombstones"
    " WHERE folder = ? AND modseq = ? AND item != -1 ORDER BY uid"
)
_ORIGINAL = "SELECT item FROM items WHERE folder = ? AND uid = ?"


def _folders(db: apsw.Connection) -> list[FolderId]:
    return [FolderId(folder) for (folder,) in rows(db, _FOLDERS)]


def _arrivals(db: apsw.Connection, folder: FolderId, commit: int) -> list[tuple[int, int, int]]:
    """UID, item and change key of what came into a folder with a commit."""
    return rows(db, _ARRIVED, (folder, reading.edge(db, folder, commit - 1), commit))


def came_from(db: apsw.Connection, folder: FolderId, uids: Sequence[Uid]) -> dict[Uid, Came]:
    """Of items of a folder that were moved or copied there: from where. Others are left out."""
    by_commit: dict[int, list[tuple[Uid, int]]] = {}
    for uid, created, content in rows(db, _OTHERS_WORK, (folder, msgspec.json.encode(list(uids)).decode())):
        by_commit.setdefault(created, []).append((uid, content))
    found: dict[Uid, Came] = {}
    every = _folders(db) if by_commit else []
    for commit, arrivals in by_commit.items():
        arrived = [uid for uid, _, _ in _arrivals(db, folder, commit)]
        moved = False
        for source in every:
            left = rows(db, _LEFT, (source, commit))
            moved |= bool(left)
            if left and len(left) == len(arrived):
                pairs = {uid: ItemId(item) for uid, (_, item) in zip(arrived, left, strict=True)}
                found |= {uid: Came(source, pairs[uid], moved=True) for uid, _ in arrivals if uid in pairs}
                break
        if not moved:
            for uid, content in arrivals:
                origin = _copied(db, every, content, (folder, uid))
                if origin is not None:
                    found[uid] = origin
    return found


def _copied(db: apsw.Connection, every: Iterable[FolderId], content: int, own: tuple[FolderId, Uid]) -> Came | None:
    """What came in as that content, if it is still there."""
    for source in every:
        if (source, content) != own:
            for (item,) in rows(db, _ORIGINAL, (source, content)):
                return Came(source, ItemId(item), moved=False)
    return None


def went_to(
    db: apsw.Connection, folder: FolderId, gone: Sequence[tuple[Uid, ChangeNumber]]
) -> dict[Uid, Went]:  # fmt: skip
    """Of items that a folder lost, at which change number: where they are now. Others are left out."""
    by_commit: dict[ChangeNumber, set[Uid]] = {}
    for uid, change in gone:
        by_commit.setdefault(change, set()).add(uid)
    found: dict[Uid, Went] = {}
    every = _folders(db) if by_commit else []
    for commit, uids in by_commit.items():
        left = [uid for uid, _ in rows(db, _LEFT, (folder, commit))]
        for target in every:
            arrived = _arrivals(db, target, commit)
            if arrived and len(arrived) == len(left):
                for uid, (new, item, key) in zip(left, arrived, strict=True):
                    if uid in uids:
                        found[uid] = Went(target, Uid(new), ItemId(item), ChangeNumber(key))
                break
    return found
