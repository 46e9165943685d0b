"""What a picture of a topology shows: servers that are alike as one node, flows between two nodes as one link.

A picture of a dozen hosts has hundreds of flows. Drawn one by one they would say nothing, so three things are joined,
and none of them loses a fact: hosts of the same zone, edition and roles whose flows are the same; the ports between two
nodes that are encrypted alike; and the servers between which nothing is filtered.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import msgspec

from postern.catalogue.schema import Names
from postern.topology.model import Flow, Host, Topology

LEVELS = ("required", "optional", "none", "unknown")
"""Encryption of a link, best first; `unknown` also where any protocol may pass."""

Ports = tuple[str, int, int]
"""Transport, first and last port."""


class Node(msgspec.Struct, frozen=True):
    """A box of the picture: hosts that are alike, or everybody in a zone."""

    zone: str
    hosts: tuple[Host, ...]
    """Empty for a whole zone."""


class Link(msgspec.Struct, frozen=True):
    """Connections from one node to another with one level of encryption."""

    source: int
    """Index of the node that connects."""
    destination: int
    both: bool
    """Whether the destination connects to the source in the same way."""
    level: str
    ports: tuple[Ports, ...]
    """Sorted by port; empty if nothing may be filtered."""
    purposes: tuple[Names, ...]


class Picture(msgspec.Struct, frozen=True):
    """Everything to be drawn, without a place."""

    topology: Topology
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    meshes: tuple[frozenset[int], ...]
    """Sets of nodes between which nothing is filtered."""


def picture(topology: Topology, flows: Iterable[Flow], *, involved_only: bool = False) -> Picture:
    """What to draw. With `involved_only`, hosts without a flow stay out."""
    wanted = tuple(flows)
    busy = {end.name for flow in wanted for end in (flow.source, flow.destination) if end.host}
    hosts = [host for host in topology.hosts if host.name in busy or not involved_only]
    zones = list(dict.fromkeys(e.name for f in wanted for e in (f.source, f.destination) if not e.host))
    groups = _groups(hosts, wanted)
    nodes = [Node(group[0].zone, tuple(group)) for group in groups]
    nodes += [Node(name, ()) for name in sorted(zones)]
    place = {(True, host.name): index for index, node in enumerate(nodes) for host in node.hosts}
    place |= {(False, node.zone): index for index, node in enumerate(nodes) if not node.hosts}
    joined: dict[tuple[int, int, str], list[Flow]] = defaultdict(list)
    open_pairs: set[frozenset[int]] = set()
    for flow in wanted:
        source, destination = _ends(flow, place)
        if flow.unfiltered:
            open_pairs.add(frozenset((source, destination)))
        else:
            joined[source, destination, level(flow)].append(flow)
    meshes, rest = _meshes(nodes, open_pairs)
    links = _links(joined) + [Link(min(pair), max(pair), True, "unknown", (), ()) for pair in rest]
    return Picture(topology, tuple(nodes), tuple(links), tuple(meshes))


def level(flow: Flow) -> str:
    """The level of encryption under which a flow is drawn."""
    return flow.encryption if flow.encryption in LEVELS else "unknown"


def _ends(flow: Flow, place: dict[tuple[bool, str], int]) -> tuple[int, int]:
    return place[flow.source.host, flow.source.name], place[flow.destination.host, flow.destination.name]


Face = frozenset[tuple[str, str, Ports, str]]
"""What a host looks like from outside: direction, the other end's class, ports, encryption."""


def _groups(hosts: Sequence[Host], flows: Sequence[Flow]) -> list[list[Host]]:
    """Hosts that can be drawn as one: same zone, edition, roles, and the same flows with every other group.

    A group's flow with another one is drawn as a single arrow, so each of its hosts must have it with each host of the
    other. Classes start as large as they may be and are split until that holds, which ends because they only shrink.
    """
    classes = _numbered({host.name: (host.zone, host.edition, host.roles) for host in hosts})
    while True:
        refined = _numbered({name: (own, _face(name, classes, flows)) for name, own in classes.items()})
        if len(set(refined.values())) == len(set(classes.values())):
            partial = _partial(classes, flows)
            if not partial:
                break
            refined = _numbered({name: name if own in partial else own for name, own in classes.items()})
        classes = refined
    groups: dict[str, list[Host]] = {}
    for host in hosts:
        groups.setdefault(classes[host.name], []).append(host)
    return list(groups.values())


