"""The server's side of a ManageSieve session: octets in, commands out. Strings may be literals (RFC 5804 4)."""

from __future__ import annotations

import re
from typing import NamedTuple

from postern.model.refusal import ProtocolViolation
from postern.protocols.lines.buffer import Fault, LineBuffer
from postern.protocols.managesieve.commands import Command, State, command
from postern.protocols.sasl.encoding import RESPONSE_LIMIT_BYTES, decode

SCRIPT_LIMIT_BYTES = 1 << 20
"""Octets of one literal; whether a script may be so large is not the session's business."""
EARLY_LITERAL_BYTES = RESPONSE_LIMIT_BYTES
"""The same before authentication."""
DROPPED_LIMIT_BYTES = 16 << 20
"""A larger literal is not even read to be dropped: the session ends."""
MAX_ARGUMENTS = 4
_WORD = re.compile(rb"[A-Za-z]+").match
_ARGUMENT = re.compile(rb' *(?:"((?:[^"\\]|\\["\\])*)"|(\d{1,10})(?= |$)|\{(\d{1,10})(\+?)\}$)').match
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)


class Response(NamedTuple):
    """A string of a SASL exchange, decoded; None: the client cancelled."""

    data: bytes | None


class Bad(NamedTuple):
    """Something that is no command; the text goes to the client."""

    text: str
    over: bool = False
    """The session cannot go on."""


Event = Command | Response | Bad


class Session:
    """Turns octets into events. What a command means is the front end's business; it sets `state`."""

    __slots__ = ("_arguments", "_authenticating", "_drop", "_lines", "_literal", "_taken", "_word", "state")

    def __init__(self) -> None:
        self._lines = LineBuffer()
        self._authenticating = False
        self.state = State.NOT_AUTHENTICATED
        self._reset()

    def _reset(self) -> None:
        self._word = ""
        self._arguments: list[bytes | int] = []
        self._literal = -1
        """Octets of a literal that are still to come; -1: none."""
        self._taken: list[bytes] = []
        self._drop = False

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        self._lines.feed(data)

    def next_event(self) -> Event | None:
        """The next event, None if more octets are needed."""
        while True:
            if self._literal > 0:
                piece = self._lines.take(self._literal)
                if not piece:
                    return None
                self._literal -= len(piece)
                if not self._drop:
                    self._taken.append(piece)
                continue
            if self._literal == 0:
                self._arguments.append(b"".join(self._taken))
                self._taken, self._literal = [], -1
            line = self._lines.line(RESPONSE_LIMIT_BYTES)
            if line is Fault.NEED_DATA:
                return None
            if isinstance(line, Fault):
                return self._bad("line too long" if line is Fault.TOO_LONG else "lines end with CRLF")
            try:
                event = self._line(line)
            except ProtocolViolation as violation:
                return self._bad(str(violation))
            if event is not None:
                return event

    def _bad(self, text: str, over: bool = False) -> Bad:
        self._authenticating = False
        self._reset()
        return Bad(text, over)

    def _line(self, line: bytes) -> Event | None:
        """A line, or the rest of one after a literal; None if a literal follows."""
        position = 0
        if not self._word and not self._authenticating:
            word = _WORD(line)
            if word is None:
                raise ProtocolViolation("a command is expected")
            self._word = word.group().decode("ascii")
            position = word.end()
            if line[position : position + 1] not in (b"", b" "):
                raise ProtocolViolation("a space is expected")
        while position < len(line):
            found = _ARGUMENT(line, position)
            if found is None or len(self._arguments) >= MAX_ARGUMENTS:
                raise ProtocolViolation("a string or a number is expected" if found is None else "too many arguments")
            quoted, number, octets, _ = found.groups()
            position = found.end()
            if octets is not None:
                return self._begin_literal(int(octets))
            self._arguments.append(int(number) if quoted is None else _ESCAPE.sub(rb"\1", quoted))
        return self._whole()

    def _begin_literal(self, octets: int) -> Bad | None:
        limit = EARLY_LITERAL_BYTES if self.state is State.NOT_AUTHENTICATED else SCRIPT_LIMIT_BYTES
        if octets > DROPPED_LIMIT_BYTES or (octets > limit and self.state is State.NOT_AUTHENTICATED):
            return self._bad("the string is too long", over=True)
        self._literal = octets
        self._drop = octets > limit
        return None

    def _whole(self) -> Event:
        word, arguments, dropped = self._word, tuple(self._arguments), self._drop
        authenticating, self._authenticating = self._authenticating, False
        self._reset()
        if dropped:
            raise ProtocolViolation("the string is too long")
        if not authenticating:
            return command(word, arguments, self.state)
        if len(arguments) != 1 or not isinstance(arguments[0], bytes):
            raise ProtocolViolation("a string is expected")
        return Response(None) if arguments[0] == b"*" else Response(decode(arguments[0]))

    def expect_response(self) -> None:
        """The next line belongs to a SASL exchange."""
        self._authenticating = True

    def start_tls(self) -> None:
        """Forget what came before the handshake (RFC 5804 2.2)."""
        self._lines.clear()
        self._authenticating = False
        self._reset()
