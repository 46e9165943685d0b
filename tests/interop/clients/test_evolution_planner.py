"""Evolution's EWS back ends for calendar, contacts, tasks and notes, both ways: see `evolution_planner_steps.py`."""

from __future__ import annotations

import pytest
from tests.interop.clients.evolution import run_steps

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def seen(mail_network, tmp_path_factory):
    return run_steps(mail_network, "evolution_planner_steps.py", tmp_path_factory.mktemp("planner"))


def test_events_both_ways(seen):
    assert seen["event_made_here"] == [
        "2027-03-02T09:00:00Z", "2027-03-02T10:30:00Z", "Room 5", "Red", "25", "Busy", "Words",
    ]  # fmt: skip
    assert seen["event_changed_here"] == ["2027-03-02T11:00:00Z", "2027-03-02T12:30:00Z", "Room 6"]
    assert seen["event_deleted_here"] is True
    assert seen["event_from_elsewhere"] == ["20270303T090000Z", "20270303T100000Z", "Hall", "Hall", True]


def test_series_both_ways(seen):
    made, changed, left, gone = seen["series_made_here"]
    mondays = ["2027-03-08T08:00:00Z", "2027-03-15T08:00:00Z", "2027-03-22T08:00:00Z", "2027-03-29T07:00:00Z"]
    assert made == mondays  # by Berlin's clock, which is put forward on the 28th
    assert changed == [mondays[0], "2027-03-16T13:00:00Z", *mondays[2:]]
    assert left == [mondays[0], "2027-03-16T13:00:00Z", mondays[3]]
    assert gone == []
    assert seen["series_from_elsewhere"] == [
        ["20270309T080000Z", "20270316T080000Z", "20270323T080000Z"],
        ["20270309T080000Z", "20270317T130000Z", "20270323T080000Z"],
        ["20270309T080000Z", "20270317T130000Z"],
        True,
    ]


def test_meetings_both_ways(seen):
    assert seen["invited"] == ["mailto:anna@example.org", "NEEDS-ACTION", ["Accept"], "ACCEPTED", True]
    got, gone, off = seen["inviting"]
    assert got[:2] == ["2027-03-05T09:00:00Z", "NoResponseReceived"]
    assert gone and off


def test_free_busy(seen):
    (line,) = seen["free_busy"]
    assert "20270306T090000Z/20270306T100000Z" in line and "BUSY-UNAVAILABLE" in line


def test_tasks_both_ways(seen):
    made, done, gone, due, state, left = seen["tasks"]
    assert made[0] == "NotStarted" and made[1].startswith("2027-03-10") and made[2:] == ["High", "Words"]
    assert done == ["Completed", "true"]
    assert (gone, due, state, left) == (True, "20270311", "COMPLETED", True)


def test_notes_both_ways(seen):
    assert seen["notes"] == [["IPM.StickyNote", "Words"], ["Other words"], True, "Words", True]


def test_contacts_both_ways(seen):
    made, changed, searched, gone, facts, title, left = seen["contacts"]
    assert made[:3] == ["Olga", "Petrova", "Acme"] and made[3].startswith("1980-02-29")
    assert changed[1] == "Olja" and changed[0]
    assert searched == ["Olga Petrova"]
    assert (gone, facts, title, left) == (True, ["Ivan There", "ivan@example.net"], "Baker", True)
