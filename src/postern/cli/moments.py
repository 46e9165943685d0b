"""Times as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from postern.cli.language import _
from postern.net.clock import SystemClock

_SPAN = re.compile(r"(\d+)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def moment(at: float | None) -> str:
    """Local time, to the second."""
    if at is None:
        return "-"
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(at: float) -> str:
    """How long ago: `42 s`, `5 min`, `3 h`, `2 d`."""
    seconds = max(0, int(SystemClock().timestamp() - at))
    if seconds < 60:
        return _("{count} s", count=seconds)
    if seconds < 3600:
        return _("{count} min", count=seconds // 60)
    if seconds < 86400:
        return _("{count} h", count=seconds // 3600)
    return _("{count} d", count=seconds // 86400)


def parse_moment(text: str) -> float:
    """`2h`, `3d` (ago), or a date with or without time, local unless it says otherwise. Raises ValueError."""
    span = _SPAN.fullmatch(text.strip())
    now = SystemClock().now()
    if span:
        return (now - timedelta(seconds=int(span[1]) * _SECONDS[span[2]])).timestamp()
    given = datetime.fromisoformat(text.strip())
    return given.timestamp() if given.tzinfo else given.astimezone().timestamp()
