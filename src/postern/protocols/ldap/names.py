"""Distinguished names (RFC 4514), as far as they are compared and put together here."""

from __future__ import annotations

import re

# what is escaped and blanks within a value stay; each octet is looked at once
_SEPARATOR = re.compile(r"(\\.|\s++(?![,;+]))|\s*+([,;+])\s*+", re.DOTALL)
_SPECIAL = frozenset(',+"\\<>;=')


def tidy(dn: str) -> str:
    """A name without the spaces that mean nothing, its case kept."""
    return _SEPARATOR.sub(r"\1\2", dn.strip())


def key(dn: str) -> str:
    """What names of the same entry have in common: case is ignored, as directories do with nearly all attributes."""
    return tidy(dn).casefold()


def within(dn: str, base: str) -> bool:
    """Whether an entry is at or below another."""
    own, top = key(dn), key(base)
    return not top or own == top or own.endswith("," + top)


def escape(value: str) -> str:
    """A value for a name's text (RFC 4514 2.4): nothing in it has a meaning any more."""
    text = "".join(f"\\{c}" if c in _SPECIAL else "\\00" if c == "\0" else c for c in value)
    if text[:1] in {" ", "#"}:
        text = "\\" + text
    if len(text) > 1 and text.endswith(" ") and not text.endswith("\\ "):
        text = text[:-1] + "\\ "
    return text


def domain_of(dn: str) -> str:
    """The DNS name that the `DC=` parts of a name make; empty if it has none."""
    parts = [part[3:] for part in tidy(dn).split(",") if part[:3].lower() == "dc="]
    return ".".join(parts).lower()


def base_of(domain: str) -> str:
    """`DC=corp,DC=example,DC=org` of a DNS name (RFC 2247)."""
    return ",".join(f"DC={escape(label)}" for label in domain.split(".") if label)
