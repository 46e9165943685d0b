"""A worker's journal: group commit.

The loop numbers the records and makes everything that waits one batch, which is synced once: in a thread while the next
one gathers, or in the loop itself where the disk has shown that it is faster than the way to a thread (`store.pace`).
So one connection waits for one sync, and a thousand too. Where the last syncs were shared, the next one waits a moment
(`GATHER_S`) for whoever had a record in them.
"""

from __future__ import annotations

import asyncio
import errno
import threading
from array import array
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue

from postern.model.ids import BlobRef
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.store import failpoints
from postern.store.journal.files import Files, JournalFailedError
from postern.store.journal.layout import SEGMENT_BYTES, SPOOL_ABOVE_BYTES, body_path
from postern.store.journal.marks import Mark, MarkState
from postern.store.journal.records import (
    RECORD_HEADER,
    SEGMENT_HEADER,
    SPOOLED_OFFSET,
    STAYS_OUTSTANDING,
    Kind,
    encode_record,
    segment_number,
)
from postern.store.journal.segment import SegmentWriter
from postern.store.journal.spool import Spool
from postern.store.pace import Pace

GATHER_S = 0.002
"""Under load a batch waits so long for those who had a record in the last ones; a disk's flush takes about as long."""
_GATHER_WITHIN_S = 0.05
"""A journal that was quiet for so long is not under load."""
GATHER_AT_MOST_S = 0.008
"""It waits on for so long in all while there came some in each GATHER_S."""
_WRITE_HERE_BYTES = 256 * 1024
"""Batches up to this size are copied to the page cache by the loop itself; the thread only syncs, or not even that on a
fast disk. Each system call in the thread would cost a fight for the interpreter's lock."""
_SYNCED_HERE = frozenset({Kind.APPEND, Kind.ASSIGNED, Kind.STREAM})
"""What the loop may sync itself. Mail goes by way of the thread: meanwhile more of it comes, and what comes together is
delivered together, which saves more than the way costs."""
_FULL = {errno.ENOSPC: Reason.DISK_FULL, errno.EDQUOT: Reason.DISK_FULL, errno.EROFS: Reason.READ_ONLY}


_Owner = asyncio.Task[object] | None


class _Entry:
    """A record on its way."""

    __slots__ = ("content", "future", "header", "kind", "offset", "owner", "record", "segment", "spool")

    def __init__(  # noqa: PLR0913, PLR0917 - all that is known of it
        self,
        segment: int,
        record: int,
        offset: int,
        kind: int,
        header: bytes,
        content: bytes,
        spool: Spool | None,
        future: asyncio.Future[BlobRef],
        owner: _Owner,
    ) -> None:
        self.segment = segment
        self.record = record
        self.offset = offset
        self.kind = kind
        self.header = header
        self.content = content
        self.spool = spool
        self.future = future
        self.owner = owner


