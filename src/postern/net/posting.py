"""One small document by POST to a place that an administrator has allowed, and its small answer."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import httptools

from postern.net.tls import client_context

TIMEOUT_S = 30.0
"""For all of it: whoever sends an octet a second gets no longer."""
HEAD_BYTES = 16_384
BODY_BYTES = 65_536


class PostFailed(OSError):  # noqa: N818 - the field's word
    """There is no answer that is one; the text says why."""


class _Answer:
    """What httptools tells of a response."""

    def __init__(self) -> None:
        self.body = b""
        self.ended = False

    def on_body(self, body: bytes) -> None:
        """A piece."""
        self.body += body
        if len(self.body) > BODY_BYTES:
            raise PostFailed(f"the answer is longer than {BODY_BYTES} octets")

    def on_message_complete(self) -> None:
        """The end."""
        self.ended = True


class Poster:
    """Posts; redirects are not followed, nothing that identifies anybody is sent."""

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None

    async def post(self, url: str, body: bytes, fields: Mapping[str, str]) -> bytes:
        """The body of a 200 answer. Raises PostFailed."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._post(url, body, fields)
        except TimeoutError:
            raise PostFailed(f"no answer in {TIMEOUT_S:.0f} seconds") from None
        except PostFailed:
            raise
        except (OSError, ValueError, httptools.HttpParserError) as problem:
            raise PostFailed(str(problem) or type(problem).__name__) from None

    async def _post(self, url: str, body: bytes, fields: Mapping[str, str]) -> bytes:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PostFailed("no http or https URL")
        tls = parts.scheme == "https"
        if tls and self._context is None:
            self._context = await asyncio.to_thread(client_context, verify=True)
        port = parts.port or (443 if tls else 80)
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=self._context if tls else None)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
            lines += [f"{name}: {value}" for name, value in fields.items()]
            writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode("ascii") + body)
            await writer.drain()
            return await _read(reader)
        finally:
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> bytes:
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    taken = 0
    while not answer.ended:
        piece = await reader.read(16_384)
        if not piece:
            break
        taken += len(piece)
        if taken > HEAD_BYTES + 2 * BODY_BYTES:
            raise PostFailed("the answer is too long")
        try:
            parser.feed_data(piece)
        except httptools.HttpParserCallbackError:
            raise PostFailed("the answer is too long") from None
    if not taken:
        raise PostFailed("the connection was closed without an answer")
    status = parser.get_status_code()
    if status != 200:
        raise PostFailed(f"answered {status}")
    return answer.body
