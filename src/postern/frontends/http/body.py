"""The body of a request as it comes: limited in size, in time, and read only when somebody wants it."""

from __future__ import annotations

import asyncio

from postern.frontends.http.settings import HttpSettings
from postern.frontends.ports import Stream
from postern.model.refusal import Reason, Refusal
from postern.protocols.http.session import CHUNKED, RequestHead, Session

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
DISCARD_BYTES = 65536
"""What is left unread of a body up to this size is read and dropped, so that the connection can go on."""


class Body:
    """Of one request."""

    __slots__ = ("_deadline", "_head", "_limit", "_loop", "_session", "_settings", "_stream", "continued", "done",
                 "size")  # fmt: skip

    def __init__(self, session: Session, stream: Stream, head: RequestHead, settings: HttpSettings, limit: int) -> None:
        self._session = session
        self._stream = stream
        self._head = head
        self._settings = settings
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + settings.body_timeout_s
        self.continued = not (head.expect_continue and head.length)
        """The client has been asked for the body, or sends it unasked."""
        self.done = False
        self.size = 0

    async def next(self) -> bytes:
        """A piece; empty when the body is complete.

        Raises Refusal(TOO_LARGE), HttpViolation, TimeoutError, ConnectionError.
        """
        if self.done:
            return b""
        if self._head.length > self._limit:
            raise Refusal(Reason.TOO_LARGE, f"a body of {self._head.length} octets")
        if not self.continued:
            self.continued = True
            self._stream.write(CONTINUE)
        while True:
            event = self._session.next_event()
            if event is None:
                left = self._deadline + self.size / self._settings.body_rate - self._loop.time()
                data = await self._stream.read(max(0.0, left))
                if not data:
                    raise ConnectionResetError("the client closed the connection within a body")
                self._session.feed(data)
                continue
            if isinstance(event, bytes):
                self.size += len(event)
                if self.size > self._limit:
                    raise Refusal(Reason.TOO_LARGE, "a body without end")
                return event
            self.done = True
            return b""

    @property
    def discardable(self) -> bool:
        """Whether what is left of it is little enough to be read and dropped."""
        if self.done:
            return True
        if not self.continued:
            return False
        return self._head.length == CHUNKED or self._head.length - self.size <= DISCARD_BYTES

    async def discard(self) -> bool:
        """Read what is left; whether the connection can go on. Raises as `next` does, but for sizes."""
        if not self.discardable:
            return False
        self._limit = self.size + DISCARD_BYTES
        try:
            while await self.next():
                pass
        except Refusal:
            return False
        return True
