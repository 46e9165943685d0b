"""Appointments as they are stored, and MAPI's forms of them."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.convert import appointments
from postern.convert.appointments import from_properties, mapi, span_of, to_properties, with_mapi
from postern.model.calendar.appointment import (
    Appointment,
    Attendee,
    Busy,
    Importance,
    ModifiedOccurrence,
    Person,
    Response,
    Role,
    Sensitivity,
    State,
)
from postern.model.calendar.recurrence import Kind, Pattern, Recurrence, Weekday
from postern.model.calendar.zones import FLOATING, UTC_ZONE, Changeover, Zone, ZoneRule
from postern.model.items import FOREVER
from postern.model.properties import pack
from postern.model.refusal import Reason, Refusal

CUSTOM = Zone(
    "Our own",
    (ZoneRule(1, 90, 150, Changeover(10, 5, 0, second_of_day=7200), Changeover(3, 2, 0, second_of_day=7200)),),
    "Our own",
)
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
ATTENDEE = Attendee(Person("b@example.net", "Б"), Role.OPTIONAL, Response.TENTATIVE, START, 3, START, START)
SERIES = Appointment(
    uid="040000008200e00074c5b7101a82e008" + "0" * 48 + "04000000" + "ab12cd34",
    start=START,
    end=START + timedelta(hours=1),
    zone=Zone("Europe/Berlin", windows_id="W. Europe Standard Time"),
    subject="Status",
    location="Saal",
    text="t",
    html="<p>t",
    busy=Busy.OUT_OF_OFFICE,
    sensitivity=Sensitivity.PRIVATE,
    importance=Importance.HIGH,
    categories=("Rot", "Blau"),
    reminder_minutes=0,
    organizer=Person("a@example.org", "A"),
    attendees=(ATTENDEE,),
    state=State.MEETING | State.RECEIVED,
    response=Response.ACCEPTED,
    responded_at=START,
    sequence=4,
    stamp=START,
    response_requested=False,
    counter_allowed=False,
    url="https://example.org/",
    recurrence=Recurrence(Pattern(Kind.WEEKLY, 2, Weekday.MONDAY | Weekday.FRIDAY, 1), date(2026, 11, 2), count=12),
    deleted=(date(2026, 11, 6),),
    modified=(
        ModifiedOccurrence(
            date(2026, 11, 16),
            Appointment(
                uid="x", start=START + timedelta(days=15), end=START + timedelta(days=15, hours=2), subject="Andere"
            ),
        ),
    ),
)
text = st.text(max_size=20)
times = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@st.composite
def made(draw):
    start = draw(times)
    return Appointment(
        uid=draw(text.filter(lambda each: "\0" not in each)),
        start=start,
        end=start + timedelta(minutes=draw(st.integers(0, 10_000))),
        zone=draw(st.sampled_from([UTC_ZONE, FLOATING, CUSTOM, Zone("Asia/Tokyo")])),
        all_day=draw(st.booleans()),
        subject=draw(text),
        text=draw(text),
        busy=draw(st.sampled_from(Busy)),
        categories=tuple(draw(st.lists(text, max_size=3))),
        reminder_minutes=draw(st.none() | st.integers(0, 10_000)),
        attendees=tuple(draw(st.lists(st.just(ATTENDEE), max_size=2))),
        instance_of=draw(st.none() | times),
    )


@given(made())
@settings(max_examples=60)
def test_what_is_stored_comes_back(item):
    assert from_properties(pack(to_properties(item))) == item
    assert from_properties(to_properties(item)) == item


def test_a_series_comes_back_whole():
    stored = to_properties(SERIES)
    assert from_properties(pack(stored)) == SERIES
    assert stored["PidLidAppointmentStartWhole"] == START
    assert stored["PidLidBusyStatus"] == Busy.OUT_OF_OFFICE


def test_changes_are_what_differs():
    before = to_properties(SERIES) | {"PidTagOwn": 1}
    after = msgspec.structs.replace(SERIES, location="", subject="Neu")
    assert appointments.changes(before, after) == ({"PidTagSubject": "Neu"}, ("PidLidLocation",))
    assert appointments.changes(before, SERIES) == ({}, ())


def test_values_that_make_no_sense_are_left_out():
    broken = to_properties(SERIES) | {"PidLidBusyStatus": "often", "PidTagImportance": 77, "PosternRecurrence": [1]}
    found = from_properties(pack(broken))
    assert (found.busy, found.importance, found.recurrence) == (Busy.BUSY, Importance.NORMAL, None)
    assert found.subject == SERIES.subject


def test_the_span_of_a_series_without_end_has_none():
    endless = msgspec.structs.replace(SERIES, recurrence=Recurrence(SERIES.recurrence.pattern, date(2026, 11, 2)))
    assert span_of(endless, UTC_ZONE)[:2] == (int(START.timestamp()), FOREVER)
    assert span_of(SERIES, UTC_ZONE).ends_at > int((START + timedelta(days=70)).timestamp())


def test_mapi_sets_what_mapi_reads():
    forms = mapi(SERIES)
    assert forms["PidLidClipStart"] == START
    again = with_mapi(msgspec.structs.replace(SERIES, recurrence=None, modified=(), deleted=()), forms)
    assert again.recurrence == SERIES.recurrence
    assert (again.start, again.end, again.deleted) == (SERIES.start, SERIES.end, SERIES.deleted)
    assert again.zone.id == "Europe/Berlin"
    assert [(each.day, each.item.subject) for each in again.modified] == [(date(2026, 11, 16), "Andere")]


def test_a_zone_of_ones_own_goes_through_mapi():
    item = msgspec.structs.replace(SERIES, zone=CUSTOM)
    again = with_mapi(msgspec.structs.replace(item, zone=UTC_ZONE), mapi(item))
    assert again.zone == CUSTOM


def test_broken_binary_forms_are_refused():
    for name in ("PidLidAppointmentRecur", "PidLidAppointmentTimeZoneDefinitionRecur"):
        for value in (b"\0", 7, b"\x04\x30" * 40):
            with pytest.raises(Refusal) as caught:
                with_mapi(SERIES, {name: value})
            assert caught.value.reason is Reason.BAD_VALUE
