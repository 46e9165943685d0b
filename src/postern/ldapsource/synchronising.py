"""One synchronisation of a source: read from the best controller, taken in batch by batch, the state last."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from postern.directory.mirrored import Conflict, Mirrored, Source, SourceEntry
from postern.ldapsource.active_directory import ActiveDirectory
from postern.ldapsource.connection import Connection
from postern.ldapsource.controllers import Controllers
from postern.ldapsource.failures import SourceFailure, Unavailable
from postern.ldapsource.other_ldap import OtherLdap
from postern.ldapsource.reading import Batch, Memory, Reader
from postern.ldapsource.settings import SourceSettings, State, read, state_of
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal

GONE_SHARE = 0.3
"""A reading that finds more than this share of all entries gone (and more than GONE_FEW) is not believed."""
GONE_FEW = 20
SLICE = 100
"""Entries in a transaction: others who write to the directory wait no longer."""
_FAULTY = frozenset({Reason.BAD_NAME, Reason.BAD_VALUE, Reason.TOO_LARGE, Reason.ALREADY_EXISTS, Reason.CONFLICT})

_log = logging.getLogger(__name__)


class Mirror(Protocol):
    """The directory, as far as it is needed."""

    async def anchors(self, source: str) -> Sequence[str]:
        """Of entries that are mirrored now."""
        ...

    async def sources(self) -> Sequence[Source]:
        """All of them."""
        ...

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
        """Take in what is new, and what is gone."""
        ...

    async def finish_run(self, source: str, run: int) -> Mirrored:
        """What does not bear the mark is gone."""
        ...


class Report(msgspec.Struct, kw_only=True):
    """What a synchronisation did."""

    source: str
    controller: str = ""
    full: bool = False
    by_dirsync: bool = False
    read: int = 0
    """Entries that the controller handed over."""
    added: int = 0
    """New accounts; their mailboxes are made when the first mail comes or somebody signs in."""
    changed: int = 0
    removed: int = 0
    conflicts: list[Conflict] = []
    faulty: int = 0
    """Entries that could not be taken in; the log says why."""
    references: int = 0
    """How often the controller referred to other servers: nobody was followed."""
    seconds: float = 0.0


class Suspicious(SourceFailure):
    """So much is gone that it is more likely a mistake (rights, filter, base) than the truth."""


class Synchroniser:
    """Brings one source up to date. One per source and process."""

    def __init__(self, directory: Mirror, source: Source, controllers: Controllers, clock: Clock, data: Path) -> None:
        self.source = source
        self.controllers = controllers
        self._directory = directory
        self._clock = clock
        self._lock = data / f"source-{lock_name(source.name)}.lock"

    async def run(
        self, *, full: bool = False, force: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> Report:
        """Synchronise; `force` believes even that nearly everything is gone. `progress(entries, of about)`.

        Raises SourceFailure, which is also noted in the source's state; Refusal(IN_USE) while another process does it.
        """
        async with _alone(self._lock, self.source.name):
            settings = self.controllers.settings
            source = next((one for one in await self._directory.sources() if one.name == self.source.name), self.source)
            state = state_of(source.state, settings)
            begun = self._clock.monotonic()
            try:
                report = await self._tried(state, full=full, force=force, progress=progress or _silent)
            except SourceFailure as failure:
                await self._note(state, str(failure))
                raise
            report.seconds = self._clock.monotonic() - begun
            return report

    async def _tried(self, state: State, *, full: bool, force: bool, progress: Callable[[int, int], None]) -> Report:
        """With another controller if one breaks off."""
        while True:
            connection = await self.controllers.connect()
            try:
                await self.controllers.find_site(connection)
                return await self._read(connection, state, full=full, force=force, progress=progress)
            except Unavailable as failure:
                self.controllers.failed(connection.controller, str(failure))
                if not await self.controllers.any_well():
                    raise
                _log.warning("%s: another controller is asked: %s", self.source.name, failure)
            finally:
                connection.close()

    async def _read(
        self,
        connection: Connection,
        state: State,
        *,
        full: bool,
        force: bool,
        progress: Callable[[int, int], None],
    ) -> Report:
        now = self._clock.timestamp()
        known = frozenset(await self._directory.anchors(self.source.name))
        memory = Memory(state, known, now, full)
        kind = ActiveDirectory if self.source.kind == "ad" else OtherLdap
        side = await self.controllers.connect()
        try:
            reader: Reader = await kind.begin(connection, side, self.controllers.settings, memory)
            report = Report(source=self.source.name, full=reader.full)
            run = state.run + 1 if reader.full else None
            missing = set(known) if reader.full else set()
            async for batch in reader.batches():
                missing.difference_update(entry.anchor for entry in batch.entries)
                self._believe(len(batch.removed), len(known), force=force)
                await self._take(batch, run, report)
                progress(report.read, len(known))
            if run is not None:
                self._believe(len(missing), len(known), force=force)
                report.removed += (await self._directory.finish_run(self.source.name, run)).removed
            after = reader.after()
            report.by_dirsync = reader.by_dirsync
            report.controller, report.references = after.controller, connection.references
            text = msgspec.json.encode(after).decode()
            await self._directory.mirror(self.source.name, state=text, at=now)
            return report
        finally:
            side.close()

    def _believe(self, gone: int, known: int, *, force: bool) -> None:
        if force or gone <= GONE_FEW or gone <= known * GONE_SHARE:
            return
        raise Suspicious(
            f"{gone} of {known} entries would be gone: nothing was removed. Look at the service account's rights, the"
            " filter and the base; if it is true, `postern directory sync --force`"
        )

    async def _take(self, batch: Batch, run: int | None, report: Report) -> None:
        report.read += len(batch.entries)
        for start in range(0, max(len(batch.entries), len(batch.removed)), SLICE):
            entries, removed = batch.entries[start : start + SLICE], batch.removed[start : start + SLICE]
            try:
                done = [await self._directory.mirror(self.source.name, entries, removed=removed, run=run)]
            except Refusal as refusal:
                if refusal.reason not in _FAULTY:
                    raise
                done = [await self._directory.mirror(self.source.name, removed=removed, run=run)]
                done += await self._one_by_one(entries, run, report)
            for mirrored in done:
                report.added += len(mirrored.added)
                report.changed += mirrored.changed
                report.removed += mirrored.removed
                report.conflicts += mirrored.conflicts
            await asyncio.sleep(0)

    async def _one_by_one(self, entries: Sequence[SourceEntry], run: int | None, report: Report) -> list[Mirrored]:
        """One that cannot be taken in must not keep others out."""
        done = []
        for entry in entries:
            try:
                done.append(await self._directory.mirror(self.source.name, [entry], run=run))
            except Refusal as refusal:
                if refusal.reason not in _FAULTY:
                    raise
                report.faulty += 1
                _log.warning("%s: %s is left out: %s", self.source.name, entry.dn, refusal)
        return done

    async def _note(self, state: State, error: str) -> None:
        if state.error != error:
            _log.warning("%s is not synchronised: %s", self.source.name, error)
        noted = msgspec.structs.replace(state, error=error, tried_at=self._clock.timestamp())
        await self._directory.mirror(self.source.name, state=msgspec.json.encode(noted).decode())


def of_source(source: Source) -> tuple[SourceSettings, State]:
    """Settings and state of a source. Raises Refusal(BAD_VALUE)."""
    settings = read(source.settings)
    return settings, state_of(source.state, settings)


def lock_name(name: str) -> str:
    """A source's name as part of a file name."""
    return "".join(char if char.isalnum() or char in "-." else "_" for char in name)[:100]


@asynccontextmanager
async def _alone(path: Path, name: str) -> AsyncIterator[None]:
    """One process at a time synchronises a source. Raises Refusal(IN_USE)."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as busy:
            raise Refusal(Reason.IN_USE, f"{name} is being synchronised by another process") from busy
        yield
    finally:
        os.close(descriptor)


def _silent(_entries: int, _about: int) -> None:
    """Nobody looks on."""
