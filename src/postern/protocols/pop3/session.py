"""The server's side of a POP3 connection as a sequence of events."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.refusal import ProtocolViolation
from postern.protocols.lines.buffer import Fault, LineBuffer
from postern.protocols.pop3.commands import Command, State, parse
from postern.protocols.sasl.encoding import RESPONSE_LIMIT_BYTES, decode

LINE_LIMIT_BYTES = 512
"""Longest command. RFC 2449 4 says 255 octets CRLF included; AUTH with an initial response wants more (RFC 5034 4)."""


class Response(NamedTuple):
    """A line of a SASL exchange, decoded; None: the client cancelled (`*`)."""

    data: bytes | None


class Bad(NamedTuple):
    """Something that is no command; the text goes to the client."""

    text: str


Event = Command | Response | Bad


class Session:
    """Turns octets into events. What a command means is the front end's business; it sets `state`."""

    __slots__ = ("_authenticating", "_lines", "state")

    def __init__(self) -> None:
        self._lines = LineBuffer()
        self._authenticating = False
        self.state = State.AUTHORIZATION

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        self._lines.feed(data)

    def next_event(self) -> Event | None:
        """The next event, None if more octets are needed."""
        limit = RESPONSE_LIMIT_BYTES if self._authenticating else LINE_LIMIT_BYTES
        line = self._lines.line(limit)
        if line is Fault.NEED_DATA:
            return None
        if isinstance(line, Fault):
            self._authenticating = False
            return Bad("line too long" if line is Fault.TOO_LONG else "lines end with CRLF")
        if self._authenticating:
            self._authenticating = False
            if line == b"*":
                return Response(None)
            try:
                return Response(decode(line))
            except ProtocolViolation as violation:
                return Bad(str(violation))
        try:
            return parse(line, self.state)
        except ProtocolViolation as violation:
            return Bad(str(violation))

    def expect_response(self) -> None:
        """The next line belongs to a SASL exchange."""
        self._authenticating = True

    def start_tls(self) -> None:
        """Forget what came before the handshake (RFC 2595 4: nothing of it may count)."""
        self._lines.clear()
        self._authenticating = False
