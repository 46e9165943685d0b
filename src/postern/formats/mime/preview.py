"""The first words of a message, as lists of messages show them (RFC 8970 3.1)."""

from __future__ import annotations

import re

from postern.formats.mime import charset, header, parameters, references, transfer
from postern.formats.mime.parts import PART_HEADER_LIMIT_BYTES, TEXT, PartMap

MAX_CHARACTERS = 200
"""RFC 8970 3.1: at most 256, 200 are enough for two lines."""
_LOOKED_AT_BYTES = 65_536
"""Of the text: what stands behind cannot be among the first words."""
_HIDDEN = re.compile(r"<(head|style|script|title)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL)
_WITHIN_WORDS = re.compile(
    r"</?(?:abbr|b|big|code|em|font|i|ins|mark|s|small|span|strong|sub|sup|tt|u)(?:\s[^<>]{0,4096})?>", re.IGNORECASE
)
"""Tags that end no word."""
_TAG = re.compile(r"<[^<>]{0,4096}>")
_QUOTED_LINE = re.compile(r"^>.*$", re.MULTILINE)
_UNSEEN = re.compile("[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+")


def preview(parts: bytes, content: bytes) -> str:
    """Up to 200 characters of the first text part, on one line; empty if there is none.

    `parts` is the packed part map, `content` the body it belongs to, which may be cut.
    """
    if not parts:
        return _shown(charset.text(content[:_LOOKED_AT_BYTES]))
    fallback = ""
    for kind, _depth, start, body, end in PartMap.unpack(parts):
        if kind != TEXT or body >= len(content):
            continue
        block = content[start : min(body, start + PART_HEADER_LIMIT_BYTES)]
        found = {name.lower(): value for name, value in reversed(header.values(block))}
        media, named = parameters.parse(found.get(b"content-type", b"text/plain"))
        data = transfer.decode(
            content[body : min(end, body + _LOOKED_AT_BYTES)], found.get(b"content-transfer-encoding", b"")
        )
        text = charset.text(data, (parameters.get(named, b"charset") or b"").decode("ascii", "replace"))
        if media.strip().lower() == b"text/html":
            fallback = fallback or _shown(_without_markup(text))
        elif shown := _shown(_QUOTED_LINE.sub("", text)):
            return shown
    return fallback


def _without_markup(text: str) -> str:
    return references.unescaped(_TAG.sub(" ", _WITHIN_WORDS.sub("", _HIDDEN.sub(" ", text))))


def _shown(text: str) -> str:
    return " ".join(_UNSEEN.sub(" ", text).split())[:MAX_CHARACTERS].rstrip()
