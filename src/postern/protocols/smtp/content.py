"""Message content as DATA and BDAT carry it (RFC 5321 4.1.1.4, 4.5.2; RFC 3030).

Only CRLF.CRLF ends DATA, whatever bare CRs and LFs stand before it; a message that has any is refused as a whole, so
that no two servers on its way can disagree about where it ends (SMTP smuggling).
"""

from __future__ import annotations

import re
from typing import Literal

from postern.protocols.smtp import reply
from postern.protocols.smtp.reply import Reply

_TERMINATOR = b"\r\n.\r\n"
_ANY_NEWLINE = re.compile(rb"\r\n|\r|\n")
# `re` looks for the first octet with memchr: twice as fast as bytes.find and bytes.count with short needles
_DOTTED_LINE = re.compile(rb"\r\n\.").search


def patience(limit_bytes: int) -> int:
    """How many octets of a message that is too large are read over before the connection is cut."""
    return 2 * limit_bytes + 65536


class Content:
    """Collects one message.

    Past its limit nothing is kept, and reading goes on to the end so that the reply can be given; a peer that then
    goes on as long again is cut off (`overrun`).
    """

    __slots__ = ("_data", "_limit", "_seen", "too_large")

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        # The line before the first one: lets one search find the terminator of an empty message too.
        self._data = bytearray(b"\r\n")
        self._seen = 0
        self.too_large = False
        """Whether the limit was passed; nothing is kept then."""

    @property
    def overrun(self) -> bool:
        """Whether reading on is pointless."""
        return self._seen > patience(self._limit)

    @property
    def size(self) -> int:
        """Octets so far."""
        return self._seen

    def data(self, chunk: bytes) -> tuple[bytes, bytes] | None:
        """Add what was read after DATA; (content, what follows it) once the end has come.

        Content has its dots unstuffed; it is empty if the message was too large.
        """
        if not self._seen:
            # Nearly every message comes in one piece: search it where it lies.
            if chunk.startswith(b".\r\n"):
                return b"", chunk[3:]
            # The first line with a dot is the end, or there is something to unstuff: one search tells both.
            match = _DOTTED_LINE(chunk)
            dot = match.start() if match else -1
            end = dot if chunk.startswith(_TERMINATOR, dot) else chunk.find(_TERMINATOR, dot) if dot >= 0 else -1
            if end >= 0:
                self._seen = end + 2
                self.too_large = end + 2 > self._limit
                return self._whole(chunk[: end + 2], dotted=dot < end), chunk[end + 5 :]
        collected = self._data
        before = len(collected)
        collected += chunk
        end = collected.find(_TERMINATOR, max(0, before - 4))
        if end < 0:
            self._seen += len(chunk)
            # The last two octets may turn out to be the start of `.CRLF`, which does not count.
            if self.too_large or self._seen - 2 > self._limit:
                self.too_large = True
                del collected[:-4]
            return None
        rest = chunk[end + 5 - before :]
        self._seen += end + 2 - before
        self.too_large = self.too_large or self._seen > self._limit
        if self.too_large:
            return b"", rest
        with memoryview(collected) as view:
            return self._whole(bytes(view[2 : end + 2]), dotted=True), rest

    def _whole(self, content: bytes, *, dotted: bool) -> bytes:
        """Undo dot-stuffing (RFC 5321 4.5.2)."""
        if self.too_large:
            return b""
        if dotted:
            content = content.replace(b"\r\n.", b"\r\n")
        return content[1:] if content.startswith(b".") else content

    def chunk(self, data: bytes) -> None:
        """Add octets of a BDAT chunk."""
        self._seen += len(data)
        if not self.too_large:
            self._data += data

    def announce(self, size: int) -> None:
        """A BDAT command says how much is coming: keep nothing of what cannot fit."""
        if self._seen + size > self._limit:
            self.too_large = True
            self._data.clear()

    def chunked(self) -> bytes:
        """All chunks."""
        with memoryview(self._data) as view:
            return bytes(view[2:])


def check(content: bytes, *, binary: bool, bare_newlines: Literal["refuse", "fix"]) -> bytes | Reply:
    """The content to keep, or why it is refused."""
    if binary:
        return content
    if b"\0" in content:
        return reply.NUL_OCTET
    # searching for whole line ends is several times as fast as counting octets
    rest = content.replace(b"\r\n", b"")
    if b"\n" in rest or b"\r" in rest:
        if bare_newlines == "refuse":
            return reply.BARE_NEWLINE
        content = _ANY_NEWLINE.sub(b"\r\n", content)
    if content and not content.endswith(b"\r\n"):
        return content + b"\r\n"  # only BDAT can leave the last line open
    return content
