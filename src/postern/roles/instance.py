"""One running Postern for a data directory: its lock, and the epoch of the store."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

import msgspec

from postern.backup.packs import write_durably
from postern.store.sqlite.reserve import RESERVE_FILE, Reserve
from postern.telemetry import log

LOCK_WAIT_S = 15.0
"""Workers whose supervisor was killed still finish their commands and hold the lock meanwhile."""

START_BYTES = 4 << 20
"""What a start writes with room to spare: epoch, journals, the bus, the indexes of write-ahead logs."""

RESTORING = "restoring"
"""There while a backup is being restored into the data directory."""


class StartError(Exception):
    """The server cannot start; the text says why and what to do, for the administrator."""


class DataDirectory:
    """The lock on a data directory. Forked processes share it: it is free when the last of them is gone."""

    def __init__(self, path: Path) -> None:
        """Make the directory if needed and take its lock. Raises StartError."""
        self.path = path
        lock = path / "lock"
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartError(unusable(path, error)) from error
        end = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                owner = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip()
                if _alive(owner) or time.monotonic() > end:
                    os.close(self._descriptor)
                    raise StartError(
                        f"another Postern (process {owner or 'unknown'}) already uses the data directory {path}: "
                        "stop it first, or give this one another directory (server.data, or --data)"
                    ) from None
                time.sleep(0.05)
        if (path / RESTORING).exists():
            os.close(self._descriptor)
            raise StartError(f"a restore into {path} did not come to its end: begin it again (`postern restore all`)")
        make_room(path)
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)
        except OSError as error:
            os.close(self._descriptor)
            raise StartError(unusable(path, error)) from error

    def release(self) -> None:
        """Give the lock up."""
        os.close(self._descriptor)


def make_room(data: Path) -> bool:
    """Where space is short for a start: give up what is kept back for deletions; whether there was any.

    So the server comes up on a full disk, and people can read their mail and delete. What a start leaves is taken back.
    """
    try:
        space = os.statvfs(data)
    except OSError:
        return False
    if space.f_bavail * space.f_frsize >= START_BYTES or not Reserve(data / RESERVE_FILE).release():
        return False
    log.logger().warning("start.reserve_given_up", data=str(data))
    return True


def _alive(pid: str) -> bool:
    if not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def unusable(path: Path, error: OSError) -> str:
    """What is to be done about a data directory that cannot be written."""
    if error.errno == errno.EROFS:
        return f"the data directory {path} is on a read-only file system: remount it writable"
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"not allowed to write to the data directory {path}: "
            f"give it to the user that Postern runs as (`chown -R {os.geteuid()} {path}`)"
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk of the data directory {path} is full, and nothing is left of what Postern keeps back: "
            f"make {START_BYTES >> 20} MiB free (old files in tracking and sign-ins may go), then start it again; "
            "once it runs, mail can be deleted"
        )
    return f"the data directory {path} cannot be used: {error.strerror}"


def is_served(data: Path) -> bool:
    """Whether a server runs in a data directory."""
    try:
        descriptor = os.open(data / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


class _Epoch(msgspec.Struct):
    number: int
    clean: bool
    """The last stop synced everything."""


def begin_epoch(data: Path) -> int:
    """The store's epoch for this start: another one unless the last stop was clean. Durable on return.

    Raises StartError.
    """
    path = data / "epoch"
    try:
        last = msgspec.json.decode(path.read_bytes(), type=_Epoch)
    except FileNotFoundError:
        last = _Epoch(0, False)
    except (OSError, msgspec.MsgspecError) as error:
        raise StartError(
            f"{path} cannot be read ({error}): restore it from a backup, or write "
            '{"number": N, "clean": false} with a number that was never used'
        ) from error
    number = last.number if last.clean else last.number + 1
    _write(path, _Epoch(number, False))
    return number


def end_epoch(data: Path, number: int) -> None:
    """After a clean stop: every process has synced what it wrote. Raises StartError."""
    _write(data / "epoch", _Epoch(number, True))


def _write(path: Path, epoch: _Epoch) -> None:
    try:
        write_durably(path, msgspec.json.encode(epoch) + b"\n")
    except OSError as error:
        raise StartError(unusable(path.parent, error)) from error
