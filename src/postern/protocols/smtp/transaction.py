"""A mail transaction (RFC 5321 3.3): sender, recipients and content until they are a message."""

from __future__ import annotations

from typing import Literal, NamedTuple

from postern.model.envelope import Envelope, Recipient
from postern.protocols.lines.buffer import LineBuffer
from postern.protocols.smtp import reply
from postern.protocols.smtp.commands import Mail, Message
from postern.protocols.smtp.content import Content, patience
from postern.protocols.smtp.reply import Reply


class _Chunk(NamedTuple):
    size: int
    last: bool
    refusal: Reply | None


class Transaction:
    """What MAIL, RCPT, DATA and BDAT have said so far."""

    __slots__ = ("_chunk", "_chunk_left", "_content", "bare_newlines", "chunk_failed", "mail", "recipients")

    def __init__(self, bare_newlines: Literal["refuse", "fix"]) -> None:
        self.bare_newlines = bare_newlines
        self.mail: Mail | None = None
        self.recipients: list[Recipient] = []
        self.chunk_failed = False
        """A chunk was refused: every further one is, until RSET (RFC 3030 2)."""
        self._content: Content | None = None
        self._chunk = _Chunk(0, False, None)
        self._chunk_left = 0

    def reset(self) -> None:
        """Forget everything."""
        self.mail = None
        self.recipients = []
        self.chunk_failed = False
        self._content = None

    @property
    def chunked(self) -> bool:
        """Whether a BDAT was tried: DATA and RCPT are out of order then."""
        return self._content is not None or self.chunk_failed

    # --- DATA

    def begin_data(self, limit_bytes: int) -> None:
        """Content follows."""
        self._content = Content(limit_bytes, bare_newlines=self.bare_newlines)

    def read_data(self, buffer: LineBuffer) -> Message | Reply | None:
        """Take content; the message or its refusal once it is whole. A 552 may come before the end: see `cut_off`."""
        assert self._content is not None
        taken = self._content.data(buffer.take_all())
        if taken is None:
            return reply.TOO_LARGE if self._content.overrun else None
        data, rest = taken
        if rest:
            buffer.feed(rest)
        return self._finish(data)

    @property
    def cut_off(self) -> bool:
        """Whether the peer sends without end, so that only closing helps."""
        return self._content is not None and self._content.overrun

    # --- BDAT

    def begin_chunk(self, size: int, *, last: bool, limit_bytes: int) -> bool:
        """A chunk follows, and has to be read over even if it is out of order. False if it is absurdly large."""
        if size > patience(limit_bytes):
            return False
        refusal: Reply | None = None
        if self.mail is None:
            refusal = reply.MAIL_FIRST
        elif not self.recipients:
            refusal = reply.NO_VALID_RECIPIENTS
        elif self.chunk_failed:
            refusal = reply.TRANSACTION_FAILED
        else:
            self._content = self._content or Content(
                limit_bytes, bare_newlines=self.bare_newlines, binary=self.mail.body == "BINARYMIME"
            )
            self._content.announce(size)
            if self._content.too_large:
                refusal = reply.TOO_LARGE
        self._chunk = _Chunk(size, last, refusal)
        self._chunk_left = size
        return True

    def chunk_waits(self, buffer: LineBuffer) -> bool:
        """Whether more input is needed to go on with the chunk."""
        return self._chunk_left > 0 and not len(buffer)

    def read_chunk(self, buffer: LineBuffer) -> Message | Reply | None:
        """Take octets of the chunk; None while there are more to come, else the message or a reply to the chunk."""
        if self._chunk_left:
            data = buffer.take(self._chunk_left)
            self._chunk_left -= len(data)
            if self._chunk.refusal is None:
                assert self._content is not None
                self._content.chunk(data)
            if self._chunk_left:
                return None
        if self._chunk.refusal is not None:
            self._content = None
            self.chunk_failed = self.mail is not None
            return self._chunk.refusal
        assert self._content is not None
        if self._chunk.last:
            return self._finish(self._content.chunked())
        return Reply(250, "2.0.0", f"{self._chunk.size} octets received")

    # --- both

    def _finish(self, data: bytes) -> Message | Reply:
        assert self._content is not None
        assert self.mail is not None
        mail = self.mail
        refused = reply.TOO_LARGE if self._content.too_large else self._content.flaw
        if refused is not None:
            self.reset()
            return refused
        self._content = None
        body = mail.body
        if body == "7BIT" and not data.isascii():
            body = "8BITMIME"  # the next hop must not be told otherwise
        return Message(
            Envelope(mail.reverse_path, tuple(self.recipients), body, mail.smtputf8, mail.ret, mail.envid), data
        )
