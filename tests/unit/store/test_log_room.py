"""Zeros ahead of a log's frames: there where commits are synced one by one, and never over anybody's frames."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import apsw
import pytest
from store_world import MAILBOX, World, all_rows, fill, item, message

from postern.model.ids import FolderId
from postern.model.items import Columns, Flag
from postern.store.interface import FlagChange, Mailbox
from postern.store.sqlite import upkeep
from postern.store.sqlite.connection import LOG_KEPT_BYTES, wal_path
from postern.store.sqlite.log_room import FRAME_BYTES, HEADER_BYTES, LEAST_BYTES, LEFT_BYTES, MOST_BYTES
from postern.store.sqlite.mailbox import SqliteMailbox

FLAGS = Columns.UID | Columns.FLAGS


def log_of(mailbox: Mailbox) -> Path:
    assert isinstance(mailbox, SqliteMailbox)
    return wal_path(mailbox.path)


def frames_end(mailbox: Mailbox) -> int:
    """Where the frames end that this process knows of."""
    assert isinstance(mailbox, SqliteMailbox)
    return HEADER_BYTES + mailbox._host._pages.get(mailbox.path, 0) * FRAME_BYTES


async def turn(mailbox: Mailbox, inbox: FolderId, uid: int, number: int, *, sync: bool = True) -> None:
    flag = Flag.FLAGGED.value
    change = FlagChange(add=flag) if number % 2 == 0 else FlagChange(remove=flag)
    await mailbox.set_flags(inbox, [(uid, uid)], change)
    if sync:
        await mailbox.durable()


async def test_what_is_synced_finds_room_and_files_stay_small(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    (uid,) = await fill(world, 1)
    before = log_of(mailbox).stat().st_size
    sizes = set()
    for number in range(100):
        await turn(mailbox, inbox, uid, number)
        sizes.add(log_of(mailbox).stat().st_size)
        assert number == 0 or log_of(mailbox).stat().st_size > frames_end(mailbox)
    assert len(sizes) <= 12  # it grows seldom: that is the point
    assert max(sizes) < before + frames_end(mailbox) * 2 + LEAST_BYTES + LEFT_BYTES
    end = log_of(mailbox).read_bytes()[frames_end(mailbox) :]
    assert len(end) == end.count(0) <= MOST_BYTES + LEFT_BYTES


async def test_deliveries_are_not_written_twice(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    (uid,) = await fill(world, 1)
    for number in range(3):
        await turn(mailbox, inbox, uid, number)
    for _ in range(4):
        await mailbox.add(inbox, [item(world.blobs, message(1))] * 100)
    assert log_of(mailbox).stat().st_size == frames_end(mailbox)


async def test_frames_of_two_processes_survive_each_other(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    uids = await fill(world, 40)
    other = await world.reopen(1).mailbox(MAILBOX)
    flagged = Flag.FLAGGED.value
    for number, uid in enumerate(uids):
        some = (mailbox, other)[number % 2]
        await some.set_flags(inbox, [(uid, uid)], FlagChange(add=flagged))
        await some.durable()
        if number % 7 == 0:
            await (mailbox, other)[number % 3 % 2].add(inbox, [item(world.blobs, message(number))] * 9)
    assert isinstance(mailbox, SqliteMailbox)
    copy = world.data / "copy.db"  # as after a crash: without the log's index
    shutil.copy(mailbox.path, copy)
    shutil.copy(wal_path(mailbox.path), wal_path(copy))
    with_flags = [(uid, flagged) for uid in uids]
    for path in (mailbox.path, copy):
        db = apsw.Connection(str(path))
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = db.execute("SELECT uid, flags & ? FROM items WHERE folder = ? ORDER BY uid", (flagged, inbox))
        rows = found.fetchall()
        assert [row for row in rows if row[0] in set(uids)] == with_flags
        assert len(rows) == 40 + 6 * 9
        db.close()


async def test_a_log_that_was_started_anew_gets_room_again(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    (uid,) = await fill(world, 1)
    for number in range(200):
        await turn(mailbox, inbox, uid, number)
    assert isinstance(mailbox, SqliteMailbox)
    upkeep.backfill(mailbox.path)
    upkeep.restart_log(mailbox.path)
    assert log_of(mailbox).stat().st_size <= LOG_KEPT_BYTES
    while frames_end(mailbox) < LOG_KEPT_BYTES + MOST_BYTES:
        for number in range(20):
            await turn(mailbox, inbox, uid, number)
            assert number < 2 or log_of(mailbox).stat().st_size > frames_end(mailbox)
    rows = await all_rows(mailbox, inbox, FLAGS)
    assert rows == [(uid, 0)]


async def test_a_full_disk_has_no_room_and_says_so_at_the_commit_alone(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    (uid,) = await fill(world, 1)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    for number in range(5):
        await turn(mailbox, inbox, uid, number)
    assert log_of(mailbox).stat().st_size == frames_end(mailbox)
    assert await all_rows(mailbox, inbox, FLAGS) == [(uid, Flag.FLAGGED.value)]
