"""A server session, sans-IO: octets in, commands out.

    session.feed(data)
    while (event := session.next()) is not None:
        match event:
            case Command(): parse with `table`, carry out, answer
            case Continue(): write `+ OK`, go on reading
            case Rejected(): write the tagged response, end the connection if it `closes`

Framing follows RFC 9051 2.2 and 4.3, non-synchronizing literals RFC 7888. What is too long is swallowed to its end
and answered, so that the session lives on and no octet of it is taken for a command; a literal that would take for ever
ends it instead (RFC 7888 4).
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

import msgspec


class State(Enum):
    """RFC 9051 3."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


class Limits(msgspec.Struct, frozen=True):
    """Octets."""

    line_bytes: int = 65536
    """Longest command, literals apart: sequence sets of mirroring clients grow long."""
    line_before_login_bytes: int = 8192
    literal_bytes: int = 65536
    """All literals of one command together, unless it carries messages."""
    literal_before_login_bytes: int = 8192
    append_bytes: int = 52_428_800
    """Largest message for APPEND; several in one command share it (RFC 3502)."""


class Command(NamedTuple):
    """A complete command."""

    tag: bytes
    name: bytes
    """Upper case; `UID FETCH` for commands under UID."""
    text: bytes
    """Arguments after the space; a NUL for each literal."""
    literals: list[bytes]


class Continue(NamedTuple):
    """The client waits before it sends a literal."""


class Rejected(NamedTuple):
    """A command that never became one; answer it."""

    tag: bytes
    """`*` if none could be read."""
    response: bytes
    """`BAD text` or `NO [CODE] text`."""
    closes: bool = False
    """What the client sends now will not be read: the connection ends."""


Event = Command | Continue | Rejected

_HEAD = re.compile(
    rb"([!#-'+,\-./0-9:;<=>?@A-\[\]^_`a-z|}~]+) ((?:[Uu][Ii][Dd] )?[A-Za-z][A-Za-z0-9.\-]*)(?: (.*))?", re.DOTALL
)
_TAG = re.compile(rb"([!#-'+,\-./0-9:;<=>?@A-\[\]^_`a-z|}~]{1,64})(?: |$)")
_LITERAL = re.compile(rb"\{([0-9]+)(\+?)\}$")
_END_OF_LITERAL = re.compile(rb"[0-9]{20,}\+\}")
"""A literal announced at the end of a line of which only the end is kept."""
_SIZE_DIGITS = 10
SWALLOWED_BYTES = 1 << 32
"""A larger literal that comes without waiting is not read to its end; it may have been 99999999999999999999 octets."""
_NOTHING: list[bytes] = []
_WITH_MESSAGES = frozenset({b"APPEND", b"REPLACE", b"UID REPLACE"})
LITERAL_MINUS_BYTES = 4096
"""Largest literal without waiting where only LITERAL- is offered (RFC 7888 5)."""
_TAIL_BYTES = 32
"""How much of an over-long line is kept, to see a literal announced at its end."""


@lru_cache(maxsize=64)
def _alike(name: bytes, items: bytes) -> re.Pattern[bytes]:
    return re.compile(
        rb"[^\x00-\x20({%%*\"\\\x7f]{1,64} %b ([1-9][0-9]{0,9}) %b\r\n" % (re.escape(name), re.escape(items))
    )


