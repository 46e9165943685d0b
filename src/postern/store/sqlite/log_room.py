"""Room in a mailbox's log, filled with zeros ahead of the commits that will be synced.

A sync of a file that has grown makes the file system commit what it knows about the file, which takes longer than the
data and is waited for by every other sync on the disk. Where zeros lie already, a sync is of data alone. SQLite reads a
log up to the first frame whose salt and checksum are not those of the log, so zeros behind the last one are no frames.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from postern.store.sqlite.connection import wal_path

FRAME_BYTES = 4096 + 24
HEADER_BYTES = 32
LEFT_BYTES = 8 * FRAME_BYTES
"""What most commits need: zeros are written when less is left."""
LEAST_BYTES = 64 * 1024
MOST_BYTES = 256 * 1024
"""A log grows by half at a time between these, so that the many small ones stay small."""
_ZEROS = bytes(MOST_BYTES)


class LogRoom:
    """How far the logs of one process's mailboxes are filled, by the path of their mailbox."""

    __slots__ = ("_filled",)

    def __init__(self) -> None:
        self._filled: dict[Path, int] = {}
        """Octets; a log may be shorter when another process has started it anew, which costs a slower sync or two."""

    def wanted(self, path: Path, pages: int) -> Callable[[], None] | None:
        """What has to be done before the next commit of a log with so many pages, under its write lock; mostly nothing.

        Only then nobody else appends: zeros must not come to lie over frames.
        """
        end = HEADER_BYTES + pages * FRAME_BYTES
        return None if self._filled.get(path, 0) - end >= LEFT_BYTES else partial(self._fill, path, end)

    def forget(self, path: Path) -> None:
        """The log was started anew, and perhaps cut off; or its file is closed."""
        self._filled.pop(path, None)

    def _fill(self, path: Path, end: int) -> None:
        try:
            fd = os.open(wal_path(path), os.O_WRONLY)
        except OSError:
            return  # the commit will say what is wrong
        try:
            size = os.fstat(fd).st_size
            if size - end < LEFT_BYTES:
                size += os.pwrite(fd, _ZEROS[: min(max(end // 2, LEAST_BYTES), MOST_BYTES)], size)
            self._filled[path] = size
        except OSError:  # a full disk: asked again at the next commit
            return
        finally:
            os.close(fd)
