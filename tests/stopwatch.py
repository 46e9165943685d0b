"""How long something took on a machine that did not stand still meanwhile: for tests of what has to happen at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

TICK_S = 0.02


class Stopwatch:
    """A thread looks at the clock every tick; what is missing between two looks, nobody here had."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._stood_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        last = self._begun
        ended = False
        while not ended:
            ended = self._ended.wait(TICK_S)
            now = time.monotonic()
            self._stood_s += max(0.0, now - last - 2 * TICK_S)
            last = now

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        self.seconds = time.monotonic() - self._begun - self._stood_s


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """`seconds` are there after the block."""
    watch = Stopwatch()
    try:
        yield watch
    finally:
        watch.stop()
