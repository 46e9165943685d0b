"""Lines out of chunks of any size.

The buffer is one immutable `bytes` and a position in it: taking a line copies that line only, and many pipelined
lines of one read cost one search each. Only CRLF ends a line properly; a bare LF is reported, never taken for it.
"""

from __future__ import annotations

from enum import Enum


class Fault(Enum):
    """Why there is no proper line at the head of the buffer."""

    NEED_DATA = "need_data"
    TOO_LONG = "too_long"
    BARE_NEWLINE = "bare_newline"


class LineBuffer:
    """Bytes received and not yet consumed."""

    __slots__ = ("_data", "_position", "_skipping")

    def __init__(self) -> None:
        self._data = b""
        self._position = 0
        self._skipping = False

    def __len__(self) -> int:
        return len(self._data) - self._position

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        if self._position == len(self._data):
            self._data = data
        else:
            self._data = self._data[self._position :] + data
        self._position = 0

    def line(self, limit_bytes: int) -> bytes | Fault:
        """Take the next line, without its CRLF.

        A line of more than `limit_bytes` octets (CRLF included) is dropped whole and reported once as TOO_LONG when
        its end has come, however many chunks it takes; no more than one chunk of it is kept. A line with a bare CR
        or ended by a bare LF is consumed and reported.
        """
        start = self._position
        newline = self._data.find(b"\n", start)
        if newline < 0:
            if self._skipping or len(self._data) - start > limit_bytes:
                self._skipping = True
                self._data = b""
                self._position = 0
            return Fault.NEED_DATA
        self._position = newline + 1
        if self._skipping:
            self._skipping = False
            return Fault.TOO_LONG
        if newline + 1 - start > limit_bytes:
            return Fault.TOO_LONG
        line = self._data[start : newline - 1] if newline > start else b""
        if newline == start or self._data[newline - 1] != 13 or b"\r" in line:
            return Fault.BARE_NEWLINE
        return line

    def take(self, limit_bytes: int) -> bytes:
        """Take up to `limit_bytes` octets as they are."""
        start = self._position
        if start == 0 and len(self._data) <= limit_bytes:
            data, self._data = self._data, b""
            return data
        data = self._data[start : start + limit_bytes]
        self._position = start + len(data)
        return data

    def take_all(self) -> bytes:
        """Take everything."""
        return self.take(len(self))

    def clear(self) -> int:
        """Drop everything; how many octets that was."""
        dropped = len(self)
        self._data = b""
        self._position = 0
        self._skipping = False
        return dropped
