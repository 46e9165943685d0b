"""Reads the catalogue's tables and holds them to the rules that everything derived from them relies on.

Postern's own edition is TOML, because its rows carry what the listeners need; the other editions are CSV, one row a
data path, with the columns of `_COLUMNS`. Lists inside a cell are separated by `;`.
"""

from __future__ import annotations

import csv
import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from postern.catalogue.checking import problems
from postern.catalogue.roles import edition as edition_id
from postern.catalogue.schema import DataPath, Edition, Encryption, Level, Listener, Port

POSTERN = "postern"
FILES: dict[str, str] = {
    "exchange-2010.csv": "data-paths",
    "windows-firewall-2010.csv": "windows-firewall",
    "exchange-2013.csv": "ports",
    "exchange-2016-2019.csv": "ports",
    "mixed-2003-2007.csv": "matrix",
    "internal-2010-2019.csv": "internal",
    "postern.toml": POSTERN,
}
"""The files under `editions`, in the order they are listed, and the table each belongs to."""
TABLES = tuple(dict.fromkeys(FILES.values()))

DYNAMIC = {"2003-2007": (1024, 65535), "domain-controller": (49152, 65535), "": (6005, 65534)}
"""Where RPC's dynamic ports lie: Windows Server 2003 for the oldest edition, the system's own range (RFC 6335) on a
domain controller, and on a server of Exchange 2010 or later the range that its installation sets."""

_TOKEN = re.compile(
    r"(?:(?P<word>dynamic|any)|(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?)/(?P<transport>tcp\+udp|tcp|udp)"
)
_BOTH = ("names", "source", "destination", "purpose", "notes", "breaks", "service", "default_state")
_LISTS = (
    "editions", "source_roles", "destination_roles", "protocols", "authentication_default", "authentication_supported",
)  # fmt: skip
_TEXTS = (
    "id", "section", "encryption", "direction", "rule_name", "rule_name_ru", "program", "provenance", "confidence",
)  # fmt: skip
_FLAGS = ("both_ways", "same_host", "on_by_default", "encrypted_by_default")


class CatalogueError(ValueError):
    """A table breaks a rule of the schema."""


@cache
def load(edition: str = POSTERN) -> Edition:
    """An edition's data paths, in the order of the tables. Raises UnknownNameError (a KeyError), CatalogueError."""
    wanted = edition_id(edition)
    if wanted == POSTERN:
        return Edition(POSTERN, _file("postern.toml"))
    return Edition(wanted, tuple(path for path in all_rows() if wanted in path.editions))


@cache
def all_rows() -> tuple[DataPath, ...]:
    """Every row of every edition. Raises CatalogueError."""
    rows = tuple(path for name in FILES for path in _file(name))
    _check_ids(rows, "catalogue")
    return rows


@cache
def _file(name: str) -> tuple[DataPath, ...]:
    text = files("postern.catalogue").joinpath("editions", name).read_text("utf-8")
    return parse_toml(text, name) if name.endswith(".toml") else parse_csv(text, name)


def parse_toml(text: str, name: str = POSTERN) -> tuple[DataPath, ...]:
    """Read and check a table of Postern's own edition. Raises CatalogueError."""
    try:
        rows = [_own_row(row) for row in tomllib.loads(text).get("path", [])]
    except ValueError as problem:  # msgspec's and tomllib's errors among them
        raise CatalogueError(f"{name}: {problem}") from problem
    return _checked(rows, name)


def parse_csv(text: str, name: str) -> tuple[DataPath, ...]:
    """Read and check a table of another edition. Raises CatalogueError with the line."""
    rows = []
    reader = csv.DictReader(text.splitlines(), strict=True, restkey="too many cells")
    try:
        for row in reader:
            rows.append(_csv_row(row, FILES.get(name, "data-paths")))
    except (csv.Error, ValueError) as problem:
        raise CatalogueError(f"{name}, line {reader.line_num}: {problem}") from problem
    return _checked(rows, name)


