"""Running a search: SQL over slices of a folder; what a slice cannot tell yet is filled in and asked again.

A few conditions on rows alone run on the loop's connection, slice by slice. Everything else runs in a thread on a
connection of its own with the search file attached, so that neither the loop nor a writer waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import apsw
import msgspec

from postern.model.ids import FolderId, Uid
from postern.model.query import And, Query, UidIn
from postern.model.ranges import merged
from postern.model.refusal import Reason, Refusal
from postern.store.interface import Blobs, Ranges
from postern.store.sqlite import reading
from postern.store.sqlite.connection import refusal, rows
from postern.store.sqlite.host import Host
from postern.store.sqlite.search import filling, header_fields, reading_texts
from postern.store.sqlite.search.columns import Columns
from postern.store.sqlite.search.expression import BATCH, Expression
from postern.store.sqlite.search.file import DAMAGED, UNUSABLE, is_private, open_beside, path_beside, throw_away
from postern.store.sqlite.selection import ALL_UIDS

_log = logging.getLogger(__name__)
T = TypeVar("T")

ROWS_AT_A_TIME = 3000
"""On the loop: a millisecond."""
LONG_EXPRESSION = 4096
"""Characters of SQL and of what is bound to it: more of them go to a thread, also where no text is looked for."""
TEXTS_AT_A_TIME = 2000
"""In a thread: how long a read transaction may hold up a checkpoint, and one search the others."""
FEW_TEXTS = 40
MAX_COMPARED = 5_000_000
"""Items times the texts that are looked for in each, where these are more than a few: a minute of work."""
_END = "SELECT uid FROM items WHERE folder = ? AND uid >= ? ORDER BY uid LIMIT 1 OFFSET ?"
_MESSAGES = "SELECT messages FROM counters WHERE id = ?"
_decode = msgspec.json.Decoder(list[int]).decode
Consult = Callable[[Callable[[apsw.Connection], Any]], Awaitable[Any]]


class Session:
    """A connection for one search or sort, used by one thread at a time. Close it."""

    def __init__(self, host: Host, path: Path) -> None:
        self._host = host
        self._path = path
        self.blobs: Blobs = host.blobs
        self._db: apsw.Connection | None = None

    async def open(self, *, private: bool = False) -> None:
        """Open or reopen. Raises apsw.Error."""
        self.close(good=False)
        if private:
            self._db = await self._host.in_search_thread(partial(open_beside, self._path, private=True))
        else:
            self._db = await self._host.searched.take(self._path)

    def close(self, *, good: bool) -> None:
        """Give the connection back, with `good` for others to use; may be called again."""
        db, self._db = self._db, None
        if db is not None:
            self._host.searched.give(self._path, db, good=good)

    async def run(self, work: Callable[[apsw.Connection], T]) -> T:
        """Do something with the connection in a thread."""
        db = self._db
        assert db is not None
        # a search that is given up leaves the connection only when its thread has
        return await finished(self._host.in_search_thread(partial(work, db)))

    @property
    def columns(self) -> Columns:
        """Header fields that were searched for lately."""
        found: Columns = self._host.searched.columns
        return found

    @property
    def private(self) -> bool:
        """Whether the search file is in memory."""
        return self._db is not None and is_private(self._db)

    async def fill_heads(self, folder: FolderId, uids: Sequence[int]) -> None:
        """Make rows of `heads` where they are missing."""
        await self._fill_from_headers(filling.HEADS, folder, uids)

    async def fill_headers(self, folder: FolderId, uids: Sequence[int]) -> None:
        """Make rows of `headers` where they are missing."""
        await self._fill_from_headers(filling.HEADERS, folder, uids)

    async def _fill_from_headers(self, table: filling.Table, folder: FolderId, uids: Sequence[int]) -> None:
        for start in range(0, len(uids), filling.HEADS_AT_A_TIME):
            part = uids[start : start + filling.HEADS_AT_A_TIME]
            long = await self.run(partial(filling.fill_from_rows, table=table, folder=folder, uids=part))
            if long:
                headers = [(one, await self.blobs.read(one.blob, 0, one.header_end())) for one in long]
                await self.run(partial(filling.put_headers, table=table, contents=headers))

    async def fill_bodies(self, folder: FolderId, uids: Sequence[int]) -> None:
        """Make rows of `bodies` where they are missing."""
        for start in range(0, len(uids), TEXTS_AT_A_TIME):
            part = uids[start : start + TEXTS_AT_A_TIME]
            missing = await self.run(partial(filling.without_body, folder=folder, uids=part))
            for batch in filling.batches(missing):
                contents = await self.blobs.read_views([one.blob for one in batch])
                await self.run(partial(filling.put_bodies, contents=list(zip(batch, contents, strict=True))))

    async def forget_texts(self) -> None:
        """Of a file in memory."""
        if self.private:
            await self.run(lambda db: db.execute("DELETE FROM s.bodies; DELETE FROM s.headers"))


async def finished(work: Awaitable[T]) -> T:
    """Wait for something that runs in a thread, even when cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            await asyncio.wait((task,))
        if not task.cancelled():
            task.exception()  # nobody wants to know any more
        raise


