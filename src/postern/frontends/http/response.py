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

_MAX_NAMES = 256
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
        self._blocks: dict[tuple[bool, frozenset[bytes]], bytes] = {}
        self._names: dict[bytes, bytes] = {}

    def _protection(self, secure: bool, given: frozenset[bytes]) -> bytes:
        """What is added to an answer that has `given` of the protecting fields itself."""
        block = self._blocks.get((secure, given))
        if block is None:
            fields = self._secure if secure else self._plain
            block = b"".join(b"%b: %b\r\n" % (name, value) for name, value in fields.items() if name not in given)
            self._blocks[secure, given] = block
        return block

    def _name(self, name: bytes) -> bytes:
        """In small letters. Raises ValueError."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"field {name!r} of an answer has octets that no field may have")
        if len(self._names) >= _MAX_NAMES:
            self._names.clear()
        return self._names.setdefault(name, name.lower())

    def head(self, status: int, fields: Fields, *, secure: bool, close: bool, now: float) -> bytes:
        """Status line and fields up to the empty line. Raises ValueError for what would break out of a field."""
        lines = [b"HTTP/1.1 %d %b\r\n" % (status, PHRASES.get(status, b"")), self._dates.line(now)]
        given = set()
        for name, value in fields:
            key = self._names.get(name) or self._name(name)
            if not _VALUE.fullmatch(value):
                raise ValueError(f"field {name!r} of an answer has octets that no field may have")
            if key in _RESERVED and not (key == b"transfer-encoding" and value == b"chunked"):
                continue
            if key in self._secure:
                given.add(key)
            lines.append(b"%b: %b\r\n" % (name, value))
        lines.append(self._protection(secure, frozenset(given)))
        if close:
            lines.append(b"Connection: close\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)
