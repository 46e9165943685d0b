"""BODYSTRUCTURE, ready for the wire (RFC 9051 7.5.2), and the part map, in one walk over a message.

Cost is bounded for hostile input: at most MAX_PARTS parts, MAX_LEVELS levels and MAX_CANDIDATES lines that look
like a delimiter; what lies beyond is shown as one opaque part. Each level is searched once, by `bytes.find`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from postern.formats.mime import envelope, parameters
from postern.formats.mime.header import unfold, values
from postern.formats.mime.parts import LEAF, MESSAGE, MULTIPART, PART_HEADER_LIMIT_BYTES, TEXT
from postern.formats.mime.wire import NIL, string

MAX_PARTS = 1000
MAX_LEVELS = 50
MAX_CANDIDATES = 20_000
MESSAGE_HEADER_LIMIT_BYTES = 262144
"""A message's header is read so far and no further."""

COUNTED_QUICKLY_BYTES = 131_072
"""A text in which line ends are counted by taking them away: CPython 3.11 looks at each octet to count them, but finds
those to be replaced seven times as fast. Of a longer text that would be a long copy, for half the speed at worst."""

_CACHED_HEADER_BYTES = 320

_DESCRIBES = (
    b"content-type",
    b"content-transfer-encoding",
    b"content-id",
    b"content-description",
    b"content-disposition",
    b"content-language",
    b"content-location",
    b"content-md5",
)
"""What a part says of itself."""
_WANTED = {
    name: name
    for name in (
        b"from",
        b"sender",
        b"reply-to",
        b"to",
        b"cc",
        b"bcc",
        b"date",
        b"subject",
        b"in-reply-to",
        b"message-id",
        b"references",
        b"thread-index",
        *_DESCRIBES,
    )
}
_SLOTS = (
    _WANTED | {name.title(): name for name in _WANTED} | {b"Message-ID": b"message-id", b"Content-ID": b"content-id"}
)
_LISTS = frozenset({b"to", b"cc", b"bcc", b"reply-to"})
_MAX_REPEATED = 50

_DELIMITER_TAIL = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\Z)").match
_BLANK_LINE = re.compile(rb"\n\r?\n").search
_LINE_ENDS = (b"\r\n", b"\n")
_PLAIN_MULTIPART = re.compile(
    rb'multipart/([a-z]{1,40}+);[ \t\r\n]*+(boundary)="([0-9a-z\'()+_,./:=?-]++)"[ \t\r\n]*+\Z', re.IGNORECASE
).match
"""What nearly every multipart says of itself: its boundary, in quotes, and nothing else."""
_OPAQUE = b'("application" "octet-stream" NIL NIL NIL "8bit" %d NIL NIL NIL NIL)'
_THREE_ABSENT = [None, None, None]
_NO_EXTENSION = b" NIL NIL NIL NIL)"


class PartInfo(NamedTuple):
    """What a part's header says about it, rendered."""

    kind: int
    opening: bytes
    """Leaf: `"text" "plain" (...) NIL NIL "7bit" `; multipart: ` "mixed" (...) NIL NIL NIL)`, which comes last."""
    extension: bytes
    """Leaf: what follows size and lines, with the closing parenthesis."""
    boundary: bytes
    digest: bool
    attachment: bool


def collect(header: bytes) -> envelope.FieldMap:
    """The fields that ENVELOPE, BODYSTRUCTURE and the conversation are made of."""
    found: envelope.FieldMap = {}
    repeated = 0
    for name, value in values(header):
        slot = _SLOTS.get(name) or _WANTED.get(name.lower())
        if slot is None:
            continue
        if slot not in found:
            found[slot] = value
        elif slot in _LISTS and repeated < _MAX_REPEATED:  # against the rules, but what is in it was meant
            repeated += 1
            found[slot] += b"," + value
    return found


def _parameter_list(found: parameters.Parameters) -> bytes:
    if not found:
        return NIL
    return b"(%b)" % b" ".join([b"%b %b" % (string(name), string(value)) for name, value in found])


def _language(value: bytes | None) -> bytes:
    tags = [tag for tag in unfold(value or b"").replace(b",", b" ").split() if tag]
    if not tags:
        return NIL
    return string(tags[0]) if len(tags) == 1 else b"(%b)" % b" ".join([string(tag) for tag in tags])


