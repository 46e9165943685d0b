"""Security groups of AWS and Azure: whose they are, groups as sources, priorities, service tags."""

from __future__ import annotations

import json

import pytest

from postern.firewall.readers import aws, azure
from postern.firewall.readers.aws import Hosts
from postern.firewall.readers.ruleset import IN, OUT, RulesetError, openings
from postern.firewall.region import addresses

HOSTS = Hosts({"mail": ("10.0.0.5",), "dc": ("10.0.0.1", "2001:db8::1")})


def passing(reading, host="mail", direction=IN):
    found = set()
    for one in reading.filters:
        if (one.host, one.direction) == (host, direction):
            for box, _rule in openings(one):
                side = box.source if direction == IN else box.destination
                found.add((addresses(side, box.family)[0], box.transport, box.ports))
    return found


def group(ingress=(), name="postern-mail", **more):
    return {"GroupName": name, "GroupId": f"sg-{name}", "IpPermissions": list(ingress), **more}


def permission(**more):
    return {"IpProtocol": "tcp", "FromPort": 25, "ToPort": 25, **more}


def described(*groups):
    return aws.read(json.dumps({"SecurityGroups": list(groups)}, indent=1), HOSTS)


def test_ranges_and_other_groups():
    reading = described(
        group([permission(IpRanges=[{"CidrIp": "10.9.0.0/16"}], UserIdGroupPairs=[{"GroupId": "sg-dc"}])]),
        group(name="dc"),
    )
    assert passing(reading) == {
        ("10.9.0.0/16", "tcp", (25, 25)), ("10.0.0.1", "tcp", (25, 25)), ("2001:db8::1", "tcp", (25, 25)),
    }  # fmt: skip


def test_every_protocol():
    reading = described(group([{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.1/32"}]}]))
    assert passing(reading) == {("10.0.0.1", name, (0, 65535)) for name in ("tcp", "udp")}


def test_several_groups_of_one_host_add_up():
    tags = [{"Key": "postern:host", "Value": "mail"}]
    reading = described(
        group([permission(IpRanges=[{"CidrIp": "10.9.0.0/16"}])], name="a", Tags=tags),
        group([permission(IpRanges=[{"CidrIp": "10.8.0.0/16"}])], name="b", Tags=tags),
    )
    assert {source for source, _t, _p in passing(reading)} == {"10.8.0.0/16", "10.9.0.0/16"}


@pytest.mark.parametrize(
    ("entry", "detail"),
    [
        (permission(PrefixListIds=[{"PrefixListId": "pl-1"}]), "pl-1"),
        (permission(UserIdGroupPairs=[{"GroupId": "sg-elsewhere"}]), "sg-elsewhere"),
        (permission(IpRanges=[{"CidrIp": "somewhere"}]), "somewhere"),
        (permission(FromPort="x", IpRanges=[{"CidrIp": "10.0.0.0/8"}]), "x-25"),
        (permission(IpProtocol="47", IpRanges=[{"CidrIp": "10.0.0.0/8"}]), "47"),
        (permission(Quota=1), "Quota"),
    ],
)
def test_what_is_not_understood_in_aws(entry, detail):
    reading = described(group([entry]))
    (remark,) = reading.remarks
    assert remark.detail == detail
    assert remark.line > 1
    assert passing(reading) == set()


def test_groups_of_nobody_are_told():
    reading = described(group(name="web"), group())
    assert [remark.detail for remark in reading.remarks] == ["web"]


def test_a_single_group_is_the_asked_host_s():
    text = json.dumps({"SecurityGroups": [group([permission(IpRanges=[{"CidrIp": "10.9.0.0/16"}])], name="web")]})
    reading = aws.read(text, Hosts(HOSTS.addresses, "mail"))
    assert passing(reading) == {("10.9.0.0/16", "tcp", (25, 25))}


def test_a_template_whose_group_names_another():
    resources = {
        "A": {"Type": aws.TEMPLATE_TYPE, "Properties": {"GroupName": "mail", "SecurityGroupIngress": [
            permission(SourceSecurityGroupId={"Fn::GetAtt": ["B", "GroupId"]})]}},
        "B": {"Type": aws.TEMPLATE_TYPE, "Properties": {"GroupName": "dc"}},
    }  # fmt: skip
    reading = aws.read(json.dumps({"Resources": resources}), HOSTS)
    assert ("10.0.0.1", "tcp", (25, 25)) in passing(reading)


def rule(priority, access="Allow", **more):
    made = {"name": f"r{priority}", "priority": priority, "access": access, "direction": "Inbound", "protocol": "Tcp",
            "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*",
            "destinationPortRange": "25"}  # fmt: skip
    return made | more


def nsg(*rules, name="mail", defaults=()):
    return azure.read(
        json.dumps({"name": name, "securityRules": list(rules), "defaultSecurityRules": list(defaults)}, indent=1),
        HOSTS,
    )


def test_the_lowest_priority_decides():
    reading = nsg(rule(300, "Deny"), rule(200, sourceAddressPrefix="10.9.0.0/16"), rule(400))
    assert passing(reading) == {("10.9.0.0/16", "tcp", (25, 25))}


def test_lists_of_ranges():
    reading = nsg(
        rule(100, destinationPortRange="", destinationPortRanges=["25", "143-145"], sourceAddressPrefix="10.9.0.0/16")
    )
    assert passing(reading) == {("10.9.0.0/16", "tcp", (25, 25)), ("10.9.0.0/16", "tcp", (143, 145))}


TAGGED = rule(65000, sourceAddressPrefix="VirtualNetwork", destinationPortRange="*", protocol="*")


def test_service_tags_are_not_guessed():
    (remark,) = nsg(defaults=[TAGGED]).remarks
    assert remark.detail == "VirtualNetwork"


def test_what_comes_after_a_rule_that_denies_all_does_not_matter():
    reading = nsg(rule(4096, "Deny", destinationPortRange="*", protocol="*"), defaults=[TAGGED])
    assert reading.remarks == ()


@pytest.mark.parametrize(
    "change",
    [
        {"access": "Maybe"},
        {"sourcePortRange": "53"},
        {"sourceApplicationSecurityGroups": [{"id": "x"}]},
        {"protocol": "Esp"},
        {"destinationPortRange": "smtp"},
    ],
)
def test_what_is_not_understood_in_azure(change):
    reading = nsg(rule(100, **change))
    assert len(reading.remarks) == 1
    assert passing(reading) == set()


@pytest.mark.parametrize("text", ["{}", "[]", '{"resources": []}', "5"])
def test_other_documents_are_refused(text):
    for reader in (aws, azure):
        with pytest.raises(RulesetError, match="line 1"):
            reader.read(text, HOSTS)


def test_what_aws_lets_out_if_nobody_says_otherwise():
    assert passing(described(group()), direction=OUT) == {
        (network, name, (0, 65535)) for network in ("0.0.0.0/0", "::/0") for name in ("tcp", "udp")
    }
