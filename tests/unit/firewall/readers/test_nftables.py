"""nft's JSON: sets, maps, jumps; what is not understood is told with its line."""

from __future__ import annotations

import json

import pytest

from postern.firewall.readers import nftables
from postern.firewall.readers.ruleset import FORWARD, IN, OUT, RulesetError, openings


def chain(name="input", policy="drop", family="inet", kind="filter", table="t"):
    return {"chain": {"family": family, "table": table, "name": name, "handle": 1, "type": kind, "hook": name,
                      "prio": 0, "policy": policy}}  # fmt: skip


def rule(*expressions, of="input", family="inet", comment=None, table="t"):
    made = {"family": family, "table": table, "chain": of, "handle": 7, "expr": list(expressions)}
    return {"rule": made | ({"comment": comment} if comment else {})}


def match(left, right, op="=="):
    kinds = {"saddr": "ip", "daddr": "ip", "dport": "tcp", "sport": "tcp"}
    if isinstance(left, str) and left in kinds:
        left = {"payload": {"protocol": kinds[left], "field": left}}
    return {"match": {"op": op, "left": left, "right": right}}


def read(*items):
    lines = ",\n".join(json.dumps(item) for item in items)
    return nftables.read('{"nftables": [\n' + lines + "\n]}")


def passing(reading, direction=IN):
    found = set()
    for one in reading.filters:
        if one.direction == direction:
            for packets, _rule in openings(one):
                found.add((packets.family, packets.transport, packets.ports))
    return found


ACCEPT, DROP = {"accept": None}, {"drop": None}
ESTABLISHED = match({"ct": {"key": "state"}}, ["established", "related"], "in")


def test_ports_in_sets_and_ranges():
    reading = read(chain(), rule(match("dport", {"set": [25, 143, {"range": [6000, 6010]}]}), ACCEPT))
    ports = {(25, 25), (143, 143), (6000, 6010)}
    assert passing(reading) == {(family, "tcp", pair) for family in (4, 6) for pair in ports}


def test_named_sets_are_looked_up_in_their_table():
    named = {
        "set": {
            "family": "inet",
            "name": "mail",
            "table": "t",
            "type": "inet_service",
            "elem": [25, {"elem": {"val": 465}}],
        }
    }
    reading = read(chain(), named, rule(match("dport", "@mail"), ACCEPT))
    assert {ports for _family, _transport, ports in passing(reading)} == {(25, 25), (465, 465)}


def test_concatenated_sets():
    key = {
        "concat": [
            {"payload": {"protocol": "ip", "field": "saddr"}},
            {"payload": {"protocol": "tcp", "field": "dport"}},
        ]
    }
    values = {"set": [{"concat": ["10.0.0.1", 25]}, {"concat": [{"prefix": {"addr": "10.1.0.0", "len": 16}}, 143]}]}
    (made,) = read(chain(), rule(match(key, values), ACCEPT)).filters
    found = {(packets.source[0] >> 16, packets.ports) for packets, _rule in openings(made)}
    assert found == {(0x0A00, (25, 25)), (0x0A01, (143, 143))}


def test_verdict_maps_and_jumps():
    key = {"payload": {"protocol": "tcp", "field": "dport"}}
    table = [[25, {"jump": {"target": "smtp"}}], [{"range": [1, 24]}, {"accept": None}]]
    sub = {"chain": {"family": "inet", "table": "t", "name": "smtp", "handle": 2}}
    reading = read(
        chain(), sub, rule({"vmap": {"key": key, "data": {"set": table}}}),
        rule(match("saddr", {"prefix": {"addr": "10.0.0.0", "len": 8}}), ACCEPT, of="smtp"),
    )  # fmt: skip
    assert passing(reading) == {(4, "tcp", (25, 25)), (4, "tcp", (1, 24)), (6, "tcp", (1, 24))}


def test_states_of_a_map():
    states = [["established", {"accept": None}], ["invalid", {"drop": None}], ["new", {"jump": {"target": "n"}}]]
    sub = {"chain": {"family": "inet", "table": "t", "name": "n", "handle": 2}}
    reading = read(
        chain(), sub, rule({"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": states}}}),
        rule(match("dport", 25), ACCEPT, of="n"),
    )  # fmt: skip
    assert passing(reading) == {(4, "tcp", (25, 25)), (6, "tcp", (25, 25))}


