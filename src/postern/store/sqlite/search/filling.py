"""Filling the search file from the mailbox: heads and headers from what was rendered, bodies from the blobs.

Everything here runs in a thread on the search's own connection; the loop reads the blobs between two calls. Reading and
writing are transactions of their own, so that neither the mailbox nor the search file is held for long.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import apsw
import msgspec

from postern.formats.mime.parts import PartMap
from postern.model.ids import BlobRef, Uid
from postern.store.sqlite.connection import rows
from postern.store.sqlite.search import texts
from postern.store.sqlite.search.file import STAMP

HEADS_AT_A_TIME = 200
BODIES_AT_A_TIME = 48
BODY_BYTES_AT_A_TIME = 2 << 20

_TEXTLESS = (
    "SELECT i.uid, i.content, {stamp}, i.segment, i.record, i.size, c.prefix, c.header, c.parts"
    " FROM json_each(?) r CROSS JOIN items i CROSS JOIN contents c ON c.id = i.content"
    " LEFT JOIN s.{table} x ON x.content = i.content AND x.stamp = {stamp}"
    " WHERE i.folder = ? AND i.uid = r.value AND x.content IS NULL"
)
_NO_HEAD = _TEXTLESS.format(stamp=STAMP, table="heads")
_NO_BODY = _TEXTLESS.format(stamp=STAMP, table="bodies").replace("c.header", "NULL")
_HEAD_COLUMNS = 3 + len(texts.Head._fields)
_PUT_HEAD = f"INSERT OR REPLACE INTO s.heads VALUES ({', '.join('?' * _HEAD_COLUMNS)})"
_PUT_HEADER = "INSERT OR REPLACE INTO s.headers VALUES (?, ?, ?)"
_PUT_BODY = "INSERT OR REPLACE INTO s.bodies VALUES (?, ?, ?)"

_PUT_TO_READ = "INSERT OR REPLACE INTO s.to_read VALUES (?, ?)"


class Missing(NamedTuple):
    """A content whose row is not there, and what it is made of."""

    uid: Uid
    content: int
    stamp: int
    segment: int
    record: int
    size: int
    prefix: bytes
    header: bytes | None
    parts: bytes

    @property
    def blob(self) -> BlobRef:
        """Its body."""
        return BlobRef(self.segment, self.record)

    def header_end(self) -> int:
        """Where the header ends in the body, for headers that are not in the row."""
        found = PartMap.unpack(self.parts).find("HEADER") if self.parts else None
        return found[1] if found else 0


def without_head(db: apsw.Connection, folder: int, uids: Sequence[int]) -> list[Missing]:
    """Of these items, the ones without a row in `heads`."""
    return [Missing._make(row) for row in rows(db, _NO_HEAD, (msgspec.json.encode(uids).decode(), folder))]


def without_body(db: apsw.Connection, folder: int, uids: Sequence[int]) -> list[Missing]:
    """Of these items, the ones without a row in `bodies`."""
    return [Missing._make(row) for row in rows(db, _NO_BODY, (msgspec.json.encode(uids).decode(), folder))]


def put_heads(db: apsw.Connection, contents: Sequence[tuple[Missing, bytes]]) -> None:
    """Write the rows of contents with their header blocks."""
    heads: list[tuple[object, ...]] = []
    headers: list[tuple[object, ...]] = []
    for missing, header in contents:
        head, lines = texts.header(missing.prefix + header)
        heads.append((missing.content, missing.stamp, 0, *head))
        headers.append((missing.content, missing.stamp, lines))
        yield_lock()
    _write(db, ((_PUT_HEAD, heads), (_PUT_HEADER, headers)))


def put_bodies(db: apsw.Connection, contents: Sequence[tuple[Missing, bytes | memoryview]]) -> None:
    """Write the rows of contents with their bodies, and note whose attachments are to be read."""
    bodies: list[tuple[object, ...]] = []
    to_read: list[tuple[object, ...]] = []
    for missing, content in contents:
        bodies.append((missing.content, missing.stamp, texts.body_text(missing.parts, content)))
        if missing.segment and texts.has_attachments(missing.parts):
            to_read.append((missing.content, missing.stamp))
        yield_lock()
    _write(db, ((_PUT_BODY, bodies), (_PUT_TO_READ, to_read)))


def yield_lock() -> None:
    """Let the loop have the interpreter: a thread that computes keeps it for longer than a slice otherwise."""
    time.sleep(0)


def _write(db: apsw.Connection, work: Sequence[tuple[str, list[tuple[object, ...]]]]) -> None:
    # the first statement writes, so that there is no read snapshot that somebody's commit could make too old
    db.execute("BEGIN")
    try:
        for sql, values in work:
            if values:
                db.executemany(sql, values)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def batches(missing: Sequence[Missing]) -> list[list[Missing]]:
    """Bodies to be read at once, bounded in number and size."""
    found: list[list[Missing]] = []
    size = 0
    for one in missing:
        if not found or len(found[-1]) >= BODIES_AT_A_TIME or size + one.size > BODY_BYTES_AT_A_TIME:
            found.append([])
            size = 0
        found[-1].append(one)
        size += one.size
    return found
