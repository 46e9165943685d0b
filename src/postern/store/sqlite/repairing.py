"""Salvage: a new mailbox file with everything that can still be read of a damaged one.

Tables are read row by row by their keys; where a page is damaged the rows behind it are looked for by halving the
range. Counters are made from the rows. An item whose rendered data is lost is dropped and listed, unless its body is
there to render it anew from (`Rerender`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import apsw

from postern.store.sqlite.connection import connect, rows
from postern.store.sqlite.schema import BLOCK, NewerLayout, UnknownLayout, migrate, version_of

Rerender = Callable[[int, int], "Sequence[object] | None"]
"""Segment and record -> the columns of `contents` behind the id; None if the body is not there."""

_WHOLE = (
    "state", "folders", "keywords", "gaps", "applied", "shared", "named_properties", "folders_gone",
    "attachments", "spans", "settings", "reads", "outbox", "tombstones",
)  # fmt: skip
_CONTENT_COLUMNS = (
    "id, body_size, sent_at, class, envelope, bodystructure, prefix, parts, subject, message_id, properties, header"
)
_MAX_UID = 2**32 - 1
_FLAG_SEEN, _FLAG_DELETED = 1, 8


def salvage(damaged: Path, fresh: Path, now: int, rerender: Rerender = lambda _segment, _record: None) -> list[str]:
    """Write the new file; what is lost. `now`: seconds since the epoch.

    Raises apsw.Error or UnknownLayout if so much is damaged that it is no mailbox any more; NewerLayout.
    """
    for one in (fresh, fresh.with_name(fresh.name + "-wal"), fresh.with_name(fresh.name + "-shm")):
        one.unlink(missing_ok=True)
    lost: list[str] = []
    with closing(connect(fresh, create=True)) as target:
        migrate(target, now)
        with closing(_source(damaged)) as source:
            _refuse_newer(source)
            target.execute("BEGIN IMMEDIATE")
            _copy_all(source, target, lost)
            _mend(target, lost, rerender)
            _count(target, now)
            target.execute("COMMIT")
        ((sound,),) = rows(target, "PRAGMA integrity_check(1)")
        if sound != "ok":
            raise UnknownLayout(f"what was put together is not whole: {sound}")
        target.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    return lost


def _source(path: Path) -> apsw.Connection:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        db.set_busy_timeout(10_000)
        db.execute("PRAGMA cell_size_check = ON; PRAGMA query_only = ON")
        rows(db, "SELECT count(*) FROM sqlite_schema")
    except BaseException:
        db.close()
        raise
    return db


def _refuse_newer(db: apsw.Connection) -> None:
    """What we do not know would be lost from a file that has no damage. Raises NewerLayout."""
    try:
        version_of(db)
    except NewerLayout:
        raise
    except (UnknownLayout, apsw.Error):
        return


def _columns(db: apsw.Connection, table: str) -> list[str]:
    return [row[1] for row in rows(db, f"PRAGMA table_info({table})")]


def _copy_all(source: apsw.Connection, target: apsw.Connection, lost: list[str]) -> None:
    highest = _highest(source)
    for table in (*_WHOLE, "counters", "contents", "items"):
        theirs, ours = _columns(source, table), _columns(target, table)
        columns = [one for one in ours if one in theirs]
        if not columns:
            continue
        names = ", ".join(columns)
        statement = f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"
        gaps = 0
        for part in _read(source, table, names, highest):
            if part is None:
                gaps += 1
            else:
                target.executemany(statement, part)
        if gaps:
            lost.append(f"table {table}: rows in {gaps} damaged places")


_RANGES = {
    "items": "uid",
    "tombstones": "uid",
    "contents": "id",
    "attachments": "content",
    "counters": "id",
    "folders": "id",
    "outbox": "id",
    "shared": "content",
}
"""Tables that are looked through by ranges of a key."""
_GRAIN = 64
"""A range of this many keys that cannot be read is read from both ends, as far as that goes."""
_MOST_FAILURES = 50_000


def _read(db: apsw.Connection, table: str, names: str, highest: int) -> Iterator[list[tuple[object, ...]] | None]:
    """Rows in parts; None for each place where some are lost."""
    try:
        yield rows(db, f"SELECT {names} FROM {table}")
        return
    except apsw.Error:
        pass
    if table in {"items", "tombstones"}:
        folders = _folders(db)
        conditions = [f"folder = {folder} AND {_RANGES[table]}" for folder in folders]
    else:
        conditions = [_RANGES[table]] if table in _RANGES else []
    if not conditions:
        yield from _ends(db, f"SELECT {names} FROM {table}", ())
    budget = [_MOST_FAILURES]
    for condition in conditions:
        yield from _halving(
            db, f"SELECT {names} FROM {table} WHERE {condition} BETWEEN ? AND ?", condition, highest, budget
        )


def _folders(db: apsw.Connection) -> list[int]:
    found: set[int] = set()
    for statement in ("SELECT id FROM folders", "SELECT id FROM counters WHERE id != 0"):
        for part in _ends(db, statement, ()):
            found.update(int(row[0]) for row in part or ())  # type: ignore[call-overload]
    return sorted(found | {-one for one in found})


def _ends(
    db: apsw.Connection, statement: str, bindings: tuple[int, ...], order: str = ""
) -> Iterator[list[tuple[object, ...]] | None]:
    """What can be read before an error, and behind it in the other direction if there is an order."""
    broken = False
    for direction in [f" ORDER BY {order}", f" ORDER BY {order} DESC"] if order else [""]:
        found: list[tuple[object, ...]] = []
        try:
            for row in db.execute(statement + direction, bindings):
                found.append(row)
        except apsw.Error:
            broken = True
        yield found
        if not broken:
            return
    yield None


def _halving(
    db: apsw.Connection, statement: str, condition: str, highest: int, budget: list[int]
) -> Iterator[list[tuple[object, ...]] | None]:
    """Rows up to the highest key; a range that cannot be read is halved."""
    key = condition.rpartition(" ")[2]
    waiting = [(-highest if key == "id" else 0, highest)]
    while waiting:
        start, end = waiting.pop()
        try:
            yield rows(db, statement, (start, end))
        except apsw.Error:
            budget[0] -= 1
            if end - start < _GRAIN or budget[0] < 0:
                yield from _ends(db, statement, (start, end), key)
                continue
            middle = (start + end) // 2
            waiting += [(middle + 1, end), (start, middle)]


def _highest(db: apsw.Connection) -> int:
    """No key of any table is above."""
    for statement in (
        "SELECT max(id_safe, id_pending) FROM state",
        "SELECT max(uid_next) + 2 * 8192 FROM counters",
    ):
        try:
            ((found,),) = rows(db, statement)
        except (apsw.Error, ValueError):
            continue
        if found:
            return int(found)
    return 1 << 24


def _mend(db: apsw.Connection, lost: list[str], rerender: Rerender) -> None:
    """Items have contents and folders, contents have items; folders have parents."""
    db.execute("DELETE FROM items WHERE abs(folder) NOT IN (SELECT id FROM folders)")
    if gone := db.changes():
        lost.append(f"{gone} items of folders that are lost")
    db.execute("UPDATE folders SET parent = NULL WHERE parent NOT IN (SELECT id FROM folders)")
    missing = rows(
        db,
        "SELECT i.folder, i.uid, i.content, i.segment, i.record FROM items i LEFT JOIN contents c ON c.id = i.content"
        " WHERE c.id IS NULL",
    )
    rendered = 0
    marks = ", ".join("?" * (_CONTENT_COLUMNS.count(",") + 1))
    for folder, uid, content, segment, record in missing:
        made = rerender(segment, record) if segment else None
        if made is None:
            lost.append(f"folder {folder}, UID {uid}: what was rendered of it is lost")
            db.execute("DELETE FROM items WHERE folder = ? AND uid = ?", (folder, uid))
        else:
            db.execute(f"INSERT OR IGNORE INTO contents ({_CONTENT_COLUMNS}) VALUES ({marks})", (content, *made))
            # the lines of its own before the shared body are lost
            db.execute("UPDATE items SET size = ? WHERE content = ?", (made[0], content))
            rendered += 1
    if rendered:
        lost.append(f"{rendered} messages were rendered anew from their bodies, without their own trace lines")
    db.execute("DELETE FROM contents WHERE id NOT IN (SELECT content FROM items)")
    db.execute("DELETE FROM attachments WHERE content NOT IN (SELECT content FROM items)")
    db.execute(
        "DELETE FROM spans WHERE NOT EXISTS (SELECT 1 FROM items i WHERE i.folder = spans.folder AND i.uid = spans.uid)"
    )
    db.execute("DELETE FROM shared")
    db.execute("INSERT INTO shared SELECT content, count(*) - 1 FROM items GROUP BY content HAVING count(*) > 1")


def recount(db: apsw.Connection) -> None:
    """Counters of folders and of the mailbox from the rows. In a transaction of the caller."""
    db.execute(
        "UPDATE counters SET messages = t.n, unseen = t.unseen, deleted = t.deleted, size_bytes = t.size"
        " FROM (SELECT c.id AS id, count(i.uid) AS n,"
        f" coalesce(sum(i.uid IS NOT NULL AND NOT i.flags & {_FLAG_SEEN}), 0) AS unseen,"
        f" coalesce(sum(i.flags & {_FLAG_DELETED} != 0), 0) AS deleted, coalesce(sum(i.size), 0) AS size"
        " FROM counters c LEFT JOIN items i ON i.folder = c.id WHERE c.id != 0 GROUP BY c.id) AS t"
        " WHERE counters.id = t.id"
    )
    db.execute(
        "UPDATE counters SET size_bytes = (SELECT coalesce(sum(c.size_bytes), 0) FROM counters c WHERE c.id != 0"
        " AND c.id NOT IN (SELECT id FROM folders WHERE special = 'recoverable')) WHERE id = 0"
    )


def _count(db: apsw.Connection, now: int) -> None:
    if not rows(db, "SELECT 1 FROM state"):
        raise UnknownLayout("the mailbox's own state is lost")
    if not rows(db, "SELECT 1 FROM folders WHERE special = 'inbox'"):
        raise UnknownLayout("the mailbox's folders are lost")
    db.execute("INSERT OR IGNORE INTO counters VALUES (0, 0, 1, 0, 0, 0, 0, ?)", (now & 0x7FFFFFFF,))
    ((highest, changed),) = rows(
        db,
        "SELECT max((SELECT coalesce(max(uid), 0) FROM items), (SELECT coalesce(max(id), 0) FROM folders),"
        " (SELECT coalesce(max(id), 0) FROM contents), (SELECT max(id_safe, id_pending) FROM state)),"
        " max((SELECT coalesce(max(modseq), 0) FROM items), (SELECT max(change_safe, change_pending) FROM state),"
        " (SELECT changed FROM counters WHERE id = 0))",
    )
    next_id, change = min(highest + 1, _MAX_UID - BLOCK), changed + 1
    db.execute(
        "INSERT OR IGNORE INTO counters SELECT id, ?, ?, 0, 0, 0, 0, ? FROM folders",
        (change, next_id, now & 0x7FFFFFFF),
    )
    db.execute(
        "INSERT OR IGNORE INTO counters SELECT DISTINCT folder, ?, ?, 0, 0, 0, 0, ? FROM items",
        (change, next_id, now & 0x7FFFFFFF),
    )
    ((validity,),) = rows(db, "SELECT max(uid_validity) FROM counters")
    db.execute("UPDATE counters SET uid_next = ?", (next_id,))
    db.execute("UPDATE counters SET changed = ?, uid_validity = ? WHERE id = 0", (change, validity))
    db.execute("INSERT OR REPLACE INTO gaps VALUES (0, ?)", (change,))
    db.execute(
        "UPDATE state SET incarnation = max(incarnation + 1, ?), change_safe = ?, change_pending = ?, id_safe = ?,"
        " id_pending = ?, horizon = max(horizon, ?)",
        (now, change + BLOCK, change + BLOCK, next_id + BLOCK, next_id + BLOCK, change),
    )
    recount(db)
