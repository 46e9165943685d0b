"""How long the queue has been worked on: what mail waits is counted in this time, not in that of the clock.

A clock that leaps (a machine that began with a wrong year, a dead battery) would else make new mail too old to be tried
again, or keep mail for as long as the clock was wrong. All workers move one counter in the queue's file on, by what
their clock says has gone by since the last of them did; a step that is too long to be theirs is a leap, or a time in
which nobody worked, and is not counted. Nor does it end what workers have claimed: one of them may be in the middle of
a transfer, which a second one would send again.
"""

from __future__ import annotations

import apsw

STEP_SECONDS = 900.0
"""Workers look at least three times as often (`runner.RENEW_SECONDS`)."""
CLAIM_SECONDS = 900.0
"""How long a claim holds unless renewed; longer than one SMTP transaction may hang between two renewals."""
_FINE_SECONDS = 30.0
"""What is less is not written: most transactions would touch another page for it."""


def running_time(db: apsw.Connection, now: float) -> float:
    """Seconds that the queue has been worked on, in a write transaction. `now`: seconds since the epoch."""
    row = db.execute("SELECT seconds, seen_at FROM running").fetchone()
    if row is None:
        # made by this version, or by one that had only the clock
        db.execute("INSERT INTO running VALUES(0, 0.0, ?)", (now,))
        db.execute("UPDATE message SET came_at=min(received_at - ?, 0.0) WHERE came_at IS NULL", (now,))
        return 0.0
    seconds, seen_at = float(row[0]), float(row[1])
    step = now - seen_at
    if 0 <= step < _FINE_SECONDS:
        return seconds + step
    if 0 <= step <= STEP_SECONDS:
        seconds += step
    else:
        for table in ("recipient", "outbox"):
            db.execute(f"UPDATE {table} SET due_at=? WHERE claimed_by!=''", (now + CLAIM_SECONDS,))  # noqa: S608
    db.execute("UPDATE running SET seconds=?, seen_at=?", (seconds, now))
    return seconds