@pytest.mark.parametrize(
    "harmless",
    [
        [ESTABLISHED, ACCEPT],
        [match({"meta": {"key": "iifname"}}, "lo"), ACCEPT],
        [match({"meta": {"key": "l4proto"}}, {"set": ["icmp", "ipv6-icmp"]}), ACCEPT],
        [match({"payload": {"protocol": "icmpv6", "field": "type"}}, "nd-neighbor-solicit"), ACCEPT],
        [{"counter": {"packets": 1, "bytes": 2}}, {"log": {"prefix": "x"}}],
        [{"limit": {"rate": 5}}, {"log": {"prefix": "dropped"}}],
        [match({"meta": {"key": "skuid"}}, 0), {"counter": {}}],
        # a condition that is not known before one that no first packet meets
        [match({"payload": {"protocol": "ip6", "field": "hoplimit"}}, 255), ESTABLISHED, ACCEPT],
    ],
)
def test_what_opens_nothing_is_no_opening_and_no_remark(harmless):
    reading = read(chain(), rule(*harmless))
    assert passing(reading) == set()
    assert reading.remarks == ()


def test_negations():
    reading = read(chain(), rule(match("dport", {"range": [10, 65535]}, "!="), ACCEPT))
    assert passing(reading) == {(4, "tcp", (0, 9)), (6, "tcp", (0, 9))}


@pytest.mark.parametrize(
    ("statements", "word"),
    [
        ([match({"meta": {"key": "iifname"}}, "eth0"), ACCEPT], "eth0"),
        ([match("sport", 53), ACCEPT], "53"),
        ([{"limit": {"rate": 5}}, ACCEPT], "limit"),
        ([match({"meta": {"key": "skuid"}}, 0), ACCEPT], "skuid"),
        ([match("dport", "@missing"), ACCEPT], "@missing"),
        ([{"xt": None}, ACCEPT], "xt"),
        ([match({"payload": {"protocol": "ip", "field": "saddr"}}, "not an address"), ACCEPT], "not an address"),
        ([match({"meta": {"key": "l4proto"}}, "gre"), ACCEPT], "gre"),
        ([{"dnat": {"addr": "10.0.0.1"}}], "dnat"),
        ([{"quota": {"val": 1}}, DROP], "quota"),
    ],
)
def test_what_is_not_understood_is_told_with_its_line_and_opens_nothing(statements, word):
    reading = read(chain(), rule(match("dport", 25), ACCEPT), rule(*statements))
    (remark,) = reading.remarks
    assert remark.line == 4
    assert word in remark.detail
    assert {ports for _f, _t, ports in passing(reading)} == {(25, 25)}


def test_sets_that_change_are_not_guessed():
    named = {"set": {"family": "inet", "name": "s", "table": "t", "type": "ipv4_addr", "flags": ["dynamic"]}}
    (remark,) = read(chain(), named, rule(match("saddr", "@s"), ACCEPT)).remarks
    assert "set is filled" in remark.reason.en


def test_a_table_of_one_version_says_nothing_of_the_other():
    reading = read(chain(family="ip"), rule(match("dport", 25), ACCEPT, family="ip"))
    assert passing(reading) == {(4, "tcp", (25, 25)), (6, "tcp", (0, 65535)), (6, "udp", (0, 65535))}


def test_hooks_and_directions():
    reading = read(chain("input"), chain("output"), chain("forward"), chain("prerouting", kind="nat"))
    assert [one.direction for one in reading.filters] == [IN, OUT, FORWARD]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"nftables": [\n{"chain": }\n]}', 2),
        ('{"nftables": [\n{}\n', 3),
        ('{"nftables": 5}', 1),
        ("[" * 200 + "]" * 200, 1),
        ('{"nftables": []} trailing', 1),
        ('{"a": "\\u12"}', 1),
        ("9" * 5000, 1),
    ],
)
def test_what_is_no_ruleset_names_the_line(text, line):
    with pytest.raises(RulesetError, match=f"line {line}:"):
        nftables.read(text)
