"""ufw: a script of `ufw` commands (ufw(8)); ufw itself lets answers, loopback and neighbour discovery pass."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product

from postern.firewall.iptables import MULTIPORT, chunks
from postern.firewall.rules import IN, OUT, THROUGH, Rule, heading, port_words, rules_for
from postern.topology.model import ANY, Flow, Host, Topology

COMMENT_OCTETS = 200
_VERBS = {IN: "allow in", OUT: "allow out", THROUGH: "route allow"}
_EVERYBODY = {4: "0.0.0.0/0", 6: "::/0"}


def write(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
    """A shell script; it forgets all earlier rules of ufw."""
    lines = [
        "#!/bin/sh -e",
        f"# {heading(topology, host)}",
        "# Run it again and the rules are the same; rules that were made by hand are gone (ufw keeps a copy).",
        "ufw --force reset",
        f"ufw default deny {'incoming' if host else 'routed'}",
        *(["ufw default deny outgoing"] if host else []),
    ]
    for rule in rules_for(flows, host):
        lines += _lines(rule)
    return "\n".join([*lines, "ufw --force enable", ""])


def _lines(rule: Rule) -> Iterator[str]:
    everybody = (_EVERYBODY[rule.version],)
    port_groups: list[list[tuple[int, int]]] = [[]] if rule.transport == ANY else chunks(rule.ports, MULTIPORT)
    for source, destination, ports in product(rule.sources or everybody, rule.destinations or everybody, port_groups):
        protocol = f"proto {rule.transport} " if ports else ""
        port = f" port {','.join(port_words(ports, ':'))}" if ports else ""
        comment = rule.label(COMMENT_OCTETS).replace("'", "")
        if rule.direction == THROUGH:
            # ufw looks for interface clauses in the whole line of a route rule, its comment included
            comment = re.sub(r"(?<= )(in|out|on)(?= )", r"(\1)", comment)
        yield f"ufw {_VERBS[rule.direction]} {protocol}from {source} to {destination}{port} comment '{comment}'"
