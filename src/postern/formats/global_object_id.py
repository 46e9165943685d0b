"""GlobalObjectId, MAPI's name of a meeting, and iCalendar's UID (MS-OXOCAL 2.2.1.27, MS-OXCICAL 2.1.3.1.1.20.26)."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime

_CLASS_ID = bytes.fromhex("040000008200E00074C5B7101A82E008")
_VCAL = b"vCal-Uid\x01\0\0\0"
_HEADER = 40
"""Class id, instance date, creation time, reserved, size of the data."""
MAX_UID = 1000


def from_uid(uid: str, instance: date | None = None) -> bytes:
    """The GlobalObjectId of an iCalendar UID; `instance`: of the occurrence that was to be on that day."""
    raw = _outlook(uid)
    if raw is None:
        data = _VCAL + uid.encode("utf-8", "replace")[:MAX_UID] + b"\0"
        raw = _CLASS_ID + bytes(20) + struct.pack("<I", len(data)) + data
    return with_instance(raw, instance)


def to_uid(raw: bytes) -> str:
    """The iCalendar UID of a GlobalObjectId: the wrapped one, or Outlook's hexadecimal one without instance date."""
    at = raw.find(_VCAL, _HEADER - 4)
    if at >= 0:
        return raw[at + len(_VCAL) :].split(b"\0", 1)[0].decode("utf-8", "replace")
    return clean(raw).hex().upper()


def clean(raw: bytes) -> bytes:
    """PidLidCleanGlobalObjectId: the same for the series and each of its occurrences."""
    return with_instance(raw, None)


def with_instance(raw: bytes, instance: date | None) -> bytes:
    """With another instance date, or none."""
    if len(raw) < 20 or not raw.startswith(_CLASS_ID):
        return raw
    day = struct.pack(">HBB", instance.year, instance.month, instance.day) if instance is not None else bytes(4)
    return raw[:16] + day + raw[20:]


def instance_of(raw: bytes) -> date | None:
    """The day that the occurrence was to be on; None for a series, and for one that is no day."""
    if len(raw) < 20 or not raw.startswith(_CLASS_ID):
        return None
    year, month, day = struct.unpack_from(">HBB", raw, 16)
    try:
        return date(year, month, day)
    except ValueError:
        return None


def new_uid(created_at: datetime, entropy: bytes) -> str:
    """A UID as Outlook makes them, of 16 random octets, so that every client takes it for its own."""
    ticks = int((created_at - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds() * 10_000_000)
    raw = (
        _CLASS_ID
        + bytes(4)
        + struct.pack("<Q", ticks)
        + bytes(8)
        + struct.pack("<I", 16)
        + entropy[:16].ljust(16, b"\0")
    )
    return raw.hex().upper()


def _outlook(uid: str) -> bytes | None:
    """A UID that is itself a GlobalObjectId in hexadecimal, whatever its case."""
    if len(uid) < 2 * _HEADER or len(uid) > 2 * (MAX_UID + _HEADER) or len(uid) % 2:
        return None
    try:
        raw = bytes.fromhex(uid)
    except ValueError:
        return None
    if not raw.startswith(_CLASS_ID) or " " in uid:
        return None
    return raw
