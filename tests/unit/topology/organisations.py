"""Topologies with flows of the agreed shape, made by hand: pictures are tested apart from the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from postern.catalogue.schema import Names
from postern.topology.model import EVERYWHERE, Endpoint, Flow, Host, Topology, Zone, host_endpoint, zone_endpoint

MAIL = Names("Mail", "Почта")


class Organisation:
    """A topology to which flows are added by name."""

    def __init__(self, zones: Iterable[Zone], hosts: Iterable[Host]) -> None:
        self.topology = Topology("Example Ltd", tuple(zones), tuple(hosts))
        self.flows: list[Flow] = []

    def end(self, name: str) -> Endpoint:
        for host in self.topology.hosts:
            if host.name == name:
                return host_endpoint(host)
        return zone_endpoint(self.topology.zone(name))

    def flow(self, sources: str, destinations: str, ports: str, encryption: str) -> None:
        """Names and ports in words with spaces between: `443 53/udp 49152-65535`, `any` for what is not filtered."""
        for source in sources.split():
            for destination in destinations.split():
                for port in ports.split():
                    self.add(source, destination, port, encryption)

    def add(self, source: str, destination: str, port: str, encryption: str) -> None:
        numbers, _, transport = ("0-65535", "", "any") if port == "any" else port.partition("/")
        first, _, last = numbers.partition("-")
        ends = self.end(source), self.end(destination)
        ports = transport or "tcp", int(first), int(last or first)
        flow = Flow(*ends, *ports, ("test.path",), MAIL, encryption, "")
        if flow not in self.flows:
            self.flows.append(flow)

    def mesh(self, names: str) -> None:
        for one, other in combinations(names.split(), 2):
            self.add(one, other, "any", "unknown")
            self.add(other, one, "any", "unknown")


def migration() -> Organisation:
    """Twelve hosts in the middle of a migration."""
    zones = [
        Zone("Internet", EVERYWHERE, "external", ("internet-smtp", "outlook", "mobile")),
        Zone("DMZ", ("192.0.2.0/24",), "perimeter"),
        Zone("Servers", ("10.0.10.0/24",), "internal"),
        Zone("Offices", ("10.0.20.0/22", "10.1.0.0/16"), "internal", ("outlook", "mail-client", "web-client")),
        Zone("Administration", ("10.0.9.0/24",), "internal", ("administrator",)),
    ]
    hosts = []
    number = 10
    for names, zone, edition, roles in (
        ("edge1 edge2", "DMZ", "2016", ("edge-transport",)),
        ("cas1 cas2", "Servers", "2010", ("client-access", "hub-transport")),
        ("mbx1 mbx2", "Servers", "2010", ("mailbox",)),
        ("ex1 ex2", "Servers", "2016", ("mailbox",)),
        ("postern1 postern2", "Servers", "postern", ("hub-transport", "mailbox", "client-access")),
        ("dc1 dc2", "Servers", "", ("domain-controller", "dns-server")),
    ):
        for name in names.split():
            number += 1
            net = "192.0.2" if zone == "DMZ" else "10.0.10"
            hosts.append(Host(name, (f"{net}.{number}",), zone, edition, roles))
    made = Organisation(zones, hosts)
    edges, front, all_servers = "edge1 edge2", "cas1 cas2 ex1 ex2 postern1 postern2", "cas1 cas2 ex1 ex2 mbx1 mbx2"
    made.flow("Internet", edges, "25", "optional")
    made.flow(edges, "Internet", "25", "optional")
    made.flow(edges, "Internet", "53/tcp 53/udp", "none")
    made.flow(edges, front, "25", "required")
    made.flow(front, edges, "25 50636", "required")
    made.flow("Internet", front, "443", "required")
    made.flow("Offices", "ex1 ex2 postern1 postern2", "443 993 995 465", "required")
    made.flow("Offices", "ex1 ex2 postern1 postern2", "143 110 587", "optional")
    made.flow("Offices", "cas1 cas2", "135 443 993 995 587 49152-65535", "required")
    made.flow("Offices", "dc1 dc2", "53/tcp 53/udp 88/tcp 88/udp 389/tcp 389/udp 445 464 3268", "none")
    made.flow("Administration", f"{all_servers} postern1 postern2", "443 5985", "required")
    made.flow("Administration", f"{all_servers} postern1 postern2", "3389", "unknown")
    servers = f"{all_servers} postern1 postern2".split()
    made.mesh(" ".join(servers))
    for server in servers:
        made.mesh(f"{server} dc1")
        made.mesh(f"{server} dc2")
    return made