def _numbered(keys: Mapping[str, object]) -> dict[str, str]:
    """Class names for equal keys."""
    numbers = {key: f"class {number}" for number, key in enumerate(dict.fromkeys(keys.values()))}
    return {name: numbers[key] for name, key in keys.items()}


def _face(name: str, classes: Mapping[str, str], flows: Sequence[Flow]) -> Face:
    found = set()
    for flow in flows:
        ports = (flow.transport, flow.first, flow.last)
        for direction, this, other in (("to", flow.source, flow.destination), ("from", flow.destination, flow.source)):
            if this.host and this.name == name:
                end = classes[other.name] if other.host else f"zone {other.name}"
                found.add(("both" if flow.unfiltered else direction, end, ports, level(flow)))
    return frozenset(found)


def _partial(classes: Mapping[str, str], flows: Sequence[Flow]) -> set[str]:
    """Classes some of whose hosts lack a flow that another host of the same class has, or that have flows inside."""
    members = Counter(classes.values())
    open_pairs: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    pairs: dict[tuple[str, str, Ports, str], set[tuple[str, str]]] = defaultdict(set)
    for flow in flows:
        if not (flow.source.host and flow.destination.host):
            continue
        one, other = classes[flow.source.name], classes[flow.destination.name]
        ends = (flow.source.name, flow.destination.name)
        if flow.unfiltered:
            open_pairs[min(one, other), max(one, other)].add((min(ends), max(ends)))
        else:
            pairs[one, other, (flow.transport, flow.first, flow.last), level(flow)].add(ends)
    found: set[str] = set()
    for (one, other), seen in open_pairs.items():
        whole = members[one] * (members[one] - 1) // 2 if one == other else members[one] * members[other]
        found |= set() if len(seen) == whole else {one, other}
    for (one, other, *_), seen in pairs.items():
        whole = 0 if one == other else members[one] * members[other]
        found |= set() if len(seen) == whole else {one, other}
    return {one for one in found if members[one] > 1}


def _meshes(
    nodes: Sequence[Node], open_pairs: set[frozenset[int]]
) -> tuple[list[frozenset[int]], list[frozenset[int]]]:
    """Sets of nodes whose every pair is unfiltered, largest first, and the pairs that are in none of them.

    Two groups that are not mail servers (domain controllers) may be in the same set without a flow between them:
    what they say to each other is not the catalogue's matter.
    """
    left = {pair for pair in open_pairs if len(pair) == 2}
    found: list[frozenset[int]] = []
    while True:
        free = sorted({node for pair in left for node in pair} - {node for mesh in found for node in mesh})
        best = max((_mesh_around(start, free, nodes, left) for start in free), key=len, default=frozenset())
        if len(best) < 2:
            break
        found.append(best)
        left -= {frozenset(pair) for pair in combinations(best, 2)}
    alone = {next(iter(pair)) for pair in open_pairs if len(pair) == 1}
    found += [frozenset((node,)) for node in sorted(alone - {node for mesh in found for node in mesh})]
    return found, sorted(left, key=sorted)


def _mesh_around(
    start: int, candidates: Sequence[int], nodes: Sequence[Node], pairs: set[frozenset[int]]
) -> frozenset[int]:
    """A set that cannot be made larger, found greedily from a node."""
    members = [start]
    for node in candidates:
        linked = [frozenset((node, member)) in pairs for member in members]
        silent = [_outsider(nodes[node]) and _outsider(nodes[member]) for member in members]
        if node != start and any(linked) and all(a or b for a, b in zip(linked, silent, strict=True)):
            members.append(node)
    return frozenset(members)


def _outsider(node: Node) -> bool:
    return bool(node.hosts) and not node.hosts[0].edition


def _links(joined: dict[tuple[int, int, str], list[Flow]]) -> list[Link]:
    """One link for each pair of nodes and level; two that mirror each other become one with two heads."""
    ports = {
        key: tuple(sorted({(f.transport, f.first, f.last) for f in flows}, key=_by_number))
        for key, flows in joined.items()
    }
    links = []
    for (source, destination, how), flows in joined.items():
        both = ports.get((destination, source, how)) == ports[source, destination, how]
        if both and destination < source:
            continue
        mirrored = joined[destination, source, how] if both else []
        purposes = dict.fromkeys(flow.purpose for flow in (*flows, *mirrored))
        links.append(Link(source, destination, both, how, ports[source, destination, how], tuple(purposes)))
    return sorted(links, key=lambda link: (link.source, link.destination, LEVELS.index(link.level)))


def _by_number(ports: Ports) -> tuple[int, int, str]:
    return ports[1], ports[2], ports[0]
