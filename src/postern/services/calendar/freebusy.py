"""Free/busy: what others may see of a calendar (MS-OXWAVLS 2.2.4, 3.1.4.1).

Times are whole seconds since the epoch: a hundred calendars of six weeks are merged while somebody waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from functools import partial
from itertools import repeat
from operator import itemgetter
from typing import NamedTuple

import msgspec

from postern.convert.busy_times import times_in
from postern.model.calendar.appointment import Appointment, Busy, Sensitivity
from postern.model.calendar.recurrence import WORKDAYS, Weekday
from postern.model.calendar.views import seconds, spans
from postern.model.calendar.zones import UTC_ZONE, Zone, tzinfo_of
from postern.model.ids import Uid
from postern.model.refusal import Reason, Refusal
from postern.model.rights import FolderRight

MAX_WINDOW_DAYS = 62
"""EWS: ErrorTimeIntervalTooBig above it (42 days in Exchange 2007, 62 since)."""
MIN_INTERVAL_MINUTES, MAX_INTERVAL_MINUTES = 5, 1440
MAX_BLOCKS = 1000
"""Of one calendar, as in Exchange (CalendarEventArray)."""
NO_DATA = "4"


class Detail(IntEnum):
    """How much somebody may see."""

    NOTHING = 0
    TIMES = 1
    """FREEBUSY_SIMPLE: free or not."""
    SUBJECTS = 2
    """FREEBUSY_DETAILED: subject and place too."""
    ALL = 3
    """Reviewer: whatever is in the calendar."""


class Details(msgspec.Struct, frozen=True):
    """What an appointment is about (CalendarEventDetails)."""

    subject: str
    location: str
    uid: str
    meeting: bool
    recurring: bool
    exception: bool
    reminder: bool
    private: bool


class Block(NamedTuple):
    """One appointment, [start, end) in seconds since the epoch."""

    start: int
    end: int
    busy: Busy
    details: Details | None


class WorkingHours(msgspec.Struct, frozen=True):
    """When somebody works, by the wall clock of a zone; minutes after midnight."""

    zone: Zone = UTC_ZONE
    days: Weekday = WORKDAYS
    start_minute: int = 480
    end_minute: int = 1020

    def covers(self, start: int, end: int) -> bool:
        """Whether an interval lies within one working day."""
        clock = tzinfo_of(self.zone)
        first, last = datetime.fromtimestamp(start, clock), datetime.fromtimestamp(end, clock)
        begins = first.hour * 60 + first.minute
        ends = (last.toordinal() - first.toordinal()) * 1440 + last.hour * 60 + last.minute
        return (
            bool(self.days & (1 << first.toordinal() % 7)) and self.start_minute <= begins and ends <= self.end_minute
        )


_READ_ANY, _DETAILED = int(FolderRight.READ_ANY), int(FolderRight.FREEBUSY_DETAILED)
_SIMPLE = int(FolderRight.FREEBUSY_SIMPLE)


def detail_of(rights: FolderRight) -> Detail:
    """What folder rights show of a calendar (MS-OXCPERM 2.2.7)."""
    held = int(rights)  # a flag's own operators cost a microsecond each
    if held & _READ_ANY:
        return Detail.ALL
    if held & _DETAILED:
        return Detail.SUBJECTS
    return Detail.TIMES if held & _SIMPLE else Detail.NOTHING


def check_window(start: datetime, end: datetime, interval_minutes: int = 30) -> None:
    """Raises Refusal(BAD_VALUE) for a window or an interval that nobody answers for."""
    if not start < end:
        raise Refusal(Reason.BAD_VALUE, "free/busy: the window ends before it begins")
    if (end - start).days > MAX_WINDOW_DAYS:
        raise Refusal(Reason.BAD_VALUE, f"free/busy: the window is longer than {MAX_WINDOW_DAYS} days")
    if not MIN_INTERVAL_MINUTES <= interval_minutes <= MAX_INTERVAL_MINUTES:
        raise Refusal(Reason.BAD_VALUE, "free/busy: an interval has 5 to 1440 minutes")


def blocks(
    items: Iterable[Appointment], start: datetime, end: datetime, viewer: Zone, detail: Detail = Detail.TIMES
) -> list[Block]:
    """What is in a window, by start; nothing of what somebody may not see, and free time only with subjects.

    Private appointments show their times alone. A cancelled meeting is free.
    """
    if detail is Detail.NOTHING:
        return []
    found: list[Block] = []
    window = seconds(start), seconds(end)
    times_only = detail is Detail.TIMES
    for item in items:
        if times_only and not item.modified and (item.busy is Busy.FREE or item.is_canceled):
            continue
        last: Appointment | None = None
        busy, details = Busy.FREE, None
        for begins, ends, shown, day in spans(item, *window, viewer, MAX_BLOCKS):
            if shown is not last:  # occurrences of a series are alike
                last = shown
                busy = Busy.FREE if shown.is_canceled else shown.busy
                if not times_only:
                    details = _details(shown, recurring=day is not None, exception=shown is not item)
            if busy is not Busy.FREE or not times_only:
                found.append(Block(begins, ends, busy, details))
    return in_order(found)


_BUSY = tuple(Busy(value) for value in range(5))
_block = partial(tuple.__new__, Block)  # a third of what the class itself costs, and there are tens of thousands


def times(spans: Iterable[tuple[Uid, int, int, bytes]], start: datetime, end: datetime, viewer: Zone) -> list[Block]:
    """What is busy in a window by what the store keeps for it (`Mailbox.spans` of the window), in no order.

    Items of which nothing is kept are left out. Raises ValueError for what `span_of` has not made.
    """
    window = seconds(start), seconds(end)
    found: list[Block] = []
    for _uid, starts_at, ends_at, kept in spans:
        if len(kept) == 1:
            if kept != b"\0":
                found.append(_block((starts_at, ends_at, _BUSY[kept[0]], None)))
        elif kept:
            for busy, starts, ends in times_in(kept, *window, viewer):
                found += map(_block, zip(starts[:MAX_BLOCKS], ends, repeat(_BUSY[busy]), repeat(None)))
    return found


def in_order(found: list[Block]) -> list[Block]:
    """By start; the first MAX_BLOCKS."""
    found.sort(key=itemgetter(1))
    found.sort(key=itemgetter(0))  # twice by a number costs half of once by two
    return found[:MAX_BLOCKS]


def _details(item: Appointment, *, recurring: bool, exception: bool) -> Details:
    private = item.sensitivity in (Sensitivity.PRIVATE, Sensitivity.CONFIDENTIAL)
    return Details(
        "" if private else item.subject,
        "" if private else item.location,
        "" if private else item.uid,
        item.is_meeting,
        recurring,
        exception,
        item.reminder_minutes is not None,
        private,
    )


# what hides what, where appointments overlap: the place in this list
_ORDER = bytes((Busy.FREE, Busy.WORKING_ELSEWHERE, Busy.TENTATIVE, Busy.BUSY, Busy.OUT_OF_OFFICE))
_DIGITS = bytes.maketrans(bytes(range(5)), bytes(ord("0") + value for value in _ORDER))


def merged(found: Sequence[Block], start: datetime, end: datetime, interval_minutes: int = 30) -> str:
    """One digit for each interval, that of the busiest appointment in it (EWS MergedFreeBusy); the last may be cut."""
    step = interval_minutes * 60
    origin = int(start.timestamp())
    slots = -(-(int(end.timestamp()) - origin) // step)
    view = bytearray(slots)
    kinds = set(map(itemgetter(2), found))
    # the busiest are written last, over what they hide
    for rank, kind in enumerate(_ORDER):
        if not rank or kind not in kinds:
            continue
        fill = bytes((rank,)) * slots
        busy = _BUSY[kind]
        for begins, ends, _, _ in found if len(kinds) == 1 else [block for block in found if block[2] is busy]:
            first = (begins - origin) // step
            last = (ends - 1 - origin) // step
            if not 0 <= first <= last < slots:
                first, last = max(first, 0), min(last, slots - 1)
            if first <= last and begins < ends:
                view[first] = view[last] = rank
                if last - first > 1:
                    view[first:last] = fill[first:last]
    return view.translate(_DIGITS).decode()


def no_data(start: datetime, end: datetime, interval_minutes: int = 30) -> str:
    """The view of a calendar that nothing is known of."""
    step = interval_minutes * 60
    return NO_DATA * -(-int((end - start).total_seconds()) // step)


def joined(found: Sequence[Block]) -> list[Block]:
    """Without details, neighbours and overlaps of one kind made one (iCalendar's VFREEBUSY)."""
    by_kind: dict[Busy, list[Block]] = {}
    for block in sorted(found, key=lambda each: each[:3]):
        row = by_kind.setdefault(block.busy, [])
        if row and block.start <= row[-1].end:
            row[-1] = Block(row[-1].start, max(row[-1].end, block.end), block.busy, None)
        else:
            row.append(Block(block.start, block.end, block.busy, None))
    return sorted((block for row in by_kind.values() for block in row), key=lambda each: each[:3])


def at(seconds: int) -> datetime:
    """Aware UTC."""
    return datetime.fromtimestamp(seconds, UTC)
