"""SELECT's view, item rows by column set, changes since a number: each call one short read transaction."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeVar

import apsw
import msgspec

from postern.model.ids import ChangeNumber, FolderId, Uid
from postern.model.items import Changes, Columns, FolderView, ItemFlags, Quota
from postern.model.refusal import Reason, Refusal
from postern.store.interface import Ranges
from postern.store.sqlite import folders
from postern.store.sqlite.connection import rows
from postern.store.sqlite.schema import LATER
from postern.store.sqlite.selection import numbers

T = TypeVar("T")

MANY_RANGES = 300
"""Ranges a chunk: many tiny or empty ones must end a slice too."""
FEW_RANGES = 1
"""Up to this many ranges are asked one by one; more are bound as one JSON list, which costs a tenth a range."""


_ITEM_COLUMNS: dict[Columns, str] = {
    Columns.UID: "i.uid",
    Columns.FLAGS: "i.flags",
    Columns.MODSEQ: "i.modseq",
    Columns.RECEIVED_AT: "i.received_at",
    Columns.SIZE: "i.size",
    Columns.BLOB: "i.segment, i.record",
    Columns.ITEM_ID: "i.item",
    Columns.SAVED_AT: "i.saved_at",
    Columns.CHANGE_KEY: "max(i.created, i.altered)",
    Columns.CONVERSATION: "i.conversation",
}
_CONTENT_COLUMNS: dict[Columns, str] = {
    Columns.ENVELOPE: "c.envelope",
    Columns.BODYSTRUCTURE: "c.bodystructure",
    Columns.PARTS: "c.parts",
    Columns.PREFIX: "c.prefix",
    Columns.BODY_SIZE: "c.body_size",
    Columns.SENT_AT: "c.sent_at",
    Columns.SUBJECT: "c.subject",
    Columns.HEADER: "c.header",
    Columns.CLASS: "c.class",
    Columns.PROPERTIES: "c.properties",
    Columns.ORIGIN: "coalesce(nullif(c.origin, 0), c.id)",
    Columns.MESSAGE_ID: "c.message_id",
}
_STATE = (
    "SELECT {kind}c.changed, s.horizon, s.deleted, EXISTS (SELECT 1 FROM gaps WHERE low < ?2 AND high > ?2), f.changed"
    " FROM state s, counters c, counters f WHERE c.id = 0 AND f.id = ?1 AND f.id != 0"
)
"""The mailbox's and a folder's (?1) last change numbers, and what a number (?2) that somebody was told is worth."""
FEW = 64
EDGE = "coalesce((SELECT uid FROM items WHERE folder = ?1 AND created <= ?2 ORDER BY uid DESC LIMIT 1), 0)"
"""Above it is what came later, and nothing else; below it is none but in the index."""
_NEWS = (
    "SELECT {columns} FROM items INDEXED BY items_changed"
    f" WHERE folder = ?1 AND modseq > ?2 AND {LATER} AND uid <= {EDGE}"
    f" UNION ALL SELECT {{columns}} FROM items WHERE folder = ?1 AND uid > {EDGE}"
)
"""What has come into a folder (?1) or changed there after a change number (?2); cost grows with its number."""
_CHANGED_UIDS = f"SELECT json_group_array(uid) FROM (SELECT uid FROM ({_NEWS.format(columns='uid')}) ORDER BY uid)"
_AT_ONCE = (
    _STATE.format(kind="0, ") + f" UNION ALL SELECT 1, uid, flags, modseq, created, 0 FROM"
    f" ({_NEWS.format(columns='uid, flags, modseq, created')} LIMIT {FEW + 1})"
    f" UNION ALL SELECT 2, uid, 0, 0, 0, 0 FROM"
    f" (SELECT uid FROM tombstones WHERE folder = ?1 AND modseq > ?2 LIMIT {FEW + 1})"
)
"""All that `changes` asks if that is little: one statement is a transaction, and costs a quarter of five."""
_MANY_NEWS = (
    "SELECT json_group_array(json_array(uid, flags, modseq, created)) FROM"
    f" (SELECT * FROM ({_NEWS.format(columns='uid, flags, modseq, created')}) ORDER BY uid)"
)
_UID_NEXT = "SELECT uid_next FROM counters WHERE id = ? AND id != 0"
_ENDS = "SELECT coalesce(min(uid), 1) - 1, coalesce(max(uid), 0) FROM items WHERE folder = ?"
_FROM_UID = "SELECT uid, created FROM items WHERE folder = ? AND uid >= ? AND placed = 0 ORDER BY uid LIMIT 1"
_DECODE_FLAGS = msgspec.json.Decoder(list[ItemFlags])


class Plan(NamedTuple):
    """How a set of columns is read."""

    sql: str
    """One range. Bindings: folder, lowest UID, highest UID, rows at most."""
    list_sql: str
    """Ascending ranges. Bindings: JSON array of [lowest UID, highest UID], folder, rows at most."""
    rows: int
    """Rows a chunk: well under a loop slice, and the client has work while the next one is read."""


@lru_cache(maxsize=512)
def plan(columns: int, changed: bool) -> Plan:
    """The statement for a set of columns; with `changed` the fourth binding is the MODSEQ to exceed."""
    fields: list[str] = []
    weight = 1.0
    contents = False
    for column in Columns:
        if not column & columns:
            continue
        if column in _ITEM_COLUMNS:
            fields.append(_ITEM_COLUMNS[column])
            weight += 0.15
        else:
            fields.append(_CONTENT_COLUMNS[column])
            contents = True
            weight += 3 if column is Columns.HEADER else 0.6
    select = f"SELECT {', '.join(fields)} FROM "
    where = " CROSS JOIN contents c ON c.id = i.content" if contents else ""
    where += " WHERE i.folder = ? AND i.uid BETWEEN "
    end = (" AND i.modseq > ?" if changed else "") + " ORDER BY i.uid LIMIT ?"
    return Plan(
        f"{select}items i{where}? AND ?{end}",
        # the outer loop is the list in its order, so that the rows come in theirs
        f"{select}json_each(?) r CROSS JOIN items i{where}r.value ->> 0 AND r.value ->> 1{end}".replace(
            " ORDER BY i.uid", ""
        ),
        int(1000 / weight),
    )


def chunk(
    db: apsw.Connection, folder: FolderId, plan: Plan, ranges: Ranges, since: int | None
) -> tuple[list[tuple[Any, ...]], Ranges]:
    """Up to the plan's number of rows from the front of the ranges, and the ranges that are left.

    The first column of the plan is the UID.
    """
    sql, list_sql, limit = plan
    extra = () if since is None else (since,)
    if len(ranges) <= FEW_RANGES:
        some, rest = ranges, ranges[:0]
        ((low, high),) = some
        found = rows(db, sql, (folder, low, high, *extra, limit))
    else:
        some, rest = ranges[:MANY_RANGES], ranges[MANY_RANGES:]
        found = rows(db, list_sql, (msgspec.json.encode(some).decode(), folder, *extra, limit))
    if len(found) < limit:
        return found, rest
    last = found[-1][0]
    return found, [(max(low, last + 1), high) for low, high in some if high > last] + list(rest)


def changed_uids(db: apsw.Connection, folder: FolderId, since: int) -> list[int]:
    """UIDs with a MODSEQ above a number: cost grows with the number of changes."""
    return numbers(db, _CHANGED_UIDS, (folder, since))


def edge(db: apsw.Connection, folder: FolderId, upto: int) -> int:
    """The last UID of what came into a folder up to a change number, in some seeks.

    Edited mail is not looked at, nor what has a UID taken before its commit: both may lie anywhere.
    """
    ((low, high),) = rows(db, _ENDS, (folder,))
    while low < high:
        middle = (low + high + 1) // 2
        found = rows(db, _FROM_UID, (folder, middle))
        if found and found[0][1] <= upto:
            low = found[0][0]
        else:
            high = middle - 1
    return int(low)


def intersect(uids: list[int], ranges: Ranges) -> list[tuple[int, int]]:
    """The runs of `uids` (ascending) that lie in the ranges (ascending, disjoint)."""
    runs: list[tuple[int, int]] = []
    bounds: Iterator[tuple[int, int]] = iter(ranges)
    bound = next(bounds, None)
    for uid in uids:
        while bound is not None and bound[1] < uid:
            bound = next(bounds, None)
        if bound is None:
            break
        if uid < bound[0]:
            continue
        if runs and runs[-1][1] == uid - 1:
            runs[-1] = (runs[-1][0], uid)
        else:
            runs.append((uid, uid))
    return runs


def view(db: apsw.Connection, folder: FolderId) -> FolderView:
    """What SELECT needs; runs inside the caller's transaction."""
    seen = folders.one(db, folder)
    uids = array(
        "I",
        numbers(
            db, "SELECT json_group_array(uid) FROM (SELECT uid FROM items WHERE folder = ? ORDER BY uid)", (folder,)
        ),
    )
    unseen: Uid | None = None
    if seen.unseen:
        found = rows(db, "SELECT uid FROM items WHERE folder = ? AND flags & 1 = 0 ORDER BY uid LIMIT 1", (folder,))
        unseen = found[0][0] if found else None
    return FolderView(seen, uids, unseen, keywords(db))


