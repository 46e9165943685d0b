"""Kubernetes: network policies by aerleon, for pods that carry the label `postern-host` with the host's name.

aerleon's policies hold for every pod of a namespace; here each is bound to its host's pods, as anything else would open
more than the flows. A policy that selects a pod closes whatever no policy allows, in the directions that it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from postern.firewall.clouds.ends import Side, sides
from postern.firewall.devices.policy import MIXED, Definitions, filtered, generate, shared, term
from postern.firewall.labels import plain, title
from postern.topology.model import Flow, Host, Topology

LABEL = "postern-host"


def write(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
    """A list of NetworkPolicy resources as YAML."""
    items: list[dict[str, Any]] = []
    for side in sides(topology, flows, host):
        items += _policies(topology, side)
    for one in dict.fromkeys(side.host.name for side in sides(topology, flows, host)):
        items.append(_closed(one))
    listed = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicyList", "items": items}
    return f"# {title(topology)}\n{yaml.safe_dump(listed, sort_keys=True, width=120)}"


def _policies(topology: Topology, side: Side) -> list[dict[str, Any]]:
    into, terms = Definitions(), []
    for flow in side.flows:
        if shared(flow, MIXED):
            made = term(flow, into, MIXED, source=side.inbound, destination=not side.inbound)
            made["name"] = f"{made['name']}{'-in' if side.inbound else ''}"
            terms.append(made)
    if not terms:
        return []
    options = "INGRESS" if side.inbound else "EGRESS"
    items: list[dict[str, Any]] = yaml.safe_load(generate([filtered("k8s", options, title(topology), terms)], into))[
        "items"
    ]
    for item in items:
        item["spec"]["podSelector"] = _selector(side.host.name)
    return items


def _closed(host: str) -> dict[str, Any]:
    """The pods of a host are closed in both directions even where it has no flows."""
    name = "".join(letter if letter.isalnum() else "-" for letter in plain(host).lower()).strip("-")
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"p-{name}-the-rest", "annotations": {"comment": "nothing else"}},
        "spec": {"podSelector": _selector(host), "policyTypes": ["Ingress", "Egress"]},
    }


def _selector(host: str) -> dict[str, Any]:
    return {"matchLabels": {LABEL: host}}