async def with_session(host: Host, path: Path, work: Callable[[Session], Awaitable[T]]) -> T:
    """Run work with the search file; a bad one is replaced by one in memory. Raises Refusal."""
    session = Session(host, path)
    good = False
    try:
        await session.open()
        try:
            result = await work(session)
            good = True
            return result
        except (*DAMAGED, *UNUSABLE) as error:
            if session.private:
                raise
            _log.warning("the search file of %s is not used: %s: %s", path.name, type(error).__name__, error)
            if isinstance(error, DAMAGED):
                session.close(good=False)
                await host.in_search_thread(partial(throw_away, path_beside(path)))  # the next search makes it anew
        await session.open(private=True)
        return await work(session)
    except apsw.Error as error:
        raise refusal(error, path) from error
    finally:
        session.close(good=good)


def bounds(query: Query, within: Ranges | None) -> Ranges | None:
    """UID ranges outside of which the query cannot match."""
    ranges: list[tuple[int, int]] | None = None if within is None else merged(within)
    for part in query.of if isinstance(query, And) else (query,):
        if isinstance(part, UidIn):
            own = merged(part.ranges)
            ranges = own if ranges is None else _meet(ranges, own)
    return ranges


def _beside_bounds(query: Query) -> Query:
    """What is left to be asked within the bounds."""
    parts = query.of if isinstance(query, And) else (query,)
    return And(tuple(part for part in parts if not isinstance(part, UidIn)))


def _meet(one: Ranges, other: Ranges) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(one) and j < len(other):
        low, high = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if low <= high:
            found.append((low, high))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found