def _field(fields: envelope.FieldMap, name: bytes) -> bytes:
    value = fields.get(name)
    return NIL if value is None else string(unfold(value))


def describe(fields: envelope.FieldMap, enclosed_by_digest: bool = False) -> PartInfo:
    """Render the constant parts of a body's structure from its Content fields."""
    main, found = parameters.parse(fields.get(b"content-type", b""))
    major, _, minor = main.partition(b"/")
    kind = LEAF
    if not major or not minor:  # RFC 2045 5.2, RFC 2046 5.1.5
        major, minor, found = (b"message", b"rfc822", []) if enclosed_by_digest else (b"text", b"plain", [])
    lowered = major.lower()
    if lowered == b"text":
        kind = TEXT
        if parameters.get(found, b"charset") is None:
            found = [*found, (b"charset", b"us-ascii")]
    elif lowered == b"multipart":
        kind = MULTIPART
    elif lowered == b"message" and minor.lower() in (b"rfc822", b"global"):
        kind = MESSAGE
    disposition, attachment = NIL, False
    raw_disposition = fields.get(b"content-disposition")
    if raw_disposition is not None:
        word, disposition_parameters = parameters.parse(raw_disposition)
        if word:
            attachment = word.lower() == b"attachment"
            disposition = b"(%b %b)" % (string(word), _parameter_list(disposition_parameters))
    language, location = NIL, NIL
    if b"content-language" in fields:
        language = _language(fields[b"content-language"])
    if b"content-location" in fields:
        location = _field(fields, b"content-location")
    rendered = _parameter_list(found)
    if kind == MULTIPART:
        tail = b" %b %b %b %b %b)" % (string(minor), rendered, disposition, language, location)
        boundary = (parameters.get(found, b"boundary") or b"").rstrip(b" \t")
        return PartInfo(kind, tail, b"", boundary, minor.lower() == b"digest", False)
    encoding = unfold(fields.get(b"content-transfer-encoding", b"")) or b"7bit"
    if not attachment and kind == LEAF and b"content-id" not in fields:
        attachment = any(name.lower().rstrip(b"*") in (b"name", b"filename") for name, _ in found)
    opening = b"%b %b %b %b %b %b " % (
        string(major),
        string(minor),
        rendered,
        _field(fields, b"content-id"),
        _field(fields, b"content-description"),
        string(encoding),
    )
    if disposition is NIL and language is NIL and location is NIL and b"content-md5" not in fields:
        extension = _NO_EXTENSION
    else:
        extension = b" %b %b %b %b)" % (_field(fields, b"content-md5"), disposition, language, location)
    return PartInfo(kind, opening, extension, b"", False, attachment)


@lru_cache(maxsize=512)
def _describe_cached(header: bytes, enclosed_by_digest: bool) -> PartInfo:
    """Most parts say one of a few hundred things about themselves."""
    return describe(collect(header), enclosed_by_digest)


@lru_cache(maxsize=512)
def _describe_values(*values: bytes | None) -> PartInfo:
    """`describe` by the values of the fields that it looks at."""
    return describe({name: value for name, value in zip(_DESCRIBES, values, strict=True) if value is not None})


def _describe_message(fields: envelope.FieldMap) -> PartInfo:
    """`describe` of a message, in less time for what nearly all messages say."""
    found = list(map(fields.get, _DESCRIBES))
    content_type = found[0]
    if content_type is not None and found[4:7] == _THREE_ABSENT:
        match = _PLAIN_MULTIPART(content_type)
        if match is not None:
            minor, name, boundary = match.groups()
            tail = b' "%b" ("%b" "%b") NIL NIL NIL)' % (minor, name, boundary)
            return PartInfo(MULTIPART, tail, b"", boundary, minor.lower() == b"digest", False)
    if sum(len(value) for value in found if value is not None) <= _CACHED_HEADER_BYTES:
        return _describe_values(*found)
    return describe(fields)


