"""Names and values of properties (MS-OXPROPS) as items and folders carry them: one msgpack map.

A key is a canonical name (`PidTagSubject`, `PidLidLocation`), or for what has none
`0x6001:001F` (property id and type, MS-OXCDATA 2.9) or
`00020329-0000-0000-c000-000000000046/name:001F`, `.../0x8233:000B` (property set, name or id, type).

A value is what msgpack can say: None, bool, int, float, str, bytes, a list of these; times are
aware datetimes (msgpack's timestamp), GUIDs are their 16 octets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from postern.model.refusal import Reason, Refusal

Properties = dict[str, Any]

MAX_PROPERTIES_BYTES = 1 << 20
"""Of one item or folder, packed; what is longer becomes an attachment of its own (a stream)."""
CONTAINER_CLASS = "PidTagContainerClass"
"""Of a folder, where it says more than its FolderClass."""
MESSAGE_CLASS = "PidTagMessageClass"
"""Of an item, where it is not the usual one of its ItemClass."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, Any]).decode


def named(property_set: str, name: str | int, kind: int) -> str:
    """Key of a named property without canonical name. `property_set`: a GUID; `kind`: its type (MS-OXCDATA 2.11.1)."""
    text = f"0x{name:04X}" if isinstance(name, int) else name
    return f"{property_set.lower()}/{text}:{kind:04X}"


def tagged(number: int, kind: int) -> str:
    """Key of a property that has only a tag. `number`: 16 bits; `kind`: its type."""
    return f"0x{number:04X}:{kind:04X}"


def pack(properties: Mapping[str, Any]) -> bytes:
    """The map as it is stored; empty for an empty one. Raises Refusal(BAD_VALUE) for what cannot be said."""
    try:
        return _encode(dict(properties)) if properties else b""
    except (TypeError, ValueError, OverflowError) as error:
        raise Refusal(Reason.BAD_VALUE, str(error)) from error


def unpack(stored: bytes) -> Properties:
    """The map again."""
    return _decode(stored) if stored else {}


def changed(stored: bytes, set_: Mapping[str, Any], delete: Iterable[str] = ()) -> bytes:
    """The stored map after a partial update; the same bytes if nothing changes."""
    before = unpack(stored)
    after = {**before, **set_}
    for key in delete:
        after.pop(key, None)
    return stored if after == before else pack(after)
