"""Character references of HTML (`&uuml;`, `&#1055;`) as the characters they stand for: what a reader sees is searched.

Only what ends with a semicolon is one: in addresses of links (`?a=1&copy=2`) the others mostly are none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape
from html.entities import html5

_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
"""Bounded: the library would read numbers of any length, and refuses some of over 4300 digits."""


@lru_cache(maxsize=4096)
def _character(reference: str) -> str:
    # the library would find `&not` in a name that it does not know
    return unescape(reference) if reference[1] == "#" else html5.get(reference[1:], reference)


def in_kind(content_type: bytes) -> bool:
    """Whether a text of that content type (without parameters) has character references."""
    return content_type.lower() == b"text/html"


def resolved(text: str) -> str:
    """A text without references; those that stand for nothing stay as they are."""
    return _REFERENCE.sub(lambda found: _character(found[0]), text) if "&" in text else text
