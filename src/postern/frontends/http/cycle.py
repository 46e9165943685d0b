"""One request and its answer, as an ASGI application sees them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from postern.frontends.http.asgi import Application, Message, Scope
from postern.frontends.http.body import Body
from postern.frontends.http.response import Writer
from postern.frontends.ports import Stream
from postern.model.refusal import Refusal
from postern.protocols.http.session import RequestHead

_SMALL_BYTES = 65536
"""Content up to this size is joined with the head into one write."""


class ApplicationError(Exception):
    """An application broke the rules of ASGI, or of HTTP; the answer cannot be finished."""


class Cycle:
    """Runs an application for one request."""

    __slots__ = ("_body", "_chunked", "_close", "_extra", "_gone", "_head", "_left", "_listening", "_now", "_pending",
                 "_refused", "_stream", "_suppressed", "_timeout_s", "_until_gone", "_writer", "complete",
                 "status")  # fmt: skip

    def __init__(
        self,
        head: RequestHead,
        body: Body,
        stream: Stream,
        writer: Writer,
        until_gone: Callable[[], Awaitable[None]],
        now: float,
        timeout_s: float,
    ) -> None:
        """`until_gone` returns when the client has closed the connection; `now` in seconds since the epoch."""
        self._head = head
        self._body = body
        self._stream = stream
        self._writer = writer
        self._until_gone = until_gone
        self._now = now
        self._timeout_s = timeout_s
        self._extra: list[tuple[bytes, bytes]] = []
        self._pending: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._chunked = False
        self._suppressed = head.method == "HEAD"
        self._left: int | None = None
        self._close = not head.keep_alive
        self._listening: asyncio.Task[None] | None = None
        self._gone = False
        self._refused: BaseException | None = None
        self.status = 0
        """Of the answer, once it has begun."""
        self.complete = False
        """The answer has been written to its end."""

    @property
    def keeps(self) -> bool:
        """Whether the connection may go on."""
        return self.complete and not self._close

    async def run(self, application: Application, scope: Scope, extra: list[tuple[bytes, bytes]], close: bool) -> None:
        """Until the application has returned. `extra` fields go with the answer. Raises what the application raises."""
        self._extra = extra
        self._close = self._close or close
        try:
            await application(scope, self.receive, self.send)
        finally:
            if self._listening is not None:
                self._listening.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await self._listening
        if self._refused is not None:
            raise self._refused
        if not self.complete:
            raise ApplicationError("an application returned without an answer")

    # --- ASGI
    async def receive(self) -> Message:
        """A piece of the body, later the end of the connection. Raises Refusal for a body that is too large."""
        if not self._body.done and not self._gone:
            try:
                data = await self._body.next()
            except Refusal as refusal:
                self._close = True
                self._refused = refusal
                raise
            except ConnectionError:
                self._gone = self._close = True
            else:
                return {"type": "http.request", "body": data, "more_body": not self._body.done}
        if not self._gone:
            await asyncio.shield(self.closing())
            self._gone = self._close = True
        return {"type": "http.disconnect"}

    def closing(self) -> asyncio.Task[None]:
        """Done when the client has closed the connection; for whoever has read the body (`state` of the scope has it).

        `receive` says the same, and takes a task more to wait for.
        """
        if self._listening is None:
            self._listening = asyncio.ensure_future(self._until_gone())
        return self._listening

    async def send(self, message: Message) -> None:
        """Take the answer's beginning or a piece of it. Raises ConnectionError if the client is gone."""
        if message["type"] == "http.response.start":
            if self._pending is not None or self.status:
                raise ApplicationError("an answer that begins twice")
            self._refused = None  # the application has an answer of its own
            self._pending = (int(message["status"]), list(message.get("headers", ())))
        elif message["type"] == "http.response.body":
            await self._content(bytes(message.get("body", b"")), bool(message.get("more_body")))
        else:
            raise ApplicationError(f"{message['type']!r} is not spoken here")

    async def _content(self, data: bytes, more: bool) -> None:
        if self.complete:
            raise ApplicationError("content after the end of an answer")
        out: list[bytes | memoryview] = []
        if self._pending is not None:
            out.append(self._begin(data, more))
        elif not self.status:
            raise ApplicationError("content before an answer")
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0 or (self._left > 0 and not more):
                self._close = True
                raise ApplicationError("an answer of another length than it says")
        if data and not self._suppressed:
            if self._chunked:
                out.append(b"%x\r\n" % len(data))
                out.append(data)
                out.append(b"\r\n")
            else:
                out.append(data)
        if not more and self._chunked:
            out.append(b"0\r\n\r\n")
        self.complete = not more
        if sum(map(len, out)) <= _SMALL_BYTES:
            self._stream.write(b"".join(out))
        else:
            self._stream.write(out)
        await self._stream.drain(self._timeout_s)

    def _begin(self, data: bytes, more: bool) -> bytes:
        """The head of the answer."""
        assert self._pending is not None
        status, fields = self._pending
        fields += self._extra
        length = next((value for name, value in fields if name.lower() == b"content-length"), None)
        if status in (204, 304) or self._suppressed:
            self._suppressed = True
        elif length is not None:
            self._left = int(length)
        elif not more:
            fields.append((b"content-length", b"%d" % len(data)))
        elif self._head.minor:
            self._chunked = True
            fields.append((b"transfer-encoding", b"chunked"))
        else:
            self._close = True
        if not self._body.discardable:
            self._close = True
        head = self._writer.head(status, fields, secure=self._stream.tls is not None, close=self._close, now=self._now)
        self._pending = None
        self.status = status
        return head


def scope_of(head: RequestHead, stream: Stream, root_path: str, state: dict[str, Any]) -> Scope:
    """ASGI's description of a request; the path is whole, `root_path` its part that led to the application."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": f"1.{head.minor}",
        "method": head.method,
        "scheme": "https" if stream.tls is not None else "http",
        "path": head.target.path,
        "raw_path": head.target.raw_path,
        "query_string": head.target.query,
        "root_path": head.target.path[: len(root_path)],
        "headers": head.fields,
        "client": stream.peer,
        "server": stream.local,
        "state": state,
    }
