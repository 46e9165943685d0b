"""Questions to a topology: of all its flows, those that answer "what does Outlook need?", with nothing else in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from postern.catalogue.roles import effective_roles
from postern.catalogue.schema import DataPath, Level, Names
from postern.topology.model import Endpoint, Flow, Topology

_WEAKEST = (Level.NONE, Level.OPTIONAL, Level.UNKNOWN, Level.REQUIRED)
_PURPOSES = 4
"""How many purposes one flow tells; the others are found by its data paths."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; everything given must hold."""

    rows: tuple[DataPath, ...]
    """The data paths that may be the reason for a flow."""
    role: str = ""
    """Id of a role at either end."""
    source: str = ""
    destination: str = ""
    between: tuple[str, str] | None = None
    """Ids of the roles at the two ends, either way."""
    port: int = 0
    transport: str = ""
    level: Level | None = None


def select(topology: Topology, flows: Iterable[Flow], question: Question) -> tuple[Flow, ...]:
    """The flows that the question's data paths need, each with the purpose and encryption of those alone.

    A flow between hosts where nothing may be filtered stays one, if it covers one of the data paths.
    """
    known = {row.id: row for row in question.rows}
    found = []
    for flow in flows:
        rows = [known[path_id] for path_id in flow.path_ids if path_id in known]
        if rows and _ends_fit(topology, flow, question) and _port_fits(flow, question):
            narrowed = flow if flow.unfiltered else _narrowed(flow, rows)
            if question.level is None or narrowed.encryption == question.level.value:
                found.append(narrowed)
    return tuple(found)


def narrowed_zones(topology: Topology, flows: Sequence[Flow], question: Question) -> Topology:
    """The topology with only those roles of zones that take part in the flows, for a picture of nothing else."""
    known = {row.id: row for row in question.rows}
    seen: dict[str, set[str]] = {}
    for flow in flows:
        rows = [known[path_id] for path_id in flow.path_ids if path_id in known]
        for end, asked in ((flow.source, question.source), (flow.destination, question.destination)):
            if not end.host:
                taking_part = {role for row in rows for role in row.source_roles + row.destination_roles}
                seen.setdefault(end.name, set()).update({asked} if asked else taking_part)
    zones = tuple(
        msgspec.structs.replace(zone, roles=tuple(r for r in zone.roles if r in seen.get(zone.name, r)) or zone.roles)
        for zone in topology.zones
    )
    return msgspec.structs.replace(topology, zones=zones)


def roles_of(topology: Topology, end: Endpoint) -> frozenset[str]:
    """What an end of a flow plays, with the roles that its edition includes."""
    if end.host:
        host = topology.host(end.name)
        return effective_roles(host.edition, host.roles)
    return frozenset(topology.zone(end.name).roles)


def _ends_fit(topology: Topology, flow: Flow, question: Question) -> bool:
    source, destination = roles_of(topology, flow.source), roles_of(topology, flow.destination)
    if question.between:
        one, other = question.between
        if not ((one in source and other in destination) or (other in source and one in destination)):
            return False
    return (
        (not question.source or question.source in source)
        and (not question.destination or question.destination in destination)
        and (not question.role or question.role in source | destination)
    )


def _port_fits(flow: Flow, question: Question) -> bool:
    if flow.unfiltered or not question.port:
        return True
    return flow.first <= question.port <= flow.last and question.transport in ("", flow.transport)


def _narrowed(flow: Flow, rows: Sequence[DataPath]) -> Flow:
    """A flow as if only these data paths needed it."""
    levels = [next((row.level_of(port) for port in row.ports if port.covers(flow.first)), row.level) for row in rows]
    purposes = list(dict.fromkeys(row.purpose or row.names for row in rows))
    more = "; ..." if len(purposes) > _PURPOSES else ""
    texts = ["; ".join(dict.fromkeys(p.of(lang) for p in purposes[:_PURPOSES])) + more for lang in ("en", "ru")]
    return msgspec.structs.replace(
        flow,
        path_ids=tuple(row.id for row in rows),
        purpose=Names(*texts),
        encryption=min(levels, key=_WEAKEST.index).value,
        authentication="; ".join(dict.fromkeys(method for row in rows for method in row.authentication_default)),
    )
