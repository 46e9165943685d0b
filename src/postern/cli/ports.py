"""`postern ports`: what the catalogue says of every data path. Needs no server and runs on every system."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import App, Parameter

from postern.catalogue import query
from postern.catalogue.load import TABLES, all_rows
from postern.catalogue.roles import UnknownNameError, role
from postern.catalogue.schema import DataPath, Level
from postern.cli import flow_views
from postern.cli import port_matrix as matrix_views
from postern.cli import port_views as views
from postern.cli.language import _
from postern.cli.output import fail, print_json
from postern.topology.selecting import Question

EX_USAGE = 2

app = App(name="ports")


@dataclass(frozen=True)
class Filters:
    """Which rows; all of them must hold."""

    edition: Annotated[
        str,
        Parameter(
            name=["--edition", "-e"],
            help=_("2003-2007, 2010, 2013, 2016, 2019, postern (several with commas) or all; alone: postern."),
        ),
    ] = ""
    role: Annotated[str, Parameter(help=_("Data paths that begin or end at this role, for example mailbox."))] = ""
    source: Annotated[str, Parameter(help=_("Who opens the connection, for example outlook."))] = ""
    destination: Annotated[str, Parameter(help=_("Who listens, for example client-access."))] = ""
    between: Annotated[
        tuple[str, str] | None, Parameter(negative="", help=_("Two roles: everything between them, either way."))
    ] = None
    direction: Annotated[str, Parameter(help=_("in or out, seen from --role."))] = ""
    port: Annotated[str, Parameter(help=_("A port, for example 587 or 53/udp."))] = ""
    protocol: Annotated[str, Parameter(help=_("A protocol, for example smtp."))] = ""
    encryption: Annotated[str, Parameter(help=_("none, optional, required or unknown."))] = ""
    table: Annotated[str, Parameter(help=_("One table: {tables}.", tables=", ".join(TABLES)))] = ""


@dataclass(frozen=True)
class Output:
    """How a list is printed; one at most."""

    json: Annotated[bool, Parameter(negative="", help=_("Print JSON."))] = False
    csv: Annotated[bool, Parameter(negative="", help=_("Print CSV."))] = False
    markdown: Annotated[bool, Parameter(negative="", help=_("Print Markdown."))] = False
    html: Annotated[bool, Parameter(negative="", help=_("Print one HTML page."))] = False

    @property
    def kind(self) -> str:
        """`json`, `csv`, `markdown`, `html` or `table`."""
        chosen = [name for name in ("json", "csv", "markdown", "html") if getattr(self, name)]
        if len(chosen) > 1:
            fail(_("choose one of {options}", options=", ".join(f"--{name}" for name in chosen)), EX_USAGE)
        return chosen[0] if chosen else "table"


TopologyFile = Annotated[
    Path | None,
    Parameter(name=["--topology", "-t"], help=_("A file with hosts and zones (TOML): the flows that they need.")),
]
NO_FILTERS, AS_TABLE = Filters(), Output()


@app.default
def ports(  # noqa: D103 - help is above
    *,
    filters: Annotated[Filters, Parameter(name="*", show_default=False)] = NO_FILTERS,
    output: Annotated[Output, Parameter(name="*", show_default=False)] = AS_TABLE,
    topology: TopologyFile = None,
    draw: Annotated[Path | None, Parameter(help=_("Draw what --topology needs into this file (SVG)."))] = None,
) -> None:
    kind = output.kind
    if topology:
        flow_views.show_topology(topology, question(filters), kind, draw)
        return
    if draw:
        fail(_("--draw needs --topology: a file with hosts and zones, see examples/outlook.toml"), EX_USAGE)
    views.show(select(filters), kind, title=_("Data paths"))


@app.command(
    help=_(
        "What uses a port, in which editions, why, and what breaks when it is closed."
        "\n\nExample: postern ports explain 50636"
    )
)
def explain(  # noqa: D103 - help is above
    port: Annotated[str, Parameter(help=_("A port, for example 587 or 53/udp."))],
    /,
    *,
    json: Annotated[bool, Parameter(negative="", help=_("Print JSON."))] = False,
) -> None:
    number, transport = parse_port(port)
    found = query.explain(number, transport)
    if json:
        print_json([views.facts(path) for path in found])
        return
    dynamic = query.in_dynamic_range(number) if transport != "udp" else ()
    views.explain(port, number, found, dynamic, nearest_ports(number))


@app.command(
    name="matrix",
    help=_(
        "The mixed organisation of Exchange 2003 and 2007: who opens which port to whom."
        "\n\nExample: postern ports matrix --markdown"
    ),
)
def show_matrix(*, output: Annotated[Output, Parameter(name="*", show_default=False)] = AS_TABLE) -> None:  # noqa: D103 - help is above
    kind = output.kind
    members, cells = query.matrix()
    if kind in {"json", "csv"}:
        views.show(tuple(cells.values()), kind, title="")
    else:
        matrix_views.show_matrix(members, cells, kind)


app.command(
    "postern.cli.settings:listening",
    name="listening",
    help=_("List what the server of the settings file opens.\n\nExample: postern ports listening --json"),
)


def question(filters: Filters) -> Question | None:
    """The filters as a question to a topology; none if nothing is filtered."""
    if filters == NO_FILTERS:
        return None
    rows = select(filters)
    number, transport = parse_port(filters.port) if filters.port else (0, "")
    inward, outward = filters.direction == query.INWARD, filters.direction == query.OUTWARD
    return Question(
        rows=rows,
        role=_role_id(filters.role),
        source=_role_id(filters.source or (filters.role if outward else "")),
        destination=_role_id(filters.destination or (filters.role if inward else "")),
        between=(_role_id(filters.between[0]), _role_id(filters.between[1])) if filters.between else None,
        port=number,
        transport=transport,
        level=Level(filters.encryption) if filters.encryption else None,
    )


def _role_id(word: str) -> str:
    return role(word).id if word else ""


def select(filters: Filters) -> tuple[DataPath, ...]:
    """Rows that pass the filters; ends the program where a value is none that exists."""
    one_of("--direction", filters.direction, (query.INWARD, query.OUTWARD))
    one_of("--encryption", filters.encryption, tuple(level.value for level in Level))
    one_of("--table", filters.table, TABLES)
    one_of("--protocol", filters.protocol.lower(), protocols())
    if filters.direction and not filters.role:
        fail(_("--direction is seen from a role: give --role too"), EX_USAGE)
    narrowed = filters != NO_FILTERS
    edition = filters.edition or (query.ALL if narrowed else "postern")
    number, transport = parse_port(filters.port) if filters.port else (0, "")
    try:
        found = query.rows(
            edition,
            role=filters.role,
            source=filters.source,
            destination=filters.destination,
            direction=filters.direction,
            port=number,
            transport=transport,
            protocol=filters.protocol,
            encryption=Level(filters.encryption) if filters.encryption else None,
        )
        if filters.between:
            joining = query.between(*filters.between, edition)
            found = tuple(path for path in found if path in joining)
    except UnknownNameError as problem:
        unknown(problem)
    return tuple(path for path in found if filters.table in {"", path.table})


def unknown(problem: UnknownNameError) -> NoReturn:
    """End with what is not known and what may have been meant."""
    kind = {"role": _("role"), "edition": _("edition")}[problem.kind]
    if problem.near:
        near = ", ".join(problem.near)
        fail(_('there is no {kind} "{word}"; nearest: {near}', kind=kind, word=problem.word, near=near), EX_USAGE)
    known = ", ".join(problem.known)
    fail(_('there is no {kind} "{word}"; there are: {known}', kind=kind, word=problem.word, known=known), EX_USAGE)


def one_of(option: str, word: str, allowed: tuple[str, ...]) -> None:
    """End the program if a word is not among the allowed; empty is none given."""
    if not word or word in allowed:
        return
    near = get_close_matches(word, allowed, n=3, cutoff=0.5) or allowed
    fail(_('{option}: there is no "{word}"; nearest: {near}', option=option, word=word, near=", ".join(near)), EX_USAGE)


def protocols() -> tuple[str, ...]:
    """Every word by which a protocol of the catalogue can be asked for."""
    named = {protocol for path in all_rows() for protocol in path.protocols}
    return tuple(sorted({word for protocol in named for word in query.protocol_words(protocol)}))


_PORT = re.compile(r"([0-9]{1,5})(?:/(tcp|udp))?", re.IGNORECASE | re.ASCII)


def parse_port(word: str) -> tuple[int, str]:
    """`587` or `53/udp`: number and transport, which may be empty; ends the program on anything else."""
    match = _PORT.fullmatch(word.strip())
    if match is None or not 0 < int(match[1]) < 65536:
        fail(_('"{word}" is no port: a number from 1 to 65535, alone or with /tcp or /udp', word=word), EX_USAGE)
    return int(match[1]), (match[2] or "").lower()


def nearest_ports(number: int) -> tuple[int, ...]:
    """Single ports of the catalogue that look or lie nearest to a number."""
    single = {port.first for path in all_rows() for port in path.ports if port.first == port.last}
    alike = get_close_matches(str(number), [str(one) for one in sorted(single)], n=3, cutoff=0.7)
    close = sorted(single, key=lambda one: (abs(one - number), one))[:2]
    return tuple(dict.fromkeys([*(int(one) for one in alike), *close]))[:3]
