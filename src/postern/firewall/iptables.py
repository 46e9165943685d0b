"""iptables-restore: the filter table of both IP versions in one file, rules marked -4 and -6 (iptables(8))."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from postern.firewall.rules import IN, OUT, THROUGH, Rule, heading, port_words, rules_for
from postern.topology.model import ANY, Flow, Host, Topology

COMMENT_OCTETS = 255
"""XT_MAX_COMMENT_LEN less its end mark."""
MULTIPORT = 15
"""Ports that one multiport match takes; a range counts as two."""
_CHAINS = {IN: "INPUT", OUT: "OUTPUT", THROUGH: "FORWARD"}
_NEIGHBOURS = (133, 134, 135, 136)
"""ICMPv6 types of neighbour discovery (RFC 4861 4)."""


def write(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
    """A file for `iptables-restore` and, unchanged, for `ip6tables-restore`."""
    rules = rules_for(flows, host)
    chains = (IN, OUT) if host else (THROUGH,)
    closed = {_CHAINS[direction] for direction in chains} | {"FORWARD"}
    lines = [
        f"# {heading(topology, host)}",
        "# Load it with iptables-restore and ip6tables-restore; each replaces the whole filter table.",
        "*filter",
        *(f":{chain} {'DROP' if chain in closed else 'ACCEPT'} [0:0]" for chain in ("INPUT", "FORWARD", "OUTPUT")),
    ]
    for direction in chains:
        lines += _fixed(direction)
        for rule in rules:
            if rule.direction == direction:
                lines += _lines(rule)
    return "\n".join([*lines, "COMMIT", ""])


def _fixed(direction: str) -> Iterator[str]:
    chain = _CHAINS[direction]
    yield f"-A {chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    if direction != THROUGH:
        yield f"-A {chain} {'-i' if direction == IN else '-o'} lo -j ACCEPT"
        for kind in _NEIGHBOURS:
            yield (
                f"-6 -A {chain} -p ipv6-icmp -m icmp6 --icmpv6-type {kind} -m hl --hl-eq 255 "
                '-m comment --comment "IPv6 neighbour discovery" -j ACCEPT'
            )


def _lines(rule: Rule) -> Iterator[str]:
    for source, destination, ports in product(rule.sources or ("",), rule.destinations or ("",), _matches(rule)):
        words = [f"-{rule.version}", "-A", _CHAINS[rule.direction]]
        words += ["-s", source] if source else []
        words += ["-d", destination] if destination else []
        words += [ports] if ports else []
        words += ["-m conntrack --ctstate NEW"]
        words += [f'-m comment --comment "{rule.label(COMMENT_OCTETS)}"', "-j ACCEPT"]
        yield " ".join(words)


def _matches(rule: Rule) -> list[str]:
    """Protocol and port matches of a rule, as many as multiport's limit makes."""
    if rule.transport == ANY:
        return [""]
    start = f"-p {rule.transport} -m {rule.transport}"
    found = []
    for chunk in chunks(rule.ports, MULTIPORT):
        words = port_words(chunk, ":")
        single = f"{start} --dport {words[0]}"
        found.append(single if len(words) == 1 else f"-p {rule.transport} -m multiport --dports {','.join(words)}")
    return found


def chunks(ports: Sequence[tuple[int, int]], room: int) -> list[list[tuple[int, int]]]:
    """Ports in groups of at most `room`, where a range takes the room of two."""
    found: list[list[tuple[int, int]]] = []
    left = 0
    for first, last in ports:
        need = 1 if first == last else 2
        if need > left:
            found.append([])
            left = room
        found[-1].append((first, last))
        left -= need
    return found
