"""A connection to a directory server: TLS or Kerberos protection, bind, operations, each with its time limit."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from postern.ldapsource.failures import TROUBLE, Denied, Refused, SourceFailure, Unavailable, check
from postern.ldapsource.settings import SourceSettings
from postern.model.refusal import ProtocolViolation
from postern.net.client import connect
from postern.net.stream import Stream
from postern.protocols.ldap import controls
from postern.protocols.ldap.client import ClientSession, Exchange
from postern.protocols.ldap.operations import (
    Control,
    Message,
    SearchDone,
    SearchEntry,
    SearchReference,
    SearchRequest,
)
from postern.protocols.ldap.results import Code, Result

FETCHES_AT_ONCE = 100
"""Requests that are sent before their answers are read; servers stop reading beyond some number."""
DENIALS = frozenset(
    {Code.INVALID_CREDENTIALS, Code.INAPPROPRIATE_AUTHENTICATION, Code.INVALID_DN_SYNTAX, Code.NO_SUCH_OBJECT}
)

T = TypeVar("T")


class Controller(NamedTuple):
    """A server that can be asked."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Layer(Protocol):
    """A SASL security layer (RFC 4422 3.7)."""

    def wrap(self, data: bytes) -> bytes:
        """What is sent, with its length."""
        ...

    def unwrap(self, data: bytes) -> bytes:
        """What of the data received so far is whole. Raises ProtocolViolation."""
        ...


class Connection:
    """An open connection that one task uses at a time. Whatever fails closes it."""

    def __init__(self, controller: Controller, stream: Stream, timeout_s: float) -> None:
        self.controller = controller
        self.references = 0
        """How often the server named another one; nobody is followed."""
        self.bound = False
        """The service account has signed in."""
        self.layer: Layer | None = None
        self.stream = stream
        self.session = ClientSession()
        self._timeout_s = timeout_s

    @property
    def closed(self) -> bool:
        """Whether it is of no more use."""
        return self.stream.is_closed

    @property
    def hung_up(self) -> bool:
        """The server has said something that nobody asked for: that it ends the connection."""
        return self.stream.has_input

    async def run(self, operation: Exchange[T]) -> T:
        """Carry out an operation of the session. Raises Unavailable."""
        try:
            data = next(operation)
            while True:
                if data:
                    await self._send(data)
                data = operation.send(await self._next())
        except StopIteration as stop:
            value: T = stop.value
            return value
        except TROUBLE as trouble:
            raise self._broken(trouble) from trouble

    async def answers(self, request: SearchRequest, given: Sequence[Control] = ()) -> AsyncIterator[Message]:
        """Everything that a search brings, its end included. Raises Unavailable."""
        try:
            number, data = self.session.request(request, given)
            await self._send(data)
            while True:
                message = await self._next()
                if message.id != number:
                    continue
                yield message
                if isinstance(message.operation, SearchDone):
                    return
        except TROUBLE as trouble:
            raise self._broken(trouble) from trouble

    async def pages(
        self, request: SearchRequest, size: int, given: Sequence[Control] = ()
    ) -> AsyncIterator[list[SearchEntry]]:
        """The entries of a search, page by page (RFC 2696). Raises SourceFailure."""
        cookie = b""
        while True:
            entries: list[SearchEntry] = []
            async for message in self.answers(request, (controls.paged(size, cookie), *given)):
                operation = message.operation
                if isinstance(operation, SearchEntry):
                    entries.append(operation)
                elif isinstance(operation, SearchReference):
                    self.references += 1
                elif isinstance(operation, SearchDone):
                    check(operation.result, str(self.controller))
                    cookie = controls.next_page(message.controls)
            yield entries
            if not cookie:
                return

    async def changes(
        self, request: SearchRequest, cookie: bytes, given: Sequence[Control] = ()
    ) -> AsyncIterator[tuple[list[SearchEntry], bytes]]:
        """What has changed since a cookie (DirSync), portion by portion, each with the cookie after it.

        Raises SourceFailure: Refused where the account has no such right or the server no such control.
        """
        while True:
            entries: list[SearchEntry] = []
            told = None
            async for message in self.answers(request, (controls.changes_since(cookie), *given)):
                operation = message.operation
                if isinstance(operation, SearchEntry):
                    entries.append(operation)
                elif isinstance(operation, SearchReference):
                    self.references += 1
                elif isinstance(operation, SearchDone):
                    check(operation.result, str(self.controller))
                    told = controls.changes_told(message.controls)
                    if told is None or not told.cookie:
                        raise Refused(f"{self.controller} gave no cookie", operation.result)
            assert told is not None
            cookie = told.cookie
            yield entries, cookie
            if not told.more:
                return

    async def fetch(self, requests: Sequence[SearchRequest]) -> list[SearchEntry | None]:
        """The first entry of each of many small searches, None where there is none. Raises SourceFailure."""
        found: list[SearchEntry | None] = []
        for start in range(0, len(requests), FETCHES_AT_ONCE):
            found += await self._fetch(requests[start : start + FETCHES_AT_ONCE])
        return found

    async def _fetch(self, requests: Sequence[SearchRequest]) -> list[SearchEntry | None]:
        places: dict[int, int] = {}
        sent = []
        for place, request in enumerate(requests):
            number, data = self.session.request(request)
            places[number] = place
            sent.append(data)
        found: list[SearchEntry | None] = [None] * len(requests)
        try:
            await self._send(b"".join(sent))
            while places:
                message = await self._next()
                place = places.get(message.id, -1)
                if place < 0:
                    continue
                if isinstance(message.operation, SearchEntry) and found[place] is None:
                    found[place] = message.operation
                elif isinstance(message.operation, SearchDone):
                    del places[message.id]
                    if message.operation.result.code not in {Code.NO_SUCH_OBJECT, Code.REFERRAL}:
                        check(message.operation.result, str(self.controller))
        except TROUBLE as trouble:
            raise self._broken(trouble) from trouble
        return found

    async def entry(self, request: SearchRequest) -> SearchEntry | None:
        """The first entry of a search. Raises SourceFailure."""
        return (await self.fetch([request]))[0]

    async def bind(self, name: str, password: str) -> Result:
        """Simple bind. Raises Unavailable; ValueError for a name without a password."""
        return await self.run(self.session.bind(name, password.encode(errors="surrogatepass")))

    def close(self) -> None:
        """Say goodbye; never blocks."""
        if not self.closed:
            data = self.session.unbind()
            self.stream.write(self.layer.wrap(data) if self.layer is not None else data)
            self.stream.close()

    async def _send(self, data: bytes) -> None:
        self.stream.write(self.layer.wrap(data) if self.layer is not None else data)
        await self.stream.drain(self._timeout_s)

    async def _next(self) -> Message:
        while (message := self.session.next_message()) is None:
            data = await self.stream.read(self._timeout_s)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self.session.receive(self.layer.unwrap(data) if self.layer is not None else data)
        return message

    def _broken(self, trouble: BaseException) -> Unavailable:
        self.stream.abort()
        return Unavailable(f"{self.controller}: {trouble or type(trouble).__name__}")


