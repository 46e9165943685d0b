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
from postern.store.sqlite.search.file import has_field

CHUNK_BYTES = 1 << 18
"""Of messages whose texts are joined; what is larger costs more in fresh pages of memory than it saves."""
_TRY_EACH_BYTES = 50
SAMPLE_BYTES = 1 << 14
_TEXTS = (
    "SELECT json_group_array(i.uid), cast(group_concat(cast({text} AS TEXT), char(0)) AS BLOB) FROM json_each(?) r"
    " CROSS JOIN items i{joins} WHERE i.folder = ? AND i.uid = r.value"
)
_HEADER = " CROSS JOIN s.headers t ON t.content = i.content"
_BODY = " CROSS JOIN s.bodies b ON b.content = i.content"
_HEADER_BYTES = 2000
"""What a header counts when texts are joined."""
_decode = msgspec.json.Decoder(list[int]).decode


def containing(db: apsw.Connection, folder: int, uids: Sequence[int], sizes: Sequence[int], read: Read) -> list[int]:
    """Of these items, with their sizes in octets, the ones whose texts contain what is wanted, in their order."""
    if not uids:
        return []
    if not read.body:
        sql = _TEXTS.format(text="t.text", joins=_HEADER)
        sizes = [size if size > CHUNK_BYTES else min(size, _HEADER_BYTES) for size in sizes]
    else:
        text = "t.text || b.fields || x'0a' || b.text" if read.header else "b.text"
        sql = _TEXTS.format(text=text, joins=_BODY + _HEADER if read.header else _BODY)
    found: list[int] = []
    has: Callable[[bytes], bool] | None = None
    for chunk in _chunks(uids, sizes):
        ((numbers, texts),) = rows(db, sql, (msgspec.json.encode(chunk).decode(), folder))
        if texts is None:
            continue
        # headers are too short for what it costs to look which octet is rare
        has = has or (finder(read.wanted, texts) if read.body else lambda text: read.wanted in text)
        if has(texts):
            found += [
                uid
                for uid, one in zip(_decode(numbers), texts.split(b"\0"), strict=True)
                if has(one) and (not read.start or has_field(one, read.start, read.wanted))
            ]
    return found


def _chunks(uids: Sequence[int], sizes: Sequence[int]) -> Iterator[Sequence[int]]:
    """UIDs of messages for a chunk; a longer one comes alone."""
    start = total = 0
    for end, size in enumerate(sizes):
        if end > start and total + size > CHUNK_BYTES:
            yield uids[start:end]
            start, total = end, 0
        total += size
    if start < len(uids):
        yield uids[start:]


def finder(wanted: bytes, sample: bytes) -> Callable[[bytes], bool]:
    """`wanted in text`, by the octet of it that is the rarest in a sample: looking for one costs a tenth."""
    sample = sample[:SAMPLE_BYTES]
    counts = [sample.count(wanted[at : at + 1]) for at in range(min(len(wanted), 32))]
    place = counts.index(min(counts))
    octet = wanted[place : place + 1]
    if counts[place] > len(sample) // _TRY_EACH_BYTES:  # nothing in it is rare
        return lambda text: wanted in text

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
