"""Paths to properties: by URI, by URI and index, and extended ones (MS-OXWSXPROP 2.1)."""

from __future__ import annotations

import re
from typing import Union

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews.field_uris import FIELDS, INDEXED
from postern.protocols.ews.reading import attribute, integer, local
from postern.protocols.ews.violation import EwsViolation, SchemaViolation
from postern.protocols.soap.writing import attribute as quoted

PROPERTY_SETS = {
    "Meeting": "6ed8da90-450b-101b-98da-00aa003f1305",
    "Appointment": "00062002-0000-0000-c000-000000000046",
    "Common": "00062008-0000-0000-c000-000000000046",
    "PublicStrings": "00020329-0000-0000-c000-000000000046",
    "Address": "00062004-0000-0000-c000-000000000046",
    "InternetHeaders": "00020386-0000-0000-c000-000000000046",
    "CalendarAssistant": "11000e07-b51b-40d6-af21-caa85edab1d0",
    "UnifiedMessaging": "4442858e-a9e3-4e80-b900-317a210cc15b",
    "Task": "00062003-0000-0000-c000-000000000046",
    "Sharing": "00062040-0000-0000-c000-000000000046",
}
"""GUIDs of the sets that have a name in the schema (MS-OXWSXPROP 2.1.5, MS-OXPROPS 1.3.2)."""
INTERNET_HEADERS = PROPERTY_SETS["InternetHeaders"]

_SINGLE = ("ApplicationTime", "Binary", "Boolean", "CLSID", "Currency", "Double", "Float", "Integer", "Long", "Short",
           "SystemTime", "String")  # fmt: skip
TYPES = frozenset((*_SINGLE, *(f"{one}Array" for one in _SINGLE)))
_REFUSED_TYPES = frozenset({"Error", "Null", "Object", "ObjectArray"})
_TAG = re.compile(r"0[xX][0-9a-fA-F]{1,4}|[0-9]{1,5}", re.ASCII).fullmatch
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII).fullmatch
MAX_NAME = 255


class Field(msgspec.Struct, frozen=True, tag=True):
    """`item:Subject`."""

    uri: str

    def xml(self) -> str:
        """As clients write it."""
        return f'<t:FieldURI FieldURI="{quoted(self.uri)}"/>'


class Indexed(msgspec.Struct, frozen=True, tag=True):
    """`item:InternetMessageHeader` with the name of a header field, `contacts:PhoneNumber` with a kind ..."""

    uri: str
    index: str

    def xml(self) -> str:
        """As clients write it."""
        return f'<t:IndexedFieldURI FieldURI="{quoted(self.uri)}" FieldIndex="{quoted(self.index)}"/>'


class Extended(msgspec.Struct, frozen=True, tag=True):
    """A MAPI property: by tag, or by set and name or number. Equal however a client spells it."""

    kind: str
    """MapiPropertyTypeType."""
    tag: int = 0
    """Property id without type; 0: a named property."""
    property_set: str = ""
    """GUID, small letters."""
    name: str = ""
    id: int = 0
    spelled: tuple[tuple[str, str], ...] = ()
    """The attributes as they came: answers repeat them."""

    @property
    def identity(self) -> tuple[int, str, str, int]:
        """What tells one from another."""
        return self.tag, self.property_set, self.name.lower(), self.id

    def xml(self) -> str:
        """As the client wrote it."""
        written = "".join(f' {name}="{quoted(value)}"' for name, value in self.spelled)
        return f"<t:ExtendedFieldURI{written}/>"


Path = Union[Field, Indexed, Extended]  # noqa: UP007 - msgspec's form
PATH_ELEMENTS = frozenset({"FieldURI", "IndexedFieldURI", "ExtendedFieldURI"})


def path(element: Element) -> Path:
    """Read one. Raises SchemaViolation, EwsViolation(ErrorInvalidExtendedProperty)."""
    name = local(element)
    if name == "FieldURI":
        return Field(_known(element, FIELDS))
    if name == "IndexedFieldURI":
        return Indexed(_known(element, INDEXED), attribute(element, "FieldIndex").strip())
    if name == "ExtendedFieldURI":
        return _extended(element)
    raise SchemaViolation(f"{name} is no path to a property.")


def _known(element: Element, names: frozenset[str]) -> str:
    uri = attribute(element, "FieldURI").strip()
    if uri not in names:
        raise SchemaViolation(f"FieldURI {uri[:MAX_NAME]!r} is none of the known ones.")
    return uri


def _extended(element: Element) -> Extended:
    """MS-OXWSXPROP 2.1.5: which attributes go together."""
    kind = attribute(element, "PropertyType")
    tag, distinguished, guid, name, number = (
        element.get(one)
        for one in ("PropertyTag", "DistinguishedPropertySetId", "PropertySetId", "PropertyName", "PropertyId")
    )
    if kind in _REFUSED_TYPES:
        raise EwsViolation("ErrorUnsupportedMapiPropertyType", f"Properties of the type {kind} are not supported.")
    if kind not in TYPES:
        raise SchemaViolation("PropertyType is none of the known ones.")
    spelled = tuple((str(key), str(value)) for key, value in element.attrib.items())
    if tag is not None:
        if distinguished is not None or guid is not None or name is not None or number is not None:
            raise _mixed()
        if not _TAG(tag.strip()):
            raise SchemaViolation("PropertyTag is no 16-bit number.")
        value = int(tag.strip(), 0) if tag.strip().lower().startswith("0x") else int(tag)
        if not 0 < value <= 0xFFFF:
            raise SchemaViolation("PropertyTag is no 16-bit number.")
        if value >= 0x8000:
            raise EwsViolation("ErrorInvalidExtendedProperty", "A tag from 0x8000 on names nothing outside a mailbox.")
        return Extended(kind, tag=value, spelled=spelled)
    if (distinguished is None) == (guid is None) or (name is None) == (number is None):
        raise _mixed()
    if distinguished is not None:
        found = PROPERTY_SETS.get(distinguished)
        if found is None:
            raise SchemaViolation("DistinguishedPropertySetId is none of the known ones.")
    else:
        assert guid is not None
        if not _GUID(guid.strip()):
            raise SchemaViolation("PropertySetId is no GUID.")
        found = guid.strip().lower()
    if name is not None:
        if not name or len(name) > MAX_NAME:
            raise EwsViolation("ErrorInvalidExtendedProperty", "PropertyName is empty or too long.")
        return Extended(kind, property_set=found, name=name, spelled=spelled)
    return Extended(kind, property_set=found, id=integer(number or "", "PropertyId"), spelled=spelled)


def _mixed() -> EwsViolation:
    return EwsViolation("ErrorInvalidExtendedProperty", "These attributes do not name a property together.")
