"""Writes what the documentation shows of topologies: pictures, and the answers inside the pages about Outlook.

Run from the project's folder: `python -m postern.cli.picture_pages`, a part of `make docs`.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from postern.cli import language
from postern.cli.main import main

OUTLOOK = "ports --topology examples/outlook.toml --source outlook"
PICTURES = {
    "docs/datapaths/outlook.en.svg": f"--lang en {OUTLOOK}",
    "docs/datapaths/outlook.ru.svg": f"--lang ru {OUTLOOK}",
    "docs/migration.en.svg": "--lang en ports --topology examples/migration.toml",
}
"""File and the command whose picture it is."""
PAGES = ("docs/datapaths/outlook.en.md", "docs/datapaths/outlook.ru.md")
_ANSWER = re.compile(r"(<!-- begin: postern (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def pages() -> Iterator[tuple[str, str]]:
    """Every file and what it must hold; paths from the folder in which the program runs."""
    for name, command in PICTURES.items():
        yield name, _drawn(command)
    for name in PAGES:
        text = Path(name).read_text("utf-8")
        yield name, _ANSWER.sub(lambda found: found[1] + printed(found[2]) + found[3], text)


def printed(command: str) -> str:
    """What a command line prints. Raises SystemExit if it fails."""
    before = language.language()
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            main(command.split())
    except SystemExit as end:
        if end.code:
            raise
    finally:
        language.use(before)
    return out.getvalue()


def _drawn(command: str) -> str:
    """The picture alone: the page that has it carries nothing else of SVG."""
    found = re.search(r"<svg .*?</svg>", printed(f"{command} --html"), re.DOTALL)
    if found is None:
        raise SystemExit(f"no picture: postern {command}")
    return found[0] + "\n"


if __name__ == "__main__":
    for name, text in pages():
        Path(name).write_text(text, "utf-8")
        sys.stdout.write(f"{name}\n")
