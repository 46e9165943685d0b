"""The newcomer's pages: what they show is what the commands they name print today."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from postern.cli import language
from postern.cli.main import main

ROOT = Path(__file__).resolve().parents[3]
PAGES = ("en", "ru")
FILES = ("README.md", "docs/pictures.md", "docs/datapaths/outlook.en.md", "docs/datapaths/outlook.ru.md")
PICTURES = {
    "docs/datapaths/outlook.en.svg": "--lang en ports --topology examples/outlook.toml --source outlook",
    "docs/datapaths/outlook.ru.svg": "--lang ru ports --topology examples/outlook.toml --source outlook",
    "docs/migration.en.svg": "--lang en ports --topology examples/migration.toml",
}


@pytest.fixture(autouse=True)
def own_language(monkeypatch):
    """What a command line chooses ends with the test."""
    monkeypatch.setattr(language, "_chosen", "")


def postern(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    try:
        main(arguments)
    except SystemExit as end:
        assert not end.code, capsys.readouterr().err
    return capsys.readouterr().out


@pytest.mark.parametrize(("file", "command"), PICTURES.items())
def test_a_picture_of_the_documentation_is_current(file, command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    made = tmp_path / "picture.svg"
    postern([*command.split(), "--draw", str(made)], capsys)
    again = f"make it again: postern {command} --draw {file}"
    assert made.read_text("utf-8") == (ROOT / file).read_text("utf-8"), again


@pytest.mark.parametrize("chosen", PAGES)
def test_the_table_of_a_page_is_current(chosen, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    text = (ROOT / f"docs/datapaths/outlook.{chosen}.md").read_text("utf-8")
    found = re.search(r"<!-- begin: postern (.*?) -->\n(.*?)<!-- end -->", text, re.S)
    assert found
    assert found[2] == postern(found[1].split(), capsys), f"put in what this prints: postern {found[1]}"


@pytest.mark.parametrize("file", FILES)
def test_the_commands_of_a_page_work_as_they_stand(file, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(ROOT)
    lines = re.findall(r"^(?:\.venv/bin/)?postern (?:--lang \w+ )?ports .*$", (ROOT / file).read_text("utf-8"), re.M)
    assert lines
    for line in lines:
        words = shlex.split(line.partition(" #")[0].partition(" > ")[0])[1:]
        if "--draw" in words:
            words[words.index("--draw") + 1] = str(tmp_path / "x.svg")
        assert postern(words, capsys)


@pytest.mark.parametrize("chosen", PAGES)
def test_every_port_of_the_answer_is_explained_in_the_page(chosen, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    page = (ROOT / f"docs/datapaths/outlook.{chosen}.md").read_text("utf-8")
    by_hand = re.sub(r"<!-- begin.*?end -->", "", page, flags=re.S)
    answer = postern(["ports", "--topology", "examples/outlook.toml", "--source", "outlook", "--json"], capsys)
    ports = {int(number) for number in re.findall(r'"first":(\d+)', answer)}
    assert {443, 993, 587} <= ports
    for port in ports:
        assert re.search(rf"\b{port}/tcp", by_hand), port


@pytest.mark.parametrize("file", FILES)
def test_links_lead_somewhere(file):
    for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / file).read_text("utf-8")):
        assert (ROOT / file).parent.joinpath(link).exists(), link
