"""nftables: one table of the inet family, put in place of an older one in a single transaction (nft(8))."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postern.firewall.rules import IN, OUT, THROUGH, Rule, heading, port_words, rules_for
from postern.topology.model import ANY, Flow, Host, Topology

COMMENT_OCTETS = 127
"""NFTNL_UDATA_COMMENT_MAXLEN less its end mark; the whole of it stands in the line before."""
_CHAINS = {IN: "input", OUT: "output", THROUGH: "forward"}
_NEIGHBOURS = "nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert"


def write(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
    """A file for `nft -f`."""
    rules = rules_for(flows, host)
    lines = [
        "#!/usr/sbin/nft -f",
        f"# {heading(topology, host)}",
        "# Loading it again changes nothing; only the table inet postern is touched.",
        "",
        "table inet postern",
        "delete table inet postern",
        "",
        "table inet postern {",
    ]
    for direction in (IN, OUT) if host else (THROUGH,):
        lines += _chain(direction, [rule for rule in rules if rule.direction == direction])
    return "\n".join([*lines, "}", ""])


def _chain(direction: str, rules: Sequence[Rule]) -> Iterator[str]:
    name = _CHAINS[direction]
    yield f"\tchain {name} {{"
    yield f"\t\ttype filter hook {name} priority filter; policy drop;"
    yield "\t\tct state established,related accept"
    if direction != THROUGH:
        interface = "iif" if direction == IN else "oif"
        yield f"\t\t{interface} lo accept"
        yield f'\t\tip6 hoplimit 255 icmpv6 type {{ {_NEIGHBOURS} }} accept comment "IPv6 neighbour discovery"'
    for rule in rules:
        yield f"\t\t# {rule.comment}"
        yield f"\t\t{_match(rule)}"
    yield "\t}"


def _match(rule: Rule) -> str:
    family = "ip" if rule.version == 4 else "ip6"
    words = []
    if rule.sources:
        words.append(f"{family} saddr {_set(rule.sources)}")
    if rule.destinations:
        words.append(f"{family} daddr {_set(rule.destinations)}")
    if not words:
        words.append(f"meta nfproto ipv{rule.version}")
    if rule.transport != ANY:
        words.append(f"{rule.transport} dport {_set(port_words(rule.ports))}")
    words.append(f'ct state new accept comment "{rule.label(COMMENT_OCTETS)}"')
    return " ".join(words)


def _set(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else "{ " + ", ".join(items) + " }"
