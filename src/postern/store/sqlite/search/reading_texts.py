"""Looking for an octet string in the texts of many items, some of them at a time joined to one blob.

SQLite's `instr` compares at each octet, and a thread that takes row after row has to win the interpreter's lock for
each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import apsw
import msgspec

from postern.store.sqlite.connection import rows
from postern.store.sqlite.search.expression import Read

CHUNK_BYTES = 1 << 16
"""Of joined texts; what is larger costs more in fresh pages of memory than it saves."""
_TRIES = 200
_SELDOM = b" etaonirshdlucmwfgypbvk-.,=/xjqz"
"""Octets that texts are full of, the most frequent first; all others are rarer."""
_HEADER = "CROSS JOIN s.headers t ON t.content = i.content"
_FROM = (
    " FROM json_each(?) r CROSS JOIN items i CROSS JOIN s.bodies b ON b.content = i.content {header}"
    " WHERE i.folder = ? AND i.uid = r.value"
)
_LENGTHS = "SELECT json_group_array(json_array(i.uid, length(b.text){length}))" + _FROM
_TEXTS = "SELECT json_group_array(i.uid), cast(group_concat(cast({text} AS TEXT), char(0)) AS BLOB)" + _FROM
_decode_lengths = msgspec.json.Decoder(list[tuple[int, int]]).decode
_decode = msgspec.json.Decoder(list[int]).decode


def containing(db: apsw.Connection, folder: int, uids: Sequence[int], read: Read) -> list[int]:
    """Of these items, the ones whose texts contain what is wanted, in their order."""
    if not uids:
        return []
    header = _HEADER if read.header else ""
    text = "t.text || x'0a' || b.text" if read.header else "b.text"
    sql = _TEXTS.format(header=header, text=text)
    found: list[int] = []
    has = finder(read.wanted)
    for chunk in _chunks(db, folder, uids, header):
        ((numbers, texts),) = rows(db, sql, (msgspec.json.encode(chunk).decode(), folder))
        if texts is not None and has(texts):
            found += [uid for uid, one in zip(_decode(numbers), texts.split(b"\0"), strict=True) if has(one)]
    return found


def _chunks(db: apsw.Connection, folder: int, uids: Sequence[int], header: str) -> Iterator[list[int]]:
    """UIDs with texts for a chunk; a longer one comes alone."""
    sql = _LENGTHS.format(header=header, length=" + length(t.text)" if header else "")
    ((lengths,),) = rows(db, sql, (msgspec.json.encode(list(uids)).decode(), folder))
    chunk: list[int] = []
    size = 0
    for uid, length in _decode_lengths(lengths):
        if chunk and size + length > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(uid)
        size += length
    if chunk:
        yield chunk


def finder(wanted: bytes) -> Callable[[bytes], bool]:
    """`wanted in text`, by the octet of it that is probably the rarest: looking for one costs a tenth."""
    place = max(range(len(wanted)), key=lambda at: _SELDOM.find(wanted[at : at + 1]) % 256)
    octet = wanted[place : place + 1]

    def found(text: bytes) -> bool:
        at = text.find(octet, place)
        for _ in range(_TRIES):
            if at < 0:
                return False
            if text.startswith(wanted, at - place):
                return True
            at = text.find(octet, at + 1)
        return at >= 0 and text.find(wanted, at - place) >= 0

    return found
