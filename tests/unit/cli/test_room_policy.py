"""`postern room policy` on an organisation."""

from __future__ import annotations

import pytest

from postern.directory.sqlite import SqliteDirectory
from postern.net.clock import SystemEntropy


@pytest.fixture
def atrium(postern, tmp_path, monkeypatch):
    config = tmp_path / "postern.toml"
    config.write_text('[server]\ndata = "data"\n')
    (tmp_path / "data").mkdir()
    SqliteDirectory(tmp_path / "data" / "directory.db", SystemEntropy())._db.close()
    monkeypatch.setenv("POSTERN_CONFIG", str(config))
    assert postern("domain", "add", "example.org").status == 0
    assert postern("room", "add", "atrium@example.org").status == 0

    def run(*options):
        return postern("room", "policy", "atrium@example.org", *options)

    return run


def test_a_policy_is_shown_and_changed(atrium):
    shown = atrium("--json").json
    assert (shown["processing"], shown["window_days"], shown["book"]) == ("accept", 180, "all")
    options = ("--window-days", "90", "--no-recurring", "--book", "anna@example.org", "--zone", "Europe/Berlin")
    assert atrium(*options).status == 0
    shown = atrium("--json").json
    assert (shown["window_days"], shown["recurring"], shown["book"]) == (90, False, ["anna@example.org"])
    assert shown["zone"] == "Europe/Berlin"


def test_what_makes_no_sense_is_refused(atrium, postern):
    for options in (("--processing", "sometimes"), ("--conflict-percentage", "101"), ("--zone", "Nowhere")):
        refused = atrium(*options)
        assert refused.status == 1
        assert refused.err
    assert postern("room", "policy", "nobody@example.org").status == 1
