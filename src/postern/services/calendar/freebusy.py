"""Free/busy: what others may see of a calendar (MS-OXWAVLS 2.2.4, 3.1.4.1).

Times are whole seconds since the epoch: a hundred calendars of six weeks are merged while somebody waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache
from operator import attrgetter

import msgspec

from postern.convert.busy_times import times_in
from postern.model.calendar.appointment import Appointment, Busy, Sensitivity
from postern.model.calendar.blocks import Alike, Block, Details, blocks_of
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
_ONE = ord("1")


class Detail(IntEnum):
    """How much somebody may see."""

    NOTHING = 0
    TIMES = 1
    """FREEBUSY_SIMPLE: free or not."""
    SUBJECTS = 2
    """FREEBUSY_DETAILED: subject and place too."""
    ALL = 3
    """Reviewer: whatever is in the calendar."""


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


_ALONE = {bytes((busy,)): busy for busy in Busy if busy is not Busy.FREE}
"""What is kept of single items that are not free."""
_FREE = bytes((Busy.FREE,))


def times(spans: Sequence[tuple[Uid, int, int, bytes]], start: datetime, end: datetime, viewer: Zone) -> list[Alike]:
    """What is busy in a window by what the store keeps for it (`Mailbox.spans` of the window), in no order.

    Items of which nothing is kept are left out. Raises ValueError for what `span_of` has not made.
    """
    window = seconds(start), seconds(end)
    alone: dict[bytes, tuple[list[int], list[int]]] = {kept: ([], []) for kept in _ALONE}
    found: list[Alike] = []
    for _uid, first, last, kept in spans:
        if kept in alone:
            starts, ends = alone[kept]
            starts.append(first)
            ends.append(last)
        elif len(kept) > 1:
            found += times_in(kept, *window, viewer)
        elif kept not in (b"", _FREE):
            raise ValueError(f"nothing is {kept!r}")
    for kept, (starts, ends) in alone.items():
        if starts:
            found.append(Alike(_ALONE[kept], 0, blocks_of(_ALONE[kept], starts, ends)))
    return found


def in_order(found: Iterable[Block]) -> list[Block]:
    """By start; the first MAX_BLOCKS."""
    ordered = sorted(found, key=attrgetter("end"))
    ordered.sort(key=attrgetter("start"))  # twice by a number costs half of once by two
    return ordered[:MAX_BLOCKS]


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


_ORDER = (Busy.FREE, Busy.WORKING_ELSEWHERE, Busy.TENTATIVE, Busy.BUSY, Busy.OUT_OF_OFFICE)
"""Where appointments overlap, each hides those before it."""


def view_of(found: Iterable[Alike], start: datetime, end: datetime, interval_minutes: int = 30) -> str:
    """One digit for each interval, that of the busiest appointment in it (EWS MergedFreeBusy); the last may be cut."""
    step = interval_minutes * 60
    origin = int(start.timestamp())
    slots = -(-(int(end.timestamp()) - origin) // step)
    if not slots:  # within a second
        return ""
    even: dict[Busy, int] = {}
    uneven: dict[Busy, list[Sequence[Block]]] = {}
    for busy, every, blocks in found:
        if every and every % step == 0:
            first = blocks[0]
            marks = _marks(first.start - origin, first.end - origin, every, len(blocks), step, slots)
            even[busy] = even.get(busy, 0) | marks
        else:
            uneven.setdefault(busy, []).append(blocks)
    kinds = [kind for kind in _ORDER if kind in even or kind in uneven]
    marked = [_marked(even.get(kind, 0), uneven.get(kind, ()), origin, step, slots) for kind in kinds]
    if len(kinds) == 1:
        return marked[0].replace(b"1", b"%d" % kinds[0]).decode()
    # a hexadecimal digit for each interval; the busiest are written last, over what they hide
    view = 0
    for kind, each in zip(kinds, marked, strict=True):
        ones = int(each, 16)
        view = view & ~(15 * ones) | kind * ones
    return f"{view:0{slots}x}"


@lru_cache(maxsize=1024)
def _marks(begins: int, ends: int, every: int, count: int, step: int, slots: int) -> int:
    """The intervals of blocks that are some whole intervals apart, as ones in a binary number, the first one leftmost.

    `begins`, `ends`: seconds from the first interval's start. At most 2.5 KB an entry.
    """
    first, last = begins // step, (ends - 1) // step if begins < ends else begins // step - 1
    marks, one, stride = 0, (1 << last - first + 1) - 1, every // step
    for _ in range(count):
        marks = marks << stride | one
    # now the last block's last interval is rightmost
    left = slots - 1 - (last + (count - 1) * stride)
    marks = marks << left if left >= 0 else marks >> -left
    return marks & (1 << slots) - 1


def _marked(even: int, uneven: Iterable[Sequence[Block]], origin: int, step: int, slots: int) -> bytearray:
    """Ones and noughts for each interval."""
    marked = bytearray(f"{even:0{slots}b}".encode())
    ones = b"1" * slots
    after = origin + 1
    for blocks in uneven:
        for block in blocks:
            first = (block.start - origin) // step
            last = (block.end - after) // step
            if not 0 <= first <= last < slots:
                first, last = max(first, 0), min(last, slots - 1)
            if first <= last and block.start != block.end:
                marked[first] = marked[last] = _ONE
                if last > first + 1:
                    marked[first:last] = ones[first:last]
    return marked


def merged(found: Sequence[Block], start: datetime, end: datetime, interval_minutes: int = 30) -> str:
    """`view_of` blocks."""
    kinds = {block.busy for block in found}
    return view_of(
        [Alike(kind, 0, [block for block in found if block.busy is kind]) for kind in kinds],
        start,
        end,
        interval_minutes,
    )


def no_data(start: datetime, end: datetime, interval_minutes: int = 30) -> str:
    """The view of a calendar that nothing is known of."""
    step = interval_minutes * 60
    return NO_DATA * -(-int((end - start).total_seconds()) // step)


def joined(found: Sequence[Block]) -> list[Block]:
    """Without details, neighbours and overlaps of one kind made one (iCalendar's VFREEBUSY)."""
    by_kind: dict[Busy, list[Block]] = {}
    for block in sorted(found, key=attrgetter("start", "end", "busy")):
        row = by_kind.setdefault(block.busy, [])
        if row and block.start <= row[-1].end:
            row[-1] = Block(row[-1].start, max(row[-1].end, block.end), block.busy, None)
        else:
            row.append(Block(block.start, block.end, block.busy, None))
    return sorted((block for row in by_kind.values() for block in row), key=attrgetter("start", "end", "busy"))


def at(seconds: int) -> datetime:
    """Aware UTC."""
    return datetime.fromtimestamp(seconds, UTC)
