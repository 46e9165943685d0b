"""The Windows rules beside the reference's table of 54 documented rules."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from tests.topologies import MIGRATION

from postern.firewall.formats import FORMATS
from postern.firewall.windows import inbound
from postern.topology.flows import required_flows
from postern.topology.loading import parse

TOPOLOGY = parse(MIGRATION, "migration.toml")
FLOWS = required_flows(TOPOLOGY)
REFERENCE = Path(__file__).parents[2] / "data/datapaths/exchange-2010-windows-firewall-rules.csv"
with REFERENCE.open(encoding="utf-8") as file:
    DOCUMENTED = {row["rule_name"]: row for row in csv.DictReader(file)}

NETSH = re.compile(
    r'netsh advfirewall firewall add rule name="(?P<name>[^"]+)" dir=in action=allow enable=yes profile=any'
    r" protocol=(?P<protocol>tcp|udp|any)(?: localport=(?P<ports>[\w,-]+))? localip=(?P<local>[\da-f.:/,]+)"
    r' remoteip=(?P<remote>any|[\da-f.:/,]+)(?: program="(?P<program>%[A-Za-z]+%[^"%]+)")?'
    r' description="(?P<description>[^"]+)"'
)
LITERAL = r"'(?:[^']|'')*'"
POWERSHELL = re.compile(
    r"New-NetFirewallRule -Group 'Postern' -Direction Inbound -Action Allow -Profile Any `\r\n"
    rf" {{4}}-Name (?P<key>{LITERAL}) -DisplayName (?P<name>{LITERAL}) `\r\n"
    rf" {{4}}-Description (?P<description>{LITERAL}) `\r\n"
    rf" {{4}}-Protocol (?P<protocol>TCP|UDP|Any)(?: -LocalPort (?P<ports>{LITERAL}(?:,{LITERAL})*))? `\r\n"
    rf" {{4}}-LocalAddress (?P<local>{LITERAL}(?:,{LITERAL})*) `\r\n"
    rf" {{4}}-RemoteAddress (?P<remote>Any|{LITERAL}(?:,{LITERAL})*)"
    r'(?: `\r\n {4}-Program "(?P<program>\$\(\$env:ExchangeInstallPath\)[^"$`]+|\$env:SystemRoot\\[^"$`]+)")?'
    r" \| Out-Null\r\n"
)


def netsh_ports(text: str) -> str:
    """The reference's spelling as netsh's (netsh advfirewall firewall add rule: rpc, rpc-epmap)."""
    words = [word.removesuffix("/tcp") for word in text.split(";")]
    return ",".join({"135": "rpc-epmap", "dynamic": "rpc"}.get(word, word) for word in words)


def lines(name: str, host: str) -> str:
    return FORMATS[name](TOPOLOGY, FLOWS, TOPOLOGY.host(host))


def test_all_54_documented_rules_are_written_as_documented() -> None:
    found: dict[str, list[re.Match[str]]] = {}
    for match in NETSH.finditer(lines("netsh", "ex10")):
        found.setdefault(match["name"], []).append(match)
    assert len(DOCUMENTED) == 54
    folder = re.compile(r"^%ExchangeInstallPath%|^%SystemRoot%\\(System32\\(?=Inetsrv))?")
    for name, row in DOCUMENTED.items():
        rules = found[name]  # several, where not all ports are for the same addresses
        assert {rule["protocol"] for rule in rules} == {"tcp"}
        ports = ",".join(rule["ports"] or "any" for rule in rules)
        assert sorted(ports.split(",")) == sorted(netsh_ports(row["ports"]).split(",")), name
        assert {folder.sub("", rule["program"] or "any") for rule in rules} == {row["program"]}, name
        assert "any" not in {rule["remote"] for rule in rules}, name  # Setup's own rule lets everybody in


def test_netsh_lines_fit_their_grammar() -> None:
    for host in ("ex10", "ex16", "post1"):
        text = lines("netsh", host)
        assert text.endswith("\r\n")
        for line in text.split("\r\n"):
            if "add rule" in line:
                assert NETSH.fullmatch(line), line
                assert len(line) < 8191, line  # what cmd.exe reads
            else:
                assert re.fullmatch(
                    r"|@echo off|rem [^%&|<>]*"
                    r"|netsh advfirewall set allprofiles firewallpolicy blockinbound,allowoutbound"
                    r'|netsh advfirewall firewall delete rule name="[^"%]+" >nul 2>&1',
                    line,
                ), line


def test_powershell_fits_its_grammar_and_says_the_same_as_netsh() -> None:
    for host in ("ex10", "ex16", "post1"):
        text = lines("powershell", host)
        rules = list(POWERSHELL.finditer(text))
        assert len(rules) == text.count("New-NetFirewallRule") == len(inbound(FLOWS, TOPOLOGY.host(host)))
        assert len({rule["key"] for rule in rules}) == len(rules)
        plain = [match for match in NETSH.finditer(lines("netsh", host))]
        for one, other in zip(rules, plain, strict=True):
            assert one["name"].strip("'") == other["name"]
            ports = (one["ports"] or "").replace("'", "").lower().replace("rpcepmap", "rpc-epmap")
            assert ports == (other["ports"] or "")
            assert one["remote"].replace("'", "").lower() == other["remote"]
            assert one["local"].replace("'", "") == other["local"]


def test_setups_own_rules_are_switched_off() -> None:
    text = lines("powershell", "ex10")
    listed = text.partition("$setup = @(")[2].partition(")\r\n")[0]
    for name in DOCUMENTED:
        assert f"'{name}'\r\n" in listed
    assert "$setup" not in lines("powershell", "ex16")


def test_nothing_is_wider_than_the_flows() -> None:
    """Every remote address of every rule has a flow to the host on the rule's ports."""
    for host in ("ex10", "ex16", "post1", "edge1"):
        into = [flow for flow in FLOWS if flow.destination.name == host]
        for rule in inbound(FLOWS, TOPOLOGY.host(host)):
            remote = rule.remote or ("0.0.0.0/0", "::/0")
            for network in remote:
                assert any(
                    network in flow.source.networks and (flow.unfiltered or _shares(flow, rule.ports)) for flow in into
                ), (rule.name, network)


def _shares(flow, ports) -> bool:
    for word in ports:
        numbers = {"RPC": "6005-65534", "RPCEPMap": "135"}.get(word, word)
        first, _, last = numbers.partition("-")
        if flow.first <= int(first) and int(last or first) <= flow.last:
            return True
    return False


@pytest.mark.parametrize("host", ["ex10", "ex16", "post1", "edge1"])
def test_every_flow_has_a_rule(host: str) -> None:
    rules = inbound(FLOWS, TOPOLOGY.host(host))
    for flow in FLOWS:
        if flow.destination.name == host:
            fitting = [
                rule
                for rule in rules
                if (rule.protocol == "Any" if flow.unfiltered else rule.protocol == flow.transport.upper())
                and (flow.unfiltered or _shares(flow, rule.ports))
                and not rule.program
            ]
            versions = {":" in address for address in TOPOLOGY.host(host).addresses}
            networks = [network for network in flow.source.networks if (":" in network) in versions]
            assert all(any(not r.remote or n in r.remote for r in fitting) for n in networks), flow
