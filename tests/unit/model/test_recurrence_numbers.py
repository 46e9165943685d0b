"""Patterns against python-dateutil, which finds its dates by another way: it walks, we calculate."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import islice

import msgspec
import pytest
from dateutil import rrule as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.model.calendar.recurrence import (
    EVERY_DAY,
    WEEKEND,
    WORKDAYS,
    Kind,
    Nth,
    Pattern,
    Recurrence,
    Weekday,
    check,
)
from postern.model.calendar.series import day_of, days_between, first_day, is_occurrence, last_day, occurrence_count
from postern.model.refusal import Refusal

DATEUTIL_DAYS = (oracle.SU, oracle.MO, oracle.TU, oracle.WE, oracle.TH, oracle.FR, oracle.SA)


def walked(recurrence: Recurrence) -> oracle.rrule:
    pattern = recurrence.pattern
    given: dict = {"interval": pattern.interval, "dtstart": datetime.combine(recurrence.start, datetime.min.time())}
    days = [DATEUTIL_DAYS[bit] for bit in range(7) if pattern.days & (1 << bit)]
    frequency = {"daily": oracle.DAILY, "weekly": oracle.WEEKLY, "monthly": oracle.MONTHLY, "yearly": oracle.YEARLY}
    if pattern.kind is Kind.WEEKLY:
        given |= {"byweekday": days, "wkst": DATEUTIL_DAYS[pattern.first_day]}
    elif pattern.days:
        given |= {"byweekday": days, "bysetpos": -1 if pattern.nth is Nth.LAST else int(pattern.nth)}
    elif pattern.day_of_month > 28:
        given |= {"bymonthday": list(range(28, pattern.day_of_month + 1)), "bysetpos": -1}
    elif pattern.day_of_month:
        given |= {"bymonthday": pattern.day_of_month}
    if pattern.month:
        given |= {"bymonth": pattern.month}
    if recurrence.count is not None:
        given |= {"count": recurrence.count}
    elif recurrence.until is not None:
        given |= {"until": datetime.combine(recurrence.until, datetime.min.time())}
    return oracle.rrule(frequency[pattern.kind.unit], **given)


INTERVALS = st.integers(1, 30) | st.integers(1, 3)
YEARS, MONTHS, DAYS = st.integers(1, 9), st.integers(1, 12), st.integers(1, 31)
MASKS = st.integers(1, 127).map(Weekday)
PATTERNS = st.one_of(
    st.builds(Pattern, st.just(Kind.DAILY), INTERVALS),
    st.builds(Pattern, st.just(Kind.WEEKLY), INTERVALS, MASKS, st.integers(0, 6)),
    st.builds(Pattern, st.just(Kind.ABSOLUTE_MONTHLY), INTERVALS, day_of_month=st.integers(1, 31)),
    st.builds(Pattern, st.just(Kind.RELATIVE_MONTHLY), INTERVALS, MASKS, nth=st.sampled_from(Nth)),
    st.builds(
        Pattern,
        st.just(Kind.ABSOLUTE_YEARLY),
        st.integers(1, 9),
        day_of_month=st.integers(1, 31),
        month=st.integers(1, 12),
    ),
    st.builds(
        Pattern,
        st.just(Kind.RELATIVE_YEARLY),
        st.integers(1, 9),
        MASKS,
        nth=st.sampled_from(Nth),
        month=st.integers(1, 12),
    ),
)
STARTS = st.dates(date(1, 1, 1), date(9990, 1, 1)) | st.dates(date(1999, 12, 1), date(2030, 1, 1))
SERIES = st.builds(Recurrence, PATTERNS, STARTS)


@settings(max_examples=150, deadline=None)
@given(SERIES)
def test_every_number_has_the_day_that_a_walk_finds(recurrence: Recurrence) -> None:
    expected = [at.date() for at in islice(walked(recurrence), 25)]
    assert [day_of(recurrence, number) for number in range(len(expected))] == expected


@settings(max_examples=150, deadline=None)
@given(SERIES, st.integers(0, 60), st.integers(0, 400))
def test_a_window_shows_what_a_walk_passes(recurrence: Recurrence, skip: int, length: int) -> None:
    low = day_of(recurrence, skip) or recurrence.start
    low = date.fromordinal(min(low.toordinal() + length % 3, date.max.toordinal()))
    high = date.fromordinal(min(low.toordinal() + length, date.max.toordinal()))
    midnight = datetime.min.time()
    expected = walked(recurrence).between(datetime.combine(low, midnight), datetime.combine(high, midnight), inc=True)
    assert list(days_between(recurrence, low, high)) == [at.date() for at in expected]


@settings(max_examples=100, deadline=None)
@given(SERIES, st.integers(1, 200))
def test_ends_by_number_and_by_date_are_the_same_end(recurrence: Recurrence, count: int) -> None:
    by_number = msgspec.structs.replace(recurrence, count=count)
    last = last_day(by_number)
    if last is None:  # beyond the year 9999
        return
    by_date = msgspec.structs.replace(recurrence, until=last)
    assert last_day(by_date) == last
    assert occurrence_count(by_date) == count
    assert not is_occurrence(by_number, last + timedelta(days=1)) if last < date.max else True


NAMED = [
    (Pattern(Kind.DAILY), date(2024, 2, 28)),
    (Pattern(Kind.DAILY, 999), date(1, 1, 1)),
    (Pattern(Kind.DAILY, 3), date(9999, 12, 20)),
    (Pattern(Kind.WEEKLY, 1, WORKDAYS), date(2026, 11, 28)),
    (Pattern(Kind.WEEKLY, 2, Weekday.SUNDAY | Weekday.MONDAY, 1), date(2026, 1, 4)),
    (Pattern(Kind.WEEKLY, 2, Weekday.SUNDAY | Weekday.MONDAY, 0), date(2026, 1, 4)),
    (Pattern(Kind.WEEKLY, 99, EVERY_DAY, 3), date(1, 1, 1)),
    (Pattern(Kind.WEEKLY, 1, Weekday.SATURDAY, 6), date(9999, 12, 1)),
    (Pattern(Kind.ABSOLUTE_MONTHLY, 1, day_of_month=31), date(2026, 1, 31)),
    (Pattern(Kind.ABSOLUTE_MONTHLY, 1, day_of_month=30), date(2024, 1, 30)),
    (Pattern(Kind.ABSOLUTE_MONTHLY, 2, day_of_month=29), date(2025, 12, 29)),
    (Pattern(Kind.ABSOLUTE_MONTHLY, 5, day_of_month=1), date(2025, 12, 2)),
    (Pattern(Kind.RELATIVE_MONTHLY, 1, WORKDAYS, nth=Nth.LAST), date(2026, 2, 1)),
    (Pattern(Kind.RELATIVE_MONTHLY, 1, WEEKEND, nth=Nth.FIRST), date(2026, 2, 1)),
    (Pattern(Kind.RELATIVE_MONTHLY, 1, EVERY_DAY, nth=Nth.LAST), date(2024, 2, 10)),
    (Pattern(Kind.RELATIVE_MONTHLY, 3, Weekday.TUESDAY, nth=Nth.FOURTH), date(1999, 12, 31)),
    (Pattern(Kind.ABSOLUTE_YEARLY, 1, day_of_month=29, month=2), date(2024, 2, 29)),
    (Pattern(Kind.ABSOLUTE_YEARLY, 4, day_of_month=29, month=2), date(2023, 1, 1)),
    (Pattern(Kind.ABSOLUTE_YEARLY, 1, day_of_month=29, month=2), date(1896, 3, 1)),
    (Pattern(Kind.ABSOLUTE_YEARLY, 3, day_of_month=31, month=12), date(9980, 1, 1)),
    (Pattern(Kind.RELATIVE_YEARLY, 1, Weekday.THURSDAY, nth=Nth.FOURTH, month=11), date(2026, 11, 27)),
    (Pattern(Kind.RELATIVE_YEARLY, 2, Weekday.MONDAY, nth=Nth.LAST, month=5), date(1, 6, 1)),
]


@pytest.mark.parametrize(("pattern", "start"), NAMED, ids=str)
def test_odd_corners(pattern: Pattern, start: date) -> None:
    recurrence = Recurrence(pattern, start)
    expected = [at.date() for at in islice(walked(recurrence), 40)]
    assert [day for number in range(40) if (day := day_of(recurrence, number)) is not None] == expected


def test_a_regenerating_task_is_there_once() -> None:
    recurrence = Recurrence(Pattern(Kind.WEEKLY_REGENERATION, 2), date(2026, 5, 1))
    assert list(days_between(recurrence, date(1, 1, 1), date(9999, 12, 31))) == [date(2026, 5, 1)]


@pytest.mark.parametrize(
    "bad",
    [
        Recurrence(Pattern(Kind.DAILY, 0), date(2026, 1, 1)),
        Recurrence(Pattern(Kind.DAILY, 1000), date(2026, 1, 1)),
        Recurrence(Pattern(Kind.DAILY, -1), date(2026, 1, 1)),
        Recurrence(Pattern(Kind.WEEKLY, 1), date(2026, 1, 1)),
        Recurrence(Pattern(Kind.WEEKLY, 100, WORKDAYS), date(2026, 1, 1)),
        Recurrence(Pattern(Kind.WEEKLY, 1, Weekday(128)), date(2026, 1, 1)),
        Recurrence(Pattern(Kind.WEEKLY, 1, WORKDAYS, 7), date(2026, 1, 1)),
        Recurrence(Pattern(Kind.ABSOLUTE_MONTHLY, 1), date(2026, 1, 1)),
        Recurrence(Pattern(Kind.ABSOLUTE_MONTHLY, 1, day_of_month=32), date(2026, 1, 1)),
        Recurrence(Pattern(Kind.RELATIVE_MONTHLY, 1), date(2026, 1, 1)),
        Recurrence(Pattern(Kind.ABSOLUTE_YEARLY, 1, day_of_month=1, month=13), date(2026, 1, 1)),
        Recurrence(Pattern(Kind.RELATIVE_YEARLY, 1, WORKDAYS), date(2026, 1, 1)),
        Recurrence(Pattern(Kind.DAILY), date(2026, 1, 1), count=0),
        Recurrence(Pattern(Kind.DAILY), date(2026, 1, 1), count=1000),
        Recurrence(Pattern(Kind.DAILY), date(2026, 1, 1), count=2, until=date(2026, 1, 2)),
        Recurrence(Pattern(Kind.DAILY), date(2026, 1, 2), until=date(2026, 1, 1)),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(bad: Recurrence) -> None:
    with pytest.raises(Refusal):
        check(bad)


def test_a_series_may_have_no_occurrence_at_all() -> None:
    never = Recurrence(Pattern(Kind.WEEKLY, 1, Weekday.SUNDAY), date(2026, 11, 30), until=date(2026, 12, 1))
    assert first_day(never) is None
    assert occurrence_count(never) == 0
    assert last_day(never) is None
