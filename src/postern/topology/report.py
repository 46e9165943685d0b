"""Reports as one HTML file: a picture and a table that can be filtered and sorted, readable from a disk or a mail.

The page loads nothing. Its policy (Content-Security-Policy, W3C CSP3 6.1) allows exactly its own style sheets and its
own script, by their hashes, so that it may be put on a strict web server and no text in it can ever run. Without a
script the whole table is still there.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

GOOD, FAIR, BAD = "good", "fair", "bad"
"""Tones of a cell."""
FEW = 16
"""A column with at most so many different values gets a list to choose from."""

_RUSSIAN = {
    "Search": "Поиск",
    "words or a port, for example: imap 993": "слова или порт, например: imap 993",
    "all": "все",
    "Clear": "Сбросить",
    "{shown} of {all} rows": "Строк: {shown} из {all}",
    "Full size": "Полный размер",
    "yes": "да",
    "no": "нет",
}


def html_page(
    title: str,
    picture: str,
    columns: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    language: str,
    *,
    intro: str = "",
    tones: Mapping[str, str] | None = None,
) -> str:
    """A page with an SVG picture (may be empty) above a table.

    `columns` maps the rows' keys to headings; a cell may be text, number, truth value, None or a list of these. `tones`
    maps a cell's text to GOOD, FAIR or BAD. Everything but `picture` is escaped; `picture` must be `drawing.draw`'s.
    """
    script, sheet = _resource("report.js"), _resource("report.css")
    sheets = [sheet, *re.findall(r"<style>(.*?)</style>", picture, re.S)]
    policy = (
        f"default-src 'none'; style-src {' '.join(_hash(one) for one in sheets)}; script-src {_hash(script)};"
        " base-uri 'none'; form-action 'none'"
    )
    cells = [[_words(row.get(key), language) for key in columns] for row in rows]
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="{escape(language)}">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>{sheet}</style>",
        "</head>",
        "<body>",
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{escape(paragraph)}</p>" for paragraph in intro.split("\n") if paragraph.strip()),
        *_figure(picture, language),
        *_filter(list(columns.values()), cells, language),
        *_table(title, list(columns.values()), cells, tones or {}),
        f"<script>{script}</script>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _figure(picture: str, language: str) -> list[str]:
    if not picture:
        return []
    button = f'<button id="size" type="button" aria-pressed="false" hidden>{_say("Full size", language)}</button>'
    return [f'<figure id="picture">{picture.strip()}</figure>', button]


def _filter(headings: list[str], cells: list[list[str]], language: str) -> list[str]:
    """The search field, a list for each column with few values, and the count."""
    hint = escape(_say("words or a port, for example: imap 993", language))
    parts = [
        '<form id="filter" hidden>',
        f"<label>{_say('Search', language)}",
        f'<input id="search" type="search" autocomplete="off" placeholder="{hint}"></label>',
    ]
    for column, heading in enumerate(headings):
        values = sorted({row[column] for row in cells} - {""})
        if 1 < len(values) <= FEW and len(values) < len(cells):
            options = "".join(f'<option value="{escape(value)}">{escape(value)}</option>' for value in values)
            everything = f'<option value="">{_say("all", language)}</option>'
            parts.append(
                f'<label>{escape(heading)}<select data-column="{column}">{everything}{options}</select></label>'
            )
    counted = escape(_say("{shown} of {all} rows", language))
    parts += [
        f'<button type="reset">{_say("Clear", language)}</button>',
        f'<output id="count" aria-live="polite" data-text="{counted}"></output>',
        "</form>",
    ]
    return parts


def _table(title: str, headings: list[str], cells: list[list[str]], tones: Mapping[str, str]) -> list[str]:
    heads = "".join(f'<th scope="col"><button type="button">{escape(text)}</button></th>' for text in headings)
    parts = [
        f'<div class="wide"><table id="rows" aria-label="{escape(title)}">',
        f"<thead><tr>{heads}</tr></thead>",
        "<tbody>",
    ]
    for row in cells:
        parts.append("<tr>" + "".join(_cell(text, tones.get(text, "")) for text in row) + "</tr>")
    return [*parts, "</tbody>", "</table></div>"]


def _cell(text: str, tone: str) -> str:
    return f'<td class="{tone}">{escape(text)}</td>' if tone in (GOOD, FAIR, BAD) else f"<td>{escape(text)}</td>"


def _words(value: Any, language: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return _say("yes" if value else "no", language)
    if isinstance(value, list | tuple):
        return ", ".join(_words(item, language) for item in value)
    return " ".join(str(value).split())


def _say(text: str, language: str) -> str:
    return _RUSSIAN.get(text, text) if language.startswith("ru") else text


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _resource(name: str) -> str:
    return files("postern.topology").joinpath(name).read_text("utf-8")
