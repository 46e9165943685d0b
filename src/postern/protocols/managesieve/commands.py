"""ManageSieve commands: one table says when each may come and what it takes."""

from __future__ import annotations

from enum import Flag, auto
from typing import NamedTuple

from postern.model.refusal import ProtocolViolation


class State(Flag):
    """RFC 5804 1.4."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()


class Syntax(NamedTuple):
    """One row of the table."""

    states: State
    kinds: str
    """An argument each: s string, n number; those after `?` may be missing."""
    section: str


_ANY = State.NOT_AUTHENTICATED | State.AUTHENTICATED
COMMANDS: dict[str, Syntax] = {
    "AUTHENTICATE": Syntax(State.NOT_AUTHENTICATED, "s?s", "RFC 5804 2.1"),
    "STARTTLS": Syntax(State.NOT_AUTHENTICATED, "", "RFC 5804 2.2"),
    "LOGOUT": Syntax(_ANY, "", "RFC 5804 2.3"),
    "CAPABILITY": Syntax(_ANY, "", "RFC 5804 2.4"),
    "HAVESPACE": Syntax(State.AUTHENTICATED, "sn", "RFC 5804 2.5"),
    "PUTSCRIPT": Syntax(State.AUTHENTICATED, "ss", "RFC 5804 2.6"),
    "LISTSCRIPTS": Syntax(State.AUTHENTICATED, "", "RFC 5804 2.7"),
    "SETACTIVE": Syntax(State.AUTHENTICATED, "s", "RFC 5804 2.8"),
    "GETSCRIPT": Syntax(State.AUTHENTICATED, "s", "RFC 5804 2.9"),
    "DELETESCRIPT": Syntax(State.AUTHENTICATED, "s", "RFC 5804 2.10"),
    "RENAMESCRIPT": Syntax(State.AUTHENTICATED, "ss", "RFC 5804 2.11.1"),
    "CHECKSCRIPT": Syntax(State.AUTHENTICATED, "s", "RFC 5804 2.12"),
    "NOOP": Syntax(_ANY, "?s", "RFC 5804 2.13"),
    "UNAUTHENTICATE": Syntax(State.AUTHENTICATED, "", "RFC 5804 2.14.1"),
}


class Command(NamedTuple):
    """A command with its arguments."""

    name: str
    arguments: tuple[bytes | int, ...]

    def octets(self, index: int) -> bytes:
        """A string argument."""
        value = self.arguments[index]
        assert isinstance(value, bytes)
        return value

    def text(self, index: int) -> str:
        """A string argument as text. Raises ProtocolViolation for what is no UTF-8."""
        try:
            return self.octets(index).decode()
        except UnicodeDecodeError as broken:
            raise ProtocolViolation("that is not UTF-8") from broken

    def number(self, index: int) -> int:
        """A numeric argument."""
        value = self.arguments[index]
        assert isinstance(value, int)
        return value


def command(word: str, arguments: tuple[bytes | int, ...], state: State) -> Command:
    """Check a command against the table. Raises ProtocolViolation with a text for the client."""
    name = word.upper()
    syntax = COMMANDS.get(name)
    if syntax is None:
        raise ProtocolViolation("unknown command")
    if not syntax.states & state:
        raise ProtocolViolation(
            "authenticate first" if state is State.NOT_AUTHENTICATED else "that is done before authentication"
        )
    needed, _, further = syntax.kinds.partition("?")
    if not len(needed) <= len(arguments) <= len(needed + further):
        raise ProtocolViolation("too few arguments" if len(arguments) < len(needed) else "too many arguments")
    for kind, argument in zip(needed + further, arguments, strict=False):
        if isinstance(argument, int) is not (kind == "n"):
            raise ProtocolViolation("a number is needed" if kind == "n" else "a string is needed")
    return Command(name, arguments)
