"""The audit finds what is planted, in every format, and nothing in the rules that Postern writes."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.firewall.exports import EXPORTS
from tests.unit.firewall.migration import FLOWS, HOSTS, PATHS, TOPOLOGY

from postern.catalogue.schema import Names
from postern.firewall.audit import MISSING, SURPLUS, UNENCRYPTED, AuditError, audit
from postern.firewall.formats import FORMATS
from postern.firewall.readers.aws import Hosts
from postern.firewall.readers.detect import Context, read
from postern.topology.model import Flow, host_endpoint, zone_endpoint
from postern.topology.parties import Party, rpc_ports

OWN = ("iptables", "netsh", "powershell", "aws", "azure")
"""Formats that both can be written and are read as they are written."""
POST = TOPOLOGY.host("post")


def compare(text, host=None, name=""):
    given = Context(Hosts(HOSTS, host.name if host else ""), rpc=rpc_ports(Party.of(host)) if host else (1, 1))
    reading = read(text, given, name)
    return audit(TOPOLOGY, reading, FLOWS, PATHS, host)


def to_post(zone: str, transport: str, port: int) -> Flow:
    source, target = zone_endpoint(TOPOLOGY.zone(zone)), host_endpoint(POST)
    return Flow(source, target, transport, port, port, (f"planted.{port}",), Names("Planted", ""), "none", "")


ADDED = (to_post("internet", "tcp", 3389), to_post("clients", "udp", 161), to_post("dmz", "tcp", 5432))
REMOVED = tuple(
    flow
    for flow in FLOWS
    if flow.destination.name == "post"
    and (flow.source.name, flow.port_text) in {("clients", "993/tcp"), ("clients", "587/tcp"), ("edge", "25/tcp")}
)
FAULTY = (*(flow for flow in FLOWS if flow not in REMOVED), *ADDED)


def keys(findings):
    return sorted((finding.source[0], finding.ports[0]) for finding in findings)


def check_planted(report, removed=REMOVED):
    assert keys(report.of(MISSING)) == sorted((flow.source.name, flow.port_text) for flow in removed)
    assert all(not finding.partly and finding.breaks.en for finding in report.of(MISSING))
    wanted = [("0.0.0.0/0", "3389/tcp"), ("10.50.0.0/16", "161/udp"), ("192.0.2.0/28", "5432/tcp")]
    assert keys(report.of(SURPLUS)) == wanted
    assert all(finding.rule for finding in report.of(SURPLUS))
    assert report.not_understood == ()


def test_three_flows_are_there_to_be_removed():
    assert len(REMOVED) == 3


@pytest.mark.parametrize("name", OWN)
def test_three_missing_and_three_surplus_are_found_in_what_postern_writes(name):
    check_planted(compare(FORMATS[name](TOPOLOGY, FAULTY, POST), POST))


@pytest.mark.parametrize("name", EXPORTS)
def test_three_missing_and_three_surplus_are_found_in_what_the_firewall_prints(name):
    check_planted(compare(EXPORTS[name](FAULTY, POST), POST))


@pytest.mark.parametrize("name", EXPORTS)
def test_nothing_is_found_in_a_right_export(name):
    report = compare(EXPORTS[name](FLOWS, POST), POST)
    assert (report.of(MISSING), report.of(SURPLUS), report.not_understood) == ((), (), ())


@pytest.mark.parametrize("host", TOPOLOGY.hosts, ids=lambda host: host.name)
@pytest.mark.parametrize("name", OWN)
def test_nothing_is_found_in_postern_s_own_rules_of_a_host(name, host):
    report = compare(FORMATS[name](TOPOLOGY, FLOWS, host), host)
    assert (report.of(MISSING), report.of(SURPLUS), report.not_understood) == ((), (), ())


@pytest.mark.parametrize("name", ["iptables", "aws", "azure"])
def test_nothing_is_found_in_postern_s_own_rules_of_everything(name):
    report = compare(FORMATS[name](TOPOLOGY, FLOWS, None))
    assert (report.of(MISSING), report.of(SURPLUS), report.not_understood) == ((), (), ())
    assert set(report.hosts) == (set() if name == "iptables" else set(HOSTS))


def test_faults_are_found_in_a_device_between_the_zones():
    removed = [
        flow
        for flow in FLOWS
        if (flow.source.name, flow.destination.name, flow.first)
        in {("clients", "post", 993), ("clients", "post", 587), ("edge", "dc", 53)}
        and flow.transport == "tcp"
    ]
    assert len(removed) == 3
    # mail from the edge to the server would pass in spite of its own rule's absence: the edge may send to everybody
    faulty = (*(flow for flow in FLOWS if flow not in removed), *ADDED)
    report = compare(FORMATS["iptables"](TOPOLOGY, faulty, None))
    check_planted(report, removed)
    assert {finding.direction for finding in report.findings} == {"forward"}


def test_a_flow_that_passes_only_in_part_says_so():
    narrower = [
        msgspec.structs.replace(flow, source=msgspec.structs.replace(flow.source, networks=("10.50.0.0/17",)))
        if flow in PATHS and flow.source.name == "clients" and flow.first == 993
        else flow
        for flow in FLOWS
    ]
    (finding,) = compare(FORMATS["iptables"](TOPOLOGY, narrower, POST), POST).of(MISSING)
    assert finding.partly
    assert finding.paths == ("postern.imaps",)


def test_a_surplus_says_who_needs_the_port():
    wider = (*FLOWS, to_post("internet", "tcp", 25))
    (finding,) = compare(FORMATS["aws"](TOPOLOGY, wider, POST), POST).of(SURPLUS)
    assert finding.ports == ("25/tcp",)
    assert "edge" in finding.needed


def test_unencrypted_paths_are_told_by_how_far():
    found = {
        (finding.source[0], finding.ports[0], finding.partly)
        for finding in compare(FORMATS["iptables"](TOPOLOGY, FLOWS, POST), POST).of(UNENCRYPTED)
    }
    assert ("edge", "25/tcp", True) in found
    assert not any(ports == "993/tcp" for _source, ports, _partly in found)


def test_a_closed_path_is_not_told_to_be_unencrypted():
    text = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\nCOMMIT\n"
    report = compare(text, POST)
    assert report.of(UNENCRYPTED) == report.of(SURPLUS) == ()
    assert report.of(MISSING)


def test_no_filter_at_all_opens_everything():
    report = compare('{"nftables": []}', POST)
    assert report.of(MISSING) == ()
    assert {finding.rule for finding in report.of(SURPLUS)} == {"no filter at all"}
    assert {finding.direction for finding in report.of(SURPLUS)} == {"in"}


def test_what_leaves_a_host_is_judged_only_where_it_is_filtered():
    text = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
    report = compare(text, POST)
    assert {finding.direction for finding in report.findings} == {"in"}


def test_rules_of_one_computer_need_its_name():
    text = FORMATS["netsh"](TOPOLOGY, FLOWS, POST)
    with pytest.raises(AuditError, match=r"--host.*ex10.*post"):
        compare(text)


def test_a_host_that_is_not_in_the_file_is_named():
    with pytest.raises(AuditError, match=r"no rules for dc.*post"):
        compare(FORMATS["aws"](TOPOLOGY, FLOWS, POST), TOPOLOGY.host("dc"))
