"""A clock that leaps deletes nothing at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from postern.roles.retention_clock import RetentionClock

HOUR, DAY, YEAR = 3600.0, 86_400.0, 365 * 86_400.0


class Clock:
    def __init__(self) -> None:
        self.wall, self.running = 1_800_000_000.0, 50.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.wall, UTC)

    def timestamp(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.running

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.running += seconds


class Log:
    def __init__(self) -> None:
        self.leaps = 0

    def warning(self, event: str, **_: object) -> None:
        assert event == "clock.leapt"
        self.leaps += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_leap_forward_counts_after_a_day_also_over_restarts(tmp_path, clock: Clock) -> None:
    log = Log()
    kept = RetentionClock(tmp_path / "clock", clock, log)
    assert kept.now() == clock.wall
    before = clock.wall
    clock.wall += YEAR
    for hour in range(1, 13):
        clock.run(HOUR)
        assert kept.now() == before + hour * HOUR
    clock.running = 5.0  # the machine was started anew
    kept = RetentionClock(tmp_path / "clock", clock, log)
    for _ in range(11):
        clock.run(HOUR)
        assert kept.now() < before + DAY
    clock.run(HOUR)
    assert kept.now() == clock.wall
    assert log.leaps == 23


def test_a_mistake_that_is_put_right_is_forgotten(tmp_path, clock: Clock) -> None:
    kept = RetentionClock(tmp_path / "clock", clock, Log())
    kept.now()
    for _ in range(3):
        clock.wall += YEAR
        clock.run(20 * HOUR)
        kept.now()
        clock.wall -= YEAR
        clock.run(HOUR)
        assert kept.now() == clock.wall


def test_a_clock_that_is_set_back_is_followed(tmp_path, clock: Clock) -> None:
    kept = RetentionClock(tmp_path / "clock", clock, Log())
    kept.now()
    clock.wall -= DAY
    clock.run(HOUR)
    assert kept.now() == clock.wall


def test_a_damaged_file_is_as_none(tmp_path, clock: Clock) -> None:
    (tmp_path / "clock").write_bytes(b"rubbish")
    assert RetentionClock(tmp_path / "clock", clock, Log()).now() == clock.wall
