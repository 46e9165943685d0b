"""A byte stream over TCP, with TLS on top when asked for: what every front end and delivery agent reads and writes.

Memory decides the shape. An idle connection holds no buffer of its own: all of a thread's connections receive into
one shared buffer (asyncio.BufferedProtocol), TLS records pass through ssl.MemoryBIOs in slices of one record, so that
the BIOs never grow, and deadlines are one lazily renewed timer a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, cast

from postern.model.refusal import Reason
from postern.net.tls import AnsweringContext, TlsFacts, TlsFailure, TlsObject, Wrapping

RECEIVE_BYTES = 256 * 1024
"""The shared receive buffer: the most that one system call takes from a socket."""
BACKLOG_BYTES = 1024 * 1024
"""Received, not yet read by the front end: reading from the socket pauses above."""
RECORD_BYTES = 16384
"""One TLS record's plain text (RFC 8446 5.1); BIOs are fed in slices of it, so that they stay small."""
GATHER_BYTES = 2048
"""Buffers of this size on average are given to the kernel as they are; joining smaller ones costs less."""
HANDSHAKE = 22
"""Type of a TLS record."""
HANDSHAKE_TIMEOUT_S = 30.0
DRAIN_TIMEOUT_S = 300.0
"""A peer that reads nothing for this long is gone (RFC 5321 4.5.3.2 gives senders as much)."""
CLOSE_TIMEOUT_S = 10.0
"""After close(): how long the last bytes may take."""
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)
"""tcp(7), of Linux."""
QUIET_S = 0.5
"""A stopping server ends a connection that has been waiting for input for this long: no command is in flight."""


class Stopping(ConnectionError):  # noqa: N818 - a notice, not an error
    """Raised by `read` when the server stops: say goodbye and return."""


class Ended(ConnectionError):  # noqa: N818 - a notice, not an error
    """Raised by `read` when whoever is signed in may be so no more: say why and return."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class _Scratch(threading.local):
    """The receive and decryption buffers of a thread's event loop."""

    def __init__(self) -> None:
        self.receive = memoryview(bytearray(RECEIVE_BYTES))
        self.plain = memoryview(bytearray(RECORD_BYTES))


_scratch = _Scratch()


