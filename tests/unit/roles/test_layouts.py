"""What a newer Postern has written is left alone by an older one."""

from __future__ import annotations

import json

import pytest

from postern.roles import layouts
from postern.roles.instance import StartError
from postern.roles.layouts import PRESENT, claim


def test_a_start_says_what_will_be_written(tmp_path):
    claim(tmp_path)
    said = json.loads((tmp_path / "layouts").read_bytes())
    assert said == {"version": layouts.__version__, "layouts": PRESENT}
    claim(tmp_path)
    assert json.loads((tmp_path / "layouts").read_bytes()) == said


def test_older_data_are_taken_over(tmp_path):
    older = {"version": "0.0.1", "layouts": {"mailbox": 1}}
    (tmp_path / "layouts").write_text(json.dumps(older))
    claim(tmp_path)
    assert json.loads((tmp_path / "layouts").read_bytes())["layouts"] == PRESENT


@pytest.mark.parametrize("more", [{"mailbox": PRESENT["mailbox"] + 1}, {"calendar": 1}], ids=["higher", "unknown"])
def test_newer_data_are_left_alone(tmp_path, more):
    newer = json.dumps({"version": "9.9", "layouts": {**PRESENT, **more}})
    (tmp_path / "layouts").write_text(newer)
    with pytest.raises(StartError, match=r"Postern 9\.9, which is newer .*Start that version again"):
        claim(tmp_path)
    assert (tmp_path / "layouts").read_text() == newer


def test_what_cannot_be_read_is_explained(tmp_path):
    (tmp_path / "layouts").write_text("rubbish")
    with pytest.raises(StartError, match="which version of Postern"):
        claim(tmp_path)


def test_a_full_disk_does_not_keep_it_from_starting(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(layouts, "write_durably", full)
    claim(tmp_path)
