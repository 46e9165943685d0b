"""Attachments that are only a link (MS-OXWSATT 2.2.4.7 ReferenceAttachmentType).

In a message they are parts that say where their content is (RFC 2046 5.2.3, RFC 2017); what else EWS knows of them is
in header fields of the part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from lxml.etree import _Element as Element

from postern.formats.mime import compose, header, parameters
from postern.protocols.ews.reading import boolean_of, integer_of, text_of
from postern.protocols.ews.violation import SchemaViolation
from postern.protocols.soap.writing import text

TYPE = "message/external-body"
MAX_LINK = 4000
_PREFIX = "X-Reference-"
_PRINTABLE = "!#$%&'()*+,-./:;=?@[]^_`{|}~"


class Reference(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a link says of itself; names are the schema's, in its order."""

    link: str = msgspec.field(name="AttachLongPathName")
    provider: str = msgspec.field(name="ProviderType", default="")
    endpoint: str = msgspec.field(name="ProviderEndpointUrl", default="")
    thumbnail: str = msgspec.field(name="AttachmentThumbnailUrl", default="")
    preview: str = msgspec.field(name="AttachmentPreviewUrl", default="")
    permission: int = msgspec.field(name="PermissionType", default=0)
    original_permission: int = msgspec.field(name="OriginalPermissionType", default=0)
    is_folder: bool = msgspec.field(name="AttachmentIsFolder", default=False)


_NAMES = tuple(one.encode_name for one in msgspec.structs.fields(Reference))
_FIELDS = tuple(one.name for one in msgspec.structs.fields(Reference))
_NUMBERS = frozenset({"PermissionType", "OriginalPermissionType"})


def read(element: Element) -> Reference:
    """Raises SchemaViolation."""
    given: dict[str, Any] = {}
    for name in _NAMES:
        if name in _NUMBERS:
            given[name] = integer_of(element, name, 0)
        elif name == "AttachmentIsFolder":
            given[name] = boolean_of(element, name)
        else:
            given[name] = text_of(element, name).strip()
            if len(given[name]) > MAX_LINK:
                raise SchemaViolation(f"{name} is longer than {MAX_LINK} characters.")
    if not given["AttachLongPathName"]:
        raise SchemaViolation("AttachLongPathName is missing.")
    return msgspec.convert(given, Reference)


def stored(reference: Reference) -> list[str | int | bool]:
    """As it is kept: its values in the schema's order."""
    return [getattr(reference, field) for field in _FIELDS]


def of_stored(kept: object) -> Reference | None:
    """The same backwards; None for what is no reference."""
    if not isinstance(kept, list) or len(kept) != len(_NAMES):
        return None
    try:
        return msgspec.convert(dict(zip(_NAMES, kept, strict=True)), Reference)
    except msgspec.ValidationError:
        return None


def xml(reference: Reference) -> str:
    """Its elements, after those of every attachment."""
    whole: Mapping[str, Any] = {name: getattr(reference, field) for name, field in zip(_NAMES, _FIELDS, strict=True)}
    pieces = []
    for name, value in whole.items():
        if isinstance(value, bool):
            pieces.append(f"<t:{name}>{'true' if value else 'false'}</t:{name}>")
        elif value != "":
            pieces.append(f"<t:{name}>{text(str(value))}</t:{name}>")
    return "".join(pieces)


def entity(reference: Reference, name: str) -> bytes:
    """A part of a message."""
    link = quote(compose.clean(reference.link), safe=_PRINTABLE)
    head = f'Content-Type: {TYPE}; access-type=URL;\r\n url="{link}"\r\nContent-Disposition: attachment'
    fields = "".join(
        compose.field(f"{_PREFIX}{key}", compose.unstructured(str(value))).decode("ascii")
        for key, value in msgspec.to_builtins(reference).items()
        if key != "AttachLongPathName"
    )
    head += f"{compose.parameter('filename', name) if name else ''}\r\n{fields}"
    return head.encode("utf-8", "replace") + b"\r\nContent-Type: application/octet-stream\r\n\r\n"


def of_part(head: bytes) -> Reference | None:
    """From a part's header; None: it does not say where its content is."""
    kind, given = parameters.parse(header.first(head, b"content-type") or b"")
    link = parameters.decoded(given, b"url")
    if (kind or b"").lower() != TYPE.encode() or not link:
        return None
    found: dict[str, Any] = {"AttachLongPathName": link.replace(" ", "")}
    for key in _NAMES[1:]:
        value = header.first(head, f"{_PREFIX}{key}".lower().encode())
        if value is None:
            continue
        told = header.decode(value)
        if key in _NUMBERS:
            found[key] = int(told) if told.lstrip("-").isdecimal() and len(told) < 11 else 0
        else:
            found[key] = told == "True" if key == "AttachmentIsFolder" else told
    return msgspec.convert(found, Reference)
