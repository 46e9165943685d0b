"""Server side of an LDAP session (RFC 4511) without I/O.

    session = ServerSession()
    session.receive(data)
    while (message := session.next_message()) is not None: ...
    write(session.answer(message.id, SearchDone(...)))

Every size and count is limited before anything of that size is kept: a message, its controls, the attributes asked
for, a filter's parts and depth. Operations that no read-only server carries out are not even decoded: they come as
`Unknown`, and `refusal_of` answers them. After a ProtocolViolation only a notice of disconnection is to be sent.
"""

from __future__ import annotations

from collections.abc import Sequence

from postern.formats import ber
from postern.formats.ber import Reader
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap import controls, messages
from postern.protocols.ldap.operations import Control, Done, ExtendedResponse, Message, Operation, Unknown
from postern.protocols.ldap.results import Code, Result

ANONYMOUS_LIMIT_BYTES = 16 * 1024
"""One message of somebody who is not signed in: a bind with a long token fits."""
LIMIT_BYTES = 64 * 1024
"""One message of somebody who is."""

BIND, UNBIND, SEARCH, ABANDON, EXTENDED = 0x60, 0x42, 0x63, 0x50, 0x77
_SERVED = frozenset({BIND, UNBIND, SEARCH, ABANDON, EXTENDED})
_ANSWER_TO = {0x66: 0x67, 0x68: 0x69, 0x4A: 0x6B, 0x6C: 0x6D, 0x6E: 0x6F}
"""Modify, add, delete, modify DN, compare: the tag of the request and of its answer."""


class ServerSession:
    """One connection from a client."""

    def __init__(self, limit_bytes: int = ANONYMOUS_LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._buffer = bytearray()

    def receive(self, data: bytes) -> None:
        """Add what was read."""
        self._buffer += data

    @property
    def partial(self) -> bool:
        """Whether a message has begun and is not all there."""
        return bool(self._buffer)

    def next_message(self) -> Message | None:
        """The next whole request; None when more input is needed. Raises ProtocolViolation."""
        if not self._buffer:
            return None
        if self._buffer[0] != ber.SEQUENCE:
            raise ProtocolViolation("not LDAP")
        size = ber.measure(self._buffer, self.limit_bytes)
        if size is None or size > len(self._buffer):
            return None
        data = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        message = _decode(data)
        if message.id == 0:
            raise ProtocolViolation("message id 0 is the server's")
        return message

    def answer(self, number: int, operation: Operation, given: Sequence[Control] = ()) -> bytes:
        """An answer's octets."""
        return messages.encode(Message(number, operation, tuple(given)))

    def disconnection(self, code: Code, diagnostic: str = "") -> bytes:
        """The notice that the server ends the connection (RFC 4511 4.4.1)."""
        notice = ExtendedResponse(Result(code, diagnostic=diagnostic), controls.NOTICE_OF_DISCONNECTION)
        return messages.encode(Message(0, notice))

    def tls_started(self) -> None:
        """Forget what came in clear text: nobody knows who sent it (CVE-2021-33515 and its kind)."""
        self._buffer.clear()


def _decode(data: bytes) -> Message:
    inner = Reader(data).enter()
    number, tag = inner.integer(), inner.peek()
    if tag in _SERVED:
        return messages.decode(data)
    if tag is None:
        raise ProtocolViolation("a message without an operation")
    if not 0 <= number <= messages.ID_LIMIT:
        raise ProtocolViolation(f"message id {number}")
    return Message(number, Unknown(tag, b""))


def refusal_of(operation: Unknown, diagnostic: str) -> Done:
    """The answer to an operation that would change something, or compares. Raises ProtocolViolation for others."""
    tag = _ANSWER_TO.get(operation.tag)
    if tag is None:
        raise ProtocolViolation(f"no such operation: {operation.tag:#x}")
    return Done(tag, Result(Code.UNWILLING_TO_PERFORM, diagnostic=diagnostic))
