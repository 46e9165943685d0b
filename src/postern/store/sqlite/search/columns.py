"""Header fields of whole folders that are searched again and again, folded and joined: no header block is read then.

A field gets a column when as many items have been looked through for it as the folder has, so that a search
that comes once costs nothing more and all of them together at most twice as much. A column says for which change number
it holds: items whose MODSEQ is above it are new or have changed, in whatever process, and are looked at; what
has gone is not among the items that are asked about. One collection serves a process, bounded in octets; what two looks
find unused goes (`Connections` looks while somebody searches, and lets all go when nobody does).
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import apsw

from postern.model.ids import FolderId
from postern.store.sqlite import reading
from postern.store.sqlite.connection import rows
from postern.store.sqlite.search import filling, header_fields, texts
from postern.store.sqlite.search.expression import Read
from postern.store.sqlite.selection import numbers

MAX_BYTES = 16 << 20
"""All columns of a process."""
MAX_COLUMN_BYTES = 4 << 20
MAX_ITEMS = 50_000
"""Longer folders get none: it would not fit."""
MAX_NOTES = 1000
"""Fields of which it is known how often they were searched for."""
BLOCKS_AT_A_TIME = 2000
"""Header blocks read in one transaction, which may hold up a checkpoint."""
TRIED_AGAIN = 100
"""Searches after which it is looked whether a column that was too large still is."""
NEWS_OF = 8
"""After so many parts of the items have changed a column is made anew."""
MIN_NEWS = 100
_STATE = "SELECT c.changed, s.incarnation, s.mailbox FROM counters c, state s WHERE c.id = 0"
_UIDS = "SELECT json_group_array(uid) FROM (SELECT uid FROM items WHERE folder = ? AND uid > ? ORDER BY uid LIMIT ?)"
_MESSAGES = "SELECT messages FROM counters WHERE id = ?"

_Key = tuple[str, int, int, bytes]
"""Mailbox, its incarnation, folder, name of the field."""


class Column(NamedTuple):
    """One field of a folder's items."""

    changed: int
    """The mailbox's change number before the first of them was read."""
    values: bytes
    """Folded, a line feed behind each, which none of them has."""
    ends: array[int]
    """Where each one's line feed is."""
    uids: array[int]
    """Whose each is, ascending; an item may have several."""
    apart: frozenset[int]
    """UIDs of items whose header is not in the mailbox's row."""

    @property
    def octets(self) -> int:
        """Of memory, roughly."""
        return len(self.values) + 8 * len(self.uids) + 64 * len(self.apart) + 400

    def holding(self, wanted: bytes, first: int, last: int) -> list[int]:
        """UIDs between two (both included) that have a value with a folded text in it, ascending."""
        values, ends, uids = self.values, self.ends, self.uids
        begin, behind = bisect_left(uids, first), bisect_right(uids, last)
        at = ends[begin - 1] + 1 if begin else 0
        stop = ends[behind - 1] if behind else 0
        found: list[int] = []
        at = values.find(wanted, at, stop)
        while at >= 0:
            place = bisect_right(ends, at)
            uid = uids[place]
            if not found or found[-1] != uid:
                found.append(uid)
            at = values.find(wanted, ends[place] + 1, stop)
        return found


class _Slot:
    __slots__ = ("column", "looked", "used")

    def __init__(self) -> None:
        self.column: Column | None = None
        self.looked = 0
        """Items looked through for the field since it has had a column."""
        self.used = True
        """Since the last look."""


