"""`postern check`: does the real handshake of every data path and says what differs from the catalogue."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import App, Parameter

from postern.catalogue.roles import EDITIONS, SERVER_ROLES, UnknownNameError
from postern.catalogue.roles import edition as edition_of
from postern.checks import plan as planning
from postern.checks import report
from postern.checks.model import Outcome, State
from postern.checks.plan import Plan
from postern.checks.running import check_all
from postern.checks.wire import Tools
from postern.cli import check_views as views
from postern.cli.language import _, language
from postern.cli.options import Config, Json
from postern.cli.output import fail, print_json
from postern.net.clock import SystemClock, SystemEntropy
from postern.topology.loading import TopologyError, nearest
from postern.topology.loading import load as load_file
from postern.topology.model import Topology

app = App(name="check")
app.command(
    "postern.cli.check_autodiscover:autodiscover",
    name="autodiscover",
    help=_(
        "Follow a mail program's way to Autodiscover step by step, and say what answers in its way."
        "\n\nExample: postern check autodiscover anna@example.org --password-file - --json"
    ),
)

EX_USAGE = 2
EX_CONFIG = 78
FIRST_PORT_LIMIT = 64540

TopologyFile = Annotated[
    Path | None, Parameter(name=["--topology", "-t"], help=_("File with hosts, zones and roles (TOML)."))
]
HostName = Annotated[str, Parameter(name="--host", help=_("Ask this host only; without a topology, any host's name."))]
From = Annotated[
    str, Parameter(name="--from", help=_("The host or zone of the topology to start from, if it is not this machine."))
]
EditionName = Annotated[str, Parameter(name=["--edition", "-e"], help=_("Without a topology: what --host runs."))]
Base = Annotated[int | None, Parameter(help=_("Without a topology: --host has 25 at BASE+25, as a demonstration has."))]
Trust = Annotated[Path | None, Parameter(help=_("Certificates of the authorities to trust (PEM)."))]
Timeout = Annotated[float, Parameter(help=_("Seconds to wait for a connection and for each answer."))]
Junit = Annotated[Path | None, Parameter(help=_("Write a JUnit report to this file."))]
Html = Annotated[Path | None, Parameter(help=_("Write an HTML report to this file."))]


@app.default
def check(  # noqa: D103, PLR0913 - help is with the command
    *,
    topology: TopologyFile = None,
    host: HostName = "",
    from_: From = "",
    edition: EditionName = "postern",
    port_base: Base = None,
    config: Config = None,
    trust: Trust = None,
    timeout: Timeout = 5.0,
    json: Json = False,
    junit: Junit = None,
    html: Html = None,
) -> None:
    if trust is not None and not trust.is_file():
        fail(_("there is no file {file}", file=trust), EX_USAGE)
    if not 0 < timeout <= 60:
        fail(_("--timeout must be more than 0 and at most 60"), EX_USAGE)
    own = b""
    picture: Topology | None = None
    if topology is not None:
        picture = load_topology(topology)
        plan, title = planned(picture, from_, host), picture.organisation
    elif host:
        plan, title = of_host(host, edition, port_base), host
    else:
        # settings are read only here: they belong to a server's machine
        from postern.cli.self_test import of_settings

        plan, own, title = of_settings(config)
    tools = Tools(SystemClock(), SystemEntropy(), timeout_s=timeout, trust=trust, own=own)
    outcomes = report.sort(asyncio.run(_run(plan, tools)))
    if junit is not None:
        write(junit, report.junit(outcomes, plan.skipped, language()))
    if html is not None:
        write(html, views.html(title, picture, outcomes, plan.skipped))
    if json:
        rows = [report.row(one, language()) for one in outcomes]
        print_json(rows + [report.skipped_row(one, language()) for one in plan.skipped])
    else:
        views.show(outcomes, plan.skipped)
    raise SystemExit(1 if any(one.state is State.ERROR for one in outcomes) else 0)


async def _run(plan: Plan, tools: Tools) -> list[Outcome]:
    with views.progress(len(plan.services)) as step:
        return await check_all(plan.services, tools, lambda _: step())


def load_topology(path: Path) -> Topology:
    """Read the file or end with what is wrong with it."""
    try:
        return load_file(path)
    except TopologyError as problem:
        fail(str(problem), EX_CONFIG)


def planned(topology: Topology, source: str, host: str) -> Plan:
    """The services to ask from where we are; ends with advice where that cannot be told."""
    hosts = [one.name for one in topology.hosts]
    zones = [one.name for one in topology.zones]
    if host and host not in hosts:
        fail(
            _("there is no host {host} in {file}. {hint}", host=host, file=topology.path, hint=nearest(host, hosts)), 2
        )
    if source and source not in hosts + zones:
        hint = nearest(source, hosts + zones)
        fail(
            _("there is no host or zone {host} in {file}. {hint}", host=source, file=topology.path, hint=hint), EX_USAGE
        )
    source = source or here(topology)
    if not source:
        fail(_("this machine is in no zone of {file}: give --from with a host or a zone", file=topology.path), EX_USAGE)
    plan = planning.of_topology(topology, source, host)
    if not plan.services:
        if not host:
            fail(_("no data path starts at {source} that could be asked", source=source), EX_USAGE)
        fail(_("no data path leads from {source} to {host} that could be asked", source=source, host=host), EX_USAGE)
    return plan


def here(topology: Topology) -> str:
    """Which host of the topology this machine is, else in which zone it is; empty if in none."""
    for host in topology.hosts:
        if any(is_ours(address) for address in host.addresses):
            return host.name
    mine = {own_address(address) for host in topology.hosts for address in host.addresses} - {""}
    for zone in topology.zones:
        networks = [ipaddress.ip_network(network) for network in zone.networks]
        if not zone.anywhere and any(ipaddress.ip_address(one) in network for one in mine for network in networks):
            return zone.name
    return ""


def is_ours(address: str) -> bool:
    """Whether an address belongs to this machine; asked of the system in a way that every system has."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def own_address(towards: str) -> str:
    """The address from which this machine reaches another; empty if it does not. Nothing is sent."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((towards, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def of_host(name: str, edition: str, base: int | None) -> Plan:
    """What one server offers, given by name or address."""
    try:
        known = edition_of(edition)
    except UnknownNameError as problem:
        fail(
            _("there is no edition {edition}. {hint}", edition=edition, hint=nearest(problem.word, EDITIONS)), EX_USAGE
        )
    if base is not None and (known != "postern" or not 0 <= base <= FIRST_PORT_LIMIT):
        fail(_("--port-base is for Postern and must be from 0 to {last}", last=FIRST_PORT_LIMIT), EX_USAGE)
    assert known in SERVER_ROLES
    return planning.of_host(name, resolve(name), known, base)


def resolve(name: str) -> Sequence[str]:
    """Addresses of a host, each once; ends with advice if there are none."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as problem:
        unknown(name, getattr(problem, "strerror", None) or str(problem))
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))


def unknown(name: str, problem: str) -> NoReturn:
    """A name that is no host's."""
    fail(_("{host} has no address ({problem}): give its IP address", host=name, problem=problem), EX_USAGE)


def write(path: Path, text: str) -> None:
    """A report into its file; ends with why not."""
    try:
        path.write_text(text, "utf-8")
    except OSError as problem:
        fail(_("cannot write {file}: {problem}", file=path, problem=problem.strerror or problem))
