"""Whether the event loop may wait for a sync by itself.

To hand a sync to a thread and to be told of its end costs two switches between threads that fight for the
interpreter's lock, and cold caches after each: more than a fast disk takes. So the loop syncs itself where the last
syncs were fast, and leaves it to a thread from the first slow one on, until as many as before were fast again. A disk
that becomes slow holds a loop up once in AFTER_SLOW_S.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

FAST_S = 0.0005
"""A loop may wait for so long: it is less than what else a command takes."""
SLOW_S = 0.002
"""A single sync that takes longer ends it."""
SHOWN = 8
"""So many fast ones in a row show that the disk is."""
AFTER_SLOW_S = 5.0
"""Nothing is shown for so long after a slow one."""
_WEIGHT = 0.1
"""Of the last sync in the average."""


class Pace:
    """How long the syncs of one process took lately. Any thread may tell it."""

    __slots__ = ("_average", "_in_a_row", "_not_before", "_now", "fast")

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        """`now`: seconds, monotonic."""
        self._now = now
        self._average = 0.0
        self._in_a_row = 0
        self._not_before = 0.0
        self.fast = False
        """Whether the loop may sync by itself."""

    def sync(self, work: Callable[[], None]) -> None:
        """Sync, and take the time."""
        began = self._now()
        work()
        now = self._now()
        self._took(now - began, now)

    def _took(self, seconds: float, now: float) -> None:
        if self.fast:
            self._average += (seconds - self._average) * _WEIGHT
            if seconds > SLOW_S or self._average > FAST_S:
                self.fast = False
                self._in_a_row = 0
                self._not_before = now + AFTER_SLOW_S
        elif seconds > FAST_S or now < self._not_before:
            self._in_a_row = 0
        else:
            self._in_a_row += 1
            if self._in_a_row >= SHOWN:
                self.fast = True
                self._average = seconds
