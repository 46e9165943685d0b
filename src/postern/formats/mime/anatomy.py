"""What a reader sees of a message: the text to read, and what hangs on it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

import msgspec

from postern.formats.mime import charset, header, parameters, references, transfer
from postern.formats.mime.parts import LEAF, MESSAGE, MULTIPART, PART_HEADER_LIMIT_BYTES, TEXT, PartMap

_INLINE_TEXT = ("text/plain", "text/html", "text/enriched")
_TAG = re.compile(r"<(?:!--|(/?)([a-zA-Z][a-zA-Z0-9]{0,20}+)?[^<>]*+>?)").finditer
_UNSEEN = frozenset({"script", "style", "head", "title"})
_BREAKING = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote"})
_SPACES = re.compile(r"[ \t\r\n\f]++")
_MANY_LINES = re.compile(r"\n{3,}")
_MAX_HTML = 4 << 20
_CONTENT_FIELDS = re.compile(
    rb"^(content-(?:type|disposition|id|location|transfer-encoding))[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*+)",
    re.MULTILINE | re.IGNORECASE,
).findall
_SHORT = 256
"""Octets of the fields that describe a part up to which what they say is remembered: most parts are described alike."""


class Part(msgspec.Struct, frozen=True):
    """A part of a message. Offsets are into the content that was read."""

    section: str
    """As IMAP counts: `2.1`."""
    content_type: str
    """Small letters, without parameters."""
    charset: str
    name: str
    """File name, decoded; may be empty."""
    content_id: str
    """Without brackets."""
    location: str
    inline: bool
    """Content-Disposition says so, or the text refers to it by its id."""
    encoding: bytes
    header_start: int
    start: int
    end: int
    enclosed: bool = False
    """A message in the message."""

    def decoded(self, content: bytes | memoryview) -> bytes:
        """Octets without transfer encoding."""
        return transfer.decode(bytes(content[self.start : self.end]), self.encoding)

    def text(self, content: bytes | memoryview) -> str:
        """Characters."""
        return charset.text(self.decoded(content), self.charset)

    @property
    def size_estimate(self) -> int:
        """Octets, without decoding them."""
        raw = self.end - self.start
        return raw * 37 // 50 if self.encoding.strip().lower() == b"base64" else raw


class Anatomy(msgspec.Struct, frozen=True):
    """A message's readable parts."""

    plain: Part | None
    html: Part | None
    attachments: tuple[Part, ...]

    @property
    def has_attachments(self) -> bool:
        """Whether anything hangs on the message that is not drawn within its text."""
        return any(not drawn_in(one) for one in self.attachments)


class Described(Protocol):
    """What has to be known of a part to tell whether it is read or hangs on the message."""

    @property
    def content_type(self) -> str:
        """Small letters, without parameters."""

    @property
    def name(self) -> str:
        """File name; may be empty."""

    @property
    def content_id(self) -> str:
        """Without brackets; may be empty."""

    @property
    def inline(self) -> bool:
        """Content-Disposition says so."""


P = TypeVar("P", bound=Described)


def drawn_in(part: Described) -> bool:
    """Whether a part belongs to the text that refers to it."""
    return part.inline and bool(part.content_id)


def without_calendar(attachments: Sequence[P]) -> tuple[P, ...]:
    """Of a message about a meeting: without the calendar that it consists of, the first one, whatever its name."""
    own = next((number for number, one in enumerate(attachments) if one.content_type == "text/calendar"), None)
    return tuple(one for number, one in enumerate(attachments) if number != own)


class _Node(msgspec.Struct):
    part: Part
    kind: int
    depth: int
    children: list[_Node]


def anatomy(content: bytes | memoryview, packed: bytes, ahead: int = 0) -> Anatomy:
    """Find them. `packed` is the part map of the content (messages over 4 GiB have none: then nothing is found).

    `ahead`: octets of the content that the map does not count, an item's own header lines.
    """
    try:
        numbers = list(PartMap.unpack(packed))
    except ValueError:
        return Anatomy(None, None, ())
    if ahead:
        numbers = [(kind, depth, at + ahead, body + ahead, end + ahead) for kind, depth, at, body, end in numbers]
    root = _tree(content, numbers)
    found: Reading[Part] = Reading()
    _visit(found, root, alternative=False)
    return Anatomy(found.plain, found.html, tuple(found.attachments))


def _visit(found: Reading[Part], node: _Node, *, alternative: bool) -> None:
    if node.kind != MULTIPART:
        found.leaf(node.part, alternative=alternative, readable=node.kind in (TEXT, LEAF))
        return
    mine = node.part.content_type == "multipart/alternative"
    for number, one in enumerate(node.children):
        _visit(found, one, alternative=alternative or mine)
        if number == 0:
            found.first_done(alternative=mine)


def leaves(content: bytes | memoryview, packed: bytes) -> Iterator[Part]:
    """All parts that hold something, also those of enclosed messages, in their order; `section` is left empty."""
    for numbers in PartMap.unpack(packed):
        if numbers[0] in (LEAF, TEXT):
            yield part_at(content, numbers)


