"""How data paths are shown: tables, JSON, CSV, Markdown, HTML, explanations and the matrix."""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from postern.catalogue.query import named_ports
from postern.catalogue.roles import BY_ID, EDITIONS
from postern.catalogue.schema import DataPath, Level, Names
from postern.cli.language import _, language
from postern.cli.output import print_json
from postern.topology.report import BAD, FAIR, GOOD, html_page

PLAIN_WIDTH = 160
"""Columns where the output is no terminal."""
NARROW = 120
"""A terminal with fewer columns shows neither authentication nor confidence."""
SHORT = 44
"""A printed name longer than this gives way to its roles' names."""
WIDE = 100
"""A range of more ports than this is told in one line."""
_COLOURS = {Level.NONE: "red", Level.OPTIONAL: "yellow", Level.REQUIRED: "green", Level.UNKNOWN: ""}
_SAYS_NOTHING = frozenset({"", "no", "none", "none (HTTP)", "unknown", "not applicable"})


def facts(path: DataPath) -> dict[str, Any]:
    """Everything a row has, for programs; texts in both languages."""
    found: dict[str, Any] = msgspec.to_builtins(path)
    return found


def show(rows: Sequence[DataPath], kind: str, *, title: str) -> None:
    """Print rows as `json`, `csv`, `markdown`, `html` or `table`."""
    if kind == "json":
        print_json([facts(path) for path in rows])
    elif kind == "csv":
        _csv(rows)
    elif kind == "markdown":
        sys.stdout.write(markdown([row(path) for path in rows], headings()))
    elif kind == "html":
        tones = {level_word(Level.NONE): BAD, level_word(Level.OPTIONAL): FAIR, level_word(Level.REQUIRED): GOOD}
        cells = [row(path) | {"level": level_word(path.level)} for path in rows]
        columns = headings() | {"level": _("ENCRYPTED"), "encryption": _("HOW")}
        sys.stdout.write(html_page(title, "", columns, cells, language(), tones=tones))
    elif not rows:
        sys.stdout.write(_("No data path fits.") + "\n")
    else:
        _table(rows)


def headings() -> dict[str, str]:
    """Columns for people."""
    return {
        "id": _("DATA PATH"),
        "source": _("FROM"),
        "destination": _("TO"),
        "ports": _("PORTS"),
        "authentication": _("AUTHENTICATION"),
        "encryption": _("ENCRYPTION"),
        "purpose": _("PURPOSE"),
        "confidence": _("CONFIDENCE"),
    }


def escaped(text: str) -> str:
    """Markdown of a text; code in backticks stays as it is."""
    if text.startswith("`"):
        return text
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def markdown(rows: Sequence[Mapping[str, str]], columns: Mapping[str, str]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(columns.values()) + " |", "|" + "---|" * len(columns)]
    for one in rows:
        lines.append("| " + " | ".join(escaped(one[key]) for key in columns) + " |")
    return "\n".join(lines) + "\n"


def row(path: DataPath) -> dict[str, str]:
    """A row in words, by the keys of `headings`."""
    return {
        "id": path.id,
        "source": end(path.source, path.source_roles),
        "destination": end(path.destination, path.destination_roles),
        "ports": ports_words(path),
        "authentication": "; ".join(path.authentication_default),
        "encryption": encryption_words(path),
        "purpose": path.purpose.of(language()),
        "confidence": confidence_word(path.confidence),
    }


def end(printed: Names, roles: Sequence[str]) -> str:
    """Who is at one end: the printed name, or the roles where it is long."""
    text = printed.of(language())
    if len(text) <= SHORT or not roles:
        return text
    return ", ".join(BY_ID[role].names.of(language()) for role in roles)


def ports_words(path: DataPath) -> str:
    """The ports as printed, words translated."""
    words = {"none": _("none (no direct connection)"), "local": _("local"), "configurable": _("configurable")}
    if not path.ports:
        return words[path.port_text]
    text = path.port_text.replace(";", ", ")
    return text.replace("dynamic/", _("dynamic/")).replace("any/", _("any/"))


def level_word(level: Level) -> str:
    """A level of encryption in words."""
    words = {
        Level.NONE: _("none"),
        Level.OPTIONAL: _("optional"),
        Level.REQUIRED: _("required"),
        Level.UNKNOWN: _("unknown"),
    }
    return words[level]


def confidence_word(confidence: str) -> str:
    """How sure a row is, in words."""
    return {"high": _("high"), "medium": _("medium"), "low": _("low")}[confidence]


