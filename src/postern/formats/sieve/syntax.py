"""What a script is made of, its limits, and what is said about a wrong one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Union

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """What a script may cost. Everything above is an error of the script."""

    script_bytes: int = 262_144
    nesting: int = 32
    """Blocks and tests in each other."""
    commands: int = 4000
    problems: int = 20
    """Told of one script."""
    include_depth: int = 10
    includes: int = 100
    """Scripts brought in for one message."""
    steps: int = 50_000
    """Commands, tests and comparisons for one message; long comparisons count more."""
    variables: int = 128
    variable_length: int = 4000
    """Characters; longer values are cut (RFC 5229 6)."""
    redirects: int = 4
    actions: int = 32


LIMITS = Limits()


class Problem(NamedTuple):
    """Something wrong, where it begins."""

    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.text}"


class SieveError(Exception):
    """A script that is not valid."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class RuntimeProblem(Exception):  # noqa: N818 - it ends the script, not the delivery
    """A script could not be followed to its end for this message."""


class Tag(NamedTuple):
    """`:name`."""

    name: str
    line: int
    column: int


class Number(NamedTuple):
    """With its quantifier applied."""

    value: int
    line: int
    column: int


class Strings(NamedTuple):
    """A string or a list of them."""

    values: tuple[str, ...]
    listed: bool
    line: int
    column: int


Argument = Tag | Number | Strings


class Test(NamedTuple):
    """A test as written."""

    name: str
    arguments: tuple[Argument, ...]
    tests: tuple[Test, ...]
    parenthesised: bool
    line: int
    column: int


class Command(NamedTuple):
    """A command as written."""

    name: str
    arguments: tuple[Argument, ...]
    tests: tuple[Test, ...]
    block: tuple[Command, ...] | None
    line: int
    column: int
    parenthesised: bool = False


class Reference(NamedTuple):
    """`${name}` in a string."""

    name: str
    """Lower case; digits for a match variable; `global.` before one of that name space."""


class Text(NamedTuple):
    """A string with references."""

    parts: tuple[Union[str, Reference], ...]  # noqa: UP007


Value = Union[str, Text]  # noqa: UP007 - strings of a checked program


class Node(msgspec.Struct, frozen=True):
    """A checked command or test."""

    name: str
    tags: dict[str, tuple[Value, ...] | int | None]
    """By name without colon; the value of one with an argument."""
    arguments: tuple[tuple[Value, ...] | int, ...]
    tests: tuple[Node, ...] = ()
    block: tuple[Node, ...] = ()
    line: int = 0


class Program(msgspec.Struct, frozen=True):
    """A checked script."""

    nodes: tuple[Node, ...]
    extensions: frozenset[str]
    included: frozenset[str] = frozenset()
    """Names of scripts that it includes, as far as they are constant."""
