"""Reads the arguments of one command.

The framing layer (`session`) has put each literal aside and left a NUL octet in its place: a NUL can stand nowhere
else in a command (RFC 9051 9, `CHAR`), so one pass over the text meets everything in order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from postern.model.refusal import ProtocolViolation
from postern.protocols.imap import sequence, utf7

LITERAL_MARK = 0

_ATOM = re.compile(rb"[^\x00-\x20(){%*\"\\\]\x7f-\xff]+")
_ASTRING = re.compile(rb"[^\x00-\x20(){%*\"\\\x7f-\xff]+")
_LIST_MAILBOX = re.compile(rb"[^\x00-\x20(){\"\\\x7f-\xff]+")
_QUOTED = re.compile(rb'"([^"\\\r\n\x00]*(?:\\["\\][^"\\\r\n\x00]*)*)"')
_UNESCAPE = re.compile(rb"\\(.)")
_NUMBER = re.compile(rb"[0-9]{1,20}")
_SEQUENCE = re.compile(rb"[0-9*:,]+|\$")
_WORD = re.compile(rb"[A-Za-z0-9.\-]+")
_FLAG = re.compile(rb"\\?[^\x00-\x20(){%*\"\\\]\x7f-\xff]+")

MAX_MAILBOX_NAME_BYTES = 1024
_REMEMBERED_BYTES = 512


class Scanner:
    """A position in a command's arguments. Every method raises ProtocolViolation if it does not find what it reads."""

    __slots__ = ("_literals", "_next_literal", "position", "text", "utf8")

    def __init__(self, text: bytes, literals: Sequence[bytes] = (), *, utf8: bool = False) -> None:
        self.text = text
        self.utf8 = utf8
        """Mailbox names are UTF-8 instead of modified UTF-7 (RFC 6855 3, RFC 9051 5.1)."""
        self.position = 0
        self._literals = literals
        self._next_literal = 0

    # --- structure
    def peek(self) -> bytes:
        """The next octet, empty at the end."""
        return self.text[self.position : self.position + 1]

    def end(self) -> None:
        """Nothing may be left."""
        if self.position < len(self.text):
            raise ProtocolViolation("unexpected text after the arguments")

    def space(self) -> None:
        """Exactly one space."""
        self.expect(b" ")

    def expect(self, token: bytes) -> None:
        """Exactly this text."""
        if not self.text.startswith(token, self.position):
            raise ProtocolViolation(f"expected {token.decode('ascii')!r}")
        self.position += len(token)

    def accept(self, token: bytes) -> bool:
        """Whether the text comes next; if so it is read."""
        if self.text.startswith(token, self.position):
            self.position += len(token)
            return True
        return False

    def accept_word(self, word: bytes) -> bool:
        """Whether an upper-case word comes next, in any case; if so it is read."""
        end = self.position + len(word)
        if self.text[self.position : end].upper() != word:
            return False
        self.position = end
        return True

    def match(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        """What the pattern matches here."""
        found = pattern.match(self.text, self.position)
        if found is None:
            raise ProtocolViolation(f"expected {what}")
        self.position = found.end()
        return found[0]

    def same_again(self) -> bytes | None:
        """What is left, for parsers that remember what clients say again and again; None for what is not to be kept.

        Long arguments are rare and would fill memory; so are those with a literal.
        """
        rest = self.text[self.position :]
        return None if len(rest) > _REMEMBERED_BYTES or b"\0" in rest else rest

    # --- tokens
    def word(self) -> bytes:
        """A keyword of the protocol, upper-cased."""
        return self.match(_WORD, "a keyword").upper()

    def atom(self) -> bytes:
        """An atom."""
        return self.match(_ATOM, "an atom")

    def match_capability(self) -> bytes:
        """The name of a capability, such as `AUTH=PLAIN`, upper-cased."""
        return self.atom().upper()

    def number(self, largest: int = 0xFFFFFFFF) -> int:
        """A number up to `largest`."""
        value = int(self.match(_NUMBER, "a number"))
        if value > largest:
            raise ProtocolViolation(f"number over {largest}")
        return value

    def sequence_set(self) -> sequence.SequenceSet:
        """A sequence set."""
        return sequence.parse(self.match(_SEQUENCE, "a sequence set"))

    def string(self) -> bytes:
        """A quoted string or literal."""
        head = self.peek()
        if head == b'"':
            found = _QUOTED.match(self.text, self.position)
            if found is None:
                raise ProtocolViolation("unterminated or invalid quoted string")
            self.position = found.end()
            value = found[1]
            return _UNESCAPE.sub(rb"\1", value) if b"\\" in value else value
        if head == b"\0":
            self.position += 1
            value = self._literals[self._next_literal]
            self._next_literal += 1
            return value
        raise ProtocolViolation("expected a string")

    def literal(self) -> tuple[bytes, bool]:
        """A literal, and whether it is one of octets (literal8, RFC 9051 4.3)."""
        octets = self.accept(b"~")
        if self.peek() != b"\0":
            raise ProtocolViolation("expected a literal")
        value = self.string()
        if not octets and b"\0" in value:
            raise ProtocolViolation("NUL in a literal; only ~{...} may have it")
        return value, octets

    def astring(self) -> bytes:
        """An atom (in which `]` may stand), quoted string or literal."""
        found = _ASTRING.match(self.text, self.position)
        if found is None:
            return self.string()
        self.position = found.end()
        return found[0]

    def text_string(self) -> str:
        """An astring that must be UTF-8 without NUL: user names, passwords, header names."""
        return utf8(self.astring())

    def mailbox(self) -> str:
        """A mailbox name, decoded; INBOX in any case is INBOX."""
        return mailbox_name(self.astring(), utf8=self.utf8)

    def list_mailbox(self) -> str:
        """A LIST pattern."""
        found = _LIST_MAILBOX.match(self.text, self.position)
        if found is None:
            return _decoded(self.string(), utf8=self.utf8)
        self.position = found.end()
        return _decoded(found[0], utf8=self.utf8)

    def flag_list(self) -> tuple[bytes, ...]:
        """`(\\Seen $Label)`."""
        self.expect(b"(")
        flags: list[bytes] = []
        while not self.accept(b")"):
            if flags:
                self.space()
            flags.append(self.match(_FLAG, "a flag"))
        return tuple(flags)

    def flags(self) -> tuple[bytes, ...]:
        """A list of flags, with or without parentheses (STORE)."""
        if self.peek() == b"(":
            return self.flag_list()
        flags = [self.match(_FLAG, "a flag")]
        while self.accept(b" "):
            flags.append(self.match(_FLAG, "a flag"))
        return tuple(flags)


def utf8(raw: bytes) -> str:
    """Decode UTF-8. Raises ProtocolViolation."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolViolation("invalid UTF-8") from error
    if "\0" in text:
        raise ProtocolViolation("NUL in a string")
    return text


def _decoded(raw: bytes, *, utf8: bool) -> str:
    if not utf8:
        return utf7.decode(raw)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolViolation("mailbox name is not UTF-8") from error


def mailbox_name(raw: bytes, *, utf8: bool = False) -> str:
    """A mailbox name from the wire."""
    if len(raw) > MAX_MAILBOX_NAME_BYTES:
        raise ProtocolViolation(f"mailbox name over {MAX_MAILBOX_NAME_BYTES} octets")
    name = _decoded(raw, utf8=utf8)
    if name[:5].upper() == "INBOX" and (len(name) == 5 or name[5] == "/"):
        return "INBOX" + name[5:]
    return name


def no_arguments(scanner: Scanner) -> None:
    """The parser of a command without arguments."""
    scanner.end()
