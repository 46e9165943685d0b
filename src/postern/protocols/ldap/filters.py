"""Search filters: their text (RFC 4515) and their BER (RFC 4511 4.5.1.7)."""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

from postern.formats import ber
from postern.formats.ber import Reader
from postern.model.refusal import ProtocolViolation

DEPTH_LIMIT = 32
"""Nested and, or, not; a deeper filter is an attack on the stack."""
TERMS_LIMIT = 5000
"""Parts of one filter in all."""

AND, OR, NOT = 0xA0, 0xA1, 0xA2
EQUAL, SUBSTRINGS, GREATER_OR_EQUAL, LESS_OR_EQUAL, PRESENT, APPROXIMATE, EXTENSIBLE = (
    0xA3, 0xA4, 0xA5, 0xA6, 0x87, 0xA8, 0xA9,
)  # fmt: skip
_INITIAL, _ANY, _FINAL = 0x80, 0x81, 0x82


class And(NamedTuple):
    """All of them; none is TRUE (RFC 4526)."""

    terms: tuple[Filter, ...]


class Or(NamedTuple):
    """One of them; none is FALSE (RFC 4526)."""

    terms: tuple[Filter, ...]


class Not(NamedTuple):
    """The opposite."""

    term: Filter


class Compare(NamedTuple):
    """An attribute against a value: `=`, `>=`, `<=` or `~=`."""

    attribute: str
    operator: str
    value: bytes


class Substrings(NamedTuple):
    """`initial*any*any*final`; empty initial and final mean that there is none."""

    attribute: str
    initial: bytes
    any: tuple[bytes, ...]
    final: bytes


class Present(NamedTuple):
    """The attribute is there."""

    attribute: str


class Extensible(NamedTuple):
    """A matching rule, such as Active Directory's bit test and chain walk."""

    attribute: str
    rule: str
    value: bytes
    dn_attributes: bool


Filter: TypeAlias = And | Or | Not | Compare | Substrings | Present | Extensible

_TAG_OF = {"=": EQUAL, ">=": GREATER_OR_EQUAL, "<=": LESS_OR_EQUAL, "~=": APPROXIMATE}
_OPERATOR_OF = {tag: operator for operator, tag in _TAG_OF.items()}
_ATTRIBUTE = r"[A-Za-z0-9][A-Za-z0-9.\-]*(?:;[A-Za-z0-9\-]+)*"
_SIMPLE = re.compile(rf"({_ATTRIBUTE})(>=|<=|~=|=)([^()\0]*)", re.DOTALL)
_RULE = re.compile(rf"({_ATTRIBUTE})?(:dn)?(?::({_ATTRIBUTE}))?:=([^()\0]*)", re.DOTALL | re.IGNORECASE)
_ESCAPE = re.compile(rb"\\([0-9A-Fa-f]{2})|(\\)")


def escape(value: str | bytes) -> str:
    """A value for a filter's text: nothing in it has a meaning any more (RFC 4515 3).

    The one way to put what a stranger gave into a filter's text; `Compare` and its kind need no escaping.
    """
    octets = value.encode() if isinstance(value, str) else value
    return "".join(chr(o) if 0x20 <= o < 0x7F and o not in b"\\*()" else f"\\{o:02x}" for o in octets)


# --- text


def parse(text: str) -> Filter:
    """A filter from its text. Raises ValueError."""
    parser = _Parser(text)
    found = parser.filter(0)
    if parser.position != len(text):
        raise ValueError(f"filter: {text[parser.position :][:20]!r} is left over")
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def filter(self, depth: int) -> Filter:
        if depth > DEPTH_LIMIT:
            raise ValueError("filter: nested too deeply")
        self._take("(")
        mark = self.text[self.position : self.position + 1]
        found: Filter
        if mark in {"&", "|"}:
            self.position += 1
            terms = self._terms(depth)
            found = And(terms) if mark == "&" else Or(terms)
        elif mark == "!":
            self.position += 1
            found = Not(self.filter(depth + 1))
        else:
            found = self._item()
        self._take(")")
        return found

    def _terms(self, depth: int) -> tuple[Filter, ...]:
        terms: list[Filter] = []
        while self.text.startswith("(", self.position):
            terms.append(self.filter(depth + 1))
        return tuple(terms)

    def _take(self, mark: str) -> None:
        if not self.text.startswith(mark, self.position):
            raise ValueError(f"filter: {mark!r} is missing at {self.position}")
        self.position += 1

    def _item(self) -> Filter:
        if match := _SIMPLE.match(self.text, self.position):
            self.position = match.end()
            attribute, operator, value = match.groups()
            if operator == "=" and value == "*":
                return Present(attribute)
            if operator == "=" and "*" in value:
                initial, *middle, final = (_unescape(part) for part in value.split("*"))
                if not all(middle):
                    raise ValueError(f"filter: two asterisks side by side in {value!r}")
                return Substrings(attribute, initial, tuple(middle), final)
            return Compare(attribute, operator, _unescape(value))
        if match := _RULE.match(self.text, self.position):
            attribute, dn, rule, value = match.groups()
            if attribute or rule:
                self.position = match.end()
                return Extensible(attribute or "", rule or "", _unescape(value), dn is not None)
        raise ValueError(f"filter: nothing to compare at {self.position}")