def parse_ports(text: str, dynamic: tuple[int, int] = DYNAMIC[""]) -> tuple[Port, ...]:
    """`25/tcp;53/tcp+udp;dynamic/tcp`; nothing for `none`, `local`, `configurable`. Raises ValueError."""
    if text in {"none", "local", "configurable"}:
        return ()
    found: list[Port] = []
    for token in text.split(";"):
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise ValueError(
                f"{token!r} is no port; for example 25/tcp, 53/tcp+udp, 5065-5068/tcp, dynamic/tcp, any/udp"
            )
        if match["word"] == "any":
            first, last = 1, 65535
        elif match["word"]:
            first, last = dynamic
        else:
            first = int(match["first"])
            last = int(match["last"] or first)
        found += [
            Port(first, last, transport, dynamic=match["word"] == "dynamic", any=match["word"] == "any")
            for transport in match["transport"].split("+")
        ]
    return tuple(found)


def _checked(rows: list[DataPath], name: str) -> tuple[DataPath, ...]:
    _check_ids(tuple(rows), name)
    for path in rows:
        for problem_text in problems(path):
            raise CatalogueError(f"{name}: {path.id}: {problem_text}")
    return tuple(rows)


def _check_ids(rows: tuple[DataPath, ...], name: str) -> None:
    seen: set[str] = set()
    for path in rows:
        if path.id in seen:
            raise CatalogueError(f"{name}: {path.id} is there twice")
        seen.add(path.id)


def _csv_row(row: dict[str, str], table: str) -> DataPath:
    values: dict[str, Any] = {"table": table, "port_text": row.pop("ports")}
    values |= {key: {"en": row.pop(key, ""), "ru": row.pop(f"{key}_ru", "")} for key in _BOTH}
    if not values["purpose"]["en"]:
        values["purpose"] = values["names"]
    values |= {key: tuple(part.strip() for part in row.pop(key, "").split(";") if part.strip()) for key in _LISTS}
    values |= {key: row.pop(key) for key in _TEXTS if key in row}
    for key in _FLAGS:
        word = row.pop(key, "")
        if word:
            values[key] = {"yes": True, "no": False}[word] if word in {"yes", "no"} else word
    values["level"] = row.pop("level")
    if row:
        raise ValueError(f"unknown column {', '.join(map(str, row))}")
    values["ports"] = msgspec.to_builtins(parse_ports(values["port_text"], _dynamic(values)))
    return msgspec.convert(values, DataPath, strict=True)


def _dynamic(values: dict[str, Any]) -> tuple[int, int]:
    """The dynamic range of whoever listens."""
    if "2003-2007" in values["editions"]:
        return DYNAMIC["2003-2007"]
    return DYNAMIC["domain-controller" if "domain-controller" in values["destination_roles"] else ""]


def _own_row(row: dict[str, Any]) -> DataPath:
    """A row of Postern's edition: what the listener says is not said twice."""
    values: dict[str, Any] = {"editions": [POSTERN], "table": POSTERN, **row}
    if "listener" in row:
        listener = msgspec.convert(row["listener"], Listener, strict=True)
        values |= {
            "port_text": f"{listener.port}/tcp",
            "protocols": [listener.protocol],
            "authentication_default": listener.authentication_default,
            "authentication_supported": listener.authentication_supported,
            "on_by_default": listener.on_by_default,
            "same_host": listener.loopback_only,
            "level": _level(listener).value,
            "encrypted_by_default": listener.encryption_default is not Encryption.NONE,
            "encryption": _WORDS[listener.encryption_default],
        }
    values["ports"] = msgspec.to_builtins(parse_ports(values.get("port_text", "")))
    return msgspec.convert(values, DataPath, strict=True)


_WORDS = {Encryption.NONE: "none", Encryption.STARTTLS: "STARTTLS", Encryption.IMPLICIT: "TLS"}


def _level(listener: Listener) -> Level:
    """STARTTLS counts as required where nothing but the upgrade is let in before it."""
    if listener.encryption_default is Encryption.NONE:
        return Level.NONE
    clear = "anonymous" in listener.authentication_default or listener.authentication_before_tls
    optional = listener.encryption_default is Encryption.STARTTLS and clear
    return Level.OPTIONAL if optional else Level.REQUIRED
