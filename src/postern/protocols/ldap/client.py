"""Client side of an LDAP session (RFC 4511) without I/O.

Two ways to use it. A connection that several tasks share numbers its requests with `request` and hands each message of
`next_message` to whoever waits for its id. A connection with one user drives an operation, which is a generator: it
yields what to send (maybe nothing) and is sent the next message; its value is the result.

    def run(operation):                       # the driver, in whatever kind of I/O
        try:
            data = next(operation)
            while True:
                if data: write(data)
                while (answer := session.next_message()) is None: session.receive(read())
                data = operation.send(answer)
        except StopIteration as stop:
            return stop.value

`next_message` raises ProtocolViolation when the server does not speak LDAP, and Disconnected when it says that it ends
the connection: close it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from postern.formats import ber
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap import controls, messages
from postern.protocols.ldap.messages import ID_LIMIT
from postern.protocols.ldap.operations import (
    AbandonRequest,
    BindRequest,
    BindResponse,
    Control,
    Done,
    ExtendedRequest,
    ExtendedResponse,
    Message,
    Operation,
    SearchDone,
    SearchEntry,
    SearchReference,
    SearchRequest,
    UnbindRequest,
    Unknown,
)
from postern.protocols.ldap.results import Code, Result
from postern.protocols.sasl.client import ClientExchange

ENTRIES_LIMIT = 100_000
"""Entries one search collects; a larger one is read in pages."""

_INTERMEDIATE = 0x79
"""RFC 4511 4.13: what nobody asked for is ignored."""
_UNPROVEN = Result(Code.INVALID_CREDENTIALS, diagnostic="server did not prove that it knows the password")

T = TypeVar("T")
Exchange: TypeAlias = Generator[bytes, Message, T]


class Disconnected(Exception):  # noqa: N818 - the field's word
    """The server ends the connection (RFC 4511 4.4.1); `result` says why."""

    def __init__(self, result: Result) -> None:
        super().__init__(f"{result.name}: {result.diagnostic}")
        self.result = result


class Found(msgspec.Struct, frozen=True):
    """What a search brought."""

    result: Result
    entries: tuple[SearchEntry, ...] = ()
    references: tuple[str, ...] = ()
    cookie: bytes = b""
    """Of the next page (RFC 2696); empty at the end."""


class ClientSession:
    """One connection to a server. `limit_bytes` bounds one message."""

    def __init__(self, limit_bytes: int = messages.MESSAGE_LIMIT_BYTES) -> None:
        self.tls = False
        self._limit = limit_bytes
        self._buffer = bytearray()
        self._next_id = 1
        self._waiting: set[int] = set()

    # --- input

    def receive(self, data: bytes) -> None:
        """Add what was read."""
        self._buffer += data

    def next_message(self) -> Message | None:
        """The next whole answer; None when more input is needed. Raises ProtocolViolation, Disconnected."""
        size = ber.measure(self._buffer, self._limit) if self._buffer else None
        if self._buffer and self._buffer[0] != ber.SEQUENCE:
            raise ProtocolViolation("server does not speak LDAP")
        if size is None or size > len(self._buffer):
            return None
        message = messages.decode(bytes(memoryview(self._buffer)[:size]))
        del self._buffer[:size]
        operation = message.operation
        if message.id == 0 and isinstance(operation, ExtendedResponse):
            raise Disconnected(operation.result)
        if message.id not in self._waiting:
            raise ProtocolViolation(f"an answer to no request ({message.id})")
        if isinstance(operation, BindResponse | SearchDone | ExtendedResponse | Done):
            self._waiting.discard(message.id)
        return message

    # --- output

    def request(self, operation: Operation, given: Sequence[Control] = ()) -> tuple[int, bytes]:
        """A request's message id and octets. Answers with this id are expected from now on."""
        number = self._next_id
        self._next_id = number % ID_LIMIT + 1
        if not isinstance(operation, UnbindRequest | AbandonRequest):
            self._waiting.add(number)
        return number, messages.encode(Message(number, operation, tuple(given)))

    def unbind(self) -> bytes:
        """The end: send it and close."""
        return self.request(UnbindRequest())[1]

    def abandon(self, number: int) -> bytes:
        """No more answers to a request are wanted; those under way are to be dropped by the caller."""
        return self.request(AbandonRequest(number))[1]

    def tls_started(self) -> None:
        """Forget what came in clear text: an answer injected before TLS goes with it."""
        self._buffer.clear()
        self._waiting.clear()
        self.tls = True

    # --- operations

    def bind(self, name: str = "", password: bytes = b"") -> Exchange[Result]:
        """Simple bind; without a name anonymous.

        A name with an empty password is refused here: servers take it for anonymous (RFC 4513 5.1.2), and a login that
        checks passwords by binding would let everybody in. Raises ValueError.
        """
        if name and not password:
            raise ValueError("a name needs a password")
        return (yield from self.bind_step(BindRequest(name, password))).result

    def authenticate(self, exchange: ClientExchange) -> Exchange[Result]:
        """SASL bind (RFC 4513 5.2)."""
        answer = yield from self.bind_step(BindRequest(mechanism=exchange.mechanism, credentials=exchange.initial))
        while answer.result.code == Code.SASL_BIND_IN_PROGRESS:
            response = exchange.step(answer.credentials or b"")
            if response is None:
                return _UNPROVEN
            answer = yield from self.bind_step(BindRequest(mechanism=exchange.mechanism, credentials=response))
        if answer.result.ok and answer.credentials is not None and not exchange.verified:
            exchange.step(answer.credentials)
        if answer.result.ok and not exchange.verified:
            return _UNPROVEN
        return answer.result

    def bind_step(self, given: BindRequest) -> Exchange[BindResponse]:
        """One bind request and its answer: a SASL mechanism that is driven elsewhere has several."""
        number, data = self.request(given)
        answer = (yield from _answers(number, data)).operation
        if not isinstance(answer, BindResponse):
            raise ProtocolViolation("an answer of another kind than the request")
        return answer

    def starttls(self) -> Exchange[Result]:
        """STARTTLS: after success do the handshake, then call `tls_started`."""
        return (yield from self.extended(ExtendedRequest(controls.STARTTLS))).result

    def extended(self, given: ExtendedRequest) -> Exchange[ExtendedResponse]:
        """An extended operation."""
        number, data = self.request(given)
        answer = (yield from _answers(number, data)).operation
        if not isinstance(answer, ExtendedResponse):
            raise ProtocolViolation("an answer of another kind than the request")
        return answer

    def search(self, given: SearchRequest, page: Control | None = None) -> Exchange[Found]:
        """Search; `page` (controls.paged) asks for a part.

        Raises ProtocolViolation when more comes than the size limit asked for, or than ENTRIES_LIMIT without one.
        """
        number, data = self.request(given, [page] if page else [])
        entries: list[SearchEntry] = []
        references: list[str] = []
        while True:
            answer = yield from _answers(number, data)
            data = b""
            match answer.operation:
                case SearchEntry():
                    entries.append(answer.operation)
                case SearchReference(uris):
                    references += uris
                case SearchDone(result):
                    cookie = controls.next_page(answer.controls)
                    return Found(result, tuple(entries), tuple(references), cookie)
                case _:
                    raise ProtocolViolation("an answer of another kind than the request")
            if len(entries) > (given.size_limit or ENTRIES_LIMIT) or len(references) > ENTRIES_LIMIT:
                raise ProtocolViolation("a search brings more than was to be expected")

    def change(self, given: Operation) -> Exchange[Result]:
        """Add, modify or delete an entry."""
        number, data = self.request(given)
        answer = (yield from _answers(number, data)).operation
        if not isinstance(answer, Done):
            raise ProtocolViolation("an answer of another kind than the request")
        return answer.result


def _answers(number: int, data: bytes) -> Exchange[Message]:
    """Send, and wait for the next answer with the number: those of abandoned requests are passed over."""
    answer = yield data
    while answer.id != number or (isinstance(answer.operation, Unknown) and answer.operation.tag == _INTERMEDIATE):
        answer = yield b""
    return answer
