"""Writing one segment: create, append batches, seal. Blocking; used by the journal's thread and by replay."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path

from postern.store import failpoints
from postern.store.journal.files import Buffer, Files
from postern.store.journal.layout import segment_path, sidecar_path
from postern.store.journal.records import INDEX_ENTRY, SEGMENT_HEADER, encode_index, encode_segment_header

FILL_BYTES = 256 * 1024
FILL_BELOW_BYTES = 64 * 1024
"""After a write smaller than this the file is filled with zeros so far ahead. The blocks are allocated from the start,
but the first write to each makes the file system commit what it knows about the file: with zeros in them already, a
sync takes half the time and writes hardly more, for small records; behind large ones it would double what is written.
"""
_ZEROS = bytes(FILL_BYTES)


class SegmentWriter:
    """An unsealed segment and its sidecar index."""

    def __init__(self, files: Files, directory: Path, number: int, created: int, size_bytes: int) -> None:
        """Make the files; durable after the first `commit`. Raises OSError (disk full) leaving nothing behind."""
        self.number = number
        self._files = files
        self._directory = directory
        self._entries = array("Q")
        self._records = 0
        self.end = SEGMENT_HEADER.size
        self._size_bytes = size_bytes
        self._filled = 0
        """Up to here the file has been written, with records or zeros."""
        self._descriptor = files.create(segment_path(directory, number), size_bytes)
        try:
            # a crash may have removed an empty segment of that number and not come to its sidecar
            files.unlink(sidecar_path(directory, number))
            self._sidecar = files.create(sidecar_path(directory, number))
            files.write(self._descriptor, [encode_segment_header(number, created)], 0)
            files.sync_directory(directory)
        except OSError:
            files.close(self._descriptor)
            files.unlink(segment_path(directory, number))
            files.unlink(sidecar_path(directory, number))
            raise

    def write(self, first_record: int, buffers: Sequence[Buffer], entries: array[int]) -> None:
        """Write records one behind the other; `entries` are offset and length of their contents in turn."""
        start, before = self.end, len(self._entries)
        try:
            self.end += self._files.write(self._descriptor, buffers, start)
            missing = first_record * 2 - before
            if missing > 0:
                self._entries.extend([0] * missing)
            self._entries.extend(entries)
            self._records += len(entries) // 2
            self._files.write(self._sidecar, [entries.tobytes()], first_record * INDEX_ENTRY.size)
        except OSError:
            # Refused messages must not come back in a replay: their sender will send them again.
            del self._entries[before:]
            self.end = start
            self._files.truncate(self._descriptor, start)
            self._files.sync(self._descriptor)
            raise
        if self.end + FILL_BELOW_BYTES > self._filled:
            self._fill(self.end - start)

    def _fill(self, written: int) -> None:
        """Zeros behind the last record, unless so much comes at a time that they are no use."""
        self._filled = max(self._filled, self.end)
        ahead = min(self.end + FILL_BYTES, self._size_bytes) - self._filled
        if written >= FILL_BELOW_BYTES or ahead <= 0:
            return
        try:
            self._files.write(self._descriptor, [_ZEROS[:ahead]], self._filled)
        except OSError:
            self._size_bytes = 0  # where allocated blocks are not kept for their file; a record will say it if it is so
            return
        self._filled += ahead

    def sync(self) -> None:
        """Make everything written durable."""
        self._files.sync(self._descriptor)

    def abandon(self) -> None:
        """Close the files as they are: unsealed, for a replay."""
        self._files.close(self._descriptor)
        self._files.close(self._sidecar)

    def seal(self) -> None:
        """Write the index and close. A segment without records is removed."""
        failpoints.hit("journal.sealing")
        sidecar = sidecar_path(self._directory, self.number)
        if not self._records:
            self._files.close(self._descriptor)
            self._files.unlink(segment_path(self._directory, self.number))
        else:
            self._files.truncate(self._descriptor, self.end)
            self._files.write(self._descriptor, [encode_index(self._entries, self.end, self._records)], self.end)
            self._files.sync(self._descriptor)
            self._files.close(self._descriptor)
        self._files.close(self._sidecar)
        self._files.unlink(sidecar)
        failpoints.hit("journal.sealed")
