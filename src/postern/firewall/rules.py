"""From flows to rules that every format can write: by direction and IP version, addresses and ports put together."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence

import msgspec

from postern.catalogue.schema import Names
from postern.topology.model import EVERYWHERE, Endpoint, Flow, Host, Network, Topology

IN, OUT, THROUGH = "in", "out", "through"
VERSIONS = (4, 6)


class Rule(msgspec.Struct, frozen=True):
    """Lets new connections pass; everything that no rule lets pass is dropped."""

    direction: str
    """`in` and `out` as seen from one host, `through` for a device between zones."""
    version: int
    """4 or 6."""
    sources: tuple[str, ...]
    """CIDR, sorted; empty for every address."""
    destinations: tuple[str, ...]
    transport: str
    """`tcp`, `udp`, or `any` for every protocol."""
    ports: tuple[tuple[int, int], ...]
    """Destination ports as (first, last), sorted and disjoint; empty with `any`."""
    path_ids: tuple[str, ...]
    purpose: Names

    @property
    def comment(self) -> str:
        """Ids and purpose on one line of printable text."""
        return one_line(f"{' '.join(self.path_ids)}: {self.purpose.en}")

    def label(self, octets: int) -> str:
        """The same in bounded room: as many whole ids as fit beside the purpose's beginning."""
        return label(self.path_ids, self.purpose.en, octets)


def host_rules(flows: Iterable[Flow], host: Host) -> tuple[Rule, ...]:
    """The rules of a host's own packet filter, both directions."""
    found: list[Rule] = []
    for flow in flows:
        for direction, end in ((IN, flow.destination), (OUT, flow.source)):
            if end.host and end.name == host.name:
                found += _rules(flow, direction)
    return _together(found)


def device_rules(flows: Iterable[Flow]) -> tuple[Rule, ...]:
    """The rules of a device between the zones: flows inside one zone never reach it."""
    crossing = [flow for flow in flows if flow.source.zone != flow.destination.zone]
    return _together([rule for flow in crossing for rule in _rules(flow, THROUGH)])


def rules_for(flows: Iterable[Flow], host: Host | None) -> tuple[Rule, ...]:
    """Of a host, or of the device between the zones."""
    return device_rules(flows) if host is None else host_rules(flows, host)


def heading(topology: Topology, host: Host | None) -> str:
    """One line that says what a rule set is for."""
    where = f"host {host.name} ({', '.join(host.addresses)})" if host else "the device between the zones"
    return one_line(f"Postern: rules of {where}, organisation {topology.organisation}")


def one_line(text: str) -> str:
    """Text that ends no comment and no quoted string: printable ASCII without quotes, backslashes and controls."""
    spelled = " ".join(text.split()).translate(_PLAIN)
    return "".join(character if " " <= character <= "~" else "?" for character in spelled)


_PLAIN = str.maketrans({**dict.fromkeys('"`“”‘’«»', "'"), **dict.fromkeys("–—−", "-"), "\\": "/", "…": "..."})
_PURPOSE_OCTETS = 40
"""How much of the purpose is worth an id."""


def label(path_ids: Sequence[str], purpose: str, octets: int) -> str:
    """Whole ids, as many as fit, the number of the others, and the purpose, cut at the end if it must be."""
    text = one_line(purpose)
    for count in range(len(path_ids), 0, -1):
        left = len(path_ids) - count
        head = " ".join(path_ids[:count]) + (f" +{left}" if left else "")
        if len(head) + 2 + min(len(text), _PURPOSE_OCTETS) <= octets or count == 1:
            return _short(one_line(f"{head}: {text}"), octets)
    return _short(text, octets)


def _short(text: str, octets: int) -> str:
    return text if len(text) <= octets else text[: octets - 3].rstrip() + "..."


def port_words(ports: Sequence[tuple[int, int]], dash: str = "-") -> list[str]:
    """`25`, `6005-65534`."""
    return [str(first) if first == last else f"{first}{dash}{last}" for first, last in ports]


def _rules(flow: Flow, direction: str) -> list[Rule]:
    ports = () if flow.unfiltered else ((flow.first, flow.last),)
    return [
        Rule(direction, version, sources, destinations, flow.transport, ports, flow.path_ids, flow.purpose)
        for version in VERSIONS
        if (sources := _of_version(flow.source, version)) is not None
        and (destinations := _of_version(flow.destination, version)) is not None
    ]


def _of_version(end: Endpoint, version: int) -> tuple[str, ...] | None:
    """Empty: every address; None: it has none of this version."""
    found = end.of_version(version)
    if any(network in EVERYWHERE for network in found):
        return ()
    return found or None


def _together(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Rules that differ in ports alone become one, then those that differ in one side's addresses alone."""
    merged = _merge(rules, lambda rule: _key(rule, "ports"), _ports)
    merged = _merge(merged, lambda rule: _key(rule, "sources"), _sources)
    merged = _merge(merged, lambda rule: _key(rule, "destinations"), _destinations)
    return tuple(sorted(merged, key=_order))


def _key(rule: Rule, without: str) -> tuple[object, ...]:
    return tuple(getattr(rule, name) for name in rule.__struct_fields__ if name != without)


def _merge(
    rules: Iterable[Rule], key: Callable[[Rule], tuple[object, ...]], join: Callable[[list[Rule]], Rule]
) -> list[Rule]:
    groups: dict[tuple[object, ...], list[Rule]] = {}
    for rule in rules:
        groups.setdefault(key(rule), []).append(rule)
    return [join(group) for group in groups.values()]


def _ports(group: list[Rule]) -> Rule:
    return msgspec.structs.replace(group[0], ports=joined_ports([pair for rule in group for pair in rule.ports]))


def _sources(group: list[Rule]) -> Rule:
    return msgspec.structs.replace(group[0], sources=_networks([rule.sources for rule in group]))


def _destinations(group: list[Rule]) -> Rule:
    return msgspec.structs.replace(group[0], destinations=_networks([rule.destinations for rule in group]))


def joined_ports(ports: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sorted, with what overlaps put together."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(set(ports)):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return tuple(found)


def _networks(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Sorted, without those that lie in another; empty (every address) swallows all."""
    given = list(groups)
    if any(not group for group in given):
        return ()
    return joined_networks(text for group in given for text in group)


def joined_networks(texts: Iterable[str]) -> tuple[str, ...]:
    """Sorted CIDR of one IP version, without those that lie in another."""
    kept: list[Network] = []
    for network in sorted({ipaddress.ip_network(text) for text in texts}, key=_network_order):
        # the wider of two with the same beginning comes first
        if not kept or int(network.network_address) > int(kept[-1].broadcast_address):
            kept.append(network)
    return tuple(str(network) for network in kept)


def _network_order(network: Network) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen


def _order(rule: Rule) -> tuple[object, ...]:
    direction = (IN, OUT, THROUGH).index(rule.direction)
    return direction, rule.version, rule.path_ids, rule.transport, rule.ports, rule.sources, rule.destinations
