"""What the calendar engine costs: a month of 1 000 series, free/busy and suggestions for 100 people over six weeks.

Run: python -m benchmarks.calendar_engine
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import perf_counter, process_time

from postern.convert.ical.reading import read_calendar
from postern.convert.ical.writing import write_calendar
from postern.model.calendar.appointment import Appointment
from postern.model.calendar.recurrence import WORKDAYS, Kind, Nth, Pattern, Recurrence, Weekday
from postern.model.calendar.views import occurrences
from postern.model.calendar.zones import Zone
from postern.services.calendar.freebusy import WorkingHours, blocks, merged
from postern.services.calendar.suggestions import Invited, Options, suggest

ZONES = [Zone("Europe/Berlin"), Zone("America/New_York"), Zone("Asia/Tokyo")]
NOW = datetime(2026, 11, 2, tzinfo=UTC)
PATTERNS = [
    Pattern(Kind.WEEKLY, days=Weekday.MONDAY),
    Pattern(Kind.WEEKLY, 2, days=Weekday.TUESDAY | Weekday.THURSDAY),
    Pattern(Kind.DAILY),
    Pattern(Kind.WEEKLY, days=WORKDAYS),
    Pattern(Kind.RELATIVE_MONTHLY, days=Weekday.FRIDAY, nth=Nth.LAST),
    Pattern(Kind.ABSOLUTE_YEARLY, day_of_month=12, month=11),
]


def series(number: int) -> Appointment:
    """One that began between 1990 and 2020."""
    start = datetime(1990 + number % 30, 1 + number % 12, 1 + number % 28, 6 + number % 10, tzinfo=UTC)
    return Appointment(
        uid=str(number),
        start=start,
        end=start + timedelta(minutes=45),
        zone=ZONES[number % 3],
        subject="Status",
        recurrence=Recurrence(PATTERNS[number % len(PATTERNS)], start.date()),
    )


def single(number: int) -> Appointment:
    start = NOW + timedelta(days=number % 42, hours=8 + number % 9)
    return Appointment(uid=f"s{number}", start=start, end=start + timedelta(hours=1), zone=ZONES[number % 3])


def measured(name: str, work) -> None:  # type: ignore[no-untyped-def]
    work()
    cpu, wall = process_time(), perf_counter()
    what = work()
    print(f"{name}: {(process_time() - cpu) * 1000:.1f} ms CPU, {(perf_counter() - wall) * 1000:.1f} ms, {what}")


def main() -> None:
    items = [series(number) for number in range(1000)]
    month = NOW, NOW + timedelta(days=30)
    measured(
        "1 000 series, a month view",
        lambda: f"{sum(len(occurrences(item, *month, ZONES[0])) for item in items)} occurrences",
    )
    people = [[single(p * 60 + n) for n in range(60)] + [series(p * 10 + n) for n in range(10)] for p in range(100)]
    weeks = NOW, NOW + timedelta(weeks=6)
    measured(
        "free/busy, 100 people x 6 weeks (60 single, 10 series each)",
        lambda: f"{sum(len(merged(blocks(own, *weeks, ZONES[0]), *weeks, 30)) for own in people)} digits",
    )
    invited = [Invited(blocks(own, *weeks, ZONES[0])) for own in people]
    measured(
        "suggestions for 100 people x 6 weeks",
        lambda: f"{len(suggest(invited, NOW.date(), 42, WorkingHours(ZONES[0]), ZONES[0], Options()))} days",
    )
    measured("1 000 series written as iCalendar", lambda: f"{len(write_calendar(items))} octets")
    text = write_calendar(items)
    measured("1 000 series read from iCalendar", lambda: f"{len(read_calendar(text).appointments)} series")


if __name__ == "__main__":
    main()
