"""User configuration: named dictionaries and streams in a folder (MS-OXWSUSRCFG)."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews import places
from postern.protocols.ews.places import AnyFolder, limited
from postern.protocols.ews.reading import attribute, base64_of, child, children, choice, need, text
from postern.protocols.ews.violation import EwsViolation, SchemaViolation
from postern.protocols.soap.writing import text as escaped

TYPES = (
    "DateTime",
    "Boolean",
    "Byte",
    "String",
    "Integer32",
    "UnsignedInteger32",
    "Integer64",
    "UnsignedInteger64",
    "StringArray",
    "ByteArray",
)
PROPERTIES = ("Id", "Dictionary", "XmlData", "BinaryData", "All")
MAX_NAME = 256
MAX_ENTRIES = 1000
MAX_STREAM_BYTES = 1 << 20


class Value(msgspec.Struct, frozen=True, array_like=True):
    """A key or value of a dictionary."""

    type: str
    values: tuple[str, ...]


class Name(msgspec.Struct, frozen=True):
    """What a configuration is called, and the folder it belongs to."""

    name: str
    folder: AnyFolder


class Configuration(msgspec.Struct, frozen=True):
    """As it is given. None: the request does not say."""

    name: Name
    dictionary: tuple[tuple[Value, Value | None], ...] | None
    xml: bytes | None
    binary: bytes | None


class GetConfiguration(msgspec.Struct, frozen=True):
    """GetUserConfiguration (MS-OXWSUSRCFG 3.1.4.3)."""

    name: Name
    properties: frozenset[str]


def get(element: Element) -> GetConfiguration:
    """Raises EwsViolation, as all of these."""
    words = text(need(element, "UserConfigurationProperties")).split()
    wanted = frozenset(choice(one, PROPERTIES, "UserConfigurationProperties") for one in words)
    return GetConfiguration(_name(need(element, "UserConfigurationName")), wanted)


def put(element: Element) -> Configuration:
    """CreateUserConfiguration and UpdateUserConfiguration."""
    given = need(element, "UserConfiguration")
    listed = child(given, "Dictionary")
    return Configuration(
        _name(need(given, "UserConfigurationName")),
        None if listed is None else _dictionary(listed),
        _stream(given, "XmlData"),
        _stream(given, "BinaryData"),
    )


def delete(element: Element) -> Name:
    """DeleteUserConfiguration."""
    return _name(need(element, "UserConfigurationName"))


def _name(element: Element) -> Name:
    name = attribute(element, "Name")
    # MS-OXWSUSRCFG 2.2.4.4: letters, digits and full stops
    if not name or len(name) > MAX_NAME or not name.replace(".", "a").replace("_", "a").isalnum():
        raise EwsViolation("ErrorInvalidValueForProperty", "A name has letters, digits and full stops.")
    found = list(children(element))
    if len(found) != 1:
        raise SchemaViolation("UserConfigurationName needs exactly one folder.")
    return Name(name, places.folder(found[0][1]))


def _stream(element: Element, name: str) -> bytes | None:
    found = child(element, name)
    if found is None:
        return None
    data = base64_of(text(found), name)
    if len(data) > MAX_STREAM_BYTES:
        raise EwsViolation("ErrorPropertyValidationFailure", f"{name} has {MAX_STREAM_BYTES} octets at most.")
    return data


def _dictionary(element: Element) -> tuple[tuple[Value, Value | None], ...]:
    entries: dict[Value, Value | None] = {}
    rows = list(children(element))
    if len(rows) > MAX_ENTRIES:
        raise EwsViolation("ErrorPropertyValidationFailure", f"A dictionary has {MAX_ENTRIES} entries at most.")
    for _, row in rows:
        key = _value(need(row, "DictionaryKey"))
        if key in entries:
            raise EwsViolation("ErrorInvalidValueForProperty", "A dictionary has a key twice.")
        value = need(row, "DictionaryValue")
        entries[key] = None if not len(value) else _value(value)
    return tuple(entries.items())


def _value(element: Element) -> Value:
    kind = choice(text(need(element, "Type")), TYPES, "Type")
    values = tuple(text(one) for name, one in limited(list(children(element))) if name == "Value")
    if not values:
        raise SchemaViolation("An object of a dictionary needs a Value.")
    return Value(kind, values)


def dictionary_xml(entries: tuple[tuple[Value, Value | None], ...]) -> str:
    """`<t:Dictionary>`."""
    rows = "".join(
        f"<t:DictionaryEntry>{_object('DictionaryKey', key)}{_object('DictionaryValue', value)}</t:DictionaryEntry>"
        for key, value in entries
    )
    return f"<t:Dictionary>{rows}</t:Dictionary>"


def _object(element: str, value: Value | None) -> str:
    if value is None:
        return f'<t:{element} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>'
    values = "".join(f"<t:Value>{escaped(one)}</t:Value>" for one in value.values)
    return f"<t:{element}><t:Type>{value.type}</t:Type>{values}</t:{element}>"
