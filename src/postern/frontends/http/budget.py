"""How much one account may ask of a worker: so many requests at once, and so many a minute.

A bucket holds a minute's requests, so that whoever was quiet may be busy for a while; it fills evenly. Each worker
counts for itself: a client has few connections, and no request waits for a table that all workers share.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from postern.model.ids import AccountId

MAX_ACCOUNTS = 20_000
"""Buckets kept; the one that was used longest ago goes first."""
BUSY_S = 5.0
"""Told to whoever has too many requests at once: nobody knows when one of them ends."""


class _Account:
    __slots__ = ("left", "running", "seen_at")

    def __init__(self, left: float, now: float) -> None:
        self.left = left
        self.running = 0
        self.seen_at = now


class Turn:
    """One request's place. An application that is going to wait for long (notifications) gives it back before."""

    __slots__ = ("_account",)

    def __init__(self, account: _Account | None) -> None:
        self._account = account

    def release(self) -> None:
        """Give the place back; again does nothing."""
        if self._account is not None:
            self._account.running -= 1
            self._account = None


class Budgets:
    """One per worker and listener."""

    def __init__(self, concurrency: int, per_minute: int, monotonic: Callable[[], float]) -> None:
        """0 is no limit."""
        self._concurrency = concurrency
        self._per_minute = per_minute
        self._monotonic = monotonic
        self._accounts: OrderedDict[AccountId, _Account] = OrderedDict()

    def enter(self, account: AccountId) -> Turn | float:
        """A place for a request, or the seconds after which it is worth another attempt."""
        if not (self._concurrency or self._per_minute):
            return Turn(None)
        now = self._monotonic()
        mine = self._accounts.get(account)
        if mine is None:
            mine = self._accounts[account] = _Account(float(self._per_minute), now)
            if len(self._accounts) > MAX_ACCOUNTS:
                self._forget()
        else:
            self._accounts.move_to_end(account)
            mine.left = min(self._per_minute, mine.left + (now - mine.seen_at) * self._per_minute / 60)
            mine.seen_at = now
        if self._concurrency and mine.running >= self._concurrency:
            return BUSY_S
        if self._per_minute:
            if mine.left < 1:
                return (1 - mine.left) * 60 / self._per_minute
            mine.left -= 1
        mine.running += 1
        return Turn(mine)

    def _forget(self) -> None:
        """Drop the oldest one that has nothing running; one that has is put last."""
        for _ in range(len(self._accounts)):
            number, oldest = self._accounts.popitem(last=False)
            if not oldest.running:
                return
            self._accounts[number] = oldest
