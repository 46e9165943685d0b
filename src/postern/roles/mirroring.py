"""Directories elsewhere in the background process: each is synchronised again and again while it is a source."""

from __future__ import annotations

import asyncio
from pathlib import Path

from postern.directory.interface import Directory, Source
from postern.ldapsource.controllers import Controllers
from postern.ldapsource.failures import SourceFailure
from postern.ldapsource.locating import Services
from postern.ldapsource.settings import read
from postern.ldapsource.synchronising import Report, Synchroniser
from postern.model.ports import Clock, Entropy
from postern.model.refusal import Reason, Refusal
from postern.telemetry import log

KINDS = frozenset({"ad", "ldap"})
LOOK_EVERY_S = 3.0
"""How soon a source that was joined, changed or left is noticed."""


class Mirroring:
    """All sources of an organisation. One per background process."""

    def __init__(self, directory: Directory, resolver: Services, clock: Clock, entropy: Entropy, data: Path) -> None:
        self._directory = directory
        self._resolver = resolver
        self._clock = clock
        self._entropy = entropy
        self._data = data
        self._log = log.logger(process="background")

    async def run(self) -> None:
        """Until cancelled."""
        running: dict[str, tuple[tuple[str, str], asyncio.Task[None]]] = {}
        try:
            while True:
                try:
                    sources = {one.name: one for one in await self._directory.sources() if one.kind in KINDS}
                except Refusal as refusal:
                    self._log.warning("sources.unknown", reason=str(refusal))
                    sources = {}
                for name, (facts, task) in list(running.items()):
                    if name not in sources or facts != (sources[name].kind, sources[name].settings) or task.done():
                        task.cancel()
                        del running[name]
                for name, source in sources.items():
                    if name not in running:
                        task = asyncio.create_task(self._keep(source))
                        running[name] = ((source.kind, source.settings), task)
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            for _, task in running.values():
                task.cancel()

    async def _keep(self, source: Source) -> None:
        """Synchronise one source for ever."""
        try:
            settings = read(source.settings)
        except Refusal as refusal:
            self._log.error("source.unusable", source=source.name, reason=str(refusal))
            await asyncio.Event().wait()
            return
        synchroniser = self.synchroniser(source)
        while True:
            try:
                self._done(await synchroniser.run())
            except SourceFailure as failure:
                self._log.info("source.failed", source=source.name, reason=str(failure))
            except Refusal as refusal:
                if refusal.reason is not Reason.IN_USE:
                    self._log.warning("source.refused", source=source.name, reason=str(refusal))
            except Exception as error:  # one source must not end the others' care
                self._log.error("source.failed", source=source.name, exc_info=error)
            await asyncio.sleep(settings.interval_s)

    def synchroniser(self, source: Source) -> Synchroniser:
        """For one source. Raises Refusal(BAD_VALUE)."""
        controllers = Controllers(read(source.settings), self._resolver, self._clock, self._entropy)
        return Synchroniser(self._directory, source, controllers, self._clock, self._data)

    def _done(self, report: Report) -> None:
        if report.full or report.added or report.changed or report.removed or report.conflicts or report.faulty:
            self._log.info(
                "source.synchronised",
                source=report.source,
                controller=report.controller,
                full=report.full,
                read=report.read,
                added=report.added,
                changed=report.changed,
                removed=report.removed,
                conflicts=len(report.conflicts),
                faulty=report.faulty,
                seconds=round(report.seconds, 3),
            )
