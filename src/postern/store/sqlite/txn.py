"""One write transaction: the mailbox's counters, its change number, and numbers that are never given twice.

`*_safe` is the highest number that may be given: a ceiling at or above it is known to be on disk. `*_pending` is a
higher ceiling that was committed but not yet synced. After a power cut the file may be older than what clients were
told, but never older than the ceilings, so a new epoch continues above the larger of the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import apsw

from postern.model.ids import ChangeNumber
from postern.model.items import SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.store.sqlite.connection import once, rows
from postern.store.sqlite.schema import BLOCK

T = TypeVar("T")

MAX_UID = 2**32 - 1

_LOAD = (
    "SELECT s.epoch, c.changed, s.change_safe, s.change_pending, c.uid_next, s.id_safe, s.id_pending, c.size_bytes,"
    " s.no_receive_bytes, s.deleted FROM state s, counters c WHERE s.id = 1 AND c.id = 0"
)
_SAVE = "UPDATE counters SET changed = ?, uid_next = ?, size_bytes = ? WHERE id = 0"
_RESERVE = "UPDATE state SET change_pending = ?, id_pending = ? WHERE id = 1"
_PROMOTE = "UPDATE state SET change_safe = max(change_safe, ?), id_safe = max(id_safe, ?) WHERE id = 1"


def items_held(db: apsw.Connection) -> int:
    """Items that count against the quota: all but recoverable and associated ones."""
    statement = (
        "SELECT coalesce(sum(c.messages), 0) FROM counters c JOIN folders f ON f.id = c.id"
        " WHERE f.id > 0 AND f.special != ?"
    )
    return int(rows(db, statement, (SpecialUse.RECOVERABLE.value,))[0][0])


class NeedsReservation(Exception):  # noqa: N818 - no error
    """The numbers that may be given are used up: reserve, sync, promote and run the transaction again."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


class Txn:
    """The mailbox's state inside BEGIN IMMEDIATE ... COMMIT. `now` is in seconds since the epoch."""

    __slots__ = (
        "_change_pending",
        "_change_safe",
        "_id_pending",
        "_id_safe",
        "_start",
        "changed",
        "db",
        "execute",
        "executemany",
        "max_items",
        "next_id",
        "no_receive_bytes",
        "now",
        "reserved",
        "used_bytes",
    )

    def __init__(self, db: apsw.Connection, epoch: int, now: int, max_items: int | None = None) -> None:
        self.db = db
        self.max_items = max_items
        cursor = db.cursor()  # one for all statements: making one costs a quarter of a short statement
        self.execute: Callable[..., Any] = cursor.execute
        """What it gives has to be fetched before the next statement."""
        self.executemany: Callable[..., Any] = cursor.executemany
        self.now = now
        self.changed = 0
        """The change number of this transaction, 0 while it has changed nothing."""
        self.reserved: tuple[int, int] | None = None
        """Ceilings that this transaction wrote and that have to be synced, then promoted."""
        found: list[Any] = self.execute(_LOAD).fetchall()
        (
            (
                stored_epoch,
                self._start,
                self._change_safe,
                self._change_pending,
                self.next_id,
                self._id_safe,
                self._id_pending,
                self.used_bytes,
                self.no_receive_bytes,
                deleted,
            ),
        ) = found
        if deleted:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, "the mailbox was removed")
        if stored_epoch != epoch:
            raise NeedsReservation(0)

    def need_room(self, count: int) -> None:
        """Raises Refusal(OVER_QUOTA) if so many items more are too many for the mailbox."""
        if self.max_items is None:
            return
        held = items_held(self.db)
        if held + count > self.max_items:
            raise Refusal(Reason.OVER_QUOTA, f"{held} + {count} > {self.max_items} items")

    @property
    def last(self) -> ChangeNumber:
        """The change number before this transaction."""
        return ChangeNumber(self._start)

    def change(self) -> ChangeNumber:
        """Number of this commit. Raises NeedsReservation."""
        if not self.changed:
            if self._start >= self._change_safe:
                raise NeedsReservation(0)
            self.changed = self._start + 1
        return ChangeNumber(self.changed)

    def expect(self, count: int) -> None:
        """Up to so many numbers will be taken. Raises NeedsReservation if they are not reserved."""
        last = self.next_id + count - 1
        if self._id_safe < last < MAX_UID:
            raise NeedsReservation(count)

    def take(self, count: int) -> int:
        """First of `count` consecutive numbers that nobody had before. Raises NeedsReservation, Refusal(TOO_MANY)."""
        self.change()
        first: int = self.next_id
        if first + count - 1 > self._id_safe:
            if first + count > MAX_UID:
                raise Refusal(Reason.TOO_MANY, "the mailbox has used up its UIDs")
            raise NeedsReservation(count)
        self.next_id = first + count
        return first

    def spare(self) -> int | None:
        """A number that nobody had before, for later; None if it had to be reserved first."""
        if self.next_id > self._id_safe or self.next_id >= MAX_UID:
            return None
        return self.take(1)

    def finish(self) -> None:
        """Write the counters back; reserve ahead when half of a block is gone."""
        if not self.changed:
            return
        self.execute(_SAVE, (self.changed, self.next_id, self.used_bytes))
        if self._change_pending > self._change_safe or self._id_pending > self._id_safe:
            return
        if self._change_safe - self.changed < BLOCK // 2 or self._id_safe - self.next_id < BLOCK // 2:
            self.reserved = (self.changed + 2 * BLOCK, min(self.next_id + 2 * BLOCK, MAX_UID))
            self.execute(_RESERVE, self.reserved)


