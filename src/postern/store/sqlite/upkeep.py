"""Work that blocks and runs in threads: checkpoints, syncs, new files, questions to every mailbox."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import apsw

from postern.model.ids import MailboxId
from postern.model.items import Quota
from postern.store.sqlite import folders, reading
from postern.store.sqlite.connection import connect, sync_directory, sync_wal, wal_path
from postern.store.sqlite.schema import BLOCK, LAYOUT_VERSION, UnknownLayout, migrate, version_of
from postern.store.sqlite.txn import Txn, transact

CHECKPOINT_PAGES = 1000
"""Pages in the log (4 KiB each) at which a checkpoint is due."""
RESTART_PAGES = 4 * CHECKPOINT_PAGES
"""Pages at which writers are made to wait, so that a busy mailbox's log does not grow for ever."""
BUSY_MS = 10_000
_TOUCH = "UPDATE state SET id = 1"


def checkpoint(path: Path, *, restart: bool = False) -> None:
    """Move the log into the file. Raises apsw.Error.

    The first part runs beside readers and writers. A log that writers never let run empty is finished under the write
    lock, then started anew here: the first frame of a restarted log costs a sync, and this thread can wait for it.
    """
    db = connect(path, busy_ms=BUSY_MS)
    try:
        pages, moved = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        if restart or moved == pages or pages >= RESTART_PAGES:
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
            db.execute(_TOUCH)
    except (apsw.BusyError, apsw.LockedError):
        pass  # the next commit over the limit asks again
    finally:
        db.close()


def create(path: Path, mailbox: MailboxId, slot: int, quota: Quota, epoch: int, now: int) -> None:
    """Make a mailbox file with its folders; it is there whole or not at all, durably. Raises apsw.Error, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_name(f".{path.name}.{os.getpid()}")
    for leftover in (making, wal_path(making), making.with_name(making.name + "-shm")):
        leftover.unlink(missing_ok=True)
    db = connect(making, create=True)
    try:
        migrate(db, now)
        db.execute("INSERT INTO counters VALUES (0, 0, 1, 0, 0, 0, 0, ?)", (now & 0x7FFFFFFF,))
        db.execute(
            "INSERT INTO state VALUES (1, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?)",
            (
                epoch,
                BLOCK,
                BLOCK,
                BLOCK,
                BLOCK,
                quota.no_receive_bytes,
                quota.warn_bytes,
                quota.no_send_bytes,
                slot,
                mailbox,
            ),
        )

        def make(txn: Txn) -> None:
            for name, class_, use, subscribed in folders.DISTINGUISHED:
                folders.create(txn, None, name, class_, use, subscribed=subscribed)

        transact(db, epoch, now, make)
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    finally:
        db.close()
    wal_path(making).unlink(missing_ok=True)
    making.with_name(making.name + "-shm").unlink(missing_ok=True)
    making.rename(path)
    db = connect(path)
    try:
        db.execute(_TOUCH)  # makes the log and syncs its header here, not at the first delivery
    finally:
        db.close()
    sync_wal(path)
    sync_directory(path.parent)
    sync_directory(path.parent.parent)


def remove(path: Path) -> None:
    """Mark a mailbox as removed for whoever has it open, then unlink it. Raises apsw.Error, OSError."""
    db = connect(path, busy_ms=BUSY_MS)
    try:
        db.execute("UPDATE state SET deleted = 1")
    finally:
        db.close()
    for victim in (path, wal_path(path), path.with_name(path.name + "-shm")):
        victim.unlink(missing_ok=True)
    sync_directory(path.parent)


def live_records(paths: Iterable[Path], segments: frozenset[int]) -> dict[int, set[int]]:
    """Which records of the segments any mailbox refers to. Raises apsw.Error, UnknownLayout.

    What cannot be asked may be live.
    """
    found: dict[int, set[int]] = {}
    for path in paths:
        db = connect(path, busy_ms=BUSY_MS)
        try:
            if version_of(db) != LAYOUT_VERSION:
                raise UnknownLayout(path.name)
            for segment, records in reading.live_records(db, segments).items():
                found.setdefault(segment, set()).update(records)
        finally:
            db.close()
    return found
