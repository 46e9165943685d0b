"""Bodies by reference: reads sealed segments, and the active ones of all workers.

Reads ask for what is in memory without waiting (RWF_NOWAIT) and go to a thread only for what is on disk, so that the
loop never waits for it. References that lie close together are read at once.
"""

from __future__ import annotations

import asyncio
import os
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from postern.model.ids import BlobRef
from postern.model.refusal import Reason, Refusal
from postern.store.journal.layout import body_path, segment_path, sidecar_path
from postern.store.journal.records import (
    FOOTER,
    INDEX_ENTRY,
    SPOOLED_OFFSET,
    decode_entries,
    decode_footer,
    scan_records,
)
from postern.store.windows import Windows

_MAX_OPEN = 64
_GAP_BYTES = 4096
"""Reading this much too much costs less than another call."""
_SPAN_BYTES = 1 << 18
_SENT_BYTES = 1 << 20
"""The same of what is to be sent from where it is."""
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)


class _Segment:
    """An open segment with its index."""

    __slots__ = ("_directory", "descriptor", "entries", "inode", "number", "sealed")

    def __init__(self, directory: Path, number: int) -> None:
        self._directory = directory
        self.number = number
        self.descriptor = os.open(segment_path(directory, number), os.O_RDONLY | os.O_CLOEXEC)
        self.inode = os.fstat(self.descriptor).st_ino
        self.sealed = False
        self.entries: array[int] = array("Q")
        self.refresh()

    def refresh(self) -> None:
        """Read what the index has got since: the footer of a sealed segment, otherwise the sidecar."""
        size = os.fstat(self.descriptor).st_size
        footer = decode_footer(os.pread(self.descriptor, FOOTER.size, max(size - FOOTER.size, 0)))
        if footer is not None:
            self.entries = decode_entries(os.pread(self.descriptor, footer[1] * INDEX_ENTRY.size, footer[0]))
            self.sealed = True
            return
        known = len(self.entries) * 8
        try:
            descriptor = os.open(sidecar_path(self._directory, self.number), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            fresh = os.pread(descriptor, os.fstat(descriptor).st_size - known, known)
        finally:
            os.close(descriptor)
        self.entries.extend(decode_entries(fresh))

    def rebuild(self) -> None:
        """Index an unsealed segment by reading it: after a power cut its sidecar is worth nothing. Slow."""
        data = memoryview(os.pread(self.descriptor, os.fstat(self.descriptor).st_size, 0))
        entries = array("Q")
        for head in scan_records(data, self.number):
            entries.extend([0] * (head.record * 2 - len(entries)))
            entries.extend((head.content_offset, head.content_length))
        self.entries = entries

    def find(self, record: int) -> tuple[int, int]:
        """Offset and length of a content; (0, 0) if there is no such record."""
        position = record * 2
        if position < len(self.entries):
            return self.entries[position], self.entries[position + 1]
        return 0, 0


class _NoSegment(_Segment):
    """Where NO_BLOB lies."""

    __slots__ = ()

    def __init__(self) -> None:
        self.number = 0
        self.descriptor = -1
        self.entries = array("Q")


_NO_SEGMENT = _NoSegment()


class SegmentBlobs:
    """Implements store.interface.Blobs over a journal directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: OrderedDict[int, _Segment] = OrderedDict()
        self._windows = Windows()

    async def read(self, ref: BlobRef, offset: int = 0, length: int | None = None) -> bytes:
        """Part of a body. Raises Refusal(CORRUPT) if it is not there."""
        segment, start, size = self._locate(ref)
        wanted = max(size - offset if length is None else min(length, size - offset), 0)
        if start == SPOOLED_OFFSET:
            return await self._read_spooled(ref, offset, wanted)
        return bytes(await self._read_span(segment, start + offset, wanted))

    async def read_many(self, refs: Sequence[tuple[int, int]]) -> list[bytes]:
        """Whole bodies, in the order asked."""
        return [bytes(body) for body in await self.read_views(refs)]

    async def read_views(self, refs: Sequence[tuple[int, int]], *, to_send: bool = False) -> list[bytes | memoryview]:
        """Whole bodies, in the order asked; what was read at once is not copied apart.

        `to_send`: they are for a socket, and may be parts of a mapped file (`store/windows.py`).
        """
        results: list[bytes | memoryview] = []
        position, count = 0, len(refs)
        while position < count:
            segment, start, size = self._locate(refs[position])
            if start == SPOOLED_OFFSET:
                results.append(await self._read_spooled(refs[position], 0, size))
                position += 1
                continue
            places = [(0, size)]
            end, limit = start + size, start + (_SENT_BYTES if to_send else _SPAN_BYTES)
            position += 1
            number, entries, known = segment.number, segment.entries, len(segment.entries) // 2
            while position < count:
                other, record = refs[position]
                if other != number or record >= known:
                    break
                next_start = entries[record * 2]
                next_end = next_start + entries[record * 2 + 1]
                # behind the last one, close by, and not so much at once that it stalls the loop or leaves a window
                if not end <= next_start <= end + _GAP_BYTES or next_end > limit:
                    break
                places.append((next_start - start, next_end - start))
                end = next_end
                position += 1
            view = self._windows.view(number, segment.descriptor, start, end) if to_send else None
            if view is None:
                view = memoryview(await self._read_span(segment, start, end - start))
            results.extend([view[low:high] for low, high in places])
        return results

    def holds(self, ref: tuple[int, int]) -> bool:
        """Whether a body is there, as long as its index says. May block: for threads with an object of their own."""
        try:
            segment, start, size = self._locate(ref)
        except Refusal:
            return False
        if not ref[0]:
            return True
        try:
            if start == SPOOLED_OFFSET:
                return body_path(self._directory, *ref).stat().st_size == size
            return start + size <= os.fstat(segment.descriptor).st_size
        except FileNotFoundError:
            return False

    def _locate(self, ref: tuple[int, int]) -> tuple[_Segment, int, int]:
        number, record = ref
        segment = self._open.get(number)
        if segment is None:
            if not number:
                return _NO_SEGMENT, 0, 0
            segment = self._load(number)
        start, size = segment.find(record)
        if not start and not segment.sealed:
            segment.refresh()
            start, size = segment.find(record)
            if not start and not segment.sealed:
                segment.rebuild()
                start, size = segment.find(record)
        if not start:
            raise Refusal(Reason.CORRUPT, f"no body {number:x}.{record:x}")
        return segment, start, size

    def _load(self, number: int) -> _Segment:
        try:
            segment = _Segment(self._directory, number)
        except FileNotFoundError:
            raise Refusal(Reason.CORRUPT, f"no segment {number:x}") from None
        self._open[number] = segment
        if len(self._open) > _MAX_OPEN:
            _, oldest = self._open.popitem(last=False)
            self._close(oldest)
        return segment

    async def _read_span(self, segment: _Segment, offset: int, length: int) -> bytes | bytearray:
        if not length:
            return b""
        # the descriptor of its own keeps the file while a thread reads and the cache may close the segment
        buffer = bytearray(length)
        try:
            got = os.preadv(segment.descriptor, [buffer], offset, _NOWAIT)
        except OSError:  # EAGAIN: nothing of it is in memory; EOPNOTSUPP: the file system cannot say
            got = 0
        if got == length:
            return buffer
        descriptor = os.dup(segment.descriptor)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, _read_fully, descriptor, offset, length)
        finally:
            os.close(descriptor)

    async def _read_spooled(self, ref: tuple[int, int], offset: int, length: int) -> bytes:
        try:
            descriptor = os.open(body_path(self._directory, *ref), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Refusal(Reason.CORRUPT, f"no body {ref[0]:x}.{ref[1]:x}") from None
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, _read_fully, descriptor, offset, length)
        finally:
            os.close(descriptor)

    def trim(self) -> None:
        """Let go of files that garbage collection has replaced or removed: to be called now and then."""
        self._windows.trim()
        for number, segment in list(self._open.items()):
            try:
                gone = os.stat(segment_path(self._directory, number)).st_ino != segment.inode
            except FileNotFoundError:
                gone = True
            if gone:
                del self._open[number]
                self._close(segment)

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._close(self._open.popitem()[1])

    def _close(self, segment: _Segment) -> None:
        self._windows.forget(segment.number)
        os.close(segment.descriptor)


def _read_fully(descriptor: int, offset: int, length: int) -> bytes:
    parts: list[bytes] = []
    while length:
        part = os.pread(descriptor, length, offset)
        if not part:
            raise Refusal(Reason.CORRUPT, "a body is shorter than its index says")
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
