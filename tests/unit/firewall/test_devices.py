"""Rules for devices and clouds: what they let pass is what the flows need, and the text stays as it was reviewed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from tests.unit.firewall.migration import FLOWS, TOPOLOGY

from postern.catalogue.schema import Names
from postern.firewall.formats import FORMATS, FormatError
from postern.firewall.labels import describe, plain, rule_name
from postern.firewall.region import TRANSPORTS, boxes, minus, span
from postern.topology.loading import parse
from postern.topology.model import Flow, host_endpoint, zone_endpoint

GOLDEN = Path(__file__).parent / "golden"
DEVICES = ("cisco", "juniper", "juniper-srx", "paloalto")
CLOUDS = ("aws", "azure", "gcp", "kubernetes")

PLACE = parse(
    """
organisation = "Example */ \\" <GmbH>"

[[zone]]
name = "inside"
trust = "internal"
networks = ["10.1.0.0/16", "2001:db8:1::/48"]

[[zone]]
name = "dmz"
trust = "perimeter"
networks = ["192.0.2.0/28"]

[[zone]]
name = "internet"
trust = "external"
roles = ["internet-smtp"]

[[host]]
name = "mail1.example.org"
addresses = ["10.1.0.16", "2001:db8:1::16"]
zone = "inside"
edition = "postern"
roles = ["mailbox", "hub-transport", "client-access"]

[[host]]
name = "edge"
addresses = ["192.0.2.5"]
zone = "dmz"
edition = "postern"
roles = ["edge-transport"]

