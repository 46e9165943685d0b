"""The matrix of the mixed organisation of Exchange 2003 and 2007: who opens which port to whom."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from postern.catalogue.schema import DataPath
from postern.cli.language import _, language
from postern.cli.port_views import console, markdown
from postern.topology.report import html_page

Cells = Mapping[tuple[str, str], DataPath]
"""A data path by (server, peer)."""


def show_matrix(members: Sequence[str], cells: Cells, kind: str) -> None:
    """Print it as `markdown`, `html` or `table`: a row for each server, a column for each peer."""
    columns, rows = grid(members, cells)
    if kind == "html":
        title = _("Exchange 2003 and 2007 in one organisation")
        sys.stdout.write(html_page(title, "", columns, rows, language(), intro="\n".join(legend())))
        return
    if kind == "markdown":
        sys.stdout.write(matrix_markdown(members, cells))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for key, heading in columns.items():
        table.add_column(heading, max_width=None if key == "server" else 6)
    for row in rows:
        table.add_row(*(Text(row[key]) for key in columns))
    out = console()
    out.print(table)
    for line in legend():
        out.print(Text(line))


def matrix_markdown(members: Sequence[str], cells: Cells) -> str:
    """The matrix and its legend as Markdown."""
    columns, rows = grid(members, cells)
    return markdown(rows, columns) + "\n" + "\n\n".join(legend()) + "\n"


def grid(members: Sequence[str], cells: Cells) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Headings by key, and the rows. Columns are numbered as the rows are: names would be too wide."""
    numbers = {member: str(place) for place, member in enumerate(members, 1)}
    rows = [
        {"server": f"{numbers[server]} {cells[server, server].destination.of(language())}"}
        | {peer: _cell(cells[server, peer]) for peer in members}
        for server in members
    ]
    return {"server": _("TO (server), FROM (columns)")} | numbers, rows


def legend() -> tuple[str, str]:
    """How to read it."""
    return (
        _("Traffic goes from the column's member to the row's. Columns have the numbers of the rows."),
        _(
            "AD: 389, 3268, 88, 53, 135 (LDAP, global catalog, Kerberos, DNS, RPC netlogon)."
            " dyn: dynamic RPC. -: no direct connection."
        ),
    )


def _cell(path: DataPath) -> str:
    """A cell, short."""
    if path.none:
        return "-"
    numbers = dict.fromkeys("dyn" if port.dynamic else str(port.first) for port in path.ports)
    return "AD" if "389" in numbers else " ".join(numbers)
