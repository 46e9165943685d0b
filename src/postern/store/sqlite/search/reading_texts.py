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

CHUNK_BYTES = 1 << 17
"""Of messages whose texts are joined; what is larger costs more in fresh pages of memory than it saves."""
_TRY_EACH_BYTES = 50
_HEADER = "CROSS JOIN s.headers t ON t.content = i.content"
_SIZES = (
    "SELECT json_group_array(json_array(i.uid, i.size)) FROM json_each(?) r CROSS JOIN items i"
    " WHERE i.folder = ? AND i.uid = r.value"
)
_TEXTS = (
    "SELECT json_group_array(i.uid), cast(group_concat(cast({text} AS TEXT), char(0)) AS BLOB) FROM json_each(?) r"
    " CROSS JOIN items i CROSS JOIN s.bodies b ON b.content = i.content {header} WHERE i.folder = ? AND i.uid = r.value"
)
_decode_sizes = msgspec.json.Decoder(list[tuple[int, int]]).decode
_decode = msgspec.json.Decoder(list[int]).decode


def containing(db: apsw.Connection, folder: int, uids: Sequence[int], read: Read) -> list[int]:
    """Of these items, the ones whose texts contain what is wanted, in their order."""
    if not uids:
        return []
    text = "t.text || x'0a' || b.text" if read.header else "b.text"
    sql = _TEXTS.format(header=_HEADER if read.header else "", text=text)
    found: list[int] = []
    has: Callable[[bytes], bool] | None = None
    for chunk in _chunks(db, folder, uids):
        ((numbers, texts),) = rows(db, sql, (msgspec.json.encode(chunk).decode(), folder))
        if texts is None:
            continue
        has = has or finder(read.wanted, texts)
        if has(texts):
            found += [uid for uid, one in zip(_decode(numbers), texts.split(b"\0"), strict=True) if has(one)]
    return found


def _chunks(db: apsw.Connection, folder: int, uids: Sequence[int]) -> Iterator[list[int]]:
    """UIDs of messages for a chunk; a longer one comes alone."""
    ((sizes,),) = rows(db, _SIZES, (msgspec.json.encode(uids).decode(), folder))
    chunk: list[int] = []
    total = 0
    for uid, size in _decode_sizes(sizes):
        if chunk and total + size > CHUNK_BYTES:
            yield chunk
            chunk, total = [], 0
        chunk.append(uid)
        total += size
    if chunk:
        yield chunk


def finder(wanted: bytes, sample: bytes) -> Callable[[bytes], bool]:
    """`wanted in text`, by the octet of it that is the rarest in a sample: looking for one costs a tenth."""
    counts = [sample.count(wanted[at : at + 1]) for at in range(min(len(wanted), 32))]
    place = counts.index(min(counts))
    octet = wanted[place : place + 1]

    def found(text: bytes) -> bool:
        at = text.find(octet, place)
        for _ in range(len(text) // _TRY_EACH_BYTES + 1):
            if at < 0:
                return False
            if text.startswith(wanted, at - place):
                return True
            at = text.find(octet, at + 1)
        return at >= 0 and text.find(wanted, at - place) >= 0

    return found
