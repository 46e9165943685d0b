"""Character references of HTML (`&uuml;`, `&#1055;`) as the characters they stand for.

Numbers are bounded here: the library's `unescape` reads numbers of any length, and raises for some of over 4300 digits.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape
from html.entities import html5

_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
"""Only what ends with a semicolon: in addresses of links (`?a=1&copy=2`) the others mostly are none."""
_ZEROS = re.compile(r"&#([xX]?)0{6,}")
_TOO_HIGH = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{7,});?")
"""No character has such a number."""


@lru_cache(maxsize=4096)
def _character(reference: str) -> str:
    # the library would find `&not` in a name that it does not know
    return unescape(reference) if reference[1] == "#" else html5.get(reference[1:], reference)


def unescaped(markup: str) -> str:
    """Text of HTML without tags as a browser shows it, which also knows old references without a semicolon."""
    if "&" not in markup:
        return markup
    return unescape(_TOO_HIGH.sub("\ufffd", _ZEROS.sub(r"&#\1", markup)))


def resolved(text: str) -> str:
    """HTML in which references that end with a semicolon are characters; those that stand for nothing stay."""
    return _REFERENCE.sub(lambda found: _character(found[0]), text) if "&" in text else text
