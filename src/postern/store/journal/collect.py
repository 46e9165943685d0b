"""Garbage collection of segments: dead bodies are freed, references stay valid.

A body is dead when its record is below its journal's low-water mark (so nobody will apply it any more) and no mailbox
and no queue entry refers to it: they are asked, counters prove nothing. They are asked again just before a segment is
replaced, because a reference may have wandered from a mailbox that was not asked yet to one that had been. Whoever
copies references and could take longer than one round of asking (a backup, a repair) holds a pin meanwhile.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

from postern.store import failpoints
from postern.store.journal.files import Files
from postern.store.journal.layout import bodies, body_path, journals, mark_path, pins_directory, segment_path, segments
from postern.store.journal.marks import MarkState, read_mark
from postern.store.journal.records import journal_of, scan_records
from postern.store.journal.replay import read_index, write_sealed

Live = Callable[[Sequence[int]], Awaitable[Mapping[int, set[int]]]]
"""Segments -> record numbers that anything refers to, by segment. It must raise rather than leave a mailbox out."""

_ROUND = 64
"""Segments for which everybody is asked at once."""
_LOCK_ATTEMPTS = 20


class Collected(NamedTuple):
    """What one run did."""

    examined: int
    rewritten: int
    removed: int
    freed_bytes: int


class Collector:
    """Frees dead bodies. One at a time in a data directory (background process)."""

    def __init__(
        self,
        directory: Path,
        live: Sequence[Live],
        files: Files | None = None,
        dead_share: float = 0.1,
        rested_before: float = 0.0,
    ) -> None:
        """`live`: the store's and the queue's answers.

        Segments below `dead_share` of dead octets are left alone, unless they were last written before `rested_before`
        (seconds since the epoch): so each is rewritten for a few bodies once in that time at most.
        """
        self._directory = directory
        self._live = live
        self._files = files or Files()
        self._dead_share = dead_share
        self._rested_before = rested_before

    async def collect(self) -> Collected:
        """One run over all segments below the low-water marks; does nothing while there is a pin."""
        loop = asyncio.get_running_loop()
        candidates = await loop.run_in_executor(None, collectable, self._directory)
        examined = rewritten = removed = freed = 0
        for start in range(0, len(candidates), _ROUND):
            numbers = candidates[start : start + _ROUND]
            if is_pinned(self._directory):
                break
            live = await self._ask(numbers)
            failpoints.hit("gc.nominated")
            victims = await loop.run_in_executor(None, self._worth_it, numbers, live)
            if victims:
                again = await self._ask(victims)
                if is_pinned(self._directory):
                    break
                for number in victims:
                    keep = live[number] | again[number]
                    freed += await loop.run_in_executor(None, self._replace, number, keep)
                    rewritten += bool(keep)
                    removed += not keep
            examined += len(numbers)
        await loop.run_in_executor(None, self._forget_marks)
        return Collected(examined, rewritten, removed, freed)

    async def _ask(self, numbers: Sequence[int]) -> dict[int, set[int]]:
        found: dict[int, set[int]] = {number: set() for number in numbers}
        for live in self._live:
            for number, records in (await live(numbers)).items():
                if number in found:
                    found[number] |= records
        return found

    def _worth_it(self, numbers: Sequence[int], live: Mapping[int, set[int]]) -> list[int]:
        spooled: dict[int, set[int]] = {}
        for number, record in bodies(self._directory):
            spooled.setdefault(number, set()).add(record)
        victims = []
        for number in numbers:
            keep = live[number]
            if not keep or spooled.get(number, keep) - keep:
                victims.append(number)
                continue
            entries = read_index(self._directory, number)
            if entries is None:
                continue
            lengths = entries[1::2]
            own = spooled.get(number, set())
            total = sum(lengths) - sum(lengths[record] for record in own if record < len(lengths))
            alive = sum(lengths[record] for record in keep if record < len(lengths) and record not in own)
            dead = total - alive
            if dead > self._dead_share * total or (dead > 0 and self._has_rested(number)):
                victims.append(number)
        return victims

    def _has_rested(self, number: int) -> bool:
        try:
            return segment_path(self._directory, number).stat().st_mtime < self._rested_before
        except FileNotFoundError:
            return False

    def _replace(self, number: int, keep: set[int]) -> int:
        path = segment_path(self._directory, number)
        before = path.stat().st_size if path.exists() else 0
        after = 0
        if not keep:
            self._files.unlink(path)
        elif before:
            data = memoryview(path.read_bytes())
            heads = [head for head in scan_records(data, number) if head.record in keep]
            if len(heads) != len(keep):
                # a damaged record, or a reference to none: for `verify` to report, not to be freed
                return 0
            after = write_sealed(self._directory, number, data, heads, self._files)
        failpoints.hit("gc.replaced")
        for segment, record in bodies(self._directory):
            if segment == number and record not in keep:
                body = body_path(self._directory, segment, record)
                before += body.stat().st_size
                self._files.unlink(body)
        self._files.sync_directory(self._directory)
        failpoints.hit("gc.removed")
        return before - after

    def _forget_marks(self) -> None:
        present = {journal_of(number) for number in segments(self._directory)}
        present |= {journal_of(number) for number, _ in bodies(self._directory)}
        for journal in journals(self._directory):
            if journal not in present and read_mark(self._directory, journal).closed:
                self._files.unlink(mark_path(self._directory, journal))


def collectable(directory: Path) -> list[int]:
    """Numbers of segments (also of those with nothing but spooled bodies left) that are wholly below their marks."""
    numbers = sorted({*segments(directory), *(segment for segment, _ in bodies(directory))})
    marks = {journal: read_mark(directory, journal) for journal in {journal_of(number) for number in numbers}}
    return [n for n in numbers if (mark := marks[journal_of(n)]).closed or n < mark.segment]


def finished_segments(directory: Path, mark: MarkState, journal: int) -> list[int]:
    """A journal's segments below its mark: their keys need not be remembered as applied any more."""
    return [n for n in segments(directory, journal) if mark.closed or n < mark.segment]


def is_pinned(directory: Path) -> bool:
    """Whether anybody holds a pin. A pin whose holder died counts for nothing."""
    pins = pins_directory(directory)
    if not pins.is_dir():
        return False
    for path in pins.iterdir():
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


@contextmanager
def held(directory: Path, name: str) -> Iterator[None]:
    """Hold garbage collection off, and the forgetting of applied keys. `name` (a file name) says for what.

    Raises BlockingIOError if there is a pin of that name: two holders need two names.
    """
    pins = pins_directory(directory)
    pins.mkdir(exist_ok=True)
    descriptor = os.open(pins / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        _lock(descriptor)
        try:
            yield
        finally:
            (pins / name).unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Whoever looks whether there is a pin has its lock for a moment."""
    for attempt in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt == _LOCK_ATTEMPTS - 1:
                raise
            time.sleep(0.01)
        else:
            return


@asynccontextmanager
async def pin(directory: Path, name: str) -> AsyncIterator[None]:
    """The same for code in an event loop."""
    with held(directory, name):
        yield
