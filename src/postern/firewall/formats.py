"""The formats that rules can be written in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from postern.firewall import firewalld, iptables, netsh, nftables, powershell, ufw
from postern.firewall.errors import FormatError
from postern.topology.model import Flow, Host, Topology

__all__ = ["FORMATS", "FormatError", "Writer"]

Writer = Callable[[Topology, Sequence[Flow], Host | None], str]
"""(topology, its required flows, host) -> the text of one rule set, the same for the same input.

With a host: the rules of that computer's own packet filter. Without: the rules of a device between the zones, for
flows that cross from zone to zone. A writer that can do only one of the two raises FormatError for the other.
"""

FORMATS: dict[str, Writer] = {
    "nftables": nftables.write,
    "iptables": iptables.write,
    "ufw": ufw.write,
    "firewalld": firewalld.write,
    "netsh": netsh.write,
    "powershell": powershell.write,
}
"""By the name on the command line."""
