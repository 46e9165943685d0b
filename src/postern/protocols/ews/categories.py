"""Categories live as IMAP keywords, so that every protocol shows them; a keyword is an atom (RFC 9051 9).

What an atom cannot have is written as `=` and two hexadecimal digits for each octet of UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_SAFE = re.compile(rb"[^A-Za-z0-9!#$&'+,\-./:;<>?@^_`|~]")
_CODED = re.compile(rb"=([0-9A-F]{2})")
_OTHERS = frozenset({"junk", "nonjunk", "notjunk"})
MAX_NAME = 100


def keyword(category: str) -> str:
    """The keyword of a category."""
    raw = category.strip()[:MAX_NAME].encode("utf-8", "replace")
    coded = _SAFE.sub(lambda found: b"=%02X" % found[0][0], raw).decode("ascii")
    return "=24" + coded[1:] if coded.startswith("$") else coded


def category(keyword: str) -> str | None:
    """The category of a keyword; None for those that programs use among themselves."""
    if keyword.startswith("$") or keyword.lower() in _OTHERS:
        return None
    raw = _CODED.sub(lambda found: bytes.fromhex(found[1].decode()), keyword.encode("utf-8"))
    return raw.decode("utf-8", "replace")


def categories(keywords: Iterable[str]) -> tuple[str, ...]:
    """Of all keywords of an item."""
    return tuple(found for one in keywords if (found := category(one)) is not None)