class Journal:
    """Appends records durably. Belongs to one start of one worker and to one event loop."""

    def __init__(  # noqa: PLR0913 - what a journal is made of, mostly for replay and tests
        self,
        directory: Path,
        journal: int,
        clock: Clock,
        on_failure: Callable[[OSError], None],
        *,
        files: Files | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        spool_bytes: int = SPOOL_ABOVE_BYTES,
        mark: Mark | None = None,
        first_sequence: int = 0,
        pace: Pace | None = None,
    ) -> None:
        """`on_failure` is called in the loop when a sync fails: it has to end the process.

        Contents above `spool_bytes`, or a quarter of a segment, get a file of their own.

        `pace` says who syncs. `mark` and `first_sequence` are for replay, which goes on in a fresh segment of the
        journal that it replays.
        """
        self.directory = directory
        self.id = journal
        self.files = files or Files()
        directory.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._pace = pace or Pace()
        self._on_failure = on_failure
        self._segment_bytes = segment_bytes
        self._spool_above = min(spool_bytes, segment_bytes // 4)
        self.mark = mark or Mark.create(directory, journal, self.files)
        self._sequence = first_sequence
        self._segment = segment_number(journal, first_sequence)
        self._record = 0
        self._offset = SEGMENT_HEADER.size
        self._spools = 0
        self._waiting: list[_Entry] = []
        self._busy = False
        self._gathering: asyncio.TimerHandle | None = None
        self._expected = 1
        """So many records are likely to come for the next batch."""
        self._last: list[_Owner] = []
        """Whose the records of the last batch were."""
        self._seen = 0
        self._gathers_until = 0.0
        self._synced_at = 0.0
        self._failed: OSError | None = None
        self._outstanding: dict[BlobRef, None] = {}
        self._inbox: SimpleQueue[tuple[list[_Entry], bool] | None] = SimpleQueue()
        """Batches, and whether they are written and need only be synced."""
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()
        self._idle.set()
        self._settled = asyncio.Event()
        self._writer: SegmentWriter | None = None
        """The thread's while a batch is on its way, otherwise the loop's."""
        self.records_written = 0
        self.syncs = 0
        self._thread = threading.Thread(target=self._run, name=f"journal-{journal:x}", daemon=True)
        self._thread.start()

    # --- the loop's side
    def append(self, kind: int, header: bytes, content: bytes | Spool = b"") -> asyncio.Future[BlobRef]:
        """Write a record; the result comes when it is durable.

        A record that carries a message or a stream stays outstanding until `applied`.
        Raises Refusal(DISK_FULL, READ_ONLY), JournalFailedError.
        """
        if isinstance(content, Spool) or len(content) > self._spool_above:
            return self._loop.create_task(self._append_spooled(kind, header, content))
        return self._enqueue(kind, header, content, None)

    def new_spool(self) -> Spool:
        """A place for a content that is too large for memory. Raises Refusal(DISK_FULL, READ_ONLY)."""
        self._spools += 1
        path = self.directory / f"spool-{self.id:011x}-{self._sequence:x}-{self._spools:x}.tmp"
        try:
            return Spool(path, self.files)
        except OSError as error:
            raise _refusal(error) from error

    async def _append_spooled(self, kind: int, header: bytes, content: bytes | Spool) -> BlobRef:
        spool = content if isinstance(content, Spool) else self.new_spool()
        try:
            if isinstance(content, bytes):
                await self._loop.run_in_executor(None, spool.write, content)
            await self._loop.run_in_executor(None, spool.finish)
            return await self._enqueue(kind, header, b"", spool)
        except OSError as error:
            spool.discard()
            raise _refusal(error) from error
        except Refusal:
            spool.discard()
            raise

    def _enqueue(self, kind: int, header: bytes, content: bytes, spool: Spool | None) -> asyncio.Future[BlobRef]:
        future: asyncio.Future[BlobRef] = self._loop.create_future()
        if self._failed is not None:
            future.set_exception(JournalFailedError(str(self._failed)))
            return future
        size = RECORD_HEADER.size + len(header) + len(content)
        if self._offset + size > self._segment_bytes and self._record:
            self._rotate()
        owner = asyncio.current_task(self._loop)
        entry = _Entry(self._segment, self._record, self._offset, kind, header, content, spool, future, owner)
        if kind in STAYS_OUTSTANDING:
            self._outstanding[BlobRef(self._segment, self._record)] = None
        self._record += 1
        self._offset += size
        self._waiting.append(entry)
        if not self._busy:
            self._busy = True
            self._idle.clear()
            self._gather()
        elif self._gathering is not None and len(self._waiting) >= self._expected:
            self._gathering.cancel()
            self._gathering = None
            self._loop.call_soon(self._hand_over)
        return future

    def _rotate(self) -> None:
        self._sequence += 1
        self._segment = segment_number(self.id, self._sequence)
        self._record = 0
        self._offset = SEGMENT_HEADER.size

    def _gather(self) -> None:
        """Hand over at the end of this turn of the loop, so that what else arrives in it shares the sync, or later.

        Later only where the last syncs were shared and ended a moment ago: a single sender never waits.
        """
        now = self._loop.time()
        if len(self._waiting) < self._expected and now - self._synced_at < _GATHER_WITHIN_S:
            self._gathers_until = now + GATHER_AT_MOST_S
            self._wait_for_more()
        else:
            self._loop.call_soon(self._hand_over)

    def _wait_for_more(self) -> None:
        self._seen = len(self._waiting)
        self._gathering = self._loop.call_later(GATHER_S, self._gathered)

    def _gathered(self) -> None:
        """Wait on for as long as some have come, since the others' may be lying in their sockets."""
        if len(self._waiting) > self._seen and self._loop.time() < self._gathers_until:
            self._wait_for_more()
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        self._gathering = None
        batch, self._waiting = self._waiting, []
        self._expect([entry.owner for entry in batch])
        written = self._fits_here(batch)
        if written:
            try:
                self._write_segment(batch[0].segment, batch)
            except OSError as error:
                self._done(batch, 0, error, error.errno not in _FULL)
                return
            if self._pace.fast and all(entry.kind in _SYNCED_HERE for entry in batch):
                self._done(batch, *self._sync_batch(batch, here=True))
                return
        self._inbox.put((batch, written))

    def _expect(self, owners: list[_Owner]) -> None:
        """How many records the next batch may have: one of everybody who had one in the last two, if any was shared."""
        before, self._last = self._last, owners
        self._expected = shared = max(len(before), len(owners))
        if shared > 1:
            again = {owner for owner in (*before, *owners) if owner is not None and not owner.done()}
            self._expected = len(again) or shared  # who does not wait for answers has a task for each record

    def _fits_here(self, batch: list[_Entry]) -> bool:
        """Whether writing a batch is no more than copying a little memory."""
        first, last = batch[0], batch[-1]
        return (
            self._failed is None
            and self._writer is not None
            and self._writer.number == first.segment == last.segment
            and last.offset + len(last.content) - first.offset <= _WRITE_HERE_BYTES
            and not any(entry.spool for entry in batch)
        )

    def _done(self, batch: list[_Entry], written: int, error: OSError | None, fatal: bool) -> None:
        """In the loop: the first `written` entries are durable, the others met the error."""
        self.syncs += 1
        self.records_written += written
        self._synced_at = self._loop.time()
        for entry in batch[:written]:
            if not entry.future.done():
                entry.future.set_result(BlobRef(entry.segment, entry.record))
        if error is not None:
            self._refuse(batch[written:], error, fatal)
        if self._waiting:
            self._gather()
        else:
            self._busy = False
            self._idle.set()

    def _refuse(self, entries: list[_Entry], error: OSError, fatal: bool) -> None:
        entries += self._waiting  # numbered behind the failed ones
        self._waiting = []
        if fatal:
            self._failed = error
        else:
            self._rotate()
        for entry in entries:
            self._outstanding.pop(BlobRef(entry.segment, entry.record), None)
            if not entry.future.done():
                entry.future.set_exception(JournalFailedError(str(error)) if fatal else _refusal(error))
        if fatal:
            self._on_failure(error)

    def applied(self, ref: BlobRef) -> None:
        """What the record says is done."""
        self._outstanding.pop(ref, None)
        if not self._outstanding:
            self._settled.set()

    async def all_applied(self) -> None:
        """Return when nothing is outstanding."""
        while self._outstanding:
            self._settled.clear()
            await self._settled.wait()

    def expect(self, refs: Iterable[BlobRef]) -> None:
        """For replay: messages of earlier segments that are not applied yet, in their order."""
        self._outstanding.update(dict.fromkeys(refs))

    @property
    def outstanding(self) -> int:
        """Messages that are accepted and not applied."""
        return len(self._outstanding)

    def low_water(self) -> MarkState:
        """Everything below is applied, though not synced yet: take it before syncing, write it after."""
        segment, record = next(iter(self._outstanding), (self._segment, self._record))
        return MarkState(segment, record, closed=False)

    async def advance(self, state: MarkState) -> None:
        """Write the mark. The caller has synced whatever was applied below it."""
        if state != self.mark.state:
            await self._loop.run_in_executor(None, self.mark.write, state)

    async def drained(self) -> None:
        """Return when nothing waits for a sync."""
        await self._idle.wait()

    async def close(self, state: MarkState | None = None) -> None:
        """Finish what waits, seal the segment, end the thread, write a last mark if given, give the journal up."""
        await self.drained()
        self._inbox.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        if state is not None and self._failed is None:
            await self.advance(state)
        self.mark.release()

    async def abandon(self) -> None:
        """Give the journal up as a killed process does: nothing is sealed, the next start replays it."""
        self._failed = self._failed or OSError("abandoned")
        self._inbox.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        self.mark.release()

    # --- the thread's side
    def _run(self) -> None:
        while (job := self._inbox.get()) is not None:
            batch, written_before = job
            written, error, fatal = self._sync_batch(batch) if written_before else self._write_batch(batch)
            self._loop.call_soon_threadsafe(self._done, batch, written, error, fatal)
            del job, batch
        if self._writer is None:
            return
        if self._failed is not None:
            self._writer.abandon()
            return
        try:
            self._writer.seal()
        except OSError as error:
            self._failed = error  # nothing is lost; the next start replays and seals it

    def _write_batch(self, batch: list[_Entry]) -> tuple[int, OSError | None, bool]:
        written = 0
        for segment, group in groupby(batch, key=lambda entry: entry.segment):
            entries = list(group)
            try:
                self._write_segment(segment, entries)
            except OSError as error:
                return written, error, error.errno not in _FULL
            count, failed, fatal = self._sync_batch(entries)
            written += count
            if failed is not None:
                return written, failed, fatal
        return written, None, False

    def _sync_batch(self, entries: list[_Entry], *, here: bool = False) -> tuple[int, OSError | None, bool]:
        try:
            failpoints.hit("journal.written")
            assert self._writer is not None
            if here:
                self._pace.sync(self._writer.sync)
            else:
                self._writer.sync()
            failpoints.hit("journal.synced")
        except OSError as error:
            # The kernel may have thrown the pages away: syncing again could succeed without having written.
            return 0, error, True
        return len(entries), None, False

    # --- either side's
    def _write_segment(self, segment: int, entries: list[_Entry]) -> None:
        if self._writer is None or self._writer.number != segment:
            if self._writer is not None:
                writer, self._writer = self._writer, None
                writer.seal()
            created = int(self._clock.timestamp())
            self._writer = SegmentWriter(self.files, self.directory, segment, created, self._segment_bytes)
        failpoints.hit("journal.before-write")
        buffers: list[bytes | memoryview | bytearray] = []
        index = array("Q")
        renamed = False
        for entry in entries:
            if entry.spool is None:
                head = encode_record(segment, entry.record, entry.kind, entry.header, entry.content)
                buffers.append(head)
                if entry.content:
                    buffers.append(entry.content)
                index.extend((entry.offset + len(head), len(entry.content)))
            else:
                size = entry.spool.size_bytes
                buffers.append(encode_record(segment, entry.record, entry.kind, entry.header, b"", size))
                index.extend((SPOOLED_OFFSET, size))
                self.files.rename(entry.spool.path, body_path(self.directory, segment, entry.record))
                renamed = True
        if renamed:
            self.files.sync_directory(self.directory)
        self._writer.write(entries[0].record, buffers, index)


def _refusal(error: OSError) -> Refusal:
    return Refusal(_FULL.get(error.errno or 0, Reason.TRY_LATER), str(error))