[[host]]
name = "dc"
addresses = ["10.1.0.1"]
zone = "inside"
roles = ["domain-controller"]
"""
)
MAIL, EDGE, DC = (host_endpoint(host) for host in PLACE.hosts)
INTERNET = zone_endpoint(PLACE.zone("internet"))
PURPOSE = Names('Mail for "us" */ <now> ' + "and a long explanation " * 12, "Почта")


def flow(source, destination, transport, first, last, *ids):
    return Flow(source, destination, transport, first, last, ids, PURPOSE, "required", "")


SOME = (
    flow(INTERNET, EDGE, "tcp", 25, 25, "postern.smtp"),
    flow(EDGE, INTERNET, "tcp", 25, 25, "postern.smtp-out"),
    flow(EDGE, MAIL, "tcp", 25, 25, "postern.smtp"),
    flow(MAIL, EDGE, "tcp", 50636, 50636, "postern.edgesync"),
    flow(INTERNET, MAIL, "tcp", 443, 443, *(f"postern.web-{number}" for number in range(40))),
    flow(MAIL, EDGE, "udp", 6000, 6010, "postern.range"),
    flow(EDGE, DC, "udp", 53, 53, "postern.dns"),
    flow(MAIL, DC, "any", 0, 65535, "ground-rule"),
    flow(DC, MAIL, "any", 0, 65535, "ground-rule"),
)


@pytest.mark.parametrize("name", DEVICES + CLOUDS)
def test_the_text_is_as_it_was_reviewed(name):
    text = FORMATS[name](PLACE, SOME, None)
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("POSTERN_WRITE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("name", DEVICES + CLOUDS)
def test_the_same_flows_give_the_same_text(name):
    assert FORMATS[name](TOPOLOGY, FLOWS, None) == FORMATS[name](TOPOLOGY, FLOWS, None)


def region(flows, own=None, inbound=True):
    found = []
    for one in flows:
        end = (one.destination if inbound else one.source).name
        if own is None or end == own:
            spans = ([span(network) for network in end.networks] for end in (one.source, one.destination))
            names = TRANSPORTS if one.unfiltered else (one.transport,)
            found += boxes(*spans, names, ((max(one.first, 1), one.last),))
    return found


def crossing(flows):
    return [one for one in flows if one.source.zone != one.destination.zone]


def assert_same(found, wanted):
    assert minus(wanted, found) == [], "something that is needed is closed"
    assert minus(found, wanted) == [], "something that is not needed is open"


BOTH = pytest.mark.parametrize(("place", "flows"), [(PLACE, SOME), (TOPOLOGY, FLOWS)], ids=["small", "migration"])


@BOTH
def test_cisco_opens_the_flows_and_nothing_else(place, flows):
    found = []
    for line in FORMATS["cisco"](place, flows, None).splitlines():
        words = line.split()
        if words[:1] == ["permit"] and "established" not in words and words[1] != "icmp":
            found += cisco_line(words[1:])
    udp_answers = [box for one in crossing(flows) if one.transport == "udp" for box in answers(one)]
    assert_same(minus(found, udp_answers), minus(region(crossing(flows)), udp_answers))


def answers(one):
    spans = [[span(network) for network in end.networks] for end in (one.destination, one.source)]
    return boxes(*spans, ("udp",), ((1, 65535),))


def cisco_line(words):
    names = TRANSPORTS if words[0] in ("ip", "ipv6") else (words[0],)
    at, ends, source_port = 1, [], False
    for _ in range(2):
        if words[at] == "any":
            ends.append(None)
            at += 1
        elif words[at] == "host":
            ends.append([span(words[at + 1])])
            at += 2
        elif "/" in words[at]:
            ends.append([span(words[at])])
            at += 1
        else:  # address and wildcard: the mask with its bits turned over
            mask = ".".join(str(255 - int(octet)) for octet in words[at + 1].split("."))
            ends.append([span(f"{words[at]}/{mask}")])
            at += 2
        if len(ends) == 1 and words[at] in ("eq", "range"):
            source_port = True
            at += 2 if words[at] == "eq" else 3
    ports = ((1, 65535),)
    if words[at:] and words[at] in ("eq", "range"):
        ports = ((int(words[at + 1]), int(words[-1])),)
    families = {span.family for end in ends if end for span in end} or {4, 6}
    return boxes(*ends, names, ports, families) if not source_port or "udp" in names else []


@BOTH
def test_paloalto_opens_the_flows_and_nothing_else(place, flows):
    tree = ElementTree.fromstring(FORMATS["paloalto"](place, flows, None))
    addresses = {entry.get("name"): entry.findtext("ip-netmask") for entry in tree.iterfind(".//address/entry")}
    groups = {
        entry.get("name"): [addresses[member.text] for member in entry.iterfind("static/member")]
        for entry in tree.iterfind(".//address-group/entry")
    }
    services = {
        entry.get("name"): (entry.find("protocol")[0].tag, entry.findtext(".//port"))
        for entry in tree.iterfind(".//service/entry")
    }
    found = []
    for rule in tree.iterfind(".//rules/entry"):
        assert rule.findtext("action") == "allow"
        assert rule.findtext("from/member") != rule.findtext("to/member")
        ends = [[span(text) for text in groups[rule.findtext(f"{end}/member")]] for end in ("source", "destination")]
        service = rule.findtext("service/member")
        if service == "any":
            found += boxes(*ends, TRANSPORTS, ((1, 65535),))
        else:
            transport, ports = services[service]
            first, _dash, last = ports.partition("-")
            found += boxes(*ends, (transport,), ((int(first), int(last or first)),))
    assert_same(found, region(crossing(flows)))


@BOTH
def test_gcp_opens_the_flows_and_nothing_else(place, flows):
    rules = json.loads(FORMATS["gcp"](place, flows, None))
    assert len({rule["name"] for rule in rules}) == len(rules)
    for host in place.hosts:
        tag = "mail-" + host.name.replace(".", "-")
        own = [span(address) for address in host.addresses]
        for direction, key in (("INGRESS", "sourceRanges"), ("EGRESS", "destinationRanges")):
            found = []
            for rule in rules:
                if rule["targetTags"] == [tag] and rule["direction"] == direction and "allowed" in rule:
                    peers = [span(text) for text in rule[key]]
                    for allowed in rule["allowed"]:
                        names = TRANSPORTS if allowed["IPProtocol"] == "all" else (allowed["IPProtocol"],)
                        ends = (peers, own) if direction == "INGRESS" else (own, peers)
                        found += boxes(*ends, names, tuple(map(port_pair, allowed.get("ports", ["1-65535"]))))
            assert_same(found, region(flows, host.name, direction == "INGRESS"))
        assert sum(rule["targetTags"] == [tag] and "denied" in rule for rule in rules) == 2


def port_pair(text):
    first, _dash, last = text.partition("-")
    return int(first), int(last or first)


@BOTH
def test_kubernetes_opens_the_flows_and_nothing_else(place, flows):
    listed = yaml.safe_load(FORMATS["kubernetes"](place, flows, None))
    names = [item["metadata"]["name"] for item in listed["items"]]
    assert len(set(names)) == len(names)
    for host in place.hosts:
        own = [span(address) for address in host.addresses]
        items = [i for i in listed["items"] if i["spec"]["podSelector"]["matchLabels"] == {"postern-host": host.name}]
        assert any(set(item["spec"]["policyTypes"]) == {"Ingress", "Egress"} for item in items)
        for kind, side in (("ingress", "from"), ("egress", "to")):
            found = []
            for rule in (rule for item in items for rule in item["spec"].get(kind, [])):
                peers = [span(peer["ipBlock"]["cidr"]) for peer in rule[side]]
                ends = (peers, own) if kind == "ingress" else (own, peers)
                for port in rule["ports"] or [{"protocol": "TCP", "port": 1, "endPort": 65535},
                                              {"protocol": "UDP", "port": 1, "endPort": 65535}]:  # fmt: skip
                    pair = port["port"], port.get("endPort", port["port"])
                    found += boxes(*ends, (port["protocol"].lower(),), (pair,))
            assert_same(found, region(flows, host.name, kind == "ingress"))


@BOTH
@pytest.mark.parametrize("name", ["juniper", "juniper-srx"])
def test_juniper_has_a_term_for_each_flow(name, place, flows):
    text = FORMATS[name](place, flows, None)
    for one in crossing(flows):
        assert re.search(rf"(term|policy) {rule_name(one)} {{", text)


@pytest.mark.parametrize("name", ["cisco", "juniper"])
def test_filters_without_state_let_answers_and_neighbour_discovery_pass(name):
    text = FORMATS[name](PLACE, SOME, None)
    assert "established" in text
    for kind in ("133", "134", "135", "136"):
        assert kind in text


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_filters_for_no_single_host(name):
    with pytest.raises(FormatError, match="--host"):
        FORMATS[name](PLACE, SOME, PLACE.hosts[0])


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_with_nothing_to_do_says_so(name):
    with pytest.raises(FormatError, match="no flow"):
        FORMATS[name](PLACE, SOME[-2:], None)


@pytest.mark.parametrize("name", CLOUDS)
def test_a_cloud_s_rules_of_one_host_are_part_of_all(name):
    text = FORMATS[name](PLACE, SOME, PLACE.hosts[1])
    assert "edge" in text
    assert "postern-mail1" not in text
    assert "mail-mail1" not in text


@pytest.mark.parametrize("name", DEVICES + CLOUDS)
def test_every_rule_carries_its_data_path(name):
    text = FORMATS[name](PLACE, SOME, None)
    for one in SOME if name in CLOUDS else crossing(SOME):
        assert one.path_ids[0] in text
    assert "*/ <" not in text
    assert "Почта" not in text


def test_descriptions_are_short_and_ids_come_first():
    for limit in (100, 140, 255):
        for one in SOME:
            text = describe(one, limit)
            assert len(text) <= limit
            assert text.startswith(one.path_ids[0])
    assert " +" in describe(SOME[4], 140)


def test_a_name_does_not_depend_on_other_flows_and_is_no_one_else_s():
    names = [rule_name(one) for one in (*SOME, *FLOWS)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{,39}", name) for name in names)


def test_hostile_names_end_no_comment():
    assert plain('a */ b " c\n! d <x>') == "a / b c d x"


def test_more_rules_than_azure_takes_are_refused():
    many = [flow(INTERNET, EDGE, "tcp", port, port, f"postern.p{port}") for port in range(1000, 5100)]
    with pytest.raises(FormatError, match="Azure takes"):
        FORMATS["azure"](PLACE, many, PLACE.hosts[1])
    rules = json.loads(FORMATS["azure"](PLACE, many[:1000], PLACE.hosts[1]))["resources"][0]["properties"]
    priorities = [rule["properties"]["priority"] for rule in rules["securityRules"]]
    assert max(priorities) == 4096
    assert min(priorities) == 100
