"""One server for a data directory, and an epoch that changes unless the last stop was clean."""

from __future__ import annotations

import errno
import os

import pytest

from postern.roles import instance
from postern.roles.instance import DataDirectory, StartError, begin_epoch, end_epoch, make_room, unusable
from postern.store.sqlite.reserve import RESERVE_FILE, Reserve


def test_a_living_owner_is_named(tmp_path):
    first = DataDirectory(tmp_path / "data")
    (tmp_path / "data" / "lock").write_text(f"{os.getppid()}\n")
    with pytest.raises(StartError, match=f"another Postern \\(process {os.getppid()}\\) already uses"):
        DataDirectory(tmp_path / "data")
    first.release()
    DataDirectory(tmp_path / "data").release()


def test_a_dead_owners_workers_get_time_to_go(tmp_path, monkeypatch):
    monkeypatch.setattr(instance, "LOCK_WAIT_S", 0.2)
    first = DataDirectory(tmp_path)
    (tmp_path / "lock").write_text("999999999\n")
    with pytest.raises(StartError, match="already uses"):
        DataDirectory(tmp_path)
    first.release()


def test_a_directory_that_cannot_be_written_is_explained(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(instance.os, "open", refuse)
    with pytest.raises(StartError, match="read-only file system: remount"):
        DataDirectory(tmp_path)


def test_the_epoch_stays_only_after_a_clean_stop(tmp_path):
    first = begin_epoch(tmp_path)
    assert begin_epoch(tmp_path) == first + 1
    end_epoch(tmp_path, first + 1)
    assert begin_epoch(tmp_path) == first + 1
    assert begin_epoch(tmp_path) == first + 2
    (tmp_path / "epoch").write_text("rubbish")
    with pytest.raises(StartError, match="restore it from a backup"):
        begin_epoch(tmp_path)


def test_a_start_on_a_full_disk_uses_what_is_kept_back_for_deletions(tmp_path, monkeypatch):
    """Not even epoch and lock could be written: nobody could read, and nobody delete."""
    reserve = Reserve(tmp_path / RESERVE_FILE, 1 << 20)
    assert reserve.ensure()
    full = os.statvfs_result((4096, 4096, 100, 0, 0, 9, 9, 9, 0, 255))
    monkeypatch.setattr(instance.os, "statvfs", lambda _: full)
    data = DataDirectory(tmp_path)
    assert (tmp_path / RESERVE_FILE).stat().st_blocks == 0
    assert not make_room(tmp_path), "there is none left"
    data.release()


def test_with_room_the_start_leaves_what_is_kept_back(tmp_path):
    assert Reserve(tmp_path / RESERVE_FILE, 1 << 20).ensure()
    DataDirectory(tmp_path).release()
    assert (tmp_path / RESERVE_FILE).stat().st_blocks


def test_what_to_do_about_a_disk_without_any_room_is_said(tmp_path):
    said = unusable(tmp_path, OSError(errno.ENOSPC, "No space left on device"))
    assert "make 4 MiB free" in said, said