def _tree(content: bytes | memoryview, numbers: list[tuple[int, int, int, int, int]]) -> _Node:
    """Nodes down to enclosed messages, whose inside belongs to them."""
    root = _Node(part_at(content, numbers[0], "1" if numbers[0][0] != MULTIPART else ""), numbers[0][0], 0, [])
    stack = [root]
    hidden = -1
    for one in numbers[1:]:
        kind, depth = one[0], one[1]
        if hidden >= 0 and depth > hidden:
            continue
        hidden = -1
        while stack and stack[-1].depth >= depth:
            stack.pop()
        if not stack:
            break
        above = stack[-1]
        number = str(len(above.children) + 1)
        section = f"{above.part.section}.{number}" if above.part.section and above.kind == MULTIPART else number
        node = _Node(part_at(content, one, section), kind, depth, [])
        above.children.append(node)
        if kind == MULTIPART:
            stack.append(node)
        elif kind == MESSAGE:
            hidden = depth
    return root


def part_at(content: bytes | memoryview, numbers: tuple[int, int, int, int, int], section: str = "") -> Part:
    """A part by what a part map says of it: kind, depth, start of its header, of its body, its end."""
    kind, _, header_start, start, end = numbers
    block = bytes(content[header_start : min(start, header_start + PART_HEADER_LIMIT_BYTES)])
    found = tuple(_CONTENT_FIELDS(block))
    told = _described(found) if sum(len(value) for _, value in found) <= _SHORT else _describe(found)
    return Part(section, *told, header_start, start, end, kind == MESSAGE)


def _describe(found: tuple[tuple[bytes, bytes], ...]) -> tuple[str, str, str, str, str, bool, bytes]:
    """A part's content_type, charset, name, content_id, location, inline and encoding, by its fields."""
    fields = {name.lower(): value for name, value in reversed(found)}
    type_, type_values = parameters.parse(fields.get(b"content-type", b""))
    disposition, disposition_values = parameters.parse(fields.get(b"content-disposition", b""))
    name = file_name(disposition_values, b"filename") or file_name(type_values, b"name")
    named = parameters.get(type_values, b"charset") or b""
    content_type = (type_ or b"text/plain").lower().decode("ascii", "replace")
    return (
        content_type,
        named.decode("ascii", "replace"),
        name,
        header.unfold(fields.get(b"content-id", b"")).strip(b"<> ").decode("utf-8", "replace"),
        header.unfold(fields.get(b"content-location", b"")).decode("utf-8", "replace"),
        (disposition or b"").lower() == b"inline",
        header.unfold(fields.get(b"content-transfer-encoding", b"")),
    )


_described = lru_cache(maxsize=1024)(_describe)


def file_name(found: parameters.Parameters, name: bytes) -> str:
    """A file name among parameters, decoded; may be empty. `name`: `filename` or `name`."""
    value = parameters.decoded(found, name) or ""
    if "=?" in value:  # against RFC 2047 5, and everywhere
        value = header.decode(value.encode())
    return value.replace("/", "_").replace("\\", "_").strip()


class Reading(Generic[P]):
    """Tells what is read of a message from what hangs on it, by its parts in their order."""

    def __init__(self) -> None:
        self.plain: P | None = None
        self.html: P | None = None
        self.attachments: list[P] = []
        self._closed = False
        """Text that comes now is no longer what is read first."""

    def leaf(self, part: P, *, alternative: bool, readable: bool) -> None:
        """The next part that holds something. `alternative`: within multipart/alternative; `readable`: no message."""
        if not (readable and not part.name and self._take(part, alternative)):
            self.attachments.append(part)

    def first_done(self, *, alternative: bool) -> None:
        """The first part of a multipart (an alternative one?) is behind."""
        if not alternative and (self.plain or self.html):
            self._closed = True

    def _take(self, part: P, alternative: bool) -> bool:
        if part.content_type not in _INLINE_TEXT or (self._closed and not alternative):
            return False
        if part.content_type == "text/html":
            if self.html is not None:
                return False
            self.html = part
        else:
            if self.plain is not None or (self.html is not None and not alternative):
                return False
            self.plain = part
        return True


def to_text(html: str) -> str:
    """What is left of HTML without markup: for clients that ask for text only. Linear time."""
    html = html[:_MAX_HTML]
    pieces: list[str] = []
    position, unseen = 0, ""
    for match in _TAG(html):
        if match.start() < position:
            continue
        if not unseen:
            pieces.append(_SPACES.sub(" ", html[position : match.start()]))
        position = match.end()
        closing, name = match.group(1), (match.group(2) or "").lower()
        if match.group() == "<!--":
            end = html.find("-->", position)
            position = len(html) if end < 0 else end + 3
        elif unseen:
            unseen = "" if closing and name == unseen else unseen
        elif name in _UNSEEN and not closing:
            unseen = name
        elif name in _BREAKING and (closing or name == "br"):
            pieces.append("\n")
    if not unseen:
        pieces.append(_SPACES.sub(" ", html[position:]))
    lines = "\n".join(line.strip() for line in references.unescaped("".join(pieces)).split("\n"))
    return _MANY_LINES.sub("\n\n", lines).strip().replace("\n", "\r\n")


def to_html(text: str) -> str:
    """Text as HTML, line for line."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    lines = escaped.replace("\r\n", "\n").replace("\n", "<br>\r\n")
    head = '<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head>'
    return f"{head}<body>\r\n<div>{lines}</div>\r\n</body></html>"
