"""From a topology and the catalogue to the flows between its hosts and zones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations

from postern.catalogue.schema import Names
from postern.topology.model import ANY, INTERNAL, LAST_PORT, Flow, Host, Topology, host_endpoint
from postern.topology.vocabulary import SERVER_ROLES

GROUND_RULE = Names(
    "Nothing may be filtered between internal Exchange servers and domain controllers",
    "Между внутренними серверами Exchange и контроллерами домена ничего не фильтруется",
)
_PEERS = frozenset({"domain-controller", "lync"})


def required_flows(topology: Topology) -> tuple[Flow, ...]:
    """What must pass, host by host, in a fixed order.

    Between internal Exchange servers, and between them and domain controllers, nothing may be filtered: each such pair
    has one flow of transport `any` in both directions that carries the ids of all data paths it covers.
    """
    return tuple(sorted(_unfiltered(topology), key=_order))


def by_zone(flows: Iterable[Flow]) -> dict[tuple[str, str], tuple[Flow, ...]]:
    """Flows grouped by (source zone, destination zone), in the order of the flows."""
    groups: dict[tuple[str, str], list[Flow]] = {}
    for flow in flows:
        groups.setdefault((flow.source.zone, flow.destination.zone), []).append(flow)
    return {zones: tuple(group) for zones, group in groups.items()}


def unfiltered(topology: Topology, one: Host, other: Host) -> bool:
    """Whether the ground rule of the reference holds between two hosts."""
    if topology.trust(one) != INTERNAL or topology.trust(other) != INTERNAL:
        return False
    return (_server(one) and (_server(other) or _peer(other))) or (_server(other) and _peer(one))


def _server(host: Host) -> bool:
    return any(role in SERVER_ROLES and role != "edge-transport" for role in host.roles)


def _peer(host: Host) -> bool:
    return not _PEERS.isdisjoint(host.roles)


def _unfiltered(topology: Topology) -> Iterator[Flow]:
    for source, destination in permutations(topology.hosts, 2):
        if unfiltered(topology, source, destination):
            ends = host_endpoint(source), host_endpoint(destination)
            yield Flow(*ends, ANY, 0, LAST_PORT, ("ground-rule",), GROUND_RULE, "unknown", "")


def _order(flow: Flow) -> tuple[object, ...]:
    return flow.destination, flow.source, flow.transport, flow.first, flow.last
