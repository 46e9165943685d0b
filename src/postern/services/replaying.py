"""Low-water marks and replay: what the journals are for when something ends without saying goodbye."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from postern.model.ids import BlobRef
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.services.accepted import (
    Accepted,
    AssignedHeader,
    decode_accept,
    decode_append,
    decode_assigned,
)
from postern.services.applying import Applier
from postern.store import failpoints
from postern.store.interface import Store
from postern.store.journal.collect import finished_segments, is_pinned
from postern.store.journal.marks import MarkState
from postern.store.journal.records import Kind
from postern.store.journal.replay import Orphan, Pending, continue_journal, take_orphan
from postern.store.journal.writer import Journal
from postern.transport.outcomes import decode
from postern.transport.queue import QueueStore

BACKLOG_BYTES = 32 << 20


class DurableStore(Store, Protocol):
    """A store that journals are replayed into."""

    async def sync_dirty(self) -> None:
        """Make every mailbox that this process wrote since the last call survive a power cut."""
        ...

    async def forget_applied(self, segments: Sequence[int]) -> None:
        """Keys of these segments will never come again."""
        ...

    async def live(self, segments: Sequence[int]) -> Mapping[int, set[int]]:
        """Records of the segments that any mailbox refers to. Raises if one mailbox cannot be asked."""
        ...


class MarkKeeper:
    """Moves low-water marks: first what is below is synced, then the mark is written, then the keys are forgotten."""

    def __init__(self, store: DurableStore, queue: QueueStore) -> None:
        self._store = store
        self._queue = queue
        self._forgotten: set[int] = set()
        self._waiting: dict[int, MarkState] = {}
        """Marks by journal of which keys are still to be forgotten: there was a pin."""
        # One at a time: whoever comes second finds nothing to be synced while the first still waits for it, and a mark
        # must not fall back.
        self._lock = asyncio.Lock()

    async def advance(self, journal: Journal) -> None:
        """Move a journal's mark up to its first message that is not applied."""
        async with self._lock:
            state = journal.low_water()
            if state == journal.mark.state:
                return
            await self._sync()
            await journal.advance(state)
            failpoints.hit("mark.written")
            await self._forget(journal)

    async def close(self, journal: Journal) -> None:
        """Seal a journal; it needs no replay if everything is applied. Nobody appends any more."""
        async with self._lock:
            await journal.drained()
            state = journal.low_water()
            await self._sync()
            await journal.close(state._replace(closed=not journal.outstanding))
            failpoints.hit("replay.closed")
            await self._forget(journal)

    async def _sync(self) -> None:
        await self._store.sync_dirty()
        await self._queue.durable()
        failpoints.hit("mark.synced")

    async def _forget(self, journal: Journal) -> None:
        """Let mailboxes and queue forget the keys of segments that no replay will look at again.

        Not while there is a pin: a backup has read older marks, and a replay over its copies needs the keys.
        """
        loop = asyncio.get_running_loop()
        directory = journal.directory
        self._waiting[journal.id] = journal.mark.state
        if await loop.run_in_executor(None, is_pinned, directory):
            return
        waiting, self._waiting = self._waiting, {}
        fresh = []
        for number, state in waiting.items():
            for segment in await loop.run_in_executor(None, finished_segments, directory, state, number):
                # a copy that waits in the queue is delivered under a key of its segment, and perhaps twice
                if segment not in self._forgotten and not await self._queue.live(segment):
                    fresh.append(segment)
        if fresh:
            await self._store.forget_applied(fresh)
            await self._queue.forget_applied(fresh)
            self._forgotten.update(fresh)
            failpoints.hit("mark.forgotten")


class Replayer:
    """Replays journals that were left behind."""

    def __init__(
        self,
        own: Journal,
        store: DurableStore,
        applier: Applier,
        marks: MarkKeeper,
        clock: Clock,
        on_failure: Callable[[OSError], None],
    ) -> None:
        """`own`: this worker's journal, for its directory and files."""
        self._own = own
        self._store = store
        self._applier = applier
        self._marks = marks
        self._clock = clock
        self._on_failure = on_failure

    async def replay(self, journal: int) -> int:
        """Apply what a journal still holds, then close it; how many messages were above its mark.

        Exactly once, also if this is interrupted and begun again. Raises JournalInUseError if somebody is at it.
        """
        loop = asyncio.get_running_loop()
        own = self._own
        orphan = await loop.run_in_executor(None, take_orphan, own.directory, journal, own.files)
        continued = continue_journal(orphan, own.directory, self._clock, self._on_failure, own.files)
        try:
            for pending in orphan.pending:
                await self._applier.room(BACKLOG_BYTES)
                await self._apply(continued, orphan, pending)
                failpoints.hit("replay.applied")
            await continued.all_applied()
        except BaseException:
            await continued.close()
            raise
        await self._marks.close(continued)
        return len(orphan.pending)

    async def _apply(self, continued: Journal, orphan: Orphan, pending: Pending) -> None:
        ref = pending.ref
        if pending.kind == Kind.APPEND:
            assigned = orphan.assigned.get(ref)
            await self._append(pending, None if assigned is None else decode_assigned(assigned))
            continued.applied(ref)
            return
        content = await self._store.blobs.read(ref)
        header = decode_accept(pending.header)
        outcomes = header.outcomes
        if outcomes is None and (decided := orphan.outcomes.get(ref)) is not None:
            outcomes = decode(decided)
        self._applier.apply(Accepted(continued, ref, header, content, outcomes))

    async def _append(self, pending: Pending, known: AssignedHeader | None) -> None:
        if known is not None and known.given is None:
            return  # its client was told that it was refused
        header = decode_append(pending.header)
        ref: BlobRef = pending.ref
        content = await self._store.blobs.read(ref)

        async def place() -> None:
            refusal = (await self._applier.place(ref, header, content, known)).refusal
            # nobody was promised anything, and there is nobody to tell
            if refusal is not None and not (isinstance(refusal, Refusal) and not refusal.reason.temporary):
                raise refusal if isinstance(refusal, Refusal) else Refusal(Reason.TRY_LATER, str(refusal))

        await self._applier.until_done(place)
