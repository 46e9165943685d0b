"""What the types of a topology cannot say: names that exist, networks that do not overlap, roles that go together."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import combinations

import msgspec

from postern.catalogue import roles as catalogue
from postern.catalogue.load import all_rows
from postern.topology.model import EXTERNAL, LAST_PORT, TRUSTS, Host, Topology, Zone

EDITIONS = tuple(catalogue.EDITIONS)
ROLES = tuple(catalogue.BY_ID)
SERVER_ROLES = tuple(role.id for role in catalogue.ROLES if role.kind is catalogue.Kind.SERVER)


class Complaint(msgspec.Struct, frozen=True):
    """One broken rule."""

    key: str
    """`host[2].roles`."""
    problem: str
    value: str = ""
    allowed: Sequence[str] = ()
    hint: str = ""


def complaints(topology: Topology) -> Iterator[Complaint]:
    """All broken rules, in the order of the file."""
    yield from _zones(topology.zones)
    if not topology.hosts:
        yield Complaint("host", "needs at least one host")
    names: dict[str, int] = {}
    owners: dict[str, str] = {}
    for index, host in enumerate(topology.hosts):
        here = f"host[{index}]"
        if not host.name.strip():
            yield Complaint(f"{here}.name", "must not be empty")
        if host.name in names:
            yield Complaint(f"{here}.name", f"there are two hosts {host.name}")
        if any(zone.name == host.name for zone in topology.zones):
            yield Complaint(f"{here}.name", f"{host.name} is the name of a zone")
        names[host.name] = index
        yield from _host(here, host, topology)
        for address in host.addresses:
            if address in owners:
                yield Complaint(f"{here}.addresses", f"{address} is also the address of {owners[address]}")
            owners[address] = host.name
    yield from _own(topology)


def _own(topology: Topology) -> Iterator[Complaint]:
    known = [host.name for host in topology.hosts] + [zone.name for zone in topology.zones]
    seen: set[str] = set()
    for index, flow in enumerate(topology.own):
        here = f"flow[{index}]"
        if flow.name in seen:
            yield Complaint(f"{here}.name", f"there are two flows {flow.name}")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", flow.name):
            yield Complaint(f"{here}.name", "is not a name of letters, digits, dots and hyphens, for example ssh")
        seen.add(flow.name)
        for key, names in (("from", flow.sources), ("to", flow.destinations)):
            if not names:
                yield Complaint(f"{here}.{key}", "needs a host or a zone", allowed=known)
            for name in names:
                if name not in known:
                    yield Complaint(f"{here}.{key}", f"there is no host or zone {name!r}", name, known)
        if not flow.ports or any(not 0 < first <= last <= LAST_PORT for _, first, last in flow.ports):
            yield Complaint(f"{here}.ports", "is not a list of ports, for example 22/tcp, 5060-5070/udp")


def _zones(zones: Sequence[Zone]) -> Iterator[Complaint]:
    seen: set[str] = set()
    if not zones:
        yield Complaint("zone", "needs at least one zone")
    for index, zone in enumerate(zones):
        here = f"zone[{index}]"
        if not zone.name.strip() or zone.name in seen:
            yield Complaint(f"{here}.name", f"there are two zones {zone.name}" if zone.name else "must not be empty")
        seen.add(zone.name)
        if zone.trust not in TRUSTS:
            yield Complaint(f"{here}.trust", f"there is no trust {zone.trust!r}", zone.trust, TRUSTS)
        if not zone.networks:
            yield Complaint(f"{here}.networks", f"the {zone.trust} zone {zone.name} needs networks")
        for network in zone.networks:
            yield from _network(f"{here}.networks", network)
        for role in zone.roles:
            if role not in ROLES:
                yield Complaint(f"{here}.roles", f"there is no role {role!r}", role, ROLES)
            elif role in SERVER_ROLES:
                yield Complaint(f"{here}.roles", f"{role} is a role of named hosts, not of a zone", hint=_OF_ZONES)
    if sum(zone.anywhere for zone in zones) > 1:
        yield Complaint("zone", "only one external zone can be without networks")
    yield from _overlaps(zones)


_OF_ZONES = f"Roles of zones: {', '.join(role for role in ROLES if role not in SERVER_ROLES)}"


def _overlaps(zones: Sequence[Zone]) -> Iterator[Complaint]:
    bounded = [(index, zone) for index, zone in enumerate(zones) if not zone.anywhere]
    for (_, one), (index, other) in combinations(bounded, 2):
        for mine in one.networks:
            for theirs in other.networks:
                if (
                    _parsed(mine)
                    and _parsed(theirs)
                    and ipaddress.ip_network(mine).overlaps(ipaddress.ip_network(theirs))
                ):
                    problem = f"{theirs} overlaps with {mine} of zone {one.name}"
                    yield Complaint(f"zone[{index}].networks", problem, hint="Each address belongs to one zone")


def _parsed(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _network(key: str, text: str) -> Iterator[Complaint]:
    try:
        ipaddress.ip_network(text)
    except ValueError as problem:
        yield Complaint(key, str(problem), hint="For example 192.0.2.0/24 or 2001:db8::/32")


def _host(here: str, host: Host, topology: Topology) -> Iterator[Complaint]:
    if not host.addresses:
        yield Complaint(f"{here}.addresses", f"{host.name} needs an address")
    zone = next((zone for zone in topology.zones if zone.name == host.zone), None)
    if zone is None:
        yield Complaint(
            f"{here}.zone", f"there is no zone {host.zone!r}", host.zone, [zone.name for zone in topology.zones]
        )
    for address in host.addresses:
        yield from _address(f"{here}.addresses", address, zone)
    yield from _roles(here, host, zone)
    yield from _paths(here, host)
    if host.rpc_ports and not 1024 <= host.rpc_ports[0] <= host.rpc_ports[1] <= LAST_PORT:
        yield Complaint(f"{here}.rpc_ports", "is not a range of ports from 1024 on, for example 49152-65535")
    for path, port in host.path_ports:
        if not 0 < port <= LAST_PORT:
            yield Complaint(f"{here}.ports", f"{path} = {port} is not a port")


def _paths(here: str, host: Host) -> Iterator[Complaint]:
    known = [row.id for row in all_rows()]
    for key in ("also", "without"):
        for pattern in getattr(host, key):
            if not any(fnmatchcase(path_id, pattern) for path_id in known):
                yield Complaint(f"{here}.{key}", f"no data path is called {pattern!r}", pattern, known)
    for path_id, _ in host.path_ports:
        if path_id not in known:
            yield Complaint(f"{here}.ports.{path_id}", f"no data path is called {path_id!r}", path_id, known)


def _address(key: str, text: str, zone: Zone | None) -> Iterator[Complaint]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        yield Complaint(key, f"{text!r} is not an IP address, for example 192.0.2.1 or 2001:db8::1")
        return
    networks = [ipaddress.ip_network(network) for network in (zone.networks if zone else ()) if _parsed(network)]
    if networks and not any(address in network for network in networks):
        yield Complaint(key, f"{text} is not in zone {zone.name if zone else ''}", hint=f"It has {_list(networks)}")


def _list(items: Sequence[object]) -> str:
    return ", ".join(str(item) for item in items)


def _roles(here: str, host: Host, zone: Zone | None) -> Iterator[Complaint]:
    if not host.roles:
        yield Complaint(f"{here}.roles", f"{host.name} needs a role", hint=f"Known: {_list(ROLES)}")
    for role in host.roles:
        if role not in ROLES:
            yield Complaint(f"{here}.roles", f"there is no role {role!r}", role, ROLES)
    servers = [role for role in host.roles if role in SERVER_ROLES]
    if servers and not host.edition:
        yield Complaint(f"{here}.edition", f"{host.name} has role {servers[0]}: which edition?", hint=_list(EDITIONS))
    if host.edition and host.edition not in EDITIONS:
        yield Complaint(f"{here}.edition", f"there is no edition {host.edition!r}", host.edition, EDITIONS)
        return
    if host.edition and not servers:
        yield Complaint(f"{here}.edition", f"{host.name} has no role of a mail server, so no edition")
    allowed = catalogue.SERVER_ROLES.get(host.edition, ())
    for role in servers:
        if host.edition and role not in allowed:
            problem = f"edition {host.edition} has no role {role}"
            yield Complaint(f"{here}.roles", problem, hint=f"It has {_list(allowed)}")
    if "edge-transport" in servers and len(servers) > 1:
        problem = (
            f"edge-transport and {_list([role for role in servers if role != 'edge-transport'])} exclude each other"
        )
        yield Complaint(f"{here}.roles", problem, hint="An Edge server has no other mail role")
    if zone is not None and zone.trust == EXTERNAL and servers:
        yield Complaint(f"{here}.zone", f"{host.name} is a server of the organisation in an external zone")
