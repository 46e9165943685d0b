"""MAPI's RecurrencePattern and AppointmentRecurrencePattern (MS-OXOCAL 2.2.1.44), little-endian.

Times in it are minutes since 1601, by the wall clock of the series' zone. Exceptions are kept as far as they say
something here: times, subject, place, reminder, busy status, whole day.
"""

from __future__ import annotations

import struct
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from postern.model.calendar.recurrence import Kind, Nth, Pattern, Recurrence, Weekday
from postern.model.calendar.series import first_day, last_day, occurrence_count
from postern.model.refusal import ProtocolViolation

MAX_EXCEPTIONS = 2000
_VERSION, _VERSION_2, _WRITER_2 = 0x3004, 0x3006, 0x3009
_UNITS = {"daily": 0x200A, "weekly": 0x200B, "monthly": 0x200C, "yearly": 0x200D}
_DAY, _WEEK, _MONTH, _NTH, _MONTH_END = 0, 1, 2, 3, 4
_UNTIL, _COUNT, _NEVER = 0x2021, 0x2022, 0x2023
_ENDLESS = (0x2023, 0xFFFFFFFF)
_END_OF_TIME = 0x5AE980DF
_EPOCH = datetime(1601, 1, 1)  # noqa: DTZ001 - a wall clock's
_SUBJECT, _MEETING, _DELTA, _REMINDER, _LOCATION, _BUSY, _ATTACHMENT, _ALL_DAY, _COLOUR = (1 << bit for bit in range(9))
_NUMBERS = (
    (_MEETING, "meeting"),
    (_DELTA, "reminder_minutes"),
    (_REMINDER, "reminder"),
    (_BUSY, "busy"),
    (_ATTACHMENT, "attachment"),
    (_ALL_DAY, "all_day"),
    (_COLOUR, "colour"),
)


class ExceptionInfo(msgspec.Struct, frozen=True):
    """One modified occurrence; None: as in the series. Times are naive wall clock readings."""

    start: datetime
    end: datetime
    original: datetime
    subject: str | None = None
    location: str | None = None
    meeting: int | None = None
    reminder_minutes: int | None = None
    reminder: int | None = None
    busy: int | None = None
    attachment: int | None = None
    all_day: int | None = None
    colour: int | None = None


class Blob(msgspec.Struct, frozen=True):
    """PidLidAppointmentRecur."""

    recurrence: Recurrence
    start_minute: int
    """Of the day; an occurrence ends `end_minute - start_minute` later."""
    end_minute: int
    deleted: tuple[date, ...] = ()
    """Without the days of modified occurrences."""
    exceptions: tuple[ExceptionInfo, ...] = ()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, form: str) -> tuple[Any, ...]:
        try:
            values = struct.unpack_from(f"<{form}", self._data, self._at)
        except struct.error:
            raise ProtocolViolation("a recurrence ends too early") from None
        self._at += struct.calcsize(f"<{form}")
        return values

    def number(self, form: str = "I") -> int:
        return int(self.take(form)[0])

    def octets(self, length: int) -> bytes:
        if length > len(self._data) - self._at:
            raise ProtocolViolation("a recurrence ends too early")
        self._at += length
        return self._data[self._at - length : self._at]

    @property
    def more(self) -> bool:
        return self._at < len(self._data)


def _time(minutes: int) -> datetime:
    return _EPOCH + timedelta(minutes=minutes)