def colour(level: Level) -> str:
    """A level's colour on a terminal, a rich style."""
    return _COLOURS[level]


def encryption_words(path: DataPath) -> str:
    """The level, and by what means if the source says."""
    text = path.encryption.removeprefix("yes: ")
    return level_word(path.level) + ("" if text in _SAYS_NOTHING else f": {text}")


_CSV = (
    "id", "editions", "table", "section", "names", "source", "destination", "source_roles", "destination_roles",
    "ports", "protocols", "authentication_default", "authentication_supported", "encryption", "encrypted_by_default",
    "level", "on_by_default", "default_state", "service", "rule_name", "program", "purpose", "breaks", "notes",
    "provenance", "confidence",
)  # fmt: skip


def _csv(rows: Sequence[DataPath]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_CSV)
    for path in rows:
        writer.writerow([_csv_cell(path.port_text if name == "ports" else getattr(path, name)) for name in _CSV])


def _csv_cell(value: Any) -> str:
    if isinstance(value, Names):
        return value.of(language())
    if isinstance(value, tuple):
        return ";".join(value)
    if isinstance(value, Level):
        return value.value
    return {True: "yes", False: "no", None: ""}[value] if value is None or isinstance(value, bool) else str(value)


def console() -> Console:
    """As wide as the terminal; plain and wide where there is none."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(file=sys.stdout, width=max(width, 60), highlight=False, soft_wrap=False)


_WIDEST = {"source": 24, "destination": 24, "ports": 18, "authentication": 22, "encryption": 22}


def _table(rows: Sequence[DataPath]) -> None:
    out = console()
    columns = headings()
    if out.width < NARROW or not any(path.authentication_default for path in rows):
        del columns["authentication"]
    if out.width < NARROW or all(path.confidence == "high" for path in rows):
        del columns["confidence"]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for key, heading in columns.items():
        table.add_column(heading, no_wrap=key in {"id", "confidence"}, overflow="fold", max_width=_WIDEST.get(key))
    for path in rows:
        cells: dict[str, Text] = {key: Text(text) for key, text in row(path).items()}
        cells["encryption"].stylize(_COLOURS[path.level])
        table.add_row(*(cells[key] for key in columns))
    out.print(table)
    out.print(Text(_("{count} data paths", count=len(rows))))


def explain(asked: str, number: int, rows: Sequence[DataPath], dynamic: Sequence[str], nearest: Sequence[int]) -> None:
    """What a port is for: rows that name it, rows whose range covers it, editions that hand it out by RPC."""
    out = console()
    exact = [path for path in rows if _span(path, number) < WIDE]
    for path in exact:
        editions = ", ".join(EDITIONS[edition].of(language()) for edition in path.editions)
        out.print(Text(f"{editions}: {path.names.of(language())}", style="bold"))
        ends = _(
            "from {source} to {destination}",
            source=path.source.of(language()),
            destination=path.destination.of(language()),
        )
        out.print(Text(f"  {ends}"))
        for label, text in _told(path).items():
            if text:
                out.print(Text(f"  {label}: {text}"))
        out.print(Text(f"  {path.id}", style="dim"))
        out.print()
    if not exact:
        near = ", ".join(str(one) for one in nearest)
        out.print(Text(_("No data path names port {port}. Nearest: {near}.", port=asked, near=near)))
    for path in rows:
        if path not in exact:
            out.print(
                Text(
                    _(
                        "Also inside a range: {ports}, {name} ({id})",
                        ports=ports_words(path),
                        name=path.names.of(language()),
                        id=path.id,
                    )
                )
            )
    if dynamic:
        names = ", ".join(EDITIONS[edition].of(language()) for edition in dynamic)
        out.print(Text(_("The RPC endpoint mapper (135) may hand it out in: {editions}.", editions=names)))


def _told(path: DataPath) -> dict[str, str]:
    return {
        _("ports"): ports_words(path),
        _("protocol"): ", ".join(path.protocols),
        _("authentication"): "; ".join(path.authentication_default),
        _("encryption"): encryption_words(path),
        _("by default"): path.default_state.of(language()) or (_("on") if path.on_by_default else _("off")),
        _("why"): path.purpose.of(language()) if path.purpose != path.names else "",
        _("when closed"): path.breaks.of(language()),
        _("note"): path.notes.of(language()),
        _("rule"): path.rule_name,
    }


def _span(path: DataPath, number: int) -> int:
    return min(port.last - port.first for port in named_ports(path, number))
