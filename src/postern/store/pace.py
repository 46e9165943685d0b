"""Whether the event loop may wait for a sync by itself.

To hand a sync to a thread and to be told of its end costs switches between threads that fight for the interpreter's
lock, and cold caches after each: beside a busy loop a thread waited 5 ms for what the disk did in one, and a flag
change took three times the CPU. So the loop syncs itself where the last syncs were fast, and leaves it to a thread for
a while from a slow one on: a tenth of a second at first, up to minutes where it is slow whenever the loop tries again.
What threads see says nothing of the disk, since they wait for the interpreter.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from time import perf_counter

FAST_S = 0.0015
"""A loop may wait for so long on an average: it is less than what a thread costs."""
SLOW_S = 0.004
"""A single sync that takes longer ends it."""
SHOWN = 32
"""So many fast ones since the last slow one show that it was an exception."""
PAUSE_S = 0.1
LONGEST_PAUSE_S = 300.0
"""Pauses double from one to the other where the disk is slow: then it holds a loop up once in minutes."""
_WEIGHT = 0.1
"""Of the last sync in the average."""
_WAITED = "/proc/thread-self/schedstat"
"""Of Linux; its second number is how long the thread was ready and another had the processor, in nanoseconds."""


class Processor:
    """How long the calling thread has waited for a processor; nothing where that is not known."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._known = True

    def waited(self) -> float:
        """Seconds since the thread began. Always from the same thread."""
        if self._fd is None:
            if not self._known:
                return 0.0
            try:
                self._fd = os.open(_WAITED, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                self._known = False
                return 0.0
            weakref.finalize(self, os.close, self._fd)
        return int(os.pread(self._fd, 80, 0).split()[1]) * 1e-9


class Pace:
    """How long the syncs of one loop took lately. Used from its thread only."""

    def __init__(self, now: Callable[[], float] = perf_counter, waited: Callable[[], float] | None = None) -> None:
        """`now`, `waited`: seconds, monotonic; what was spent waiting for a processor is not the disk's time."""
        self._now = now
        self._waited = Processor().waited if waited is None else waited
        self._waited_before = 0.0
        self._closely = SHOWN
        """For so many syncs more it is asked before each of them."""
        self._average = 0.0
        self._well = 0
        """Fast ones since the last slow one."""
        self._pause_s = PAUSE_S
        self._not_before = 0.0

    @property
    def fast(self) -> bool:
        """Whether the loop may sync by itself."""
        return self._now() >= self._not_before

    def sync(self, work: Callable[[], None]) -> None:
        """Sync in the loop, and take the time.

        How long the thread waited for a processor is asked only where that may decide, since the kernel takes a tenth
        of a sync to say it. Of a first sync that looks slow all is taken off that was waited since it was asked last,
        so that it may be excused wrongly; the next ones are then measured by themselves.
        """
        if self._closely:
            self._closely -= 1
            self._waited_before = self._waited()
        began = self._now()
        work()
        now = self._now()
        seconds = now - began
        if seconds > FAST_S:
            before, self._waited_before = self._waited_before, self._waited()
            seconds = max(seconds - (self._waited_before - before), 0.0)
            self._closely = SHOWN
        self._took(seconds, now)

    def _took(self, seconds: float, now: float) -> None:
        if self._well:
            self._average += (seconds - self._average) * _WEIGHT
        else:
            self._average = seconds
        if seconds <= SLOW_S and self._average <= FAST_S:
            self._well += 1
            return
        self._pause_s = PAUSE_S if self._well >= SHOWN else min(self._pause_s * 2, LONGEST_PAUSE_S)
        self._well = 0
        self._not_before = now + self._pause_s
