"""Zones made of rules against the zone database, both ways through every form that a zone has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from postern.convert.ical.syntax import read
from postern.convert.ical.vtimezone import read_zones, write_zone
from postern.convert.zones.definition import Definition, define, zone_of
from postern.convert.zones.names import display_name, iana_name, named_zone, windows_name, windows_names
from postern.convert.zones.rules import rules_of, with_rules
from postern.formats.timezones import read_definition, read_struct, write_definition, write_struct
from postern.model.calendar.zones import FLOATING, UTC_ZONE, Changeover, Zone, ZoneRule, to_utc, to_wall, tzinfo_of
from postern.model.refusal import ProtocolViolation, Refusal

FIRST, LAST = 2023, 2027
EDGES = [
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Moscow",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "America/Nuuk",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Jerusalem",
    "Asia/Gaza",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "UTC",
]


def offsets(zone: Zone, first: int = FIRST, last: int = LAST) -> list[timedelta | None]:
    """Around the clock of every other day, with a shifting hour."""
    clock = tzinfo_of(zone)
    at = datetime(first, 1, 1, 12, tzinfo=UTC)
    hours = (last - first) * 8760
    return [(at + timedelta(hours=hour)).astimezone(clock).utcoffset() for hour in range(0, hours, 61)]


def changes(name: str) -> list[datetime]:
    """The UTC hours around which the offset changes."""
    clock = ZoneInfo(name)
    at = datetime(FIRST, 1, 1, 12, tzinfo=UTC)
    found = []
    for day in range((LAST - FIRST) * 365):
        now, then = at + timedelta(days=day), at + timedelta(days=day + 1)
        if now.astimezone(clock).utcoffset() != then.astimezone(clock).utcoffset():
            found.append(now)
    return found


@pytest.mark.parametrize("windows", windows_names())
def test_every_windows_zone_as_rules_is_what_its_iana_zone_is(windows: str) -> None:
    zone = named_zone(windows)
    assert zone is not None
    assert windows_name(zone) == windows
    assert zone.id == iana_name(zone)
    own = Zone("made of rules", rules_of(zone, FIRST, LAST))
    assert offsets(own) == offsets(Zone(zone.id))
    assert display_name(windows).startswith("(UTC")
    assert display_name(windows, "ru").startswith("(UTC")


@pytest.mark.parametrize("name", EDGES)
def test_the_minutes_around_a_change_read_as_the_zone_database_has_them(name: str) -> None:
    own, theirs = with_rules(Zone(name), FIRST, LAST), ZoneInfo(name)
    clock = tzinfo_of(own)
    for day in changes(name):
        for minute in range(0, 1440, 10):
            at = day + timedelta(minutes=minute)
            ours, expected = at.astimezone(clock), at.astimezone(theirs)
            assert (ours.replace(tzinfo=None), ours.fold) == (expected.replace(tzinfo=None), expected.fold)
            wall = expected.replace(tzinfo=None, fold=0)
            for fold in (0, 1):
                # readings that do not exist too, since the hour before a gap is shifted into it
                for reading in (wall, wall + timedelta(minutes=60), wall - timedelta(minutes=30)):
                    given = reading.replace(fold=fold)
                    assert given.replace(tzinfo=clock).utcoffset() == given.replace(tzinfo=theirs).utcoffset(), given


@pytest.mark.parametrize("name", EDGES)
def test_a_zone_goes_through_mapis_binary_form(name: str) -> None:
    rules = rules_of(Zone(name), FIRST, LAST)
    again = read_definition(write_definition("Any Standard Time", rules, 2026))
    assert again.id == again.windows_id == "Any Standard Time"
    assert again.rules == rules
    assert msgspec.structs.replace(read_struct(write_struct(rules[-1])), from_year=rules[-1].from_year) == rules[-1]


@pytest.mark.parametrize("name", EDGES)
def test_a_zone_goes_through_ews_definition(name: str) -> None:
    defined = define(Zone(name), FIRST, LAST)
    # under a name that nobody knows, so that the definition itself has to carry it
    renamed = msgspec.structs.replace(defined, id="Somewhere")
    again = zone_of(renamed)
    assert again.id == "Somewhere"
    assert offsets(again) == offsets(Zone(name))
    assert zone_of(defined).id in (name, named_zone(defined.id).id, defined.id)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", EDGES)
def test_a_zone_goes_through_vtimezone(name: str) -> None:
    text = write_zone(Zone(name, windows_id="Somewhere"), FIRST - 1, LAST)
    assert "TZID:Somewhere" in text
    calendar = read(f"BEGIN:VCALENDAR\r\n{text}END:VCALENDAR\r\n".encode())[0]
    again = read_zones(calendar, (FIRST, LAST), UTC_ZONE)["Somewhere"]
    assert offsets(again) == offsets(Zone(name))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("w. europe STANDARD time", "Europe/Berlin"),
        ("Russian Standard Time", "Europe/Moscow"),
        ("/freeassociation.sourceforge.net/Europe/Rome", "Europe/Rome"),
        ("/mozilla.org/20050126_1/America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("US/Pacific", "US/Pacific"),
        ("tzone://Microsoft/Utc", "UTC"),
        ("GMT", "UTC"),
        ("Kamchatka Standard Time", "Asia/Kamchatka"),
    ],
)
def test_names_that_people_write(given: str, expected: str) -> None:
    zone = named_zone(given)
    assert zone is not None
    assert zone.id == expected


@pytest.mark.parametrize(
    ("given", "minutes"),
    [
        ("GMT+03:00", 180),
        ("(UTC+05:45) Kathmandu", 345),
        ("UTC-3", -180),
        ("+0530", 330),
        ("(GMT-03:30) Newfoundland", -210),
    ],
)
def test_a_name_that_is_an_offset(given: str, minutes: int) -> None:
    zone = named_zone(given)
    assert zone is not None
    assert zone.rules == (ZoneRule(1, minutes),)


@pytest.mark.parametrize(
    "given", ["", "Customized Time Zone", "Mars/Olympus", "../../etc/passwd", "Europe/\0", "GMT+99", "x" * 1000, "/"]
)
def test_a_name_that_nobody_knows(given: str) -> None:
    assert named_zone(given) is None


def test_unknown_names_without_rules_are_refused_where_a_client_defines_a_zone() -> None:
    with pytest.raises(Refusal):
        zone_of(Definition("Mars Standard Time"))


@pytest.mark.parametrize("iana", ["Europe/Rome", "Europe/Vienna", "Asia/Calcutta", "Asia/Kolkata", "America/Toronto"])
def test_every_iana_zone_has_windows_name_not_only_the_first_of_each(iana: str) -> None:
    assert windows_name(Zone(iana))


def test_a_custom_zone_keeps_its_rules_and_its_name() -> None:
    odd = ZoneRule(
        1, 61, 182, Changeover(10, 0, day=13, second_of_day=12_345), Changeover(2, 5, 3, second_of_day=86_399)
    )
    zone = Zone("Customized Time Zone", (odd,), windows_id="Customized Time Zone")
    assert read_definition(write_definition(zone.id, zone.rules, 2026)).rules[0].standard_minutes == 61
    assert windows_name(zone) == "Customized Time Zone"
    assert iana_name(zone) == ""
    for day in range(0, 730, 7):
        at = datetime(2025, 1, 1, 12, tzinfo=UTC) + timedelta(days=day)
        assert to_utc(to_wall(at, zone), zone) == at


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02\x01",
        bytes(100),
        b"\x02\x01" + b"\xff" * 200,
        b"\x02\x01\x06\x00\x02\x00\x00\x00\x05\x00" + bytes(66),
    ],
)
def test_a_broken_binary_zone_is_said_to_be_broken(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        read_definition(data)


def test_what_does_not_exist_and_what_comes_twice() -> None:
    berlin = Zone("Europe/Berlin")
    assert to_utc(datetime(2026, 3, 29, 2, 30), berlin) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert to_utc(datetime(2026, 10, 25, 2, 30), berlin) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    howe = Zone("Australia/Lord_Howe")
    assert to_utc(datetime(2026, 4, 5, 1, 45), howe) == datetime(2026, 4, 4, 14, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    "zone", [UTC_ZONE, FLOATING, Zone("Asia/Tokyo"), Zone("x", (ZoneRule(1, -9),)), Zone("gone/away")]
)
@pytest.mark.parametrize("at", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_edges_of_the_calendar_are_no_accident(zone: Zone, at: datetime) -> None:
    wall = to_wall(at, zone)
    assert to_utc(wall, zone).tzinfo is UTC
