"""Views of large folders, kept so that SELECT costs what has changed since the last one and not what the folder holds.

A view is a copy of what the file said at a change number; `reading.changes` since then brings it up to date within one
read transaction. Where the file cannot tell all changes any more the view is read anew. One cache serves a process; its
size is bounded by the number of UIDs in it.

Views of very large folders are kept in the file too (table `views`, four octets a message), for processes that have not
read them: after a start, or in another worker. A row is as good as a view in memory, since it says for which change
number it holds; it is written in the background when a view was read anew, and after `SAVED_AFTER` changes.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections import OrderedDict
from typing import NamedTuple

import apsw

from postern.model.ids import ChangeNumber, FolderId, MailboxId, Uid
from postern.model.items import Changes, Flag, FolderView
from postern.store.sqlite import folders, reading
from postern.store.sqlite.connection import rows

MIN_MESSAGES = 2000
"""Smaller folders are read in less time than they would take room."""
MAX_UIDS = 2_000_000
"""8 MB."""
MAX_CHANGES = 5000
"""After more, reading anew is not much dearer."""
SAVED_FROM = 20_000
"""Messages; smaller folders are read in 5 ms."""
SAVED_ON_LOOP = 300_000
"""Messages; a row of so many is read in a loop slice, a longer one in a thread."""
SAVED_AFTER = 1000
"""Changes; bringing a row up to date then costs a process about a millisecond, once."""
_LOAD = "SELECT folder, changed, uid_validity, first_unseen, uids FROM views WHERE folder = ?"
_SAVE = (
    "INSERT INTO views (folder, changed, uid_validity, first_unseen, uids) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (folder) DO UPDATE SET changed = excluded.changed, uid_validity = excluded.uid_validity,"
    " first_unseen = excluded.first_unseen, uids = excluded.uids WHERE excluded.changed > views.changed"
)


class Row(NamedTuple):
    """A view as the file has it."""

    folder: FolderId
    changed: ChangeNumber
    uid_validity: int
    first_unseen: Uid | None
    uids: bytes
    """Four octets each, the lowest first."""


class _Kept:
    __slots__ = ("changed", "count", "first_unseen", "uid_validity", "uids", "unsaved")

    def __init__(
        self, uid_validity: int, uids: bytes, first_unseen: Uid | None, changed: ChangeNumber, unsaved: int
    ) -> None:
        self.uid_validity = uid_validity
        self.uids = uids
        """As `Row.uids`: every session gets a copy, and one from octets is the cheapest."""
        self.count = len(uids) // 4
        self.first_unseen = first_unseen
        self.changed = changed
        self.unsaved = unsaved
        """How many changes the file's row is behind."""


