"""Sets of packets as boxes: address family, transport, source, destination and destination port, each an interval.

A firewall's openings and a topology's flows are both unions of such boxes, so that what is missing and what is surplus
are differences of boxes and not comparisons of texts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import NamedTuple

TRANSPORTS = ("tcp", "udp")
"""The transports that have ports; others carry no data path."""
LAST_PORT = 65535
ALL_PORTS = ((0, LAST_PORT),)
WIDTH = {4: 32, 6: 128}
FAMILIES = (4, 6)

Interval = tuple[int, int]


class Box(NamedTuple):
    """Packets of one family and transport whose addresses and port lie in intervals, ends included."""

    family: int
    transport: str
    source: Interval
    destination: Interval
    ports: Interval


class Span(NamedTuple):
    """Addresses of one family from `first` to `last`, as numbers."""

    family: int
    first: int
    last: int


def span(text: str) -> Span:
    """An address, a network (a mask may be written out) or `first-last`. Raises ValueError."""
    if "-" in text:
        low, high = (ipaddress.ip_address(part.strip()) for part in text.split("-", 1))
        if low.version != high.version or int(low) > int(high):
            raise ValueError(f"{text!r} is not a range of addresses")
        return Span(low.version, int(low), int(high))
    network = ipaddress.ip_network(text.strip(), strict=False)
    return Span(network.version, int(network.network_address), int(network.broadcast_address))


def everything(family: int) -> Span:
    """All addresses of a family."""
    return Span(family, 0, (1 << WIDTH[family]) - 1)


def complement(spans: Iterable[Span], family: int) -> list[Span]:
    """The addresses of a family that lie in none of the spans."""
    found, after = [], 0
    for part in sorted(part for part in spans if part.family == family):
        if part.first > after:
            found.append(Span(family, after, part.first - 1))
        after = max(after, part.last + 1)
    if after < 1 << WIDTH[family]:
        found.append(Span(family, after, (1 << WIDTH[family]) - 1))
    return found


def boxes(
    sources: Sequence[Span] | None,
    destinations: Sequence[Span] | None,
    transports: Iterable[str] = TRANSPORTS,
    ports: Iterable[Interval] = ALL_PORTS,
    families: Iterable[int] = FAMILIES,
) -> list[Box]:
    """Every combination; None stands for all addresses. Source and destination are always of one family."""
    ports, transports = tuple(ports), tuple(transports)
    return [
        Box(family, transport, (source.first, source.last), (destination.first, destination.last), port)
        for family in families
        for source in ([everything(family)] if sources is None else sources)
        if source.family == family
        for destination in ([everything(family)] if destinations is None else destinations)
        if destination.family == family
        for transport in transports
        for port in ports
    ]


def _meet(a: Interval, b: Interval) -> Interval | None:
    low, high = max(a[0], b[0]), min(a[1], b[1])
    return (low, high) if low <= high else None


def meet(a: Box, b: Box) -> Box | None:
    """The packets in both."""
    if a.family != b.family or a.transport != b.transport:
        return None
    source, destination, ports = (
        _meet(a.source, b.source),
        _meet(a.destination, b.destination),
        _meet(a.ports, b.ports),
    )
    if source is None or destination is None or ports is None:
        return None
    return Box(a.family, a.transport, source, destination, ports)


def common(left: Iterable[Box], right: Sequence[Box]) -> list[Box]:
    """The packets in one box of each side."""
    return [both for a in left for b in right if (both := meet(a, b)) is not None]


def without(whole: Box, hole: Box) -> list[Box]:
    """What is left of a box: at most six boxes that do not overlap."""
    both = meet(whole, hole)
    if both is None:
        return [whole]
    parts = []
    for piece in _beside(whole.source, both.source):
        parts.append(whole._replace(source=piece))
    for piece in _beside(whole.destination, both.destination):
        parts.append(whole._replace(source=both.source, destination=piece))
    for piece in _beside(whole.ports, both.ports):
        parts.append(both._replace(ports=piece))
    return parts


def _beside(outer: Interval, inner: Interval) -> list[Interval]:
    """What of an interval lies before and after one inside it."""
    before = [(outer[0], inner[0] - 1)] if outer[0] < inner[0] else []
    after = [(inner[1] + 1, outer[1])] if inner[1] < outer[1] else []
    return before + after


def minus(whole: Iterable[Box], holes: Iterable[Box]) -> list[Box]:
    """What is left of some boxes when others are taken out."""
    rest = list(whole)
    for hole in holes:
        if not rest:
            break
        rest = [part for box in rest for part in without(box, hole)]
    return rest


def addresses(interval: Interval, family: int) -> tuple[str, ...]:
    """An interval as networks; single addresses without a prefix length."""
    kind = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address
    networks = ipaddress.summarize_address_range(kind(interval[0]), kind(interval[1]))
    return tuple(str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net) for net in networks)


def port_text(ports: Interval, transport: str) -> str:
    """`25/tcp`, `1024-65535/udp` or `any/tcp`."""
    if ports[1] == LAST_PORT and ports[0] <= 1:
        return f"any/{transport}"
    return f"{ports[0] if ports[0] == ports[1] else f'{ports[0]}-{ports[1]}'}/{transport}"
