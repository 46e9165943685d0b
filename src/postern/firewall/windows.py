"""Windows Firewall: inbound rules of a host, under the names that Setup of Exchange gives where they are documented.

Setup's rules let every address in. Written from a topology, a rule of the same name lets in only those that need it.
Outgoing connections are not filtered on Windows: its default, and what the documented rules assume.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from postern.catalogue.load import all_rows
from postern.catalogue.schema import DataPath, Names, Port
from postern.firewall.rules import IN, Rule, host_rules, joined_networks, label, port_words
from postern.topology.model import ANY, EVERYWHERE, Flow, Host
from postern.topology.parties import Party

TABLE = "windows-firewall"
MAPPER = 135
DYNAMIC, ENDPOINT_MAPPER = "RPC", "RPCEPMap"
"""What Windows calls the ports that RPC hands out, and the service that tells them (New-NetFirewallRule)."""
_EVERY = dict(zip((4, 6), EVERYWHERE, strict=True))
DESCRIPTION = 400
"""Characters of a description."""


class WindowsRule(msgspec.Struct, frozen=True):
    """One inbound rule."""

    name: str
    """As people see it."""
    key: str
    """Unique and stable."""
    description: str
    protocol: str
    """`TCP`, `UDP`, `Any`."""
    ports: tuple[str, ...]
    """Numbers, ranges, DYNAMIC or ENDPOINT_MAPPER; empty for all."""
    local: tuple[str, ...]
    remote: tuple[str, ...]
    """CIDR; empty for every address."""
    program: str = ""
    """As in the catalogue: relative to Exchange's or Windows' folder; empty for any."""


class _Need(msgspec.Struct, frozen=True):
    """Rules of both IP versions with the same ports and ids."""

    transport: str
    ports: tuple[tuple[int, int], ...]
    path_ids: tuple[str, ...]
    purpose: Names
    local: tuple[str, ...]
    remote: tuple[str, ...]


def inbound(flows: Sequence[Flow], host: Host) -> tuple[WindowsRule, ...]:
    """A host's rules: the documented ones in the catalogue's order, then those for what they leave."""
    needs = _needs(rule for rule in host_rules(flows, host) if rule.direction == IN)
    documented = [rule for row in documented_rows(host) for rule in _documented(row, needs, host)]
    covered = _covered(documented_rows(host), host)
    return (*documented, *_numbered(rule for need in needs for rule in _plain(need, covered, host)))


def documented_rows(host: Host) -> tuple[DataPath, ...]:
    """The rules that Setup makes on such a host."""
    roles = Party.of(host).roles
    return tuple(
        row
        for row in all_rows()
        if row.table == TABLE and host.edition in row.editions and not roles.isdisjoint(row.destination_roles)
    )


def _needs(rules: Iterable[Rule]) -> list[_Need]:
    groups: dict[tuple[object, ...], list[Rule]] = {}
    for rule in rules:
        groups.setdefault((rule.transport, rule.ports, rule.path_ids), []).append(rule)
    return [
        _Need(
            group[0].transport,
            group[0].ports,
            group[0].path_ids,
            group[0].purpose,
            _addresses((rule.version, rule.destinations) for rule in group),
            _addresses((rule.version, rule.sources) for rule in group),
        )
        for group in groups.values()
    ]


def _addresses(sides: Iterable[tuple[int, tuple[str, ...]]]) -> tuple[str, ...]:
    """Both versions in one list; empty if it is every address of both."""
    found: dict[int, set[str]] = {4: set(), 6: set()}
    for version, networks in sides:
        found[version].update(networks or (_EVERY[version],))
    joined = (*joined_networks(found[4]), *joined_networks(found[6]))
    return () if joined == EVERYWHERE else joined


def _documented(row: DataPath, needs: Sequence[_Need], host: Host) -> Iterator[WindowsRule]:
    """The row's rule for those who need its ports, once for each circle of them; nothing if nobody does.

    587 is for mail programs and 25 is not, so that one rule for both would let each use the other's port.
    """
    circles: dict[tuple[str, ...], tuple[list[Port], list[_Need]]] = {}
    for port in _row_ports(row, host):
        using = [need for need in needs if _uses(port, need)]
        if using:
            ports, known = circles.setdefault(_all_remote(using), ([], []))
            ports.append(port)
            known += [need for need in using if need not in known]
    for number, (remote, (ports, using)) in enumerate(circles.items(), 1):
        ids = dict.fromkeys([row.id, *(path_id for need in using for path_id in need.path_ids)])
        words = [word for port in ports if not port.any for word in _words(port)]
        yield WindowsRule(
            row.rule_name,
            row.id if number == 1 else f"{row.id}-{number}",
            label(tuple(ids), row.purpose.en or using[0].purpose.en, DESCRIPTION),
            "TCP",
            tuple(dict.fromkeys(words)),
            _host_addresses(host),
            remote,
            "" if row.program == "any" else row.program,
        )


def _host_addresses(host: Host) -> tuple[str, ...]:
    return (
        *joined_networks(address for address in host.addresses if ":" not in address),
        *joined_networks(address for address in host.addresses if ":" in address),
    )


def _all_remote(needs: Sequence[_Need]) -> tuple[str, ...]:
    sides = [(4, _version(need.remote, 4)) for need in needs] + [(6, _version(need.remote, 6)) for need in needs]
    if any(not need.remote for need in needs):
        return ()
    return _addresses((version, networks) for version, networks in sides if networks)


def _version(networks: tuple[str, ...], version: int) -> tuple[str, ...]:
    return tuple(text for text in networks if (":" in text) == (version == 6))


def _row_ports(row: DataPath, host: Host) -> tuple[Port, ...]:
    """The row's ports with the range that this host's RPC services are given."""
    if host.rpc_ports is None:
        return row.ports
    first, last = host.rpc_ports
    return tuple(msgspec.structs.replace(port, first=first, last=last) if port.dynamic else port for port in row.ports)


def _uses(port: Port, need: _Need) -> bool:
    """A rule for all ports is for those only between whom nothing is filtered."""
    return need.transport == ANY if port.any else _meets(port, need)


def _meets(port: Port, need: _Need) -> bool:
    if need.transport == ANY:
        return True
    inside = any(first <= port.last and port.first <= last for first, last in need.ports)
    whole = any(first <= port.first and port.last <= last for first, last in need.ports)
    return need.transport == port.transport and (whole if port.dynamic else inside)


def _opens(port: Port, transport: str, pair: tuple[int, int]) -> bool:
    """Whether a documented port lets a range in; what RPC has handed out is no other service's port."""
    if port.transport != transport:
        return False
    return pair == (port.first, port.last) if port.dynamic else port.first <= pair[0] and pair[1] <= port.last


