"""When to try again: intervals grow, and differ by chance so that a next hop that comes back is not stormed."""

from __future__ import annotations

import msgspec

from postern.model.ports import Entropy

INTERVALS_SECONDS = (60, 120, 300, 600, 1200, 1800, 3600, 7200)
"""After the first, second ... failed attempt; the last one repeats (RFC 5321 4.5.4.1)."""


class Schedule(msgspec.Struct, frozen=True):
    """Growing retry intervals with jitter, and what the sender is told when."""

    intervals_seconds: tuple[int, ...] = INTERVALS_SECONDS
    jitter_percent: int = 20
    """Up to this much is added."""
    delay_notice_seconds: float = 4 * 3600.0
    """After how long the sender is told that we still try."""
    expiry_seconds: float = 5 * 86400.0
    """After how long we give up; RFC 5321 4.5.4.1: at least 4 to 5 days."""

    @property
    def longest_seconds(self) -> float:
        """No pause is longer."""
        return max(self.intervals_seconds) * (100 + self.jitter_percent) / 100

    def delay_seconds(self, attempts: int, entropy: Entropy) -> float:
        """Pause after the given number of failed attempts (1 or more)."""
        base = self.intervals_seconds[min(max(attempts, 1), len(self.intervals_seconds)) - 1]
        return base + base * self.jitter_percent * entropy.below(1001) / 100_000
