"""Filling the search file from the mailbox: heads and headers from what was rendered, bodies from the blobs.

Everything here runs in a thread on the search's own connection; the loop reads the blobs between two calls. Reading and
writing are transactions of their own, so that neither the mailbox nor the search file is held for long.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import apsw
import msgspec

from postern.formats.mime.parts import PartMap
from postern.model.ids import BlobRef, Uid
from postern.store.sqlite.connection import rows
from postern.store.sqlite.search import texts
from postern.store.sqlite.search.file import STAMP

HEADS_AT_A_TIME = 500
BODIES_AT_A_TIME = 48
BODY_BYTES_AT_A_TIME = 2 << 20

_TEXTLESS = (
    "SELECT i.uid, i.content, {stamp}, i.segment, i.record, i.size, c.prefix, c.header, c.parts"
    " FROM json_each(?) r CROSS JOIN items i CROSS JOIN contents c ON c.id = i.content"
    " LEFT JOIN s.{table} x ON x.content = i.content AND x.stamp = {stamp}"
    " WHERE i.folder = ? AND i.uid = r.value AND x.content IS NULL"
)
_NO_HEAD = _TEXTLESS.format(stamp=STAMP, table="heads")
_NO_HEADER = _TEXTLESS.format(stamp=STAMP, table="headers")
_NO_BODY = _TEXTLESS.format(stamp=STAMP, table="bodies").replace("c.header", "NULL")
_COMPUTED_AT_A_TIME = 16
"""Rows between two moments at which the loop may have the interpreter."""
_HEAD_COLUMNS = 3 + len(texts.Head._fields)
_PUT_HEAD = f"INSERT OR REPLACE INTO s.heads VALUES ({', '.join('?' * _HEAD_COLUMNS)})"
_PUT_HEADER = "INSERT OR REPLACE INTO s.headers VALUES (?, ?, ?)"
_PUT_BODY = "INSERT OR REPLACE INTO s.bodies VALUES (?, ?, ?, ?)"

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


class Table(NamedTuple):
    """A table that is filled from headers."""

    missing: str
    put: str
    row: Callable[[Missing, bytes], tuple[object, ...]]
    """Of a content and its header block, its own lines included."""


HEADS = Table(_NO_HEAD, _PUT_HEAD, lambda one, block: (one.content, one.stamp, 0, *texts.head(block)))
HEADERS = Table(_NO_HEADER, _PUT_HEADER, lambda one, block: (one.content, one.stamp, texts.header_lines(block)))


def fill_from_rows(db: apsw.Connection, table: Table, folder: int, uids: Sequence[int]) -> list[Missing]:
    """Fill a table for these items; those are left whose header is too long for the mailbox's row."""
    missing = [Missing._make(row) for row in rows(db, table.missing, (msgspec.json.encode(uids).decode(), folder))]
    put_headers(db, table, [(one, one.header) for one in missing if one.header is not None])
    return [one for one in missing if one.header is None]


def put_headers(db: apsw.Connection, table: Table, contents: Sequence[tuple[Missing, bytes]]) -> None:
    """Write rows of contents with their header blocks."""
    values: list[tuple[object, ...]] = []
    for number, (missing, header) in enumerate(contents):
        values.append(table.row(missing, missing.prefix + header))
        if number % _COMPUTED_AT_A_TIME == 0:
            yield_lock()
    write(db, ((table.put, values),))


def without_body(db: apsw.Connection, folder: int, uids: Sequence[int]) -> list[Missing]:
    """Of these items, the ones without a row in `bodies`."""
    return [Missing._make(row) for row in rows(db, _NO_BODY, (msgspec.json.encode(uids).decode(), folder))]


def put_bodies(db: apsw.Connection, contents: Sequence[tuple[Missing, bytes | memoryview]]) -> None:
    """Write the rows of contents with their bodies, and note whose attachments are to be read."""
    bodies: list[tuple[object, ...]] = []
    to_read: list[tuple[object, ...]] = []
    for missing, content in contents:
        yield_lock()
        bodies.append((missing.content, missing.stamp, *texts.body(missing.parts, content)))
        if missing.segment and texts.has_attachments(missing.parts):
            to_read.append((missing.content, missing.stamp))
    write(db, ((_PUT_BODY, bodies), (_PUT_TO_READ, to_read)))


def yield_lock() -> None:
    """Let the loop have the interpreter: a thread that computes keeps it for longer than a slice otherwise.

    2 us; `time.sleep(0)` sleeps for 60.
    """
    select.select((), (), (), 0)


def write(db: apsw.Connection, work: Sequence[tuple[str, list[tuple[object, ...]]]]) -> None:
    """Run each statement for its rows, in one transaction."""
    if not any(values for _, values in work):
        return
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


class Sized(Protocol):
    """Something that is read."""

    @property
    def size(self) -> int:
        """Octets."""
        ...


S = TypeVar("S", bound=Sized)


def batches(missing: Sequence[S], octets: int = BODY_BYTES_AT_A_TIME) -> list[list[S]]:
    """Bodies to be read at once, bounded in number and size."""
    found: list[list[S]] = []
    size = 0
    for one in missing:
        if not found or len(found[-1]) >= BODIES_AT_A_TIME or size + one.size > octets:
            found.append([])
            size = 0
        found[-1].append(one)
        size += one.size
    return found
