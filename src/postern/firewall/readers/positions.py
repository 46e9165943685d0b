"""JSON whose objects know the line they begin at, so that a remark can name it.

The standard library's decoder gives no positions. This one reads RFC 8259 with bounded nesting.
"""

from __future__ import annotations

import json
import re

from postern.firewall.readers.ruleset import RulesetError

DEPTH = 64
"""Rulesets nest a dozen deep; more is an attack on the stack."""

_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")


class Object(dict[str, object]):
    """A JSON object with the line of its opening brace."""

    line = 0


def parse(text: str) -> object:
    """A JSON document. Raises RulesetError with the line."""
    reader = _Reader(text.removeprefix("\ufeff"))
    value = reader.value(0)
    reader.blank()
    if reader.at != len(reader.text):
        raise reader.error("something follows the end of the document")
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._line, self._counted = 1, 0

    def line(self) -> int:
        """The line of the present position; lines are counted once."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def error(self, what: str) -> RulesetError:
        return RulesetError(f"line {self.line()}: {what}")

    def blank(self) -> None:
        found = _BLANK.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def take(self, mark: str) -> bool:
        """Whether the mark stands here; then it is passed."""
        self.blank()
        if self.text.startswith(mark, self.at):
            self.at += len(mark)
            return True
        return False

    def value(self, depth: int) -> object:
        if depth > DEPTH:
            raise self.error(f"nested deeper than {DEPTH}")
        self.blank()
        first = self.text[self.at : self.at + 1]
        if first == "{":
            return self.object(depth)
        if first == "[":
            return self.array(depth)
        if first == '"':
            return self.string()
        found = _PLAIN.match(self.text, self.at)
        if found is None:
            raise self.error(f"a JSON value is expected, not {self.text[self.at : self.at + 20]!r}")
        self.at = found.end()
        try:
            plain: object = json.loads(found.group())
        except ValueError:
            raise self.error("a number is too long") from None
        return plain

    def string(self) -> str:
        self.blank()
        found = _STRING.match(self.text, self.at)
        if found is None:
            raise self.error("a string is expected")
        try:
            text = json.loads(found.group())
        except ValueError as problem:
            raise self.error(str(problem)) from None
        self.at = found.end()
        return str(text)

    def array(self, depth: int) -> list[object]:
        self.at += 1
        items: list[object] = []
        if self.take("]"):
            return items
        while True:
            items.append(self.value(depth + 1))
            if self.take("]"):
                return items
            if not self.take(","):
                raise self.error("',' or ']' is expected")

    def object(self, depth: int) -> Object:
        found = Object()
        found.line = self.line()
        self.at += 1
        if self.take("}"):
            return found
        while True:
            key = self.string()
            if not self.take(":"):
                raise self.error("':' is expected")
            found[key] = self.value(depth + 1)
            if self.take("}"):
                return found
            if not self.take(","):
                raise self.error("',' or '}' is expected")
