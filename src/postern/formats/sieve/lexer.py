"""Octets to tokens (RFC 5228 2.1 to 2.4, 8.1)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from postern.formats.sieve.syntax import LIMITS, Limits, Problem, SieveError

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]++|\#[^\n]*+|/\*(?:[^*]|\*(?!/))*+\*/)
    |(?P<multi>[Tt][Ee][Xx][Tt]:[ \t]*+(?:\#[^\n]*+)?\r?\n)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*+)
    |(?P<number>[0-9]++[KMGkmg]?)
    |(?P<tag>:[A-Za-z_][A-Za-z0-9_]*+)
    |(?P<quoted>"(?:[^"\\]|\\.)*+")
    |(?P<sign>[\[\](){},;])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_LINE_END = re.compile(r"\r\n|\n")
_QUANTIFIER = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
MAX_NUMBER = (1 << 63) - 1


class Token(NamedTuple):
    """`kind`: word, number, tag, string, one of the signs, or `end`."""

    kind: str
    text: str
    value: int
    offset: int


class Source:
    """A script's text, and where its lines begin."""

    def __init__(self, script: bytes, limits: Limits = LIMITS) -> None:
        """Raises SieveError for what is too long or no UTF-8."""
        if len(script) > limits.script_bytes:
            raise SieveError([Problem(1, 1, f"a script may have {limits.script_bytes} octets")])
        try:
            self.text = script.removeprefix(b"\xef\xbb\xbf").decode()
        except UnicodeDecodeError as broken:
            line = script.count(b"\n", 0, broken.start) + 1
            column = broken.start - script.rfind(b"\n", 0, broken.start)
            raise SieveError([Problem(line, column, "this is not UTF-8")]) from broken
        self._lines = [0, *(found.end() for found in re.finditer("\n", self.text))]
        if "\0" in self.text:
            raise self.error(self.text.index("\0"), "a NUL character")

    def where(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1."""
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def error(self, offset: int, text: str) -> SieveError:
        """With the place put before it."""
        return SieveError([Problem(*self.where(offset), text)])

    def tokens(self) -> Iterator[Token]:
        """To the end, which is a token too. Raises SieveError."""
        text, position = self.text, 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise self.error(position, _complaint(text, position))
            kind, start = found.lastgroup or "", position
            position = found.end()
            match kind:
                case "space":
                    continue
                case "multi":
                    value, position = self._multi_line(start, position)
                    yield Token("string", value, 0, start)
                case "quoted":
                    yield Token("string", _ESCAPE.sub(r"\1", found.group()[1:-1]), 0, start)
                case "number":
                    yield Token("number", found.group(), self._number(found.group(), start), start)
                case "sign":
                    yield Token(found.group(), found.group(), 0, start)
                case _:
                    yield Token(kind, found.group().lower().lstrip(":"), 0, start)
        yield Token("end", "the end of the script", 0, len(text))

    def _number(self, text: str, start: int) -> int:
        digits = text.rstrip("KMGkmg")
        value = int(digits) if len(digits) <= 20 else MAX_NUMBER + 1
        value *= _QUANTIFIER.get(text[-1].upper(), 1)
        if value > MAX_NUMBER:
            raise self.error(start, "the number is too large")
        return value

    def _multi_line(self, start: int, position: int) -> tuple[str, int]:
        """Lines up to a single dot, dots unstuffed, ends as CRLF."""
        lines: list[str] = []
        while True:
            end = _LINE_END.search(self.text, position)
            line = self.text[position : end.start() if end else len(self.text)]
            if line == ".":
                return "".join(line + "\r\n" for line in lines), end.end() if end else len(self.text)
            if end is None:
                raise self.error(start, "the text that begins here has no line with a single dot")
            lines.append(line[1:] if line.startswith(".") else line)
            position = end.end()


def _complaint(text: str, position: int) -> str:
    if text[position] == '"':
        return "the string that begins here does not end"
    if text.startswith("/*", position):
        return "the comment that begins here does not end"
    return f"{text[position]!r} is not expected here"
