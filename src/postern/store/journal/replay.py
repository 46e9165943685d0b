"""What a dead process left: seal the tail, find what was accepted and may not be applied.

The records of the unsealed segment were perhaps never synced, and after a failed sync the page cache may show what the
disk does not have. So nothing is applied from it: what is whole is copied into a sealed segment that is synced anew,
under the same number. What the replay itself decides (outcomes) goes into a further segment of the same journal, so
that another replay, by whomever, finds everything about a message in one journal: journals can be replayed in any
order.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from postern.model.ids import BlobRef
from postern.model.ports import Clock
from postern.store import failpoints
from postern.store.journal.files import Buffer, Files
from postern.store.journal.layout import SEGMENT_BYTES, segment_path, segments, sidecar_path
from postern.store.journal.marks import Mark
from postern.store.journal.records import (
    CARRIES_MESSAGE,
    FOOTER,
    INDEX_ENTRY,
    SEGMENT_HEADER,
    Kind,
    RecordHead,
    decode_entries,
    decode_footer,
    encode_index,
    encode_segment_header,
    scan_records,
    segment_header_is_valid,
    segment_number,
)
from postern.store.journal.writer import Journal


class Pending(NamedTuple):
    """A message that may not be applied yet; its content is read by reference."""

    ref: BlobRef
    kind: Kind
    header: bytes
    size_bytes: int


class Orphan(NamedTuple):
    """A journal that was left, locked and sealed."""

    journal: int
    mark: Mark
    pending: list[Pending]
    """In the order in which they were accepted."""
    outcomes: dict[BlobRef, bytes]
    """Headers of OUTCOME records by what they are about: what was decided is not decided again."""
    assigned: dict[BlobRef, bytes]
    """Headers of ASSIGNED records by what they are about."""
    next_sequence: int


def about(ref: BlobRef, rest: bytes) -> bytes:
    """The header of a record about another one."""
    return INDEX_ENTRY.pack(*ref) + rest


def split_about(header: bytes) -> tuple[BlobRef, bytes]:
    """The reverse of `about`."""
    return BlobRef(*INDEX_ENTRY.unpack_from(header)), header[INDEX_ENTRY.size :]


def take_orphan(directory: Path, journal: int, files: Files) -> Orphan:
    """Lock a journal, seal its tail and read what is above its mark. Blocks; raises JournalInUseError, OSError."""
    mark = Mark.take(directory, journal, files)
    try:
        for path in directory.glob(f"spool-{journal:011x}-*.tmp"):
            files.unlink(path)
        numbers = segments(directory, journal)
        pending: list[Pending] = []
        outcomes: dict[BlobRef, bytes] = {}
        assigned: dict[BlobRef, bytes] = {}
        for number in numbers:
            if not _seal_if_open(directory, number, files) or number < mark.state.segment:
                continue
            lowest = mark.state.record if number == mark.state.segment else 0
            for head in _heads(directory, number):
                if head.kind == Kind.OUTCOME:
                    ref, rest = split_about(head.header)
                    outcomes.setdefault(ref, rest)
                elif head.kind == Kind.ASSIGNED:
                    ref, rest = split_about(head.header)
                    assigned.setdefault(ref, rest)
                elif head.kind in CARRIES_MESSAGE and head.record >= lowest:
                    ref = BlobRef(number, head.record)
                    pending.append(Pending(ref, Kind(head.kind), head.header, head.content_length))
        failpoints.hit("replay.tail-sealed")
    except BaseException:
        mark.release()
        raise
    last = numbers[-1] if numbers else segment_number(journal, 0) - 1
    sequence = max(last, mark.state.segment) + 1 - segment_number(journal, 0)
    return Orphan(journal, mark, pending, outcomes, assigned, sequence)


def continue_journal(
    orphan: Orphan,
    directory: Path,
    clock: Clock,
    on_failure: Callable[[OSError], None],
    files: Files,
    segment_bytes: int = SEGMENT_BYTES,
) -> Journal:
    """A journal for what the replay decides, in which the orphan's messages are outstanding."""
    journal = Journal(
        directory,
        orphan.journal,
        clock,
        on_failure,
        files=files,
        segment_bytes=min(segment_bytes, 1 << 20),
        mark=orphan.mark,
        first_sequence=orphan.next_sequence,
    )
    journal.expect([pending.ref for pending in orphan.pending])
    return journal


def _heads(directory: Path, number: int) -> list[RecordHead]:
    return list(scan_records(_content(segment_path(directory, number)), number))


def _content(path: Path) -> memoryview:
    return memoryview(path.read_bytes())


def _seal_if_open(directory: Path, number: int, files: Files) -> bool:
    """Whether anything is left of the segment."""
    path = segment_path(directory, number)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        footer = decode_footer(os.pread(descriptor, FOOTER.size, max(size - FOOTER.size, 0)))
    finally:
        os.close(descriptor)
    heads: list[RecordHead] = []
    if footer is None:
        data = _content(path)
        heads = list(scan_records(data, number))
        if heads:
            write_sealed(directory, number, data, heads, files)
        else:
            files.unlink(path)
    files.unlink(sidecar_path(directory, number))
    return footer is not None or bool(heads)


def sealed(number: int, data: memoryview, heads: Sequence[RecordHead]) -> list[Buffer]:
    """A sealed segment with the given records of a segment's `data`, to be written one behind the other."""
    created = SEGMENT_HEADER.unpack_from(data)[2] if segment_header_is_valid(data, number) else 0
    buffers: list[Buffer] = [encode_segment_header(number, created)]
    entries = array("Q")
    end = SEGMENT_HEADER.size
    for head in heads:
        entries.extend([0] * (head.record * 2 - len(entries)))
        spooled = head.content_offset > head.end
        entries.extend(
            (head.content_offset if spooled else head.content_offset - head.start + end, head.content_length)
        )
        buffers.append(data[head.start : head.end])
        end += head.end - head.start
    buffers.append(encode_index(entries, end, len(heads)))
    return buffers


def write_sealed(directory: Path, number: int, data: memoryview, heads: list[RecordHead], files: Files) -> int:
    """Replace a segment by a sealed one with the given records of it; its size. Durable on return."""
    temporary = segment_path(directory, number).with_suffix(".tmp")
    files.unlink(temporary)
    buffers = sealed(number, data, heads)
    descriptor = files.create(temporary)
    try:
        size = files.write(descriptor, buffers, 0)
        files.sync(descriptor)
    finally:
        files.close(descriptor)
    failpoints.hit("gc.copied")
    files.rename(temporary, segment_path(directory, number))
    files.sync_directory(directory)
    return size


def read_index(directory: Path, number: int) -> array[int] | None:
    """A sealed segment's index; None if it is not sealed. Raises FileNotFoundError."""
    with segment_path(directory, number).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        footer = decode_footer(os.pread(file.fileno(), FOOTER.size, max(size - FOOTER.size, 0)))
        if footer is None:
            return None
        return decode_entries(os.pread(file.fileno(), footer[1] * INDEX_ENTRY.size, footer[0]))
