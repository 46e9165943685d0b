"""The record and segment formats, as pure functions over bytes. All integers are little-endian.

Segment: header (32 octets), records one behind the other, zeros (preallocated), or once sealed: index, footer.

    segment header  magic "PSTNSEG1", segment u64, created (seconds since the epoch) u64, 4 zero octets, CRC u32
    record          CRC u32, kind u8, flags u8, zero u16, record u32, header length u32, content length u64,
                    segment u64; then header, content
    index           per record number: content offset u64, content length u64; (0, 0) = no such record any more
    footer          magic "PSTNEND1", index offset u64, index entries u32, records u32, CRC of the index u32, CRC u32

The CRC of a record covers everything behind it, so that neither a torn record nor one that belongs to another segment
is taken for good. A record with the flag SPOOLED has its content in a file of its own; the content length is that
file's, and the index entry has the offset SPOOLED_OFFSET.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple
from zlib import crc32

RECORD_HEADER = struct.Struct("<IBBHIIQQ")
_RECORD_REST = struct.Struct("<BBHIIQQ")
_CRC = struct.Struct("<I")
SEGMENT_HEADER = struct.Struct("<8sQQII")
FOOTER = struct.Struct("<8sQIIII")
INDEX_ENTRY = struct.Struct("<QQ")
SEGMENT_MAGIC = b"PSTNSEG1"
FOOTER_MAGIC = b"PSTNEND1"
SPOOLED = 1
SPOOLED_OFFSET = 0xFFFFFFFFFFFFFFFF

LAYOUT = 2
"""Of the records' headers. 2: that of an APPEND may name its UID, which an older version's replay would not give it."""

SEQUENCE_BITS = 20
"""A segment's number is its journal's id followed by these bits of sequence."""


class Kind(IntEnum):
    """What a record says."""

    ACCEPT = 1
    """A message was taken from SMTP."""
    APPEND = 2
    """A message is put into a folder by its owner."""
    INTERNAL = 3
    """A message that Postern wrote itself, under an origin key."""
    OUTCOME = 4
    """What the categorizer decided about an earlier record."""
    ASSIGNED = 5
    """The UID that an APPEND got."""
    STREAM = 6
    """An attachment of an item that is no message; only the item's commit makes anything of it."""


CARRIES_MESSAGE = frozenset({Kind.ACCEPT, Kind.APPEND, Kind.INTERNAL})
STAYS_OUTSTANDING = CARRIES_MESSAGE | {Kind.STREAM}
"""Until `applied`: the mark stays below, so that nothing collects them."""


class RecordHead(NamedTuple):
    """A record without its content."""

    kind: int
    record: int
    header: bytes
    content_offset: int
    """In the segment; SPOOLED_OFFSET for a file of its own."""
    content_length: int
    start: int
    end: int


def segment_number(journal: int, sequence: int) -> int:
    """The number of a journal's n-th segment. Raises ValueError when a journal's numbers are used up."""
    if not 0 <= sequence < 1 << SEQUENCE_BITS:
        raise ValueError(f"journal {journal} has no segment {sequence}")
    return journal << SEQUENCE_BITS | sequence


def journal_of(segment: int) -> int:
    """The journal that a segment belongs to."""
    return segment >> SEQUENCE_BITS


def encode_record(
    segment: int, record: int, kind: int, header: bytes, content: bytes | memoryview, spooled_length: int | None = None
) -> bytes:
    """A record's fixed part with its header; the content (none if spooled) is written behind it."""
    flags, length = (0, len(content)) if spooled_length is None else (SPOOLED, spooled_length)
    rest = _RECORD_REST.pack(kind, flags, 0, record, len(header), length, segment) + header
    checksum = crc32(rest)
    if spooled_length is None:
        checksum = crc32(content, checksum)
    return _CRC.pack(checksum) + rest


def encode_segment_header(segment: int, created: int) -> bytes:
    """The first 32 octets of a segment."""
    head = SEGMENT_HEADER.pack(SEGMENT_MAGIC, segment, created, 0, 0)[:-4]
    return head + _CRC.pack(crc32(head))


def segment_header_is_valid(data: bytes | memoryview, segment: int) -> bool:
    """Whether a segment's header is whole and the segment's own."""
    if len(data) < SEGMENT_HEADER.size:
        return False
    magic, number, _, _, checksum = SEGMENT_HEADER.unpack_from(data)
    return bool(magic == SEGMENT_MAGIC and number == segment and checksum == crc32(data[: SEGMENT_HEADER.size - 4]))


def decode_record(data: memoryview, offset: int, segment: int) -> RecordHead | None:
    """The record at an offset; None if there is none, or it is torn, or not this segment's."""
    if offset + RECORD_HEADER.size > len(data):
        return None
    checksum, kind, flags, _, record, header_length, length, number = RECORD_HEADER.unpack_from(data, offset)
    header_start = offset + RECORD_HEADER.size
    content_start = header_start + header_length
    end = content_start if flags & SPOOLED else content_start + length
    if number != segment or end > len(data) or crc32(data[offset + 4 : end]) != checksum:
        return None
    where = SPOOLED_OFFSET if flags & SPOOLED else content_start
    return RecordHead(kind, record, bytes(data[header_start:content_start]), where, length, offset, end)


def scan_records(data: memoryview, segment: int) -> Iterator[RecordHead]:
    """All whole records of a segment without gaps in their order; ends at the first that is torn.

    Only one batch of writes is ever not synced, and the next is written after its sync: nothing that anybody was
    promised can lie behind a torn record.
    """
    if not segment_header_is_valid(data, segment):
        return
    offset, last = SEGMENT_HEADER.size, -1
    while (head := decode_record(data, offset, segment)) is not None and head.record > last:
        yield head
        offset, last = head.end, head.record


def encode_index(entries: array[int], index_offset: int, records: int) -> bytes:
    """Index and footer of a sealed segment. `entries`: array('Q') of offset, length by record number."""
    if sys.byteorder == "big":
        entries = array("Q", entries)
        entries.byteswap()
    index = entries.tobytes()
    head = FOOTER.pack(FOOTER_MAGIC, index_offset, len(entries) // 2, records, crc32(index), 0)[:-4]
    return index + head + _CRC.pack(crc32(head))


def decode_footer(data: bytes) -> tuple[int, int, int, int] | None:
    """(index offset, entries, records, CRC of the index) from a file's last octets; None if it is not sealed."""
    if len(data) != FOOTER.size:
        return None
    magic, offset, entries, records, index_checksum, checksum = FOOTER.unpack(data)
    if magic != FOOTER_MAGIC or checksum != crc32(data[:-4]):
        return None
    return offset, entries, records, index_checksum


def decode_entries(data: bytes) -> array[int]:
    """Index entries as array('Q')."""
    entries = array("Q")
    entries.frombytes(data[: len(data) - len(data) % INDEX_ENTRY.size])
    if sys.byteorder == "big":
        entries.byteswap()
    return entries
