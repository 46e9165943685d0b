"""From a topology and the catalogue to the flows between its hosts and zones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import permutations

import msgspec

from postern.catalogue.load import all_rows
from postern.catalogue.roles import INTERNAL as INTERNAL_ROLES
from postern.catalogue.schema import DataPath, Level, Names
from postern.topology import model
from postern.topology.model import ANY, LAST_PORT, Flow, Host, Topology, host_endpoint
from postern.topology.parties import Party, connects, parties, ports_of

GROUND_RULE = Names(
    "Nothing is filtered between internal servers and domain controllers",
    "Между внутренними серверами и контроллерами домена ничего не фильтруется",
)
_NEIGHBOURS = frozenset({"domain-controller", "lync"})
"""Roles besides mail servers that the ground rule names."""
_WEAKEST = (Level.NONE, Level.OPTIONAL, Level.UNKNOWN, Level.REQUIRED)
_TEXTS = 3
"""How many purposes one flow lists; more are only counted by their ids."""


class _Use(msgspec.Struct, frozen=True):
    """One port of one data path between two parties."""

    source: Party
    destination: Party
    transport: str
    first: int
    last: int
    path_id: str
    purpose: Names
    level: Level
    authentication: tuple[str, ...]


def required_flows(topology: Topology) -> tuple[Flow, ...]:
    """What must pass, host by host, in a fixed order.

    Between internal Exchange servers, and between them and domain controllers, nothing may be filtered: each such pair
    has one flow of transport `any` in both directions that carries the ids of all data paths it covers.
    """
    pairs = _unfiltered_pairs(topology)
    covered: dict[tuple[str, str], set[str]] = {pair: set() for pair in pairs}
    rest = []
    for use in _uses(topology):
        pair = use.source.end.name, use.destination.end.name
        if pair in covered:
            covered[pair].add(use.path_id)
        else:
            rest.append(use)
    flows = _merged(rest)
    for (source, destination), ids in covered.items():
        ends = host_endpoint(topology.host(source)), host_endpoint(topology.host(destination))
        both = topology.host(source), topology.host(destination)
        rules = sorted(set(_ground_rules(*both)))
        flows.append(Flow(*ends, ANY, 0, LAST_PORT, (*rules, *sorted(ids)), GROUND_RULE, Level.UNKNOWN.value, ""))
    return tuple(sorted(flows, key=_order))


def path_flows(topology: Topology) -> tuple[Flow, ...]:
    """The data paths port by port, also where `required_flows` puts one unfiltered flow: for checks and pictures."""
    return tuple(sorted(_merged(_uses(topology)), key=_order))


def by_zone(flows: Iterable[Flow]) -> dict[tuple[str, str], tuple[Flow, ...]]:
    """Flows grouped by (source zone, destination zone), in the order of the flows."""
    groups: dict[tuple[str, str], list[Flow]] = {}
    for flow in flows:
        groups.setdefault((flow.source.zone, flow.destination.zone), []).append(flow)
    return {zones: tuple(group) for zones, group in groups.items()}


def unfiltered(topology: Topology, one: Host, other: Host) -> bool:
    """Whether the ground rule of the reference holds between two hosts."""
    if topology.trust(one) != model.INTERNAL or topology.trust(other) != model.INTERNAL:
        return False
    servers = [not INTERNAL_ROLES.isdisjoint(host.roles) for host in (one, other)]
    return all(servers) or (any(servers) and not _NEIGHBOURS.isdisjoint(one.roles + other.roles))


def _unfiltered_pairs(topology: Topology) -> list[tuple[str, str]]:
    pairs = permutations(topology.hosts, 2)
    return [(one.name, other.name) for one, other in pairs if unfiltered(topology, one, other)]


@cache
def _rules_without_ports() -> tuple[DataPath, ...]:
    return tuple(row for row in all_rows() if row.source_roles and any(port.any for port in row.ports))


def _ground_rules(one: Host, other: Host) -> Iterator[str]:
    """Ids of the catalogue's own words for the rule; `ground-rule` where the editions of both have none."""
    roles, others = Party.of(one).roles, Party.of(other).roles
    found = [
        row.id
        for row in _rules_without_ports()
        if {one.edition, other.edition}.intersection(row.editions)
        and any(
            not source.isdisjoint(row.source_roles) and not destination.isdisjoint(row.destination_roles)
            for source, destination in ((roles, others), (others, roles))
        )
    ]
    yield from found or ["ground-rule"]


def _uses(topology: Topology) -> list[_Use]:
    pairs = tuple(permutations(parties(topology), 2))
    found = [
        _Use(
            source,
            destination,
            port.transport,
            port.first,
            port.last,
            row.id,
            row.purpose or row.names,
            row.level_of(port),
            row.authentication_default,
        )
        for row in all_rows()
        for source, destination in pairs
        if connects(row, source, destination, topology)
        for port in ports_of(row, source, destination)
    ]
    return found + list(_own(topology))


def _own(topology: Topology) -> Iterator[_Use]:
    """The administrator's own flows: management, time, backup."""
    known = {party.end.name: party for party in parties(topology, everybody=True)}
    for own in topology.own:
        for source in own.sources:
            for destination in own.destinations:
                if source != destination:
                    for transport, first, last in own.ports:
                        ends = known[source], known[destination]
                        purpose = Names(own.purpose, own.purpose)
                        yield _Use(*ends, transport, first, last, f"own.{own.name}", purpose, Level.UNKNOWN, ())


def _merged(uses: Iterable[_Use]) -> list[Flow]:
    """One flow for all data paths with the same ends and ports."""
    groups: dict[tuple[str, str, str, int, int], list[_Use]] = {}
    for use in uses:
        key = use.source.end.name, use.destination.end.name, use.transport, use.first, use.last
        groups.setdefault(key, []).append(use)
    return [_flow(group) for group in groups.values()]


def _flow(group: list[_Use]) -> Flow:
    one = group[0]
    methods = dict.fromkeys(method for use in group for method in use.authentication)
    return Flow(
        one.source.end,
        one.destination.end,
        one.transport,
        one.first,
        one.last,
        tuple(sorted({use.path_id for use in group})),
        Names(_joined(use.purpose.of("en") for use in group), _joined(use.purpose.of("ru") for use in group)),
        min((use.level for use in group), key=_WEAKEST.index).value,
        "; ".join(methods),
    )


def _joined(texts: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(texts))
    return "; ".join(distinct[:_TEXTS]) + ("; ..." if len(distinct) > _TEXTS else "")


def _order(flow: Flow) -> tuple[object, ...]:
    return flow.destination, flow.source, flow.transport, flow.first, flow.last
