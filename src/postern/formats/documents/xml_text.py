"""Words of an XML document as a stream of pieces. Document types are refused, so that there are no entities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.parsers import expat

from postern.formats.documents.kinds import UnreadableError

MAX_DEPTH = 500


def texts(
    chunks: Iterable[bytes], *, inside: frozenset[str], ends: dict[str, str], without: frozenset[str]
) -> Iterator[str]:
    """Character data of elements with a local name in `inside` (empty: of all), but not within `without`.

    `ends`: what is written where an element ends. Raises UnreadableError.
    """
    reader = _Reader(inside, ends, without)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)
            yield from reader.take()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise UnreadableError(f"XML: {error}") from error
    yield from reader.take()


def _refuse(*_: object) -> None:
    raise UnreadableError("XML with a document type")


class _Reader:
    def __init__(self, inside: frozenset[str], ends: dict[str, str], without: frozenset[str]) -> None:
        self._inside = inside
        self._ends = ends
        self._without = without
        self._wanted = 0 if inside else 1
        self._hidden = 0
        self._depth = 0
        self._pieces: list[str] = []

    def start(self, name: str, _attributes: object) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnreadableError(f"XML nested over {MAX_DEPTH} deep")
        local = name.rpartition(" ")[2]
        if local in self._inside:
            self._wanted += 1
        if local in self._without:
            self._hidden += 1

    def end(self, name: str) -> None:
        self._depth -= 1
        local = name.rpartition(" ")[2]
        if local in self._inside:
            self._wanted -= 1
        if local in self._without:
            self._hidden -= 1
        piece = self._ends.get(local)
        if piece is not None and not self._hidden:
            self._pieces.append(piece)

    def data(self, text: str) -> None:
        if self._wanted and not self._hidden:
            self._pieces.append(text)

    def take(self) -> list[str]:
        taken, self._pieces = self._pieces, []
        return taken
