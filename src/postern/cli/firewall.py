"""`postern firewall`: rules for packet filters, written from a topology file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from postern.cli.language import _
from postern.cli.output import fail
from postern.firewall.formats import FORMATS, FormatError
from postern.topology.flows import required_flows
from postern.topology.loading import TopologyError, load, nearest
from postern.topology.model import Host, Topology

app = App(name="firewall")
app.command(
    "postern.cli.firewall_audit:command",
    name="audit",
    help=_(
        "Compare the rules of a firewall with what the topology needs: what is missing, surplus, unencrypted."
        "\n\nExample: nft -j list ruleset | postern firewall audit - --topology topology.toml --host mail1"
    ),
)

EX_USAGE = 2
EX_CONFIG = 78

TopologyFile = Annotated[Path, Parameter(name=["--topology", "-t"], help=_("File with hosts, zones and roles (TOML)."))]
HostName = Annotated[
    str, Parameter(name="--host", help=_("A host: its own filter. Without it, the device between the zones."))
]


@app.default
def firewall(  # noqa: D103 - help is above
    *,
    format: Annotated[str, Parameter(help=_("Format of the rules: {formats}.", formats=", ".join(FORMATS)))],
    topology: TopologyFile,
    host: HostName = "",
) -> None:
    writer = FORMATS.get(format)
    if writer is None:
        fail(_("there is no format {format}. {hint}", format=format, hint=nearest(format, FORMATS)), EX_USAGE)
    loaded = load_topology(topology)
    try:
        text = writer(loaded, required_flows(loaded), find_host(loaded, host))
    except FormatError as problem:
        fail(str(problem), EX_USAGE)
    # line ends are the format's own, on every system
    sys.stdout.buffer.write(text.encode())


def load_topology(path: Path) -> Topology:
    """Read the file or end with what is wrong with it."""
    try:
        return load(path)
    except TopologyError as problem:
        fail(str(problem), EX_CONFIG)


def find_host(topology: Topology, name: str) -> Host | None:
    """The host of that name; none if no name is given."""
    if not name:
        return None
    try:
        return topology.host(name)
    except KeyError:
        hint = nearest(name, [host.name for host in topology.hosts])
        fail(_("there is no host {host} in {file}. {hint}", host=name, file=topology.path, hint=hint), EX_USAGE)
