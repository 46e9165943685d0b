"""firewalld: policies with rich rules (firewalld.policies(5), firewalld.richlanguage(5)), as a script.

A policy from any zone to the host, one from the host to any zone, or one between zones. Answers and neighbour
discovery pass firewalld by themselves. Rich rules carry no comment, so ids and purposes are comments of the script.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from postern.firewall.rules import IN, OUT, THROUGH, Rule, heading, port_words, rules_for
from postern.topology.model import ANY, Flow, Host, Topology

_POLICIES = {IN: ("postern-in", "ANY", "HOST"), OUT: ("postern-out", "HOST", "ANY"), THROUGH: ("postern", "ANY", "ANY")}

_NEIGHBOURS = tuple(
    f'rule family="ipv6" icmp-type name="{kind}" accept'
    for kind in ("neighbour-solicitation", "neighbour-advertisement", "router-solicitation")
)


def write(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
    """A shell script; only the policies named postern are touched."""
    rules = rules_for(flows, host)
    lines = [
        "#!/bin/sh -e",
        f"# {heading(topology, host)}",
        "# Run it again and the policies are the same. It needs firewalld 0.9 or newer.",
        'command="${FIREWALL_CMD:-firewall-cmd --permanent}"',
    ]
    for direction in (IN, OUT) if host else (THROUGH,):
        name, ingress, egress = _POLICIES[direction]
        lines += [
            "",
            f"$command --delete-policy={name} >/dev/null 2>&1 || true",
            f"$command --new-policy={name}",
            f"$command --policy={name} --set-target=DROP",
            f"$command --policy={name} --set-priority=-100",
            f"$command --policy={name} --add-ingress-zone={ingress}",
            f"$command --policy={name} --add-egress-zone={egress}",
        ]
        if direction == OUT:  # the host's own policy for incoming neighbour discovery has no twin for outgoing
            lines += [f"$command --policy={name} --add-rich-rule='{text}'" for text in _NEIGHBOURS]
        for rule in rules:
            if rule.direction == direction:
                lines.append(f"# {rule.comment}")
                lines += [f"$command --policy={name} --add-rich-rule='{text}'" for text in _rich(rule)]
    return "\n".join([*lines, "", '[ -n "$FIREWALL_CMD" ] || firewall-cmd --reload', ""])


def _rich(rule: Rule) -> Iterator[str]:
    everybody = ("",)
    ports = [""] if rule.transport == ANY else port_words(rule.ports)
    for source, destination, port in product(rule.sources or everybody, rule.destinations or everybody, ports):
        words = [f'rule family="ipv{rule.version}"']
        words += [f'source address="{source}"'] if source else []
        words += [f'destination address="{destination}"'] if destination else []
        words += [f'port port="{port}" protocol="{rule.transport}"'] if port else []
        yield " ".join([*words, "accept"])