class Views:
    """Of one process, by mailbox and folder. Called from its loop's thread only."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[MailboxId, FolderId], _Kept] = OrderedDict()
        self._total = 0

    def keep(self, mailbox: MailboxId, view: FolderView, changed: ChangeNumber) -> None:
        """Remember a view that was read when the mailbox's change number was at least `changed`."""
        row = Row(view.folder.id, changed, view.folder.uid_validity, view.first_unseen, _octets(view.uids))
        self._put(mailbox, row, unsaved=MAX_UIDS)

    def wants(self, mailbox: MailboxId, folder: FolderId, messages: int) -> bool:
        """Whether the file should be asked for a view that `adopt` takes."""
        return messages >= SAVED_FROM and (mailbox, folder) not in self._kept

    def adopt(self, mailbox: MailboxId, row: Row) -> None:
        """Take a view that the file has; `present` says whether it can be brought up to date."""
        self._put(mailbox, row, unsaved=0)

    def _put(self, mailbox: MailboxId, row: Row, *, unsaved: int) -> None:
        key = (mailbox, row.folder)
        self._drop(key)
        kept = _Kept(row.uid_validity, row.uids, row.first_unseen, row.changed, unsaved)
        if not MIN_MESSAGES <= kept.count <= MAX_UIDS:
            return
        self._kept[key] = kept
        self._total += kept.count
        while self._total > MAX_UIDS:
            self._drop(next(iter(self._kept)))

    def forget(self, mailbox: MailboxId, folder: FolderId) -> None:
        """The folder is gone."""
        self._drop((mailbox, folder))

    def _drop(self, key: tuple[MailboxId, FolderId]) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._total -= kept.count

    def present(self, mailbox: MailboxId, db: apsw.Connection, folder: FolderId) -> FolderView | None:
        """The view as it is now, None if it has to be read. Runs inside the caller's read transaction."""
        key = (mailbox, folder)
        kept = self._kept.get(key)
        if kept is None:
            return None
        seen = folders.one(db, folder)
        changes = reading.changes(db, folder, kept.changed)
        news = len(changes.changed) + len(changes.vanished)
        if not changes.complete or news > MAX_CHANGES or seen.uid_validity != kept.uid_validity:
            self._drop(key)
            return None
        uids = _uids(kept.uids)
        if news:
            uids = _applied(uids, changes)
            self._total += len(uids) - kept.count
            kept.uids, kept.count = _octets(uids), len(uids)
            kept.first_unseen = _first_unseen(db, folder, kept.first_unseen, changes) if seen.unseen else None
            kept.unsaved += news
        if kept.count != seen.messages:  # never seen to happen: the file is the truth
            self._drop(key)
            return None
        kept.changed = changes.upto
        self._kept.move_to_end(key)
        return FolderView(seen, uids, kept.first_unseen, reading.keywords(db))

    def to_save(self, mailbox: MailboxId, folder: FolderId) -> Row | None:
        """What should be written into the file now, with `save`; asked again it is taken as written."""
        kept = self._kept.get((mailbox, folder))
        if kept is None or kept.count < SAVED_FROM or kept.unsaved < SAVED_AFTER:
            return None
        kept.unsaved = 0
        return Row(folder, kept.changed, kept.uid_validity, kept.first_unseen, kept.uids)


def saved(db: apsw.Connection, folder: FolderId) -> Row | None:
    """A folder's view as the file has it, of some time ago."""
    found = rows(db, _LOAD, (folder,))
    return Row(*found[0]) if found else None


def save(db: apsw.Connection, row: Row) -> None:
    """Write a view into the file, if the folder is still there and no newer one is; runs inside a write transaction."""
    if rows(db, "SELECT 1 FROM counters WHERE id = ?", (row.folder,)):
        db.execute(_SAVE, row)


def _uids(octets: bytes) -> array[int]:
    uids = array("I", octets)
    if sys.byteorder == "big":
        uids.byteswap()
    return uids


def _octets(uids: array[int]) -> bytes:
    if sys.byteorder == "big":
        uids = array("I", uids)
        uids.byteswap()
    return uids.tobytes()


def _applied(uids: array[int], changes: Changes) -> array[int]:
    last = uids[-1] if uids else 0
    uids.extend(item.uid for item in changes.changed if item.uid > last)
    vanished = changes.vanished
    if len(vanished) > 32:
        gone = set(vanished)
        return array("I", [uid for uid in uids if uid not in gone])
    for uid in vanished:
        index = bisect_left(uids, uid)
        if index < len(uids) and uids[index] == uid:
            del uids[index]
    return uids


def _first_unseen(db: apsw.Connection, folder: FolderId, before: Uid | None, changes: Changes) -> Uid | None:
    """From the lowest UID that can be it on: what stood below the last one was seen and has not changed."""
    unseen = [item.uid for item in changes.changed if not item.flags & Flag.SEEN.value]
    known = [uid for uid in (before, unseen[0] if unseen else None) if uid is not None]
    found = rows(
        db,
        "SELECT uid FROM items WHERE folder = ? AND uid >= ? AND flags & 1 = 0 ORDER BY uid LIMIT 1",
        (folder, min(known, default=0)),
    )
    return found[0][0] if found else None
