"""Message content as DATA and BDAT carry it (RFC 5321 4.1.1.4, 4.5.2; RFC 3030).

Only CRLF.CRLF ends DATA, whatever bare CRs and LFs stand before it; a message that has any is refused as a whole, so
that no two servers on its way can disagree about where it ends (SMTP smuggling).
"""

from __future__ import annotations

import io
from typing import Literal

from postern.protocols.smtp import reply
from postern.protocols.smtp.reply import Reply

_TERMINATOR = b"\r\n.\r\n"
_DOT = b"\r\n."


def patience(limit_bytes: int) -> int:
    """How many octets of a message that is too large are read over before the connection is cut."""
    return 2 * limit_bytes + 65536


class Content:
    """Collects one message and looks for what it may not have, piece by piece as it comes: so its end costs no more.

    Past its limit nothing is kept, and reading goes on to the end so that the reply can be given; a peer that then
    goes on as long again is cut off (`overrun`).
    """

    __slots__ = ("_binary", "_context", "_fix", "_kept", "_limit", "_pending", "_seen", "flaw", "too_large")

    def __init__(
        self, limit_bytes: int, *, bare_newlines: Literal["refuse", "fix"] = "refuse", binary: bool = False
    ) -> None:
        self._limit = limit_bytes
        self._fix = bare_newlines == "fix"
        self._binary = binary
        # The line before the first one: lets one search find the terminator of an empty message too.
        self._context = b"\r\n"
        self._pending = b""
        self._kept = io.BytesIO()
        self._seen = 0
        self.too_large = False
        """Whether the limit was passed; nothing is kept then."""
        self.flaw: Reply | None = None
        """Why the content is refused, as far as it has come."""

    @property
    def overrun(self) -> bool:
        """Whether reading on is pointless."""
        return self._seen > patience(self._limit)

    @property
    def size(self) -> int:
        """Octets so far."""
        return self._seen

    # --- DATA

    def data(self, chunk: bytes) -> tuple[bytes, bytes] | None:
        """Add what was read after DATA; (content, what follows it) once the end has come.

        Content has its dots unstuffed; it is empty if the message was too large or has a flaw.
        """
        if not self._seen:
            # Nearly every message comes in one piece: search it where it lies.
            if chunk.startswith(b".\r\n"):
                return b"", chunk[3:]
            # The first line with a dot is the end, or there is something to unstuff: one search tells both.
            dot = chunk.find(_DOT)
            end = dot if chunk.startswith(_TERMINATOR, dot) else chunk.find(_TERMINATOR, dot) if dot >= 0 else -1
            if end >= 0:
                self._seen = end + 2
                self.too_large = end + 2 > self._limit
                return self._whole(chunk[: end + 2], dotted=dot < end), chunk[end + 5 :]
        # two octets that are done with tell whether a dot begins a line
        buffer = self._context + self._pending + chunk
        end = buffer.find(_TERMINATOR)
        if end < 0:
            self._seen += len(chunk)
            # The last two octets may turn out to be the start of `.CRLF`, which does not count.
            if self.too_large or self._seen - 2 > self._limit:
                self._drop()
            cut = max(2, len(buffer) - 4)
            if cut > 2 and buffer[cut - 1] == 13:
                cut -= 1  # no piece ends between CR and LF
            self._keep_lines(buffer[:cut])
            self._context, self._pending = buffer[cut - 2 : cut], buffer[cut:]
            return None
        self._seen += end - len(self._pending)
        self.too_large = self.too_large or self._seen > self._limit
        self._keep_lines(buffer[: end + 2])
        return self._all(), buffer[end + 5 :]

    def _whole(self, content: bytes, *, dotted: bool) -> bytes:
        """Undo dot-stuffing (RFC 5321 4.5.2) of a message that came in one piece."""
        if self.too_large:
            return b""
        if dotted:
            content = content.replace(b"\r\n.", b"\r\n")
        content = self._checked(content[1:] if content.startswith(b".") else content)
        return b"" if self.flaw else content

    def _keep_lines(self, piece: bytes) -> None:
        """The same of a piece behind two octets that are kept already."""
        if not (self.too_large or self.flaw):
            self._kept.write(self._checked(piece.replace(b"\r\n.", b"\r\n")[2:]))

    # --- BDAT

    def chunk(self, data: bytes) -> None:
        """Add octets of a BDAT chunk."""
        self._seen += len(data)
        if self.too_large or self.flaw:
            return
        data = self._pending + data
        self._pending = b"\r" if data.endswith(b"\r") else b""
        self._kept.write(self._checked(data[:-1] if self._pending else data))

    def announce(self, size: int) -> None:
        """A BDAT command says how much is coming: keep nothing of what cannot fit."""
        if self._seen + size > self._limit:
            self._drop()

    def chunked(self) -> bytes:
        """All chunks; empty if the message was too large or has a flaw."""
        if not (self.too_large or self.flaw):
            self._kept.write(self._checked(self._pending))
            self._pending = b""
        content = self._all()
        if content and not self._binary and not content.endswith(b"\r\n"):
            return content + b"\r\n"  # only BDAT can leave the last line open
        return content

    # --- both

    def _drop(self) -> None:
        self.too_large = True
        self._kept = io.BytesIO()

    def _all(self) -> bytes:
        return b"" if self.too_large or self.flaw else self._kept.getvalue()

    def _checked(self, piece: bytes) -> bytes:
        """A piece as it is kept, which ends in no half CRLF; notes a flaw."""
        if self._binary:
            return piece
        if b"\0" in piece:
            self.flaw = reply.NUL_OCTET
        # searching for whole line ends is several times as fast as counting octets
        rest = piece.replace(b"\r\n", b"")
        if b"\n" in rest or b"\r" in rest:
            if self._fix:
                # not by `re`: each match would be an object, 35 million of them in one message
                return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
            self.flaw = self.flaw or reply.BARE_NEWLINE
        return piece
