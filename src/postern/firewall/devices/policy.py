"""From flows to aerleon's policies and definitions, and aerleon's text back.

aerleon knows the languages of the devices; which packets pass is decided here. Its warnings about rules that it leaves
out are errors here: a flow must never get lost on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from absl import logging as absl_logging
from aerleon import api
from aerleon.lib import naming

from postern.firewall.errors import FormatError
from postern.firewall.labels import describe, plain, rule_name
from postern.topology.model import Endpoint, Flow

Term = dict[str, Any]
FAMILIES = (4, 6)
MIXED = 0
"""Terms with the addresses of both IP versions."""


class Definitions:
    """The names of addresses and ports that terms refer to."""

    def __init__(self) -> None:
        self.networks: dict[str, dict[str, list[dict[str, str]]]] = {}
        self.services: dict[str, list[dict[str, str]]] = {}

    def address(self, end: Endpoint, family: int) -> str:
        """The name of an endpoint's addresses of one IP version, or of both."""
        base = plain(end.name).replace(" ", "-").replace(".", "-").replace("/", "-").upper()
        base = f"{'HOST' if end.host else 'ZONE'}-{base}"
        networks = end.of_version(family) if family else end.networks
        name = f"{base}-V{family}" if family else base
        values = [{"address": network} for network in networks]
        while self.networks.setdefault(name, {"values": values})["values"] != values:
            name += "-X"  # two names that differ only in characters which devices do not take
        return name

    def service(self, flow: Flow) -> str:
        """The name of a flow's ports."""
        ports = str(flow.first) if flow.first == flow.last else f"{flow.first}-{flow.last}"
        name = f"{flow.transport}-{ports}".upper()
        self.services[name] = [{"protocol": flow.transport, "port": ports}]
        return name


def shared(flow: Flow, family: int) -> bool:
    """Whether both ends have addresses of an IP version (MIXED: of any one)."""
    versions = FAMILIES if family == MIXED else (family,)
    return any(flow.source.of_version(version) and flow.destination.of_version(version) for version in versions)


def term(flow: Flow, into: Definitions, family: int, source: bool = True, destination: bool = True) -> Term:
    """A flow as a term. The ends may be left to the platform's own means, such as tags."""
    made: Term = {"name": rule_name(flow), "comment": describe(flow), "action": "accept"}
    if source:
        made["source-address"] = into.address(flow.source, family)
    if destination:
        made["destination-address"] = into.address(flow.destination, family)
    if not flow.unfiltered:
        made |= {"protocol": flow.transport, "destination-port": into.service(flow)}
    return made


def answer(flow: Flow, into: Definitions, family: int) -> Term:
    """The packets that come back, for filters that keep no state."""
    made: Term = {
        "name": f"{rule_name(flow)}-re",
        "comment": f"answers to {describe(flow, 220)}",
        "action": "accept",
        "source-address": into.address(flow.destination, family),
        "destination-address": into.address(flow.source, family),
        "protocol": flow.transport,
        "source-port": into.service(flow),
    }
    if flow.transport == "tcp":
        made["option"] = ["tcp-established"]
    return made


def crossing(flows: Iterable[Flow]) -> list[Flow]:
    """The flows that a device between the zones sees. Raises FormatError if there is none."""
    found = [flow for flow in flows if flow.source.zone != flow.destination.zone]
    if not found:
        raise FormatError("no flow of this topology crosses from zone to zone, so there is nothing for a device to do")
    return found


def filtered(target: str, options: str, comment: str, terms: Sequence[Term]) -> dict[str, Any]:
    """A filter of a policy."""
    return {"header": {"targets": {target: options}, "comment": comment}, "terms": list(terms)}


def generate(filters: Sequence[dict[str, Any]], into: Definitions) -> str:
    """The device's text. Raises FormatError when the platform cannot say something."""
    names = naming.Naming()
    names.ParseDefinitionsObject({"networks": into.networks, "services": into.services}, "")
    policy: Any = {"filename": "postern", "filters": list(filters)}
    heard = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.ERROR)
    try:
        made = api.Generate([policy], names)
    except Exception as problem:  # each generator of aerleon has errors of its own without a common class
        raise FormatError(f"aerleon cannot write this: {problem}") from problem
    finally:
        absl_logging.set_verbosity(heard)
    (text,) = (made or {}).values()
    return tidy(text)


def tidy(text: str) -> str:
    """Without the version-control marks that aerleon leaves places for, and without doubled empty lines."""
    lines: list[str] = []
    for line in text.splitlines():
        kept = line.rstrip()
        if any(mark in kept for mark in ("$Id:$", "$Date:$", "$Revision:$")) or (
            not kept and not (lines and lines[-1])
        ):
            continue
        lines.append(kept)
    return "\n".join(lines).strip("\n") + "\n"
