"""What one condition of an nftables rule says of packets (libnftables-json(5), EXPRESSIONS)."""

from __future__ import annotations

from collections.abc import Sequence

from postern.firewall.readers.packets import (
    EVERYTHING,
    INTERFACE,
    NEGATED,
    SOURCE_PORT,
    UNKNOWN_ADDRESS,
    UNKNOWN_PROTOCOL,
    UNKNOWN_WORD,
    NotUnderstoodError,
    complement_ports,
    interval,
    transports,
)
from postern.firewall.region import TRANSPORTS, Box, Interval, Span, boxes, common, complement, span

NEW = "new"
"""The connection state of a flow's first packet; rules for the other states only let answers pass."""


def fields(left: object) -> list[str]:
    """The parts of a packet that an expression looks at: `ip saddr`, `tcp dport`, `meta l4proto`, `ct state`."""
    match left:
        case {"payload": {"protocol": str(protocol), "field": str(field)}}:
            return [f"{protocol} {field}"]
        case {"meta": {"key": str(key)}}:
            return [f"meta {key}"]
        case {"ct": {"key": str(key)}}:
            return [f"ct {key}"]
        case {"fib": {"result": str(result), "flags": flags}}:
            names = flags if isinstance(flags, list) else [flags]
            return [f"fib {'.'.join(map(str, names))} {result}"]
        case {"concat": [*parts]}:
            return [name for part in parts for name in fields(part)]
        case dict() if len(left) == 1:
            raise NotUnderstoodError(UNKNOWN_WORD, next(iter(left)))
    raise NotUnderstoodError(UNKNOWN_WORD, left)


def condition(names: Sequence[str], atoms: Sequence[object], negated: bool = False) -> list[Box]:
    """The packets whose fields have one of the values. Raises NotUnderstoodError."""
    if len(names) == 1:
        return single(names[0], atoms, negated)
    if negated:
        raise NotUnderstoodError(NEGATED, " . ".join(names))
    found: list[Box] = []
    for atom in atoms:
        values = atom.get("concat") if isinstance(atom, dict) else None
        if not isinstance(values, list) or len(values) != len(names):
            raise NotUnderstoodError(UNKNOWN_WORD, atom)
        both = list(EVERYTHING)
        for name, value in zip(names, values, strict=True):
            both = common(both, single(name, [value], False))
        found += both
    return found


def single(name: str, atoms: Sequence[object], negated: bool) -> list[Box]:
    """The packets of one field."""
    protocol, _space, field = name.partition(" ")
    if field in ("saddr", "daddr") and protocol in ("ip", "ip6"):
        return _addresses(4 if protocol == "ip" else 6, field, atoms, negated)
    if field == "dport" and protocol in (*TRANSPORTS, "th"):
        ranges = tuple(_ports(atom) for atom in atoms)
        if negated:
            ranges = complement_ports(ranges)
        return boxes(None, None, TRANSPORTS if protocol == "th" else (protocol,), ranges)
    if field == "sport" and protocol in (*TRANSPORTS, "th"):
        raise NotUnderstoodError(SOURCE_PORT, atoms[0] if atoms else "")
    if name in ("meta l4proto", "ip protocol", "ip6 nexthdr"):
        families = {"ip": (4,), "ip6": (6,)}.get(protocol, (4, 6))
        return boxes(None, None, _protocols(atoms, negated), families=families)
    if name in ("meta nfproto", "meta protocol"):
        wanted = {{"ipv4": 4, "ip": 4, "ipv6": 6, "ip6": 6}.get(str(atom), 0) for atom in atoms}
        return boxes(None, None, families=[family for family in (4, 6) if (family in wanted) != negated])
    if protocol in ("icmp", "icmpv6", "igmp"):
        return []
    return _circumstances(name, [str(atom) for atom in atoms], negated)


def _circumstances(name: str, words: list[str], negated: bool) -> list[Box]:
    """Conditions that every first packet of a flow meets, or none."""
    if name == "ct state":
        return list(EVERYTHING) if (NEW in words) != negated else []
    if name in ("meta iifname", "meta iif", "meta oifname", "meta oif") and words == ["lo"]:
        return list(EVERYTHING) if negated else []
    if name in ("meta iifname", "meta iif", "meta oifname", "meta oif"):
        raise NotUnderstoodError(INTERFACE, ", ".join(words))
    if name == "fib daddr type" and words == ["local"] and not negated:
        return list(EVERYTHING)
    raise NotUnderstoodError(UNKNOWN_WORD, name)


def _addresses(family: int, field: str, atoms: Sequence[object], negated: bool) -> list[Box]:
    found = [_span(atom) for atom in atoms]
    if any(part.family != family for part in found):
        raise NotUnderstoodError(UNKNOWN_ADDRESS, atoms[0])
    if negated:
        found = complement(found, family)
    return boxes(found, None, families=(family,)) if field == "saddr" else boxes(None, found, families=(family,))


def _span(atom: object) -> Span:
    try:
        match atom:
            case str():
                return span(atom)
            case {"prefix": {"addr": str(address), "len": int(length)}}:
                return span(f"{address}/{length}")
            case {"range": [str(first), str(last)]}:
                return span(f"{first}-{last}")
    except ValueError:
        pass
    raise NotUnderstoodError(UNKNOWN_ADDRESS, atom)


def _ports(atom: object) -> Interval:
    match atom:
        case {"range": [first, last]}:
            return interval(first, last)
        case int() | str():
            return interval(atom, atom)
    raise NotUnderstoodError(UNKNOWN_WORD, atom)


def _protocols(atoms: Sequence[object], negated: bool) -> tuple[str, ...]:
    found: set[str] = set()
    for atom in atoms:
        try:
            found |= set(transports(str(atom)))
        except NotUnderstoodError as problem:
            if problem.reason != UNKNOWN_PROTOCOL or (len(atoms) == 1 and not negated):
                raise
    return tuple(name for name in TRANSPORTS if (name in found) != negated)
