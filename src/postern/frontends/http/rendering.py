"""Pages from templates: escaped, in the reader's language, under a policy that lets nothing foreign in."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

import jinja2

from postern.frontends.http.asgi import Answer, Fields, Scope, field
from postern.protocols.http.fields import preferred

LANGUAGES = ("en", "ru")
POLICY = (
    b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""No script runs at all."""
_PLACE = "postern.frontends.http.pages"


def _source(name: str) -> str:
    return files(_PLACE).joinpath(name).read_text("utf-8")


@cache
def _templates() -> jinja2.Environment:
    names = tuple(
        f"{name}.html"
        for name in ("layout", "codes", "codes_begun", "codes_confirmed", "one_time_code", "sign_in", "who_am_i")
    )
    loader = jinja2.DictLoader({name: _source(name) for name in names})
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    for name in names:
        environment.get_template(name)
    return environment


@cache
def _russian() -> dict[str, str]:
    return {str(key): str(value) for key, value in tomllib.loads(_source("texts.ru.toml")).items()}


def prepare() -> None:
    """Compile everything: before the fork, so that workers share it."""
    _templates()
    _russian()


def language_of(scope: Scope) -> str:
    """The reader's, as the browser says."""
    return preferred(field(scope, b"accept-language"), LANGUAGES)


def text(language: str, english: str) -> str:
    """A text of the pages in a language."""
    return _russian().get(english, english) if language == "ru" else english


def page(name: str, scope: Scope, hostname: str, *, status: int = 200, fields: Fields = (), **values: object) -> Answer:
    """A page of `name`.html."""
    language = language_of(scope)
    html = (
        _templates()
        .get_template(f"{name}.html")
        .render(language=language, hostname=hostname, _=lambda english: text(language, english), **values)
    )
    own = [
        (b"content-language", language.encode()),
        (b"vary", b"Accept-Language, Accept"),
        (b"content-security-policy", POLICY),
    ]
    return Answer(status, html.encode(), b"text/html; charset=utf-8", [*own, *fields])


def stylesheet() -> Answer:
    """What the pages look like."""
    return Answer(
        200, _source("style.css").encode(), b"text/css; charset=utf-8", ((b"cache-control", b"public, max-age=3600"),)
    )
