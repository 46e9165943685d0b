"""`postern room policy` on an organisation."""

from __future__ import annotations

import json


def test_a_policy_is_shown_and_changed(postern):
    postern("room", "add", "atrium@example.org")
    shown = json.loads(postern("room", "policy", "atrium@example.org", "--json").out)
    assert (shown["processing"], shown["window_days"], shown["book"]) == ("accept", 180, "all")
    options = ("--window-days", "90", "--no-recurring", "--book", "anna@example.org", "--zone", "Europe/Berlin")
    postern("room", "policy", "atrium@example.org", *options)
    shown = json.loads(postern("room", "policy", "atrium@example.org", "--json").out)
    assert (shown["window_days"], shown["recurring"], shown["book"]) == (90, False, ["anna@example.org"])
    assert shown["zone"] == "Europe/Berlin"


def test_what_makes_no_sense_is_refused(postern):
    postern("room", "add", "atrium@example.org")
    for options in (("--processing", "sometimes"), ("--conflict-percentage", "101"), ("--zone", "Nowhere")):
        assert postern("room", "policy", "atrium@example.org", *options, status=1).err
