"""netsh and PowerShell: directions, profiles, keywords; blocking rules win."""

from __future__ import annotations

import json

import pytest

from postern.firewall.readers import netsh, powershell
from postern.firewall.readers.ruleset import IN, OUT, RulesetError, openings

ADD = 'netsh advfirewall firewall add rule name="{}" dir=in action=allow protocol=TCP {}\n'


def passing(reading, direction=IN):
    (made,) = [one for one in reading.filters if one.direction == direction]
    return {(box.transport, box.ports) for box, _rule in openings(made) if box.family == 4}


def test_a_script_of_netsh():
    text = "@echo off\nrem netsh advfirewall firewall add rule name=no\n" + ADD.format(
        "mail", "localport=25,587-590 ^\n remoteip=10.0.0.0/8"
    )
    reading = netsh.read(text)
    assert passing(reading) == {("tcp", (25, 25)), ("tcp", (587, 590))}
    assert passing(reading, OUT) == {("tcp", (0, 65535)), ("udp", (0, 65535))}
    assert reading.filters[0].rules[0].line == 3


def test_rpc_is_the_range_of_the_host():
    text = ADD.format("a", "localport=rpc") + ADD.format("b", "localport=RPC-EPMap")
    assert passing(netsh.read(text, rpc=(6005, 59530))) == {("tcp", (6005, 59530)), ("tcp", (135, 135))}


def test_blocking_rules_win_whatever_their_order():
    text = ADD.format("a", "localport=20-30") + ADD.format("b", "localport=25").replace("allow", "block")
    assert passing(netsh.read(text)) == {("tcp", (20, 24)), ("tcp", (26, 30))}


def test_only_the_asked_profile_counts():
    text = ADD.format("a", "localport=25 profile=public") + ADD.format("b", "localport=26 profile=domain,private")
    assert passing(netsh.read(text)) == {("tcp", (26, 26))}
    assert passing(netsh.read(text, "public")) == {("tcp", (25, 25))}


def test_rules_that_are_off_open_nothing():
    assert passing(netsh.read(ADD.format("a", "localport=25 enable=no"))) == set()


def test_outbound_rules_name_the_far_port():
    text = (
        "netsh advfirewall set allprofiles firewallpolicy blockinbound,blockoutbound\n"
        'netsh advfirewall firewall add rule name="x" dir=out action=allow protocol=UDP remoteport=53\n'
    )
    assert passing(netsh.read(text), OUT) == {("udp", (53, 53))}


@pytest.mark.parametrize(
    ("words", "detail"),
    [
        ("localport=25 remoteip=LocalSubnet", "LocalSubnet"),
        ("localport=25 remoteport=1024-65535", "1024-65535"),
        ("localport=IPHTTPS", "IPHTTPS"),
        ("localport=25 interfacetype=wireless", "wireless"),
        ("localport=25 security=authenticate", "r"),
        ("localport=25 enable=perhaps", "perhaps"),
        ("localport=70000", "70000"),
    ],
)
def test_what_is_not_understood_is_told_with_its_line(words, detail):
    reading = netsh.read("\n" + ADD.format("r", words))
    (remark,) = reading.remarks
    assert (remark.line, detail in remark.detail) == (2, True)
    assert passing(reading) == set()


def test_a_listing_in_a_language_that_is_not_known_opens_nothing_silently():
    text = "Rule Name:   x\n----\nEnabled:   Oui\nDirection:  In\nAction:   Allow\nProtocol: TCP\nLocalPort: 25\n"
    (remark,) = netsh.read(text).remarks
    assert remark.detail == "Oui"


def test_unknown_labels_are_told():
    text = "Rule Name:   x\nEnabled:   Yes\nDirection:  In\nAction:   Allow\nQuota: 5\n"
    (remark,) = netsh.read(text).remarks
    assert (remark.line, remark.detail) == (5, "Quota")


def test_a_script_of_powershell():
    text = (
        "Set-NetFirewallProfile -All -DefaultInboundAction Block\n"
        "# New-NetFirewallRule -Direction Inbound\n"
        "New-NetFirewallRule -DisplayName 'it''s mail' -Direction Inbound -Action Allow `\n"
        "    -Protocol TCP -LocalPort 25,'587-590',RPCEPMap -RemoteAddress @('10.0.0.0/8', \"10.9.0.1\") | Out-Null\n"
    )
    reading = powershell.read(text)
    assert passing(reading) == {("tcp", (25, 25)), ("tcp", (587, 590)), ("tcp", (135, 135))}
    assert [(rule.name, rule.line) for rule in reading.filters[0].rules] == [("it's mail", 3)]


def export(**changes):
    rule = {
        "DisplayName": "r",
        "Direction": 1,
        "Action": 2,
        "Enabled": 1,
        "Profile": 0,
        "Protocol": "TCP",
        "LocalPort": ["25"],
    }
    return json.dumps([rule | changes], indent=1)


def test_enumerations_as_numbers():
    assert passing(powershell.read(export())) == {("tcp", (25, 25))}
    assert passing(powershell.read(export(Enabled=2))) == set()
    assert passing(powershell.read(export(Profile=6))) == set()
    assert passing(powershell.read(export(Profile=6), "public")) == {("tcp", (25, 25))}


@pytest.mark.parametrize(
    "change", [{"RemoteAddress": "LocalSubnet"}, {"Protocol": "GRE"}, {"Direction": 9}, {"Quota": 1}]
)
def test_what_is_not_understood_in_an_export(change):
    reading = powershell.read(export(**change))
    assert len(reading.remarks) == 1
    assert passing(reading) == set()


@pytest.mark.parametrize("text", ['[\n{"a": 1}]', "[\n5]"])
def test_what_is_no_rule_names_the_line(text):
    with pytest.raises(RulesetError, match=r"line \d"):
        powershell.read(text)


def test_other_files_are_refused():
    with pytest.raises(RulesetError):
        netsh.read("hello\n")
    with pytest.raises(RulesetError):
        powershell.read("Write-Host hello\n")
