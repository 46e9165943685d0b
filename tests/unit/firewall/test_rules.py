from __future__ import annotations

import ipaddress
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.topologies import MIGRATION

from postern.firewall.iptables import MULTIPORT, chunks
from postern.firewall.rules import IN, device_rules, host_rules, joined_networks, joined_ports, label, one_line
from postern.topology.flows import required_flows
from postern.topology.loading import parse

TOPOLOGY = parse(MIGRATION, "migration.toml")
FLOWS = required_flows(TOPOLOGY)
ports = st.tuples(st.integers(1, 300), st.integers(0, 40)).map(lambda pair: (pair[0], pair[0] + pair[1]))
networks = st.tuples(st.integers(0, 2**16 - 1), st.integers(16, 32)).map(
    lambda pair: str(ipaddress.ip_network((pair[0] << 8, pair[1]), strict=False))
)


@given(st.lists(ports, max_size=12))
def test_joined_ports_are_the_same_ports(given):
    joined = joined_ports(given)
    assert {n for a, b in joined for n in range(a, b + 1)} == {n for a, b in given for n in range(a, b + 1)}
    assert all(one[1] < other[0] for one, other in pairwise(joined))


@given(st.lists(networks, max_size=12))
def test_joined_networks_are_the_same_addresses(given):
    joined = [ipaddress.ip_network(text) for text in joined_networks(given)]
    assert all(any(ipaddress.ip_network(text).subnet_of(kept) for kept in joined) for text in given)
    assert {str(kept) for kept in joined} <= set(given)
    assert all(not one.overlaps(other) for one in joined for other in joined if one != other)


@given(st.lists(ports, max_size=40))
def test_multiport_chunks_hold_all_ports_and_fit(given):
    found = chunks(given, MULTIPORT)
    assert [pair for chunk in found for pair in chunk] == given
    assert all(sum(1 if first == last else 2 for first, last in chunk) <= MULTIPORT for chunk in found)


@given(st.text(), st.integers(20, 300))
def test_labels_fit_and_end_no_quotes(text, octets):
    made = label(("a.b", "c.d"), text, octets)
    assert len(made) <= octets
    assert made.startswith("a.b")
    assert not set(made) & set("\"'\n\r\\`").difference("'")
    assert all(" " <= character <= "~" for character in made)


def test_ids_are_whole_or_counted():
    ids = tuple(f"2016.some-table.path-{n:02}" for n in range(20))
    made = label(ids, "Mail from other organisations", 127)
    words = made.partition(": ")[0].split()
    assert set(words[:-1]) < set(ids)
    assert int(words[-1]) == 20 - len(words[:-1])
    assert made.endswith("Mail from other organisations")


def test_typographic_quotes_do_not_pass():
    assert one_line("Вход “quoted” ‘x’ \\ `y`\nnext") == "???? 'quoted' 'x' / 'y' next"


def test_host_rules_let_in_exactly_the_flows():
    """Rule by rule, address by address: what the rules of a host cover is what the flows to it are."""
    host = TOPOLOGY.host("ex16")
    covered = set()
    for rule in host_rules(FLOWS, host):
        if rule.direction == IN:
            every = {4: ("0.0.0.0/0",), 6: ("::/0",)}[rule.version]
            for source in rule.sources or every:
                for destination in rule.destinations:
                    covered |= {(source, destination, rule.transport, pair) for pair in rule.ports or ((0, 65535),)}
    wanted = {
        (source, destination, flow.transport, (flow.first, flow.last))
        for flow in FLOWS
        if flow.destination.name == "ex16"
        for source in flow.source.networks
        for destination in flow.destination.networks
        if (":" in source) == (":" in destination)
    }
    everybody = {"0.0.0.0/0", "::/0"}
    assert covered <= wanted
    # who is let in from everywhere need not be named again
    assert {(s, *rest) for s, *rest in wanted - covered if not any((e, *rest) in covered for e in everybody)} == set()


def test_a_device_sees_no_traffic_inside_a_zone():
    servers = {"10.1.0.10/32", "10.1.0.16/32"}
    assert not any(servers & set(rule.sources) and servers & set(rule.destinations) for rule in device_rules(FLOWS))
