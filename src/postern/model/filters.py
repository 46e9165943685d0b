"""Search filters over directory entries (RFC 4511 4.5.1.7) and their written form (RFC 4515).

Dynamic groups, address lists and the scopes of administrators are filters; the LDAP listener turns what it decodes
into the same tree. Attribute names are LDAP's, in lower case: `department`, `l`, `physicaldeliveryofficename`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from postern.model.refusal import Reason, Refusal

MAX_DEPTH = 32
MAX_NODES = 1000
"""A filter that is deeper or larger is refused: it would cost more than it can find."""


class Present(NamedTuple):
    """The attribute has a value."""

    attribute: str


class Equal(NamedTuple):
    """The attribute has that value; case is ignored (caseIgnoreMatch)."""

    attribute: str
    value: str


class Substrings(NamedTuple):
    """The value begins, contains in that order, and ends so; an empty part stands for anything."""

    attribute: str
    initial: str
    any: tuple[str, ...]
    final: str


class AtLeast(NamedTuple):
    """Greater or equal, by text."""

    attribute: str
    value: str


class AtMost(NamedTuple):
    """Less or equal, by text."""

    attribute: str
    value: str


class And(NamedTuple):
    """All of them; without parts: true (RFC 4526)."""

    parts: tuple[Filter, ...]


class Or(NamedTuple):
    """One of them; without parts: false (RFC 4526)."""

    parts: tuple[Filter, ...]


class Not(NamedTuple):
    """The opposite; undefined stays undefined."""

    part: Filter


Filter = Present | Equal | Substrings | AtLeast | AtMost | And | Or | Not

_ITEM = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,63})(>=|<=|~=|=)([^()]*)", re.ASCII)
_ESCAPE = re.compile(rb"\\([0-9A-Fa-f]{2})")


def parse(text: str) -> Filter:
    """Read `(&(department=Sales)(l=Ber*))`; the outer parentheses may be missing. Raises Refusal(BAD_VALUE)."""
    source = text.strip()
    if not source.startswith("("):
        source = f"({source})"
    parser = _Parser(source)
    found = parser.filter(0)
    if parser.at != len(source):
        raise parser.wrong()
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.nodes = 0

    def wrong(self, why: str = "") -> Refusal:
        why = why or "example: (&(department=Sales)(l=Berlin))"
        return Refusal(Reason.BAD_VALUE, f"not a filter at character {self.at + 1} of {self.text!r}; {why}")

    def filter(self, depth: int) -> Filter:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise self.wrong("it is too large")
        self._take("(")
        sign = self.text[self.at : self.at + 1]
        found: Filter
        if sign in {"&", "|"}:
            self.at += 1
            parts = []
            while self.text[self.at : self.at + 1] == "(":
                parts.append(self.filter(depth + 1))
            found = And(tuple(parts)) if sign == "&" else Or(tuple(parts))
        elif sign == "!":
            self.at += 1
            found = Not(self.filter(depth + 1))
        else:
            found = self._item()
        self._take(")")
        return found

    def _take(self, char: str) -> None:
        if self.text[self.at : self.at + 1] != char:
            raise self.wrong()
        self.at += 1

    def _item(self) -> Filter:
        match = _ITEM.match(self.text, self.at)
        if match is None:
            raise self.wrong()
        attribute, sign, raw = match[1].lower(), match[2], match[3]
        if sign == ">=":
            found: Filter = AtLeast(attribute, self._value(raw))
        elif sign == "<=":
            found = AtMost(attribute, self._value(raw))
        elif sign == "=" and raw == "*":
            found = Present(attribute)
        elif sign == "=" and "*" in raw:
            initial, *middle, final = raw.split("*")
            found = Substrings(
                attribute, self._value(initial), tuple(self._value(part) for part in middle if part), self._value(final)
            )
        else:
            found = Equal(attribute, self._value(raw))
        self.at = match.end()
        return found

    def _value(self, raw: str) -> str:
        octets = raw.encode()
        if octets.count(b"\\") != len(_ESCAPE.findall(octets)):
            raise self.wrong(r"a backslash is written \5c")
        try:
            return _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), octets).decode()
        except UnicodeDecodeError:
            raise self.wrong("a value is UTF-8 text") from None


def escape(value: str) -> str:
    """A value as it may stand in a written filter (RFC 4515 3): nothing in it can end the filter or match anything."""
    return "".join(f"\\{ord(char):02x}" if char in "\\*()\0" else char for char in value)


def render(found: Filter) -> str:
    """The written form; `parse` gives the same tree again."""
    match found:
        case Present(attribute):
            return f"({attribute}=*)"
        case Equal(attribute, value):
            return f"({attribute}={escape(value)})"
        case Substrings(attribute, initial, middle, final):
            return f"({attribute}={'*'.join(escape(part) for part in (initial, *middle, final))})"
        case AtLeast(attribute, value):
            return f"({attribute}>={escape(value)})"
        case AtMost(attribute, value):
            return f"({attribute}<={escape(value)})"
        case Not(part):
            return f"(!{render(part)})"
        case And(parts):
            return f"(&{''.join(map(render, parts))})"
        case Or(parts):
            return f"(|{''.join(map(render, parts))})"
