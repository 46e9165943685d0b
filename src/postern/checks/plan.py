"""From a topology, a single host or Postern's own listeners to the services that are asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from postern.catalogue.load import all_rows, load
from postern.catalogue.query import to_role
from postern.catalogue.roles import BY_ID, SERVER_ROLES, Kind, effective_roles
from postern.catalogue.schema import DataPath, Names
from postern.checks.model import Service, Skipped, Tls
from postern.checks.speaking import OWN_PAGES, directories, expectation, listener_expectation, speaks
from postern.topology.flows import path_flows
from postern.topology.model import Flow, Host, Topology

RANGE_LIMIT = 4
"""Ports of a range that are asked one by one; a longer one is RPC's or a telephone call's."""
RECORDS_LIMIT = 5
"""Hosts whose addresses a DNS server is asked for."""
_CALLED_FROM = frozenset({Kind.CLIENT, Kind.OUTSIDE})

_A_RANGE = Names(
    "A range: ports are handed out when they are needed (RPC: see the endpoint mapper's list)",
    "Диапазон: порты выдаются по мере надобности (RPC: см. список сопоставителя конечных точек)",
)
_NO_QUESTION = Names(
    "UDP: there is no question that every such service answers",
    "UDP: нет вопроса, на который отвечает любая такая служба",
)
_NO_HOST = Names("Not a host of the topology", "Не узел топологии")


class Plan(msgspec.Struct, frozen=True):
    """What will be asked, and what cannot be."""

    services: tuple[Service, ...]
    skipped: tuple[Skipped, ...]


def of_topology(topology: Topology, source: str, host: str = "") -> Plan:
    """Services of all data paths that start at `source` (a host or a zone); `host` limits it to one destination.

    Only hosts of the topology are asked, never a zone and never the Internet.
    """
    rows = {path.id: path for path in all_rows()}
    skipped: dict[tuple[str, str, str], Skipped] = {}
    groups: dict[tuple[str, int, str], list[DataPath]] = {}
    for flow in path_flows(topology):
        if flow.source.name != source or host not in {"", flow.destination.name}:
            continue
        reason = _why_not(flow)
        if reason:
            for path_id in flow.path_ids:
                key = (flow.destination.name, path_id, flow.port_text)
                skipped[key] = Skipped(*key, reason)
            continue
        for port in range(flow.first, flow.last + 1):
            known = [rows[path_id] for path_id in flow.path_ids if path_id in rows]
            groups.setdefault((flow.destination.name, port, flow.transport), []).extend(known)
    services = [
        one
        for (name, port, transport), paths in groups.items()
        for one in _services(topology, topology.host(name), port, transport, paths)
    ]
    return Plan(tuple(services), tuple(skipped.values()))


def _why_not(flow: Flow) -> Names | None:
    if not flow.destination.host:
        return _NO_HOST
    if flow.unfiltered or flow.last - flow.first >= RANGE_LIMIT:
        return _A_RANGE
    if flow.transport == "udp" and not speaks(None, flow.first, "udp")[0]:
        return _NO_QUESTION
    return None


def _services(
    topology: Topology, host: Host, port: int, transport: str, paths: Sequence[DataPath]
) -> Iterable[Service]:
    protocol, tls = speaks(paths[0] if paths else None, port, transport)
    domain = _domain(topology)
    for address in host.addresses:
        yield Service(
            host=host.name,
            address=address,
            port=port,
            transport=transport,
            protocol=protocol,
            tls=tls,
            names=(host.name,),
            directories=_directories(host.edition, protocol, tls, port, paths),
            domain=domain,
            questions=_questions(topology, host, domain) if protocol == "dns" else (),
            expectations=tuple(expectation(path, port, transport) for path in paths),
        )


def _directories(edition: str, protocol: str, tls: Tls, port: int, paths: Iterable[DataPath]) -> tuple[str, ...]:
    if protocol != "http":
        return ()
    for path in paths:
        if path.listener is not None:
            return (OWN_PAGES.get(path.listener.id, "/"),)
    clients = any(BY_ID[role].kind in _CALLED_FROM for path in paths for role in path.source_roles)
    return directories(edition, clients=clients and tls is Tls.IMPLICIT and port == 443)


def _domain(topology: Topology) -> str:
    """The domain that most names of domain controllers, else of all hosts, lie in; empty if names have no dots."""
    for hosts in ([one for one in topology.hosts if "domain-controller" in one.roles], topology.hosts):
        parents = Counter(one.name.partition(".")[2].lower() for one in hosts if "." in one.name)
        if parents:
            return parents.most_common(1)[0][0]
    return ""


def _questions(topology: Topology, host: Host, domain: str) -> tuple[tuple[str, str], ...]:
    if not domain:
        return ()
    asked: list[tuple[str, str]] = []
    if "domain-controller" in host.roles:
        asked += [(f"_ldap._tcp.dc._msdcs.{domain}", "SRV"), (f"_kerberos._udp.{domain}", "SRV")]
    else:
        asked.append((domain, "MX"))
    inside = [one for one in topology.hosts if one.name.lower().endswith(f".{domain}")]
    for one in inside[:RECORDS_LIMIT]:
        asked += sorted({(one.name, "AAAA" if ":" in address else "A") for address in one.addresses})
    return tuple(asked)


def of_host(name: str, addresses: Sequence[str], edition: str, base: int | None = None) -> Plan:
    """Services that one server of an edition offers to clients and to the outside.

    `base` moves Postern's ports as `postern demo --port-base` does: 25 becomes base + 25, 2525 base + 525.
    """
    roles = effective_roles(edition, tuple(role for role in SERVER_ROLES[edition] if role != "edge-transport"))
    rows = [path for path in load(edition).paths if _offered(path, roles)]
    groups: dict[tuple[int, str], list[DataPath]] = {}
    skipped: list[Skipped] = []
    for path in rows:
        for port in path.ports:
            ends = range(port.first, port.last + 1)
            if port.any or port.dynamic or len(ends) > RANGE_LIMIT:
                skipped.append(Skipped(name, path.id, str(port), _A_RANGE))
            elif port.transport == "udp" and not speaks(None, port.first, "udp")[0]:
                skipped.append(Skipped(name, path.id, str(port), _NO_QUESTION))
            else:
                for number in ends:
                    groups.setdefault((number, port.transport), []).append(path)
    services = []
    for (number, transport), paths in groups.items():
        protocol, tls = speaks(paths[0], number, transport)
        services += [
            Service(
                host=name,
                address=address,
                port=number if base is None else base + number % 1000,
                transport=transport,
                protocol=protocol,
                tls=tls,
                names=(name,),
                directories=_directories(edition, protocol, tls, number, paths),
                expectations=tuple(expectation(path, number, transport) for path in paths),
            )
            for address in addresses
        ]
    return Plan(tuple(services), tuple(skipped))


def _offered(path: DataPath, roles: frozenset[str]) -> bool:
    """Whether a client or the outside may call it at a server with these roles."""
    if path.listener is not None:
        return path.listener.on_by_default and not path.listener.loopback_only
    called = any(BY_ID[role].kind in _CALLED_FROM for role in path.source_roles)
    return called and path.on_by_default and any(to_role([path], role) for role in roles)


def of_listener(path: DataPath, host: str, address: str, port: int, mechanisms: tuple[str, ...]) -> Service:
    """One of Postern's own listeners, as settings have it."""
    listener = path.listener
    assert listener is not None
    protocol, tls = speaks(path, port, "tcp")
    return Service(
        host=host,
        address=address,
        port=port,
        protocol=protocol,
        tls=tls,
        names=(host,),
        directories=_directories("postern", protocol, tls, port, [path]),
        expectations=(listener_expectation(listener, path, mechanisms),),
    )
