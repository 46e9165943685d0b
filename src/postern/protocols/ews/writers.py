"""Writers of items, kept: clients ask with the same few shapes again and again."""

from __future__ import annotations

from functools import lru_cache

from postern.protocols.ews.message_xml import MessageWriter
from postern.protocols.ews.paths import Extended, Field, Path
from postern.protocols.ews.shapes import ItemShape
from postern.protocols.ews.versions import Version

MAX_KEPT = 128
MAX_SHAPE = 4096
"""Characters of the paths of a shape that is kept: all of them take a few megabytes at most."""


def writer_of(shape: ItemShape, version: Version, *, listing: bool = False, strict: bool = False) -> MessageWriter:
    """As `MessageWriter`, which follows from these alone. Raises EwsViolation."""
    if sum(map(_size, shape.additional)) > MAX_SHAPE:
        return MessageWriter(shape, version, listing=listing, strict=strict)
    return _kept(shape, version, listing, strict)


@lru_cache(maxsize=MAX_KEPT)
def _kept(shape: ItemShape, version: Version, listing: bool, strict: bool) -> MessageWriter:
    return MessageWriter(shape, version, listing=listing, strict=strict)


def _size(path: Path) -> int:
    if isinstance(path, Field):
        return len(path.uri)
    if isinstance(path, Extended):
        return len(path.name) + sum(len(name) + len(value) for name, value in path.spelled)
    return len(path.uri) + len(path.index)
