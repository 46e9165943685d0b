"""The full details file, uncompressed (MS-OXOAB 2.9): schema, the list itself, one record for each recipient."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from postern.formats.oab import properties
from postern.formats.oab.compressed import checksum
from postern.formats.oab.properties import Value, encode

VERSION = 0x20
"""ulVersion of a version 4 full details file (MS-OXOAB 2.9.1)."""
_HEAD_BYTES = 12
Schema = Sequence[tuple[int, int]]


class ListFacts(msgspec.Struct, frozen=True):
    """What the file says of its list."""

    name: str
    """`\\Global Address List`."""
    dn: str
    """`/` of the global list, else `/guid=...`."""
    guid: str
    sequence: int


def record(schema: Schema, values: Mapping[int, Value]) -> bytes:
    """One record: its size, which properties it has, their values (MS-OXOAB 2.9.5). Empty values are left out."""
    present, found = 0, []
    for place, (tag, _) in enumerate(schema):
        value = values.get(tag)
        if value is None or value in ("", ()):
            continue
        present |= 1 << (8 * ((len(schema) + 7) // 8) - 1 - place)
        found.append(encode(tag, value))
    bits = present.to_bytes((len(schema) + 7) // 8, "big")
    body = bits + b"".join(found)
    return struct.pack("<I", 4 + len(body)) + body


def build(facts: ListFacts, recipients: Sequence[bytes]) -> list[bytes]:
    """The whole file in pieces, the first of which is head, schema and header record; recipients are records."""
    tables = b"".join(
        struct.pack("<I", len(schema)) + b"".join(struct.pack("<2I", *one) for one in schema)
        for schema in (properties.HEADER, properties.OBJECT)
    )
    head = struct.pack("<I", 4 + len(tables)) + tables
    head += record(
        properties.HEADER,
        {
            properties.LIST_NAME: facts.name,
            properties.LIST_DN: facts.dn,
            properties.LIST_SEQUENCE: facts.sequence,
            properties.LIST_GUID: facts.guid,
        },
    )
    serial = checksum(head + b"".join(recipients))
    return [struct.pack("<3I", VERSION, serial, len(recipients)) + head, *recipients]


def split(data: bytes) -> list[bytes]:
    """The pieces of a file that `build` has made. Raises ValueError for any other."""
    found = []
    at = _HEAD_BYTES
    try:
        for _ in range(2):
            at += struct.unpack_from("<I", data, at)[0]
        found.append(data[:at])
        while at < len(data):
            size = struct.unpack_from("<I", data, at)[0]
            if size < 4 or at + size > len(data):
                raise ValueError("a record that does not fit")
            found.append(data[at : at + size])
            at += size
    except struct.error as problem:
        raise ValueError("a file that ends within a record") from problem
    return found


def recipient(values: Mapping[int, Value]) -> bytes:
    """A recipient's record; texts that are too long are cut, and the record says which (MS-OXOAB 2.9.6)."""
    shown, cut = dict(values), []
    for tag, value in values.items():
        if isinstance(value, str) and (short := properties.cut(value)) != value:
            shown[tag] = short
            cut.append(tag)
    if cut:
        shown[properties.TRUNCATED] = tuple(cut)
    return record(properties.OBJECT, shown)


def texts(words: Iterable[tuple[int, str]]) -> dict[int, Value]:
    """Those that are not empty."""
    return {tag: value for tag, value in words if value}
