"""The queue of messages that are not yet where they belong: next hops, mailboxes that were not ready, reports owed.

Shared by all workers through one SQLite file. A recipient is put in once for a delivery key however often a journal is
replayed; a worker claims recipients that are due for a while, and settles them. What an attempt costs the sender in
reports is decided in the same transaction as the fate of the recipients, so that each report is owed exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import apsw

from postern.model.ports import Clock, Entropy
from postern.model.transfer import Result
from postern.transport.outcomes import AnyOutcome, Defer
from postern.transport.queue_file import QueueFile
from postern.transport.queue_rows import (
    Claim,
    NewEntry,
    OwedReport,
    Waiting,
    claimed_recipients,
    drop_finished,
    insert_entry,
    is_due,
    load_claim,
    owe,
    owed_reports,
)
from postern.transport.running_time import CLAIM_SECONDS, running_time
from postern.transport.schedule import Schedule
from postern.transport.settling import Settlement, decide

_KEEP_OWN_SECONDS = 30 * 86400.0


class QueueStore:
    """The queue. All methods raise Refusal(DISK_FULL, READ_ONLY, CORRUPT, TRY_LATER)."""

    def __init__(self, path: Path, clock: Clock, entropy: Entropy, schedule: Schedule | None = None) -> None:
        self.file = QueueFile(path)
        self._clock = clock
        self._entropy = entropy
        self._schedule = schedule or Schedule()
        self.on_work: Callable[[], None] | None = None
        """Called in this process when there is something to do at once."""

    # --- putting in
    async def add(self, batch: Sequence[NewEntry]) -> int:
        """Put in what is new; how many recipients. Visible at once, durable after `durable`."""
        now = self._clock.timestamp()
        added = await self.file.write(lambda db: sum(insert_entry(db, entry, now) for entry in batch))
        self._tell()
        return added

    def _tell(self) -> None:
        if self.on_work is not None:
            self.on_work()

    async def durable(self) -> None:
        """Return when everything committed so far survives a power cut. Raises OSError."""
        await self.file.durable()

    # --- taking out
    async def claim(self, worker: str, limit: int, avoid: Sequence[str] = ()) -> list[Claim]:
        """Take recipients that are due for this worker; those for targets in `avoid` are left.

        `limit` counts recipients; the oldest due come first.
        """
        now = self._clock.timestamp()

        def work(db: apsw.Connection) -> list[Claim]:
            running_time(db, now)  # all that waits has its place in it before it is looked at
            marks = ",".join("?" * len(avoid))
            rows = db.execute(
                "UPDATE recipient SET claimed_by=?, due_at=? WHERE id IN (SELECT id FROM recipient WHERE suspended=0"  # noqa: S608 - only marks
                f" AND due_at<=? AND target NOT IN ({marks}) ORDER BY due_at LIMIT ?) RETURNING message, id, kind,"
                " address, notify, original, asked, reverse_path, target, attempts, warned, status, last_attempt",
                (worker, now + CLAIM_SECONDS, now, *avoid, limit),
            ).fetchall()
            return [load_claim(db, message, waiting) for message, waiting in claimed_recipients(rows).items()]

        # most calls find nothing: look before taking the write lock
        if not await self.file.read(lambda db: is_due(db, "recipient WHERE suspended=0 AND due_at<=?", now)):
            return []
        return await self.file.write(work)

    async def renew(self, worker: str) -> None:
        """Hold all of this worker's claims for another CLAIM_SECONDS; tells the running time that there is a worker."""
        now = self._clock.timestamp()
        until = now + CLAIM_SECONDS

        def work(db: apsw.Connection) -> None:
            running_time(db, now)
            for table in ("recipient", "outbox"):
                db.execute(f"UPDATE {table} SET due_at=? WHERE claimed_by=?", (until, worker))  # noqa: S608

        await self.file.write(work)

    async def pull_back(self) -> int:
        """Make due what waits for a time that no pause reaches: the clock was ahead when it was written; how many.

        A server that began with a wrong clock would else keep such mail for as long as the clock was wrong.
        """
        now = self._clock.timestamp()
        horizon = now + self._schedule.longest_seconds + CLAIM_SECONDS

        def look(db: apsw.Connection) -> bool:
            return is_due(db, "recipient WHERE suspended=0 AND due_at>?", horizon) or is_due(
                db, "outbox WHERE due_at>?", horizon
            )

        def work(db: apsw.Connection) -> int:
            total = 0
            for table in ("recipient", "outbox"):
                # what a worker has claimed it will settle or renew: nobody else may have it meanwhile
                db.execute(f"UPDATE {table} SET due_at=? WHERE claimed_by='' AND due_at>?", (now, horizon))  # noqa: S608
                total += db.changes()
            return total

        return await self.file.write(work) if await self.file.read(look) else 0

    async def release(self, worker: str) -> int:
        """Give back all claims of a worker (one that starts under a dead one's name, or stops); how many."""
        now = self._clock.timestamp()

        def work(db: apsw.Connection) -> int:
            total = 0
            for table in ("recipient", "outbox"):
                db.execute(f"UPDATE {table} SET due_at=?, claimed_by='' WHERE claimed_by=?", (now, worker))  # noqa: S608
                total += db.changes()
            return total

        return await self.file.write(work)

    async def still_claimed(self, worker: str, recipients: Sequence[int]) -> set[int]:
        """Those of a worker's claims that nobody took away; suspended ones are given back."""

        def look(db: apsw.Connection) -> dict[int, bool]:
            marks = ",".join("?" * len(recipients))
            found = db.execute(
                f"SELECT id, suspended FROM recipient WHERE claimed_by=? AND id IN ({marks})",  # noqa: S608 - marks
                (worker, *recipients),
            ).fetchall()
            return {int(number): bool(suspended) for number, suspended in found}  # type: ignore[arg-type]

        found = await self.file.read(look)
        suspended = [number for number, is_suspended in found.items() if is_suspended]
        if suspended:
            await self.put_back(suspended)
        return {number for number, is_suspended in found.items() if not is_suspended}

    async def put_back(self, recipients: Iterable[int], delay_seconds: float = 0.0) -> None:
        """Give back claims that were not tried; it does not count as an attempt."""
        due = self._clock.timestamp() + delay_seconds
        rows = [(due, r) for r in recipients]
        await self.file.write(
            lambda db: db.executemany("UPDATE recipient SET due_at=?, claimed_by='' WHERE id=?", rows) and None
        )

    async def settle(self, claim: Claim, results: Mapping[int, Result]) -> list[tuple[Waiting, Result]]:
        """Apply the results of an attempt, by `Waiting.id`, and note the reports they cost.

        Returns each recipient with what really became of it: a deferral of mail that was tried for long is a failure.
        """
        now = self._clock.timestamp()

        def work(db: apsw.Connection) -> Settlement:
            done = decide(claim, results, now, running_time(db, now), self._schedule, self._entropy)
            db.executemany(
                "UPDATE recipient SET due_at=?, warned=?, status=?, text=?, remote=?, last_attempt=?, claimed_by='',"
                " attempts=attempts+1 WHERE id=?",
                done.stay,
            )
            db.executemany("DELETE FROM recipient WHERE id=?", done.gone)
            owe(db, done.reports, now)
            drop_finished(db, claim.message)
            return done

        done = await self.file.write(work)
        if done.reports:
            self._tell()
        return done.settled

    async def recategorized(self, claim: Claim, done: Sequence[Waiting], outcomes: Sequence[AnyOutcome]) -> None:
        """Replace recipients that waited for the directory by what they turned out to be."""
        now = self._clock.timestamp()
        entry = NewEntry(
            claim.key,
            claim.envelope,
            claim.content,
            [o for o in outcomes if not isinstance(o, Defer)],
            claim.received_at,
            claim.message_id,
            claim.principal,
        )

        def work(db: apsw.Connection) -> None:
            insert_entry(db, entry, now)
            db.executemany("DELETE FROM recipient WHERE id=?", [(w.id,) for w in done])
            drop_finished(db, claim.message)

        await self.file.write(work)

    # --- reports
    async def claim_reports(self, worker: str, limit: int) -> list[OwedReport]:
        """Take reports to be submitted."""
        now = self._clock.timestamp()

        def work(db: apsw.Connection) -> list[OwedReport]:
            running_time(db, now)
            rows = db.execute(
                "UPDATE outbox SET claimed_by=?, due_at=? WHERE id IN"
                " (SELECT id FROM outbox WHERE due_at<=? ORDER BY id LIMIT ?) RETURNING id, report",
                (worker, now + CLAIM_SECONDS, now, limit),
            ).fetchall()
            return owed_reports(rows)

        if not await self.file.read(lambda db: is_due(db, "outbox WHERE due_at<=?", now)):
            return []
        return await self.file.write(work)

    async def reported(self, number: int) -> None:
        """A report was submitted durably under its key."""
        await self.file.write(lambda db: db.execute("DELETE FROM outbox WHERE id=?", (number,)) and None)

    async def report_later(self, number: int, delay_seconds: float) -> None:
        """A report could not be submitted now."""
        due = self._clock.timestamp() + delay_seconds
        await self.file.write(
            lambda db: db.execute("UPDATE outbox SET due_at=?, claimed_by='' WHERE id=?", (due, number)) and None
        )

    # --- for the journal
    async def forget_applied(self, segments: Iterable[int]) -> None:
        """Segments fell below the low-water mark: their records are never replayed again."""
        below = [(s,) for s in segments]
        old = self._clock.timestamp() - _KEEP_OWN_SECONDS

        def work(db: apsw.Connection) -> None:
            db.executemany("DELETE FROM applied WHERE segment=?", below)
            # our own messages' keys name no segment: they go when no journal can be that old
            db.execute("DELETE FROM applied WHERE segment<0 AND at<?", (old,))

        await self.file.write(work)

    async def live(self, segment: int) -> set[int]:
        """Records of a segment whose bodies are still needed."""
        return await self.file.read(
            lambda db: {
                row[0]
                for row in db.execute(
                    "SELECT blob_record FROM message WHERE blob_segment=?1"
                    " UNION SELECT blob_record FROM outbox WHERE blob_segment=?1",
                    (segment,),
                )
            }
        )

    # --- for back pressure and health
    async def length(self) -> int:
        """Recipients that wait."""
        return await self.file.read(lambda db: int(db.execute("SELECT count(*) FROM recipient").get))

    async def close(self) -> None:
        """Release the file."""
        self.file.close()
