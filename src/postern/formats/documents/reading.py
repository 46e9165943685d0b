"""The words of one attachment. What is handed in may have been made to do harm: call this in a process of its own.

Time and memory are that process's limits; here it is seen to that no more text comes out than is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO

from postern.formats.documents import packages
from postern.formats.documents.kinds import HTML, MAX_TEXT, ODF, OOXML, PDF, PLAIN, UnreadableError, may_be
from postern.formats.mime import charset
from postern.formats.mime.anatomy import to_text

MAX_PAGES = 2000
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)


def read(kind: str, data: bytes) -> str:
    """Its text, at most MAX_TEXT characters. Raises UnreadableError, and for hostile input anything else."""
    return _joined(_READERS[kind](data))


def _joined(pieces: Iterable[str]) -> str:
    found: list[str] = []
    left = MAX_TEXT
    for piece in pieces:
        found.append(piece[:left])
        left -= len(piece)
        if left <= 0:
            break
    return "".join(found)


def _plain(data: bytes) -> Iterator[str]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        yield data[: 4 * MAX_TEXT].decode("utf-16", "replace")
    else:
        yield charset.text(data.removeprefix(b"\xef\xbb\xbf")[: 4 * MAX_TEXT])


def _html(data: bytes) -> Iterator[str]:
    named = _CHARSET.search(data[:4096])
    yield to_text(charset.text(data, named[1].decode("ascii") if named else ""))


def _pdf(data: bytes) -> Iterator[str]:
    if not may_be(PDF, data):
        raise UnreadableError("no PDF")  # what only has its name would be searched for objects for long
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("PDF: encrypted")
        for number, page in enumerate(reader.pages):
            if number >= MAX_PAGES:
                break
            yield page.extract_text()
            yield "\n"
    except PyPdfError as error:
        raise UnreadableError(f"PDF: {error}") from error


_READERS: dict[str, Callable[[bytes], Iterator[str]]] = {
    PDF: _pdf,
    OOXML: packages.ooxml,
    ODF: packages.odf,
    HTML: _html,
    PLAIN: _plain,
}
