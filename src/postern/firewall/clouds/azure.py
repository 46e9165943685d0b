"""Azure: an ARM template with one network security group for each host.

The default rules of Azure let everything pass inside a virtual network and everything out of it. The last rule of each
direction therefore denies the rest; that includes the probes of Azure's load balancer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from postern.firewall.clouds.ends import VERSIONS, Side, sides
from postern.firewall.errors import FormatError
from postern.firewall.labels import describe, rule_name
from postern.firewall.readers.azure import PREFIX, TAG
from postern.topology.model import Flow, Host, Topology

DESCRIPTION = 140
"""Characters that Azure keeps of a rule's description."""
FIRST, LAST = 100, 4096
"""Priorities that rules may have."""
API_VERSION = "2023-11-01"


def write(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
    """The template as JSON. Raises FormatError for more rules than a group can hold."""
    rules: dict[str, list[dict[str, Any]]] = {}
    for side in sides(topology, flows, host):
        rules.setdefault(side.host.name, []).extend(_rules(side))
    template = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"location": {"type": "string", "defaultValue": "[resourceGroup().location]"}},
        "resources": [
            {
                "type": "Microsoft.Network/networkSecurityGroups",
                "apiVersion": API_VERSION,
                "name": f"{PREFIX}{name}",
                "location": "[parameters('location')]",
                "tags": {TAG: name},
                "properties": {"securityRules": own},
            }
            for name, own in rules.items()
        ],
    }
    return json.dumps(template, indent=2) + "\n"


def _rules(side: Side) -> list[dict[str, Any]]:
    direction = "Inbound" if side.inbound else "Outbound"
    made = [
        (flow, version) for flow in side.flows for version in VERSIONS if side.peers(flow, version)
    ]  # a rule has addresses of one IP version
    step = 10 if FIRST + 10 * len(made) < LAST else 1
    if FIRST + step * len(made) >= LAST:
        raise FormatError(f"{side.host.name} needs {len(made)} {direction.lower()} rules; Azure takes {LAST - FIRST}")
    found = [
        _rule(side, flow, version, FIRST + step * number, direction) for number, (flow, version) in enumerate(made)
    ]
    found.append(
        {
            "name": f"postern-the-rest-{direction.lower()}",
            "properties": {
                "description": "Nothing else",
                "priority": LAST,
                "direction": direction,
                "access": "Deny",
                "protocol": "*",
                "sourceAddressPrefix": "*",
                "sourcePortRange": "*",
                "destinationAddressPrefix": "*",
                "destinationPortRange": "*",
            },
        }
    )
    return found


def _rule(side: Side, flow: Flow, version: int, priority: int, direction: str) -> dict[str, Any]:
    ports = "*" if flow.unfiltered else str(flow.first) if flow.first == flow.last else f"{flow.first}-{flow.last}"
    return {
        "name": f"{rule_name(flow)}-v{version}",
        "properties": {
            "description": describe(flow, DESCRIPTION),
            "priority": priority,
            "direction": direction,
            "access": "Allow",
            "protocol": "*" if flow.unfiltered else flow.transport.capitalize(),
            "sourceAddressPrefixes": list(flow.source.of_version(version)),
            "sourcePortRange": "*",
            "destinationAddressPrefixes": list(flow.destination.of_version(version)),
            "destinationPortRange": ports,
        },
    }
