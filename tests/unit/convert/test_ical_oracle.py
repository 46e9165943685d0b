"""iCalendar read and expanded, against icalendar and recurring-ical-events; and what only our own side knows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import icalendar
import msgspec
import pytest
import recurring_ical_events
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.convert.ical.reading import read_calendar
from postern.convert.ical.writing import write_calendar
from postern.formats.global_object_id import clean, from_uid, instance_of, new_uid, to_uid
from postern.model.calendar.appointment import Busy, Response, Role, Sensitivity, TaskStatus
from postern.model.calendar.views import bounds, occurrences
from postern.model.calendar.zones import UTC_ZONE, Zone
from postern.model.refusal import ProtocolViolation

ZONES = [
    "Europe/Berlin",
    "Europe/London",
    "Europe/Moscow",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Jerusalem",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Pacific/Apia",
    "Africa/Casablanca",
]
RULES = [
    "DTSTART;TZID={z}:20250330T023000\nDTEND;TZID={z}:20250330T033000\nRRULE:FREQ=WEEKLY;BYDAY=SU",
    "DTSTART;TZID={z}:20250301T013000\nDURATION:PT45M\nRRULE:FREQ=DAILY;COUNT=400\nEXDATE;TZID={z}:20250302T013000",
    "DTSTART;TZID={z}:20240131T233000\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-1",
    "DTSTART;TZID={z}:20240229T120000\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;BYDAY=-1TH;INTERVAL=2",
    "DTSTART;TZID={z}:20231102T000000\nDTEND;TZID={z}:20231102T010000\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1TH",
    "DTSTART;TZID={z}:20250405T013000\nDURATION:PT30M\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=SA,SU,MO;WKST=SU",
    "DTSTART;VALUE=DATE:20250101\nRRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;UNTIL=20260601",
    "DTSTART;TZID={z}:20250310T090000\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;BYDAY=MO;BYMONTHDAY=8,9,10;COUNT=20",
]
MOVED = """BEGIN:VEVENT
UID:one
RECURRENCE-ID;TZID={z}:20250406T023000
DTSTART;TZID={z}:20250407T150000
DTEND;TZID={z}:20250407T160000
SUMMARY:moved
END:VEVENT
"""
WINDOWS = [
    (datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 4, 15, tzinfo=UTC)),
    (datetime(2025, 9, 20, tzinfo=UTC), datetime(2025, 11, 15, tzinfo=UTC)),
]


def calendar(event: str, more: str = "") -> bytes:
    head = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//t//t//EN\nBEGIN:VEVENT\nUID:one\n"
    text = f"{head}{event}\nEND:VEVENT\n{more}END:VCALENDAR\n"
    return text.replace("\n", "\r\n").encode()


@pytest.mark.parametrize("number", range(len(RULES)))
@pytest.mark.parametrize("zone", ZONES)
def test_occurrences_are_those_of_the_oracle(zone: str, number: int) -> None:
    data = calendar(RULES[number].format(z=zone), MOVED.format(z=zone) if number == 0 else "")
    items = read_calendar(data).appointments
    theirs = recurring_ical_events.of(icalendar.Calendar.from_ical(data))
    for start, end in WINDOWS:
        ours = sorted(at.start for item in items for at in occurrences(item, start, end, UTC_ZONE))
        expected = []
        for event in theirs.between(start, end):
            at = event["DTSTART"].dt
            at = at if isinstance(at, datetime) else datetime(at.year, at.month, at.day, tzinfo=UTC)
            expected.append(at.astimezone(UTC))
        assert ours == sorted(expected)


FULL = """DTSTART;TZID=W. Europe Standard Time:20260105T100000
DTEND;TZID=W. Europe Standard Time:20260105T113000
SUMMARY:Budget\\, draft\\; first
LOCATION:Room 1
DESCRIPTION:Line one\\nLine two \\\\ three
X-ALT-DESC;FMTTYPE=text/html:<p>Line one</p>
RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=5
EXDATE;TZID=W. Europe Standard Time:20260112T100000
CATEGORIES:Red,Blue\\, dark
CLASS:PRIVATE
PRIORITY:1
SEQUENCE:3
DTSTAMP:20260101T120000Z
ORGANIZER;CN="Боб, шеф":mailto:bob@example.org
ATTENDEE;CN=Alice;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=TRUE:mailto:alice@example.org
ATTENDEE;CUTYPE=ROOM;ROLE=NON-PARTICIPANT;PARTSTAT=NEEDS-ACTION:MAILTO:atrium@example.org
X-MICROSOFT-CDO-BUSYSTATUS:OOF
X-MICROSOFT-CDO-INTENDEDSTATUS:BUSY
X-MICROSOFT-DISALLOW-COUNTER:TRUE
ATTACH;FMTTYPE=text/plain;ENCODING=BASE64;VALUE=BINARY;X-FILENAME=a.txt:aGVsbG8=
BEGIN:VALARM
ACTION:DISPLAY
TRIGGER:-PT15M
END:VALARM"""


def test_everything_of_an_event_is_read_and_written_again() -> None:
    (item,) = read_calendar(calendar(FULL)).appointments
    assert item.subject == "Budget, draft; first"
    assert item.text == "Line one\nLine two \\ three"
    assert item.html == "<p>Line one</p>"
    assert item.zone == Zone("Europe/Berlin", windows_id="W. Europe Standard Time")
    assert item.categories == ("Red", "Blue, dark")
    assert (item.busy, item.intended_busy) == (Busy.OUT_OF_OFFICE, Busy.BUSY)
    assert item.sensitivity is Sensitivity.PRIVATE
    assert item.reminder_minutes == 15
    assert item.deleted == (date(2026, 1, 12),)
    assert not item.counter_allowed
    assert item.organizer is not None and item.organizer.name == "Боб, шеф"
    assert [each.role for each in item.attendees] == [Role.REQUIRED, Role.RESOURCE]
    assert item.attendees[0].response is Response.ACCEPTED
    assert item.attachments[0].content == b"hello"
    (again,) = read_calendar(write_calendar([item])).appointments
    assert again == item
    # and the strict oracle reads what we write
    event = icalendar.Calendar.from_ical(write_calendar([item], method="REQUEST")).walk("VEVENT")[0]
    assert str(event["SUMMARY"]) == item.subject
    assert not event.errors


def test_an_exception_is_written_and_read_again() -> None:
    data = calendar(RULES[0].format(z="Europe/Berlin"), MOVED.format(z="Europe/Berlin"))
    (item,) = read_calendar(data).appointments
    assert [each.day for each in item.modified] == [date(2025, 4, 6)]
    (again,) = read_calendar(write_calendar([item])).appointments
    assert again.modified[0].item.start == item.modified[0].item.start
    assert bounds(item, UTC_ZONE)[1].year == 9999


def test_an_occurrence_alone_stands_for_itself() -> None:
    data = MOVED.format(z="Europe/Berlin")
    (item,) = read_calendar(f"BEGIN:VCALENDAR\n{data}END:VCALENDAR\n".encode()).appointments
    assert item.instance_of == datetime(2025, 4, 6, 0, 30, tzinfo=UTC)
    assert item.recurrence is None


def test_a_definition_in_one_mail_changes_no_zone_of_another() -> None:
    """Attack: the icalendar library would keep it for the whole process."""
    poison = (
        "BEGIN:VTIMEZONE\nTZID:Poison\nBEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+1200\n"
        "TZOFFSETTO:+1200\nEND:STANDARD\nEND:VTIMEZONE\n"
    )
    event = "DTSTART;TZID=Poison:20250101T120000\nDURATION:PT1H"
    (first,) = read_calendar(calendar(event, poison)).appointments
    assert first.start == datetime(2025, 1, 1, 0, tzinfo=UTC)
    (second,) = read_calendar(calendar(event), default_zone=Zone("Europe/Moscow")).appointments
    assert second.start == datetime(2025, 1, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "event",
    [
        "SUMMARY:no start",
        "DTSTART:yesterday",
        "DTSTART:20250230T000000Z",
        "DTSTART:00000101T000000Z",
        "DTSTART:99991231T235959Z\nDURATION:P30D",
        "DTSTART:20250101T250000Z",
        "DTSTART:20250101T000000Z\nDTEND:nonsense",
        "DTSTART:20250101T000000Z\nDURATION:P9999999W",
    ],
)
def test_an_event_that_cannot_be_read_is_named_and_the_rest_is_there(event: str) -> None:
    found = read_calendar(calendar(event, "BEGIN:VEVENT\nUID:two\nDTSTART:20250101T000000Z\nEND:VEVENT\n"))
    assert [item.uid for item in found.appointments] == ["two"]
    assert len(found.problems) == 1


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"BEGIN:VEVENT\nEND:VEVENT", b"\xff\xfe\x00", b"BEGIN:VCARD\nEND:VCARD"]
)
def test_what_is_no_calendar_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        read_calendar(data)


def test_depth_and_number_are_bounded() -> None:
    deep = b"BEGIN:VCALENDAR\n" * 100
    with pytest.raises(ProtocolViolation):
        read_calendar(deep)
    many = b"BEGIN:VCALENDAR\n" + b"BEGIN:VEVENT\nEND:VEVENT\n" * 20_001 + b"END:VCALENDAR"
    with pytest.raises(ProtocolViolation):
        read_calendar(many)


def test_years_1_and_9999() -> None:
    (item,) = read_calendar(calendar("DTSTART:00010101T000000Z\nDURATION:PT1H\nRRULE:FREQ=YEARLY")).appointments
    last = occurrences(item, datetime(9998, 6, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC), Zone("Asia/Tokyo"))
    assert [at.start.year for at in last] == [9999]
    assert occurrences(item, datetime.min.replace(tzinfo=UTC), datetime(1, 2, 1, tzinfo=UTC), UTC_ZONE)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(FULL.split("\n")) | st.text(max_size=30), max_size=25))
def test_any_lines_are_read_or_refused(lines: list[str]) -> None:
    data = calendar("\n".join(lines))
    try:
        found = read_calendar(data)
    except ProtocolViolation:
        return
    write_calendar(found.appointments)


def test_tasks_go_both_ways() -> None:
    text = (
        "BEGIN:VCALENDAR\nBEGIN:VTODO\nUID:t\nSUMMARY:Paint\nDUE;VALUE=DATE:20260501\nSTATUS:IN-PROCESS\n"
        "PERCENT-COMPLETE:40\nRRULE:FREQ=WEEKLY\nEND:VTODO\nEND:VCALENDAR\n"
    )
    (task,) = read_calendar(text.encode()).tasks
    assert (task.due, task.status, task.percent) == (date(2026, 5, 1), TaskStatus.IN_PROGRESS, 40)
    (again,) = read_calendar(write_calendar([], tasks=[msgspec.structs.replace(task, start=task.due)])).tasks
    assert again.recurrence == task.recurrence


def test_global_object_ids_wrap_uids_and_unwrap_them() -> None:
    raw = from_uid("some-uid@gmail.com", date(2026, 11, 28))
    assert raw[16:20] == b"\x07\xea\x0b\x1c"
    assert to_uid(raw) == "some-uid@gmail.com"
    assert instance_of(raw) == date(2026, 11, 28)
    assert instance_of(clean(raw)) is None
    assert clean(raw) == from_uid("some-uid@gmail.com")
    own = new_uid(datetime(2026, 11, 28, tzinfo=UTC), bytes(range(16)))
    assert to_uid(from_uid(own, date(2026, 1, 1))) == own
    assert to_uid(from_uid(own.lower())) == own
    assert instance_of(from_uid(own)[:16] + b"\xff" * 30) is None


def test_a_floating_day_is_the_viewers_day() -> None:
    (item,) = read_calendar(calendar("DTSTART;VALUE=DATE:20260601")).appointments
    for name, hours in (("Asia/Tokyo", 9), ("America/New_York", -4)):
        (found,) = occurrences(item, datetime(2026, 5, 30, tzinfo=UTC), datetime(2026, 6, 4, tzinfo=UTC), Zone(name))
        assert found.start == datetime(2026, 6, 1, tzinfo=UTC) - timedelta(hours=hours)
        assert found.end - found.start == timedelta(days=1)


@pytest.mark.parametrize("start", ["²", "²²²²0101", "٣", "9" * 5000, ""])
def test_a_beginning_that_is_no_time_is_left_out(start: str) -> None:
    """Digits that are no numbers to `int` stopped whoever read the invitation."""
    text = f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:{start}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    assert read_calendar(text.encode()).appointments == ()
