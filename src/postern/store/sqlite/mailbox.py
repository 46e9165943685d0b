"""One mailbox: the interface's methods over short transactions on the mailbox's file."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apsw
import msgspec

from postern.model.ids import BlobRef, ChangeNumber, FolderId, MailboxId, Uid
from postern.model.items import (
    Changes,
    Columns,
    Folder,
    FolderClass,
    FolderView,
    NewItem,
    Placement,
    Quota,
    SpecialUse,
)
from postern.model.ordering import Linked, SortKey
from postern.model.query import Query
from postern.model.refusal import Reason, Refusal
from postern.model.sync import CalendarLook
from postern.store.interface import CopyResult, Delivered, Delivery, FlagChange, FlagResult, Ranges
from postern.store.sqlite import (
    beside,
    calendars,
    conversations,
    delivery,
    few_items,
    flags,
    folders,
    outbox,
    reading,
    transfer,
    txn,
    upkeep,
)
from postern.store.sqlite.chunks import Chunks
from postern.store.sqlite.connection import DurabilityLost, once, refusal, sync_wal
from postern.store.sqlite.host import Host
from postern.store.sqlite.mailbox_conversations import ConversationMethods, asks_for_conversation
from postern.store.sqlite.mailbox_items import FEW_SPANS, MAX_SPANS, ItemMethods
from postern.store.sqlite.schema import OlderLayout, UnknownLayout
from postern.store.sqlite.search import running, sorting
from postern.store.sqlite.selection import ALL_UIDS
from postern.store.sqlite.txn import NeedsReservation, Txn
from postern.store.sqlite.views import MIN_MESSAGES, SAVED_ON_LOOP, Row, save, saved

T = TypeVar("T")

BULK_ITEMS = 500
"""Operations on more items run in a thread on a connection of their own."""
LOOKED_THROUGH = 5000
"""Items whose flags are looked at in the loop, for the few that are \\Deleted."""
BIG_FOLDER = 20_000
PURGE_SLICE = 2000
FULL_DISK_SLICE = 1024
"""Items that are removed in a commit on a full disk: each may cost three pages of the log."""
FULL_DISK_SLICE_MIN = 4


class SqliteMailbox(ItemMethods, ConversationMethods):
    """Implements store.interface.Mailbox; one object a mailbox and process."""

    def __init__(self, host: Host, mailbox: MailboxId, path: Path, slot: int = 0) -> None:
        """`slot`: the bus slot, if the file has been looked at already; else `begin_use` comes first."""
        self.id = mailbox
        self.path = path
        self._host = host
        self._slot = slot
        self._written = 0
        self._synced = 0
        self._syncing: asyncio.Task[None] | None = None
        self.forgotten = 0
        """How much of the store's list of retired segments this mailbox has acted upon."""

    async def begin_use(self) -> None:
        """First use in this process: learn the bus slot; after an unclean start jump over lost numbers."""
        await self._bring_up()
        epoch, slot, deleted = await self.consult(_identity)
        if deleted:
            self._host.forget(self.path)
            raise Refusal(Reason.NO_SUCH_RECIPIENT, self.id)
        self._slot = slot
        if epoch != self._host.epoch:
            try:
                await self._reserve(0)
            except Refusal as refused:  # a full or read-only disk: reading goes on, writes will refuse
                if refused.reason not in {Reason.DISK_FULL, Reason.READ_ONLY}:
                    raise

    async def _bring_up(self) -> None:
        """A file that an older Postern wrote gets the present layout, in a thread."""
        attempt = 0
        while True:
            try:
                self._host.database(self.path)
            except OlderLayout:
                break
            except (apsw.BusyError, apsw.LockedError) as error:  # another process recovers its log, or brings it up
                await self._host.pause(attempt, refusal(error, self.path))
                attempt += 1
            except (apsw.Error, UnknownLayout):
                return  # whoever asks next is told
            else:
                return
        now = int(self._host.clock.timestamp())
        try:
            await self._host.in_thread(partial(upkeep.bring_up, self.path, now))
        except apsw.Error as error:
            raise refusal(error, self.path) from error

    # --- transactions

    async def consult(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run a short read on the loop's connection; a busy file is asked again."""
        attempt = 0
        while True:
            try:
                return work(self._host.database(self.path))
            except (apsw.BusyError, apsw.LockedError) as error:
                await self._host.pause(attempt, refusal(error, self.path))
                attempt += 1
            except apsw.Error as error:
                raise refusal(error, self.path) from error
            except UnknownLayout as error:
                raise Refusal(Reason.CORRUPT, f"{self.path.name}: {error}") from error

    async def read_in_thread(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run a long read on a connection of its own."""
        try:
            return await self._host.with_own_connection(self.path, work)
        except apsw.Error as error:
            raise refusal(error, self.path) from error

    async def write(self, work: Callable[[Txn], T], *, bulk: bool = False) -> T:
        """Run a write transaction, in a thread if it is long; a busy file is asked again. Publishes its change."""
        host = self._host
        now = int(host.clock.timestamp())
        attempt = 0
        while True:
            if self.path in host.barriers:
                await host.barriers[self.path].wait()
            if host.broken is not None:
                raise host.broken
            try:
                if bulk:
                    job = partial(_transact, epoch=host.epoch, now=now, work=work, max_items=host.max_items)
                    result, done = await host.with_own_connection(self.path, job)
                else:
                    db = host.database(self.path)
                    room = host.room_wanted(self.path)
                    result, done = txn.transact(db, host.epoch, now, work, host.max_items, room)
                break
            except (apsw.BusyError, apsw.LockedError) as error:
                await host.pause(attempt, refusal(error, self.path))
                attempt += 1
            except NeedsReservation as need:
                await self._reserve(need.count)
            except apsw.Error as error:
                raise refusal(error, self.path) from error
            except UnknownLayout as error:
                raise Refusal(Reason.CORRUPT, f"{self.path.name}: {error}") from error
            except Refusal as refused:
                if refused.reason is Reason.NO_SUCH_RECIPIENT:
                    host.forget(self.path)
                raise
        self._written += 1
        host.dirty.add(self.path)
        if done.changed:
            host.bus.publish(self._slot, done.changed)
        if done.reserved is not None:
            host.spawn(self._promote(done.reserved))
        return result

    async def _write_deleting(self, work: Callable[[Txn, bool], T], *, bulk: bool = False) -> T:
        """A write that makes room: on a full disk it is repeated with the reserve and without recoverable copies."""
        try:
            return await self.write(lambda t: work(t, False), bulk=bulk)
        except Refusal as refused:
            if refused.reason is not Reason.DISK_FULL:
                raise
        async with self._host.reserve_given_up(self.path):
            return await self.write(lambda t: work(t, True), bulk=bulk)

    async def _reserve(self, count: int) -> None:
        """Reserve numbers durably before any of them is given."""
        attempt = 0
        while True:
            try:
                ceilings = txn.reserve(self._host.database(self.path), self._host.epoch, count)
                break
            except (apsw.BusyError, apsw.LockedError) as error:
                await self._host.pause(attempt, refusal(error, self.path))
                attempt += 1
            except apsw.Error as error:
                raise refusal(error, self.path) from error
        self._written += 1
        await self._promote(ceilings)

    async def _promote(self, ceilings: tuple[int, int]) -> None:
        await self.durable()
        await self.consult(lambda db: txn.promote(db, ceilings))

    async def _is_bulk(self, folder: FolderId, ranges: Ranges | None, *, only_deleted: bool = False) -> bool:
        if ranges is not None and sum(high - low + 1 for low, high in ranges) <= BULK_ITEMS:
            return False
        if ranges is not None and len(ranges) > BULK_ITEMS:
            return True
        messages, deleted = await self.consult(lambda db: reading.messages_and_deleted(db, folder))
        if messages <= BULK_ITEMS or (only_deleted and deleted <= BULK_ITEMS and messages <= LOOKED_THROUGH):
            return False
        if only_deleted and await self.consult(lambda db: few_items.marked_lately(db, folder)) is not None:
            return False
        return await self.consult(lambda db: reading.at_least(db, folder, ranges or ALL_UIDS, BULK_ITEMS))

    # --- reading

    async def folders(self) -> Sequence[Folder]:
        """All folders, parents before children."""
        return await self.consult(folders.tree)

    async def folder(self, folder: FolderId) -> Folder:
        """One folder's counters."""
        return await self.consult(lambda db: folders.one(db, folder))

    async def special(self, use: SpecialUse) -> Folder:
        """The folder with a distinguished use."""
        return await self.consult(lambda db: folders.by_use(db, use))

    async def view(self, folder: FolderId, *, claim_recent: bool = False) -> FolderView:
        """What SELECT needs, from one transaction."""
        known = await self.folder(folder)
        big = known.messages > BIG_FOLDER
        claim = claim_recent and known.recent_from < known.uid_next
        views = self._host.views
        if views.wants(self.id, folder, known.messages):
            look_up = self.consult if known.messages <= SAVED_ON_LOOP else self.read_in_thread
            row = await look_up(partial(saved, folder=folder))
            if row is not None:
                views.adopt(self.id, row)
        if known.messages >= MIN_MESSAGES:
            present = partial(views.present, self.id, folder=folder)
            found = await self.consult(partial(reading.snapshot, work=present))
            if found is not None:
                self._save_view(folder)
                if claim:
                    recent_from = await self.write(partial(_claim, folder=folder))
                    found = found._replace(folder=msgspec.structs.replace(found.folder, recent_from=recent_from))
                return found
        before = await self.consult(reading.change_number)
        if claim:
            view = await self.write(partial(_claiming_view, folder=folder), bulk=big)
        else:
            look = partial(reading.snapshot, work=partial(reading.view, folder=folder))
            view = await (self.read_in_thread(look) if big else self.consult(look))
        views.keep(self.id, view, before)
        self._save_view(folder)
        return view

    def _save_view(self, folder: FolderId) -> None:
        """Write a large folder's view into the file, in the background, if it is time to."""
        row = self._host.views.to_save(self.id, folder)
        if row is not None:
            self._host.spawn(self._write_view(row))

    async def _write_view(self, row: Row) -> None:
        with contextlib.suppress(Refusal, DurabilityLost):  # it can be read anew, and whoever writes next is told
            await self.write(lambda t: save(t.db, row), bulk=True)

    def items(
        self,
        folder: FolderId,
        columns: Columns,
        ranges: Ranges | None = None,
        changed_since: ChangeNumber | None = None,
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Rows in UID order, in chunks; each chunk is its own read transaction."""
        chunks = Chunks(self.consult, folder, int(columns), ALL_UIDS if ranges is None else ranges, changed_since)
        return self._numbered_first(chunks) if not self._numbered and columns & Columns.CONVERSATION else chunks

    async def changes(self, folder: FolderId, since: ChangeNumber) -> Changes:
        """What an open session has to be told."""
        return await self.consult(partial(reading.latest, folder=folder, since=since))

    async def change_number(self) -> ChangeNumber:
        """The last change number, from shared memory when it is known there."""
        current = self._host.bus.current(self._slot)
        return ChangeNumber(current) if current else self.told(await self.consult(reading.change_number))

    def told(self, number: ChangeNumber) -> ChangeNumber:
        """Others need not open the file to learn that nothing has changed since; a lower number changes nothing."""
        if number > self._host.bus.current(self._slot):
            self._host.bus.publish(self._slot, number)
        return number

    async def calendar(self, kind: str, starts_at: int, ends_at: int) -> CalendarLook:
        """The calendar folder's spans and the settings of a kind, as of one change number."""
        look = partial(calendars.look, kind=kind, starts_at=starts_at, ends_at=ends_at)
        found = await self.consult(partial(reading.snapshot, work=partial(look, limit=FEW_SPANS)))
        if len(found.spans) >= FEW_SPANS:
            found = await self.read_in_thread(partial(reading.snapshot, work=partial(look, limit=MAX_SPANS)))
        self.told(found.seen)
        return found

    async def keywords(self) -> dict[int, str]:
        """Bit -> keyword."""
        return await self.consult(reading.keywords)

    async def search(self, folder: FolderId, query: Query, within: Ranges | None = None) -> Sequence[Uid]:
        """UIDs that match, ascending."""
        if asks_for_conversation(query):
            await self.number_conversations()
        return await running.search(self._host, self.path, self.consult, folder, query, within)

    async def sort(self, folder: FolderId, uids: Sequence[Uid], keys: Sequence[SortKey]) -> Sequence[Uid]:
        """Items in order."""
        return await sorting.order(self._host, self.path, self.consult, self.read_in_thread, folder, uids, keys)

    async def links(self, folder: FolderId, uids: Sequence[Uid]) -> Sequence[Linked]:
        """What threads are made of."""
        return await sorting.links(self._host, self.path, folder, uids)

    async def read(self, folder: FolderId, uid: Uid) -> bytes:
        """A whole message: prefix and body."""
        async for found in self.items(folder, Columns.PREFIX | Columns.BLOB, ((uid, uid),)):
            for prefix, segment, record in found:
                body = await self._host.blobs.read(BlobRef(segment, record))
                return bytes(prefix + body) if prefix else body
        raise Refusal(Reason.NO_SUCH_ITEM, f"{folder}/{uid}")

    async def used_bytes(self) -> int:
        """Octets that count against the quota: all folders but Recoverable Items."""
        return await self.consult(reading.used_bytes)

    async def quota(self) -> Quota:
        """The limits in force."""
        return (await self.consult(reading.quota))._replace(max_items=self._host.max_items)

    async def used_items(self) -> int:
        """Items that count against the quota."""
        return await self.consult(txn.items_held)

    # --- writing

    async def deliver(self, batch: Sequence[Delivery], forget: Collection[int]) -> list[Delivered]:
        """Apply deliveries for this mailbox in one commit."""
        return await self.write(lambda t: delivery.deliver(t, batch, forget))

    async def add(self, folder: FolderId, items: Sequence[NewItem]) -> Sequence[Placement]:
        """Put items into a folder, in one commit."""
        return await self.write(lambda t: delivery.add(t, folder, items), bulk=len(items) > BULK_ITEMS)

    async def set_flags(
        self, folder: FolderId, ranges: Ranges, change: FlagChange, unchanged_since: ChangeNumber | None = None
    ) -> FlagResult:
        """Change flags of a set of items in one commit."""
        return await self._write_deleting(
            lambda t, _: flags.set_flags(t, folder, ranges, change, unchanged_since),
            bulk=await self._is_bulk(folder, ranges),
        )

    async def copy(self, folder: FolderId, ranges: Ranges, target: FolderId) -> CopyResult:
        """Copy items; bodies are shared."""
        bulk = await self._is_bulk(folder, ranges)
        return await self.write(lambda t: transfer.copy(t, folder, ranges, target), bulk=bulk)

    async def move(self, folder: FolderId, ranges: Ranges, target: FolderId) -> CopyResult:
        """Move items in one commit; on a full disk in as many as it takes."""
        bulk = await self._is_bulk(folder, ranges)
        try:
            return await self.write(lambda t: transfer.move(t, folder, ranges, target), bulk=bulk)
        except Refusal as refused:
            if refused.reason is not Reason.DISK_FULL:
                raise
        async with self._host.reserve_given_up(self.path):
            # what is moved within its folder, and what comes meanwhile, is not meant again
            last = await self.consult(lambda db: reading.last_uid(db, folder))
            present = tuple((low, min(high, last)) for low, high in ranges if low <= last)
            part = partial(transfer.move, folder=folder, ranges=present, target=target)
            done = await self._in_slices(part, lambda result: len(result.sources))
        sources = [uid for part in done for uid in part.sources]
        placements = [uid for part in done for uid in part.placements]
        return CopyResult(sources, placements, done[-1].uid_validity, max(part.change_number for part in done))

    async def expunge(
        self, folder: FolderId, ranges: Ranges | None, *, only_deleted: bool = True, purge: bool = False
    ) -> Sequence[Uid]:
        """Remove items into Recoverable Items, or for good."""
        bulk = await self._is_bulk(folder, ranges, only_deleted=only_deleted)
        try:
            return await self.write(
                lambda t: transfer.expunge(t, folder, ranges, only_deleted=only_deleted, purge=purge), bulk=bulk
            )
        except Refusal as refused:
            if refused.reason is not Reason.DISK_FULL:
                raise
        async with self._host.reserve_given_up(self.path):
            return await self._expunge_in_slices(folder, ranges, only_deleted=only_deleted)

    async def _expunge_in_slices(self, folder: FolderId, ranges: Ranges | None, *, only_deleted: bool) -> Sequence[Uid]:
        """On a full disk, for good: the log of a large set may need more than is kept back, so it is emptied often.

        What was removed before nothing more went stays removed.
        """
        if ranges is None:  # what comes meanwhile was not meant
            ranges = ((1, await self.consult(lambda db: reading.last_uid(db, folder))),)
        part = partial(transfer.expunge, folder=folder, ranges=ranges, only_deleted=only_deleted, purge=True)
        return [uid for uids in await self._in_slices(part, len) for uid in uids]

    async def _in_slices(self, part: Callable[..., T], count: Callable[[T], int]) -> list[T]:
        """Work off a set by `part(txn, limit=...)` until one was not full; `count`: the items of a result."""
        done: list[T] = []
        step = FULL_DISK_SLICE
        while True:
            try:
                result = await self.write(partial(part, limit=step), bulk=step > BULK_ITEMS)
            except Refusal as refused:
                if refused.reason is not Reason.DISK_FULL or step <= FULL_DISK_SLICE_MIN:
                    raise
                step //= 4
            else:
                done.append(result)
                if count(result) < step:
                    return done
            await self._host.empty_log(self.path)

    async def create_folder(
        self,
        parent: FolderId | None,
        name: str,
        folder_class: FolderClass = FolderClass.MAIL,
        special: SpecialUse = SpecialUse.NONE,
    ) -> Folder:
        """Make a folder."""
        return await self.write(lambda t: folders.create(t, parent, name, folder_class, special))

    async def rename_folder(self, folder: FolderId, parent: FolderId | None, name: str) -> None:
        """Rename or move a folder."""
        await self.write(lambda t: folders.rename(t, folder, parent, name))

    async def delete_folder(self, folder: FolderId) -> None:
        """Remove a folder without children."""
        self._host.views.forget(self.id, folder)
        bulk = await self._is_bulk(folder, None)
        try:
            return await self.write(lambda t: folders.delete(t, folder, purge=False), bulk=bulk)
        except Refusal as refused:
            if refused.reason is not Reason.DISK_FULL:
                raise
        async with self._host.reserve_given_up(self.path):
            await self.consult(lambda db: folders.removable(db, folder))  # before anything goes for good
            await self._expunge_in_slices(folder, None, only_deleted=False)
            await self.write(lambda t: folders.delete(t, folder, purge=True))

    async def subscribe(self, folder: FolderId, subscribed: bool) -> None:
        """Set the subscription."""
        await self.write(lambda t: folders.subscribe(t, folder, subscribed))

    async def set_quota(self, quota: Quota) -> None:
        """Replace the limits."""
        await self.write(partial(_set_quota, quota=quota))

    async def purge_recoverable(self, older_than: float) -> int:
        """Remove old recoverable items, in commits of `PURGE_SLICE` items, and the oldest tombstones; how many."""
        total = 0
        while True:
            count = await self._write_deleting(
                lambda t, _: transfer.purge_recoverable(t, older_than, PURGE_SLICE), bulk=True
            )
            total += count
            if count < PURGE_SLICE:
                break
        for tidy in (transfer.prune_tombstones, beside.forget_reads, outbox.forget_keys, conversations.tidy):
            await self.write(tidy, bulk=True)
        return total

    # --- durability

    async def durable(self) -> None:
        """Return when all commits made here survive a power cut; one sync serves all who wait."""
        target = self._written
        while self._synced < target:
            if self._syncing is None:
                if self._host.may_sync_here(self.path):
                    written = self._written
                    self._host.sync_here(self.path, partial(sync_wal, self.path))
                    self._synced = written
                    return
                self._syncing = asyncio.get_running_loop().create_task(self._sync())
            await asyncio.shield(self._syncing)

    async def _sync(self) -> None:
        written = self._written
        try:
            await self._host.sync_in_thread(self.path, partial(sync_wal, self.path))
            self._synced = written
        finally:
            self._syncing = None


def _transact(
    db: apsw.Connection, *, epoch: int, now: int, work: Callable[[Txn], T], max_items: int | None
) -> tuple[T, Txn]:
    return txn.transact(db, epoch, now, work, max_items)


def _identity(db: apsw.Connection) -> tuple[int, int, int]:
    (row,) = once(db, "SELECT epoch, slot, deleted FROM state")
    return row  # type: ignore[no-any-return]


def _claiming_view(write: Txn, *, folder: FolderId) -> FolderView:
    view = reading.view(write.db, folder)
    folders.claim_recent(write, folder)
    return view


def _claim(write: Txn, *, folder: FolderId) -> Uid:
    """Claim what is \\Recent; from which UID on."""
    recent_from = folders.one(write.db, folder).recent_from
    folders.claim_recent(write, folder)
    return recent_from


def _set_quota(write: Txn, *, quota: Quota) -> None:
    write.execute(
        "UPDATE state SET warn_bytes = ?, no_send_bytes = ?, no_receive_bytes = ?",
        (quota.warn_bytes, quota.no_send_bytes, quota.no_receive_bytes),
    )
