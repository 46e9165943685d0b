"""Free/busy, suggestions and rooms."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from operator import attrgetter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.convert.appointments import span_of
from postern.model.calendar.appointment import Appointment, Attendee, Busy, Person, Role, Sensitivity, State
from postern.model.calendar.blocks import Block
from postern.model.calendar.recurrence import Kind, Nth, Pattern, Recurrence, Weekday
from postern.model.calendar.views import with_deleted, with_modified
from postern.model.calendar.zones import FLOATING, UTC_ZONE, Zone
from postern.model.ids import Uid
from postern.model.refusal import Refusal
from postern.model.rights import ROLES, FolderRight
from postern.services.calendar.booking import Automation, BookingPolicy, Cause, Outcome, decide
from postern.services.calendar.freebusy import (
    Detail,
    WorkingHours,
    blocks,
    check_window,
    detail_of,
    in_order,
    joined,
    merged,
    times,
    view_of,
)
from postern.services.calendar.suggestions import Invited, Options, Quality, suggest

MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
NOW = MONDAY - timedelta(days=2)
BERLIN = Zone("Europe/Berlin")
BOB = Person("bob@example.org", "Bob")


def at(hour: float, day: int = 0) -> datetime:
    return MONDAY + timedelta(days=day, hours=hour)


def event(start: float, end: float, busy: Busy = Busy.BUSY, **more: object) -> Appointment:
    return Appointment(uid=f"{start}-{end}", start=at(start), end=at(end), busy=busy, subject="secret", **more)


def block(start: float, end: float, busy: Busy = Busy.BUSY) -> Block:
    return Block(int(at(start).timestamp()), int(at(end).timestamp()), busy, None)


def test_the_merged_view_has_the_busiest_of_each_interval() -> None:
    found = [block(1, 2, Busy.TENTATIVE), block(1.5, 3), block(2.75, 3.25, Busy.OUT_OF_OFFICE), block(4, 5, Busy.FREE)]
    found.append(block(0, 6, Busy.WORKING_ELSEWHERE))
    assert merged(found, at(0), at(6), 30) == "441223344444"
    assert merged(found, at(0), at(6), 60) == "423344"
    assert merged([block(1, 2)], at(0), at(3), 60) == "020"
    assert merged([], at(0), at(3), 60) == "000"
    assert merged([block(0, 1)], at(0), at(0) + timedelta(milliseconds=1)) == ""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-100, 800), st.integers(0, 300), st.sampled_from(Busy)), max_size=12),
    st.sampled_from([5, 15, 30, 60]),
)
def test_the_merged_view_is_what_a_slow_count_gives(given_blocks: list, interval: int) -> None:
    order = [Busy.FREE, Busy.WORKING_ELSEWHERE, Busy.TENTATIVE, Busy.BUSY, Busy.OUT_OF_OFFICE]
    found = [block(minute / 60, (minute + length) / 60, busy) for minute, length, busy in given_blocks]
    view = merged(found, at(0), at(12), interval)
    for slot, digit in enumerate(view):
        low, high = slot * interval, (slot + 1) * interval
        hits = [busy for minute, length, busy in given_blocks if length and minute < high and minute + length > low]
        assert int(digit) == max(hits, key=order.index, default=Busy.FREE)


def test_rights_decide_what_is_seen() -> None:
    assert detail_of(FolderRight(0)) is Detail.NOTHING
    assert detail_of(FolderRight.FREEBUSY_SIMPLE) is Detail.TIMES
    assert detail_of(FolderRight.FREEBUSY_DETAILED | FolderRight.FREEBUSY_SIMPLE) is Detail.SUBJECTS
    assert detail_of(ROLES["reviewer"]) is Detail.ALL
    items = [event(1, 2), event(3, 4, sensitivity=Sensitivity.PRIVATE), event(5, 6, Busy.FREE)]
    assert blocks(items, at(0), at(24), UTC_ZONE, Detail.NOTHING) == []
    assert all(each.details is None for each in blocks(items, at(0), at(24), UTC_ZONE, Detail.TIMES))
    seen = blocks(items, at(0), at(24), UTC_ZONE, Detail.SUBJECTS)
    assert [each.details.subject for each in seen if each.details] == ["secret", "", "secret"]


def test_a_cancelled_meeting_is_free() -> None:
    assert blocks([event(1, 2, state=State.MEETING | State.CANCELED)], at(0), at(24), UTC_ZONE) == []


def test_windows_that_nobody_answers_for() -> None:
    for start, end, interval in ((at(0), at(0), 30), (at(0), at(0, 90), 30), (at(0), at(1), 4), (at(0), at(1), 1441)):
        with pytest.raises(Refusal):
            check_window(start, end, interval)


def test_joined_blocks_have_no_overlap() -> None:
    assert joined([block(1, 2), block(1.5, 3), block(3, 4), block(2, 5, Busy.TENTATIVE)]) == [
        block(1, 4),
        block(2, 5, Busy.TENTATIVE),
    ]


def test_suggestions_have_the_documented_qualities() -> None:
    hours = WorkingHours(UTC_ZONE)
    people = [Invited([block(8, 12)])] + [Invited([]) for _number in range(3)]
    (day,) = suggest(people, MONDAY.date(), 1, hours, UTC_ZONE, Options(max_by_day=48, minimum=Quality.POOR))
    by_start = {each.start: each for each in day.suggestions}
    assert by_start[at(9)].quality is Quality.GOOD  # 75 % = 50 + 25
    assert by_start[at(13)].quality is Quality.EXCELLENT
    assert by_start[at(9)].conflicts == (Busy.BUSY, Busy.FREE, Busy.FREE, Busy.FREE)
    assert day.suggestions[0].start == at(12)
    assert at(17) not in by_start and at(7) not in by_start
    half = [Invited([block(0, 24)]), Invited([])]
    (day,) = suggest(half, MONDAY.date(), 1, hours, UTC_ZONE, Options())
    assert day.quality is Quality.FAIR
    optional = [Invited([block(0, 24)], Role.OPTIONAL), Invited(None)]
    (day,) = suggest(optional, MONDAY.date(), 1, hours, UTC_ZONE, Options())
    assert day.quality is Quality.EXCELLENT
    assert day.suggestions[0].conflicts == (Busy.BUSY, None)
    (saturday,) = suggest([], date(2026, 12, 5), 1, hours, UTC_ZONE, Options())
    assert saturday.suggestions == ()
    with pytest.raises(Refusal):
        suggest([], MONDAY.date(), 1, hours, UTC_ZONE, Options(good_threshold=50))


def series(count: int | None = 10, **more: object) -> Appointment:
    weekly = Recurrence(Pattern(Kind.WEEKLY, days=Weekday.MONDAY), MONDAY.date(), count)
    return msgspec.structs.replace(event(9, 10, organizer=BOB, attendees=(Attendee(BOB),)), recurrence=weekly, **more)


def room(*taken: Block):  # type: ignore[no-untyped-def]
    return lambda _start, _end: list(taken)


def test_a_room_takes_what_fits_and_says_why_it_does_not() -> None:
    policy = BookingPolicy()
    request = event(9, 10, organizer=BOB)
    taken = decide(policy, request, room(block(9.5, 11)), NOW, BERLIN)
    assert (taken.outcome, taken.causes) == (Outcome.DECLINE, (Cause.CONFLICT,))
    free = decide(policy, request, room(block(10, 11), block(8, 9), block(9, 10, Busy.FREE)), NOW, BERLIN)
    assert free.outcome is Outcome.ACCEPT
    assert free.item is not None and free.item.subject == "Bob"
    cases = [
        (policy, msgspec.structs.replace(request, end=at(40)), Cause.TOO_LONG),
        (policy, msgspec.structs.replace(request, start=at(0, 300), end=at(1, 300)), Cause.TOO_FAR),
        (policy, msgspec.structs.replace(request, start=at(0, -9), end=at(1, -9)), Cause.IN_THE_PAST),
        (BookingPolicy(only_during_work_hours=True), event(20, 21, organizer=BOB), Cause.OUTSIDE_HOURS),
        (BookingPolicy(allow_recurring=False), series(), Cause.RECURRING),
        (policy, series(None), Cause.ENDLESS),
        (policy, series(99), Cause.TOO_FAR),
        (BookingPolicy(all_book_in_policy=False), request, Cause.NOT_ALLOWED),
    ]
    for given_policy, wanted, cause in cases:
        decision = decide(given_policy, wanted, room(), NOW, BERLIN)
        assert (decision.outcome, decision.causes) == (Outcome.DECLINE, (cause,))
    assert decide(policy, request, room(), NOW, BERLIN, internal=False).causes == (Cause.EXTERNAL,)
    assert decide(BookingPolicy(Automation.NONE), request, room(), NOW, BERLIN).outcome is Outcome.IGNORE


def test_a_series_may_have_a_few_conflicts() -> None:
    taken = block(9 + 7 * 24, 10 + 7 * 24)
    assert decide(BookingPolicy(), series(), room(taken), NOW, BERLIN).outcome is Outcome.DECLINE
    lenient = BookingPolicy(conflict_percentage_allowed=10, maximum_conflict_instances=1)
    decision = decide(lenient, series(), room(taken), NOW, BERLIN)
    assert decision.outcome is Outcome.ACCEPT
    assert [each.start for each in decision.declined] == [at(9, 7)]
    twice = room(taken, block(9 + 14 * 24, 10 + 14 * 24))
    assert decide(lenient, series(), twice, NOW, BERLIN).outcome is Outcome.DECLINE


def test_who_may_book_who_may_ask_and_delegates() -> None:
    request = event(9, 10, organizer=BOB)
    closed = BookingPolicy(all_book_in_policy=False, delegates=frozenset({"chief@example.org"}))
    named = msgspec.structs.replace(closed, book_in_policy=frozenset({"bob@example.org"}))
    assert decide(named, request, room(), NOW, BERLIN).outcome is Outcome.ACCEPT
    asks = msgspec.structs.replace(closed, request_in_policy=frozenset({"bob@example.org"}))
    decision = decide(asks, request, room(), NOW, BERLIN)
    assert (decision.outcome, decision.forward_to) == (Outcome.PENDING, ("chief@example.org",))
    assert decision.item is not None and decision.item.busy is Busy.TENTATIVE
    long = msgspec.structs.replace(request, end=at(60))
    assert decide(asks, long, room(), NOW, BERLIN).outcome is Outcome.DECLINE
    out = msgspec.structs.replace(closed, request_out_of_policy=frozenset({"bob@example.org"}))
    assert decide(out, long, room(), NOW, BERLIN).outcome is Outcome.PENDING
    chief = msgspec.structs.replace(long, organizer=Person("Chief@example.org"))
    assert decide(closed, chief, room(), NOW, BERLIN).outcome is Outcome.ACCEPT
    assert decide(closed, chief, room(block(9, 10)), NOW, BERLIN).outcome is Outcome.DECLINE


ZONES = st.sampled_from([UTC_ZONE, BERLIN, Zone("America/New_York"), Zone("Asia/Kathmandu"), FLOATING])
PATTERNS = st.one_of(
    st.builds(Pattern, st.just(Kind.DAILY), st.integers(1, 9)),
    st.builds(Pattern, st.just(Kind.WEEKLY), st.integers(1, 3), st.integers(1, 127).map(Weekday), st.integers(0, 6)),
    st.builds(Pattern, st.just(Kind.ABSOLUTE_MONTHLY), st.integers(1, 2), day_of_month=st.integers(1, 31)),
    st.builds(Pattern, st.just(Kind.RELATIVE_MONTHLY), days=st.integers(1, 127).map(Weekday), nth=st.sampled_from(Nth)),
)


@st.composite
def appointments(draw: st.DrawFn) -> Appointment:
    start = NOW + timedelta(minutes=draw(st.integers(-60 * 24 * 200, 60 * 24 * 60)))
    item = Appointment(
        uid="one",
        start=start,
        end=start + timedelta(minutes=draw(st.sampled_from([0, 30, 90, 1440, 4000]))),
        zone=draw(ZONES),
        busy=draw(st.sampled_from(Busy)),
        state=draw(st.sampled_from([State.NONE, State.MEETING | State.CANCELED])),
    )
    if not draw(st.booleans()):
        return item
    ends = draw(st.sampled_from([{}, {"count": 5}, {"until": start.date() + timedelta(days=40)}]))
    item = msgspec.structs.replace(item, recurrence=Recurrence(draw(PATTERNS), start.date(), **ends))
    for days in draw(st.lists(st.integers(0, 30), max_size=3)):
        item = with_deleted(item, start.date() + timedelta(days=days))
    for days in draw(st.lists(st.integers(0, 30), max_size=2)):
        moved = msgspec.structs.replace(
            item, start=start + timedelta(days=days, hours=1), end=start + timedelta(days=days, hours=3),
            busy=draw(st.sampled_from(Busy)), recurrence=None, deleted=(), modified=(),
        )  # fmt: skip
        item = with_modified(item, start.date() + timedelta(days=days), moved)
    return item


def test_an_exception_of_a_series_without_regular_days_is_there() -> None:
    never = Recurrence(Pattern(Kind.ABSOLUTE_MONTHLY, 2, day_of_month=8), date(2026, 11, 28), until=date(2027, 1, 7))
    start = datetime(2026, 11, 28, tzinfo=UTC)
    series = Appointment(uid="one", start=start, end=start, zone=UTC_ZONE, busy=Busy.FREE, recurrence=never)
    day = start + timedelta(days=1, hours=1)
    moved = msgspec.structs.replace(
        series, start=day, end=day + timedelta(hours=2), busy=Busy.TENTATIVE, recurrence=None
    )
    item = with_modified(series, day.date(), moved)
    span = span_of(item, UTC_ZONE)
    assert (span.starts_at, span.ends_at) == (int(start.timestamp()), int(day.timestamp()) + 7200)
    rows = [(Uid(1), span.starts_at, span.ends_at, span.busy)]
    found = times(rows, day - timedelta(hours=1), day + timedelta(hours=23), UTC_ZONE)
    assert [(block.start, block.busy) for each in found for block in each.blocks] == [
        (int(day.timestamp()), Busy.TENTATIVE)
    ]


@settings(max_examples=300, deadline=None)
@given(appointments(), ZONES.filter(lambda zone: not zone.floating), st.integers(-60, 60), st.integers(1, 62))
def test_what_is_kept_for_free_busy_says_what_the_item_says(
    item: Appointment, viewer: Zone, first: int, days: int
) -> None:
    start = NOW + timedelta(days=first)
    end = start + timedelta(days=days)
    span = span_of(item, BERLIN)
    assert span.busy
    met = span.starts_at < end.timestamp() and span.ends_at > start.timestamp()
    rows = [(Uid(1), span.starts_at, span.ends_at, span.busy)] if met else []
    expected = blocks([item], start, end, viewer)
    found = times(rows, start, end, viewer)
    assert in_order(block for each in found for block in each.blocks) == expected
    assert view_of(found, start, end) == merged(expected, start, end)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(appointments(), max_size=6),
    ZONES.filter(lambda zone: not zone.floating),
    st.integers(-60, 60),
    st.integers(1, 62),
    st.sampled_from([5, 15, 30, 45, 60, 1440]),
)
def test_the_view_of_series_is_that_of_their_blocks(
    items: list[Appointment], viewer: Zone, first: int, days: int, interval: int
) -> None:
    start = NOW + timedelta(days=first, minutes=7)
    end = start + timedelta(days=days, minutes=11)
    rows = [(Uid(1), span.starts_at, span.ends_at, span.busy) for span in (span_of(item, BERLIN) for item in items)]
    met = [row for row in rows if row[1] < end.timestamp() and row[2] > start.timestamp()]
    found = times(met, start, end, viewer)
    expected = [block for item in items for block in blocks([item], start, end, viewer)]
    assert view_of(found, start, end, interval) == merged(expected, start, end, interval)
    order = attrgetter("start", "end", "busy")
    assert sorted((block for each in found for block in each.blocks), key=order) == sorted(expected, key=order)


def test_what_lies_at_the_edges_of_the_calendar_is_read() -> None:
    early = datetime(2, 1, 1, tzinfo=UTC)
    assert span_of(Appointment(uid="x", start=early, end=early + timedelta(hours=1)), UTC_ZONE).busy == b""
    for damaged in (b"\xff\xff", b"\x05"):
        with pytest.raises(ValueError):
            times([(Uid(1), 0, 10**10, damaged)], at(0), at(24), UTC_ZONE)