def messages(db: apsw.Connection, folder: FolderId) -> int:
    """How many items a folder has, also of associated ones. Raises Refusal(NO_SUCH_FOLDER)."""
    return messages_and_deleted(db, folder)[0]


def messages_and_deleted(db: apsw.Connection, folder: FolderId) -> tuple[int, int]:
    """The same, and how many of them are DELETED. Raises Refusal(NO_SUCH_FOLDER)."""
    found = rows(db, "SELECT messages, deleted FROM counters WHERE id = ? AND id != 0", (folder,))
    if not found:
        raise Refusal(Reason.NO_SUCH_FOLDER, str(folder))
    (counts,) = found
    return counts  # type: ignore[no-any-return]


def last_uid(db: apsw.Connection, folder: FolderId) -> int:
    """The highest UID that any item of a folder has or had: what comes gets a higher one. 0 if there is no folder."""
    return next((int(following) - 1 for (following,) in rows(db, _UID_NEXT, (folder,))), 0)


def keywords(db: apsw.Connection) -> dict[int, str]:
    """Bit -> keyword."""
    return dict(rows(db, "SELECT bit, name FROM keywords ORDER BY bit"))


def change_number(db: apsw.Connection) -> ChangeNumber:
    """The last change number as the file has it."""
    ((number,),) = rows(db, "SELECT changed FROM counters WHERE id = 0")
    return ChangeNumber(number)


