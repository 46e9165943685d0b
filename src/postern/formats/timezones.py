"""MAPI's binary time zones: TimeZoneStruct and TimeZoneDefinition (MS-OXOCAL 2.2.1.39, 2.2.1.41), little-endian.

Biases are minutes that are added to local time to get UTC; `model.calendar.zones` counts the other way round.
"""

from __future__ import annotations

import struct
from typing import Any

from postern.model.calendar.zones import MAX_OFFSET_MINUTES, MAX_RULES, Changeover, Zone, ZoneRule
from postern.model.refusal import ProtocolViolation

RECUR_CURRENT = 1
EFFECTIVE = 2
_KEY_NAME = 2
_NAME_LIMIT = 260
_SYSTEMTIME = struct.Struct("<8H")
_TZREG = struct.Struct("<iii16s16s")
_TZSTRUCT = struct.Struct("<iiiH16sH16s")
_RULE = struct.Struct("<BBHHH14s")


def read_struct(data: bytes) -> ZoneRule:
    """PidLidTimeZoneStruct, 48 octets. Raises ProtocolViolation."""
    if len(data) < _TZSTRUCT.size:
        raise ProtocolViolation("a TimeZoneStruct has 48 octets")
    bias, standard_bias, daylight_bias, _year, standard, _year2, daylight = _TZSTRUCT.unpack_from(data)
    return _zone_rule(1, bias, (standard_bias, daylight_bias), standard, daylight)


def write_struct(rule: ZoneRule) -> bytes:
    """PidLidTimeZoneStruct (MS-OXOCAL 2.2.1.39)."""
    bias, standard_bias, daylight_bias, standard, daylight = _fields(rule)
    return _TZSTRUCT.pack(bias, standard_bias, daylight_bias, 0, standard, 0, daylight)


def read_definition(data: bytes) -> Zone:
    """PidLidAppointmentTimeZoneDefinition...; all its rules under the key name. Raises ProtocolViolation.

    A key name is Windows' and need not be known here; newer minor versions may add to the end of every part.
    """
    if len(data) < 8 or data[0] != 2:
        raise ProtocolViolation("not a TimeZoneDefinition of version 2")
    header, flags = struct.unpack_from("<HH", data, 2)
    offset = 6
    if flags & 1:  # a GUID that nobody writes
        offset += 16
    name = ""
    if flags & _KEY_NAME:
        (length,) = _unpack("<H", data, offset)
        if length > _NAME_LIMIT:
            raise ProtocolViolation("the key name of a TimeZoneDefinition is too long")
        name = data[offset + 2 : offset + 2 + 2 * length].decode("utf-16-le", "replace").rstrip("\0")
        offset += 2 + 2 * length
    (count,) = _unpack("<H", data, offset)
    if not 1 <= count <= MAX_RULES:
        raise ProtocolViolation("a TimeZoneDefinition has 1 to 1024 rules")
    offset = max(offset + 2, 4 + header)
    rules = []
    for _number in range(count):
        _major, _minor, size, _flags, year, _x = _unpack(_RULE.format, data, offset)
        bias, standard_bias, daylight_bias, standard, daylight = _unpack(_TZREG.format, data, offset + _RULE.size)
        rules.append(_zone_rule(max(1, year), bias, (standard_bias, daylight_bias), standard, daylight))
        offset += max(4 + size, _RULE.size + _TZREG.size)
    rules.sort(key=lambda rule: rule.from_year)
    return Zone(name, tuple(rules), windows_id=name)


def write_definition(name: str, rules: tuple[ZoneRule, ...], year: int, *, recurring: bool = False) -> bytes:
    """A TimeZoneDefinition of Windows' key name; the rule that holds in `year` is the effective one."""
    key = name[:_NAME_LIMIT].encode("utf-16-le")
    effective = max((rule.from_year for rule in rules if rule.from_year <= year), default=rules[0].from_year)
    parts = [struct.pack("<BBHHH", 2, 1, 6 + len(key), _KEY_NAME, len(key) // 2), key, struct.pack("<H", len(rules))]
    for rule in rules:
        flags = (EFFECTIVE | (RECUR_CURRENT if recurring else 0)) if rule.from_year == effective else 0
        parts.append(_RULE.pack(2, 1, 0x3E, flags, rule.from_year, b""))
        parts.append(_TZREG.pack(*_fields(rule)))
    return b"".join(parts)


def _unpack(form: str, data: bytes, offset: int) -> tuple[Any, ...]:
    try:
        return struct.unpack_from(form, data, offset)
    except struct.error:
        raise ProtocolViolation("a time zone ends too early") from None


def _zone_rule(year: int, bias: int, biases: tuple[int, int], standard: bytes, daylight: bytes) -> ZoneRule:
    offsets = [-(bias + other) for other in biases]
    back, forth = _changeover(standard), _changeover(daylight)
    if back is None or forth is None:
        offsets[1], back, forth = 0, None, None
    if any(abs(minutes) > MAX_OFFSET_MINUTES for minutes in offsets):
        raise ProtocolViolation("the offset of a time zone is more than a day")
    return ZoneRule(year, offsets[0], offsets[1], back, forth)


def _changeover(data: bytes) -> Changeover | None:
    year, month, weekday, day, hour, minute, second, millisecond = _SYSTEMTIME.unpack(data)
    if month == 0:
        return None
    if not (1 <= month <= 12 and weekday <= 6 and hour <= 24 and minute <= 59 and second <= 59):
        raise ProtocolViolation("no such time in a time zone")
    seconds = hour * 3600 + minute * 60 + second + (millisecond >= 999)
    if year:  # a day of that year
        if not 1 <= day <= 31:
            raise ProtocolViolation("no such day in a time zone")
        return Changeover(month, 0, day=day, second_of_day=seconds)
    if not 1 <= day <= 5:
        raise ProtocolViolation("no such week in a time zone")
    return Changeover(month, day, weekday, second_of_day=seconds)


def _fields(rule: ZoneRule) -> tuple[int, int, int, bytes, bytes]:
    if rule.standard is None or rule.daylight is None:
        return -rule.standard_minutes, 0, 0, bytes(16), bytes(16)
    return (
        -rule.standard_minutes,
        0,
        rule.standard_minutes - rule.daylight_minutes,
        _systemtime(rule.standard, rule.from_year),
        _systemtime(rule.daylight, rule.from_year),
    )


def _systemtime(at: Changeover, year: int) -> bytes:
    seconds = min(at.second_of_day, 86399)
    clock = (seconds // 3600, seconds // 60 % 60, seconds % 60, 999 if at.second_of_day > 86399 else 0)
    if at.week == 0:
        return _SYSTEMTIME.pack(year, at.month, 0, at.day, *clock)
    return _SYSTEMTIME.pack(0, at.month, at.weekday, at.week, *clock)
