"""A look at a mailbox file that nobody has open, after which nobody has it open either.

To open a file means to make the index of its log, which all who have the file open share: half of what opening costs.
Under SQLite's exclusive locking mode that index lies in this process's memory. One connection serves all looks: files
are attached to it one after the other. Whoever opens a file meanwhile finds it busy for a millisecond, as while a log
is recovered.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import apsw

from postern.model.ids import ChangeNumber
from postern.model.items import SpecialUse
from postern.model.sync import CalendarLook, Setting
from postern.store.sqlite.calendars import SPANS
from postern.store.sqlite.connection import rows
from postern.store.sqlite.schema import APPLICATION_ID, LAYOUT_VERSION

_LASTING = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY"
_PRESENT = [(LAYOUT_VERSION,), (APPLICATION_ID,)]
# one statement for what are three, because most of the cost is its preparation
_FACTS = (
    "SELECT s.epoch, s.slot, s.deleted, c.changed, f.id, k.name, k.value, k.changed"
    " FROM state s CROSS JOIN counters c CROSS JOIN folders f LEFT JOIN settings k ON k.kind = ?"
    " WHERE s.id = 1 AND c.id = 0 AND f.special = ? AND f.special != ''"
)


class Seen(NamedTuple):
    """The calendar, and what a process that has not used the mailbox has to know of it."""

    epoch: int
    slot: int
    look: CalendarLook


class Alone:
    """One a thread."""

    def __init__(self) -> None:
        self._db: apsw.Connection | None = None

    def calendar(self, path: Path, kind: str, starts_at: int, ends_at: int, limit: int) -> Seen | None:
        """`calendars.look` at a file that is closed. None if the file has to be opened to tell more about it.

        That is so if somebody else has it open, if it is not whole, of another layout, removed, or has `limit` spans.
        """
        try:
            if self._db is None:
                self._db = _connect()
            rows(self._db, "ATTACH ? AS mailbox", (str(path),))
            try:
                return _calendar(self._db, kind, starts_at, ends_at, limit)
            finally:
                rows(self._db, "DETACH mailbox")
        except (apsw.BusyError, apsw.CantOpenError):
            return None  # whoever opens it is told
        except apsw.Error:
            self.close()
            return None

    def close(self) -> None:
        """Let go of what waits for the next look."""
        if self._db is not None:
            self._db.close()
            self._db = None


def _connect() -> apsw.Connection:
    # no SQLITE_OPEN_CREATE: a file that is not there is not made; one thread needs no locks: a twentieth of a look
    db = apsw.Connection(":memory:", flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOMUTEX)
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)  # as in `connection.connect`
    rows(db, _LASTING)
    return db


def _calendar(db: apsw.Connection, kind: str, starts_at: int, ends_at: int, limit: int) -> Seen | None:
    # no transaction: nobody else can write
    if rows(db, "PRAGMA mailbox.user_version; PRAGMA mailbox.application_id") != _PRESENT:
        return None
    facts = rows(db, _FACTS, (kind, SpecialUse.CALENDAR.value))
    if not facts or facts[0][2]:
        return None
    epoch, slot, _deleted, changed, folder = facts[0][:5]
    met = rows(db, SPANS, (folder, starts_at, ends_at, limit))
    if len(met) >= limit:
        return None
    settings = sorted(Setting(*row[5:]) for row in facts if row[5] is not None)
    return Seen(epoch, slot, CalendarLook(ChangeNumber(changed), folder, settings, met))
