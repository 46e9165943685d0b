"""Times of free/busy as a zone's clock reads them, and that writing many keeps nobody waiting."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.frontends.ews.availability import Clock, _events
from postern.model.calendar.appointment import Busy
from postern.model.calendar.blocks import Block, Details
from postern.model.calendar.zones import UTC_ZONE, Changeover, Zone, ZoneRule, to_wall
from postern.services.calendar.freebusy import at

_ODD = ZoneRule(2020, 210, 271, Changeover(10, 5, 0, second_of_day=9001), Changeover(3, 2, 3, second_of_day=1801))
ZONES = (
    Zone("Europe/Berlin"), Zone("Asia/Kolkata"), Zone("Australia/Lord_Howe"), Zone("America/St_Johns"),
    Zone("Africa/Casablanca"), UTC_ZONE, Zone("Odd", (_ODD,)),
)  # fmt: skip


def read(seconds: int, zone: Zone) -> str:
    wall = to_wall(at(seconds), zone)
    return wall.isoformat(timespec="seconds")


@settings(max_examples=200)
@given(
    st.sampled_from(ZONES),
    st.one_of(
        st.integers(1_770_000_000, 1_800_000_000),
        st.integers(-62_135_596_800, 253_402_300_799),
        st.sampled_from((-62_135_596_800, 253_402_300_799, 1_774_746_000, 1_792_890_000)),
    ),
    st.lists(st.integers(-7200, 7200), max_size=20),
)
def test_each_time_is_what_the_clock_reads(zone, seconds, near):
    clock = Clock(zone)
    for one in (seconds, *(seconds + step for step in near)):
        if -62_135_596_800 <= one <= 253_402_300_799:
            assert clock[one] == clock[one] == read(one, zone)


@pytest.mark.parametrize("zone", ZONES, ids=lambda zone: zone.id)
def test_every_five_minutes_of_days_on_which_clocks_change(zone):
    clock = Clock(zone)
    # end of March, beginning of April, October, November of 2026
    for day in (1_774_656_000, 1_775_260_800, 1_792_800_000, 1_793_404_800):
        for seconds in range(day, day + 2 * 86400, 299):
            assert clock[seconds] == read(seconds, zone)


async def test_others_have_their_turn_between():
    details = Details("Plan <1>", "", "u", True, False, False, False, False)
    blocks = [Block(1_793_000_000 + n * 60, 1_793_000_030 + n * 60, Busy.BUSY, details) for n in range(1000)]
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(other())
    written = await _events(blocks, Clock(UTC_ZONE), "Detailed")
    waiting.cancel()
    assert turns >= 7
    assert written.count("<t:CalendarEvent>") == written.count("<t:Subject>Plan &lt;1&gt;</t:Subject>") == 1000
    assert "CalendarEventDetails" not in await _events(blocks, Clock(UTC_ZONE), "FreeBusy")
