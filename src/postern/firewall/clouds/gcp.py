"""Google Cloud: VPC firewall rules by aerleon, bound to hosts by network tags.

What comes in is denied by default there; what goes out is allowed, so that a rule of the lowest priority denies the
rest of what the hosts open.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from postern.firewall.clouds.ends import VERSIONS, Side, sides
from postern.firewall.devices.policy import Definitions, filtered, generate, term
from postern.firewall.labels import title
from postern.topology.model import Flow, Host, Topology

NETWORK = "global/networks/default"
INET = {4: "inet", 6: "inet6"}
_REST = 65534
"""The lowest priority that a rule may have."""
_NOWHERE = {4: "0.0.0.0/0", 6: "::/0"}


def tag(host: str) -> str:
    """The network tag of a host: lower-case letters, digits and hyphens (RFC 1035)."""
    return "mail-" + "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in host.lower())


def write(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
    """A JSON list of rules, as `gcloud compute firewall-rules` and the REST interface name them."""
    found: list[dict[str, Any]] = []
    for side in sides(topology, flows, host):
        for version in VERSIONS:
            into = Definitions()
            terms = [_term(side, flow, version, into) for flow in side.flows if side.peers(flow, version)]
            if terms:
                options = f"{'INGRESS' if side.inbound else 'EGRESS'} {INET[version]}"
                found += json.loads(generate([filtered("gce", options, title(topology), terms)], into))
            if not side.inbound:
                found.append(_denied(side.host.name, version))
    for rule in found:
        rule.setdefault("network", NETWORK)
    return json.dumps(found, indent=2, sort_keys=True) + "\n"


def _term(side: Side, flow: Flow, version: int, into: Definitions) -> dict[str, Any]:
    made = term(flow, into, version, source=side.inbound, destination=not side.inbound)
    made["name"] = f"{made['name']}-{'i' if side.inbound else 'e'}{version}"
    made["destination-tag" if side.inbound else "source-tag"] = tag(side.host.name)
    return made


def _denied(host: str, version: int) -> dict[str, Any]:
    return {
        "name": f"{tag(host)}-the-rest-e{version}",
        "description": "Nothing else goes out",
        "direction": "EGRESS",
        "priority": _REST,
        "destinationRanges": [_NOWHERE[version]],
        "denied": [{"IPProtocol": "all"}],
        "targetTags": [tag(host)],
    }
