"""The real Clock and Entropy (model.ports)."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Aware UTC time."""
        return datetime.now(UTC)

    def timestamp(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()


class SystemEntropy:
    """The kernel's generator."""

    def token(self, size_bytes: int) -> bytes:
        """Unpredictable bytes."""
        return secrets.token_bytes(size_bytes)

    def below(self, limit: int) -> int:
        """An unpredictable integer in [0, limit)."""
        return secrets.randbelow(limit)
