"""Whether a mailbox file is whole, and agrees with itself and with the bodies it refers to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import apsw

from postern.store.sqlite.connection import connect, rows
from postern.store.sqlite.schema import UnknownLayout, check
from postern.store.sqlite.upkeep import BUSY_MS

LISTED = 20
"""Findings of one kind that are listed one by one."""

Resolves = Callable[[int, int], bool]
"""Segment and record -> whether a body is there."""


class Finding(NamedTuple):
    """Something that is wrong. `kind` is one of KINDS."""

    kind: str
    detail: str


KINDS = ("unreadable", "damaged", "counters", "no-body", "no-content", "no-item", "shares", "numbers")


class Verified(NamedTuple):
    """What was looked at, and what is wrong."""

    items: int
    bodies: int
    findings: tuple[Finding, ...]


def verify(path: Path, resolves: Resolves) -> Verified:
    """One state of the file, beside readers and writers. Blocks. Never raises for what is wrong with the file."""
    findings: list[Finding] = []
    items = bodies = 0
    try:
        with closing(connect(path, busy_ms=BUSY_MS)) as db:
            check(db)
            db.execute("BEGIN")
            damage = [row[0] for row in rows(db, f"PRAGMA integrity_check({LISTED})")]
            findings += [Finding("damaged", str(one)) for one in damage if one != "ok"]
            ((items,),) = rows(db, "SELECT count(*) FROM items")
            for kind, statement in _QUESTIONS:
                found = rows(db, f"{statement} LIMIT {LISTED + 1}")
                findings += [Finding(kind, " ".join(map(str, row))) for row in found[:LISTED]]
                if len(found) > LISTED:
                    findings.append(Finding(kind, "..."))
            bodies = _follow(db, resolves, findings)
            db.execute("COMMIT")
    except (apsw.Error, UnknownLayout) as problem:
        findings.append(Finding("unreadable", str(problem)))
    return Verified(items, bodies, tuple(findings))


_QUESTIONS = (
    (
        "counters",
        "SELECT 'folder ' || c.id, c.messages || '/' || count(i.uid),"
        " c.unseen || '/' || coalesce(sum(NOT i.flags & 1), 0),"
        " c.deleted || '/' || coalesce(sum(i.flags & 8 != 0), 0), c.size_bytes || '/' || coalesce(sum(i.size), 0)"
        " FROM counters c LEFT JOIN items i ON i.folder = c.id WHERE c.id != 0 GROUP BY c.id"
        " HAVING c.messages != count(i.uid) OR c.unseen != coalesce(sum(NOT i.flags & 1), 0)"
        " OR c.deleted != coalesce(sum(i.flags & 8 != 0), 0) OR c.size_bytes != coalesce(sum(i.size), 0)",
    ),
    (
        "counters",
        "SELECT 'octets', c.size_bytes || '/' || t.size FROM counters c,"
        " (SELECT coalesce(sum(size), 0) AS size FROM items"
        " WHERE folder NOT IN (SELECT id FROM folders WHERE special = 'recoverable')) t"
        " WHERE c.id = 0 AND c.size_bytes != t.size",
    ),
    (
        "no-content",
        "SELECT 'folder ' || i.folder, 'UID ' || i.uid FROM items i LEFT JOIN contents c ON c.id = i.content"
        " WHERE c.id IS NULL",
    ),
    ("no-item", "SELECT 'content ' || id FROM contents WHERE id NOT IN (SELECT content FROM items)"),
    (
        "no-item",
        "SELECT 'folder ' || i.folder, 'UID ' || i.uid FROM items i"
        " WHERE abs(i.folder) NOT IN (SELECT id FROM folders)",
    ),
    (
        "shares",
        "SELECT 'content ' || t.content, coalesce(s.others, 0) || '/' || t.n FROM"
        " (SELECT content, count(*) - 1 AS n FROM items GROUP BY content) t LEFT JOIN shared s ON s.content = t.content"
        " WHERE coalesce(s.others, 0) != t.n",
    ),
    (
        "numbers",
        "SELECT 'UID ' || max(uid), 'next ' || (SELECT uid_next FROM counters WHERE id = 0) FROM items"
        " HAVING max(uid) >= (SELECT uid_next FROM counters WHERE id = 0)",
    ),
    (
        "numbers",
        "SELECT 'MODSEQ ' || max(modseq), 'last ' || (SELECT changed FROM counters WHERE id = 0) FROM items"
        " HAVING max(modseq) > (SELECT changed FROM counters WHERE id = 0)",
    ),
    (
        "numbers",
        "SELECT 'ceilings', s.id_safe, s.change_safe FROM state s, counters c WHERE c.id = 0"
        " AND (c.uid_next > s.id_safe + 1 OR c.changed > s.change_safe)",
    ),
)


def _follow(db: apsw.Connection, resolves: Resolves, findings: list[Finding]) -> int:
    """Look for every body that items and attachments refer to; how many there are."""
    count = missing = 0
    statement = (
        "SELECT segment, record, min(folder), min(uid) FROM items WHERE segment != 0 GROUP BY segment, record"
        " UNION ALL SELECT segment, record, 0, content FROM attachments WHERE segment != 0 ORDER BY 1, 2"
    )
    for segment, record, folder, uid in db.execute(statement):
        count += 1
        if not resolves(segment, record):
            missing += 1
            if missing <= LISTED:
                where = f"folder {folder} UID {uid}" if folder else f"attachment of content {uid}"
                findings.append(Finding("no-body", f"{where}: {segment:x}.{record:x}"))
    if missing > LISTED:
        findings.append(Finding("no-body", f"... {missing} in all"))
    return count
