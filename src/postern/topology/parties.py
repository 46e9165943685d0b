"""Who can be at the ends of a data path in a topology: its hosts, and the people and machines of its zones."""

from __future__ import annotations

from fnmatch import fnmatchcase

import msgspec

from postern.catalogue.load import DYNAMIC, POSTERN
from postern.catalogue.roles import INTERNAL as INTERNAL_ROLES
from postern.catalogue.roles import effective_roles
from postern.catalogue.schema import DataPath, Port
from postern.topology.model import EXTERNAL, Endpoint, Host, Topology, Zone, host_endpoint, zone_endpoint

EDGE = "edge-transport"
OLDEST = "2003-2007"
EDGE_OF_OLDEST = "2010"
"""The reference tells of no Edge of 2007; it used the ports of 2010."""
MAPPER, SMB = 135, 445
INSIDE_ONLY = frozenset({MAPPER, SMB})
GENERAL = frozenset({"outlook", "mobile", "web-client", "administrator"})
"""Roles that do many things. They need a path that is off by default only if a host says so (`also`); the other roles
are named because the path is in use: `mail-client` for IMAP4 and POP3, `hybrid-cloud`, `voip-gateway`."""


class Party(msgspec.Struct, frozen=True):
    """A host or a zone with what it plays."""

    end: Endpoint
    roles: frozenset[str]
    """With those that the edition's roles include: a Mailbox server of 2016 is a Client Access server too."""
    edition: str
    host: Host | None

    @classmethod
    def of(cls, host: Host) -> Party:
        """A host."""
        return cls(host_endpoint(host), effective_roles(host.edition, host.roles), host.edition, host)

    @classmethod
    def of_zone(cls, zone: Zone) -> Party:
        """Everybody in a zone."""
        return cls(zone_endpoint(zone), frozenset(zone.roles), "", None)

    @property
    def server(self) -> bool:
        """Whether it is a mail server inside the organisation."""
        return not INTERNAL_ROLES.isdisjoint(self.roles)


def parties(topology: Topology, *, everybody: bool = False) -> tuple[Party, ...]:
    """Hosts in the order of the file, then zones that play roles, or all of them."""
    hosts = [Party.of(host) for host in topology.hosts]
    zones = [Party.of_zone(zone) for zone in topology.zones if zone.roles or everybody]
    return (*hosts, *zones)


def connects(row: DataPath, source: Party, destination: Party, topology: Topology) -> bool:
    """Whether a data path leads from one party to another."""
    # the roles first: most pairs have nothing to do with a row
    if source.roles.isdisjoint(row.source_roles + row.both_ways * row.destination_roles):
        return False
    if source.host is None and destination.host is None:
        return False
    if not (row.filtered or row.port_text == "configurable") or any(port.any for port in row.ports):
        return False
    ways = [(row.source_roles, row.destination_roles)]
    if row.both_ways:
        ways.append((row.destination_roles, row.source_roles))
    if not any(_match(row, way, source, destination, topology) for way in ways):
        return False
    if _named(row, source, destination, "without") or _exposed(row, source, destination, topology):
        return False
    return not _editions(source, destination, topology).isdisjoint(row.editions)


def _match(
    row: DataPath, way: tuple[tuple[str, ...], tuple[str, ...]], source: Party, destination: Party, topology: Topology
) -> bool:
    if source.roles.isdisjoint(way[0]):
        return False
    opens, listens = source.roles.intersection(way[0]), destination.roles.intersection(way[1])
    if not row.on_by_default and not _named(row, source, destination, "also"):
        opens, listens = opens - GENERAL, listens - GENERAL
    if not opens or not listens:
        return False
    return not (_around_the_edge(opens, destination, topology) or _around_the_edge(listens, source, topology))


def ports_of(row: DataPath, source: Party, destination: Party) -> tuple[Port, ...]:
    """The row's ports, with what the hosts say of chosen ports, and with the ports that RPC continues on."""
    for party in (destination, source):
        for path_id, number in party.host.path_ports if party.host else ():
            if path_id == row.id:
                return (Port(number, number, row.ports[0].transport if row.ports else "tcp"),)
    first, last = rpc_ports(destination)
    ports = [msgspec.structs.replace(p, first=first, last=last) if p.dynamic else p for p in row.ports]
    if any(p.covers(MAPPER) for p in ports) and not any(p.dynamic for p in ports):
        # the endpoint mapper only tells the port on which the call itself goes on
        ports.append(Port(first, last, "tcp", dynamic=True))
    return tuple(ports)


def rpc_ports(destination: Party) -> tuple[int, int]:
    """First and last port on which RPC services of a party answer."""
    if destination.host and destination.host.rpc_ports:
        return destination.host.rpc_ports
    if destination.edition == OLDEST:
        return DYNAMIC[OLDEST]
    return DYNAMIC["" if destination.edition else "domain-controller"]


def _editions(source: Party, destination: Party, topology: Topology) -> set[str]:
    """Whose tables tell of a connection: Postern's if it takes part, else the listening server's, else the other's.

    Between an Edge and an inside server it is the inside server's: what sends its mail to the Edge is a Hub Transport
    in 2010 and a Mailbox in 2016, and a Mailbox of 2010 speaks to no Edge, whatever the Edge's edition.
    """
    if POSTERN in (source.edition, destination.edition):
        return {POSTERN}
    edition = destination.edition or source.edition
    if EDGE in source.roles | destination.roles:
        edition = next((party.edition for party in (source, destination) if party.server), edition)
    if not edition:
        return {host.edition for host in topology.hosts}
    if edition == OLDEST and EDGE in source.roles | destination.roles:
        return {EDGE_OF_OLDEST}
    return {edition}


def _named(row: DataPath, source: Party, destination: Party, key: str) -> bool:
    """Whether one of the hosts lists the row under `also` or `without`."""
    hosts = [party.host for party in (source, destination) if party.host]
    return any(fnmatchcase(row.id, pattern) for host in hosts for pattern in getattr(host, key))


def _exposed(row: DataPath, source: Party, destination: Party, topology: Topology) -> bool:
    """RPC and SMB are for networks of the organisation: from outside, Outlook uses HTTPS."""
    if not any(port.first in INSIDE_ONLY for port in row.ports):
        return False
    return any(topology.zone(party.end.zone).trust == EXTERNAL for party in (source, destination))


def _around_the_edge(matched: frozenset[str], peer: Party, topology: Topology) -> bool:
    """With an Edge server, mail from and to the Internet passes through it and nowhere else."""
    if matched != {"internet-smtp"} or not peer.server or (peer.host and peer.host.internet_mail):
        return False
    return any(EDGE in host.roles for host in topology.hosts)
