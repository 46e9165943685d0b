"""Documents that are zip archives of XML: OOXML (ECMA-376) and OpenDocument (ISO/IEC 26300).

What an archive says of its sizes is not believed: entries are unpacked piece by piece, `MAX_UNPACKED_BYTES` in all.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple

from postern.formats.documents.kinds import UnreadableError
from postern.formats.documents.xml_text import texts

MAX_UNPACKED_BYTES = 96 << 20
MAX_ENTRIES = 10_000
CHUNK_BYTES = 1 << 16


class _Part(NamedTuple):
    """Entries of an archive whose words are read."""

    names: re.Pattern[str]
    inside: frozenset[str]
    ends: dict[str, str]
    without: frozenset[str] = frozenset()


_LINES = {"p": "\n", "tab": "\t", "br": "\n", "cr": "\n"}
_WORD = re.compile(r"word/(?:document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml")
_SLIDES = re.compile(r"ppt/(?:slides|notesSlides|comments)/[^/]+\.xml|ppt/diagrams/data\d*\.xml")
_STRINGS = re.compile(r"xl/sharedStrings\.xml|xl/comments[^/]*\.xml|xl/drawings/drawing\d*\.xml")
_SHEETS = re.compile(r"xl/worksheets/[^/]+\.xml")
_PROPERTIES = re.compile(r"docProps/core\.xml")

_OOXML = (
    _Part(
        _PROPERTIES,
        frozenset({"title", "subject", "creator", "keywords", "description"}),
        dict.fromkeys(("title", "subject", "creator", "keywords", "description"), "\n"),
    ),
    # deleted text (delText) and instructions of fields (instrText) are not shown
    _Part(_WORD, frozenset({"t"}), _LINES),
    _Part(_SLIDES, frozenset({"t", "text"}), {**_LINES, "text": "\n"}),
    # rPh: how a word in Japanese is read
    _Part(_STRINGS, frozenset({"t"}), {"si": "\n", "p": "\n", "comment": "\n"}, frozenset({"rPh"})),
    # shared strings are in their own part, here they are only numbered; f: a formula
    _Part(_SHEETS, frozenset({"t", "v"}), {"is": "\t", "v": "\t", "row": "\n"}, frozenset({"f"})),
)
_ODF = (
    _Part(
        re.compile(r"content\.xml|styles\.xml"),
        frozenset({"p", "h"}),
        {"p": "\n", "h": "\n", "tab": "\t", "s": " ", "line-break": "\n"},
        frozenset({"tracked-changes"}),
    ),
    _Part(
        re.compile(r"meta\.xml"),
        frozenset({"title", "subject", "description", "keyword"}),
        dict.fromkeys(("title", "subject", "description", "keyword"), "\n"),
    ),
)


def ooxml(data: bytes) -> Iterator[str]:
    """Words of a docx, xlsx or pptx. Raises UnreadableError."""
    return _words(data, _OOXML)


def odf(data: bytes) -> Iterator[str]:
    """Words of an odt, ods, odp or odg. Raises UnreadableError."""
    return _words(data, _ODF)


def _words(data: bytes, parts: tuple[_Part, ...]) -> Iterator[str]:
    left = [MAX_UNPACKED_BYTES]
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise UnreadableError(f"over {MAX_ENTRIES} entries")
            for part in parts:
                for entry in entries:
                    if part.names.fullmatch(entry.filename):
                        chunks = _unpacked(archive, entry, left)
                        yield from texts(chunks, inside=part.inside, ends=part.ends, without=part.without)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, UnreadableError):
            raise
        raise UnreadableError(f"zip: {error}") from error


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: list[int]) -> Iterator[bytes]:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableError("zip: a compression that documents do not use")
    with archive.open(entry) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            left[0] -= len(chunk)
            if left[0] < 0:
                raise UnreadableError(f"over {MAX_UNPACKED_BYTES} octets unpacked")
            yield chunk
