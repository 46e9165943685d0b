"""Item rows in chunks, each a read transaction of its own that takes well under a loop slice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import apsw

from postern.model.ids import ChangeNumber, FolderId
from postern.store.interface import Ranges
from postern.store.sqlite import reading

Consult = Callable[[Callable[[apsw.Connection], Any]], Coroutine[Any, Any, Any]]
"""SqliteMailbox.consult: runs a read on the open file."""


class Chunks:
    """An iterator over chunks: an object, because starting a generator costs more than reading one row."""

    __slots__ = ("_columns", "_consult", "_folder", "_left", "_plan", "_since", "_started")

    def __init__(
        self, consult: Consult, folder: FolderId, columns: int, ranges: Ranges, since: ChangeNumber | None
    ) -> None:
        self._consult = consult
        self._folder = folder
        self._columns = columns
        self._plan = reading.plan(columns | 1, since is not None)
        self._left = ranges
        self._since = since
        self._started = False

    def __aiter__(self) -> Chunks:
        return self

    async def __anext__(self) -> list[tuple[Any, ...]]:
        if self._started:
            if not self._left:
                raise StopAsyncIteration
            await asyncio.sleep(0)
        elif self._since is not None:
            uids = await self._consult(partial(reading.changed_uids, folder=self._folder, since=self._since))
            self._left = reading.intersect(uids, self._left)
        self._started = True
        while self._left:
            found, self._left = await self._consult(self._chunk)
            if found:
                return found if self._columns & 1 else [row[1:] for row in found]
        raise StopAsyncIteration

    def _chunk(self, db: apsw.Connection) -> tuple[list[tuple[Any, ...]], Ranges]:
        return reading.chunk(db, self._folder, self._plan, self._left, self._since)
