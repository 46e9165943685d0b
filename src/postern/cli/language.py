"""English and Russian texts of the command line.

The English text is the key. The language comes from `--lang`, else LC_ALL, LC_MESSAGES or LANG.
"""

from __future__ import annotations

import os
import tomllib
from functools import cache
from importlib.resources import files

LANGUAGES = ("en", "ru")
_chosen = ""


def use(language: str) -> None:
    """Speak a language from now on; an unknown one is English."""
    global _chosen
    _chosen = language if language in LANGUAGES else "en"


def language() -> str:
    """The language in use."""
    return _chosen or from_environment(dict(os.environ))


def from_environment(environment: dict[str, str]) -> str:
    """The first locale variable that is set decides (POSIX 8.2)."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = environment.get(variable, "")
        if value:
            return "ru" if value.lower().startswith("ru") else "en"
    return "en"


@cache
def _russian() -> dict[str, str]:
    text = files("postern.cli").joinpath("texts.ru.toml").read_text("utf-8")
    return {str(row["en"]): str(row["ru"]) for row in tomllib.loads(text)["text"]}


def _(text: str, /, **values: object) -> str:
    """The text in the language in use; with values, `{name}` is replaced by them. Examples stay as they are."""
    if language() == "ru":
        head, mark, example = text.partition("\n\nExample")
        text = _russian().get(head, head) + (_EXAMPLE + example.lstrip("s") if mark else "")
    return text.format(**values) if values else text


_EXAMPLE = "\n\nПример"
