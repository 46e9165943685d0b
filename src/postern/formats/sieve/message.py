"""A message as tests see it: decoded fields, addresses, parts of the body. Editable as RFC 5293 says."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence

from postern.formats.mime import charset, header, parameters, references, transfer
from postern.formats.mime.parts import MESSAGE, MULTIPART, PartMap
from postern.formats.sieve.syntax import RuntimeProblem

BODY_LIMIT_BYTES = 1 << 20
"""So much of a message's body is looked at."""
MAX_FIELDS = 5000
"""So many fields of a message are looked at; those behind them stay as they are."""
MAX_HEADER_BYTES = 262_144
"""Of a header that a script may edit."""
PROTECTED = frozenset((b"received", b"auto-submitted", b"return-path"))
"""Fields that no script may take away (RFC 5293 7)."""
_PART_LIMIT = 1000
_HIDDEN = re.compile(r"<(script|style|head)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL)
_BREAKS = re.compile(r"<(?:br|/p|/div|/tr|/li|/h\d)\b[^<>]*+>", re.IGNORECASE)
_MARKUP = re.compile(r"<[^<>]*+>")


class Message:
    """One message for one run of the rules."""

    def __init__(self, content: bytes, packed_parts: bytes, header_end: int, prefix: bytes = b"") -> None:
        """`packed_parts`, `header_end` as formats.mime.scan found them; `prefix`: our own fields before it."""
        self._content = content
        self._parts = packed_parts
        self._header_end = header_end
        self._prefix = _fields(prefix)
        self._own = _fields(content[:header_end])
        self._decoded: dict[bytes, list[str]] = {}
        self.edited = False

    @property
    def size(self) -> int:
        """Octets."""
        return len(self._content)

    # --- header

    def raw(self, name: str) -> list[bytes]:
        """Values of a field, unfolded, not decoded, in order."""
        wanted = name.lower().encode("utf-8", "replace")
        return [
            header.unfold(field.partition(b":")[2]) for found, field in (*self._prefix, *self._own) if found == wanted
        ]

    def values(self, name: str) -> list[str]:
        """Values of a field, decoded and stripped (RFC 5228 2.4.2.2)."""
        wanted = name.lower().encode("utf-8", "replace")
        known = self._decoded.get(wanted)
        if known is None:
            known = self._decoded[wanted] = [header.decode(value).strip() for value in self.raw(name)]
        return known

    def addresses(self, name: str) -> list[list[tuple[str, str]]]:
        """Local part and domain of each address of each field with the name."""
        return [
            [
                ((one.mailbox or b"").decode("utf-8", "replace"), (one.host or b"").decode("utf-8", "replace"))
                for one in header.addresses(value)
                if one.host is not None
            ]
            for value in self.raw(name)
        ]

    def add(self, name: str, value: str, *, last: bool) -> None:
        """Add a field (RFC 5293 4). Raises RuntimeProblem when the header grows too large."""
        encoded = encoded_value(" ".join(value.split("\n")).replace("\r", ""))
        field = (name.lower().encode(), f"{name}: ".encode() + encoded + b"\r\n")
        self._own.insert(len(self._own) if last else 0, field)
        if len(self._own) > MAX_FIELDS or sum(len(raw) for _, raw in self._own) > MAX_HEADER_BYTES:
            raise RuntimeProblem("the script makes the header too large")
        self._changed()

    def delete(self, name: str, chosen: Sequence[bool]) -> None:
        """Remove fields of a name, by whether each is chosen; protected ones stay."""
        wanted = name.lower().encode()
        if wanted in PROTECTED or not any(chosen):
            return
        flags = iter(chosen)
        self._own = [(found, raw) for found, raw in self._own if found != wanted or not next(flags, False)]
        self._changed()

    def own_values(self, name: str) -> list[str]:
        """Decoded values of the fields that `delete` can remove."""
        wanted = name.lower().encode("utf-8", "replace")
        return [
            header.decode(header.unfold(raw.partition(b":")[2])).strip() for found, raw in self._own if found == wanted
        ]

    def _changed(self) -> None:
        self.edited = True
        self._decoded.clear()

    def edited_header(self) -> bytes | None:
        """The header block with its blank line as it is now; None if nobody changed it."""
        if not self.edited:
            return None
        behind = header.fields(self._content[: self._header_end])[MAX_FIELDS:]
        return b"".join(raw if raw.endswith(b"\n") else raw + b"\r\n" for _, raw in (*self._own, *behind)) + b"\r\n"

    # --- body

    def raw_body(self) -> list[str]:
        """What follows the header, undecoded."""
        return [charset.text(self._content[self._header_end : self._header_end + BODY_LIMIT_BYTES])]

    def content_parts(self, types: Sequence[str]) -> list[str]:
        """Decoded parts whose media type is, or begins with, one of the types; an empty one fits all (RFC 5173 5.2)."""
        wanted = [one.lower() for one in types]
        return [text for found, text in self._leaves(wanted)]

    def text_parts(self) -> list[str]:
        """Text of the text parts, markup taken out (RFC 5173 5.3)."""
        return [plain(text) if found == "text/html" else text for found, text in self._leaves(["text"])]

    def _leaves(self, wanted: Sequence[str]) -> Iterator[tuple[str, str]]:
        left = BODY_LIMIT_BYTES
        for number, (kind, _, start, body, end) in enumerate(PartMap.unpack(self._parts)):
            if number >= _PART_LIMIT or left <= 0:
                return
            fields = {name.lower(): value for name, value in reversed(header.values(self._content[start:body][:16384]))}
            written, given = parameters.parse(fields.get(b"content-type", b""))
            media_type = written.decode("ascii", "replace").lower() or "text/plain"
            if not any(not one or media_type == one or media_type.startswith(one + "/") for one in wanted):
                continue
            if kind == MULTIPART:
                continue
            if kind == MESSAGE:  # RFC 5173 5.2: the enclosed message's header
                inner = self._content[body:end].partition(b"\r\n\r\n")[0]
                yield media_type, header.decode(inner[:16384])
                continue
            data = transfer.decode(
                self._content[body : min(end, body + left)], fields.get(b"content-transfer-encoding", b"")
            )
            left -= len(data)
            named = (parameters.get(given, b"charset") or b"").decode("ascii", "replace")
            yield media_type, charset.text(data, named) if named else charset.text(data)


def plain(markup: str) -> str:
    """Text of HTML, roughly as a reader sees it."""
    text = _HIDDEN.sub(" ", markup)
    return references.unescaped(_MARKUP.sub("", _BREAKS.sub("\r\n", text)))


def _fields(block: bytes) -> list[tuple[bytes, bytes]]:
    return header.fields(block, MAX_FIELDS)


def encoded_value(value: str) -> bytes:
    """A field's value on the wire: encoded words for what is not ASCII (RFC 2047 2), folded."""
    value = "".join(c if c.isprintable() or c == "\t" else " " for c in value).strip()
    if value.isascii():
        return _folded(value).encode()
    words, piece = [], ""
    for character in value:
        if len((piece + character).encode()) > 42:
            words.append(piece)
            piece = ""
        piece += character
    words.append(piece)
    return b"\r\n ".join(b"=?utf-8?b?" + b64encode(word.encode()) + b"?=" for word in words)


def _folded(value: str) -> str:
    lines, line = [], ""
    for word in value.split(" "):
        if line and len(line) + len(word) > 76:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line or lines else word
    return "\r\n ".join([*lines, line])
