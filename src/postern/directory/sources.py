"""Directories elsewhere, mirrored: their entries under their own anchors, and what became of them here.

A mirrored entry is projected into an account, contact or group once, when it changes, so that no look-up ever asks two
directories. Whoever has an address keeps it against sources of the same or lower precedence; what could not be had is
noted as a conflict and tried again with every change of the entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from postern.directory.mirrored import Conflict, Mirrored, Source, SourceEntry, SourceLink
from postern.directory.objects import Account, RecipientKind
from postern.directory.projection import Projection
from postern.model.ids import AccountId
from postern.model.refusal import Reason, Refusal


class SourceTables(Projection):
    """Which sources there are, and taking in what they say."""

    async def sources(self) -> Sequence[Source]:
        """Directories elsewhere, by precedence."""
        rows = self._rows(
            "SELECT name, kind, precedence, adopt, settings, state, synchronised_at FROM sources"
            " ORDER BY precedence, id"
        )
        return [Source(name, kind, rank, bool(adopt), *rest) for name, kind, rank, adopt, *rest in rows]

    async def put_source(self, source: Source) -> None:
        """Make or replace a source; its state and time of synchronisation stay."""
        if not source.name.strip():
            raise Refusal(Reason.BAD_NAME, "a source needs a name")
        with self._writing():
            self._db.execute(
                "INSERT INTO sources (name, kind, precedence, adopt, settings) VALUES (?1, ?2, ?3, ?4, ?5)"
                " ON CONFLICT (name) DO UPDATE SET kind = ?2, precedence = ?3, adopt = ?4, settings = ?5",
                (source.name, source.kind, source.precedence, int(source.adopt), source.settings),
            )

    async def delete_source(self, name: str) -> int:
        """Forget a source: what it had stays as our own."""
        with self._writing():
            number = self._source_number(name)
            self._db.execute("UPDATE objects SET source = 0 WHERE source = ?", (number,))
            kept = self._db.changes()
            self._db.execute("DELETE FROM sources WHERE id = ?", (number,))
        return kept

    def _source_number(self, name: str) -> int:
        row = self._row("SELECT id FROM sources WHERE name = ?", (name,))
        if row is None:
            known = ", ".join(name for (name,) in self._rows("SELECT name FROM sources ORDER BY name"))
            raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such source: {name}; known: {known or '-'}")
        return int(row[0])

    async def source_link(self, account: AccountId) -> SourceLink | None:
        """Where an account is mirrored from."""
        row = self._row(
            "SELECT s.name, m.anchor, m.dn FROM mirrored m JOIN sources s ON s.id = m.source WHERE m.object = ?",
            (account,),
        )
        if row is None:
            return None
        names = self._rows("SELECT name FROM login_names WHERE object = ? ORDER BY name", (account,))
        source, anchor, dn = row
        return SourceLink(source, anchor, dn, tuple(name for (name,) in names))

    async def by_anchor(self, source: str, anchor: str) -> Account | None:
        """The account that an entry of a source became."""
        row = self._row(
            "SELECT m.object FROM mirrored m JOIN sources s ON s.id = m.source WHERE s.name = ? AND m.anchor = ?",
            (source, anchor),
        )
        return self._account_numbered(row[0]) if row and row[0] is not None else None

    async def anchors(self, source: str) -> Sequence[str]:
        """Of the entries of a source that are mirrored now; not of disconnected accounts."""
        rows = self._rows(
            "SELECT m.anchor FROM mirrored m JOIN sources s ON s.id = m.source LEFT JOIN accounts a ON a.id = m.object"
            " WHERE s.name = ? AND a.removed_at IS NULL",
            (source,),
        )
        return [anchor for (anchor,) in rows]

    async def conflicts(self) -> Sequence[Conflict]:
        """Addresses that entries claim and others have."""
        rows = self._rows(
            "SELECT s.name, m.anchor, m.refused FROM mirrored m JOIN sources s ON s.id = m.source"
            " WHERE m.refused <> '' ORDER BY s.precedence, m.anchor"
        )
        found = []
        for source, anchor, refused in rows:
            for address in refused.split("\n"):
                holder = self._object_at(address)
                found.append(Conflict(source, anchor, address, holder[2] if holder else ""))
        return found

    # --- taking in
    async def mirror(
        self,
        source: str,
        entries: Sequence[SourceEntry] = (),
        *,
        removed: Sequence[str] = (),
        state: str | None = None,
        at: float | None = None,
        run: int | None = None,
    ) -> Mirrored:
        """Take in what is new in a source, and by anchor what is gone, in one transaction."""
        added: list[int] = []
        conflicts: list[Conflict] = []
        changed = gone = 0
        with self._writing():
            number = self._source_number(source)
            regroup: set[str] = set()
            # what leaves an address makes room for what takes it
            for anchor in removed:
                gone += self._remove(number, anchor)
            for entry in entries:
                outcome = self._take(number, entry, run, regroup)
                if outcome is None:
                    continue
                changed += not outcome.added
                if outcome.added and outcome.number is not None and entry.kind not in _WITHOUT_MAILBOX:
                    added.append(outcome.number)
                for address in outcome.refused:
                    holder = self._object_at(address)
                    conflicts.append(Conflict(source, entry.anchor, address, holder[2] if holder else ""))
            self._resolve_members(number, regroup)
            if state is not None:
                self._db.execute("UPDATE sources SET state = ? WHERE id = ?", (state, number))
            if at is not None:
                self._db.execute("UPDATE sources SET synchronised_at = ? WHERE id = ?", (at, number))
        accounts = tuple(account for n in added if (account := self._account_numbered(n)) is not None)
        return Mirrored(accounts, changed, gone, tuple(conflicts))

    async def finish_run(self, source: str, run: int) -> Mirrored:
        """After a full reading in several calls: whatever does not bear its mark is gone."""
        with self._writing():
            number = self._source_number(source)
            left = self._rows("SELECT anchor FROM mirrored WHERE source = ? AND run <> ?", (number, run))
            gone = sum(self._remove(number, anchor) for (anchor,) in left)
        return Mirrored(removed=gone)

    def _take(self, source: int, entry: SourceEntry, run: int | None, regroup: set[str]) -> Outcome | None:
        """One entry; None if nothing about it is new."""
        body = msgspec.json.encode(msgspec.structs.replace(entry, photo=None))
        digest = hashlib.sha256(body + (entry.photo or b"")).digest()
        row = self._row(
            "SELECT digest, object, refused, body, dn FROM mirrored WHERE source = ? AND anchor = ?",
            (source, entry.anchor),
        )
        if row is not None and row[0] == digest and not row[2]:
            if run is not None:
                self._db.execute(
                    "UPDATE mirrored SET run = ? WHERE source = ? AND anchor = ?", (run, source, entry.anchor)
                )
            return None
        before = msgspec.json.decode(row[3], type=SourceEntry) if row is not None and row[1] is not None else None
        number, refused = self._project(source, entry, before, row[1] if row else None)
        self._db.execute(
            "INSERT INTO mirrored (source, anchor, dn, object, run, digest, body, refused)"
            " VALUES (?1, ?2, ?3, ?4, ifnull(?5, 0), ?6, ?7, ?8) ON CONFLICT (source, anchor) DO UPDATE SET"
            " dn = ?3, object = ?4, run = ifnull(?5, run), digest = ?6, body = ?7, refused = ?8",
            (source, entry.anchor, entry.dn, number, run, digest, body.decode(), "\n".join(refused)),
        )
        self._note_members(source, entry, before, regroup, moved=row is None or row[4].lower() != entry.dn.lower())
        return Outcome(number, before is None and number is not None, refused)

    def _note_members(
        self, source: int, entry: SourceEntry, before: SourceEntry | None, regroup: set[str], *, moved: bool
    ) -> None:
        if entry.kind is RecipientKind.GROUP:
            regroup.add(entry.anchor)
            if before is None or before.members != entry.members:
                place = (source, entry.anchor)
                self._db.execute("DELETE FROM mirrored_members WHERE source = ? AND grp = ?", place)
                self._db.executemany(
                    "INSERT OR IGNORE INTO mirrored_members VALUES (?, ?, ?)",
                    [(*place, member) for member in entry.members],
                )
        if before is None or moved or before.address != entry.address:
            rows = self._rows(
                "SELECT grp FROM mirrored_members WHERE source = ? AND member IN (?, ?)",
                (source, entry.anchor, entry.dn),
            )
            regroup.update(group for (group,) in rows)


class Outcome(msgspec.Struct, frozen=True):
    """What became of an entry."""

    number: int | None
    added: bool
    refused: tuple[str, ...]


_WITHOUT_MAILBOX = frozenset({RecipientKind.CONTACT, RecipientKind.GROUP})
