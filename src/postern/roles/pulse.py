"""A process's sign of life: loop lag, memory, open connections, once a second."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from postern.roles.gauges import ServerMetrics
from postern.telemetry import log

INTERVAL_S = 0.25
REPORT_EVERY = 4
"""Intervals between two reports to the metrics table."""
ALARM_S = 0.25
"""A loop that is later than this is worth a line in the log."""
DECAY = 0.9
"""Of the lag shown, at each interval: what a peak is worth later."""
STANDING = 4
"""Measurements in a row that must all be late before mail is put off: a pause of the machine is not overload."""


class Pulse:
    """Measures the loop it runs in."""

    def __init__(self, metrics: ServerMetrics, also: Callable[[], None] | None = None) -> None:
        """`also` is called with each report, to set gauges."""
        self._metrics = metrics
        self._also = also
        self.lag_s = 0.0
        """The worst lag of this loop lately, for the eye."""
        self._lags: deque[float] = deque([0.0] * STANDING, maxlen=STANDING)
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")

    @property
    def standing_lag_s(self) -> float:
        """How late the loop has been all the time lately (the least of the last measurements), for back pressure."""
        return min(self._lags)

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        count = 0
        while True:
            due = loop.time() + INTERVAL_S
            await asyncio.sleep(INTERVAL_S)
            lag = max(0.0, loop.time() - due)
            self.lag_s = max(lag, self.lag_s * DECAY)
            self._lags.append(lag)
            self._metrics.lag.observe(lag)
            if lag > ALARM_S:
                log.logger().warning("loop.late", lag_s=round(lag, 3))
            count += 1
            if count % REPORT_EVERY == 0:
                self.report()

    def report(self) -> None:
        """Set this process's gauges."""
        self._metrics.heartbeat.set(time.monotonic())
        self._metrics.processes.set(1)
        self._metrics.lag_now.set(self.lag_s)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self._metrics.resident.set(pages * self._page_bytes)
        if self._also is not None:
            self._also()
