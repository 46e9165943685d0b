"""Connections to searched mailboxes that wait for the next search: opening one costs more than most searches.

A connection is somebody's or waits here, never both. One that waits is only good as long as both its files are the
same; that is looked at when it is taken.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import apsw

from postern.store.sqlite.search.columns import Columns
from postern.store.sqlite.search.file import (
    close,
    fits,
    has_long_log,
    is_private,
    open_beside,
    path_beside,
    shorten,
)

if TYPE_CHECKING:
    from postern.store.sqlite.host import Host

MAX_WAITING = 16
"""In a process; each takes up to six descriptors and 4 MiB of cache."""
KEPT_S = 15.0
"""To twice as long: what they have mapped of a large mailbox and its search file is tens of megabytes."""

_Files = tuple[int, ...]


class _Kept(NamedTuple):
    db: apsw.Connection
    files: _Files | None
    until: float


class Connections:
    """Of one process; used from its loop only."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._waiting: OrderedDict[Path, list[_Kept]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self.columns = Columns()
        """Header fields that were searched for lately."""

    async def take(self, path: Path) -> apsw.Connection:
        """A connection to a mailbox with its search file. Raises apsw.Error."""
        while True:
            kept = self._waiting.get(path)
            if not kept:
                return await self._host.in_search_thread(partial(open_beside, path))
            one = kept.pop()
            if not kept:
                del self._waiting[path]
            if one.files is not None and one.files == _files(path) and _usable(one.db):
                return one.db
            await self._host.in_search_thread(partial(close, one.db))

    def give(self, path: Path, db: apsw.Connection, *, good: bool) -> None:
        """Give it back; with `good` it may serve another search. Its log is seen to when nobody waits for it."""
        if not good or self._host.closing or is_private(db):
            self._host.spawn(self._host.in_search_thread(partial(close, db)))
        elif has_long_log(db):
            self._host.spawn(self._shorten(path, db))
        else:
            self._keep(path, db)

    async def _shorten(self, path: Path, db: apsw.Connection) -> None:
        try:
            await self._host.in_search_thread(partial(shorten, db))
        except BaseException:
            db.close()
            raise
        if self._host.closing:
            db.close()
        else:
            self._keep(path, db)

    def _keep(self, path: Path, db: apsw.Connection) -> None:
        loop = asyncio.get_running_loop()
        self._waiting.setdefault(path, []).append(_Kept(db, _files(path), loop.time() + KEPT_S))
        self._waiting.move_to_end(path)
        if sum(map(len, self._waiting.values())) > MAX_WAITING:
            self._drop(next(iter(self._waiting)))
        if self._timer is None:
            self._timer = loop.call_later(KEPT_S, self._look)

    def _look(self) -> None:
        """Close what nobody has wanted for long."""
        self._timer = None
        loop = asyncio.get_running_loop()
        for path, kept in list(self._waiting.items()):
            if kept[-1].until <= loop.time():
                self._drop(path)
        if self._waiting:
            self.columns.forget_unused()
            self._timer = loop.call_later(KEPT_S, self._look)
        else:
            self.columns.clear()

    def _drop(self, path: Path) -> None:
        for one in self._waiting.pop(path, ()):
            self._host.spawn(self._host.in_search_thread(partial(close, one.db)))

    def forget(self, path: Path) -> None:
        """The mailbox is going away."""
        self._drop(path)

    def close(self) -> None:
        """Close what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            for one in self._waiting.popitem()[1]:
                close(one.db)
        self.columns.clear()


def _files(path: Path) -> _Files | None:
    """What tells whether both files are as they were; the search file may have been replaced or cut."""
    try:
        mailbox, beside = os.stat(path), os.stat(path_beside(path))
    except OSError:
        return None
    return mailbox.st_dev, mailbox.st_ino, beside.st_dev, beside.st_ino, beside.st_size, beside.st_mtime_ns


def _usable(db: apsw.Connection) -> bool:
    try:
        return fits(db)
    except apsw.Error:
        return False
