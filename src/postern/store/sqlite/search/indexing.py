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
from typing import NamedTuple

import apsw

from postern.model.ids import FolderId
from postern.store.sqlite.connection import rows, wal_path
from postern.store.sqlite.host import Host
from postern.store.sqlite.search.file import path_beside
from postern.store.sqlite.search.filling import yield_lock
from postern.store.sqlite.search.running import Session, with_session

INDEXED_AT_A_TIME = 50
ITEMS_AT_A_TIME = 500
LOWEST_PRIORITY = 19

_ABSENT = (
    "SELECT i.folder, i.uid FROM items i LEFT JOIN s.heads h ON h.content = i.content"
    " LEFT JOIN s.headers t ON t.content = i.content LEFT JOIN s.bodies b ON b.content = i.content"
    " WHERE (i.folder, i.uid) > (?, ?) AND i.segment"
    " AND (h.content IS NULL OR t.content IS NULL OR b.content IS NULL) ORDER BY i.folder, i.uid LIMIT ?"
)
_CONTENTS_TO_INDEX = (
    "SELECT h.content, cast(t.text || x'0a' || b.text AS TEXT)"
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


async def index(host: Host, path: Path) -> int:
    """Index a mailbox as far as it has got; how many contents were indexed. Raises apsw.Error, Refusal."""
    return await with_session(host, path, _index)


async def _index(session: Session) -> int:
    if session.private:  # an index in memory would be made in vain
        return 0
    place = (-(2**62), 0)
    while True:
        found = await session.run(partial(_absent, place=place))
        folders: dict[int, list[int]] = {}
        for folder, uid in found:
            folders.setdefault(folder, []).append(uid)
        for folder, uids in folders.items():
            await session.fill_heads(FolderId(folder), uids)
            await session.fill_headers(FolderId(folder), uids)
            await session.fill_bodies(FolderId(folder), uids)
        if len(found) < ITEMS_AT_A_TIME:
            break
        place = found[-1]
    return await _index_all(session, _CONTENTS) + await _index_all(session, _ATTACHED)


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


def _absent(db: apsw.Connection, *, place: tuple[int, int]) -> list[tuple[int, int]]:
    return rows(db, _ABSENT, (*place, ITEMS_AT_A_TIME))


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
