"""A message that is being written: fields, text and attachments that can be changed one by one.

What was not changed keeps its octets; the frame of multiparts around it is made anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from postern.formats.mime import compose, header
from postern.formats.mime.anatomy import Part, anatomy
from postern.formats.mime.scan import scan
from postern.model.ports import Entropy

_BODY_FIELDS = (b"content-", b"mime-version")


class Document:
    """Mutable; `render` makes the message."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        """(name in small letters, whole raw field), without those of the body."""
        self.plain: bytes | None = None
        """Entities: header and content."""
        self.html: bytes | None = None
        self.attachments: list[tuple[str, bytes]] = []
        """Section in the message that was read (empty for new ones), entity."""

    @classmethod
    def read(cls, content: bytes) -> Document:
        """Take a message apart."""
        found = scan(content)
        parts = anatomy(content, found.parts)
        document = cls()
        head = content[: found.header_end]
        document.fields = [(name, raw) for name, raw in header.fields(head) if not name.startswith(_BODY_FIELDS)]
        document.plain = _entity(content, parts.plain)
        document.html = _entity(content, parts.html)
        for part in parts.attachments:
            entity = _entity(content, part)
            if entity is not None:
                document.attachments.append((part.section, entity))
        return document

    def get(self, name: bytes) -> bytes | None:
        """The unfolded value of the first field of a name in small letters."""
        for found, raw in self.fields:
            if found == name:
                return header.unfold(raw.partition(b":")[2])
        return None

    def set(self, name: str, value: bytes | None) -> None:
        """Make a field the only one of its name, in its place; None or nothing removes it."""
        key = name.lower().encode("ascii", "replace")
        at = next((number for number, (found, _) in enumerate(self.fields) if found == key), len(self.fields))
        self.fields = [one for one in self.fields if one[0] != key]
        if value:
            self.fields.insert(at, (key, compose.field(name, value)))

    def set_text(self, text: str, *, html: bool) -> None:
        """Replace what is read."""
        self.plain = None if html else compose.text_entity(text, "plain")
        self.html = compose.text_entity(text, "html") if html else None

    def remove(self, section: str) -> bool:
        """Drop an attachment; whether it was there."""
        kept = [one for one in self.attachments if one[0] != section]
        found = len(kept) < len(self.attachments)
        self.attachments = kept
        return found

    def render(self, entropy: Entropy) -> bytes:
        """The message."""
        texts = [one for one in (self.plain, self.html) if one is not None]
        if len(texts) == 2:
            body = compose.multipart("alternative", texts, entropy)
        else:
            body = texts[0] if texts else compose.text_entity("", "plain")
        lines = [raw if raw.endswith(b"\n") else raw + b"\r\n" for _, raw in self.fields]
        return compose.assemble(lines, body, [entity for _, entity in self.attachments], entropy)


def _entity(content: bytes, part: Part | None) -> bytes | None:
    if part is None:
        return None
    head = content[part.header_start : part.start]
    if part.header_start == 0:  # the message itself: its other fields are not the body's
        head = b"".join(raw for name, raw in header.fields(head) if name.startswith(b"content-")) + b"\r\n"
    elif not head.strip():
        head = b"\r\n"
    return head + content[part.start : part.end]


def sections(document: Document) -> Sequence[str]:
    """Of the attachments that were read."""
    return [section for section, _ in document.attachments if section]