class Walker:
    """One walk over one message."""

    __slots__ = ("_candidates", "_content", "_parts", "attachment", "numbers")

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._candidates = MAX_CANDIDATES
        self._parts = 0
        self.numbers: list[int] = []
        self.attachment = False

    def body_start(self, start: int, end: int) -> int:
        """Offset after the blank line that ends the header that starts at `start`; `end` if there is none."""
        content = self._content
        if content.startswith(_LINE_ENDS, start, end):
            return start + (2 if content[start] == 13 else 1)
        found = _BLANK_LINE(content, start, end)
        return end if found is None else found.end()

    def _lines(self, start: int, end: int) -> int:
        """Line ends in a region."""
        size = end - start
        if size > COUNTED_QUICKLY_BYTES:
            return self._content.count(b"\n", start, end)
        return size - len(self._content[start:end].replace(b"\n", b""))

    def message(self, start: int, end: int, depth: int) -> tuple[envelope.FieldMap, bytes]:
        """A message's fields and the structure of its body; records its part."""
        body = self.body_start(start, end)
        fields = collect(self._content[start : min(body, start + MESSAGE_HEADER_LIMIT_BYTES)])
        return fields, self._part(_describe_message(fields), start, body, end, depth)

    def _entity(self, start: int, end: int, depth: int, digest: bool) -> bytes:
        """The structure of one part of a multipart."""
        body = self.body_start(start, end)
        block = self._content[start : min(body, start + PART_HEADER_LIMIT_BYTES)]
        if len(block) <= _CACHED_HEADER_BYTES:
            info = _describe_cached(block, digest)
        else:
            info = describe(collect(block), digest)
        return self._part(info, start, body, end, depth)

    def _part(self, info: PartInfo, start: int, body: int, end: int, depth: int) -> bytes:
        kind, opening, extension, boundary, digest, attachment = info
        self._parts += 1
        if attachment:
            self.attachment = True
        if kind in (LEAF, TEXT):
            self.numbers += (kind | depth << 8, start, body, end)
            if kind == LEAF:
                return b"(%b%d%b" % (opening, end - body, extension)
            return b"(%b%d %d%b" % (opening, end - body, self._lines(body, end), extension)
        if depth >= MAX_LEVELS or self._parts >= MAX_PARTS:
            self.numbers += (LEAF | depth << 8, start, body, end)
            return _OPAQUE % (end - body)
        self.numbers += (kind | depth << 8, start, body, end)
        if kind == MULTIPART:
            return self._multipart(opening, boundary, digest, body, end, depth + 1)
        attached = self.attachment or depth > 0
        fields, structure = self.message(body, end, depth + 1)
        self.attachment = attached
        lines = self._lines(body, end)
        return b"(%b%d %b %b %d%b" % (opening, end - body, envelope.render(fields), structure, lines, extension)

    def _multipart(self, tail: bytes, boundary: bytes, digest: bool, start: int, end: int, depth: int) -> bytes:
        rendered = [b"("]
        for low, high in self._split(boundary, start, end):
            if self._parts >= MAX_PARTS:
                self.numbers += (LEAF | depth << 8, low, low, end)
                rendered.append(_OPAQUE % (end - low))
                break
            rendered.append(self._entity(low, high, depth, digest))
        if len(rendered) == 1:
            # No part found, but the grammar wants one: the whole body as text, so that nothing is hidden.
            self._parts += 1
            self.numbers += (TEXT | depth << 8, start, start, end)
            lines = self._lines(start, end)
            rendered.append(
                b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" %d %d%b' % (end - start, lines, _NO_EXTENSION)
            )
        rendered.append(tail)
        return b"".join(rendered)

    def _split(self, boundary: bytes, start: int, end: int) -> list[tuple[int, int]]:
        """The regions between delimiter lines (RFC 2046 5.1.1), preamble and epilogue left out."""
        found: list[tuple[int, int]] = []
        if not boundary:
            return found
        content, needle = self._content, b"--" + boundary
        opened = -1
        position = start
        room = MAX_PARTS - self._parts
        while self._candidates > 0:
            at = content.find(needle, position, end)
            if at < 0:
                break
            self._candidates -= 1
            position = at + len(needle)
            if at != start and content[at - 1] != 10:
                continue
            match = _DELIMITER_TAIL(content, position, end)
            if match is None:
                continue
            if opened >= 0:
                # The line end before a delimiter belongs to the delimiter.
                close = at - 1 - (content[at - 2] == 13)
                found.append((opened, max(opened, close)))
                if len(found) > room:
                    return found
            if match.group(1):
                return found
            opened = position = match.end()
        if opened >= 0:
            found.append((opened, end))
        return found
