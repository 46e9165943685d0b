"""docs/datapaths is what the catalogue says now."""

from __future__ import annotations

import re
from pathlib import Path

from postern.catalogue.load import all_rows
from postern.cli import language
from postern.cli.port_pages import pages, write

DOCS = Path(__file__).resolve().parents[3] / "docs" / "datapaths"
BY_HAND = re.compile(r"outlook\..*")


def test_the_pages_are_current():
    there = {path.name: path.read_text("utf-8") for path in DOCS.iterdir() if not BY_HAND.fullmatch(path.name)}
    made = pages()
    assert there.keys() == made.keys(), "run: make docs"
    assert [name for name in made if made[name] != there[name]] == [], "run: make docs"


def test_every_row_is_on_a_page_in_both_languages():
    made = pages()
    for code in language.LANGUAGES:
        text = "".join(page for name, page in made.items() if f".{code}." in name)
        for path in all_rows():
            if path.table == "windows-firewall":
                assert path.rule_name in text, path.id
            elif path.table != "matrix":
                assert f"`{path.id}`" in text, path.id
    assert "Синхронизация EdgeSync" in made["exchange-2016-2019.ru.md"]


def test_links_lead_somewhere():
    made = pages()
    for text in (made["README.md"], made["README.ru.md"]):
        links = re.findall(r"\]\(([^)]+)\)", text)
        assert len(links) >= 7 and all(link in made or (DOCS / link).is_file() for link in links)


def test_tables_have_as_many_cells_as_headings():
    for name, text in pages().items():
        for block in re.findall(r"(?:^\|.*\n?)+", text, re.M):
            counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(counts) == 1, (name, block[:200])


def test_the_language_is_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(language, "_chosen", "ru")
    write(tmp_path / "new")
    assert language.language() == "ru"
    assert (tmp_path / "new" / "README.md").read_text("utf-8").startswith("# Data paths")
