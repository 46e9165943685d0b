"""Lines of JSON in one file per day and process: written without waiting, read back whether a server runs or not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from postern.model.ports import Clock

FLUSH_BYTES = 64 * 1024
FLUSH_SECONDS = 1.0
SUFFIX = ".jsonl"
_DAY_S = 86400


class DailyLines:
    """Writes lines. One per process; must be used from one loop or thread. A crash loses up to a second of them."""

    def __init__(self, directory: Path, clock: Clock, process: str) -> None:
        self._directory = directory
        self._clock = clock
        self._process = process
        self._buffer = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._file = -1
        self._until = 0.0
        self._waiting = 0
        self.lost = 0
        """Lines that could not be written (disk full); for metrics."""

    def append(self, line: bytes) -> None:
        """Add a line, given without its end."""
        self._buffer += line
        self._buffer += b"\n"
        self._waiting += 1
        if len(self._buffer) >= FLUSH_BYTES:
            self.flush()
        elif self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
            except RuntimeError:
                # no loop: a command-line tool, which closes this when it is done
                return

    def flush(self) -> None:
        """Write what is buffered. A full disk loses lines, nothing else."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._buffer:
            return
        try:
            self._open()
            os.write(self._file, self._buffer)
        except OSError:
            self.lost += self._waiting
        self._buffer.clear()
        self._waiting = 0

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        now = self._clock.timestamp()
        if self._file >= 0 and self._until - _DAY_S <= now < self._until:
            return
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._directory.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self._directory / f"{day(now)}.{self._process}{SUFFIX}", flags, 0o640)
        self._until = (now // _DAY_S + 1) * _DAY_S


def day(at: float) -> str:
    """The UTC day that a file is named by."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def files(directory: Path, since: float | None, until: float | None = None) -> list[Path]:
    """Files of the days from one moment to another, the oldest first."""
    first = "" if since is None else day(since)
    last = "9" if until is None else day(until)
    return sorted(p for p in directory.glob("*" + SUFFIX) if first <= p.name[:10] <= last)


def lines(paths: list[Path], needles: tuple[bytes, ...] = ()) -> Iterator[bytes]:
    """Lines that contain all needles, which are in small letters; the last one may be torn by a crash."""
    for path in paths:
        with path.open("rb") as opened:
            for line in opened:
                if needles:
                    lowered = line.lower()
                    if not all(needle in lowered for needle in needles):
                        continue
                yield line


def prune(directory: Path, now: float, days: int) -> int:
    """Remove files of days that are too old; how many."""
    oldest = day(now - days * _DAY_S)
    removed = 0
    for path in directory.glob("*" + SUFFIX):
        if path.name[:10] < oldest:
            path.unlink(missing_ok=True)
            removed += 1
    return removed
