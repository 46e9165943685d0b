"""Tokens to commands (RFC 5228 8.2). What the commands mean is the checker's business."""

from __future__ import annotations

from postern.formats.sieve.lexer import Source, Token
from postern.formats.sieve.syntax import LIMITS, Argument, Command, Limits, Number, SieveError, Strings, Tag, Test


def parse(script: bytes, limits: Limits = LIMITS) -> tuple[Command, ...]:
    """The commands of a script. Raises SieveError."""
    return _Parser(Source(script, limits), limits).script()


class _Parser:
    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._tokens = source.tokens()
        self._count = 0
        self._token = next(self._tokens)

    def script(self) -> tuple[Command, ...]:
        commands = []
        while self._token.kind != "end":
            commands.append(self._command(0))
        return tuple(commands)

    # --- tokens

    def _next(self) -> Token:
        token = self._token
        if token.kind != "end":
            self._token = next(self._tokens)
        return token

    def _take(self, kind: str) -> bool:
        if self._token.kind == kind:
            self._next()
            return True
        return False

    def _expect(self, kind: str, what: str) -> Token:
        if self._token.kind != kind:
            raise self._error(f"{what} is expected here, not {_shown(self._token)}")
        return self._next()

    def _error(self, text: str) -> SieveError:
        return self._source.error(self._token.offset, text)

    # --- grammar

    def _command(self, depth: int) -> Command:
        self._deeper(depth)
        self._count += 1
        if self._count > self._limits.commands:
            raise self._error(f"a script may have {self._limits.commands} commands")
        word = self._expect("word", "a command")
        arguments = self._arguments()
        tests, parenthesised = self._tests(depth)
        block: tuple[Command, ...] | None = None
        if self._token.kind == "{":
            opened = self._next()
            inner: list[Command] = []
            while not self._take("}"):
                if self._token.kind == "end":
                    raise self._source.error(opened.offset, "the block that begins here does not end")
                inner.append(self._command(depth + 1))
            block = tuple(inner)
        else:
            self._expect(";", "`;` or a block")
        return Command(word.text, arguments, tests, block, *self._source.where(word.offset), parenthesised)

    def _deeper(self, depth: int) -> None:
        if depth > self._limits.nesting:
            raise self._error(f"nested deeper than {self._limits.nesting} levels")

    def _arguments(self) -> tuple[Argument, ...]:
        arguments: list[Argument] = []
        while True:
            token = self._token
            line, column = self._source.where(token.offset)
            match token.kind:
                case "tag":
                    arguments.append(Tag(token.text, line, column))
                case "number":
                    arguments.append(Number(token.value, line, column))
                case "string":
                    arguments.append(Strings((token.text,), False, line, column))
                case "[":
                    self._next()
                    values = [self._expect("string", "a string").text]
                    while self._take(","):
                        values.append(self._expect("string", "a string").text)
                    if self._token.kind != "]":
                        raise self._error(f"`]` or `,` is expected here, not {_shown(self._token)}")
                    arguments.append(Strings(tuple(values), True, line, column))
                case _:
                    return tuple(arguments)
            self._next()

    def _tests(self, depth: int) -> tuple[tuple[Test, ...], bool]:
        if self._take("("):
            tests = [self._test(depth + 1)]
            while self._take(","):
                tests.append(self._test(depth + 1))
            self._expect(")", "`)` or `,`")
            return tuple(tests), True
        if self._token.kind == "word":
            return (self._test(depth + 1),), False
        return (), False

    def _test(self, depth: int) -> Test:
        self._deeper(depth)
        word = self._expect("word", "a test")
        arguments = self._arguments()
        tests, parenthesised = self._tests(depth)
        return Test(word.text, arguments, tests, parenthesised, *self._source.where(word.offset))


def _shown(token: Token) -> str:
    if token.kind == "string":
        return "a string"
    return token.text if token.kind == "end" else f"`{':' if token.kind == 'tag' else ''}{token.text}`"
