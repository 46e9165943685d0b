"""Attribute values of directories as they are written on the wire: numbers, times, GUIDs, pictures."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias
from uuid import UUID

from postern.model.addresses import check
from postern.model.refusal import Refusal
from postern.protocols.ldap.operations import SearchEntry

Attributes: TypeAlias = Mapping[str, tuple[bytes, ...]]
"""By name in small letters."""

_FILETIME_EPOCH = 116_444_736_000_000_000
"""1970-01-01 in units of 100 ns since 1601-01-01 (MS-DTYP 2.3.3)."""
_NEVER = 0x7FFFFFFFFFFFFFFF
_GENERALIZED = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d)?)?(?:[.,]\d+)?(Z|[+-]\d\d(?:\d\d)?)")
MAX_PHOTO_OCTETS = 100 * 1024
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


def folded(entry: SearchEntry) -> dict[str, tuple[bytes, ...]]:
    """An entry's attributes by name in small letters, without options such as `;binary`, ranges excepted."""
    found: dict[str, tuple[bytes, ...]] = {}
    for name, values in entry.attributes.items():
        low = name.lower()
        found[low if ";range=" in low else low.partition(";")[0]] = values
    return found


def first(attributes: Attributes, name: str) -> bytes:
    """The first value; empty if there is none."""
    return next(iter(attributes.get(name, ())), b"")


def text(attributes: Attributes, *names: str) -> str:
    """The first value of the first attribute that has one, in one line; octets that are no UTF-8 are replaced."""
    for name in names:
        for value in attributes.get(name, ()):
            found = value.decode("utf-8", "replace").strip()
            if found:
                return found
    return ""


def texts(attributes: Attributes, *names: str) -> list[str]:
    """All values of some attributes."""
    found = (value.decode("utf-8", "replace").strip() for name in names for value in attributes.get(name, ()))
    return [one for one in found if one]


def number(attributes: Attributes, name: str) -> int | None:
    """A whole number; None if it is not there or none."""
    try:
        return int(attributes[name][0])
    except (KeyError, IndexError, ValueError):
        return None


def flag(attributes: Attributes, name: str) -> bool:
    """TRUE."""
    return text(attributes, name).upper() == "TRUE"


def guid(octets: bytes) -> str:
    """ObjectGUID and its like, as text; empty if it is none."""
    return str(UUID(bytes_le=octets)) if len(octets) == 16 else ""


def guid_octets(anchor: str) -> bytes:
    """A GUID from its text. Raises ValueError."""
    return UUID(anchor).bytes_le


def filetime(value: int | None) -> float | None:
    """Seconds since the epoch; None for never (0 and the largest number)."""
    if value is None or value <= 0 or value >= _NEVER:
        return None
    return (value - _FILETIME_EPOCH) / 1e7


def interval(value: int | None) -> float | None:
    """Seconds of a negative number of 100 ns, as domains keep periods; None for ever."""
    if value is None or value <= -_NEVER or value == 0:
        return None
    return abs(value) / 1e7


def generalized(value: str) -> float | None:
    """Seconds since the epoch of a GeneralizedTime (RFC 4517 3.3.13); None if it is none."""
    found = _GENERALIZED.fullmatch(value)
    if found is None:
        return None
    zone = found[7]
    offset = 0
    if zone != "Z":
        offset = (int(zone[1:3]) * 3600 + int(zone[3:5] or 0) * 60) * (-1 if zone[0] == "-" else 1)
    try:
        moment = dt.datetime(
            int(found[1]), int(found[2]), int(found[3]), int(found[4]), int(found[5] or 0), int(found[6] or 0),
            tzinfo=dt.UTC,
        )  # fmt: skip
    except ValueError:
        return None
    return moment.timestamp() - offset


def picture(attributes: Attributes, *names: str) -> bytes | None:
    """A JPEG or PNG of a bearable size."""
    for name in names:
        for value in attributes.get(name, ()):
            if len(value) <= MAX_PHOTO_OCTETS and value.startswith(_PICTURES):
                return value
    return None


def address(value: str) -> str:
    """A mail address in its key form; empty if it is none."""
    try:
        return check(value)
    except Refusal:
        return ""


def addresses(values: Sequence[str]) -> list[str]:
    """Those that are mail addresses, each once."""
    return list(dict.fromkeys(found for value in values if (found := address(value))))
