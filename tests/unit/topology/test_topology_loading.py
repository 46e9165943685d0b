from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.topologies import SMALL as GOOD

from postern.topology.loading import TopologyError, load, parse
from postern.topology.model import EVERYWHERE


def test_a_good_file() -> None:
    topology = parse(GOOD, "t.toml")
    assert topology.organisation == "Example"
    assert topology.path == "t.toml"
    assert topology.zone("internet").networks == EVERYWHERE
    assert topology.zone("internet").anywhere
    assert topology.host("ex16").rpc_ports == (6005, 59530)
    assert topology.host("ex16").without == ("*.imap",)
    assert topology.trust(topology.host("edge")) == "perimeter"
    assert topology.host("dc").edition == ""


MISTAKES = [
    ('organisation = "Example"', 'organization = "Example"', "organization", "Did you mean organisation"),
    ('trust = "internal"', 'trust = "intern"', "zone[0].trust", "Did you mean internal"),
    ('networks = ["192.0.2.0/28"]', 'networks = ["10.1.2.0/24"]', "zone[1].networks", "overlaps with 10.1.0.0/16"),
    ('networks = ["192.0.2.0/28"]', 'networks = ["192.0.2.1/28"]', "zone[1].networks", "host bits"),
    ('networks = ["192.0.2.0/28"]', "", "zone[1].networks", "needs networks"),
    ('"internet-smtp", "outlook"', '"internet-smtp", "outlok"', "zone[2].roles", "Did you mean outlook"),
    ('"internet-smtp", "outlook"', '"mailbox"', "zone[2].roles", "role of named hosts"),
    ('addresses = ["192.0.2.5"]', "addresses = []", "host[1].addresses", "needs an address"),
    ('addresses = ["192.0.2.5"]', "", "host[1].addresses", "must be set"),
    ('addresses = ["192.0.2.5"]', 'addresses = ["edge.example.org"]', "host[1].addresses", "not an IP address"),
    ('addresses = ["192.0.2.5"]', 'addresses = ["192.0.2.50"]', "host[1].addresses", "not in zone dmz"),
    ('addresses = ["10.1.0.1"]', 'addresses = ["10.1.0.16"]', "host[2].addresses", "also the address of ex16"),
    ('zone = "dmz"', 'zone = "dmx"', "host[1].zone", "Did you mean dmz"),
    ('zone = "dmz"', "zone = 5", "host[1].zone", "Expected `str`"),
    ('edition = "2016"', 'edition = "2015"', "host[0].edition", "Did you mean"),
    ('edition = "2016"', "", "host[0].edition", "which edition?"),
    ('roles = ["mailbox"]', 'roles = ["mailbox", "hub-transport"]', "host[0].roles", "no role hub-transport"),
    ('roles = ["mailbox"]', "roles = []", "host[0].roles", "needs a role"),
    (
        'roles = ["edge-transport"]',
        'roles = ["edge-transport", "mailbox"]',
        "host[1].roles",
        "mailbox exclude each other",
    ),
    ('name = "edge"', 'name = "ex16"', "host[1].name", "two hosts ex16"),
    ('name = "edge"', 'nome = "edge"', "host[1].nome", "Did you mean name"),
    ('rpc_ports = "6005-59530"', 'rpc_ports = "59530-6005"', "host[0].rpc_ports", "not a range"),
    ("[[host]]", "[[hosts]]", "hosts", "Did you mean host"),
]


@pytest.mark.parametrize(("old", "new", "key", "words"), MISTAKES, ids=[f"{m[2]}:{m[3]}" for m in MISTAKES])
def test_a_mistake_is_told_with_its_place(old: str, new: str, key: str, words: str) -> None:
    place = GOOD.index(old)
    # a key that is missing is told at the head of its table
    expected = GOOD.count("\n", 0, place if new else GOOD.rindex("[[", 0, place)) + 1
    with pytest.raises(TopologyError, match=re.escape(words)) as caught:
        parse(GOOD.replace(old, new, 1), "t.toml")
    assert (caught.value.file, caught.value.line, caught.value.key) == ("t.toml", expected, key)


def test_broken_toml_names_the_line() -> None:
    with pytest.raises(TopologyError, match=r"t\.toml:3: not TOML"):
        parse('organisation = "x"\n\n[[zone]\n', "t.toml")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="there is no such file"):
        load(tmp_path / "none.toml")


def test_two_unbounded_zones() -> None:
    with pytest.raises(TopologyError, match="only one external zone"):
        parse(GOOD + '\n[[zone]]\nname = "other"\ntrust = "external"\n')
