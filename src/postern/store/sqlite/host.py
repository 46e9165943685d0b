"""What all mailboxes of a process share: open files, threads, the bus, and what is not yet on disk."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import apsw

from postern.model.ports import Clock
from postern.store.interface import Blobs, Bus
from postern.store.pace import Pace
from postern.store.sqlite import upkeep
from postern.store.sqlite.connection import DurabilityLost, connect, refusal
from postern.store.sqlite.log_room import LogRoom
from postern.store.sqlite.reserve import Reserve
from postern.store.sqlite.schema import check
from postern.store.sqlite.upkeep import CHECKPOINT_PAGES
from postern.store.sqlite.views import Views

T = TypeVar("T")

MAX_OPEN = 256
"""Mailbox files open at a time in a process; each takes three descriptors and up to about 1 MiB of cache."""
LOOK_S = 5.0
"""Between two looks at the open files."""
UNUSED_LOOKS = 3
"""A file that nobody has used between so many looks (to twice as many) is closed: an idle session needs none, and what
it takes is a good part of an idle server's memory. To open it again costs half a millisecond of CPU to one."""
MANY_OPEN = 64
"""With more open than this one look without a use is enough: after thousands have signed in, most wait for mail."""
CLOSED_TOGETHER = 16
"""In one go, which takes 2 ms; then the C library is asked to give back what they took, which keeps others from
allocating for 1 ms, but for 15 ms after 200 files. It is asked once more when there is little to do: after work
on a few large mailboxes nothing is closed in such numbers, and threads have freed what only they would use again."""
QUIET_USES = 33
"""Fewer uses of files and threads from one look to the next are little."""
EVICTED_LOG_PAGES = 256
"""A file that is closed with more than this in its log is checkpointed: opening reads the whole log."""
SYNC_HERE_PAGES = 64
"""A log with more pages than this since its last sync is synced in a thread, however fast the disk is."""
BUSY_LIMIT_S = 10.0
_trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""Of the GNU C library; others give memory back by themselves."""
SEARCH_THREADS = 2
"""In a process; they run in slices, so that many searches share them."""


class Kept(Protocol):
    """What search.connections.Connections does."""

    columns: Any
    """search.columns.Columns."""

    async def take(self, path: Path) -> apsw.Connection:
        """A connection to a mailbox with its search file."""
        ...

    def give(self, path: Path, db: apsw.Connection, *, good: bool) -> None:
        """Give it back."""
        ...

    def forget(self, path: Path) -> None:
        """Close what waits for a mailbox that is going away."""
        ...

    def close(self) -> None:
        """Close what waits."""
        ...


class Host:
    """One a process; used from its event loop only, except where said."""

    def __init__(
        self, blobs: Blobs, bus: Bus, clock: Clock, epoch: int, reserve: Reserve, max_open: int = MAX_OPEN
    ) -> None:
        self.blobs = blobs
        self.bus = bus
        self.clock = clock
        self.epoch = epoch
        self.max_items: int | None = None
        """How many items a mailbox may hold."""
        self.reserve = reserve
        self.views = Views()
        self.searched: Kept
        """Connections of searches; set by whoever makes the host, before it is used."""
        self.closing = False
        self.dirty: set[Path] = set()
        """Files written since the last `SqliteStore.sync_dirty`."""
        self.broken: DurabilityLost | None = None
        self.on_lost: Callable[[Exception], None] | None = None
        """Told once, when a sync has failed."""
        self.barriers: dict[Path, asyncio.Event] = {}
        """Files whose log is being restarted: writers wait for the event."""
        self._max_open = max_open
        self._open: OrderedDict[Path, apsw.Connection] = OrderedDict()
        """Those used last at the end."""
        self._unused: set[Path] = set()
        """Files open when it was last settled what is unused, which have not been used since."""
        self._looks = 0
        """Since then."""
        self._looking: asyncio.TimerHandle | None = None
        self._uses = 0
        """Since the last look."""
        self._kept_memory = False
        """Whether something was done since the C library was last asked for its memory."""
        self._looks_kept = 0
        """How long ago that was: each time takes as long as there are holes."""
        self._pages: dict[Path, int] = {}
        self._synced_pages: dict[Path, int] = {}
        """How many a log had when it was synced last."""
        self.pace = Pace()
        self._room = LogRoom()
        self._due_at: dict[Path, int] = {}
        self._running: set[Path] = set()
        self._deleting = 0
        """Deletions that use the reserve."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads: ThreadPoolExecutor | None = None
        self._searchers: ThreadPoolExecutor | None = None
        self._checkpointer: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- files

    def database(self, path: Path) -> apsw.Connection:
        """The open file, opened if need be. Raises apsw.Error, UnknownLayout, DurabilityLost."""
        self._uses += 1
        db = self._open.get(path)
        if db is not None:
            self._open.move_to_end(path)
            self._unused.discard(path)
            return db
        if self.broken is not None:
            raise self.broken
        db = self._connect(path)
        self._open[path] = db
        while len(self._open) > self._max_open:
            self.forget(next(iter(self._open)))
        self._look_later()
        return db

    def _look_later(self) -> None:
        if self._looking is None and not self.closing:
            with contextlib.suppress(RuntimeError):  # without a loop nobody is idle
                self._looking = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._looking = None
        self.spawn(self._close_unused())

    async def _close_unused(self) -> None:
        """Close what nobody has used for long enough, some at a time."""
        self._looks += 1
        if self._looks >= UNUSED_LOOKS or len(self._open) > MANY_OPEN:
            self._looks = 0
            while self._unused:
                closed = sum(self.forget(self._unused.pop()) for _ in range(min(CLOSED_TOGETHER, len(self._unused))))
                if closed == CLOSED_TOGETHER:
                    await self._give_back()
                else:
                    await asyncio.sleep(0)
            self._unused.update(self._open)
        self._kept_memory |= self._uses > 0
        quiet, self._uses = self._uses < QUIET_USES, 0
        self._looks_kept += 1
        if quiet and self._kept_memory and self._looks_kept >= UNUSED_LOOKS:
            self._kept_memory = False
            self._looks_kept = 0
            await self._give_back()
        if self._open or self._kept_memory:
            self._look_later()

    async def _give_back(self) -> None:
        """Ask the C library for the memory that it keeps for the next time."""
        if _trim is not None and self.broken is None:
            await asyncio.get_running_loop().run_in_executor(self._pool(), partial(_trim, 0))

    def _connect(self, path: Path, busy_ms: int = 0) -> apsw.Connection:
        db = connect(path, busy_ms=busy_ms)
        try:
            check(db)
            db.set_wal_hook(partial(self._log_grew, path))
        except BaseException:
            db.close()
            raise
        return db

    def forget(self, path: Path) -> bool:
        """Close a file, if it is open; what it holds stays. Its next use opens it again."""
        db = self._open.pop(path, None)
        if db is None:
            return False
        db.close()
        self._synced_pages.pop(path, None)
        self._room.forget(path)
        if self._pages.pop(path, 0) > EVICTED_LOG_PAGES and path.exists():
            self.checkpoint_soon(path)
        return True

    def is_open(self, path: Path) -> bool:
        """Whether the loop has the file open."""
        return path in self._open

    def open_files(self) -> int:
        """How many files are open."""
        return len(self._open)

    # --- threads

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run something that blocks. Raises what it raises; a lost sync also stops all further writes."""
        return await self._run_in(self._pool(), work)

    async def in_search_thread(self, work: Callable[[], T]) -> T:
        """The same in a thread of its own kind: syncs must not wait for searches, which may take seconds."""
        if self._searchers is None:
            self._searchers = ThreadPoolExecutor(SEARCH_THREADS, "search")
        return await self._run_in(self._searchers, work)

    async def _run_in(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self.broken is not None:
            raise self.broken
        self._uses += 1
        self._look_later()
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        except DurabilityLost as error:
            self._lose(error)
            raise

    def may_sync_here(self, path: Path) -> bool:
        """Whether syncing a log holds the loop up no longer than handing it to a thread would."""
        if not self.pace.fast:
            return False
        pages, synced = self._pages.get(path, 1 << 30), self._synced_pages.get(path, 0)
        return (pages - synced if pages >= synced else pages) <= SYNC_HERE_PAGES

    def room_wanted(self, path: Path) -> Callable[[], None] | None:
        """What is to be done before the next commit, under its write lock, so that its sync is fast; mostly nothing.

        Only where commits are synced one by one: what is delivered is not, and need not be written twice.
        """
        synced = self._synced_pages.get(path)
        if synced is None:
            return None
        pages = self._pages.get(path, 0)
        return self._room.wanted(path, pages) if pages - synced <= SYNC_HERE_PAGES else None

    def sync_here(self, path: Path, sync: Callable[[], None]) -> None:
        """Sync a log in the loop. Raises DurabilityLost, which also stops all further writes."""
        if self.broken is not None:
            raise self.broken
        self._uses += 1
        pages = self._pages.get(path, 0)
        try:
            self.pace.sync(sync)
        except DurabilityLost as error:
            self._lose(error)
            raise
        self._synced_pages[path] = pages

    async def sync_in_thread(self, path: Path, sync: Callable[[], None]) -> None:
        """The same where that would take too long."""
        pages = self._pages.get(path, 0)
        await self.in_thread(sync)
        self._synced_pages[path] = pages

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(4, "store")
        return self._threads

    def _lose(self, error: DurabilityLost) -> None:
        """Nothing is written from now on: pages whose sync failed may be gone, and a second sync would not say so."""
        if self.broken is None:
            self.broken = error
            if self.on_lost is not None:
                self.on_lost(error)

    async def with_own_connection(self, path: Path, work: Callable[[apsw.Connection], T]) -> T:
        """Run long work in a thread on a connection of its own, so that the loop's stays free."""
        self._loop = asyncio.get_running_loop()

        def run() -> T:
            db = self._connect(path, busy_ms=int(BUSY_LIMIT_S * 1000))
            try:
                return work(db)
            finally:
                db.close()

        return await self.in_thread(run)

    async def pause(self, attempt: int, error: Exception) -> None:
        """Wait for a busy file. Raises `error` when it was busy for too long."""
        if attempt >= 1000:
            raise error
        await asyncio.sleep(min(0.0005 * (1 + attempt), BUSY_LIMIT_S / 1000))

    # --- checkpoints and the reserve

    async def keep_reserve(self) -> None:
        """Set aside what there is room for now. Raises DurabilityLost."""
        if not self._deleting:
            await self.in_thread(self.reserve.ensure)

    def _log_grew(self, path: Path, _db: apsw.Connection, _name: str, pages: int) -> int:
        """SQLite's hook after each commit, in the committing thread."""
        if pages < self._pages.get(path, 0):
            self._room.forget(path)
        self._pages[path] = pages
        if pages >= CHECKPOINT_PAGES and pages >= self._due_at.get(path, 0):
            self._due_at[path] = pages + CHECKPOINT_PAGES
            loop = self._loop
            if loop is None:
                with contextlib.suppress(RuntimeError):
                    loop = self._loop = asyncio.get_running_loop()
            if loop is not None and not loop.is_closed():
                loop.call_soon_threadsafe(self.checkpoint_soon, path)
        return apsw.SQLITE_OK

    def checkpoint_soon(self, path: Path) -> None:
        """Move a log into its file, off the loop, and start it anew."""
        if path in self._running or self.broken is not None:
            return
        self._running.add(path)
        self.spawn(self._checkpoint(path))

    @contextlib.asynccontextmanager
    async def reserve_given_up(self, path: Path) -> AsyncIterator[None]:
        """The room that is kept back may be used to delete; it is taken back before anybody is told that it went well.

        The log is emptied first: what it needs in the file it finds now.
        """
        self.reserve.release()
        self._deleting += 1
        try:
            yield
        finally:
            self._deleting -= 1
            await self.empty_log(path)
            if not self._deleting and self.broken is None:
                await self.in_thread(self.reserve.take_back)

    async def empty_log(self, path: Path) -> None:
        """Move a log into its file and start it anew, so that what is written next takes its place."""
        if path not in self._running and self.broken is None:
            self._running.add(path)
            await self._checkpoint(path)

    async def _checkpoint(self, path: Path) -> None:
        if self._checkpointer is None:
            self._checkpointer = ThreadPoolExecutor(1, "checkpoint")
        run = partial(asyncio.get_running_loop().run_in_executor, self._checkpointer)
        barrier = asyncio.Event()
        try:
            await run(upkeep.backfill, path)
            # our own writers wait for a few milliseconds, instead of making the restart wait for them
            self.barriers[path] = barrier
            await run(upkeep.restart_log, path)
            self._due_at.pop(path, None)
        except apsw.Error as error:
            trouble = refusal(error, path)
            if isinstance(trouble, DurabilityLost):
                self._lose(trouble)
            # full, busy, corrupt or removed: whoever uses the mailbox next is told; the next commit asks again
        finally:
            self.barriers.pop(path, None)
            barrier.set()
            self._running.discard(path)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine in the background; `close` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for background work, close all files and threads."""
        self.closing = True
        if self._looking is not None:
            self._looking.cancel()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self.searched.close()
        while self._open:
            _, db = self._open.popitem()
            db.close()
        for pool in (self._threads, self._searchers, self._checkpointer):
            if pool is not None:
                pool.shutdown(wait=True)
        self._threads = self._searchers = self._checkpointer = None