class Stream(asyncio.BufferedProtocol):
    """One connection. One task reads; cancelling a `read` loses no data."""

    __slots__ = (
        "_answered",
        "_backlog",
        "_chunks",
        "_closed",
        "_deadline",
        "_drained",
        "_eof",
        "_incoming",
        "_loop",
        "_notice",
        "_nudged",
        "_nudging",
        "_on_made",
        "_outgoing",
        "_plain",
        "_reading",
        "_receive",
        "_stop",
        "_timer",
        "_tls",
        "_transport",
        "_waiter",
        "_waiting_since",
        "context",
        "local",
        "peer",
        "tls",
    )

    def __init__(self, on_made: Callable[[Stream], None] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_made = on_made
        self._transport: asyncio.Transport | None = None
        self._receive = _scratch.receive
        self._plain = _scratch.plain
        self._chunks: list[bytes] = []
        self._backlog = 0
        self._answered = 0
        self._eof = False
        self._closed = False
        self._stop = False
        self._notice: Ended | None = None
        self._nudged = self._nudging = False
        self._reading = True
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._waiting_since = 0.0
        self._tls: TlsObject | None = None
        self._incoming: ssl.MemoryBIO | None = None
        self._outgoing: ssl.MemoryBIO | None = None
        self.tls: TlsFacts | None = None
        self.peer: tuple[str, int] = ("", 0)
        self.local: tuple[str, int] = ("", 0)
        self.context: Any = None
        """Free for the owner of the stream (a session's correlation id, a connection pool's state)."""

    # --- what front ends use

    async def read(self, timeout_s: float) -> bytes:
        """All bytes that are there, at least one; b"" at the end. Raises TimeoutError, Stopping, Ended, TlsFailure."""
        if self._notice is not None:
            raise self._notice
        if not self._chunks:
            if self._eof:
                return b""
            waiter = self._waiting(timeout_s)
            try:
                await waiter
            finally:
                self._waited()
            self._raise_told()
            if not self._chunks:
                return b""
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._backlog = self._answered = 0
        if not self._reading and not self._closed:
            self._reading = True
            assert self._transport is not None
            self._transport.resume_reading()
        return data

    async def read_unless_nudged(self, timeout_s: float) -> bytes | None:
        """As `read`, or None if nothing is there and `nudge` was called since the last `calm`. Makes no task."""
        if not self.has_input and self._notice is None:
            if not self._nudged:
                waiter = self._waiting(timeout_s)
                self._nudging = True
                try:
                    await waiter
                finally:
                    self._nudging = False
                    self._waited()
                self._raise_told()
            if not self.has_input:
                return None
        return await self.read(timeout_s)

    def nudge(self) -> None:
        """Have `read_unless_nudged` return: its caller has something to do besides."""
        self._nudged = True
        if self._nudging:
            self._wake()

    def calm(self) -> None:
        """What there was to do is about to be done."""
        self._nudged = False

    def write(self, data: bytes | list[bytes] | list[bytes | memoryview]) -> None:
        """Queue bytes; nothing happens on a connection that is gone (the next `drain` says so)."""
        transport = self._transport
        self._answered = len(self._chunks)
        if self._closed or transport is None:
            return
        if isinstance(data, list):
            if self._tls is None and sum(map(len, data)) >= GATHER_BYTES * len(data) > 0:
                transport.writelines(data)
                return
            data = b"".join(data)
        if not data:
            return
        if self._tls is None:
            transport.write(data)
        else:
            self._encrypt(data)

    async def drain(self, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
        """Wait until the peer takes more. Raises ConnectionResetError, TimeoutError (the stream is aborted)."""
        if self._closed or self._transport is None:
            raise ConnectionResetError("the connection is closed")
        drained = self._drained
        if drained is None:
            return
        done, _ = await asyncio.wait([drained], timeout=timeout_s)
        if not done:
            self.abort()
            raise TimeoutError("the peer does not read")
        if self._closed:
            raise ConnectionResetError("the connection is closed")

    async def start_tls(
        self,
        context: ssl.SSLContext | Wrapping,
        *,
        server_side: bool = True,
        server_name: str | None = None,
        timeout_s: float = HANDSHAKE_TIMEOUT_S,
    ) -> None:
        """Do a handshake. Raises TlsFailure, TimeoutError.

        Plain text that came before our last `write` (the go-ahead) is dropped: it was sent before TLS began and
        nobody knows by whom (RFC 3207 5, CVE-2021-33515). The caller drops what its session has buffered.
        """
        end = self._loop.time() + timeout_s
        if not server_side:
            self._chunks.clear()
        elif isinstance(context, AnsweringContext):
            context = context.for_hello(await self._first_record(end))
        early = b"".join(self._chunks[self._answered :])
        self._chunks.clear()
        self._backlog = self._answered = 0
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_name
        )
        if early:
            self._incoming.write(early)
        done = False
        while self._tls is not None and not (done := self._handshake()) and not self._eof:
            await self._wait(max(0.0, end - self._loop.time()))
        if self._tls is None or not done:  # the connection may be gone while we waited
            raise TlsFailure("the peer closed the connection during the handshake")
        binding: bytes = b""
        if server_side:
            binding = getattr(self._tls, "end_point", b"") or getattr(context, "end_point", b"")
        cipher = self._tls.cipher()
        certificate = self._tls.getpeercert(binary_form=True) or b""
        chain = getattr(self._tls, "peer_chain", ())
        self.tls = TlsFacts(self._tls.version() or "", cipher[0] if cipher else "", binding, certificate, chain)
        if not self._reading and not self._closed:
            # the handshake used up what had come; a full backlog must not wait for a read that waits for it
            self._reading = True
            assert self._transport is not None
            self._transport.resume_reading()
        self._decrypt(memoryview(b""))  # application data may have come with the last handshake record
        if server_side and not getattr(context, "num_tickets", 0):
            self._loop.call_soon(self._acknowledge)

    def _acknowledge(self) -> None:
        """Acknowledge the client's last flight, if nothing of ours has gone out behind it.

        After STARTTLS the client speaks next, and most programs leave Nagle's algorithm on (RFC 1122 4.2.3.4): what
        they say waits until their last packet is acknowledged, which the kernel delays for 40 ms to send it with data.
        """
        ours = None if self._transport is None or self._closed else self._transport.get_extra_info("socket")
        if ours is not None and _QUICKACK is not None:
            with contextlib.suppress(OSError):
                ours.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    async def _first_record(self, end: float) -> bytes:
        """The first TLS record (RFC 8446 5.1), which stays to be read; less of it at the end or from no TLS client."""
        while True:
            data = b"".join(self._chunks[self._answered :])
            if self._eof or (data and data[0] != HANDSHAKE):
                return data
            if len(data) >= 5 and len(data) >= 5 + min(RECORD_BYTES, int.from_bytes(data[3:5], "big")):
                return data
            await self._wait(max(0.0, end - self._loop.time()))

    def close(self) -> None:
        """Send what is queued, then close. Never blocks."""
        if self._closed or self._transport is None:
            return
        self._closed = True
        if self._tls is not None and self.tls is not None:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()  # queues close_notify, then wants the peer's, which we do not wait for
            self._flush()
        self._cancel_timer()
        if self._transport.get_write_buffer_size():
            self._timer = self._loop.call_later(CLOSE_TIMEOUT_S, self._transport.abort)
        self._transport.close()
        self._wake()

    def abort(self) -> None:
        """Close at once; what is queued is lost."""
        self._closed = True
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def end(self, reason: Reason) -> None:
        """Have the reader stop with `Ended`, whatever else has come: nothing of it is carried out any more."""
        self._notice = Ended(reason)
        self._wake()

    @property
    def is_closed(self) -> bool:
        """Whether close() was called or the connection is gone."""
        return self._closed

    @property
    def has_input(self) -> bool:
        """Whether a read would return at once: with bytes, or at the end."""
        return bool(self._chunks) or self._eof

    # --- what the listener uses

    def request_stop(self, *, now: bool = False) -> bool:
        """Ask a waiting reader to stop if it is quiet (QUIET_S), or at once. Whether it was asked."""
        if not now and (self._waiter is None or self._loop.time() - self._waiting_since < QUIET_S):
            return False
        self._stop = True
        self._wake()
        return True

    # --- asyncio.BufferedProtocol

    @property
    def descriptor(self) -> int:
        """The socket's number among the files of the process; -1 if it is gone."""
        ours = None if self._transport is None else self._transport.get_extra_info("socket")
        return -1 if ours is None else int(ours.fileno())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection is there."""
        self._transport = cast(asyncio.Transport, transport)
        self.peer = _address(transport.get_extra_info("peername"))
        self.local = _address(transport.get_extra_info("sockname"))
        if self._on_made is not None:
            self._on_made(self)
            self._on_made = None

    def get_buffer(self, sizehint: int) -> memoryview:
        """asyncio: where to receive. Used up in `buffer_updated` before any other connection receives."""
        return self._receive

    def buffer_updated(self, nbytes: int) -> None:
        """asyncio: bytes came."""
        if self._tls is not None:
            try:
                self._decrypt(self._receive[:nbytes])
            except TlsFailure:
                self._eof = True
                self.abort()
                return
            if self.tls is not None:
                self._flush()  # the answer to a key update
        else:
            self._chunks.append(bytes(self._receive[:nbytes]))
            self._backlog += nbytes
        if self._backlog > BACKLOG_BYTES and self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()
        waiter = self._waiter
        if waiter is not None and not waiter.done() and (self._chunks or self._eof or self.tls is None):
            waiter.set_result(None)

    def eof_received(self) -> bool:
        """asyncio: the peer sends no more. Its half-open side still gets our answers."""
        self._eof = True
        self._wake()
        return self._tls is None

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: it is gone."""
        self._eof = self._closed = True
        self._cancel_timer()
        self._transport = None
        self._tls = self._incoming = self._outgoing = None
        self._wake()
        self.resume_writing()

    def pause_writing(self) -> None:
        """asyncio: the peer is slow."""
        if self._drained is None:
            self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """asyncio: go on."""
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    # --- waiting

    async def _wait(self, timeout_s: float) -> None:
        """Until bytes, the end, a stop or the deadline."""
        waiter = self._waiting(timeout_s)
        try:
            await waiter
        finally:
            self._waited()
        self._raise_told()

    def _waiting(self, timeout_s: float) -> asyncio.Future[None]:
        """What to await; then `_waited`, whatever happened, and `_raise_told`.

        `_wait` without a coroutine of its own: thousands of connections wait in `read`, each with all frames below it.
        """
        self._raise_stop()
        if self._outgoing is not None and self._outgoing.pending:
            self._flush()
        assert self._waiter is None, "two tasks read one stream"
        now = self._loop.time()
        self._waiting_since = now
        self._deadline = now + timeout_s
        timer = self._timer
        if timer is None or timer.when() > self._deadline:
            if timer is not None:
                timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._expire)
        waiter = self._waiter = self._loop.create_future()
        return waiter

    def _waited(self) -> None:
        self._waiter = None
        self._deadline = 0.0

    def _raise_told(self) -> None:
        """What was asked of the reader meanwhile; bytes that have come are read first, unless it is `Ended`."""
        if self._notice is not None or (not self._chunks and not self._eof):
            self._raise_stop()

    def _raise_stop(self) -> None:
        if self._notice is not None:
            raise self._notice
        if self._stop:
            raise Stopping

    def _expire(self) -> None:
        """The timer is rarely the last read's own: look whether its time has really come."""
        self._timer = None
        waiter = self._waiter
        if waiter is None or waiter.done() or not self._deadline:
            return
        if self._loop.time() < self._deadline - 0.001:
            self._timer = self._loop.call_at(self._deadline, self._expire)
        else:
            waiter.set_exception(TimeoutError("the peer sent nothing in time"))

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- TLS

    def _handshake(self) -> bool:
        """One step; whether it is finished."""
        assert self._tls is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False  # what it wrote leaves before we wait
        except (ssl.SSLError, OSError, ValueError) as error:
            self._flush()  # the alert tells the peer why
            raise TlsFailure(f"TLS handshake failed: {error}") from error
        return True  # the last flight (a session ticket) leaves with the first write, or before we wait

    def _flush(self) -> None:
        if self._outgoing is not None and self._outgoing.pending and self._transport is not None:
            self._transport.write(self._outgoing.read())

    def _encrypt(self, data: bytes) -> None:
        tls, outgoing, transport = self._tls, self._outgoing, self._transport
        assert tls is not None
        assert outgoing is not None
        assert transport is not None
        try:
            if len(data) <= RECORD_BYTES:
                tls.write(data)
                transport.write(outgoing.read())
                return
            view = memoryview(data)
            records = []
            for start in range(0, len(data), RECORD_BYTES):
                tls.write(view[start : start + RECORD_BYTES])
                records.append(outgoing.read())
            transport.write(b"".join(records))
        except ssl.SSLError:
            self.abort()

    def _decrypt(self, received: memoryview) -> None:
        """Feed ciphertext, collect plain text. Raises TlsFailure."""
        tls, incoming, plain = self._tls, self._incoming, self._plain
        if tls is None or incoming is None:
            return
        if self.tls is None:  # a handshake goes on: `start_tls` drives it
            incoming.write(received)
            return
        start = 0
        try:
            while True:
                if start < len(received):
                    incoming.write(received[start : start + RECORD_BYTES])
                    start += RECORD_BYTES
                while incoming.pending or tls.pending():
                    count = tls.read(RECORD_BYTES, plain)
                    if not count:
                        self._eof = True
                        return
                    self._chunks.append(bytes(plain[: cast(int, count)]))
                    self._backlog += cast(int, count)
                if start >= len(received):
                    break
        except ssl.SSLWantReadError:
            if start < len(received):
                self._decrypt(received[start:])
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self._eof = True
        except (ssl.SSLError, OSError) as error:
            raise TlsFailure(f"broken TLS record: {error}") from error


def _address(name: Any) -> tuple[str, int]:
    """Host and port of a socket name; IPv4-mapped IPv6 addresses as IPv4."""
    if not isinstance(name, tuple):
        return (str(name or ""), 0)
    host = str(name[0])
    if host.startswith("::ffff:") and "." in host:
        host = host[7:]
    return (host, int(name[1]))
