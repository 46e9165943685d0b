from __future__ import annotations

import pytest

from postern.model.refusal import Reason, Refusal
from postern.transport.pressure import Limits, Pressure
from postern.transport.schedule import Schedule


def test_each_limit_refuses_says_why_and_lets_go_lower() -> None:
    told: list[tuple[str, bool]] = []
    pressure = Pressure(Limits(100, 1000, 1.0), lambda why, on: told.append((why, on)))
    pressure.update(queue_recipients=100, free_bytes=1000, loop_lag_s=1.0)
    pressure.check()
    for measured, well, reason in (
        ({"queue_recipients": 101}, {"queue_recipients": 79}, Reason.TRY_LATER),
        ({"free_bytes": 999}, {"free_bytes": 1251}, Reason.DISK_FULL),
        ({"loop_lag_s": 1.1}, {"loop_lag_s": 0.7}, Reason.TRY_LATER),
    ):
        told.clear()
        pressure.update(**measured)
        pressure.update(**measured)
        with pytest.raises(Refusal) as caught:
            pressure.check()
        assert caught.value.reason is reason
        pressure.update(**{k: v * 0.9 if k != "free_bytes" else 1200 for k, v in measured.items()})
        with pytest.raises(Refusal):
            pressure.check()
        pressure.update(**well)
        pressure.check()
        assert [on for _, on in told] == [True, False]


def test_retries_grow_and_jitter_only_adds(entropy) -> None:
    schedule = Schedule((10, 20, 40), 50)
    assert [schedule.delay_seconds(n, entropy) for n in (1, 2, 3, 9)] == [10, 20, 40, 40]
    entropy.value = 10_000
    assert [schedule.delay_seconds(n, entropy) for n in (0, 1, 3)] == [15, 15, 60]
