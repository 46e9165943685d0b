"""Variables and flags while a script runs (RFC 5229, RFC 5232)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from postern.formats.sieve.syntax import LIMITS, Program, RuntimeProblem, Text, Value

_SYSTEM = {name.lower(): name for name in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")}
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|~]+").fullmatch
_MAX_FLAGS = 100


class Frame:
    """A script that runs: the main one, or one that it includes."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.variables: dict[str, str] = {}
        self.shared: set[str] = set()
        """Names that `global` has made the same everywhere."""
        self.matches: tuple[str, ...] = ()


class Variables:
    """All variables of a run."""

    def __init__(self, program: Program) -> None:
        self.frame = Frame(program)
        self._global: dict[str, str] = {}

    def get(self, name: str) -> str:
        """The value of a name in lower case; empty if nobody set it."""
        frame = self.frame
        if name.isdigit():
            index = int(name)
            return frame.matches[index] if index < len(frame.matches) else ""
        if name.startswith("global."):
            return self._global.get(name[7:], "")
        return (self._global if name in frame.shared else frame.variables).get(name, "")

    def set(self, name: str, value: str) -> None:
        """Raises RuntimeProblem for too many."""
        name = name.lower()
        where = self.frame.variables
        if name.startswith("global."):
            name, where = name[7:], self._global
        elif name in self.frame.shared:
            where = self._global
        if name not in where and len(where) >= LIMITS.variables:
            raise RuntimeProblem(f"more than {LIMITS.variables} variables")
        where[name] = _cut(value)

    def matched(self, groups: Sequence[str]) -> None:
        """Match variables from now on (RFC 5229 3.2): the last 10 at least; here the first 100."""
        if "variables" in self.frame.program.extensions:
            self.frame.matches = tuple(_cut(group) for group in groups[:100])

    def text(self, value: Value) -> str:
        """A string with its references replaced."""
        if isinstance(value, str):
            return value
        assert isinstance(value, Text)
        return _cut("".join(part if isinstance(part, str) else self.get(part.name) for part in value.parts))

    def texts(self, values: tuple[Value, ...] | int | None) -> list[str]:
        """All of a string list."""
        return [self.text(value) for value in values] if isinstance(values, tuple) else []


def _cut(value: str) -> str:
    return value[: LIMITS.variable_length]


def modified(value: str, modifiers: Sequence[str]) -> str:
    """What `set`'s modifiers make of a value, in the order of their precedence (RFC 5229 4.1)."""
    for name in ("lower", "upper", "lowerfirst", "upperfirst", "quotewildcard", "length"):
        if name not in modifiers:
            continue
        match name:
            case "lower":
                value = _ascii(value, str.lower)
            case "upper":
                value = _ascii(value, str.upper)
            case "lowerfirst":
                value = value[:1].lower() + value[1:]
            case "upperfirst":
                value = value[:1].upper() + value[1:]
            case "quotewildcard":
                value = re.sub(r"([*?\\])", r"\\\1", value)
            case _:
                value = str(len(value))
    return value


def _ascii(value: str, change: object) -> str:
    """RFC 5229 4.1.1: ASCII letters only."""
    assert callable(change)
    return "".join(change(c) if c.isascii() else c for c in value)


def flags(texts: Sequence[str]) -> list[str]:
    """Flag names in strings, several apart by spaces; unknown system flags and doubles are left out (RFC 5232 2)."""
    found: dict[str, str] = {}
    for word in " ".join(texts).split():
        name = _SYSTEM.get(word.lower(), "") if word.startswith("\\") else word
        if name and (name.startswith("\\") or _KEYWORD(name)) and len(found) < _MAX_FLAGS:
            found.setdefault(name.lower(), name)
    return list(found.values())