async def opened(
    controller: Controller, address: str, settings: SourceSettings, context: ssl.SSLContext | None
) -> Connection:
    """A protected connection that nobody is bound on. Raises Unavailable, SourceFailure."""
    if settings.protection == "none" and not _own(address):
        raise SourceFailure(f"{controller}: passwords go in clear text to this machine only; use starttls or ldaps")
    try:
        stream = await connect(address, controller.port, settings.connect_timeout_s)
    except OSError as trouble:
        raise Unavailable(f"{controller}: {trouble or 'no answer'}") from trouble
    connection = Connection(controller, stream, settings.timeout_s)
    try:
        if settings.protection == "starttls":
            check(await connection.run(connection.session.starttls()), f"{controller}: StartTLS")
        if settings.protection in {"starttls", "ldaps"}:
            if context is None:
                raise ProtocolViolation("no TLS context")
            await stream.start_tls(
                context, server_side=False, server_name=controller.host, timeout_s=settings.timeout_s
            )
            connection.session.tls_started()
    except TROUBLE as trouble:
        stream.abort()
        raise Unavailable(f"{controller}: {trouble or type(trouble).__name__}") from trouble
    except BaseException:
        stream.abort()
        raise
    return connection


async def bound(connection: Connection, user: str, password: str) -> None:
    """Bind the service account. Raises Denied, SourceFailure."""
    who = user or "anonymous"
    if user and not password:
        raise SourceFailure(f"{who} has no password")
    result = await connection.bind(user, password)
    if result.code in DENIALS:
        connection.close()
        raise Denied(f"{connection.controller}: {who} may not sign in: {result.name} {result.diagnostic}", result)
    try:
        check(result, f"{connection.controller}: bind as {who}")
    except SourceFailure:
        connection.close()
        raise


def _own(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
