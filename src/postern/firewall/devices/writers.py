"""Cisco, Juniper and Palo Alto."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from postern.firewall.devices.policy import (
    FAMILIES,
    MIXED,
    Definitions,
    answer,
    crossing,
    filtered,
    generate,
    shared,
    term,
)
from postern.firewall.errors import FormatError
from postern.firewall.labels import plain, title
from postern.topology.flows import by_zone
from postern.topology.model import Flow, Host, Topology

NAME = "POSTERN"
_REST = {"name": "the-rest", "comment": "nothing else", "action": "deny"}
_ERRORS: dict[int, dict[str, Any]] = {
    4: {"protocol": "icmp", "icmp-type": ["unreachable"]},
    6: {"protocol": "icmpv6", "icmp-type": ["destination-unreachable", "packet-too-big"]},
}
"""Without these, connections hang where a link takes only smaller packets (RFC 4890 4.3.1, RFC 1191)."""
_NEIGHBOURS = {
    "name": "neighbour-discovery",
    "comment": "IPv6 neighbour discovery, without which no packet finds its way (RFC 4890 4.4.1)",
    "protocol": "icmpv6",
    "icmp-type": ["router-solicit", "router-advertisement", "neighbor-solicit", "neighbor-advertisement"],
    "action": "accept",
}


def cisco(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
    """Extended access lists of IOS, one for each IP version, to be applied inbound on every interface.

    They keep no state, so that the answers to each flow have a line of their own.
    """
    text = _stateless(topology, flows, host, "cisco", {4: f"{NAME} extended", 6: f"{NAME}6 inet6"})
    return text.replace(" permit 58 any any ", " permit icmp any any ")  # IOS takes types only after the name


def juniper(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
    """Firewall filters of Junos, one for each IP version, without state: for routers and switches."""
    return _stateless(topology, flows, host, "juniper", {4: f"{NAME} inet", 6: f"{NAME}6 inet6"})


def juniper_srx(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
    """Security policies of SRX between the zones of the topology."""
    return _zones(topology, flows, host, "srx")


def paloalto(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
    """Security rules of PAN-OS between the zones of the topology, as XML."""
    return _zones(topology, flows, host, "paloalto")


def _between(flows: Sequence[Flow], host: Host | None) -> list[Flow]:
    if host is not None:
        raise FormatError("this device stands between zones and filters for no single computer: leave --host out")
    return crossing(flows)


def _stateless(
    topology: Topology, flows: Sequence[Flow], host: Host | None, target: str, options: dict[int, str]
) -> str:
    into, filters = Definitions(), []
    between = _between(flows, host)
    for family in FAMILIES:
        terms: list[dict[str, Any]] = []
        for flow in between:
            if shared(flow, family):
                terms.append(term(flow, into, family))
                if not flow.unfiltered:
                    terms.append(answer(flow, into, family))
        if terms:
            errors = {"name": "errors", "comment": "what routers say of packets", "action": "accept", **_ERRORS[family]}
            terms += [errors, *([_NEIGHBOURS] if family == 6 else []), _REST]
            filters.append(filtered(target, options[family], title(topology), terms))
    return generate(filters, into)


def _zones(topology: Topology, flows: Sequence[Flow], host: Host | None, target: str) -> str:
    into, filters = Definitions(), []
    for (source, destination), group in by_zone(_between(flows, host)).items():
        terms = [term(flow, into, MIXED) for flow in group if shared(flow, MIXED)]
        if terms:
            options = f"from-zone {_zone(source)} to-zone {_zone(destination)} mixed"
            filters.append(filtered(target, options, title(topology), terms))
    return generate(filters, into)


def _zone(name: str) -> str:
    return plain(name).replace(" ", "-").replace("/", "-")
