"""The newcomer's pages: what they show is what the commands they name print today."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from postern.cli import language
from postern.cli.main import main
from postern.cli.picture_pages import PICTURES, pages

ROOT = Path(__file__).resolve().parents[3]
LANGUAGES = ("en", "ru")
FILES = ("README.md", "docs/pictures.md", "docs/datapaths/outlook.en.md", "docs/datapaths/outlook.ru.md")


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


def test_pictures_and_answers_of_the_documentation_are_current(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = dict(pages())
    assert len(made) == 5
    old = [name for name, text in made.items() if (ROOT / name).read_text("utf-8") != text]
    assert not old, "write them again: python -m postern.cli.picture_pages (or make docs)"


@pytest.mark.parametrize("command", PICTURES.values())
def test_a_picture_is_what_its_command_draws(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    made = tmp_path / "picture.svg"
    postern([*command.split(), "--draw", str(made)], capsys)
    name = next(name for name, one in PICTURES.items() if one == command)
    assert made.read_text("utf-8") == (ROOT / name).read_text("utf-8")


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


@pytest.mark.parametrize("chosen", LANGUAGES)
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
