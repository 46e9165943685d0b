"""What a table of properties is made of: how each is written, since when, in which shapes, and how it is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from lxml.etree import _Element as Element

from postern.protocols.ews.message_facts import MessageFacts, instant
from postern.protocols.ews.reading import boolean, children, choice, date_time, integer
from postern.protocols.ews.reading import text as text_in
from postern.protocols.ews.shapes import ItemShape
from postern.protocols.ews.versions import Version
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import text

DEFAULT, ALL, NAMED = "Default", "AllProperties", ""
MAX_STRINGS = 1000


class Wish(NamedTuple):
    """How values are to be written."""

    shape: ItemShape
    version: Version


Maker = Callable[[MessageFacts, Wish], str]
Setter = Callable[[Element], Mapping[str, Any]]


class Property(NamedTuple):
    """One row of a table."""

    uri: str
    make: Maker
    since: Version
    base: str
    """The smallest shape that has it; empty: only when it is named."""
    needs: int = 0
    """HEADER, CONTENT, MIME: what has to be read."""
    read: Setter | None = None
    """Stored properties of an element that a client sends; None as a value removes. Without: it cannot be set."""
    keys: tuple[str, ...] = ()
    """Stored properties that are removed with it."""

    @property
    def name(self) -> str:
        """The element's."""
        return self.uri.partition(":")[2]


def string(uri: str, key: str, base: str = ALL, since: Version = Version.EXCHANGE_2007) -> Property:
    """A text."""
    name = uri.partition(":")[2]

    def make(facts: MessageFacts, wish: Wish) -> str:
        value = facts.properties.get(key)
        return f"<t:{name}>{text(str(value))}</t:{name}>" if value else ""

    return Property(uri, make, since, base, 0, lambda element: {key: text_in(element) or None}, (key,))


def strings(uri: str, key: str, base: str = ALL) -> Property:
    """An ArrayOfStrings."""
    name = uri.partition(":")[2]

    def make(facts: MessageFacts, wish: Wish) -> str:
        value = facts.properties.get(key)
        rows = "".join(f"<t:String>{text(str(one))}</t:String>" for one in value) if isinstance(value, list) else ""
        return f"<t:{name}>{rows}</t:{name}>" if rows else ""

    def read(element: Element) -> Mapping[str, Any]:
        found = [text_in(one) for _, one in children(element)]
        if len(found) > MAX_STRINGS:
            raise EwsViolation("ErrorPropertyValidationFailure", f"{name} has {MAX_STRINGS} values at most.")
        return {key: found or None}

    return Property(uri, make, Version.EXCHANGE_2007, base, 0, read, (key,))


def moment(uri: str, key: str, base: str = ALL) -> Property:
    """A dateTime."""
    name = uri.partition(":")[2]

    def make(facts: MessageFacts, wish: Wish) -> str:
        value = facts.properties.get(key)
        return f"<t:{name}>{instant(int(value.timestamp()))}</t:{name}>" if isinstance(value, datetime) else ""

    def read(element: Element) -> Mapping[str, Any]:
        return {key: date_time(text_in(element), name)}

    return Property(uri, make, Version.EXCHANGE_2007, base, 0, read, (key,))


def number(uri: str, key: str, base: str = ALL, low: int = 0) -> Property:
    """An int."""
    name = uri.partition(":")[2]

    def make(facts: MessageFacts, wish: Wish) -> str:
        value = facts.properties.get(key)
        return f"<t:{name}>{value}</t:{name}>" if isinstance(value, int) and not isinstance(value, bool) else ""

    return Property(
        uri, make, Version.EXCHANGE_2007, base, 0, lambda element: {key: integer(text_in(element), name, low)}, (key,)
    )


def truth(uri: str, key: str, base: str = ALL, *, settable: bool = True) -> Property:
    """A boolean; false where nothing is stored."""
    name = uri.partition(":")[2]

    def make(facts: MessageFacts, wish: Wish) -> str:
        return f"<t:{name}>{'true' if facts.properties.get(key) else 'false'}</t:{name}>"

    read: Setter | None = (lambda element: {key: boolean(text_in(element), name)}) if settable else None
    return Property(uri, make, Version.EXCHANGE_2007, base, 0, read, (key,))


def word(uri: str, key: str, words: tuple[str, ...], base: str = ALL, *, always: bool = False) -> Property:
    """One of an enumeration, stored as its place in it. `always`: the first one is told where nothing is stored."""
    name = uri.partition(":")[2]

    def make(facts: MessageFacts, wish: Wish) -> str:
        value = facts.properties.get(key, 0 if always else None)
        known = isinstance(value, int) and 0 <= value < len(words)
        return f"<t:{name}>{words[value]}</t:{name}>" if known else ""

    def read(element: Element) -> Mapping[str, Any]:
        return {key: words.index(choice(text_in(element), words, name))}

    return Property(uri, make, Version.EXCHANGE_2007, base, 0, read, (key,))


def computed(
    uri: str, value: Callable[[MessageFacts], str | None], base: str = ALL, since: Version = Version.EXCHANGE_2007
) -> Property:
    """A text that follows from others and cannot be set."""
    name = uri.partition(":")[2]

    def make(facts: MessageFacts, wish: Wish) -> str:
        found = value(facts)
        return f"<t:{name}>{text(found)}</t:{name}>" if found else ""

    return Property(uri, make, since, base)