def _unescape(text: str) -> bytes:
    def octet(match: re.Match[bytes]) -> bytes:
        if match[2]:
            raise ValueError("filter: a backslash without two hexadecimal digits")
        return bytes.fromhex(match[1].decode())

    return _ESCAPE.sub(octet, text.encode())


def render(given: Filter) -> str:
    """The text of a filter."""
    match given:
        case And(terms):
            return f"(&{''.join(map(render, terms))})"
        case Or(terms):
            return f"(|{''.join(map(render, terms))})"
        case Not(term):
            return f"(!{render(term)})"
        case Compare(attribute, operator, value):
            return f"({attribute}{operator}{escape(value)})"
        case Present(attribute):
            return f"({attribute}=*)"
        case Substrings(attribute, initial, middle, final):
            return f"({attribute}={'*'.join(map(escape, (initial, *middle, final)))})"
        case Extensible(attribute, rule, value, dn):
            return f"({attribute}{':dn' if dn else ''}{':' + rule if rule else ''}:={escape(value)})"


# --- BER


def encode(given: Filter) -> bytes:
    """The BER of a filter."""
    match given:
        case And(terms):
            return ber.sequence(*map(encode, terms), tag=AND)
        case Or(terms):
            return ber.sequence(*map(encode, terms), tag=OR)
        case Not(term):
            return ber.element(NOT, encode(term))
        case Compare(attribute, operator, value):
            return ber.sequence(ber.text(attribute), ber.octets(value), tag=_TAG_OF[operator])
        case Present(attribute):
            return ber.text(attribute, PRESENT)
        case Substrings(attribute, initial, middle, final):
            parts = [ber.octets(initial, _INITIAL)] if initial else []
            parts += [ber.octets(part, _ANY) for part in middle]
            parts += [ber.octets(final, _FINAL)] if final else []
            return ber.sequence(ber.text(attribute), ber.sequence(*parts), tag=SUBSTRINGS)
        case Extensible(attribute, rule, value, dn):
            parts = [ber.text(rule, 0x81)] if rule else []
            parts += [ber.text(attribute, 0x82)] if attribute else []
            parts += [ber.octets(value, 0x83)]
            parts += [ber.boolean(True, 0x84)] if dn else []
            return ber.sequence(*parts, tag=EXTENSIBLE)


def decode(reader: Reader) -> Filter:
    """The next element as a filter. Raises ProtocolViolation, also for one too deep or too long."""
    return _decode(reader, 0, [TERMS_LIMIT])


def _decode(reader: Reader, depth: int, left: list[int]) -> Filter:
    left[0] -= 1
    if depth > DEPTH_LIMIT or left[0] < 0:
        raise ProtocolViolation("a filter is too large")
    tag = reader.peek()
    if tag in {AND, OR}:
        inner, terms = reader.enter(tag), []
        while inner:
            terms.append(_decode(inner, depth + 1, left))
        return And(tuple(terms)) if tag == AND else Or(tuple(terms))
    if tag == NOT:
        inner = reader.enter(NOT)
        term = _decode(inner, depth + 1, left)
        inner.finish()
        return Not(term)
    if tag == PRESENT:
        return Present(reader.text(PRESENT))
    if tag == SUBSTRINGS:
        return _substrings(reader.enter(SUBSTRINGS))
    if tag == EXTENSIBLE:
        return _extensible(reader.enter(EXTENSIBLE))
    if tag not in _OPERATOR_OF:
        raise ProtocolViolation("a filter of an unknown kind")
    inner = reader.enter(tag)
    found = Compare(inner.text(), _OPERATOR_OF[tag], inner.octets())
    inner.finish()
    return found


def _substrings(inner: Reader) -> Filter:
    attribute, parts = inner.text(), inner.enter()
    initial = parts.octets(_INITIAL) if parts.peek() == _INITIAL else b""
    middle = []
    while parts.peek() == _ANY:
        middle.append(parts.octets(_ANY))
    final = parts.octets(_FINAL) if parts.peek() == _FINAL else b""
    parts.finish()
    inner.finish()
    if not (initial or final or middle) or not all(middle):
        raise ProtocolViolation("an empty substring")
    return Substrings(attribute, initial, tuple(middle), final)


def _extensible(inner: Reader) -> Filter:
    rule = inner.text(0x81) if inner.peek() == 0x81 else ""
    attribute = inner.text(0x82) if inner.peek() == 0x82 else ""
    value = inner.octets(0x83)
    dn = inner.boolean(0x84) if inner.peek() == 0x84 else False
    inner.finish()
    if not (rule or attribute):
        raise ProtocolViolation("an extensible filter without rule and attribute")
    return Extensible(attribute, rule, value, dn)
