"""Views of large folders, kept so that SELECT costs what has changed since the last one and not what the folder holds.

A view is a copy of what the file said at a change number; `reading.changes` since then brings it up to date within one
read transaction. Where the file cannot tell all changes any more the view is read anew. One cache serves a process; its
size is bounded by the number of UIDs in it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict

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


class _Kept:
    __slots__ = ("changed", "first_unseen", "uid_validity", "uids")

    def __init__(self, view: FolderView, changed: ChangeNumber) -> None:
        self.uid_validity = view.folder.uid_validity
        self.uids = array("I", view.uids)
        self.first_unseen = view.first_unseen
        self.changed = changed


class Views:
    """Of one process, by mailbox and folder. Called from its loop's thread only."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[MailboxId, FolderId], _Kept] = OrderedDict()
        self._total = 0

    def keep(self, mailbox: MailboxId, view: FolderView, changed: ChangeNumber) -> None:
        """Remember a view that was read when the mailbox's change number was at least `changed`."""
        key = (mailbox, view.folder.id)
        self._drop(key)
        if len(view.uids) < MIN_MESSAGES or len(view.uids) > MAX_UIDS:
            return
        self._kept[key] = _Kept(view, changed)
        self._total += len(view.uids)
        while self._total > MAX_UIDS:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[MailboxId, FolderId]) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._total -= len(kept.uids)

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
        if news:
            self._total -= len(kept.uids)
            _apply(kept, changes)
            self._total += len(kept.uids)
            kept.first_unseen = _first_unseen(db, folder, kept.first_unseen, changes) if seen.unseen else None
        if len(kept.uids) != seen.messages:  # never seen to happen: the file is the truth
            self._drop(key)
            return None
        kept.changed = changes.upto
        self._kept.move_to_end(key)
        return FolderView(seen, array("I", kept.uids), kept.first_unseen, reading.keywords(db))


def _apply(kept: _Kept, changes: Changes) -> None:
    uids = kept.uids
    last = uids[-1] if uids else 0
    uids.extend(item.uid for item in changes.changed if item.uid > last)
    vanished = changes.vanished
    if len(vanished) > 32:
        gone = set(vanished)
        kept.uids = array("I", [uid for uid in uids if uid not in gone])
        return
    for uid in vanished:
        index = bisect_left(uids, uid)
        if index < len(uids) and uids[index] == uid:
            del uids[index]


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
