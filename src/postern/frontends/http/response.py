"""Answers on the wire: checked fields, a length or chunks, one write where one is enough."""

from __future__ import annotations

import re
from email.utils import formatdate

from postern.frontends.http.asgi import Fields
from postern.frontends.http.statuses import PHRASES

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_RESERVED = frozenset({b"connection", b"transfer-encoding", b"date", b"keep-alive", b"upgrade"})
"""What belongs to the connection is the host's."""

PAGE_POLICY = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""For whatever brings no policy of its own: it loads nothing and is shown in nobody's frame."""
PROTECTION: dict[bytes, bytes] = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"content-security-policy": PAGE_POLICY,
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
"""Fields that every answer has unless its application says otherwise."""


class Dates:
    """The Date field, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def line(self, now: float) -> bytes:
        """`Date: ...` with its line end. `now` in seconds since the epoch."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._line = b"Date: " + formatdate(second, usegmt=True).encode() + b"\r\n"
        return self._line


class Writer:
    """Puts heads together for one listener."""

    def __init__(self, hsts_s: int) -> None:
        self._plain = dict(PROTECTION)
        self._secure = {**PROTECTION, b"strict-transport-security": b"max-age=%d" % hsts_s} if hsts_s else self._plain
        self._dates = Dates()

    def head(self, status: int, fields: Fields, *, secure: bool, close: bool, now: float) -> bytes:
        """Status line and fields up to the empty line. Raises ValueError for what would break out of a field."""
        lines = [b"HTTP/1.1 %d %b\r\n" % (status, PHRASES.get(status, b"")), self._dates.line(now)]
        given = set()
        for name, value in fields:
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError(f"field {name!r} of an answer has octets that no field may have")
            key = name.lower()
            if key in _RESERVED and not (key == b"transfer-encoding" and value == b"chunked"):
                continue
            given.add(key)
            lines.append(b"%b: %b\r\n" % (name, value))
        for name, value in (self._secure if secure else self._plain).items():
            if name not in given:
                lines.append(b"%b: %b\r\n" % (name, value))
        if close:
            lines.append(b"Connection: close\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)
