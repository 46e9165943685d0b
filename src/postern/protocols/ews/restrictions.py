"""Conditions on properties (MS-OXWSSRCH 2.2.3.26 RestrictionType), read without recursion over the wire's depth."""

from __future__ import annotations

from enum import Enum
from typing import Union

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews import paths
from postern.protocols.ews.paths import PATH_ELEMENTS, Path
from postern.protocols.ews.reading import attribute, children, choice, integer, local, need, only
from postern.protocols.ews.violation import EwsViolation, SchemaViolation
from postern.protocols.soap.writing import attribute as quoted

MAX_DEPTH = 30
MAX_NODES = 500
MAX_CHARACTERS = 65_536
"""Of all constants together: each is compared with each item that is looked at."""

MODES = ("FullString", "Prefixed", "Substring", "PrefixOnWords", "ExactPhrase")
COMPARISONS = (
    "Exact",
    "IgnoreCase",
    "IgnoreNonSpacingCharacters",
    "Loose",
    "IgnoreCaseAndNonSpacingCharacters",
    "LooseAndIgnoreCase",
    "LooseAndIgnoreNonSpace",
    "LooseAndIgnoreCaseAndIgnoreNonSpace",
)


class Relation(Enum):
    """How two operands are compared."""

    EQUAL = "IsEqualTo"
    NOT_EQUAL = "IsNotEqualTo"
    GREATER = "IsGreaterThan"
    GREATER_OR_EQUAL = "IsGreaterThanOrEqualTo"
    LESS = "IsLessThan"
    LESS_OR_EQUAL = "IsLessThanOrEqualTo"


class And(msgspec.Struct, frozen=True, tag=True):
    """All of them."""

    of: tuple[Restriction, ...]


class Or(msgspec.Struct, frozen=True, tag=True):
    """Any of them."""

    of: tuple[Restriction, ...]


class Not(msgspec.Struct, frozen=True, tag=True):
    """Not that."""

    of: Restriction


class Exists(msgspec.Struct, frozen=True, tag=True):
    """The item has the property."""

    path: Path


class Contains(msgspec.Struct, frozen=True, tag=True):
    """A text has another in it."""

    path: Path
    constant: str
    mode: str
    comparison: str


class Compare(msgspec.Struct, frozen=True, tag=True):
    """A property with a constant or another property."""

    relation: Relation
    path: Path
    constant: str = ""
    other: Path | None = None


class Excludes(msgspec.Struct, frozen=True, tag=True):
    """None of the bits is set."""

    path: Path
    mask: int


Restriction = Union[And, Or, Not, Exists, Contains, Compare, Excludes]  # noqa: UP007 - recursive

_RELATIONS = {one.value: one for one in Relation}


def restriction(element: Element) -> Restriction:
    """Read Restriction. Raises SchemaViolation, EwsViolation(ErrorRestrictionTooComplex)."""
    budget = [MAX_NODES]
    if sum(len(one.get("Value", "")) for one in element.iter("{*}Constant")) > MAX_CHARACTERS:
        raise EwsViolation("ErrorRestrictionTooComplex", f"Constants have {MAX_CHARACTERS} characters at most.")
    return _node(only(element)[1], 1, budget)


def _node(element: Element, depth: int, budget: list[int]) -> Restriction:
    budget[0] -= 1
    if depth > MAX_DEPTH or budget[0] < 0:
        raise EwsViolation("ErrorRestrictionTooComplex", f"A restriction has {MAX_NODES} conditions, {MAX_DEPTH} deep.")
    name = local(element)
    if name in ("And", "Or"):
        parts = tuple(_node(one, depth + 1, budget) for _, one in children(element))
        if not parts:
            raise SchemaViolation(f"{name} is empty.")
        return And(parts) if name == "And" else Or(parts)
    if name == "Not":
        return Not(_node(only(element)[1], depth + 1, budget))
    path = _path(element)
    if name == "Exists":
        return Exists(path)
    if name == "Contains":
        return Contains(
            path,
            attribute(need(element, "Constant"), "Value"),
            choice(element.get("ContainmentMode", "FullString"), MODES, "ContainmentMode"),
            choice(element.get("ContainmentComparison", "Exact"), COMPARISONS, "ContainmentComparison"),
        )
    if name == "Excludes":
        return Excludes(path, _mask(attribute(need(element, "Bitmask"), "Value").strip()))
    if name in _RELATIONS:
        kind, operand = only(need(element, "FieldURIOrConstant"))
        if kind == "Constant":
            return Compare(_RELATIONS[name], path, attribute(operand, "Value"))
        return Compare(_RELATIONS[name], path, other=paths.path(operand))
    raise SchemaViolation(f"{name} is no search expression.")


def _path(element: Element) -> Path:
    for name, one in children(element):
        if name in PATH_ELEMENTS:
            return paths.path(one)
    raise SchemaViolation(f"{local(element)} names no property.")


def _mask(value: str) -> int:
    """ExcludesValueType: decimal or 0x and hexadecimal digits."""
    if value.lower().startswith("0x") and 2 < len(value) <= 10:
        try:
            return int(value[2:], 16)
        except ValueError:
            raise SchemaViolation("Bitmask is no number.") from None
    return integer(value, "Bitmask", 0, 2**32 - 1)


def xml(node: Restriction) -> str:
    """What goes into Restriction."""
    if isinstance(node, And | Or):
        return f"<t:{type(node).__name__}>{''.join(xml(one) for one in node.of)}</t:{type(node).__name__}>"
    if isinstance(node, Not):
        return f"<t:Not>{xml(node.of)}</t:Not>"
    path = node.path.xml()
    if isinstance(node, Exists):
        return f"<t:Exists>{path}</t:Exists>"
    if isinstance(node, Contains):
        how = f'ContainmentMode="{node.mode}" ContainmentComparison="{node.comparison}"'
        return f'<t:Contains {how}>{path}<t:Constant Value="{quoted(node.constant)}"/></t:Contains>'
    if isinstance(node, Excludes):
        return f'<t:Excludes>{path}<t:Bitmask Value="{node.mask}"/></t:Excludes>'
    operand = node.other.xml() if node.other is not None else f'<t:Constant Value="{quoted(node.constant)}"/>'
    name = node.relation.value
    return f"<t:{name}>{path}<t:FieldURIOrConstant>{operand}</t:FieldURIOrConstant></t:{name}>"
