"""What a topology file says: zones with their networks, hosts with their roles; and the flows derived from it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import msgspec

from postern.catalogue.schema import Names

INTERNAL, PERIMETER, EXTERNAL = "internal", "perimeter", "external"
TRUSTS = (INTERNAL, PERIMETER, EXTERNAL)
EVERYWHERE = ("0.0.0.0/0", "::/0")
"""The networks of a zone that is not bounded: the Internet."""
ANY = "any"
"""The transport of a flow that nothing may filter: every IP protocol and every port."""
LAST_PORT = 65535

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Zone(msgspec.Struct, frozen=True):
    """A part of the network with one level of trust."""

    name: str
    networks: tuple[str, ...]
    """CIDR; EVERYWHERE for an external zone that names none."""
    trust: str
    """`internal`, `perimeter` or `external`."""
    roles: tuple[str, ...] = ()
    """Roles that computers anywhere in the zone play without being named as hosts: `outlook`, `internet-smtp`."""

    @property
    def anywhere(self) -> bool:
        """Whether the zone has no bounds."""
        return self.networks == EVERYWHERE


class Host(msgspec.Struct, frozen=True):
    """A computer that is named in the topology."""

    name: str
    addresses: tuple[str, ...]
    zone: str
    edition: str
    """An id of the catalogue: `2003-2007` ... `2019`, `postern`; empty for what is no mail server of ours."""
    roles: tuple[str, ...]
    without: tuple[str, ...] = ()
    """Data paths that this host does not use: ids or patterns such as `*.imap*`."""
    also: tuple[str, ...] = ()
    """Data paths, in the same way, that it uses although they are off by default."""
    rpc_ports: tuple[int, int] | None = None
    """First and last port that its RPC services are given, where it is not the edition's own range."""
    path_ports: tuple[tuple[str, int], ...] = ()
    """Chosen port of data paths whose port the administrator sets: (id, port)."""
    internet_mail: bool = False
    """Whether it speaks SMTP with the Internet although there is an Edge server."""


class OwnFlow(msgspec.Struct, frozen=True):
    """A flow that no data path needs but the administrator does: management, time, monitoring."""

    name: str
    sources: tuple[str, ...]
    """Names of hosts and zones."""
    destinations: tuple[str, ...]
    ports: tuple[tuple[str, int, int], ...]
    """(transport, first, last)."""
    purpose: str


class Topology(msgspec.Struct, frozen=True):
    """An organisation's zones and hosts."""

    organisation: str
    zones: tuple[Zone, ...]
    hosts: tuple[Host, ...]
    path: str = ""
    """The file it was read from."""
    own: tuple[OwnFlow, ...] = ()

    def zone(self, name: str) -> Zone:
        """A zone by name. Raises KeyError."""
        for zone in self.zones:
            if zone.name == name:
                return zone
        raise KeyError(name)

    def host(self, name: str) -> Host:
        """A host by name. Raises KeyError."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)

    def trust(self, host: Host) -> str:
        """The trust of a host's zone."""
        return self.zone(host.zone).trust


class Endpoint(msgspec.Struct, frozen=True, order=True):
    """One end of a flow: a host, or everybody in a zone."""

    name: str
    """The host's or the zone's."""
    networks: tuple[str, ...]
    """CIDR, sorted; a host's addresses as /32 and /128."""
    host: bool
    """Whether it is one host."""
    zone: str

    @property
    def anywhere(self) -> bool:
        """Whether it is every address there is."""
        return self.networks == EVERYWHERE

    def of_version(self, version: int) -> tuple[str, ...]:
        """The networks of IP version 4 or 6."""
        return tuple(text for text in self.networks if (":" in text) == (version == 6))

    def covers(self, address: str) -> bool:
        """Whether an address belongs to it."""
        wanted = ipaddress.ip_address(address)
        return any(wanted in network for network in self.parsed())

    def parsed(self) -> Iterator[Network]:
        """The networks as objects."""
        for text in self.networks:
            yield ipaddress.ip_network(text)


class Flow(msgspec.Struct, frozen=True):
    """Packets that must pass from one endpoint to another, and the answers to them."""

    source: Endpoint
    destination: Endpoint
    transport: str
    """`tcp`, `udp`, or `any`: nothing between the two may be filtered."""
    first: int
    """First destination port, 0 with transport `any`."""
    last: int
    """Last destination port, inclusive."""
    path_ids: tuple[str, ...]
    """The data paths that need it, sorted; with transport `any` the ground rules come first."""
    purpose: Names
    encryption: str
    """The weakest of its data paths: `none`, `optional`, `required`, `unknown`."""
    authentication: str
    """Default authentication of its data paths, joined by `; `."""

    @property
    def unfiltered(self) -> bool:
        """Whether every protocol and port must pass."""
        return self.transport == ANY

    @property
    def port_text(self) -> str:
        """`25/tcp`, `49152-65535/tcp` or `any`."""
        if self.unfiltered:
            return ANY
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{ports}/{self.transport}"


def host_endpoint(host: Host) -> Endpoint:
    """A host as the end of a flow."""
    networks = sorted((ipaddress.ip_network(address) for address in host.addresses), key=_order)
    return Endpoint(host.name, tuple(str(network) for network in networks), True, host.zone)


def zone_endpoint(zone: Zone) -> Endpoint:
    """Everybody in a zone as the end of a flow."""
    if zone.anywhere:
        return Endpoint(zone.name, EVERYWHERE, False, zone.name)
    networks = sorted((ipaddress.ip_network(network) for network in zone.networks), key=_order)
    return Endpoint(zone.name, tuple(str(network) for network in networks), False, zone.name)


def _order(network: Network) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen
