"""An administrator's care for one mailbox file, beside the processes that have it open."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import apsw

from postern.model.refusal import Reason, Refusal
from postern.store.sqlite.connection import connect, rows, sync_directory, sync_wal, wal_path
from postern.store.sqlite.repairing import Rerender, recount, salvage
from postern.store.sqlite.snapshots import looks
from postern.store.sqlite.upkeep import BUSY_MS

_ATTEMPTS = 5


class Compacted(NamedTuple):
    """Octets of the file, and of what waits in its log to go there."""

    before: int
    after: int


class Repaired(NamedTuple):
    """What a repair did."""

    lost: tuple[str, ...]
    kept: Path | None
    """The damaged file; None if only counters were made anew."""


def compact(path: Path) -> Compacted:
    """Give unused pages back. In one write transaction: writers wait, readers go on. Raises apsw.Error."""
    with closing(connect(path, busy_ms=BUSY_MS)) as db:
        before = _octets(db)
        db.execute("PRAGMA synchronous = FULL")
        rows(db, "VACUUM")
        after = _octets(db)
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    sync_wal(path)
    return Compacted(before, after)


def _octets(db: apsw.Connection) -> int:
    """Size of the database as the connection sees it: much of a young file is in its log alone."""
    ((pages,),), ((octets,),) = rows(db, "PRAGMA page_count"), rows(db, "PRAGMA page_size")
    return int(pages) * int(octets)


def mend_counters(path: Path) -> None:
    """Counters, shares and orphans anew from the rows of a file that is whole. Raises apsw.Error."""
    with closing(connect(path, busy_ms=BUSY_MS)) as db:
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute("DELETE FROM contents WHERE id NOT IN (SELECT content FROM items)")
            db.execute("DELETE FROM shared")
            db.execute(
                "INSERT INTO shared SELECT content, count(*) - 1 FROM items GROUP BY content HAVING count(*) > 1"
            )
            recount(db)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
    sync_wal(path)


def repair(path: Path, now: int, rerender: Rerender, *, serving: Callable[[], bool]) -> Repaired:
    """Put a damaged file together anew and let it take the old one's place. `now`: seconds since the epoch.

    While a server runs the new content is written into the old file in one transaction, so that who has it open sees
    the one or the other. Raises apsw.Error, UnknownLayout if too much is lost; Refusal(TRY_LATER) if it cannot be
    done beside a running server.
    """
    kept = path.with_name(f"{path.name}.damaged-{now}")
    fresh = path.with_name(f".{path.name}.repaired")
    for _ in range(_ATTEMPTS):
        seen = looks(path)
        lost = salvage(path, fresh, now, rerender)
        _keep(path, kept)
        if not serving():
            for rest in (wal_path(path), path.with_name(path.name + "-shm")):
                rest.unlink(missing_ok=True)
            fresh.replace(path)
            sync_directory(path.parent)
        elif not _write_over(fresh, path, seen):
            continue
        for rest in (fresh, wal_path(fresh), fresh.with_name(fresh.name + "-shm")):
            rest.unlink(missing_ok=True)
        return Repaired(tuple(lost), kept)
    raise Refusal(Reason.TRY_LATER, f"{path.name} is written to all the time: stop the server and repair it then")


def _keep(path: Path, kept: Path) -> None:
    """The damaged file stays beside the new one."""
    for source, target in ((path, kept), (wal_path(path), wal_path(kept))):
        if source.exists():
            target.write_bytes(source.read_bytes())


def _write_over(fresh: Path, path: Path, seen: tuple[int, ...]) -> bool:
    """Write a file's content over another's; False if that was written to since it was `seen`."""
    try:
        with closing(connect(path, busy_ms=BUSY_MS)) as target, closing(connect(fresh)) as source:
            target.execute("PRAGMA synchronous = FULL")
            with target.backup("main", source, "main") as running:
                running.step(1)  # from here on nobody else can write
                if looks(path) != seen:
                    return False
                while not running.done:
                    running.step(-1)
    except apsw.Error as problem:
        raise Refusal(
            Reason.TRY_LATER, f"{path.name} is too damaged to be repaired beside a running server ({problem}): stop it"
        ) from problem
    sync_wal(path)
    return True
