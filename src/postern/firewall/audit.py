"""Compares a ruleset with the flows of a topology: what is missing, what is surplus, what travels in clear."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from postern.catalogue.load import all_rows
from postern.catalogue.schema import Names
from postern.firewall.readers.ruleset import DENY, FORWARD, IN, OUT, Filter, Opening, Reading, Remark, Rule, openings
from postern.firewall.region import (
    LAST_PORT,
    TRANSPORTS,
    Box,
    Interval,
    Span,
    addresses,
    boxes,
    common,
    meet,
    minus,
    port_text,
    span,
)
from postern.topology.model import Endpoint, Flow, Host, Topology

MISSING, SURPLUS, UNENCRYPTED = "missing", "surplus", "unencrypted"
REAL_PORTS = ((1, LAST_PORT),)
"""Port 0 is never listened on; rules that say `any` include it, data paths do not."""
_LOOPBACK = [span("127.0.0.0/8"), span("::1")]
"""Never on a wire (RFC 1122 3.2.1.3, RFC 4291 2.5.3)."""
CLEAR_LEVELS = ("none", "optional")


class AuditError(ValueError):
    """The ruleset cannot be compared with the topology as asked; the text says what to give."""


class Finding(msgspec.Struct, frozen=True):
    """One difference."""

    kind: str
    """MISSING, SURPLUS or UNENCRYPTED."""
    host: str
    """Whose rules; empty for a device between zones."""
    direction: str
    ports: tuple[str, ...]
    source: tuple[str, ...]
    """MISSING, UNENCRYPTED: the name of the flow's end. SURPLUS: the networks that the rule opens."""
    destination: tuple[str, ...]
    partly: bool = False
    """MISSING: some of the packets pass. UNENCRYPTED: encryption is offered, but clear text works too."""
    paths: tuple[str, ...] = ()
    purpose: Names = Names()
    breaks: Names = Names()
    """What stops working."""
    rule: str = ""
    """SURPLUS: the rule that opens it."""
    line: int = 0
    needed: tuple[str, ...] = ()
    """SURPLUS: from whom (OUT: to whom) these ports are needed; nobody else should get through."""


