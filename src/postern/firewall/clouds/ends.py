"""Which hosts of a topology get rules of their own, and the flows that each receives and opens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from postern.topology.model import Endpoint, Flow, Host, Topology

VERSIONS = (4, 6)


class Side(msgspec.Struct, frozen=True):
    """One direction of one host."""

    host: Host
    inbound: bool
    flows: tuple[Flow, ...]

    def peer(self, flow: Flow) -> Endpoint:
        """The other end."""
        return flow.source if self.inbound else flow.destination

    def own(self, flow: Flow) -> Endpoint:
        """The host's end."""
        return flow.destination if self.inbound else flow.source

    def peers(self, flow: Flow, version: int) -> tuple[str, ...]:
        """Networks of the other end, of a version that the host has too."""
        return self.peer(flow).of_version(version) if self.own(flow).of_version(version) else ()


def sides(topology: Topology, flows: Sequence[Flow], host: Host | None) -> list[Side]:
    """Both directions of the host, or of every host of the topology: a cloud filters at each computer."""
    chosen: Iterable[Host] = topology.hosts if host is None else (host,)
    return [Side(one, inbound, _touching(flows, one, inbound)) for one in chosen for inbound in (True, False)]


def _touching(flows: Sequence[Flow], host: Host, inbound: bool) -> tuple[Flow, ...]:
    ends = ((flow, flow.destination if inbound else flow.source) for flow in flows)
    return tuple(flow for flow, end in ends if end.host and end.name == host.name)
