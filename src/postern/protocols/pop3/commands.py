"""POP3 commands: one table says when each may come and how its argument reads."""

from __future__ import annotations

from enum import Flag, auto
from typing import NamedTuple

from postern.model.refusal import ProtocolViolation


class State(Flag):
    """RFC 1939 3. UPDATE follows QUIT and takes no commands."""

    AUTHORIZATION = auto()
    TRANSACTION = auto()


class Syntax(NamedTuple):
    """One row of the table."""

    states: State
    low: int
    """Fewest arguments."""
    high: int
    """Most arguments; -1: the rest of the line is one argument, blanks included (RFC 1939 7, PASS)."""
    section: str


_ANY = State.AUTHORIZATION | State.TRANSACTION

COMMANDS: dict[bytes, Syntax] = {
    b"QUIT": Syntax(_ANY, 0, 0, "RFC 1939 4, 5"),
    b"CAPA": Syntax(_ANY, 0, 0, "RFC 2449 5"),
    b"STLS": Syntax(State.AUTHORIZATION, 0, 0, "RFC 2595 4"),
    b"USER": Syntax(State.AUTHORIZATION, 1, -1, "RFC 1939 7"),
    b"PASS": Syntax(State.AUTHORIZATION, 1, -1, "RFC 1939 7"),
    b"AUTH": Syntax(State.AUTHORIZATION, 0, 2, "RFC 5034 4"),
    b"UTF8": Syntax(State.AUTHORIZATION, 0, 0, "RFC 6856 2.1"),
    b"STAT": Syntax(State.TRANSACTION, 0, 0, "RFC 1939 5"),
    b"LIST": Syntax(State.TRANSACTION, 0, 1, "RFC 1939 5"),
    b"RETR": Syntax(State.TRANSACTION, 1, 1, "RFC 1939 5"),
    b"DELE": Syntax(State.TRANSACTION, 1, 1, "RFC 1939 5"),
    b"NOOP": Syntax(State.TRANSACTION, 0, 0, "RFC 1939 5"),
    b"RSET": Syntax(State.TRANSACTION, 0, 0, "RFC 1939 5"),
    b"TOP": Syntax(State.TRANSACTION, 2, 2, "RFC 1939 7"),
    b"UIDL": Syntax(State.TRANSACTION, 0, 1, "RFC 1939 7"),
}

MAX_DIGITS = 10


class Command(NamedTuple):
    """A command with its arguments."""

    name: bytes
    arguments: tuple[bytes, ...]

    def number(self, index: int = 0) -> int:
        """A numeric argument. Raises ProtocolViolation."""
        text = self.arguments[index]
        if not text.isdigit() or len(text) > MAX_DIGITS:
            raise ProtocolViolation("a number is needed")
        return int(text)


def parse(line: bytes, state: State) -> Command:
    """A line without CRLF. Raises ProtocolViolation with a text for the client."""
    word, _, rest = line.partition(b" ")
    name = word.upper()
    syntax = COMMANDS.get(name)
    if syntax is None:
        raise ProtocolViolation("unknown command")
    if not syntax.states & state:
        if state is State.AUTHORIZATION:
            raise ProtocolViolation("log in first")
        raise ProtocolViolation("already logged in")
    if b"\0" in rest:
        raise ProtocolViolation("NUL in a command")
    if syntax.high < 0:
        arguments: tuple[bytes, ...] = (rest,) if rest else ()
    else:
        arguments = tuple(rest.split())
        if len(arguments) > syntax.high:
            raise ProtocolViolation("too many arguments")
    if len(arguments) < syntax.low:
        raise ProtocolViolation("an argument is missing")
    return Command(name, arguments)