class Report(msgspec.Struct, frozen=True):
    """The result of an audit."""

    format: str
    hosts: tuple[str, ...]
    findings: tuple[Finding, ...]
    not_understood: tuple[Remark, ...]
    families: tuple[int, ...]
    """IP versions that were compared."""

    def of(self, kind: str) -> tuple[Finding, ...]:
        """The findings of a kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)


def audit(
    topology: Topology, reading: Reading, required: Sequence[Flow], paths: Sequence[Flow], host: Host | None = None
) -> Report:
    """Compare.

    `required` are the flows that rules are made of, `paths` the same data paths port by port, for the encryption. With
    a host the ruleset is that computer's own; without, it is a device's between the zones, unless the file itself
    says which filter belongs to which host. Raises AuditError.
    """
    findings: list[Finding] = []
    audited: list[str] = []
    for name, direction, group in _groups(topology, reading, host):
        side = _Side(name, direction, group, reading.families, topology)
        findings += side.missing(required)
        if direction != OUT or (group and all(one.default == DENY for one in group)):
            findings += side.surplus(required)
        if direction != OUT:
            findings += side.unencrypted(paths)
        if name and name not in audited:
            audited.append(name)
    order = {MISSING: 0, SURPLUS: 1, UNENCRYPTED: 2}
    findings.sort(key=lambda found: order[found.kind])
    return Report(reading.format, tuple(audited), tuple(findings), reading.remarks, reading.families)


def _groups(topology: Topology, reading: Reading, host: Host | None) -> list[tuple[str, str, tuple[Filter, ...]]]:
    """(host, direction, filters that a packet must all pass)."""
    owners = sorted({one.host for one in reading.filters if one.host})
    if owners:
        if host is not None and host.name not in owners:
            raise AuditError(f"no rules for {host.name} in the file; it has those of {', '.join(owners)}")
        chosen = [host.name] if host is not None else owners
        return [(name, way, _of(reading, way, name)) for name in chosen for way in (IN, OUT)]
    if host is not None:
        return [(host.name, way, _of(reading, way)) for way in (IN, OUT)]
    through = _of(reading, FORWARD)
    if not through:
        known = ", ".join(one.name for one in topology.hosts)
        raise AuditError(f"these rules are those of one computer: name it with --host. Hosts: {known}")
    return [("", FORWARD, through)]


def _of(reading: Reading, direction: str, host: str = "") -> tuple[Filter, ...]:
    return tuple(one for one in reading.filters if one.direction == direction and one.host == host)


class _Side:
    """Everything that passes in one direction of one host or device."""

    def __init__(
        self, host: str, direction: str, filters: Sequence[Filter], families: tuple[int, ...], topology: Topology
    ) -> None:
        self.host = host
        self.direction = direction
        self.topology = topology
        own = [span(address) for address in topology.host(host).addresses] if host else None
        near, far = (None, own) if direction == IN else (own, None)
        self.universe = boxes(near, far, TRANSPORTS, REAL_PORTS, families)
        self.open = self._passing(filters)

    def _passing(self, filters: Sequence[Filter]) -> list[Opening]:
        """The openings that every filter has; without a filter everything passes."""
        if not filters:
            nothing = Rule((), "allow", 0, "no filter at all")
            return [Opening(box, nothing) for box in self.universe]
        found = self._clipped(openings(filters[0]))
        for other in filters[1:]:
            both = []
            further = self._clipped(openings(other))
            for one in found:
                for two in further:
                    packets = meet(one.packets, two.packets)
                    if packets is not None:  # the narrower rule is the one that decides
                        both.append(Opening(packets, one.rule if one.packets == packets else two.rule))
            found = both
        return found

    def _clipped(self, given: Iterable[Opening]) -> list[Opening]:
        return [Opening(box, rule) for packets, rule in given for box in common([packets], self.universe)]

    def concerns(self, flow: Flow) -> bool:
        """Whether packets of a flow come by here."""
        if self.direction == IN:
            return flow.destination.host and flow.destination.name == self.host
        if self.direction == OUT:
            return flow.source.host and flow.source.name == self.host
        return flow.source.zone != flow.destination.zone

    def packets(self, flow: Flow) -> list[Box]:
        """A flow as boxes that come by here."""
        names = TRANSPORTS if flow.unfiltered else (flow.transport,)
        made = boxes(_spans(flow.source), _spans(flow.destination), names, ((flow.first, flow.last),))
        return common(made, self.universe)

    def missing(self, flows: Iterable[Flow]) -> list[Finding]:
        """Flows that do not pass, or not all of their packets."""
        found = []
        held = [opening.packets for opening in self.open]
        for flow in flows:
            whole = self.packets(flow) if self.concerns(flow) else []
            rest = minus(whole, _touching(whole, held))
            if rest:
                found.append(
                    Finding(
                        MISSING, self.host, self.direction, _ports(flow, rest), (flow.source.name,),
                        (flow.destination.name,), partly=sorted(rest) != sorted(whole), paths=flow.path_ids,
                        purpose=flow.purpose, breaks=_breaks(flow),
                    )
                )  # fmt: skip
        return found

    def surplus(self, flows: Iterable[Flow]) -> list[Finding]:
        """Packets that pass though no flow needs them, by the rule that opens them."""
        needed = [(flow, self.packets(flow)) for flow in flows if self.concerns(flow)]
        held = [box for _flow, packets in needed for box in packets]
        held += [*boxes(_LOOPBACK, None), *boxes(None, _LOOPBACK)]
        by_rule: dict[tuple[str, int], list[tuple[Box, Box]]] = {}
        for packets, rule in self.open:
            for rest in minus([packets], _touching([packets], held)):
                by_rule.setdefault((rule.name, rule.line), []).append((packets, rest))
        return [
            finding for (name, line), pairs in by_rule.items() for finding in self._exposed(name, line, pairs, needed)
        ]

    def _exposed(
        self, rule: str, line: int, pairs: list[tuple[Box, Box]], needed: list[tuple[Flow, list[Box]]]
    ) -> list[Finding]:
        """One finding for each source and destination that a rule opens: (opened, what of it is surplus)."""
        by_ports: dict[tuple[str, Interval], list[Box]] = {}
        for opened, rest in pairs:
            by_ports.setdefault((rest.transport, rest.ports), []).append(opened)
        by_ends: dict[tuple[tuple[str, ...], tuple[str, ...]], list[tuple[str, Interval]]] = {}
        for ports, group in by_ports.items():
            source = _networks((box.source, box.family) for box in group)
            destination = _networks((box.destination, box.family) for box in group)
            by_ends.setdefault((source, destination), []).append(ports)
        found = []
        for (source, destination), surplus in by_ends.items():
            surplus = _joined(surplus)
            found.append(
                Finding(
                    SURPLUS,
                    self.host,
                    self.direction,
                    tuple(port_text(ports, transport) for transport, ports in surplus),
                    source,
                    (self.host,) if self.direction == IN else destination,
                    rule=rule,
                    line=line,
                    needed=self._users(needed, surplus),
                )
            )
        return found

    def _users(self, needed: list[tuple[Flow, list[Box]]], ports: list[tuple[str, Interval]]) -> tuple[str, ...]:
        """Who needs one of the ports: the far ends of the flows."""
        found = set()
        for flow, packets in needed:
            far = flow.destination if self.direction == OUT else flow.source
            if any(
                box.transport == transport and box.ports[0] <= last and first <= box.ports[1]
                for box in packets
                for transport, (first, last) in ports
            ):
                found.add(far.name)
        return tuple(sorted(found))

    def unencrypted(self, flows: Iterable[Flow]) -> list[Finding]:
        """Flows that pass and are or may be in clear text."""
        found = []
        held = [opening.packets for opening in self.open]
        for flow in flows:
            if flow.encryption in CLEAR_LEVELS and self.concerns(flow):
                whole = self.packets(flow)
                if minus(whole, _touching(whole, held)) != whole:
                    found.append(
                        Finding(
                            UNENCRYPTED, self.host, self.direction, (flow.port_text,), (flow.source.name,),
                            (flow.destination.name,), partly=flow.encryption == "optional", paths=flow.path_ids,
                            purpose=flow.purpose,
                        )
                    )  # fmt: skip
        return found


def _touching(whole: Sequence[Box], held: Iterable[Box]) -> list[Box]:
    """The boxes that have anything in common with the others: the rest need not be taken out."""
    return [box for box in held if any(meet(box, one) is not None for one in whole)]


def _joined(ports: Iterable[tuple[str, Interval]]) -> list[tuple[str, Interval]]:
    """Sorted, with ports of a transport put together where they touch."""
    found: list[tuple[str, Interval]] = []
    for transport, (first, last) in sorted(ports):
        if found and found[-1][0] == transport and first <= found[-1][1][1] + 1:
            found[-1] = transport, (found[-1][1][0], max(last, found[-1][1][1]))
        else:
            found.append((transport, (first, last)))
    return found


def _spans(end: Endpoint) -> list[Span]:
    return [span(network) for network in end.networks]


def _networks(intervals: Iterable[tuple[tuple[int, int], int]]) -> tuple[str, ...]:
    """Intervals as networks in order, joined where they touch."""
    found: list[str] = []
    merged: list[list[int]] = []
    for (first, last), family in sorted(set(intervals), key=lambda item: (item[1], item[0])):
        if merged and merged[-1][0] == family and first <= merged[-1][2] + 1:
            merged[-1][2] = max(merged[-1][2], last)
        else:
            merged.append([family, first, last])
    for family, first, last in merged:
        found += addresses((first, last), family)
    return tuple(found)


def _texts(group: Iterable[Box]) -> tuple[str, ...]:
    return tuple(port_text(ports, transport) for transport, ports in sorted({(b.transport, b.ports) for b in group}))


def _ports(flow: Flow, rest: list[Box]) -> tuple[str, ...]:
    """The ports of a flow, or of what is left of it."""
    kept = _texts(rest)
    return (flow.port_text,) if flow.unfiltered and len(kept) == len(TRANSPORTS) else kept


def _breaks(flow: Flow) -> Names:
    """What stops working without a flow, from the catalogue."""
    rows = {row.id: row for row in all_rows()}
    for path in flow.path_ids:
        row = rows.get(path)
        if row is not None and row.breaks:
            return row.breaks
    return flow.purpose