def _minutes(at: datetime) -> int:
    return max(0, min(int((at - _EPOCH).total_seconds() // 60), _END_OF_TIME))


def _midnight(day: date) -> int:
    return _minutes(datetime.combine(day, datetime.min.time()))


def read_blob(data: bytes) -> Blob:
    """An AppointmentRecurrencePattern. Raises ProtocolViolation; Hijri and other calendars are not read."""
    reader = _Reader(data)
    recurrence, days = _read_pattern(reader)
    reader.take("II")
    start, end, count = reader.take("IIH")
    if count > MAX_EXCEPTIONS:
        raise ProtocolViolation("a recurrence with too many exceptions")
    narrow = [_read_exception(reader) for _number in range(count)]
    wide = _read_extended(reader, narrow) if reader.more else [each for each, _flags in narrow]
    # the second list of days names where modified occurrences went, the first one where they were
    modified = {each.original.date() for each in wide}
    deleted = tuple(day for day in days if day not in modified)
    return Blob(recurrence, start, end, deleted, tuple(wide))


def _read_pattern(reader: _Reader) -> tuple[Recurrence, list[date]]:
    version, _writer, unit, kind, calendar, _first, period, sliding = reader.take("HHHHHIII")
    if version != _VERSION or unit not in _UNITS.values():
        raise ProtocolViolation("not a recurrence of version 3004")
    if calendar not in (0, 1, 2) or kind > _MONTH_END:
        raise ProtocolViolation("a recurrence in a calendar that is not Gregorian")
    mask = reader.number() if kind in (_WEEK, _NTH) else 0
    nth = reader.number() if kind == _NTH else 0
    month_day = reader.number() if kind in (_MONTH, _MONTH_END) else 0
    end_type, occurrences, first_day = reader.take("III")
    lists = []
    for _which in range(2):
        count = reader.number()
        if count > MAX_EXCEPTIONS:
            raise ProtocolViolation("a recurrence with too many exceptions")
        lists.append([_time(each).date() for each in reader.take(f"{count}I")])
    start, end = reader.take("II")
    first = _time(start).date()
    if not period or (kind == _NTH and not 1 <= nth <= 5):
        raise ProtocolViolation("a recurrence that makes no sense")
    pattern = _pattern(unit, kind, period, (mask, nth, month_day, first_day), first)
    if sliding:
        kinds = {each.unit: each for each in Kind if each.regeneration}
        pattern = Pattern(kinds[pattern.kind.unit], pattern.interval)
    recurrence = Recurrence(pattern, first)
    if end_type == _COUNT:
        recurrence = Recurrence(pattern, first, count=occurrences)
    elif end_type not in _ENDLESS:
        recurrence = Recurrence(pattern, first, until=_time(end).date())
    return recurrence, lists[0]


def _pattern(unit: int, kind: int, period: int, specific: tuple[int, int, int, int], start: date) -> Pattern:
    mask, nth, month_day, first_day = specific
    days = Weekday(mask & 0x7F)
    if kind == _DAY:
        return Pattern(Kind.DAILY, max(1, period // 1440))
    if kind == _WEEK:
        return Pattern(Kind.WEEKLY, period, days=days, first_day=first_day % 7)
    yearly = unit == _UNITS["yearly"] and period % 12 == 0
    month, interval = (start.month, period // 12) if yearly else (0, period)
    if kind == _NTH:
        which = Kind.RELATIVE_YEARLY if yearly else Kind.RELATIVE_MONTHLY
        return Pattern(which, interval, days=days, nth=Nth(nth), month=month)
    which = Kind.ABSOLUTE_YEARLY if yearly else Kind.ABSOLUTE_MONTHLY
    return Pattern(which, interval, day_of_month=31 if kind == _MONTH_END else month_day, month=month)


def _read_exception(reader: _Reader) -> tuple[ExceptionInfo, int]:
    start, end, original, flags = reader.take("IIIH")
    values: dict[str, Any] = {}
    if flags & _SUBJECT:
        values["subject"] = _narrow(reader)
    for bit, name in _NUMBERS[:3]:
        if flags & bit:
            values[name] = reader.number()
    if flags & _LOCATION:
        values["location"] = _narrow(reader)
    for bit, name in _NUMBERS[3:]:
        if flags & bit:
            values[name] = reader.number()
    return ExceptionInfo(_time(start), _time(end), _time(original), **values), flags


def _narrow(reader: _Reader) -> str:
    _with_null, length = reader.take("HH")
    return reader.octets(length).decode("cp1252", "replace")


def _read_extended(reader: _Reader, narrow: list[tuple[ExceptionInfo, int]]) -> list[ExceptionInfo]:
    """The same texts in Unicode, after what nobody fills (2.2.1.44.4)."""
    reader.octets(reader.number())
    made = []
    for info, flags in narrow:
        reader.octets(reader.number())  # ChangeHighlight
        reader.octets(reader.number())
        wide: dict[str, str] = {}
        if flags & (_SUBJECT | _LOCATION):
            reader.take("III")
            for bit, name in ((_SUBJECT, "subject"), (_LOCATION, "location")):
                if flags & bit:
                    wide[name] = reader.octets(2 * reader.number("H")).decode("utf-16-le", "replace")
            reader.octets(reader.number())
        made.append(msgspec.structs.replace(info, **wide))
    return made


def write_blob(blob: Blob) -> bytes:
    """An AppointmentRecurrencePattern as Outlook writes it."""
    exceptions = sorted(blob.exceptions, key=lambda each: each.start)
    parts = [_write_pattern(blob), struct.pack("<IIII", _VERSION_2, _WRITER_2, blob.start_minute, blob.end_minute)]
    parts.append(struct.pack("<H", len(exceptions)))
    parts += [_write_exception(each) for each in exceptions]
    parts.append(bytes(4))
    parts += [_write_extended(each) for each in exceptions]
    parts.append(bytes(4))
    return b"".join(parts)


def _write_pattern(blob: Blob) -> bytes:
    recurrence, pattern = blob.recurrence, blob.recurrence.pattern
    unit, kind, period, specific = _codes(pattern)
    head = struct.pack("<HHHHH", _VERSION, _VERSION, unit, kind, 0)
    sliding = int(pattern.kind.regeneration)
    head += struct.pack("<III", _first_date_time(recurrence, kind, period), period, sliding) + specific
    endless = recurrence.count is None and recurrence.until is None
    count = 10 if endless else occurrence_count(recurrence) or 0
    end_type = _NEVER if endless else _COUNT if recurrence.count is not None else _UNTIL
    modified = sorted({each.original.date() for each in blob.exceptions})
    gone = sorted({*blob.deleted, *modified})
    moved = sorted(each.start.date() for each in blob.exceptions)
    last = last_day(recurrence) or recurrence.until
    end = _END_OF_TIME if endless or last is None else _midnight(last)
    lists = b"".join(struct.pack(f"<I{len(each)}I", len(each), *map(_midnight, each)) for each in (gone, moved))
    tail = struct.pack("<II", _midnight(first_day(recurrence) or recurrence.start), end)
    return head + struct.pack("<III", end_type, count, pattern.first_day) + lists + tail


def _codes(pattern: Pattern) -> tuple[int, int, int, bytes]:
    unit = pattern.kind.unit
    period = pattern.interval * {"daily": 1440, "weekly": 1, "monthly": 1, "yearly": 12}[unit]
    code = _UNITS[unit]
    if unit == "daily":
        return code, _DAY, period, b""
    if unit == "weekly":
        return code, _WEEK, period, struct.pack("<I", int(pattern.days) or 1)
    if pattern.days:
        return code, _NTH, period, struct.pack("<II", int(pattern.days), int(pattern.nth))
    return code, _MONTH, period, struct.pack("<I", pattern.day_of_month or 1)


def _first_date_time(recurrence: Recurrence, kind: int, period: int) -> int:
    """The first day, week or month since 1601 that is in step with the series (2.2.1.44.1)."""
    start = recurrence.start
    if kind == _DAY:
        return _midnight(start) % period
    if kind == _WEEK:
        week = start.toordinal() - (start.toordinal() - recurrence.pattern.first_day) % 7
        return _midnight(date.fromordinal(max(1, week))) % (period * 10_080)
    months = ((start.year - 1601) * 12 + start.month - 1) % period
    return _midnight(date(1601 + months // 12, months % 12 + 1, 1))


def _write_exception(info: ExceptionInfo) -> bytes:
    flags = (_SUBJECT if info.subject is not None else 0) | (_LOCATION if info.location is not None else 0)
    flags |= sum(bit for bit, name in _NUMBERS if getattr(info, name) is not None)
    parts = [struct.pack("<IIIH", _minutes(info.start), _minutes(info.end), _minutes(info.original), flags)]
    if info.subject is not None:
        parts.append(_write_narrow(info.subject))
    parts += [struct.pack("<I", getattr(info, name)) for bit, name in _NUMBERS[:3] if flags & bit]
    if info.location is not None:
        parts.append(_write_narrow(info.location))
    parts += [struct.pack("<I", getattr(info, name)) for bit, name in _NUMBERS[3:] if flags & bit]
    return b"".join(parts)


def _write_narrow(text: str) -> bytes:
    coded = text.encode("cp1252", "replace")[:255]
    return struct.pack("<HH", len(coded) + 1, len(coded)) + coded


def _write_extended(info: ExceptionInfo) -> bytes:
    parts = [struct.pack("<II", 4, 0), bytes(4)]
    texts = [each for each in (info.subject, info.location) if each is not None]
    if texts:
        parts.append(struct.pack("<III", _minutes(info.start), _minutes(info.end), _minutes(info.original)))
        for text in texts:
            coded = text.encode("utf-16-le")[:510]
            parts += [struct.pack("<H", len(coded) // 2), coded]
        parts.append(bytes(4))
    return b"".join(parts)
