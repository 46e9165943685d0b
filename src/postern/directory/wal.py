"""Write-ahead logging for the small databases that all processes open at the same time."""

from __future__ import annotations

import time

import apsw

PATIENCE_S = 5.0
PAUSE_S = 0.005


def use_wal(db: apsw.Connection) -> None:
    """Switch a database to its write-ahead log. Blocks for up to PATIENCE_S; for starts. Raises apsw.Error.

    SQLite does not ask the busy handler where two processes change the mode of a new file at once: one of them is told
    BUSY immediately (a deadlock is what waiting could make of it), so the waiting is done here.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            db.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() >= end:
                raise
            time.sleep(PAUSE_S)
        else:
            return
