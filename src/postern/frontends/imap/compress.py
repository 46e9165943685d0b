"""COMPRESS=DEFLATE (RFC 4978): a stream between the connection's and its session.

Both directions use small windows: about 40 KB a connection that asks for it, nothing for others. What comes in is
inflated in slices, so that no packet becomes a large piece of memory; who sends almost nothing but repetition is
sent away, for it costs them a thousandth of what it costs us.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from postern.frontends.imap.connection import Connection
from postern.frontends.ports import Stream, TlsFacts
from postern.model.refusal import ProtocolViolation, Reason

if TYPE_CHECKING:
    import ssl

    from postern.net.tls import Wrapping

SLICE_BYTES = 65_536
"""Inflated at a time."""
BOMB_BYTES = 33_554_432
BOMB_RATIO = 200
"""Above so much of inflated text, so many octets for one are a bomb; deflate itself ends at 1032."""
_WINDOW_OUT = -12
_MEMORY_OUT = 5
_LEVEL = 6


async def compress(connection: Connection, algorithm: bytes, _uid: bool) -> bytes:
    """RFC 4978 3. The answer still goes out as it is."""
    if algorithm != b"DEFLATE":
        raise ProtocolViolation("only DEFLATE is known")
    if isinstance(connection.stream, DeflatedStream):
        return b"NO [COMPRESSIONACTIVE] DEFLATE is active already"

    async def begin() -> None:
        connection.deflated = True
        connection.stream = DeflatedStream(connection.stream, connection.session.take_rest())

    connection.afterwards = begin
    return b"OK DEFLATE active"


class DeflatedStream:
    """A stream whose octets are deflated in both directions."""

    __slots__ = ("_deflate", "_inflate", "_inflated", "_received", "_stream", "_waiting")

    def __init__(self, stream: Stream, waiting: bytes = b"") -> None:
        """`waiting`: octets that came behind the command and are deflated already."""
        self._stream = stream
        self._inflate = zlib.decompressobj(-15)
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_OUT, _MEMORY_OUT)
        self._waiting = waiting
        self._received = self._inflated = 0

    @property
    def peer(self) -> tuple[str, int]:
        """Remote address and port."""
        return self._stream.peer

    @property
    def local(self) -> tuple[str, int]:
        """Our address and port."""
        return self._stream.local

    @property
    def tls(self) -> TlsFacts | None:
        """As beneath."""
        return self._stream.tls

    async def read(self, timeout_s: float) -> bytes:
        """At least one octet; empty at the end, or when what came cannot be inflated. Raises as beneath."""
        while True:
            data = self._waiting or await self._stream.read(timeout_s)
            if not data:
                return b""
            text = await self._text(data, timeout_s)
            if text is not None:
                return text

    async def _text(self, data: bytes, timeout_s: float) -> bytes | None:
        """What is inflated of it; empty at the end, None if that needs more octets. Raises as beneath."""
        self._received += 0 if self._waiting else len(data)
        try:
            text = self._inflate.decompress(data, SLICE_BYTES)
        except zlib.error:
            return b""
        self._waiting = self._inflate.unconsumed_tail
        self._inflated += len(text)
        if self._inflated > BOMB_BYTES and self._inflated > BOMB_RATIO * max(1, self._received):
            self._stream.end(Reason.TOO_LARGE)
            return await self._stream.read(timeout_s)
        return text if text or self._inflate.eof else None

    async def read_unless_nudged(self, timeout_s: float) -> bytes | None:
        """As beneath."""
        while True:
            data = self._waiting or await self._stream.read_unless_nudged(timeout_s)
            if not data:
                return data
            text = await self._text(data, timeout_s)
            if text is not None:
                return text

    def nudge(self) -> None:
        """As beneath."""
        self._stream.nudge()

    def calm(self) -> None:
        """As beneath."""
        self._stream.calm()

    def write(self, data: bytes | list[bytes] | list[bytes | memoryview]) -> None:
        """Deflate and queue octets, all of them readable at the other end."""
        deflate = self._deflate
        pieces = [data] if isinstance(data, bytes) else data
        out = [deflate.compress(piece) for piece in pieces]
        out.append(deflate.flush(zlib.Z_SYNC_FLUSH))
        self._stream.write(b"".join(out))

    async def drain(self, timeout_s: float = 300.0) -> None:
        """As beneath."""
        await self._stream.drain(timeout_s)

    async def start_tls(self, context: ssl.SSLContext | Wrapping) -> None:
        """TLS comes before compression, never after (RFC 4978 3)."""
        raise ProtocolViolation("TLS comes before compression")

    def close(self) -> None:
        """As beneath."""
        self._stream.close()

    def end(self, reason: Reason) -> None:
        """As beneath."""
        self._stream.end(reason)

    def abort(self) -> None:
        """As beneath."""
        self._stream.abort()