class Columns:
    """Of one process. Called from the threads of searches, and from the loop's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: OrderedDict[_Key, _Slot] = OrderedDict()
        self._total = 0

    def prepare(self, db: apsw.Connection, folder: int, name: bytes) -> None:
        """Make a column if it would have been worth it before. Not inside a read transaction. Raises apsw.Error."""
        key = _key(db, folder, name)
        with self._lock:
            slot = self._slots.get(key)
            looked = slot.looked if slot is not None else 0
        if looked <= 0:
            return
        ((messages,),) = rows(db, _MESSAGES, (folder,)) or [(0,)]
        if looked < messages or not 0 < messages <= MAX_ITEMS:
            return
        column = read(db, folder, name)
        if column is not None:
            self._put(key, column)
        elif slot is not None:
            with self._lock:
                slot.looked = -TRIED_AGAIN * messages

    def find(
        self, db: apsw.Connection, folder: int, uids: Sequence[int], field: Read
    ) -> tuple[list[int], Sequence[int]]:
        """(Those of the items that have the text in the field, those that have to be looked at themselves).

        `uids`: ascending, some, of the state that the caller's read transaction sees. Raises apsw.Error.
        """
        told = self._told(db, folder, field, len(uids))
        if told is None:
            return [], uids
        column, news = told
        there = set(uids)
        rest = sorted(there & news) if news else []
        there -= news
        return [uid for uid in column.holding(field.wanted, uids[0], uids[-1]) if uid in there], rest

    def candidates(self, db: apsw.Connection, folder: int, between: tuple[int, int], field: Read) -> set[int] | None:
        """UIDs outside of which no item has the text in the field; None if that is not known.

        Inside the caller's read transaction. Raises apsw.Error.
        """
        told = self._told(db, folder, field, 0)
        if told is None:
            return None
        column, news = told
        low, high = between
        return {uid for uid in news if low <= uid <= high}.union(column.holding(field.wanted, low, high))

    def _told(self, db: apsw.Connection, folder: int, field: Read, looked: int) -> tuple[Column, frozenset[int]] | None:
        """The field's column, and the UIDs of items that it does not tell of.

        `looked`: how many items will be looked through if there is none.
        """
        ((changed, incarnation, mailbox),) = rows(db, _STATE)
        key = (mailbox, incarnation, folder, field.start[1:-1])
        with self._lock:
            slot = self._slots.get(key)
            if slot is None:
                slot = self._slots[key] = _Slot()
                if len(self._slots) > MAX_NOTES:
                    self._drop(next(iter(self._slots)))
            slot.used = True
            self._slots.move_to_end(key)
            column = slot.column
            if column is None:
                slot.looked += looked
                return None
        if changed == column.changed:
            return column, column.apart
        if changed < column.changed:
            return None  # of a state before that of the column
        news = reading.changed_uids(db, FolderId(folder), column.changed)
        if len(news) > max(MIN_NEWS, len(column.uids) // NEWS_OF):
            with self._lock:
                slot.looked += looked  # in the end it is made anew
        return column, column.apart.union(news)

    def forget_unused(self) -> None:
        """Drop what nobody has used since this was last called."""
        with self._lock:
            for key in [key for key, slot in self._slots.items() if not slot.used]:
                self._drop(key)
            for slot in self._slots.values():
                slot.used = False

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._slots.clear()
            self._total = 0

    @property
    def octets(self) -> int:
        """What all columns take."""
        return self._total

    def _put(self, key: _Key, column: Column) -> None:
        with self._lock:
            self._drop(key)
            slot = self._slots[key] = _Slot()
            slot.column = column
            self._total += column.octets
            while self._total > MAX_BYTES:
                self._drop(next(iter(self._slots)))

    def _drop(self, key: _Key) -> None:
        slot = self._slots.pop(key, None)
        if slot is not None and slot.column is not None:
            self._total -= slot.column.octets


def _key(db: apsw.Connection, folder: int, name: bytes) -> _Key:
    ((_, incarnation, mailbox),) = rows(db, _STATE)
    return mailbox, incarnation, folder, name


def read(db: apsw.Connection, folder: int, name: bytes) -> Column | None:
    """A column of a folder as it is now; None if it would be too large. `name`: in small letters. Raises apsw.Error."""
    ((changed, *_),) = rows(db, _STATE)
    values: list[bytes] = []
    uids = array("I")
    ends = array("I")
    apart: list[int] = []
    at = -1

    def part(db: apsw.Connection, after: int) -> int | None:
        """Read the next items; the last one's UID."""
        nonlocal at
        listed = numbers(db, _UIDS, (folder, after, BLOCKS_AT_A_TIME))
        for some in header_fields.blocks(db, folder, listed, gapless=True):
            apart.extend(some.without)
            for place, value in some.every(name):
                folded = texts.folded(value)
                at += len(folded) + 1
                values.append(folded)
                ends.append(at)
                uids.append(some.uids[place])
            filling.yield_lock()
        return listed[-1] if listed else None

    last: int | None = 0
    while last is not None:
        last = reading.snapshot(db, work=partial(part, after=last))
        if at > MAX_COLUMN_BYTES:
            return None
    values.append(b"")
    return Column(changed, b"\n".join(values), ends, uids, frozenset(apart))