class Scan:
    """A query over a folder, slice by slice."""

    def __init__(self, query: Query, folder: FolderId, within: Ranges | None, keywords: dict[int, str]) -> None:
        self.folder = folder
        self.expression = Expression(_beside_bounds(query), folder, keywords)
        self.by_rows = self.expression.needs <= {"c"} and self.expression.length <= LONG_EXPRESSION
        """It looks at rows alone, and at little of each: it runs on the loop."""
        found = bounds(query, within)
        self.ranges: Ranges = ALL_UIDS if found is None else found
        self.at_a_time = max(TEXTS_AT_A_TIME // max(1, self.expression.texts // 2), 20)
        self.columns: Columns | None = None
        """Of header fields that were searched for lately; set by who has them."""
        self._batch = 0

    def check_size(self, db: apsw.Connection) -> None:
        """Raises Refusal(TOO_MANY) for a question that would keep a processor busy for minutes."""
        most = MAX_COMPARED // self.expression.texts
        if reading.at_least(db, self.folder, self.ranges, most):
            raise Refusal(Reason.TOO_MANY, f"{self.expression.texts} texts may be looked for in {most} items at most")

    def prepare(self, db: apsw.Connection) -> None:
        """Ask the index for candidates, once for the whole folder and of one state of it; make columns."""
        if self.columns is not None:
            for name in {field.start[1:-1] for fields in self.expression.fields for field in fields}:
                self.columns.prepare(db, self.folder, name)
        if not self.expression.candidates:
            return
        db.execute("BEGIN")
        try:
            for number, wanted in enumerate(self.expression.candidates):
                table = f"temp.candidates_{number}"
                db.execute(f"DROP TABLE IF EXISTS {table}")
                db.execute(f"CREATE TABLE {table} (content INTEGER PRIMARY KEY)")
                db.execute(
                    f"INSERT INTO {table} SELECT rowid FROM s.trigrams WHERE trigrams MATCH ?", (wanted,)
                ).fetchall()
            ((self._batch,),) = rows(db, "SELECT batch FROM s.facts")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def first_step(self, db: apsw.Connection, ranges: Ranges, limit: int) -> tuple[list[int], list[int], Ranges]:
        """`prepare` and `step`: one way to the thread less."""
        self.prepare(db)
        if self.columns is not None and self.expression.fields:
            ranges = reading.snapshot(db, work=partial(self._narrowed, ranges=ranges))
        return self.step(db, ranges, limit)

    def _narrowed(self, db: apsw.Connection, ranges: Ranges) -> Ranges:
        """What of the ranges columns leave; inside a read transaction. What comes later need not be found."""
        assert self.columns is not None
        for fields in self.expression.fields:
            between = (ranges[0][0], ranges[-1][1]) if ranges else (1, 0)
            known = [self.columns.candidates(db, self.folder, between, field) for field in fields]
            some = [one for one in known if one is not None]
            if len(some) == len(known):
                left: set[int] = set().union(*some)
                if len(left) <= reading.MANY_RANGES:
                    ranges = _meet(ranges, merged((uid, uid) for uid in left))
        return ranges

    def step(self, db: apsw.Connection, ranges: Ranges, limit: int) -> tuple[list[int], list[int], Ranges]:
        """(matching UIDs, UIDs that cannot be told yet, what is left of the ranges) for up to `limit` items."""
        if not ranges:
            return [], [], ranges
        now, left = _slice(db, self.folder, ranges, limit)
        look = partial(self._look, ranges=now)
        found, unknown = reading.snapshot(db, work=look) if self.expression.fields else look(db)
        return found, unknown, left

    def _look(self, db: apsw.Connection, ranges: Ranges) -> tuple[list[int], list[int]]:
        """(Matching UIDs, UIDs that cannot be told yet); with header fields inside a read transaction."""
        answers, sizes = self._ask(db, ranges)
        found, unknown = answers, []
        if self.expression.needs - {"c"}:
            unknown = [-uid for uid in answers if uid < 0]
            if unknown:
                known = [(uid, size) for uid, size in zip(answers, sizes or answers, strict=True) if uid > 0]
                found, sizes = [uid for uid, _ in known], [size for _, size in known]
        octets = dict(zip(found, sizes, strict=True)) if sizes else {}
        gapless = self.expression.parts == ["1"] and len(ranges) == 1
        at_once = None if self.columns is None else self.columns.find
        for fields in self.expression.fields:
            found, missing = header_fields.containing_any(
                db, self.folder, found, fields, gapless=gapless, known=at_once
            )
            unknown += missing
            gapless = False
        read = self.expression.read
        if read is not None:
            found = reading_texts.containing(db, self.folder, found, [octets[uid] for uid in found], read)
        return found, unknown

    def _ask(self, db: apsw.Connection, ranges: Ranges) -> tuple[list[int], list[int]]:
        """UIDs that may match, with a minus if it cannot be told yet; their sizes if texts are to be read."""
        expression = self.expression
        parts = [part.replace(BATCH, str(self._batch)) for part in expression.parts]
        unknown = " OR ".join(f"({part}) IS NULL" for part in parts) if expression.needs - {"c"} else "0"
        # a part that is not known yet lets the row pass; one that is false stops it before the dearer ones are asked
        passes = " AND ".join(f"({part}) IS NOT FALSE" if expression.needs - {"c"} else part for part in parts)
        bindings = tuple(expression.bindings)
        # everything that differs from one search to the next is bound: the text is compiled once
        if len(ranges) == 1:
            bindings += (self.folder, *ranges[0])
            last = len(bindings)
            source = (
                f"items i{expression.joins()} WHERE i.folder = ?{last - 2} AND i.uid BETWEEN ?{last - 1} AND ?{last}"
            )
        else:
            bindings += (self.folder, msgspec.json.encode(ranges).decode())
            last = len(bindings)
            source = (
                f"json_each(?{last}) r CROSS JOIN items i{expression.joins()}"
                f" WHERE i.folder = ?{last - 1} AND i.uid BETWEEN r.value ->> 0 AND r.value ->> 1"
            )
        uid = "i.uid" if unknown == "0" else f"CASE WHEN {unknown} THEN -i.uid ELSE i.uid END"
        sizes = "json_group_array(i.size)" if expression.read is not None else "'[]'"
        ((text, also),) = rows(db, f"SELECT json_group_array({uid}), {sizes} FROM {source} AND {passes}", bindings)
        return _decode(text), _decode(also)


def _slice(db: apsw.Connection, folder: FolderId, ranges: Ranges, limit: int) -> tuple[Ranges, Ranges]:
    """The front of the ranges that holds about `limit` items, and the rest."""
    taken: list[tuple[int, int]] = []
    if len(ranges) == 1 and rows(db, _MESSAGES, (folder,)) <= [(limit,)]:
        return ranges, []  # the end is not looked for in a folder that is no longer than a slice
    for index, (low, high) in enumerate(ranges):
        if high - low < limit:
            limit -= high - low + 1
            taken.append((low, high))
        else:
            end = rows(db, _END, (folder, low, limit))
            if not end or end[0][0] > high:
                taken.append((low, high))
                limit -= limit // 2 + 1  # how many there were is not known, and need not be
            else:
                taken.append((low, end[0][0] - 1))
                return taken, [(end[0][0], high), *ranges[index + 1 :]]
        if limit <= 0 or len(taken) >= reading.MANY_RANGES:
            return taken, list(ranges[index + 1 :])
    return taken, []


async def search(
    host: Host, path: Path, consult: Consult, folder: FolderId, query: Query, within: Ranges | None
) -> list[Uid]:
    """UIDs of the folder that match, ascending."""
    begin = partial(_begun, query=query, folder=folder, within=within)
    scan, matched, left = await consult(partial(reading.snapshot, work=begin))
    if not scan.by_rows:
        return await with_session(host, path, partial(_by_text, scan))
    while left:
        await asyncio.sleep(0)
        found, _, left = await consult(partial(scan.step, ranges=left, limit=ROWS_AT_A_TIME))
        matched += found
    return cast("list[Uid]", matched)


def _begun(
    db: apsw.Connection, query: Query, folder: FolderId, within: Ranges | None
) -> tuple[Scan, list[int], Ranges]:
    """A scan, what its first slice on the loop has found, and what is left: in one read transaction, not one each."""
    scan = Scan(query, folder, within, reading.keywords(db))
    if not scan.by_rows:
        return scan, [], scan.ranges
    found, _, left = scan.step(db, scan.ranges, ROWS_AT_A_TIME)
    return scan, found, left


async def _by_text(scan: Scan, session: Session) -> list[Uid]:
    if scan.expression.texts > FEW_TEXTS:
        await session.run(scan.check_size)
    matched: list[int] = []
    scan.columns = session.columns
    needs = scan.expression.needs
    fills = [session.fill_heads] if "h" in needs else []
    fills += [session.fill_headers] if "t" in needs else []
    fills += [session.fill_bodies] if "b" in needs else []
    left = scan.ranges
    step = scan.first_step
    while left:
        found, unknown, left = await session.run(partial(step, ranges=left, limit=scan.at_a_time))
        step = scan.step
        for fill in fills:
            if not unknown:
                break
            await fill(scan.folder, unknown)
            again = merged([(uid, uid) for uid in unknown])
            more, unknown, rest = await session.run(partial(scan.step, ranges=again, limit=scan.at_a_time))
            assert not rest or len(again) > reading.MANY_RANGES
            while rest:
                some, open_, rest = await session.run(partial(scan.step, ranges=rest, limit=scan.at_a_time))
                more += some
                unknown += open_
            found += more
        matched += sorted(found)
        await session.forget_texts()
    return cast("list[Uid]", matched)
