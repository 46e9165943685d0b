"""Indexing a mailbox in the background: what is not in the search file yet goes in, then trigrams of all texts.

In `trigrams` a content's header and body have its number, the words of its attachments the same with a minus: those are
read much later, and to replace a row there costs more than to make two.

Each batch is a transaction on the search file alone and gets a number: a search that took its candidates at an earlier
number knows which texts it has to read.
"""

from __future__ import annotations

import contextlib
import os
import threading
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from postern.model.ids import ChangeNumber, FolderId
from postern.store.sqlite.connection import rows, wal_path
from postern.store.sqlite.host import Host
from postern.store.sqlite.reading import EDGE, change_number
from postern.store.sqlite.schema import LATER
from postern.store.sqlite.search.file import path_beside
from postern.store.sqlite.search.filling import yield_lock
from postern.store.sqlite.search.running import Session, with_session

INDEXED_AT_A_TIME = 50
ITEMS_AT_A_TIME = 500
LOWEST_PRIORITY = 19
FIRST_BATCH = 1
"""Of a search file that nothing was indexed in: it cannot be told from another one."""

_WITHOUT_A_ROW = (
    " LEFT JOIN s.heads h ON h.content = i.content LEFT JOIN s.headers t ON t.content = i.content"
    " LEFT JOIN s.bodies b ON b.content = i.content"
    " WHERE i.segment AND (h.content IS NULL OR t.content IS NULL OR b.content IS NULL)"
)
_ABSENT = (
    f"SELECT i.folder, i.uid FROM items i{_WITHOUT_A_ROW} AND (i.folder, i.uid) > (?, ?)"
    " ORDER BY i.folder, i.uid LIMIT ?"
)
_FOLDERS = f"SELECT id, {EDGE.replace('?1', 'counters.id')} FROM counters WHERE id != 0 AND changed > ?2"
"""Folders in which something has happened since a change number, and above which UID is what came later."""
_CAME = f"SELECT i.uid FROM items i{_WITHOUT_A_ROW} AND i.folder = ? AND i.uid > ? ORDER BY i.uid LIMIT ?"
_CHANGED = (
    f"SELECT i.modseq, i.uid FROM items i INDEXED BY items_changed{_WITHOUT_A_ROW} AND i.folder = ?"
    f" AND (i.modseq, i.uid) > (?, ?) AND {LATER} AND i.uid <= ? ORDER BY i.modseq, i.uid LIMIT ?"
)
_CONTENTS_TO_INDEX = (
    "SELECT h.content, cast(t.text || b.fields || x'0a' || b.text AS TEXT)"
    " FROM s.heads h INDEXED BY heads_to_index JOIN s.headers t USING (content) JOIN s.bodies b USING (content)"
    " WHERE h.indexed = 0 AND h.content > ? AND h.stamp > 0 ORDER BY h.content LIMIT ?"
)
_ATTACHED_TO_INDEX = (
    "SELECT content, cast(text AS TEXT) FROM s.attached INDEXED BY attached_to_index"
    " WHERE indexed = 0 AND content > ? ORDER BY content LIMIT ?"
)
_GONE = (
    "SELECT h.content FROM (SELECT content FROM s.heads UNION SELECT content FROM s.headers"
    " UNION SELECT content FROM s.bodies) h LEFT JOIN main.contents c ON c.id = h.content"
    " WHERE c.id IS NULL AND h.content > ? ORDER BY h.content LIMIT ?"
)
_TABLES = ("heads", "headers", "bodies", "attached", "to_read")


class Mark(NamedTuple):
    """How far a mailbox is in its search file. Where it is wrong a search reads more than it had to."""

    upto: ChangeNumber
    """Every item that had not changed since then has its rows."""
    batch: int
    """The search file's then: another file, or one that another process has indexed, has another."""


async def index(host: Host, path: Path, mark: Mark | None = None) -> tuple[int, Mark | None]:
    """Index a mailbox as far as it has got; how many contents were indexed, and the mark for the next time.

    What happened since `mark` is looked at, without one all that there is. Raises apsw.Error, Refusal.
    """
    return await with_session(host, path, partial(_index, mark=mark))


async def _index(session: Session, mark: Mark | None) -> tuple[int, Mark | None]:
    if session.private:  # an index in memory would be made in vain
        return 0, None
    await session.run(_read_unmapped)
    upto, batch = await session.run(_state)
    if mark is not None and mark.batch == batch > FIRST_BATCH:
        await _fill_news(session, mark.upto)
    else:
        await _fill_all(session)
    indexed = await _index_all(session, _CONTENTS) + await _index_all(session, _ATTACHED)
    _, batch = await session.run(_state)
    return indexed, Mark(upto, batch)


async def _fill_all(session: Session) -> None:
    place = (-(2**62), 0)
    while True:
        found = await session.run(partial(_some, sql=_ABSENT, place=place))
        folders: dict[int, list[int]] = {}
        for folder, uid in found:
            folders.setdefault(folder, []).append(uid)
        for folder, uids in folders.items():
            await _fill(session, folder, uids)
        if len(found) < ITEMS_AT_A_TIME:
            return
        place = found[-1]


