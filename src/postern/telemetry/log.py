"""Structured logs: one JSON object a line on standard error.

A connection binds its correlation id once (`correlate`); every line that its task writes carries it, through services
and store, without anyone passing it on.
"""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec
from typing import Any, TextIO

# structlog imports rich for its console renderer, which no server uses: megabytes in every process
_HIDDEN = "rich" not in sys.modules and find_spec("rich") is not None
if _HIDDEN:
    sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog
finally:
    if _HIDDEN:
        del sys.modules["rich"]

import msgspec  # noqa: E402 - after the block above

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_encoder = msgspec.json.Encoder(enc_hook=str)


def _render(logger: object, name: str, event: Any) -> str:
    return _encoder.encode(event).decode()


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Once, before the fork. Levels: debug, info, warning, error. Raises KeyError for another."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Json()], level=LEVELS[level], force=True)


class _Json(logging.Handler):
    """Lines that parts write with the standard library's logging, in the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line on."""
        error = record.exc_info if record.exc_info and record.exc_info[0] else None
        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name, exc_info=error)


def logger(**values: Any) -> Any:
    """A logger that adds `values` to every line: `log.info("queue.retried", message=id)`."""
    return structlog.get_logger(**values)


def correlate(**values: Any) -> None:
    """Add values to every line of the running task, such as session=correlation id."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**values)