def transact(
    db: apsw.Connection,
    epoch: int,
    now: int,
    work: Callable[[Txn], T],
    max_items: int | None = None,
    before_commit: Callable[[], None] | None = None,
) -> tuple[T, Txn]:
    """Run `work` in one transaction. Raises what `work` raises, NeedsReservation, Refusal and apsw.Error.

    `before_commit` is called under the write lock, if anything has changed.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        txn = Txn(db, epoch, now, max_items)
        result = work(txn)
        txn.finish()
        if before_commit is not None and txn.changed:
            before_commit()
        txn.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result, txn


def reserve(db: apsw.Connection, epoch: int, count: int) -> tuple[int, int]:
    """Commit higher ceilings and, in a new epoch, jump above the old ones; the caller syncs, then promotes.

    The jump leaves a gap in the change numbers. Whoever was told a number inside it saw commits that were lost, and has
    to compare everything (`Changes.complete`).
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        ((stored, change, change_safe, change_pending, next_id, id_safe, id_pending, *_),) = rows(db, _LOAD)
        if stored != epoch:
            low = change
            change = max(change, change_safe, change_pending) + 1
            next_id = max(next_id - 1, id_safe, id_pending) + 1
            ceilings = (change + BLOCK, min(next_id + BLOCK + count, MAX_UID))
            once(db, "INSERT OR REPLACE INTO gaps VALUES (?, ?)", (low, change))
            once(db, "UPDATE counters SET uid_next = ?", (next_id,))
            once(db, "UPDATE counters SET changed = ? WHERE id = 0", (change,))
            once(db, "UPDATE state SET epoch = ? WHERE id = 1", (epoch,))
            once(db, _RESERVE, ceilings)
        else:
            ceilings = (
                max(change_pending, change + BLOCK),
                # who copies thousands does it again: not a sync for each of them
                min(max(id_pending, next_id + BLOCK + 4 * count), MAX_UID),
            )
            once(db, _RESERVE, ceilings)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return ceilings


def promote(db: apsw.Connection, ceilings: tuple[int, int]) -> None:
    """The ceilings are on disk: numbers up to them may be given. Raises apsw.Error."""
    once(db, _PROMOTE, ceilings)
