"""What others may see of an appointment: when, how busy its owner is, and what it is about (MS-OXWAVLS 2.2.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import NamedTuple

import msgspec

from postern.model.calendar.appointment import Busy


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


class Block(msgspec.Struct, frozen=True, gc=False):
    """One appointment, [start, end) in seconds since the epoch."""

    start: int
    end: int
    busy: Busy
    details: Details | None


class Alike(NamedTuple):
    """Blocks without details that differ in their times alone, at least one."""

    busy: Busy
    every: int
    """Seconds from each to the next; 0: not the same for all."""
    blocks: Sequence[Block]


def blocks_of(busy: Busy, starts: Iterable[int], ends: Iterable[int]) -> tuple[Block, ...]:
    """Blocks without details."""
    return tuple(map(Block, starts, ends, repeat(busy), repeat(None)))
