"""The formats that rules can be written in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from postern.firewall import firewalld, iptables, netsh, nftables, powershell, ufw
from postern.firewall.errors import FormatError
from postern.topology.model import Flow, Host, Topology

__all__ = ["FORMATS", "FormatError", "Writer"]

Writer = Callable[[Topology, Sequence[Flow], Host | None], str]
"""(topology, its required flows, host) -> the text of one rule set, the same for the same input.

With a host: the rules of that computer's own packet filter. Without: the rules of a device between the zones, for
flows that cross from zone to zone. A writer that can do only one of the two raises FormatError for the other.
"""


def _elsewhere(module: str, function: str = "write") -> Writer:
    """A writer whose module is imported when it is used: aerleon alone takes longer than all the others together."""

    def write(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
        made: str = getattr(import_module(f"postern.firewall.{module}"), function)(topology, flows, host)
        return made

    return write


FORMATS: dict[str, Writer] = {
    "nftables": nftables.write,
    "iptables": iptables.write,
    "ufw": ufw.write,
    "firewalld": firewalld.write,
    "netsh": netsh.write,
    "powershell": powershell.write,
    "cisco": _elsewhere("devices.writers", "cisco"),
    "juniper": _elsewhere("devices.writers", "juniper"),
    "juniper-srx": _elsewhere("devices.writers", "juniper_srx"),
    "paloalto": _elsewhere("devices.writers", "paloalto"),
    "aws": _elsewhere("clouds.aws"),
    "azure": _elsewhere("clouds.azure"),
    "gcp": _elsewhere("clouds.gcp"),
    "kubernetes": _elsewhere("clouds.kubernetes"),
}
"""By the name on the command line."""
