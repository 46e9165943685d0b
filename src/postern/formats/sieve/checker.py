"""Commands to a checked program: everything that can be said about a script before a message comes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from postern.formats.sieve import strings
from postern.formats.sieve.parser import parse
from postern.formats.sieve.syntax import (
    LIMITS,
    Argument,
    Command,
    Limits,
    Node,
    Number,
    Problem,
    Program,
    SieveError,
    Strings,
    Tag,
    Test,
    Value,
)
from postern.formats.sieve.tables import (
    COMMANDS,
    COMPARATORS,
    DATE_PARTS,
    ENVELOPE_PARTS,
    EXTENSIONS,
    OPERATORS,
    TESTS,
    Spec,
)

_KIND_WORDS = {"s": "a string", "l": "a string or list of strings", "n": "a number"}
_ADDRESS = re.compile(r'(?:"[^"\r\n]+"|[^\s"<>(),:;@\[\]\\]+)@(?:[^\s"<>(),:;@\[\]\\]+|\[[^\s\]]+\])').fullmatch
_PHRASED = re.compile(r"[^<>\r\n]*<([^<>\s]+)>\s*").fullmatch
_FIELD_NAME = re.compile(r"[!-9;-~]+").fullmatch
_ZONE = re.compile(r"[+-]\d{4}").fullmatch
MAX_VACATION_S = 365 * 86400


def compile_script(script: bytes, limits: Limits = LIMITS) -> Program:
    """A program that may be run. Raises SieveError with all that is wrong, up to `limits.problems`."""
    return _Checker(limits).program(parse(script, limits))


def bare_address(text: str) -> str | None:
    """The address in `Name <a@b>` or `a@b`; None if there is none."""
    phrased = _PHRASED(text)
    address = phrased.group(1) if phrased else text.strip()
    return address if _ADDRESS(address) else None


class _Stop(Exception):  # noqa: N818
    """Enough problems."""


class _Checker:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._problems: list[Problem] = []
        self._extensions: set[str] = set()
        self._included: set[str] = set()

    def program(self, commands: Sequence[Command]) -> Program:
        try:
            nodes = self._block(commands, top=True)
        except _Stop:
            nodes = ()
        if self._problems:
            raise SieveError(sorted(self._problems))
        return Program(nodes, frozenset(self._extensions), frozenset(self._included))

    def _wrong(self, at: Command | Test | Argument, text: str) -> None:
        self._problems.append(Problem(at.line, at.column, text))
        if len(self._problems) >= self._limits.problems:
            raise _Stop

    # --- commands

    def _block(self, commands: Sequence[Command], *, top: bool = False) -> tuple[Node, ...]:
        nodes: list[Node] = []
        before, requiring = "", top
        for command in commands:
            if command.name == "require":
                if not requiring:
                    self._wrong(command, "`require` comes before all other commands, outside blocks")
                self._require(command)
                continue
            requiring = False
            spec = COMMANDS.get(command.name)
            if spec is None:
                self._wrong(command, f"unknown command `{command.name}`{_hint(command.name)}")
                continue
            if command.name in ("elsif", "else") and before not in ("if", "elsif"):
                self._wrong(command, f"`{command.name}` has to follow `if` or `elsif`")
            before = command.name
            node = self._node(command, spec, command.block, "command")
            if node is not None:
                nodes.append(node)
        return tuple(nodes)

    def _require(self, command: Command) -> None:
        if not self._shape_fits(command, command.arguments, ("l",)) or command.tests or command.block is not None:
            self._wrong(command, "`require` takes a string or list of strings")
            return
        (names,) = command.arguments
        assert isinstance(names, Strings)
        for name in names.values:
            if name not in EXTENSIONS:
                self._wrong(names, f"unsupported extension {name!r}")
            else:
                self._extensions.add(name)
                # RFC 6131 2
                if name == "vacation-seconds":
                    self._extensions.add("vacation")

    def _node(self, at: Command | Test, spec: Spec, block: tuple[Command, ...] | None, what: str) -> Node | None:
        if spec.extension and spec.extension not in self._extensions:
            self._wrong(at, f'`{at.name}` needs require "{spec.extension}"')
            return None
        tags, positional = self._tags(at, spec)
        if not self._shape_fits(at, positional, spec.shapes):
            self._wrong(at, _shape_text(at.name, spec.shapes))
            return None
        tests = self._tests(at, spec)
        inner: tuple[Node, ...] = ()
        if spec.block and block is None:
            self._wrong(at, f"`{at.name}` needs a block")
        elif not spec.block and block is not None:
            self._wrong(at, f"`{at.name}` takes no block")
        elif block is not None:
            inner = self._block(block)
        node = Node(at.name, tags, tuple(self._value(a, spec) for a in positional), tests, inner, at.line)
        self._meaning(at, node)
        return node

    def _tests(self, at: Command | Test, spec: Spec) -> tuple[Node, ...]:
        given = at.tests
        if spec.tests == "one" and (len(given) != 1 or at.parenthesised):
            self._wrong(at, f"`{at.name}` needs one test")
        elif spec.tests == "many" and (not given or not at.parenthesised):
            self._wrong(at, f"`{at.name}` needs a list of tests in parentheses")
        elif not spec.tests and given:
            self._wrong(at, f"`{at.name}` takes no test")
        return tuple(node for test in given if (node := self._test(test)) is not None)

    def _test(self, test: Test) -> Node | None:
        spec = TESTS.get(test.name)
        if spec is None:
            self._wrong(test, f"unknown test `{test.name}`{_hint(test.name)}")
            return None
        return self._node(test, spec, None, "test")

    # --- arguments

    def _tags(self, at: Command | Test, spec: Spec) -> tuple[dict[str, tuple[Value, ...] | int | None], list[Argument]]:
        tags: dict[str, tuple[Value, ...] | int | None] = {}
        groups: dict[str, str] = {}
        positional: list[Argument] = []
        waiting = list(at.arguments)
        while waiting:
            argument = waiting.pop(0)
            if not isinstance(argument, Tag):
                positional.append(argument)
                continue
            known = spec.tags.get(argument.name)
            if known is None:
                self._wrong(argument, f"`{at.name}` has no tag `:{argument.name}`")
                continue
            if positional:
                self._wrong(argument, "tags come before the other arguments")
            if known.extension and known.extension not in self._extensions:
                self._wrong(argument, f'`:{argument.name}` needs require "{known.extension}"')
            other = groups.get(known.group or argument.name)
            if other is not None:
                self._wrong(argument, f"`:{argument.name}` after `:{other}`: one of them only")
            groups[known.group or argument.name] = argument.name
            value: tuple[Value, ...] | int | None = None
            if known.takes:
                following = waiting.pop(0) if waiting and not isinstance(waiting[0], Tag) else None
                if following is None or not _fits(following, known.takes):
                    self._wrong(argument, f"`:{argument.name}` takes {_KIND_WORDS[known.takes]}")
                    continue
                value = self._value(following, spec)
            tags[argument.name] = value
        return tags, positional

    def _shape_fits(self, at: Command | Test, given: Sequence[Argument], shapes: Sequence[str]) -> bool:
        return any(
            len(given) == len(shape) and all(_fits(one, kind) for one, kind in zip(given, shape, strict=True))
            for shape in shapes
        )

    def _value(self, argument: Argument, spec: Spec) -> tuple[Value, ...] | int:
        if isinstance(argument, Number):
            return argument.value
        assert isinstance(argument, Strings)
        values: list[Value] = []
        for text in argument.values:
            try:
                decoded = strings.decode_characters(text) if "encoded-character" in self._extensions else text
                plain = spec.constant or "variables" not in self._extensions
                values.append(decoded if plain else strings.references(decoded))
            except ValueError as problem:
                self._wrong(argument, str(problem))
                values.append("")
        return tuple(values)

    # --- what single ones want

    def _meaning(self, at: Command | Test, node: Node) -> None:
        tags = node.tags
        self._matching(at, tags)
        zone = _constant(tags.get("zone"))
        if zone is not None and not _ZONE(zone):
            self._wrong(at, f"{zone!r} is not a time zone such as +0100")
        if "last" in tags and "index" not in tags and at.name in ("address", "header", "date", "deleteheader"):
            self._wrong(at, "`:last` goes with `:index`")
        if tags.get("index") == 0:
            self._wrong(at, "`:index` begins with 1")
        first = node.arguments[0] if node.arguments else None
        self._names(at, node, first)
        match at.name:
            case "size":
                if not tags:
                    self._wrong(at, "`size` needs `:over` or `:under`")
            case "redirect" | "vacation":
                address = _constant(first if at.name == "redirect" else tags.get("from"))
                if address is not None and bare_address(address) is None:
                    self._wrong(at, f"{address!r} is not an address")
            case "envelope":
                assert isinstance(first, tuple)
                for part in first:
                    if isinstance(part, str) and part.lower() not in ENVELOPE_PARTS:
                        self._wrong(at, f"unknown envelope part {part!r}")
            case "date" | "currentdate":
                wanted = _constant(node.arguments[-2])
                if wanted is not None and wanted.lower() not in DATE_PARTS:
                    self._wrong(at, f"unknown date part {wanted!r}")

    def _names(self, at: Command | Test, node: Node, first: tuple[Value, ...] | int | None) -> None:
        """Variables, fields, scripts."""
        match at.name:
            case "set" | "setflag" | "addflag" | "removeflag":
                if at.name == "set" or len(node.arguments) == 2:
                    self._variable(at, first)
            case "hasflag":
                if len(node.arguments) == 2 and "variables" not in self._extensions:
                    self._wrong(at, '`hasflag` with variables needs require "variables"')
            case "global":
                assert isinstance(first, tuple)
                for name in first:
                    self._variable(at, (name,))
            case "addheader" | "deleteheader":
                field = _constant(first)
                if field is not None and not _FIELD_NAME(field):
                    self._wrong(at, f"{field!r} is not a field name")
            case "include":
                self._include(at, node.tags, _constant(first))

    def _include(self, at: Command | Test, tags: dict[str, tuple[Value, ...] | int | None], name: str | None) -> None:
        if not name or "/" in name or len(name) > 128:
            self._wrong(at, f"{name!r} is not the name of a script")
        elif "global" not in tags:
            self._included.add(name)

    def _variable(self, at: Command | Test, value: tuple[Value, ...] | int | None) -> None:
        if "variables" not in self._extensions:
            self._wrong(at, f'`{at.name}` with a variable needs require "variables"')
        name = _constant(value)
        if name is None or not strings.VARIABLE(name):
            self._wrong(at, f"{name or 'this'!r} is not the name of a variable")
        elif name.lower().startswith("global.") and "include" not in self._extensions:
            self._wrong(at, f'{name!r} needs require "include"')

    def _matching(self, at: Command | Test, tags: dict[str, tuple[Value, ...] | int | None]) -> None:
        comparator = _constant(tags.get("comparator")) if "comparator" in tags else "i;ascii-casemap"
        if comparator is not None and comparator not in COMPARATORS:
            self._wrong(at, f"unsupported comparator {comparator!r}")
        elif comparator == "i;ascii-numeric":
            if "comparator-i;ascii-numeric" not in self._extensions:
                self._wrong(at, 'this comparator needs require "comparator-i;ascii-numeric"')
            if "contains" in tags or "matches" in tags:
                self._wrong(at, "i;ascii-numeric knows no parts of a string: no `:contains`, no `:matches`")
        for name in ("count", "value"):
            operator = _constant(tags.get(name)) if name in tags else "eq"
            if operator is None or operator.lower() not in OPERATORS:
                self._wrong(at, f"{operator!r} is not an operator: gt, ge, lt, le, eq, ne")


def _constant(value: tuple[Value, ...] | int | None) -> str | None:
    """The text of a single string without variables."""
    if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], str):
        return value[0]
    return None


def _fits(argument: Argument, kind: str) -> bool:
    if kind == "n":
        return isinstance(argument, Number)
    return isinstance(argument, Strings) and (kind == "l" or not argument.listed)


def _shape_text(name: str, shapes: Sequence[str]) -> str:
    ways = [" and ".join(_KIND_WORDS[kind] for kind in shape) or "no argument" for shape in shapes]
    return f"`{name}` takes " + ", or ".join(ways)


def _hint(name: str) -> str:
    if name in COMMANDS:
        return ": that is a command, not a test"
    return ": that is a test, not a command" if name in TESTS else ""
