"""How many workers there are."""

from __future__ import annotations

import os

from postern.config.settings import Settings


def worker_count(settings: Settings) -> int:
    """Workers to run: as set, or one a processor."""
    return settings.server.workers or len(os.sched_getaffinity(0))