def _words(port: Port) -> list[str]:
    if port.dynamic:
        return [DYNAMIC]
    return [ENDPOINT_MAPPER] if port.first == port.last == MAPPER else port_words([(port.first, port.last)])


def _covered(rows: Sequence[DataPath], host: Host) -> tuple[Port, ...]:
    """Ports that documented rules open."""
    return tuple(port for row in rows for port in _row_ports(row, host) if not port.any)


def _plain(need: _Need, covered: Sequence[Port], host: Host) -> Iterator[WindowsRule]:
    """A rule of our own for the ports that no documented rule opens."""
    ports = [pair for pair in need.ports if not any(_opens(port, need.transport, pair) for port in covered)]
    if need.ports and not ports:
        return
    protocol = "Any" if need.transport == ANY else need.transport.upper()
    yield WindowsRule(
        f"Postern {need.path_ids[0]} ({protocol}-In)",
        f"{need.path_ids[0]}-{protocol.lower()}",
        label(need.path_ids, need.purpose.en, DESCRIPTION),
        protocol,
        tuple(port_words(ports)),
        need.local or _host_addresses(host),
        need.remote,
    )


def _numbered(rules: Iterable[WindowsRule]) -> Iterator[WindowsRule]:
    """Keys and names that occur again get a number."""
    seen: dict[str, int] = {}
    for rule in rules:
        seen[rule.key] = number = seen.get(rule.key, 0) + 1
        suffix = f" {number}" if number > 1 else ""
        yield msgspec.structs.replace(
            rule, key=f"{rule.key}{suffix.strip() and '-' + suffix.strip()}", name=rule.name + suffix
        )