async def _fill_news(session: Session, since: ChangeNumber) -> None:
    for folder, edge in await session.run(partial(rows, sql=_FOLDERS, bindings=(None, since))):
        uid = edge
        while True:
            came = [row[0] for row in await session.run(partial(_some, sql=_CAME, place=(folder, uid)))]
            await _fill(session, folder, came)
            if len(came) < ITEMS_AT_A_TIME:
                break
            uid = came[-1]
        place = (since, 2**62)
        while True:
            found = await session.run(partial(_some, sql=_CHANGED, place=(folder, *place), upto=(edge,)))
            await _fill(session, folder, sorted(uid for _, uid in found))
            if len(found) < ITEMS_AT_A_TIME:
                break
            place = found[-1]


async def _fill(session: Session, folder: int, uids: list[int]) -> None:
    if uids:
        await session.fill_heads(FolderId(folder), uids)
        await session.fill_headers(FolderId(folder), uids)
        await session.fill_bodies(FolderId(folder), uids)


class _Source(NamedTuple):
    to_index: str
    done: str
    sign: int
    """Of the row's number in `trigrams`."""


# somebody may have put the row in anew, or another process may be indexing too
_CONTENTS = _Source(_CONTENTS_TO_INDEX, "UPDATE s.heads SET indexed = ? WHERE content = ? AND indexed = 0", 1)
_ATTACHED = _Source(_ATTACHED_TO_INDEX, "UPDATE s.attached SET indexed = ? WHERE content = ? AND indexed = 0", -1)


async def _index_all(session: Session, source: _Source) -> int:
    total = content = 0
    while True:
        count, content = await session.run(partial(_index_some, source=source, after=content))
        total += count
        if count < INDEXED_AT_A_TIME:
            return total


def _index_some(db: apsw.Connection, *, source: _Source, after: int) -> tuple[int, int]:
    _be_modest()
    found = rows(db, source.to_index, (after, INDEXED_AT_A_TIME))
    if not found:
        return 0, after
    db.execute("BEGIN")
    try:
        db.execute("UPDATE s.facts SET batch = batch + 1")
        ((batch,),) = rows(db, "SELECT batch FROM s.facts")
        for content, text in found:
            db.execute(source.done, (batch, content))
            if db.changes():
                db.execute(
                    "INSERT OR REPLACE INTO s.trigrams (rowid, text) VALUES (?, ?)", (source.sign * content, text)
                )
            yield_lock()
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return len(found), found[-1][0]


async def clean(host: Host, path: Path) -> int:
    """Remove what belongs to contents that are gone, and give the log back; how many there were."""
    return await with_session(host, path, _clean)


async def _clean(session: Session) -> int:
    total = content = 0
    if session.private:
        return 0
    while True:
        gone = await session.run(partial(_gone, after=content))
        if gone:
            await session.run(partial(_remove, contents=gone))
            total, content = total + len(gone), gone[-1]
        if len(gone) < ITEMS_AT_A_TIME:
            break
    await session.run(lambda db: db.wal_checkpoint("s", apsw.SQLITE_CHECKPOINT_TRUNCATE))
    return total


def _read_unmapped(db: apsw.Connection) -> None:
    """Take both files through the connection's own caches.

    Merging trigrams reads all of the search file, a first look all of the mailbox's items; that takes as long, and what
    is mapped stays for as long as the connection does: of a large file more than all processes take otherwise.
    """
    db.execute("PRAGMA s.mmap_size = 0; PRAGMA main.mmap_size = 0").fetchall()


def _state(db: apsw.Connection) -> tuple[ChangeNumber, int]:
    ((batch,),) = rows(db, "SELECT batch FROM s.facts")
    return change_number(db), batch


def _some(db: apsw.Connection, *, sql: str, place: tuple[int, ...], upto: tuple[int, ...] = ()) -> list[Any]:
    _be_modest()
    return rows(db, sql, (*place, *upto, ITEMS_AT_A_TIME))


def _gone(db: apsw.Connection, *, after: int) -> list[int]:
    return [row[0] for row in rows(db, _GONE, (after, ITEMS_AT_A_TIME))]


def _remove(db: apsw.Connection, contents: list[int]) -> None:
    keys = [(content,) for content in contents]
    db.execute("BEGIN")
    try:
        for table in _TABLES:
            db.executemany(f"DELETE FROM s.{table} WHERE content = ?", keys)
        # last: it reads before it writes, and that snapshot might be too old to write on
        db.executemany("DELETE FROM s.trigrams WHERE rowid IN (?1, -?1)", keys)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _be_modest() -> None:
    """Leave this thread what nobody else wants of the processor (Linux counts priorities by thread)."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)


def changed_at(path: Path) -> float | None:
    """When the search file beside a mailbox was last written; None: there is none."""
    beside = path_beside(path)
    times = []
    for file in (beside, wal_path(beside)):
        with contextlib.suppress(OSError):
            times.append(file.stat().st_mtime)
    return max(times, default=None)
