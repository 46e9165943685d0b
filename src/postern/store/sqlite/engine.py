"""All mailboxes of a data directory, one SQLite file each."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw

from postern.model.ids import MailboxId
from postern.model.items import Quota
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.model.sync import CalendarLook
from postern.store.interface import Blobs, Bus, Delivered, Delivery, ReadDocument
from postern.store.sqlite import care, upkeep, verifying
from postern.store.sqlite.alone import Alone
from postern.store.sqlite.care import Compacted, Repaired
from postern.store.sqlite.connection import refusal, sync_wal
from postern.store.sqlite.host import MAX_OPEN, Host
from postern.store.sqlite.mailbox import SqliteMailbox
from postern.store.sqlite.mailbox_items import FEW_SPANS
from postern.store.sqlite.repairing import Rerender
from postern.store.sqlite.reserve import RESERVE_BYTES, RESERVE_FILE, Reserve
from postern.store.sqlite.schema import UnknownLayout
from postern.store.sqlite.search import attachments, indexing
from postern.store.sqlite.search.connections import Connections
from postern.store.sqlite.search.file import path_beside, throw_away
from postern.store.sqlite.verifying import Resolves, Verified

T = TypeVar("T")

_REASONS = {
    errno.ENOSPC: Reason.DISK_FULL,
    errno.EDQUOT: Reason.DISK_FULL,
    errno.EROFS: Reason.READ_ONLY,
    errno.EACCES: Reason.READ_ONLY,
    errno.EPERM: Reason.READ_ONLY,
    errno.EEXIST: Reason.ALREADY_EXISTS,
}
DELIVERIES_PER_COMMIT = 200
"""More than this in one transaction would stall the loop; a mailbox that gets more at once takes several commits."""
COMMIT_COST = 3
"""What a commit costs beside its deliveries, in deliveries: many mailboxes must not stall the loop either."""
SYNCS_AT_ONCE = 4


class SqliteStore:
    """Implements store.interface.Store.

    `epoch` names one unbroken run of the machine: as long as it stays the same, everything that was ever committed is
    still there. It has to change after a power cut; changing it at every start is safe and costs a sync a mailbox.
    """

    def __init__(
        self,
        data_dir: Path,
        blobs: Blobs,
        bus: Bus,
        clock: Clock,
        epoch: int,
        *,
        max_open: int = MAX_OPEN,
        reserve_bytes: int = RESERVE_BYTES,
        max_items: int | None = None,
    ) -> None:
        self.blobs = blobs
        self.made_at_first_use: Callable[[MailboxId], Awaitable[tuple[int, Quota] | None]] | None = None
        """Bus slot and quota of a mailbox that has no file yet and should get one; None: it should not."""
        self._root = data_dir / "mailboxes"
        self._host = Host(blobs, bus, clock, epoch, Reserve(data_dir / RESERVE_FILE, reserve_bytes), max_open)
        self._host.max_items = max_items
        self._host.searched = Connections(self._host)
        self._mailboxes: dict[MailboxId, SqliteMailbox] = {}
        self._indexed: dict[MailboxId, indexing.Mark] = {}
        """In the process that indexes: how far each mailbox is."""
        self._alone = Alone()
        self._retired: list[int] = []

    async def start(self) -> None:
        """Set disk space aside for deletions on a full disk. Deliveries may come before."""
        await self.set_room_aside()

    async def set_room_aside(self) -> None:
        """The same again now and then: there may be more room than before. Raises DurabilityLost."""
        await self._host.keep_reserve()

    def tell_when_lost(self, lost: Callable[[Exception], None]) -> None:
        """Whom to tell that a sync has failed: the process must answer nothing more and end, never sync again."""
        self._host.on_lost = lost

    def path(self, mailbox: MailboxId) -> Path:
        """Where a mailbox's file is: 256 directories, by the first two digits of its GUID."""
        return self._root / mailbox[:2] / f"{mailbox}.db"

    async def create_mailbox(self, mailbox: MailboxId, slot: int, quota: Quota) -> None:
        """Make a mailbox; durable on return. Raises Refusal(ALREADY_EXISTS, DISK_FULL, READ_ONLY)."""
        if len(mailbox) != 32 or not mailbox.isalnum():
            raise Refusal(Reason.BAD_VALUE, "a mailbox GUID has 32 hexadecimal digits")
        path = self.path(mailbox)
        if path.exists():
            raise Refusal(Reason.ALREADY_EXISTS, mailbox)
        host = self._host
        work = partial(upkeep.create, path, mailbox, slot, quota, host.epoch, int(host.clock.timestamp()))
        await self._blocking(work, path)

    async def delete_mailbox(self, mailbox: MailboxId) -> None:
        """Remove a mailbox and its file. Raises Refusal(NO_SUCH_RECIPIENT)."""
        path = self.path(mailbox)
        if not path.exists():
            raise Refusal(Reason.NO_SUCH_RECIPIENT, mailbox)
        self._host.forget(path)
        self._host.searched.forget(path)
        self._mailboxes.pop(mailbox, None)
        self._indexed.pop(mailbox, None)
        await self._blocking(partial(upkeep.remove, path), path)
        throw_away(path_beside(path))
        self._host.dirty.discard(path)

    async def mailbox(self, mailbox: MailboxId) -> SqliteMailbox:
        """Raises Refusal(NO_SUCH_RECIPIENT, CORRUPT, TRY_LATER)."""
        found = self._mailboxes.get(mailbox)
        if found is None:
            found = SqliteMailbox(self._host, mailbox, self.path(mailbox))
            try:
                await found.begin_use()
            except Refusal as refused:
                if refused.reason is not Reason.NO_SUCH_RECIPIENT or not await self._made_now(mailbox):
                    raise
                await found.begin_use()
            found = self._mailboxes.setdefault(mailbox, found)
        return found

    async def calendar(self, mailbox: MailboxId, kind: str, starts_at: int, ends_at: int) -> CalendarLook:
        """`Mailbox.calendar`; a file that is closed stays closed. Raises Refusal as `mailbox`, NO_SUCH_FOLDER."""
        path, host = self.path(mailbox), self._host
        seen = None
        if host.broken is None and not host.is_open(path):
            seen = self._alone.calendar(path, kind, starts_at, ends_at, FEW_SPANS)
        if seen is None or seen.epoch != host.epoch:
            return await (await self.mailbox(mailbox)).calendar(kind, starts_at, ends_at)
        if mailbox not in self._mailboxes:
            self._mailboxes[mailbox] = SqliteMailbox(host, mailbox, path, seen.slot)
        self._mailboxes[mailbox].told(seen.look.seen)
        return seen.look

    async def _made_now(self, mailbox: MailboxId) -> bool:
        """Make a mailbox that is to be there from its first use on; whether to look for it again."""
        if self.made_at_first_use is None:
            return False
        if self.path(mailbox).exists():  # made since it was looked for; one that was removed says so the next time too
            return True
        facts = await self.made_at_first_use(mailbox)
        if facts is None:
            return False
        try:
            await self.create_mailbox(mailbox, *facts)
        except Refusal as refused:
            if refused.reason is not Reason.ALREADY_EXISTS:  # another process was faster
                raise
        return True

    def search_file_changed_at(self, mailbox: MailboxId) -> float | None:
        """When a mailbox's search file was last written, seconds since the epoch; None: nobody has searched it."""
        return indexing.changed_at(self.path(mailbox))

    async def index_mailbox(self, mailbox: MailboxId) -> int:
        """Bring the search file of a mailbox up to date; how many contents were indexed. Raises Refusal."""
        work = partial(indexing.index, mark=self._indexed.pop(mailbox, None))
        count, mark = await self._with_search_file(mailbox, work)
        if mark is not None:
            self._indexed[mailbox] = mark
        return count

    async def read_attachments(self, mailbox: MailboxId, read: ReadDocument, seconds: float) -> attachments.Progress:
        """Read attachments of what was indexed, for about so long. Raises Refusal."""
        return await self._with_search_file(mailbox, partial(attachments.read_some, read=read, seconds=seconds))

    async def clean_search_file(self, mailbox: MailboxId) -> int:
        """Remove from the search file what is gone from the mailbox; how much. Raises Refusal."""
        return await self._with_search_file(mailbox, indexing.clean)

    async def _with_search_file(self, mailbox: MailboxId, work: Callable[[Host, Path], Awaitable[T]]) -> T:
        await self.mailbox(mailbox)
        return await work(self._host, self.path(mailbox))

    async def deliver(self, batch: Sequence[Delivery]) -> list[Delivered]:
        """Idempotent by key; one commit a mailbox; a failing mailbox fails alone."""
        if len(batch) == 1:
            return await self._deliver(batch[0].mailbox, batch)
        by_mailbox: dict[MailboxId, list[int]] = {}
        for index, delivery in enumerate(batch):
            by_mailbox.setdefault(delivery.mailbox, []).append(index)
        results: list[Delivered] = [Delivered(None)] * len(batch)
        since_turn = 0
        for mailbox, indexes in by_mailbox.items():
            for start in range(0, len(indexes), DELIVERIES_PER_COMMIT):
                part = indexes[start : start + DELIVERIES_PER_COMMIT]
                for index, result in zip(part, await self._deliver(mailbox, [batch[i] for i in part]), strict=True):
                    results[index] = result
                since_turn += COMMIT_COST + len(part)
                if since_turn > DELIVERIES_PER_COMMIT // 4:
                    since_turn = 0
                    await asyncio.sleep(0)
        return results

    async def _deliver(self, mailbox: MailboxId, batch: Sequence[Delivery]) -> list[Delivered]:
        try:
            target = self._mailboxes.get(mailbox) or await self.mailbox(mailbox)
            forget: Collection[int] = ()
            if target.forgotten < len(self._retired):
                forget = self._retired[target.forgotten :]
            retired = len(self._retired)
            results = await target.deliver(batch, forget)
            target.forgotten = retired
            return results
        except Refusal as refused:
            if refused.reason is Reason.NO_SUCH_RECIPIENT:
                self._mailboxes.pop(mailbox, None)
            return [Delivered(None, refused)] * len(batch)

    async def forget_applied(self, segments: Iterable[int]) -> None:
        """Journal segments that will never be replayed: their delivery keys go with each mailbox's next delivery.

        Keys of messages that Postern wrote itself (`-segment`) go with the segment of what caused them.
        """
        for segment in segments:
            self._retired += [segment, -segment]

    async def sync_dirty(self) -> None:
        """Make every commit of this process survive a power cut. Raises DurabilityLost: the process must end."""
        dirty, self._host.dirty = self._host.dirty, set()
        waiting = list(dirty)
        try:
            while waiting:
                part = [waiting.pop() for _ in range(min(SYNCS_AT_ONCE, len(waiting)))]
                await asyncio.gather(*(self._host.in_thread(partial(sync_wal, path)) for path in part))
        except BaseException:
            self._host.dirty |= dirty
            raise

    # --- an administrator's care

    async def verify(self, mailbox: MailboxId, resolves: Resolves) -> Verified:
        """Whether a mailbox's file is whole and agrees with itself and with its bodies. Raises Refusal."""
        return await self._care(mailbox, partial(verifying.verify, resolves=resolves))

    async def repair(self, mailbox: MailboxId, rerender: Rerender, serving: Callable[[], bool]) -> Repaired:
        """Put a damaged file together anew (`sqlite.care`). Raises Refusal(CORRUPT, TRY_LATER, DISK_FULL)."""
        now = int(self._host.clock.timestamp())
        work = partial(care.repair, now=now, rerender=rerender, serving=serving)
        return await self._care(mailbox, work)

    async def recount(self, mailbox: MailboxId) -> None:
        """Make counters and shares of a file that is whole anew from its rows. Raises Refusal."""
        await self._care(mailbox, care.mend_counters)

    async def compact(self, mailbox: MailboxId) -> Compacted:
        """Give unused pages of a file back. Raises Refusal(TRY_LATER, DISK_FULL)."""
        return await self._care(mailbox, care.compact)

    async def _care(self, mailbox: MailboxId, work: Callable[[Path], T]) -> T:
        path = self.path(mailbox)
        if not path.exists():
            raise Refusal(Reason.NO_SUCH_RECIPIENT, mailbox)
        self._host.forget(path)
        self._host.searched.forget(path)
        self._mailboxes.pop(mailbox, None)
        return await self._blocking(partial(work, path), path)

    def mailbox_paths(self) -> list[Path]:
        """Every mailbox file of the data directory."""
        return sorted(self._root.glob("??/" + "[0-9a-f]" * 32 + ".db"))

    async def with_outbox(self) -> list[MailboxId]:
        """Mailboxes whose deliveries have set off something that is not settled; every file is asked, in a thread."""
        return await self._blocking(lambda: upkeep.with_outbox(self.mailbox_paths()), self._root)

    async def live(self, segments: Iterable[int]) -> dict[int, set[int]]:
        """Records of journal segments that any mailbox refers to, asked of every mailbox in a thread.

        Raises Refusal when a mailbox cannot be asked: then nothing may be collected.
        """
        wanted = frozenset(segments)

        def ask() -> dict[int, set[int]]:
            return upkeep.live_records(self.mailbox_paths(), wanted, int(self._host.clock.timestamp()))

        return await self._blocking(ask, self._root)

    async def close(self) -> None:
        """Release files and threads; nothing is lost without it."""
        self._alone.close()
        await self._host.close()
        self._mailboxes.clear()

    async def _blocking(self, work: Callable[[], T], path: Path) -> T:
        try:
            return await self._host.in_thread(work)
        except apsw.Error as error:
            raise refusal(error, path) from error
        except UnknownLayout as error:
            raise Refusal(Reason.CORRUPT, str(error)) from error
        except OSError as error:
            raise Refusal(_REASONS.get(error.errno or 0, Reason.TRY_LATER), str(error)) from error
