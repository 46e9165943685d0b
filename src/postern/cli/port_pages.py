"""The pages under docs/datapaths, made from the catalogue in both languages."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from postern.catalogue import query
from postern.catalogue.load import all_rows
from postern.catalogue.roles import EDITIONS, ROLES, SERVER_ROLES, Kind
from postern.catalogue.schema import DataPath, Names
from postern.cli import language
from postern.cli import port_views as views
from postern.cli.language import _
from postern.cli.port_matrix import matrix_markdown

PAGES: tuple[tuple[str, str, str, Names], ...] = (
    ("postern", "postern", "postern", Names("Postern", "Postern")),
    ("exchange-2010", "data-paths", "2010", Names("Exchange 2010: data paths", "Exchange 2010: пути данных")),
    (
        "windows-firewall-2010",
        "windows-firewall",
        "2010",
        Names("Exchange 2010: rules of Windows Firewall", "Exchange 2010: правила брандмауэра Windows"),
    ),
    ("exchange-2013", "ports", "2013", Names("Exchange 2013: ports", "Exchange 2013: порты")),
    (
        "exchange-2016-2019",
        "ports",
        "2016",
        Names("Exchange 2016 and 2019: ports", "Exchange 2016 и 2019: порты"),
    ),
    (
        "internal",
        "internal",
        "all",
        Names("Exchange 2010 to 2019: inside a server", "Exchange с 2010 по 2019: внутри сервера"),
    ),
    (
        "mixed-2003-2007",
        "matrix",
        "2003-2007",
        Names("Exchange 2003 and 2007 in one organisation", "Exchange 2003 и 2007 в одной организации"),
    ),
)
"""File, table, edition, title."""


def pages() -> dict[str, str]:
    """File name and text of every page. Leaves the language as it was."""
    before = language.language()
    found = {}
    try:
        for code in language.LANGUAGES:
            language.use(code)
            found["README.md" if code == "en" else f"README.{code}.md"] = _joined(_index(code))
            for name, table, edition, title in PAGES:
                rows = [path for path in query.rows(edition) if path.table == table]
                found[f"{name}.{code}.md"] = _joined(_page(table, title.of(code), rows))
    finally:
        language.use(before)
    return found


def _joined(parts: Iterator[str]) -> str:
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _index(code: str) -> Iterator[str]:
    yield "# " + _("Data paths: which ports, which authentication, which encryption")
    yield _("Made from the catalogue by `make docs`; `postern ports` answers the same questions on the command line.")
    links = [
        ("outlook", _("Which ports does Outlook use?")),
        *((name, title.of(code)) for name, _t, _e, title in PAGES),
    ]
    yield "\n".join(f"- [{title}]({name}.{code}.md)" for name, title in links)
    yield "## " + _("How to read the tables")
    yield "\n".join(
        f"- {line}"
        for line in (
            _("Ports: `dynamic` is handed out by the RPC endpoint mapper on 135; `any` means nothing may be filtered."),
            _("Encryption: `required` is on unless somebody changes it, `optional` is offered beside clear text."),
            _("Confidence: `high` is documented, `medium` remembered and consistent with it, `low` a guess."),
        )
    )
    yield "## " + _("Roles")
    columns = {"id": _("ROLE"), "name": _("NAME"), "editions": _("EDITIONS")}
    rows = [
        {
            "id": f"`{role.id}`",
            "name": role.names.of(code),
            "editions": ", ".join(EDITIONS[one].of(code) for one in EDITIONS if role.id in SERVER_ROLES[one])
            if role.kind is Kind.SERVER
            else "",
        }
        for role in ROLES
    ]
    yield views.markdown(rows, columns)
    yield _("{count} data paths", count=len(all_rows()))


def _page(table: str, title: str, rows: Sequence[DataPath]) -> Iterator[str]:
    yield f"# {title}"
    if table == "matrix":
        yield matrix_markdown(*query.matrix())
        rows = [path for path in rows if path.notes or path.confidence != "high"]
        yield "## " + _("Cells with notes")
        yield _table(rows, "matrix")
    else:
        for section, members in groupby(rows, key=lambda path: path.section):
            here = list(members)
            if len({path.section for path in rows}) > 1:
                yield f"## {section_title(section)}"
            yield _table(here, table)
    noted = [path for path in rows if path.notes]
    if noted and table != "matrix":
        yield "## " + _("Notes")
        yield "\n".join(f"- `{path.id}`: {views.escaped(path.notes.of(language.language()))}" for path in noted)


def section_title(section: str) -> str:
    """A part of a table in words."""
    titles = {
        "transport": _("Transport"),
        "mailbox": _("Mailbox"),
        "client-access": _("Client Access"),
        "unified-messaging": _("Unified Messaging"),
        "ground-rules": _("Ground rules"),
        "clients": _("Clients"),
        "mail-flow-no-edge": _("Mail flow without an Edge server"),
        "mail-flow-with-edge": _("Mail flow with an Edge server"),
        "mail-flow": _("Mail flow"),
        "name-resolution": _("Name resolution"),
        "hybrid": _("Hybrid"),
        "administration": _("Administration"),
    }
    return titles.get(section, section)


def _table(rows: Sequence[DataPath], table: str) -> str:
    columns = views.headings() | {"breaks": _("WHEN CLOSED")}
    if table == "windows-firewall":
        columns = {"rule": _("RULE"), "destination": _("TO"), "ports": _("PORTS"), "program": _("PROGRAM")} | {
            key: columns[key] for key in ("purpose", "breaks", "confidence")
        }
    elif table == "matrix":
        columns = {key: columns[key] for key in ("id", "ports", "purpose", "confidence")} | {"notes": _("NOTES")}
    elif table == "internal":
        columns = {"id": columns["id"], "editions": _("EDITIONS")} | columns
    cells = [_cells(path) for path in rows]
    shown = {key: heading for key, heading in columns.items() if any(row[key] for row in cells)}
    return views.markdown(cells, shown)


def _cells(path: DataPath) -> dict[str, str]:
    code = language.language()
    return views.row(path) | {
        "id": f"`{path.id}`",
        "editions": ", ".join(path.editions),
        "breaks": path.breaks.of(code),
        "rule": path.rule_name,
        "program": path.program,
        "notes": path.notes.of(code),
    }


def write(folder: Path) -> None:
    """Write all pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
