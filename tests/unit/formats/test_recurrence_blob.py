"""MAPI's recurrence in binary form."""

from __future__ import annotations

import contextlib
from datetime import date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.formats.recurrence_blob import Blob, ExceptionInfo, read_blob, write_blob
from postern.model.calendar.recurrence import Kind, Nth, Pattern, Recurrence, Weekday
from postern.model.calendar.series import first_day
from postern.model.refusal import ProtocolViolation

START = date(2026, 3, 2)
PATTERNS = [
    Pattern(Kind.DAILY, 3),
    Pattern(Kind.WEEKLY, 2, Weekday.MONDAY | Weekday.FRIDAY, 1),
    Pattern(Kind.ABSOLUTE_MONTHLY, 1, day_of_month=31),
    Pattern(Kind.RELATIVE_MONTHLY, 2, Weekday.SUNDAY, nth=Nth.LAST),
    Pattern(Kind.ABSOLUTE_YEARLY, 1, day_of_month=15, month=3),
    Pattern(Kind.RELATIVE_YEARLY, 1, Weekday.MONDAY, nth=Nth.FIRST, month=3),
    Pattern(Kind.MONTHLY_REGENERATION, 2),
]
ENDS = [{}, {"count": 7}, {"until": date(2027, 6, 30)}]
MOVED = ExceptionInfo(
    datetime(2026, 3, 9, 15), datetime(2026, 3, 9, 16), datetime(2026, 3, 9, 9), "Собрание", "Hall", busy=3, all_day=0
)


@pytest.mark.parametrize("end", ENDS, ids=str)
@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_a_series_comes_back_as_it_was(pattern: Pattern, end: dict) -> None:
    if pattern.kind.regeneration and end:
        return
    recurrence = Recurrence(pattern, START, **end)
    blob = Blob(recurrence, 540, 600, (date(2026, 3, 16),), (MOVED,))
    again = read_blob(write_blob(blob))
    assert again.exceptions == blob.exceptions
    assert (again.deleted, again.start_minute, again.end_minute) == (blob.deleted, 540, 600)
    assert again.recurrence.pattern == pattern
    assert (again.recurrence.start, again.recurrence.count) == (first_day(recurrence), recurrence.count)
    assert first_day(again.recurrence) == first_day(recurrence)


def test_the_octets_of_a_weekly_series() -> None:
    """Fields by hand from MS-OXOCAL 2.2.1.44.1: Monday, Wednesday and Friday, twelve times, from 26 March 2007."""
    days = Weekday.MONDAY | Weekday.WEDNESDAY | Weekday.FRIDAY
    raw = write_blob(Blob(Recurrence(Pattern(Kind.WEEKLY, 1, days), date(2007, 3, 26), 12), 600, 630))
    minutes = (date(2007, 3, 26) - date(1601, 1, 1)).days * 1440
    last = (date(2007, 4, 20) - date(1601, 1, 1)).days * 1440
    assert raw[:10] == bytes.fromhex("04300430 0b20 0100 0000")
    assert int.from_bytes(raw[10:14], "little") == 8640  # the first Sunday of 1601 is the 7th
    assert raw[14:34] == bytes.fromhex("01000000 00000000 2a000000 22200000 0c000000")
    assert raw[46:54] == minutes.to_bytes(4, "little") + last.to_bytes(4, "little")
    assert raw[54:] == bytes.fromhex("06300000 09300000 58020000 76020000 0000 00000000 00000000")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 60))
def test_broken_octets_are_refused_and_nothing_else(noise: bytes, cut: int) -> None:
    whole = write_blob(Blob(Recurrence(PATTERNS[1], START), 540, 600, (), (MOVED,)))
    for data in (noise, whole[:cut], whole[:cut] + noise, whole[: len(whole) - cut] + noise):
        with contextlib.suppress(ProtocolViolation):
            read_blob(data)
