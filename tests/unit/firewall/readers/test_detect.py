"""The format is recognised, whatever the characters; nothing crashes a reader."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.firewall.exports import EXPORTS
from tests.unit.firewall.migration import FLOWS, HOSTS, TOPOLOGY

from postern.firewall.readers.aws import Hosts
from postern.firewall.readers.detect import READERS, Context, decode, read, recognise
from postern.firewall.readers.ruleset import RulesetError

GIVEN = Context(Hosts(HOSTS, "post"))
KINDS = {"iptables-save": "iptables", "netsh-russian": "netsh"}
TEXTS = {name: made(FLOWS, TOPOLOGY.host("post")) for name, made in EXPORTS.items()}


@pytest.mark.parametrize("name", EXPORTS)
def test_formats_are_recognised(name):
    assert recognise(TEXTS[name]) == KINDS.get(name, name)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp866", "cp1251"])
def test_characters_of_a_russian_listing(encoding):
    assert decode(TEXTS["netsh-russian"].encode(encoding)).lstrip() == TEXTS["netsh-russian"].lstrip()


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("table inet filter {\n}\n", "nft -j list ruleset"),
        ("hello", "Known: nftables, iptables, netsh, powershell, aws, azure"),
        ("", "Known"),
        ("{}", "Known"),
    ],
)
def test_what_is_not_recognised_says_what_to_give(text, advice):
    with pytest.raises(RulesetError, match=advice):
        recognise(text)


def test_a_file_that_is_too_large_is_refused():
    with pytest.raises(RulesetError, match="larger"):
        decode(b" " * ((32 << 20) + 1))


@pytest.mark.parametrize("reader", READERS)
@given(st.data())
def test_damaged_rulesets_are_read_or_refused(reader, data):
    name = next(one for one in TEXTS if KINDS.get(one, one) == reader) if reader != "nftables" else None
    whole = TEXTS[name][:3000] if name else '{"nftables": [{"rule": {"family": "inet", "expr": [{"match": {}}]}}]}'
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    damaged = whole[:start] + data.draw(st.text(max_size=6)) + whole[end:]
    with contextlib.suppress(RulesetError):
        read(damaged, GIVEN, reader)
