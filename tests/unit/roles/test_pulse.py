from __future__ import annotations

import asyncio
import contextlib
import time

from postern.roles import pulse as pulses
from postern.roles.gauges import ServerMetrics
from postern.roles.pulse import STANDING, Pulse


async def test_one_pause_is_no_standing_lag_and_being_late_all_the_time_is(monkeypatch) -> None:
    monkeypatch.setattr(pulses, "INTERVAL_S", 0.01)
    pulse = Pulse(ServerMetrics([]))
    running = asyncio.create_task(pulse.run())
    await asyncio.sleep(0.03)
    time.sleep(0.15)  # the machine stands still once
    while pulse.lag_s < 0.1:
        await asyncio.sleep(0)
    assert pulse.standing_lag_s < 0.1
    for _ in range(STANDING):
        time.sleep(0.15)
        await asyncio.sleep(0.005)
        time.sleep(0.15)
        await asyncio.sleep(0.005)
    assert pulse.standing_lag_s > 0.1
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
