"""What of a folder's items is when, and what free/busy needs of a calendar in one look."""

from __future__ import annotations

import apsw

from postern.model.ids import FolderId, Uid
from postern.model.items import SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.model.sync import CalendarLook
from postern.store.sqlite import beside
from postern.store.sqlite.connection import rows
from postern.store.sqlite.selection import uid_validity

_CALENDAR = (
    "SELECT f.id, c.changed FROM folders f CROSS JOIN counters c ON c.id = 0 WHERE f.special = ? AND f.special != ''"
)
SPANS = (
    "SELECT uid, starts_at, ends_at, busy FROM spans INDEXED BY spans_time"
    " WHERE folder = ? AND ends_at > ? AND starts_at < ? LIMIT ?"
)


def overlapping(db: apsw.Connection, folder: FolderId, starts_at: int, ends_at: int) -> list[Uid]:
    """UIDs of what meets [starts_at, ends_at), ascending. Raises Refusal(NO_SUCH_FOLDER)."""
    uid_validity(db, folder)
    found = rows(
        db,
        "SELECT uid FROM spans INDEXED BY spans_time WHERE folder = ? AND ends_at > ? AND starts_at < ? ORDER BY uid",
        (folder, starts_at, ends_at),
    )
    return [row[0] for row in found]


def spans(
    db: apsw.Connection, folder: FolderId, starts_at: int, ends_at: int, limit: int
) -> list[tuple[Uid, int, int, bytes]]:
    """UID and span of what meets [starts_at, ends_at), at most so many. Raises Refusal(NO_SUCH_FOLDER)."""
    uid_validity(db, folder)
    return rows(db, SPANS, (folder, starts_at, ends_at, limit))


def look(db: apsw.Connection, kind: str, starts_at: int, ends_at: int, limit: int) -> CalendarLook:
    """The calendar's spans, at most so many, and settings of a kind. Raises Refusal(NO_SUCH_FOLDER).

    Runs inside the caller's transaction.
    """
    found = rows(db, _CALENDAR, (SpecialUse.CALENDAR.value,))
    if not found:
        raise Refusal(Reason.NO_SUCH_FOLDER, SpecialUse.CALENDAR.value)
    ((folder, seen),) = found
    met = rows(db, SPANS, (folder, starts_at, ends_at, limit))
    return CalendarLook(seen, folder, beside.settings(db, kind), met)