class ServerSession:
    """Turns octets into commands. The front end sets `state`."""

    __slots__ = (
        "_chunks",
        "_data",
        "_literal_left",
        "_literals",
        "_position",
        "_rejection",
        "_room",
        "_scanned",
        "_skip",
        "_text",
        "limits",
        "minus",
        "state",
    )

    def __init__(self, limits: Limits, state: State = State.NOT_AUTHENTICATED) -> None:
        self.limits = limits
        self.state = state
        self.minus = False
        """Only small literals may come without waiting: LITERAL- is offered instead of LITERAL+."""
        self._data = b""
        self._position = 0
        self._scanned = 0
        self._skip = 0  # octets of a refused literal still to be thrown away
        self._literal_left = 0
        self._chunks: list[bytes] = []
        self._literals: list[bytes] = []
        self._text: bytes | None = None  # what came before the literal now read, with its marks
        self._room = 0  # octets of literals this command may still have
        self._rejection: Rejected | None = None

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        if self._position == len(self._data):
            self._data = data
            self._scanned = 0
        else:
            self._scanned = max(0, self._scanned - self._position)
            self._data = self._data[self._position :] + data
        self._position = 0

    def pending(self) -> int:
        """Octets received and not yet consumed."""
        return len(self._data) - self._position

    def followers(self, command: Command, limit: int) -> list[int]:
        """Message numbers of the commands that wait and differ from this one in its first argument alone.

        What a client that fetches one message after the other will ask next; ends at anything else.
        """
        _, name, text, literals = command
        numbers: list[int] = []
        if literals or not self.pending():
            return numbers
        items = text.partition(b" ")[2]
        match, position = _alike(name, items).match, self._position
        while len(numbers) < limit and (found := match(self._data, position)) is not None:
            numbers.append(int(found[1]))
            position = found.end()
        return numbers

    def clear(self) -> int:
        """Drop what was received and not consumed; how many octets that was (before TLS starts)."""
        dropped = len(self._data) - self._position
        self._data = b""
        self._position = self._scanned = 0
        return dropped

    def take_rest(self) -> bytes:
        """Hand out what was received and not consumed: it is no plain text any more."""
        rest = self._data[self._position :]
        self.clear()
        return rest

    def next_line(self) -> bytes | None:
        """A line outside commands: the answer to a SASL challenge, DONE. None: not complete yet.

        A line over the limit comes back cut, which no caller takes for a valid one.
        """
        newline = self._data.find(b"\n", self._position)
        limit = self.limits.line_before_login_bytes * 2
        if newline < 0:
            if len(self._data) - self._position > limit:
                self._data = self._data[self._position : self._position + limit]
                self._position = 0
            return None
        line = self._data[self._position : newline]
        self._position = newline + 1
        return line[:-1] if line.endswith(b"\r") else line

    def next(self) -> Event | None:
        """The next event, None if more octets are needed."""
        while self._position < len(self._data):
            if self._skip or self._literal_left:
                self._take_literal()
                continue
            newline = self._data.find(b"\n", max(self._position, self._scanned))
            if newline < 0:
                self._scanned = len(self._data)
                self._check_length()
                return None
            line = self._data[self._position : newline]
            self._position = newline + 1
            event = self._line(line)
            if event is not None:
                return event
        return None

    # --- lines
    def _line(self, line: bytes) -> Event | None:
        """A line has come, without its LF; None to go on."""
        line = line[:-1] if line.endswith(b"\r") else line + b"\n"  # a bare LF ends no line: refused below
        literal = _LITERAL.search(line) if line.endswith(b"}") else None
        if self._rejection is not None:
            if literal is None and _END_OF_LITERAL.fullmatch(line):
                return self._given_up()
            return self._skipped_line(literal)
        before = self._text
        if before is None and literal is None and self._acceptable(line):
            head = _HEAD.fullmatch(line)
            if head is not None:
                return Command(head[1], head[2].upper(), head[3] or b"", _NOTHING)
        return self._long_command(before, line, literal)

    def _acceptable(self, line: bytes) -> bool:
        return len(line) <= self._line_limit() and b"\0" not in line and b"\r" not in line and b"\n" not in line

    def _long_command(self, before: bytes | None, line: bytes, literal: re.Match[bytes] | None) -> Event | None:
        """A command with literals, or a broken one."""
        text = line if before is None else before + line
        if len(text) > self._line_limit():
            return self._reject(text, b"BAD Command line too long", literal)
        if not self._acceptable(line):
            what = b"NUL" if b"\0" in line else b"Bare CR or LF"
            return self._reject(text, b"BAD %b in a command" % what, literal)
        if literal is None:
            return self._complete(text)
        return self._announced(text, literal, first=before is None)

    def _complete(self, text: bytes) -> Event:
        literals, self._literals, self._text = self._literals, _NOTHING, None
        head = _HEAD.fullmatch(text)
        if head is not None:
            return Command(head[1], head[2].upper(), head[3] or b"", literals)
        tag = _TAG.match(text)
        if tag is None:
            return Rejected(b"*", b"BAD Invalid tag")
        return Rejected(tag[1], b"BAD Missing or invalid command")

    def _line_limit(self) -> int:
        limits = self.limits
        return limits.line_before_login_bytes if self.state is State.NOT_AUTHENTICATED else limits.line_bytes

    def _check_length(self) -> None:
        """Swallow an endless line; remember that it was one."""
        waiting = len(self._data) - self._position
        if waiting <= self._line_limit() + 2:
            return
        if self._rejection is None:
            start = (self._text or b"") + self._data[self._position : self._position + 80]
            self._rejection = self._rejected(start, b"BAD Command line too long")
        self._data = self._data[-_TAIL_BYTES:]
        self._position = 0
        self._scanned = len(self._data)

    # --- literals
    def _announced(self, text: bytes, literal: re.Match[bytes], *, first: bool) -> Event | None:
        """A literal is announced at the end of `text`: take or refuse it."""
        size, waits = _size(literal), not literal[2]
        if first:
            self._literals = []
            self._room = self._literal_limit(text)
        if self.minus and not waits and size > LITERAL_MINUS_BYTES:
            return self._reject(text, b"BAD [TOOBIG] Literal too large to be sent without waiting", literal)
        if size > self._room:
            status = b"NO [TOOBIG] Message too large" if self._is_append(text) else b"BAD Literal too large"
            return self._reject(text, status, literal)
        self._room -= size
        self._text = text[: -len(literal[0])] + b"\0"
        self._literal_left = size
        self._chunks = []
        if not size:
            self._literals.append(b"")
        return Continue() if waits else None

    def _literal_limit(self, text: bytes) -> int:
        if self.state is State.NOT_AUTHENTICATED:
            return self.limits.literal_before_login_bytes
        # the folder's name may be a literal as well
        return self.limits.append_bytes + 1024 if self._is_append(text) else self.limits.literal_bytes

    def _is_append(self, text: bytes) -> bool:
        head = _HEAD.match(text)
        return self.state is not State.NOT_AUTHENTICATED and head is not None and head[2].upper() in _WITH_MESSAGES

    def _take_literal(self) -> None:
        """Consume octets of a literal, wanted or not."""
        available = len(self._data) - self._position
        if self._skip:
            taken = min(available, self._skip)
            self._skip -= taken
            self._position += taken
            return
        taken = min(available, self._literal_left)
        start = self._position
        self._chunks.append(self._data[start : start + taken])
        self._position = start + taken
        self._literal_left -= taken
        if not self._literal_left:
            self._literals.append(self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks))
            self._chunks = []

    # --- refusing
    def _rejected(self, text: bytes, response: bytes) -> Rejected:
        tag = _TAG.match(text[:80])
        return Rejected(tag[1] if tag else b"*", response)

    def _reject(self, text: bytes, response: bytes, literal: re.Match[bytes] | None) -> Rejected | None:
        """Give a command up. What a non-synchronizing literal brings is swallowed first (RFC 7888 4)."""
        rejection = self._rejected(text, response)
        self._literals, self._text = _NOTHING, None
        if literal is not None and literal[2]:
            self._rejection = rejection
            return self._swallow(literal)
        return rejection

    def _swallow(self, literal: re.Match[bytes]) -> Rejected | None:
        """Throw away what a refused literal brings, unless it is too much even for that."""
        size = _size(literal)
        if size > SWALLOWED_BYTES:
            return self._given_up()
        self._skip = size
        return None

    def _given_up(self) -> Rejected:
        assert self._rejection is not None
        rejection, self._rejection = self._rejection, None
        self._skip = 1 << 64
        return rejection._replace(closes=True)

    def _skipped_line(self, literal: re.Match[bytes] | None) -> Rejected | None:
        """The end of a line of a refused command: it goes on if it announces one more literal without waiting."""
        if literal is not None and literal[2]:
            return self._swallow(literal)
        rejection, self._rejection, self._text, self._literals = self._rejection, None, None, _NOTHING
        return rejection


def _size(literal: re.Match[bytes]) -> int:
    """Octets announced; of absurdly many digits only that they are too many."""
    digits = literal[1].lstrip(b"0")
    return int(digits or b"0") if len(digits) <= _SIZE_DIGITS else 1 << 64
