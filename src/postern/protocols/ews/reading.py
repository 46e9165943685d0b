"""Taking requests apart: children by name, and values of the schema's simple types."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from lxml.etree import _Element as Element

from postern.protocols.ews.names import MESSAGES, TYPES
from postern.protocols.ews.violation import SchemaViolation

_OURS = (f"{{{MESSAGES}}}", f"{{{TYPES}}}")
_known: dict[str, str] = {}
"""Tag -> name, of the schema's few hundred."""
_MAX_KNOWN, _MAX_TAG = 2048, 160
_DATE_TIME = re.compile(
    r"\s*(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?\s*", re.ASCII
).fullmatch
_TRUE, _FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})


def local(element: Element) -> str:
    """An element's name without its namespace. Raises SchemaViolation for one that is in neither of EWS's."""
    tag = str(element.tag)
    return _known.get(tag) or _name(tag)


def _name(tag: str) -> str:
    for prefix in _OURS:
        if tag.startswith(prefix):
            name = tag[len(prefix) :]
            if len(_known) < _MAX_KNOWN and len(tag) <= _MAX_TAG:  # clients may send what names they like
                _known[tag] = name
            return name
    raise SchemaViolation(f"The element {tag[:120]} is not of this schema.")


def children(element: Element) -> Iterator[tuple[str, Element]]:
    """Names and child elements."""
    for child in element:
        tag = str(child.tag)
        yield _known.get(tag) or _name(tag), child


def child(element: Element, name: str) -> Element | None:
    """The first child of a name."""
    for one in element:
        if local(one) == name:
            return one
    return None


def named(element: Element) -> dict[str, Element]:
    """The first child of each name, for whoever asks for many of them."""
    found: dict[str, Element] = {}
    for name, one in children(element):
        found.setdefault(name, one)
    return found


def need(element: Element, name: str) -> Element:
    """The same. Raises SchemaViolation without it."""
    found = child(element, name)
    if found is None:
        raise SchemaViolation(f"{local(element)} needs the element {name}.")
    return found


def only(element: Element) -> tuple[str, Element]:
    """Name and element of the only child. Raises SchemaViolation."""
    found = list(children(element))
    if len(found) != 1:
        raise SchemaViolation(f"{local(element)} needs exactly one element.")
    return found[0]


def some(element: Element, name: str) -> list[tuple[str, Element]]:
    """The children of a child that has to be there and may not be empty. Raises SchemaViolation."""
    found = list(children(need(element, name)))
    if not found:
        raise SchemaViolation(f"{name} is empty.")
    return found


def text(element: Element) -> str:
    """Character data of an element without children. Raises SchemaViolation."""
    if len(element):
        raise SchemaViolation(f"{local(element)} may have no elements in it.")
    return element.text or ""


def text_of(element: Element, name: str, default: str = "") -> str:
    """Character data of a child."""
    found = child(element, name)
    return default if found is None else text(found)


def boolean(value: str, what: str) -> bool:
    """xs:boolean. Raises SchemaViolation."""
    value = value.strip()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise SchemaViolation(f"{what} is neither true nor false.")


def boolean_of(element: Element, name: str, default: bool = False) -> bool:
    """xs:boolean of a child. Raises SchemaViolation."""
    found = child(element, name)
    return default if found is None else boolean(text(found), name)


def integer(value: str, what: str, low: int = -(2**31), high: int = 2**31 - 1) -> int:
    """xs:int within bounds. Raises SchemaViolation."""
    try:
        if len(value) > 20 or not value.isascii():
            raise ValueError
        number = int(value)
    except ValueError:
        raise SchemaViolation(f"{what} is no number.") from None
    if not low <= number <= high:
        raise SchemaViolation(f"{what} has to be between {low} and {high}.")
    return number


def integer_of(element: Element, name: str, default: int, low: int = -(2**31), high: int = 2**31 - 1) -> int:
    """xs:int of a child. Raises SchemaViolation."""
    found = child(element, name)
    return default if found is None else integer(text(found), name, low, high)


def attribute(element: Element, name: str) -> str:
    """An attribute that has to be there. Raises SchemaViolation."""
    value = element.get(name)
    if value is None:
        raise SchemaViolation(f"{local(element)} needs the attribute {name}.")
    return value


def choice(value: str, allowed: tuple[str, ...] | frozenset[str], what: str) -> str:
    """One of the values of an enumeration. Raises SchemaViolation."""
    value = value.strip()
    if value not in allowed:
        raise SchemaViolation(f"{what} cannot be {value[:60]}.")
    return value


def base64_of(value: str, what: str) -> bytes:
    """xs:base64Binary. Raises SchemaViolation."""
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        raise SchemaViolation(f"{what} is not base64.") from None


def date_time(value: str, what: str) -> datetime:
    """xs:dateTime; without a zone it is UTC. Raises SchemaViolation, also for what no calendar of ours reaches."""
    found = _DATE_TIME(value)
    if found is None:
        raise SchemaViolation(f"{what} is no date and time.")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    zone = found[8]
    try:
        when = datetime(
            year, month, day, hour % 24, minute, min(second, 59), int((found[7] or "0")[:6].ljust(6, "0")), UTC
        )
        if hour == 24:
            when += timedelta(days=1)
        if zone and zone != "Z":
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
            when = when - offset if zone[0] == "+" else when + offset
    except (ValueError, OverflowError):
        raise SchemaViolation(f"{what} is no date and time.") from None
    return when
