"""`postern ports --topology`: the flows that an organisation needs, as a table, a picture or a page."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from postern.cli.language import _, language
from postern.cli.output import fail, print_json, show_list
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
    columns = {
        "source": _("FROM"),
        "destination": _("TO"),
        "port": _("PORT"),
        "encryption": _("ENCRYPTION"),
        "authentication": _("AUTHENTICATION"),
        "purpose": _("PURPOSE"),
    }
    if kind == "html":
        drawn = draw(topology, flows, language(), involved_only=asked)
        title = _("Data paths of {organisation}", organisation=topology.organisation)
        tones = {level_name("required"): GOOD, level_name("optional"): FAIR, level_name("none"): BAD}
        headings = {key: heading.capitalize() for key, heading in columns.items()}
        sys.stdout.write(html_page(title, drawn, headings, rows, language(), tones=tones))
    elif kind == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([row[key] for key in columns] for row in rows)
    elif kind == "markdown":
        sys.stdout.write(markdown([heading.capitalize() for heading in columns.values()], rows, list(columns)))
    else:
        show_list(rows, columns, json=False)


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
        "port": _("all") if flow.unfiltered else flow.port_text,
        "encryption": level_name(flow.encryption),
        "authentication": flow.authentication,
        "purpose": flow.purpose.of(language()),
    }


def level_name(level: str) -> str:
    """A level of encryption in words."""
    names = {"required": _("always"), "optional": _("possible"), "none": _("never"), "unknown": _("not stated")}
    return names.get(level, level)


def markdown(headings: Sequence[str], rows: Sequence[dict[str, str]], keys: Sequence[str]) -> str:
    """A Markdown table; `|` in a cell would end it (GitHub Flavored Markdown 4.10)."""
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    lines += ["| " + " | ".join(row[key].replace("|", "\\|") for key in keys) + " |" for row in rows]
    return "\n".join(lines) + "\n"
