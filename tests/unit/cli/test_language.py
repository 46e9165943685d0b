from __future__ import annotations

import ast
import string
import tomllib
from pathlib import Path

import pytest

from postern.cli import language
from postern.cli.main import take_language

CLI = Path(language.__file__).parent


def texts() -> tuple[set[str], set[str]]:
    """Texts that are translated where they stand, and all other literals: `_(name)` takes one of them."""
    translated, literals = set(), set()
    for path in CLI.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                literals.add(node.value)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                assert not isinstance(node.args[0], ast.JoinedStr), f"{path.name}:{node.lineno}: values belong behind"
                if isinstance(node.args[0], ast.Constant):
                    translated.add(node.args[0].value.partition("\n\nExample")[0])
    return translated, literals


def catalogue() -> dict[str, str]:
    rows = tomllib.loads((CLI / "texts.ru.toml").read_text("utf-8"))["text"]
    assert len(rows) == len({row["en"] for row in rows}), "a text is there twice"
    return {row["en"]: row["ru"] for row in rows}


def test_every_text_is_in_russian_and_no_translation_is_left_over():
    translated, literals = texts()
    assert translated - set(catalogue()) == set()
    assert set(catalogue()) - translated - literals == set()


def test_translations_keep_the_placeholders():
    for english, russian in catalogue().items():
        fields = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (english, russian)]
        assert fields[0] == fields[1], english


@pytest.mark.parametrize(
    ("environment", "chosen"),
    [
        ({"LANG": "ru_RU.UTF-8"}, "ru"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({}, "en"),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "C", "LC_MESSAGES": "ru"}, "ru"),
    ],
)
def test_the_language_of_the_environment(environment, chosen):
    assert language.from_environment(environment) == chosen


def test_lang_may_stand_anywhere():
    assert take_language(["mailbox", "--lang", "ru", "list"]) == (["mailbox", "list"], "ru")
    assert take_language(["--lang=ru", "demo"]) == (["demo"], "ru")
    assert take_language(["alias", "--", "--lang", "ru"]) == (["alias", "--", "--lang", "ru"], "")


def test_values_are_put_in(monkeypatch):
    monkeypatch.setattr(language, "_chosen", "ru")
    assert language._("Mailbox {address} is ready.", address="a@b") == "Почтовый ящик a@b готов."
    assert language._("Make a mailbox.\n\nExample: postern x") == "Создать почтовый ящик.\n\nПример: postern x"
    assert language._("unknown text") == "unknown text"
