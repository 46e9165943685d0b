"""The time by which old things are deleted for good, which does not believe a sudden leap of the clock.

A clock that is set forward by mistake (a dead battery, a wrong time server) would make everything old at once: what
people could still recover, and all logs. A leap counts after a day in which the server has run with it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import msgspec

from postern.backup.packs import write_durably
from postern.model.ports import Clock

FILE = "retention-clock"
"""In the data directory."""
LEAP_S = 86_400.0
"""How far the clock may be ahead of what has gone by; a server that was down for so long waits as well."""
PATIENCE_S = 86_400.0
"""How long the server has to have run with a leap until it is believed."""


class _State(msgspec.Struct):
    believed_at: float
    """Seconds since the epoch."""
    ahead_s: float
    """For how long the clock has been ahead of that while the server ran."""


class RetentionClock:
    """Of the background process. Reads and writes a small file: blocks."""

    def __init__(self, path: Path, clock: Clock, log: Any) -> None:
        self._path = path
        self._clock = clock
        self._log = log
        self._looked = clock.monotonic()
        try:
            self._state = msgspec.json.decode(path.read_bytes(), type=_State)
        except (OSError, msgspec.MsgspecError):
            self._state = _State(clock.timestamp(), 0.0)

    def now(self) -> float:
        """Seconds since the epoch; behind the clock while its leap is not believed. Call it every few hours."""
        wall, looked = self._clock.timestamp(), self._clock.monotonic()
        ran, self._looked = looked - self._looked, looked
        gone_by = self._state.believed_at + ran
        leapt = wall > gone_by + LEAP_S
        ahead_s = self._state.ahead_s + ran if leapt else 0.0
        believed = not leapt or ahead_s >= PATIENCE_S
        if not believed:
            self._log.warning(
                "clock.leapt", ahead_s=round(wall - gone_by), believed_in_s=round(PATIENCE_S - ahead_s),
                text="nothing is deleted for its age until then: is the time of this machine right?",
            )  # fmt: skip
        self._state = _State(wall, 0.0) if believed else _State(gone_by, ahead_s)
        self._save()
        return self._state.believed_at

    def _save(self) -> None:
        with contextlib.suppress(OSError):  # a full disk: it is looked at again in an hour
            write_durably(self._path, msgspec.json.encode(self._state))
