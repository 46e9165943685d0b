"""`postern ports --topology`: every form says the same, and what is wrong is said with what to do."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

EXAMPLE = str(Path(__file__).resolve().parents[3] / "examples" / "migration.toml")
ASKED = ("ports", "--topology", EXAMPLE, "--source", "outlook", "--destination", "client-access")


@pytest.fixture
def run(postern):
    def call(*arguments: str, code: int = 0) -> str:
        done = postern(*arguments)
        assert done.status == code, done.err
        return done.err if code else done.out

    return call


def test_every_form_has_the_same_flows(run):
    facts = json.loads(run(*ASKED, "--json"))
    ends = [(one["source"], one["destination"]) for one in facts]
    assert ("Offices", "ex1") in ends
    assert ("Internet", "postern1") in ends
    rows = list(csv.DictReader(io.StringIO(run(*ASKED, "--csv"))))
    assert [(row["source"], row["destination"]) for row in rows] == ends
    lines = run(*ASKED, "--markdown").splitlines()[2:]
    assert [tuple(line.strip("| ").split(" | ")[:2]) for line in lines] == ends
    cells = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td>", run(*ASKED, "--html"))
    assert cells == ends
    assert run(*ASKED).splitlines()[-1].strip() == f"{len(ends)} flows"


def test_an_answer_is_minimal_json_for_programs(run):
    one = next(f for f in json.loads(run(*ASKED, "--json")) if (f["destination"], f["first"]) == ("ex2", 443))
    assert one["destination_networks"] == ["10.20.10.32/32"]
    assert (one["transport"], one["last"], one["encryption"]) == ("tcp", 443, "required")
    assert "2016.clients.mapi-http" in one["paths"]


def test_the_picture_is_written_beside_the_list(run, tmp_path):
    file = tmp_path / "x.svg"
    assert run(*ASKED, "--draw", str(file))
    text = " ".join(ElementTree.parse(file).getroot().itertext())
    assert "ex1" in text
    assert "edge1" not in text, "hosts that take no part stay out of an answer"


def test_directions_are_seen_from_the_role(run):
    inward = json.loads(run("ports", "-t", EXAMPLE, "--role", "edge-transport", "--direction", "in", "--json"))
    outward = json.loads(run("ports", "-t", EXAMPLE, "--role", "edge-transport", "--direction", "out", "--json"))
    assert {one["destination"] for one in inward} == {"edge1", "edge2"}
    assert {one["source"] for one in outward} == {"edge1", "edge2"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("ports", "--draw", "x.svg"), 2, "--draw needs --topology"),
        (("ports", "-t", "nowhere.toml"), 78, "nowhere.toml"),
        (("ports", "-t", EXAMPLE, "--source", "outlok"), 2, "nearest: outlook"),
        (("ports", "-t", EXAMPLE, "--draw", "/nowhere/x.svg"), 73, "/nowhere/x.svg cannot be written"),
        (("ports", "-t", EXAMPLE, "--json", "--csv"), 2, "choose one"),
    ],
)
def test_what_is_wrong_is_said(run, arguments, code, said):
    assert said in run(*arguments, code=code)


def test_nothing_found_is_said(run):
    assert "No data path fits." in run("ports", "-t", EXAMPLE, "--source", "voip-gateway")
