"""Which attachments have words that can be read, told by content type and name; the reader looks for itself."""

from __future__ import annotations

from typing import Final

PDF: Final = "pdf"
OOXML: Final = "ooxml"
ODF: Final = "odf"
HTML: Final = "html"
PLAIN: Final = "plain"

MAX_DOCUMENT_BYTES = 32 << 20
"""Larger attachments are not read."""
MAX_TEXT = 1 << 20
"""Characters of an attachment that are kept; what follows them is not found."""


class UnreadableError(ValueError):
    """The attachment is damaged, encrypted, of another format than it says, or made to do harm."""


_TYPES = {
    "application/pdf": PDF,
    "application/x-pdf": PDF,
    "application/xhtml+xml": HTML,
    "text/html": HTML,
    "application/json": PLAIN,
    "application/xml": PLAIN,
    "application/x-sh": PLAIN,
    "application/javascript": PLAIN,
    "application/sql": PLAIN,
}
_OOXML_PREFIX = "application/vnd.openxmlformats-officedocument."
_MACRO_PREFIXES = (
    "application/vnd.ms-word.document.macroenabled",
    "application/vnd.ms-excel.sheet.macroenabled",
    "application/vnd.ms-powerpoint.presentation.macroenabled",
)
_ODF_PREFIX = "application/vnd.oasis.opendocument."
_NAMES = {
    "pdf": PDF,
    **dict.fromkeys(("docx", "docm", "dotx", "xlsx", "xlsm", "xltx", "pptx", "pptm", "ppsx", "potx"), OOXML),
    **dict.fromkeys(("odt", "ott", "ods", "ots", "odp", "otp", "odg"), ODF),
    **dict.fromkeys(("htm", "html", "xhtml"), HTML),
    **dict.fromkeys(("txt", "csv", "tsv", "md", "log", "json", "xml", "ini", "conf", "yaml", "yml", "srt"), PLAIN),
}


def kind(content_type: str, name: str) -> str | None:
    """How an attachment is to be read, None if it has no words; `content_type` in lower case, without parameters.

    The name decides where the type says nothing: many programs send everything as application/octet-stream.
    """
    found = _TYPES.get(content_type)
    if found is not None:
        return found
    if content_type.startswith(_OOXML_PREFIX) or content_type.startswith(_MACRO_PREFIXES):
        return OOXML
    if content_type.startswith(_ODF_PREFIX):
        return ODF
    if content_type.startswith(("image/", "audio/", "video/", "font/", "multipart/", "message/")):
        return None
    by_name = _NAMES.get(name.rpartition(".")[2].lower()) if "." in name else None
    if by_name is None and content_type.startswith("text/"):
        return PLAIN
    return by_name


def may_be(kind: str, data: bytes) -> bool:
    """Whether it looks like one at all: what only has the name need not be handed to a reader."""
    if kind == PDF:
        return b"%PDF-" in data[:1024]
    return kind not in (OOXML, ODF) or b"PK" in data[:1024]
