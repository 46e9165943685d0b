"""AWS: a CloudFormation template with one security group for each host.

A stack is updated to exactly what the template says, so that loading it again changes nothing. Groups allow only, so
that every flow is a rule, in and out; without an outbound rule AWS would let everything out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from postern.firewall.clouds.ends import VERSIONS, Side, sides
from postern.firewall.labels import describe, plain, title
from postern.firewall.readers.aws import NOTHING_OUT, PREFIX, TAG, TEMPLATE_TYPE
from postern.topology.model import Flow, Host, Topology

DESCRIPTION = 255
"""Characters that EC2 keeps of a rule's description."""
_CIDR = {4: "CidrIp", 6: "CidrIpv6"}


def write(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
    """The template as JSON."""
    resources: dict[str, Any] = {}
    for side in sides(topology, flows, host):
        group = resources.setdefault(_logical(side.host.name, resources), _group(topology, side.host))
        key = "SecurityGroupIngress" if side.inbound else "SecurityGroupEgress"
        group["Properties"][key] = _rules(side) or ([] if side.inbound else [_NOTHING])
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": title(topology),
        "Parameters": {"Vpc": {"Type": "AWS::EC2::VPC::Id", "Description": "The network that the hosts are in"}},
        "Resources": resources,
    }
    return json.dumps(template, indent=2) + "\n"


_NOTHING = {"IpProtocol": "-1", "CidrIp": NOTHING_OUT, "Description": "nothing is opened from here"}


def _logical(name: str, taken: dict[str, Any]) -> str:
    """A logical id: letters and digits only, and each host's own."""
    base = logical = "Mail" + "".join(part.capitalize() for part in re.findall(r"[A-Za-z0-9]+", name))
    number = 2
    while logical in taken and taken[logical]["Properties"]["Tags"][0]["Value"] != name:
        logical, number = f"{base}{number}", number + 1
    return logical


def _group(topology: Topology, host: Host) -> dict[str, Any]:
    return {
        "Type": TEMPLATE_TYPE,
        "Properties": {
            "GroupName": f"{PREFIX}{host.name}",
            "GroupDescription": plain(f"{title(topology)}: {host.name}"),
            "VpcId": {"Ref": "Vpc"},
            "Tags": [{"Key": TAG, "Value": host.name}],
        },
    }


def _rules(side: Side) -> list[dict[str, Any]]:
    """One rule for each network and port: the same twice would be refused."""
    found: dict[tuple[object, ...], dict[str, Any]] = {}
    for flow in side.flows:
        match: dict[str, Any] = {"IpProtocol": "-1"}
        if not flow.unfiltered:
            match = {"IpProtocol": flow.transport, "FromPort": flow.first, "ToPort": flow.last}
        for version in VERSIONS:
            for network in side.peers(flow, version):
                rule = {**match, _CIDR[version]: network}
                found.setdefault(tuple(rule.values()), {**rule, "Description": describe(flow, DESCRIPTION)})
    return list(found.values())
