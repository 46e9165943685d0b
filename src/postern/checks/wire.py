"""A connection of a probe: bounded in time and octets, whatever the other side does."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from postern.checks.model import Reach, Service
from postern.model.ports import Clock, Entropy
from postern.model.refusal import ProtocolViolation
from postern.net.client import connect
from postern.net.stream import Stream
from postern.net.tls import TlsFailure

LIMIT_BYTES = 2 * 1024 * 1024
"""What one connection may send us; a long list of interfaces has a tenth."""
LINE_LIMIT_BYTES = 8192

T = TypeVar("T")
A = TypeVar("A")

TROUBLE = (OSError, TimeoutError, ssl.SSLError, ProtocolViolation)
"""What a probe has to expect of the network and of the other side."""


class Unreached(ConnectionError):  # noqa: N818 - a result, not an error
    """The service could not be reached at all."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(words(cause))
        self.reach = (
            Reach.REFUSED
            if isinstance(cause, ConnectionRefusedError)
            else Reach.SILENT
            if isinstance(cause, TimeoutError)
            else Reach.UNREACHABLE
        )


class Tools(msgspec.Struct, frozen=True):
    """What probes need."""

    clock: Clock
    entropy: Entropy
    timeout_s: float = 5.0
    """For connecting and for each answer."""
    total_s: float = 30.0
    """For one connection, so that a peer that sends one octet a second cannot hold us."""
    trust: Path | None = None
    """Authorities in PEM; None: those of the system."""
    own: bytes = b""
    """A certificate (DER) that is trusted as it is: our own server's."""
    helo: str = "check.invalid"
    """Name in EHLO."""


class Wire:
    """An open connection."""

    def __init__(self, stream: Stream, tools: Tools) -> None:
        self.stream = stream
        self._timeout_s = tools.timeout_s
        self._left = LIMIT_BYTES

    async def read(self) -> bytes:
        """What has come, at least one octet. Raises ConnectionResetError at the end, TimeoutError, TlsFailure."""
        data = await self.stream.read(self._timeout_s)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        self._left -= len(data)
        if self._left < 0:
            raise ProtocolViolation(f"more than {LIMIT_BYTES} octets of answers")
        return data

    async def send(self, data: bytes) -> None:
        """Write. Raises ConnectionResetError, TimeoutError."""
        self.stream.write(data)
        await self.stream.drain(self._timeout_s)

    async def drive(
        self, operation: Generator[bytes, A, T], receive: Callable[[bytes], None], take: Callable[[], A | None]
    ) -> T:
        """Run an operation of a client session. Raises what the session and the connection raise."""
        try:
            data = next(operation)
            while True:
                if data:
                    await self.send(data)
                while (answer := take()) is None:
                    receive(await self.read())
                data = operation.send(answer)
        except StopIteration as stop:
            value: T = stop.value
            return value

    async def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        """Handshake. Raises TlsFailure, TimeoutError."""
        await self.stream.start_tls(context, server_side=False, server_name=name or None, timeout_s=self._timeout_s)


@asynccontextmanager
async def opened(service: Service, tools: Tools) -> AsyncIterator[Wire]:
    """A connection to a service that is closed in any case. Raises Unreached, and TimeoutError after all its time."""
    async with asyncio.timeout(tools.total_s):
        try:
            stream = await connect(service.address, service.port, tools.timeout_s)
        except OSError as failure:
            raise Unreached(failure) from failure
        try:
            yield Wire(stream, tools)
        except BaseException:
            stream.abort()
            raise
        else:
            stream.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def ask_datagram(service: Service, tools: Tools, make: Callable[[str], bytes]) -> bytes:
    """Send a datagram, twice if need be, and return the first answer. Raises Unreached.

    `make` gets our own address and port as text. Nothing comes in but what the asked address and port sent.
    """
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(_Datagrams, remote_addr=(service.address, service.port))
    try:
        local = transport.get_extra_info("sockname")
        data = make(f"[{local[0]}]:{local[1]}" if ":" in local[0] else f"{local[0]}:{local[1]}")
        for _ in range(2):
            transport.sendto(data)
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(asyncio.shield(protocol.answer), tools.timeout_s / 2)
        raise TimeoutError("no answer")
    except OSError as failure:
        raise Unreached(failure) from failure
    finally:
        transport.close()
        protocol.answer.cancel()


def words(error: BaseException) -> str:
    """A failure in the system's words, without numbers."""
    if isinstance(error, TlsFailure) and isinstance(error.__cause__, ssl.SSLError):
        error = error.__cause__
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
