"""`postern ports --topology`: the flows that an organisation needs, as a table, a picture or a page."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from postern.catalogue.schema import Level
from postern.cli import port_views
from postern.cli.language import _, language
from postern.cli.output import fail, print_json
from postern.topology.drawing import draw
from postern.topology.flows import required_flows
from postern.topology.loading import TopologyError, load
from postern.topology.model import Flow, Topology
from postern.topology.report import BAD, FAIR, GOOD, html_page
from postern.topology.selecting import Question, narrowed_zones, select

EX_CANTCREAT = 73
EX_CONFIG = 78


def show_topology(file: Path, question: Question | None, kind: str, picture: Path | None) -> None:
    """Print the flows of a topology file, and draw them. Without a question, all of them.

    `kind` is `table`, `json`, `csv`, `markdown` or `html`.
    """
    try:
        topology = load(file)
    except TopologyError as problem:
        fail(str(problem), EX_CONFIG)
    flows = required_flows(topology)
    if question:
        flows = select(topology, flows, question)
        topology = narrowed_zones(topology, flows, question)
    if picture:
        _write(picture, draw(topology, flows, language(), involved_only=question is not None))
        if kind == "table":
            sys.stderr.write(_("{path}: the picture is written.", path=picture) + "\n")
    _print(topology, flows, kind, asked=question is not None)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as problem:
        fail(_("{path} cannot be written: {reason}", path=path, reason=problem.strerror), EX_CANTCREAT)


def _print(topology: Topology, flows: Sequence[Flow], kind: str, *, asked: bool) -> None:
    if kind == "json":
        print_json([facts(flow) for flow in flows])
        return
    rows = [_row(flow) for flow in flows]
    columns = headings()
    if kind == "html":
        drawn = draw(topology, flows, language(), involved_only=asked)
        title = _("Data paths of {organisation}", organisation=topology.organisation)
        tones = {_word("required"): GOOD, _word("optional"): FAIR, _word("none"): BAD}
        sys.stdout.write(html_page(title, drawn, columns, rows, language(), tones=tones))
    elif kind == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([row[key] for key in columns] for row in rows)
    elif kind == "markdown":
        sys.stdout.write(port_views.markdown(rows, columns))
    elif not rows:
        sys.stdout.write(_("No data path fits.") + "\n")
    else:
        _table(flows)


def headings() -> dict[str, str]:
    """Columns for people."""
    return {
        "source": _("FROM"),
        "destination": _("TO"),
        "port": _("PORTS"),
        "encryption": _("ENCRYPTION"),
        "authentication": _("AUTHENTICATION"),
        "purpose": _("PURPOSE"),
    }


def _table(flows: Sequence[Flow]) -> None:
    """Without the authentication, for which a line has no room; every other form has it."""
    columns = {key: heading for key, heading in headings().items() if key != "authentication"}
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for key, heading in columns.items():
        table.add_column(heading, overflow="fold", no_wrap=key == "port", ratio=1 if key == "purpose" else None)
    for flow in flows:
        cells = {key: Text(text) for key, text in _row(flow).items()}
        cells["encryption"].stylize(port_views.colour(Level(flow.encryption)))
        table.add_row(*(cells[key] for key in columns))
    out = port_views.console()
    out.print(table)
    out.print(Text(_("{count} flows", count=len(flows))))


def facts(flow: Flow) -> dict[str, Any]:
    """A flow for programs."""
    return {
        "source": flow.source.name,
        "source_networks": flow.source.networks,
        "destination": flow.destination.name,
        "destination_networks": flow.destination.networks,
        "transport": flow.transport,
        "first": flow.first,
        "last": flow.last,
        "encryption": flow.encryption,
        "authentication": flow.authentication,
        "purpose": flow.purpose.of(language()),
        "paths": flow.path_ids,
    }


def _row(flow: Flow) -> dict[str, str]:
    return {
        "source": flow.source.name,
        "destination": flow.destination.name,
        "port": _("all ports") if flow.unfiltered else flow.port_text,
        "encryption": _word(flow.encryption),
        "authentication": flow.authentication,
        "purpose": flow.purpose.of(language()),
    }


def _word(level: str) -> str:
    return port_views.level_word(Level(level))
