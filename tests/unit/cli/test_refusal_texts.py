"""Refusals of lower layers in Russian: recognised as they are made there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import postern
from postern.cli import language, refusal_texts
from postern.cli.refusal_texts import TEMPLATES, translated

SOURCE = Path(postern.__file__).parent


@pytest.fixture(autouse=True)
def russian():
    language.use("ru")
    yield
    language.use("en")


def details() -> set[str]:
    """What stands in `Refusal(reason, ...)`, with {} for values."""
    found = set()
    for layer in ("directory", "model", "services", "store", "transport"):
        for path in (SOURCE / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal":
                    for said in node.args[1:2]:
                        if isinstance(said, ast.JoinedStr):
                            parts = (one.value if isinstance(one, ast.Constant) else "{}" for one in said.values)
                            found.add("".join(map(str, parts)))
                        elif isinstance(said, ast.Constant):
                            found.add(str(said.value))
    for file in ("roles/instance.py", "net/listener.py"):
        for node in ast.walk(ast.parse((SOURCE / file).read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.add("".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values))
    return found


def test_every_template_is_what_some_layer_says():
    """A text that is changed there and not here would be English again, and nobody would notice."""
    assert {re.sub(r"\{\w+\}", "{}", template) for template in TEMPLATES} - details() == set()


@pytest.mark.parametrize(
    ("english", "russian_text"),
    [
        ("no such domain: example.net", "нет такого домена: example.net"),
        ("no such policy: x; known: a, b", "нет такой политики: x; известны: a, b"),
        ("no such account, contact or group: a@b", "нет такой учётной записи, контакта или группы: a@b"),
        ("a picture is JPEG or PNG", "изображение должно быть в формате JPEG или PNG"),
        ("anna@example.org is taken", "anna@example.org уже занят"),
        (
            "not allowed to write to the data directory /d: give it to the user that Postern runs as (`chown -R 5 /d`)",
            "нет права писать в каталог данных /d: отдайте его пользователю, от имени которого работает Postern"
            " (`chown -R 5 /d`)",
        ),
        ("what nobody has translated", "what nobody has translated"),
    ],
)
def test_details_in_russian(english, russian_text):
    assert translated(english) == russian_text
    language.use("en")
    assert translated(english) == english


def test_a_command_says_it(tmp_path, capsys):
    from postern.cli.organisation import run
    from postern.model.refusal import Reason, Refusal

    async def work() -> None:
        raise Refusal(Reason.NO_SUCH_RECIPIENT, "no such alias: x@example.org")

    with pytest.raises(SystemExit):
        run(work)
    said = "нет такого псевдонима: x@example.org; `postern alias list` покажет, что есть"
    assert capsys.readouterr().err == f"postern: {said}\n"
    assert refusal_texts.said(Refusal(Reason.TRY_LATER)) == "try_later"
