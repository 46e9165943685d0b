"""The rules in real network namespaces: every required flow passes, others do not."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from tests.topologies import MIGRATION

from postern.firewall.formats import FORMATS
from postern.topology.flows import required_flows
from postern.topology.loading import parse

pytestmark = pytest.mark.integration

TOPOLOGY = parse(MIGRATION, "migration.toml")
FLOWS = required_flows(TOPOLOGY)
COMMANDS = {
    "nftables": [["nft", "-f", "-"]],
    "iptables": [["iptables-restore"], ["ip6tables-restore"]],
}
UNFILTERED = (("tcp", 1), ("tcp", 31337), ("udp", 9), ("udp", 65535))
"""Ports that nobody would open one by one."""
PROBES = [("tcp", 22), ("tcp", 25), ("tcp", 135), ("tcp", 143), ("tcp", 445), ("tcp", 3306), ("udp", 53), ("udp", 161)]
STRANGERS = {"offices": ["10.2.0.77", "2001:db8:2::77"], "internet": ["203.0.113.77", "2001:db8:ffff::77"]}
"""A computer of each zone that plays roles, beside the hosts."""


def computers() -> dict[str, list[str]]:
    return {host.name: list(host.addresses) for host in TOPOLOGY.hosts} | STRANGERS


def zone_of(name: str) -> str:
    return name if name in STRANGERS else TOPOLOGY.host(name).zone


def pairs():
    """(source computer, its address, destination computer, its address) of the same IP version."""
    for source, mine in computers().items():
        for destination, theirs in computers().items():
            for here in mine:
                for there in theirs:
                    same = ipaddress.ip_address(here).version == ipaddress.ip_address(there).version
                    if source != destination and same:
                        yield source, here, destination, there


def allowed(here: str, there: str, transport: str, port: int) -> bool:
    return any(
        flow.source.covers(here)
        and flow.destination.covers(there)
        and (flow.unfiltered or (flow.transport == transport and flow.first <= port <= flow.last))
        for flow in FLOWS
    )


def wanted(crossing: bool):
    """Connections that must come about: each flow from each of its addresses, first and last port."""
    for flow in FLOWS:
        ports = UNFILTERED if flow.unfiltered else {(flow.transport, flow.first), (flow.transport, flow.last)}
        for source, here, destination, there in pairs():
            crosses = zone_of(source) != zone_of(destination)
            if (source, destination) == (flow.source.name, flow.destination.name) and (crosses or not crossing):
                yield from ((source, here, destination, there, *port) for port in sorted(ports))


def unwanted(crossing: bool):
    """Connections that no flow tells of."""
    for source, here, destination, there in pairs():
        if not crossing or zone_of(source) != zone_of(destination):
            for transport, port in PROBES:
                # what comes to a stranger's computer no host filter of ours can stop, what leaves it neither
                ours = crossing or {source, destination} - set(STRANGERS)
                if ours and not allowed(here, there, transport, port):
                    yield source, here, destination, there, transport, port


def filters(name: str, crossing: bool) -> dict[str, list[object]]:
    write = FORMATS[name]
    hosts = {"": None} if crossing else {host.name: host for host in TOPOLOGY.hosts}
    return {key: [[words, write(TOPOLOGY, FLOWS, host)] for words in COMMANDS[name]] for key, host in hosts.items()}


def network(plan: dict[str, object]) -> dict[str, list[bool]]:
    for program in ("unshare", "nsenter", "ip", "nft", "iptables-restore"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.fail(f"{program} is missing: scripts/install-test-parts installs it")
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "XTABLES_LOCKFILE": "/dev/null"}
    done = subprocess.run(
        ["unshare", *root, "--net", sys.executable, "-m", "tests.integration.namespaces"],
        input=json.dumps(plan),
        capture_output=True,
        text=True,
        timeout=100,
        cwd=Path(__file__).parents[2],
        env=environment,
    )
    if done.returncode:
        pytest.fail(f"no network namespaces here, as root or in a user namespace: {done.stderr}")
    return json.loads(done.stdout)


def traffic(connections, filters):
    """What became of each connection, by its source, and the connections in the same order."""
    listen, connect = defaultdict(set), defaultdict(list)
    for source, here, destination, there, transport, port in connections:
        listen[destination].add((there, transport, port))
        connect[source].append((here, there, transport, port))
    listen = {key: sorted(value) for key, value in listen.items()}
    plan = {"computers": computers(), "filters": filters, "listen": listen, "connect": connect}
    return network(plan), connect


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("crossing", [True, False], ids=["device", "hosts"])
def test_required_flows_pass_and_others_do_not(name: str, crossing: bool) -> None:
    good, bad = list(wanted(crossing)), list(unwanted(crossing))
    assert len(good) > 40
    assert len(bad) > 100
    answers, connect = traffic(good + bad, filters(name, crossing))
    passed = {
        (source, *one)
        for source, made in connect.items()
        for one, good_one in zip(made, answers[source], strict=True)
        if good_one
    }
    assert [one for one in good if (one[0], one[1], *one[3:]) not in passed] == []
    assert [one for one in bad if (one[0], one[1], *one[3:]) in passed] == []


def test_without_rules_everything_passes() -> None:
    """The network itself blocks nothing: what the other tests see blocked, the rules blocked."""
    bad = list(unwanted(True))[:40]
    answers, connect = traffic(bad, {})
    made = [(*one, ok) for source in connect for one, ok in zip(connect[source], answers[source], strict=True)]
    assert [one for one in made if not one[-1]] == []
