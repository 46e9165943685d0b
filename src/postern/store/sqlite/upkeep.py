"""Work that blocks and runs in threads: checkpoints, syncs, new files, questions to every mailbox."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from time import sleep

import apsw

from postern.model.ids import MailboxId
from postern.model.items import Quota
from postern.store.sqlite import folders, reading
from postern.store.sqlite.connection import connect, sync_directory, sync_wal, wal_path
from postern.store.sqlite.schema import BLOCK, OlderLayout, check, migrate
from postern.store.sqlite.txn import Txn, transact

CHECKPOINT_PAGES = 1000
"""Pages in the log (4 KiB each) at which a checkpoint is due."""
BUSY_MS = 10_000
_POLL_S = 0.0005
_making = Lock()
_TOUCH = "UPDATE state SET id = 1"


def backfill(path: Path) -> None:
    """Move the log into the file, beside readers and writers. Raises apsw.Error."""
    db = connect(path, busy_ms=BUSY_MS)
    try:
        for _ in range(2):  # the second time for what was written during the first
            pages, moved = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if pages - moved < CHECKPOINT_PAGES // 4:
                break
    finally:
        db.close()


def restart_log(path: Path) -> None:
    """Finish under the write lock and start the log anew, so that it does not grow for ever. Raises apsw.Error.

    The first frame of a restarted log costs a sync: it is written here, where that stalls nobody's loop.
    """
    db = connect(path, busy_ms=BUSY_MS)
    try:
        # SQLite's own handler sleeps for up to 100 ms, in which a busy mailbox's log grows by thousands of pages
        db.set_busy_handler(_poll)
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        db.execute(_TOUCH)
    finally:
        db.close()


def _poll(calls: int) -> bool:
    sleep(_POLL_S)
    return calls * _POLL_S * 1000 < BUSY_MS


def create(path: Path, mailbox: MailboxId, slot: int, quota: Quota, epoch: int, now: int) -> None:
    """Make a mailbox file with its folders; it is there whole or not at all, durably.

    Raises apsw.Error, OSError (FileExistsError if it is there already).
    """
    # two threads of a process would write the same unfinished file
    with _making:
        if path.exists():
            raise FileExistsError(errno.EEXIST, "there is a mailbox already", str(path))
        _create(path, mailbox, slot, quota, epoch, now)


def _create(path: Path, mailbox: MailboxId, slot: int, quota: Quota, epoch: int, now: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_name(f".{path.name}.{os.getpid()}")
    for leftover in (making, wal_path(making), making.with_name(making.name + "-shm")):
        leftover.unlink(missing_ok=True)
    db = connect(making, create=True)
    try:
        migrate(db, now)
        db.execute("INSERT INTO counters VALUES (0, 0, 1, 0, 0, 0, 0, ?)", (now & 0x7FFFFFFF,))
        db.execute(
            "INSERT INTO state (id, epoch, change_safe, change_pending, id_safe, id_pending, no_receive_bytes, deleted,"
            " horizon, warn_bytes, no_send_bytes, slot, mailbox) VALUES (1, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?)",
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
    try:
        os.link(making, path)  # unlike a rename it never replaces what another process has made meanwhile
    finally:
        making.unlink()
    db = connect(path, busy_ms=BUSY_MS)  # somebody may look at it already
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


def bring_up(path: Path, now: int) -> None:
    """Bring a file to the present layout, durably. `now`: seconds since the epoch. Raises apsw.Error, UnknownLayout.

    In one transaction that only adds: a power cut leaves the one layout or the other.
    """
    db = connect(path, busy_ms=BUSY_MS)
    try:
        migrate(db, now)
    finally:
        db.close()
    sync_wal(path)


def live_records(paths: Iterable[Path], segments: frozenset[int], now: int) -> dict[int, set[int]]:
    """Which records of the segments any mailbox refers to. Raises apsw.Error, UnknownLayout.

    What cannot be asked may be live.
    """
    found: dict[int, set[int]] = {}
    for path in paths:
        db = connect(path, busy_ms=BUSY_MS)
        try:
            try:
                check(db)
            except OlderLayout:
                migrate(db, now)
            for segment, records in reading.live_records(db, segments).items():
                found.setdefault(segment, set()).update(records)
        finally:
            db.close()
    return found


def with_outbox(paths: Iterable[Path]) -> list[MailboxId]:
    """Whose outboxes are not empty. A file that cannot be asked, or is of a layout without one, is left out."""
    found = []
    for path in paths:
        with contextlib.suppress(apsw.Error):
            db = connect(path, busy_ms=BUSY_MS)
            try:
                if db.execute("SELECT 1 FROM outbox LIMIT 1").fetchall():
                    found.append(MailboxId(path.stem))
            finally:
                db.close()
    return found
