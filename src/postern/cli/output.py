"""What commands print: a table for people, one JSON document for programs."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from postern.cli.language import _


def print_json(value: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def show_list(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, json: bool) -> None:
    """A listing: `columns` maps the keys shown to people to their headings; JSON has all keys."""
    if json:
        print_json(rows)
        return
    if not rows:
        sys.stdout.write(_("Nothing there.") + "\n")
        return
    table = [[heading for heading in columns.values()]]
    table += [[cell(row.get(key)) for key in columns] for row in rows]
    widths = [max(_width(row[column]) for row in table) for column in range(len(columns))]
    for row in table:
        padded = [text + " " * (width - _width(text)) for text, width in zip(row, widths, strict=True)]
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def show_one(facts: Mapping[str, Any], labels: Mapping[str, str], *, json: bool) -> None:
    """One object: label and value a line."""
    if json:
        print_json(facts)
        return
    width = max(_width(label) for label in labels.values())
    for key, label in labels.items():
        sys.stdout.write(f"{label}{' ' * (width - _width(label))}  {cell(facts.get(key))}\n")


def done(text: str, facts: Mapping[str, Any], *, json: bool) -> None:
    """The end of a command that changed something."""
    if json:
        print_json(facts)
    else:
        sys.stdout.write(text + "\n")


def cell(value: Any) -> str:
    """A value in words."""
    if value is None or (isinstance(value, str | list | tuple) and not value):
        return "-"
    if value is True:
        return _("yes")
    if value is False:
        return _("no")
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value)


def _width(text: str) -> int:
    """Columns on a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def fail(text: str, code: int = 1) -> NoReturn:
    """Say why on standard error and end."""
    sys.stderr.write(f"postern: {text}\n")
    raise SystemExit(code)


def expect_change(*, given: bool) -> None:
    """End with what to do next where a command that changes something was not told what."""
    if not given:
        fail(_("nothing to change: name what; --help shows the options"))


_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,3})?) ?([kmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int | None:
    """`500M`, `2G`, `none`: octets, None for no limit. Raises ValueError."""
    if text.strip().lower() in {"none", "unlimited", "0"}:
        return None
    found = _SIZE.fullmatch(text.strip())
    octets = int(float(found[1]) * _UNITS[found[2].lower()]) if found else 0
    if octets <= 0:
        raise ValueError(text)
    return octets


def size(octets: int | None) -> str:
    """Octets for people."""
    if octets is None:
        return "-"
    value = float(octets)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
