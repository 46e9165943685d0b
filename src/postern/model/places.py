"""Where in a TOML file a key stands, for errors that name the line."""

from __future__ import annotations

import re
from collections.abc import Iterator


def line_of_error(text: str, problem: Exception) -> int:
    """The line (from 1) that tomllib complains of; at the end of the document it names none."""
    found = re.search(r"at line (\d+)", str(problem))
    return int(found[1]) if found else text.count("\n") + 1


def line_of(text: str, key: str) -> int | None:
    """The line (from 1) where a dotted key such as `smtp.max_recipients` or `dkim[1].key` is set, or its table."""
    wanted = [part for part in re.split(r"\.|(?=\[)", key) if part]
    best: tuple[int, int] | None = None
    for number, here in _keys(text):
        depth = 0
        while depth < min(len(wanted), len(here)) and wanted[depth] == here[depth]:
            depth += 1
        if depth and depth == len(here) and (best is None or depth > best[0]):
            best = (depth, number)
    return best[1] if best else None


def _keys(text: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and the full path set on each; enough of TOML for files that parsed."""
    table: list[str] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if found := re.match(r"\[\[\s*([^\]]+?)\s*\]\]", stripped):
            index = counts.get(found[1], -1) + 1
            counts[found[1]] = index
            table = [*_split(found[1]), f"[{index}]"]
            if not index:
                yield number, table[:-1]
            yield number, table
        elif found := re.match(r"\[\s*([^\]]+?)\s*\]", stripped):
            table = _split(found[1])
            yield number, table
        elif found := re.match(r"([A-Za-z0-9_\-.\"' ]+?)\s*=", stripped):
            yield number, [*table, *_split(found[1])]


def _split(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]
