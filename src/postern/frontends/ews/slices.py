"""Long work in pieces, so that nobody else on the loop waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

LARGE_BYTES = 262_144
"""What works on more octets than this goes to a thread."""
ITEMS = 64
"""Written one after the other before others have their turn."""


async def each(things: Iterable[T], work: Callable[[T], R]) -> list[R]:
    """Do short work for many things."""
    done: list[R] = []
    for number, one in enumerate(things, 1):
        done.append(work(one))
        if number % ITEMS == 0:
            await asyncio.sleep(0)
    return done


async def sized(size: int, work: Callable[[], R]) -> R:
    """Do work on so many octets: in a thread if they are many. It must touch nothing that others change."""
    return work() if size <= LARGE_BYTES else await asyncio.to_thread(work)