def changes(db: apsw.Connection, folder: FolderId, since: int) -> Changes:
    """What happened after a number; runs inside the caller's transaction. Raises Refusal(NO_SUCH_FOLDER)."""
    few = _few_changes(db, folder, since)
    return _many_changes(db, folder, since) if few is None else few


def latest(db: apsw.Connection, *, folder: FolderId, since: int) -> Changes:
    """The same in a transaction of its own."""
    few = _few_changes(db, folder, since)
    return snapshot(db, work=partial(_many_changes, folder=folder, since=since)) if few is None else few


def _few_changes(db: apsw.Connection, folder: FolderId, since: int) -> Changes | None:
    """`changes` by one statement; None if they are many."""
    state: tuple[int, ...] | None = None
    changed: list[ItemFlags] = []
    vanished: list[Uid] = []
    for kind, *row in rows(db, _AT_ONCE, (folder, since)):
        if kind == 1:
            changed.append(ItemFlags(*row[:4]))
        elif kind == 2:
            vanished.append(row[0])
        else:
            state = tuple(row)
    upto, complete, nothing = _judged(state, folder, since)
    if nothing:
        return Changes(upto, (), (), True)
    if len(changed) > FEW or len(vanished) > FEW:
        return None
    changed.sort()
    vanished.sort()
    return Changes(upto, changed, vanished, complete)


def _many_changes(db: apsw.Connection, folder: FolderId, since: int) -> Changes:
    found = rows(db, _STATE.format(kind=""), (folder, since))
    upto, complete, nothing = _judged(found[0] if found else None, folder, since)
    if nothing:
        return Changes(upto, (), (), True)
    ((text,),) = rows(db, _MANY_NEWS, (folder, since))
    vanished = numbers(
        db,
        "SELECT json_group_array(uid) FROM (SELECT uid FROM tombstones WHERE folder = ? AND modseq > ? ORDER BY uid)",
        (folder, since),
    )
    return Changes(upto, _DECODE_FLAGS.decode(text), vanished, complete)  # type: ignore[arg-type]


def _judged(state: tuple[int, ...] | None, folder: FolderId, since: int) -> tuple[ChangeNumber, bool, bool]:
    """The last change number, whether what happened since `since` is all known, and whether that is nothing."""
    if state is None:
        raise Refusal(Reason.NO_SUCH_FOLDER, str(folder))
    upto, horizon, deleted, lost, here = state
    if deleted:
        raise Refusal(Reason.NO_SUCH_RECIPIENT, "the mailbox was removed")
    complete = horizon <= since <= upto and not lost
    return ChangeNumber(upto), complete, since == upto or (complete and here <= since)


def live_records(db: apsw.Connection, segments: frozenset[int]) -> dict[int, set[int]]:
    """Which records of the segments any item of this mailbox refers to, or anything that is still to be sent."""
    found: dict[int, set[int]] = {}
    marks = ", ".join(str(int(segment)) for segment in segments)
    for segment, record in rows(
        db,
        f"SELECT segment, record FROM items WHERE segment IN ({marks})"
        f" UNION SELECT segment, record FROM attachments WHERE segment IN ({marks})"
        f" UNION SELECT blob_segment, blob_record FROM outbox WHERE blob_segment IN ({marks})",
    ):
        found.setdefault(segment, set()).add(record)
    return found


def snapshot(db: apsw.Connection, *, work: Callable[[apsw.Connection], T]) -> T:
    """Run several statements over one state of the file."""
    db.execute("BEGIN")
    try:
        result = work(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result


def at_least(db: apsw.Connection, folder: FolderId, ranges: Ranges, count: int) -> bool:
    """Whether the ranges hold more than `count` items; looks at no more than that."""
    for low, high in ranges:
        ((found,),) = rows(
            db,
            "SELECT count(*) FROM (SELECT 1 FROM items WHERE folder = ? AND uid BETWEEN ? AND ? LIMIT ?)",
            (folder, low, high, count + 1),
        )
        count -= found
        if count < 0:
            return True
    return False


def used_bytes(db: apsw.Connection) -> int:
    """Octets that count against the quota."""
    return int(rows(db, "SELECT size_bytes FROM counters WHERE id = 0")[0][0])


def quota(db: apsw.Connection) -> Quota:
    """The limits in force."""
    return Quota(*rows(db, "SELECT warn_bytes, no_send_bytes, no_receive_bytes FROM state")[0])
